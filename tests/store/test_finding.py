"""Cassettes and leftovers in folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from filed import write

from gp_replay.errors import CassetteCorrupt, CassetteMissing, CassetteUnfinished
from gp_replay.store import find_cassettes, find_unfinished


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.gpr")


def test_folders_are_searched_and_leftovers_are_named(path: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "sub" / "b.gpr")
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / ".hidden" / "c.gpr")
    (tmp_path / "left.gpr.part").write_bytes(b"x")
    assert find_cassettes([tmp_path]) == [path, other]
    assert find_cassettes([other, path]) == [other, path]
    assert find_unfinished(tmp_path) == [tmp_path / "left.gpr.part"]
    assert find_cassettes([path, tmp_path, tmp_path / "sub" / ".." / "a.gpr"]) == [path, other]
    (tmp_path / "empty").mkdir()
    for missing in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(CassetteMissing):
            find_cassettes([missing])


def test_a_path_that_cannot_be_meant_is_one_of_the_documented_errors(path: Path, tmp_path: Path) -> None:
    (tmp_path / "left.gpr.part").write_bytes(b"x")
    for given, expected in (
        (tmp_path / "left.gpr.part", CassetteUnfinished),
        (path / "inside-a-file.gpr", CassetteMissing),
        (tmp_path / ("a" * 300), CassetteCorrupt),
        (tmp_path / "a\0b", CassetteCorrupt),
    ):
        with pytest.raises(expected):
            find_cassettes([given])
    assert find_unfinished(tmp_path / "none") == []
