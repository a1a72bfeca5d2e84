"""The frame of the file: preamble, records, trailer, and what recovery can still read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.records import (
    FORMAT_VERSION,
    Limits,
    Record,
    RecordScanner,
    decode_preamble,
    decode_record,
    decode_record_head,
    decode_trailer,
    encode_preamble,
    encode_record,
    encode_trailer,
    shown,
)
from gp_replay.errors import CassetteCorrupt, CassetteTooNew

PAYLOADS = st.lists(st.binary(min_size=1, max_size=30), max_size=6)


def test_the_preamble_is_magic_and_version() -> None:
    assert encode_preamble() == b"GPREPLAY\x00\x01"
    assert decode_preamble(b"GPREPLAY\x00\x01more", path="x") == 1


@pytest.mark.parametrize("data", [b"", b"GPREPLAY", b"GPREPLAX\x00\x01", b"PK\x03\x04......", b"GPREPLAY\x00\x00"])
def test_what_does_not_begin_as_a_cassette_is_corrupt(data: bytes) -> None:
    with pytest.raises(CassetteCorrupt):
        decode_preamble(data, path="x")


def test_a_newer_version_says_so_before_anything_else_is_read() -> None:
    with pytest.raises(CassetteTooNew, match=rf"format {FORMAT_VERSION + 1} is newer"):
        decode_preamble(encode_preamble(FORMAT_VERSION + 1) + b"\xff" * 50, path="x")


def test_a_record_is_length_checksum_payload() -> None:
    record = encode_record(b"abc")
    assert record == b"\x00\x00\x00\x03\x35\x24\x41\xc2abc"
    assert decode_record(record, path="x", offset=0) == b"abc"
    assert decode_record_head(record[:8], path="x", offset=0, max_bytes=3) == 3


@pytest.mark.parametrize("place", range(11))
def test_any_changed_byte_of_a_record_is_noticed(place: int) -> None:
    record = bytearray(encode_record(b"abc"))
    record[place] ^= 0x40
    with pytest.raises(CassetteCorrupt):
        decode_record(bytes(record), path="x", offset=0)


def test_a_length_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(CassetteCorrupt):
        decode_record_head(b"\xff\xff\xff\xff0000", path="x", offset=0, max_bytes=1000)


def test_the_trailer_points_at_the_footer_or_there_is_none() -> None:
    assert decode_trailer(encode_trailer(99), path="x", size=1000) == 99
    assert decode_trailer(b"0" * 16, path="x", size=1000) is None
    with pytest.raises(CassetteCorrupt):
        decode_trailer(encode_trailer(5000), path="x", size=1000)


@given(PAYLOADS, st.lists(st.integers(1, 40), max_size=20))
def test_records_are_found_whatever_the_portions(payloads: list[bytes], cuts: list[int]) -> None:
    data = b"".join(map(encode_record, payloads))
    scanner = RecordScanner()
    found: list[Record] = []
    for size in [*cuts, len(data)]:
        found += scanner.feed(data[:size])
        data = data[size:]
    found += scanner.feed(data)
    assert [record.payload for record in found] == payloads
    assert not scanner.problem
    assert scanner.offset == (found[-1].end if found else 10)


@given(PAYLOADS.filter(bool), st.data())
def test_nothing_behind_a_damaged_record_is_believed(payloads: list[bytes], data: st.DataObject) -> None:
    raw = bytearray(b"".join(map(encode_record, payloads)))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 0x81
    scanner = RecordScanner(limits=Limits(max_record_bytes=1000, max_footer_bytes=1000))
    found = scanner.feed(bytes(raw))
    assert [record.payload for record in found] == payloads[: len(found)]
    assert scanner.offset <= 10 + place


def test_zeros_after_a_power_cut_are_no_records() -> None:
    scanner = RecordScanner()
    assert scanner.feed(encode_record(b"a") + b"\0" * 4096)[0].payload == b"a"
    assert scanner.problem == "an empty record"


@pytest.mark.parametrize(
    ("value", "text"),
    [([[[1]]], "an array of 1"), (b"x" * 10**6, "b'" + "x" * 38), ("é", "'é'"), (2**64 - 1, "18446744073709551615")],
)
def test_a_value_in_an_error_message_is_short(value: object, text: str) -> None:
    assert shown(value) == text
