"""Read lazily and without trust; every old version still."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import msgpack
import pytest
from filed import TAPE, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import cassettes

from gp_replay.core.codec import encode_event, encode_footer, encode_header, encode_preamble
from gp_replay.core.document import ordered_events, to_document
from gp_replay.core.document_reading import from_document
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Footer, Opened, Piece, Protocol, Side
from gp_replay.errors import (
    CassetteCorrupt,
    CassetteError,
    CassetteMissing,
    CassetteTooNew,
    CassetteUnfinished,
)
from gp_replay.store import CassetteFile


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


def test_any_changed_bit_is_noticed_on_opening(path: Path) -> None:
    data = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for place in range(len(data)):
            for bit in (place % 8, 7 - place % 8):
                os.pwrite(file.fileno(), bytes([data[place] ^ 1 << bit]), place)
                with pytest.raises((CassetteCorrupt, CassetteTooNew, CassetteUnfinished)):
                    CassetteFile.open(path)
            os.pwrite(file.fileno(), data[place : place + 1], place)
    CassetteFile.open(path).close()


def test_a_file_cut_at_any_byte_is_unfinished_or_not_even_a_cassette(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    with CassetteFile.open(path) as tape:
        first_event = min(entry.offsets[0] for entry in tape.footer.entries)
    for cut in range(len(data)):
        (tmp_path / "cut.gpr").write_bytes(data[:cut])
        with pytest.raises(CassetteUnfinished if cut >= first_event else CassetteCorrupt):
            CassetteFile.open(tmp_path / "cut.gpr")


def test_records_in_records_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    """A hostile index may point into a payload, where another record stands with a right checksum, and so on."""
    wire = {"at_us": 0, "stream": 1, "side": Side.CLIENT}
    opened = Opened(**wire, protocol=Protocol.HTTP, role="r")
    before = encode_preamble() + encode_header(TAPE.header)
    inner = encode_event(Piece(**wire, data=b"x"))
    outer = encode_event(Piece(**wire, data=inner))
    data = before + encode_event(opened) + outer
    offsets = (len(before), len(data) - len(outer), data.rindex(inner))
    entry = replace(TAPE.footer.entries[0], stream=1, role="r", offsets=offsets, events=3)
    digest = hashlib.blake2b(data, digest_size=32).digest()
    path = tmp_path / "nested.gpr"
    path.write_bytes(data + encode_footer(Footer(entries=(entry,), digest=digest), offset=len(data)))
    with CassetteFile.open(path) as tape, pytest.raises(CassetteCorrupt, match="inside another"):
        tape.events(1)


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


def by_the_book(data: bytes) -> tuple[list[object], dict[int, list[list[object]]], list[object]]:
    """Header, events by stream, footer: a reader written from the specification alone, with nothing of ours."""

    def record(offset: int) -> list[object]:
        length, checksum = struct.unpack_from(">II", data, offset)
        payload = data[offset + 8 : offset + 8 + length]
        assert zlib.crc32(payload) == checksum
        values: list[object] = msgpack.unpackb(payload)
        return values

    assert (data[:8], data[8:10]) == (b"GPREPLAY", b"\0\1")
    place, magic = struct.unpack(">Q8s", data[-16:])
    assert magic == b"GPRTRAIL"
    header, footer = record(10), record(place)
    assert (header[0], footer[0]) == (0, 255)
    assert footer[5] == hashlib.blake2b(data[:place], digest_size=32).digest()
    streams = {entry[0]: [record(offset) for offset in accumulate(entry[13])] for entry in footer[1]}  # type: ignore[attr-defined]
    return header, streams, footer


def test_the_specification_is_enough_to_read_a_cassette() -> None:
    header, streams, footer = by_the_book((GOLDEN / "format-1.gpr").read_bytes())
    assert header[1:6] == [
        "golden",
        "2026-11-25T10:00:00.000Z",
        "gp-replay 0.1.0",
        "synthetic",
        [["llm", "http://llm.test"], ["chat", "ws://chat.test/base"]],
    ]
    assert header[9] == 3
    assert header[13] == [["2026-11-26T10:00:00.000Z", 3]]
    assert footer[2:4] == [["m"], 7]
    assert streams[1][:4] == [
        [1, 1, 0, 0, 0, "llm", "alice"],
        [2, 1, 0, 0, b"POST", b"/v1/chat?x=1", b"HTTP/1.1", [[b"Content-Type", b"application/json"]]],
        [4, 1, 0, 0, b'{"model":"m","a":1}'],
        [5, 1, 0, 0],
    ]
    assert streams[2][3:9] == [
        [6, 2, 22000, 1, 1, "w\u00e9lcome".encode(), [[3, 21500], [5, 22000]], True],
        [6, 2, 23000, 0, 2, b"\0\xff"],
        [7, 2, 24000, 1, b"p"],
        [8, 2, 24100, 0, b"p"],
        [9, 2, 25000, 1, 4001, b"enough"],
        [9, 2, 25100, 0, None],
    ]
    assert streams[3][-2][0] == 11
    assert streams[3][-1][0] == 10


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
