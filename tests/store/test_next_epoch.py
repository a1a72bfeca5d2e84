"""A revision that holds the old cassette and more: nothing of the old one changes, byte for byte."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import pytest
from dialogue import ask, cassette, chat
from filed import write
from hypothesis import given, settings
from strategies import cassettes

from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Epoch, Event, Role
from gp_replay.core.records import RECORD_HEAD_BYTES, decode_record_head
from gp_replay.errors import CassetteCorrupt, DiskFailure
from gp_replay.store import CassetteFile, CassetteWriter, next_epoch

NEW = dataclasses.replace(
    cassette(ask(1, "GET", "/")).header,
    recorded_at="2026-11-26T09:00:00Z",
    tool="gp-replay new",
    salt=b"another salt 16b",
    redaction=("built-in", "mine"),
    roles=(Role(name="default", url="http://moved"), Role(name="chat", url="http://chat")),
)


def continued(path: Path, *new: list[Event]) -> Path | None:
    """Adds streams to the cassette at ``path``."""
    with CassetteFile.open(path) as old:
        writer = CassetteWriter(path, next_epoch(NEW, old), replace=True)
        writer.inherit(old)
    for stream in new:
        for event in stream:
            writer.write(event)
    return writer.close()


def records(path: Path, last: int) -> list[bytes]:
    """The records of the streams up to ``last``, as they stand in the file, in its order."""
    data = path.read_bytes()
    with CassetteFile.open(path) as tape:
        offsets = sorted(at for entry in tape.footer.entries if entry.stream <= last for at in entry.offsets)
    heads = [(at, at + RECORD_HEAD_BYTES) for at in offsets]
    sizes = [decode_record_head(data[at:end], path=str(path), offset=at, max_bytes=1 << 30) for at, end in heads]
    return [data[at : end + size] for (at, end), size in zip(heads, sizes, strict=True)]


@pytest.mark.slow
@given(cassettes())
@settings(max_examples=50)
def test_old_streams_stand_in_the_new_file_byte_for_byte_and_in_the_same_order(tape: MemoryCassette) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, before = Path(folder) / "a.gpr", Path(folder) / "before.gpr"
        write(path, tape)
        if not path.exists():
            return  # nothing was recorded
        before.write_bytes(path.read_bytes())
        with CassetteFile.open(before) as old:
            last = next_epoch(NEW, old).epochs[-1].first_stream - 1
        continued(path, ask(last + 1, "GET", "/new"))
        assert records(path, last) == records(before, last)
        assert [item.read_bytes() for item in (Path(folder) / ".revisions" / "a").iterdir()] == [before.read_bytes()]
        with CassetteFile.open(path) as new, CassetteFile.open(before) as old:
            assert [(entry.stream, entry.role) for entry in new.footer.entries] == [
                *((entry.stream, entry.role) for entry in old.footer.entries),
                (last + 1, "default"),
            ]


def test_the_header_says_what_was_added_when(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x"), chat(2, "5 < hello")))
    with CassetteFile.open(path) as tape:
        old, digest = tape.header, tape.footer.digest
    continued(path, ask(3, "GET", "/y"))
    with CassetteFile.open(path) as tape:
        header = tape.header
    assert header == dataclasses.replace(
        old,
        tool="gp-replay new",
        roles=(*old.roles, Role(name="chat", url="http://chat")),
        redaction=("built-in", "mine"),
        revision=2,
        replaces=digest,
        epochs=(Epoch(recorded_at="2026-11-26T09:00:00Z", first_stream=3),),
    )


def test_a_third_take_starts_a_third_epoch(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    continued(path, ask(2, "GET", "/y"), ask(3, "GET", "/z"))
    continued(path, ask(4, "GET", "/w"))
    with CassetteFile.open(path) as tape:
        assert [epoch.first_stream for epoch in tape.header.epochs] == [2, 4]
        assert [entry.target for entry in tape.footer.entries] == [b"/x", b"/y", b"/z", b"/w"]
    assert len(list((tmp_path / ".revisions" / "a").iterdir())) == 2


def test_where_nothing_is_added_the_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    before = path.read_bytes()
    assert continued(path) is None
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("end", ["close", "abandon"])
def test_a_cassette_that_cannot_be_read_to_its_end_is_not_continued(end: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "POST", "/x", "body" * 50)))
    data = bytearray(path.read_bytes())
    data[data.index(b"bodybody")] ^= 1
    path.write_bytes(data)
    with CassetteFile.open(path, verify=False) as old:
        writer = CassetteWriter(path, next_epoch(NEW, old), replace=True)
        with pytest.raises(CassetteCorrupt):
            writer.inherit(old)
    getattr(writer, end)()
    assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_a_cassette_that_was_changed_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    with CassetteFile.open(path) as old:
        writer = CassetteWriter(path, next_epoch(NEW, old), replace=True)
        writer.inherit(old)
    for event in ask(2, "GET", "/y"):
        writer.write(event)
    other = write(tmp_path / "b.gpr", cassette(ask(1, "GET", "/other"))).rename(path).read_bytes()
    with pytest.raises(DiskFailure, match="changed"):
        writer.close()
    assert path.read_bytes() == other
