"""Read lazily and without trust; every old version still."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filed import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import cassettes

from gp_replay.core.document import ordered_events, to_document
from gp_replay.core.document_reading import from_document
from gp_replay.core.index import MemoryCassette
from gp_replay.errors import (
    CassetteCorrupt,
    CassetteError,
    CassetteMissing,
    CassetteTooNew,
    CassetteUnfinished,
)
from gp_replay.store import (
    CassetteFile,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.gpr")


GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"


@given(cassettes())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_cassette_reads_back_as_it_was_written(tmp_path: Path, tape: MemoryCassette) -> None:
    target = tmp_path / f"{time.monotonic_ns()}.gpr"
    if not tape.footer.entries:
        return
    write(target, tape)
    with CassetteFile.open(target) as read:
        assert read.header == tape.header
        assert [replace(entry, offsets=()) for entry in read.footer.entries] == [
            replace(entry, offsets=()) for entry in tape.footer.entries
        ]
        for entry in tape.footer.entries:
            assert read.events(entry.stream) == tape.events(entry.stream)


@pytest.mark.parametrize("place", [0, 9, 12, 60, -1, -9, -20, -60])
def test_any_changed_byte_is_noticed_on_opening(place: int, path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x55
    path.write_bytes(data)
    with pytest.raises((CassetteCorrupt, CassetteTooNew, CassetteUnfinished)):
        CassetteFile.open(path).close()


def test_a_changed_event_is_noticed_even_without_the_digest(path: Path) -> None:
    data = path.read_bytes().replace(b"hello", b"hallo", 1)
    path.write_bytes(data)
    with pytest.raises(CassetteCorrupt):
        CassetteFile.open(path).close()
    with CassetteFile.open(path, verify=False) as tape:
        assert tape.events(1)
        with pytest.raises(CassetteCorrupt):
            tape.events(2)


def test_missing_too_new_and_strange_files_are_four_different_errors(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CassetteMissing):
        CassetteFile.open(tmp_path / "none.gpr")
    data = bytearray(path.read_bytes())
    data[9] = 2
    (tmp_path / "new.gpr").write_bytes(data)
    with pytest.raises(CassetteTooNew):
        CassetteFile.open(tmp_path / "new.gpr")
    (tmp_path / "cut.gpr").write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CassetteUnfinished):
        CassetteFile.open(tmp_path / "cut.gpr")
    for content in (b"", b"not a cassette", os.urandom(4096)):
        (tmp_path / "odd.gpr").write_bytes(content)
        with pytest.raises(CassetteCorrupt):
            CassetteFile.open(tmp_path / "odd.gpr")
    os.mkfifo(tmp_path / "pipe.gpr")
    (tmp_path / "folder.gpr").mkdir()
    for name in ("pipe.gpr", "folder.gpr"):
        with pytest.raises(CassetteError):
            CassetteFile.open(tmp_path / name)


def test_a_file_that_shrinks_while_it_is_open_is_an_error_and_no_crash(path: Path) -> None:
    with CassetteFile.open(path) as tape:
        os.truncate(path, 100)
        with pytest.raises(CassetteCorrupt):
            for entry in tape.footer.entries:
                tape.events(entry.stream)
        with pytest.raises(KeyError):
            tape.events(99)


def goldens() -> Iterator[int]:
    yield from (int(file.stem.removeprefix("format-")) for file in GOLDEN.glob("*.gpr"))


@pytest.mark.parametrize("version", sorted(goldens()))
def test_a_cassette_of_every_version_is_still_read_as_it_was(version: int) -> None:
    expected = json.loads((GOLDEN / f"format-{version}.json").read_text(encoding="utf-8"))
    with CassetteFile.open(GOLDEN / f"format-{version}.gpr") as tape:
        assert to_document(tape) == expected
        assert (tape.header, ordered_events(tape)) == from_document(expected)


def test_there_is_a_golden_file_of_every_version() -> None:
    from gp_replay.core.records import FORMAT_VERSION

    assert sorted(goldens()) == list(range(1, FORMAT_VERSION + 1))


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_bytes_raise_exactly_the_documented_errors(tmp_path: Path, data: bytes) -> None:
    target = tmp_path / "fuzz.gpr"
    target.write_bytes(b"GPREPLAY\x00\x01" + data)
    with pytest.raises((CassetteCorrupt, CassetteUnfinished)):
        CassetteFile.open(target)
