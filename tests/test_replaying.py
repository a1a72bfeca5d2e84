"""A running replay: names, warnings, the receipt on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from dialogue import ask, cassette
from filed import TAPE, write

from gp_replay import api
from gp_replay.core.document import ordered_events
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Role
from gp_replay.errors import CassetteCorrupt, DiskFailure


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / "a.gpr", cassette(ask(1, "GET", f"/{folder}")))
    write(tmp_path / "b.gpr", cassette(ask(1, "GET", "/b")))
    with api.replay(tmp_path) as replay:
        pass
    assert sorted(item.name for item in replay.receipt.cassettes) == ["b", "one/a", "two/a"]
    assert sorted(replay.receipt.unplayed) == ["b#1", "one/a#1", "two/a#1"]


def test_redaction_off_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path / "r.gpr", MemoryCassette(replace(TAPE.header, redaction=("off",)), ordered_events(TAPE)))
    with api.replay(tmp_path / "r.gpr") as replay:
        assert "redaction off" in replay.warnings[0]


def test_a_receipt_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr")
    receipt = tmp_path / "receipt.json"
    with api.replay(tmp_path / "a.gpr", receipt=receipt):
        pass
    assert json.loads(receipt.read_text())["cast"] == {"default": "server"}
    with (
        pytest.raises(DiskFailure, match="receipt"),
        api.replay(tmp_path / "a.gpr", receipt=tmp_path / "no" / "r.json"),
    ):
        pass
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.gpr", "receipt.json"]


def test_one_broken_cassette_among_many_is_named_and_nothing_is_served(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr")
    (tmp_path / "b.gpr").write_bytes(b"broken")
    with pytest.raises(CassetteCorrupt, match=r"b\.gpr"), api.replay(tmp_path):
        pass


@pytest.mark.parametrize(
    ("name", "url"),
    [("../../x", "http://a"), ("a\r\nX: y", "http://a"), ("", "http://a"), ("llm", "http://[::1/"), ("llm", "ftp://a")],
)
def test_a_cassette_with_a_role_that_is_none_is_corrupt_and_named(name: str, url: str, tmp_path: Path) -> None:
    header = replace(TAPE.header, roles=(Role(name=name, url=url),))
    write(tmp_path / "a.gpr", MemoryCassette(header, ask(1, "GET", "/x", role=name)))
    with api.replay(tmp_path / "a.gpr") as replay, pytest.raises(CassetteCorrupt, match=r"a\.gpr"):
        replay.variables()
