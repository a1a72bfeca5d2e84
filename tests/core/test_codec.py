"""The codec: what is written is what is read, and garbage is one error."""

from __future__ import annotations

import random
import sys
from dataclasses import replace

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import cassettes, headers

from gp_replay.core.codec import (
    decode_event,
    decode_footer,
    decode_header,
    encode_event,
    encode_footer,
    encode_header,
    is_footer,
)
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Event, Footer, Header, Opcode, Opened, Piece, Protocol, Side, StreamEntry
from gp_replay.core.records import Limits
from gp_replay.errors import CassetteCorrupt

HEAD = 8  # length and checksum of a record
WHERE = {"path": "x.gpr", "offset": 10}


def all_events(tape: MemoryCassette) -> list[Event]:
    return [event for entry in tape.footer.entries for event in tape.events(entry.stream)]


@given(headers())
def test_a_header_reads_back_as_it_was_written(header: Header) -> None:
    assert decode_header(encode_header(header)[HEAD:], **WHERE) == header


@given(cassettes())
def test_every_event_reads_back_as_it_was_written(tape: MemoryCassette) -> None:
    for event in all_events(tape):
        assert decode_event(encode_event(event)[HEAD:], **WHERE) == event


@given(cassettes(), st.one_of(st.none(), st.integers(0, 255)))
def test_a_footer_reads_back_as_it_was_written(tape: MemoryCassette, exit_code: int | None) -> None:
    entries = tuple(
        replace(held, offsets=tuple(offset + 10 for offset in held.offsets)) for held in tape.footer.entries
    )
    footer = replace(tape.footer, entries=entries, exit_code=exit_code, digest=b"d" * 32)
    record = encode_footer(footer, offset=10**6)
    payload = record[HEAD:-16]
    assert is_footer(payload)
    assert decode_footer(payload, path="x.gpr", offset=10**6) == footer
    assert record[-16:] == (10**6).to_bytes(8, "big") + b"GPRTRAIL"


def plain(event: Event) -> list[object]:
    return list(msgpack.unpackb(encode_event(event)[HEAD:]))


PIECE = Piece(at_us=5, stream=1, side=Side.SERVER, data=b"x", ends_chunk=True)


def test_a_missing_last_field_has_its_default_and_a_later_one_is_ignored() -> None:
    values = plain(PIECE)
    assert decode_event(msgpack.packb(values[:-1]), **WHERE) == replace(PIECE, ends_chunk=False)
    assert decode_event(msgpack.packb([*values, "of a later version", [1]]), **WHERE) == PIECE


DAMAGE = [
    [],
    [4],
    [4, 1, 5],
    [99, 1, 5, 1, b"x"],
    [True, 1, 5, 1, b"x"],
    [4, 0, 5, 1, b"x"],
    [4, 1, -1, 1, b"x"],
    [4, 1, 2**60, 1, b"x"],
    [4, 1, 5, 2, b"x"],
    [4, 1, 5, 1, "text"],
    [4, 1, 5, 1, b"x", 1],
    [4, 1, 5.0, 1, b"x"],
    [6, 1, 5, 1, 3, b"x"],
    [6, 1, 5, 1, 1, b"xy", [[1, 5]]],
    [3, 1, 5, 1, b"HTTP/1.1", 99, b"", []],
    [3, 1, 5, 1, b"HTTP/1.1", 200, b"", [[b"a"]]],
    [9, 1, 5, 1, 70_000],
    [10, 1, 5, 1, "vanished"],
    [1, 1, 5, 0, 7, "role"],
    {"kind": 4},
    "GPREPLAY",
    None,
]


@pytest.mark.parametrize("values", DAMAGE, ids=repr)
def test_what_is_no_event_is_one_error_that_says_where(values: object) -> None:
    with pytest.raises(CassetteCorrupt, match=r"^x\.gpr: .* at byte 10$"):
        decode_event(msgpack.packb(values), **WHERE)


@given(st.binary(max_size=200))
def test_garbage_raises_exactly_one_error(data: bytes) -> None:
    for decode in (decode_event, decode_header, decode_footer):
        try:
            decode(data, **WHERE)
        except CassetteCorrupt:
            continue


@given(cassettes(), st.randoms(use_true_random=False))
def test_flipped_bits_raise_exactly_one_error_or_give_a_valid_event(tape: MemoryCassette, dice: random.Random) -> None:
    for event in all_events(tape)[:20]:
        payload = bytearray(encode_event(event)[HEAD:])
        payload[dice.randrange(len(payload))] ^= 1 << dice.randrange(8)
        try:
            decode_event(bytes(payload), **WHERE)
        except CassetteCorrupt:
            continue


@pytest.mark.parametrize(
    "payload",
    [
        b"\x91" * 100_000 + b"\x00",
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xffx",
        b"\xdf\x7f\xff\xff\xff",
        b"\xc7\x01\x05x",
        b"\x94\x04\x01\x05\x01" + b"\x00" * 10,
        b"\x95\x04\x01\x05\x01\xd9\x02\xff\xfe",
    ],
    ids=["deep", "many", "long", "map", "extension", "trailing", "not utf-8"],
)
def test_hostile_messagepack_is_bounded(payload: bytes) -> None:
    with pytest.raises(CassetteCorrupt):
        decode_event(payload, **WHERE)


def test_arrays_in_arrays_are_one_error_however_deep_the_program_stands() -> None:
    value: object = b""
    for _ in range(500):
        value = [value]
    payload = msgpack.packb([4, 1, 5, 1, value])

    def stand(frames: int) -> None:
        if frames:
            return stand(frames - 1)
        with pytest.raises(CassetteCorrupt, match="data: an array of 1 is not binary"):
            decode_event(payload, **WHERE)
        return None

    stand(sys.getrecursionlimit() - 400)


def test_many_small_items_are_refused_before_they_fill_the_memory() -> None:
    for items in ([[]] * 400_000, [[[]] * 100_000] * 4):
        with pytest.raises(CassetteCorrupt):
            decode_event(msgpack.packb([4, 1, 5, 1, b"x", False, items]), **WHERE)


def test_a_writer_refuses_what_a_reader_would() -> None:
    with pytest.raises(ValueError, match="bytes"):
        encode_event(replace(PIECE, data=b"x" * 2000), limits=Limits(max_record_bytes=1000))


def entry(stream: int, *offsets: int) -> StreamEntry:
    return StreamEntry(
        stream=stream,
        protocol=Protocol.HTTP,
        role="r",
        owner=None,
        method=b"GET",
        target=b"/",
        status=200,
        opened_us=0,
        ended_us=0,
        complete=True,
        events=len(offsets),
        messages=0,
        body_bytes=0,
        key=b"",
        offsets=offsets,
    )


@pytest.mark.parametrize("entries", [(entry(2, 10), entry(1, 20)), (entry(1, 10), entry(1, 20)), (entry(1, 5000),)])
def test_an_index_that_makes_no_sense_is_not_written(entries: tuple[StreamEntry, ...]) -> None:
    with pytest.raises(ValueError, match="stream"):
        encode_footer(Footer(entries=entries, digest=b"d" * 32), offset=100)


def test_opcodes_and_sides_are_written_as_the_specification_says() -> None:
    opened = Opened(at_us=7, stream=3, side=Side.CLIENT, protocol=Protocol.WEBSOCKET, role="chat", owner="alice")
    assert plain(opened) == [1, 3, 7, 0, 1, "chat", "alice"]
    assert plain(PIECE) == [4, 1, 5, 1, b"x", True]
    assert Opcode.BINARY.value == 2
