"""The frame of a cassette: preamble, records with length and checksum, trailer.

What is in a record, and the whole format in one place: `codec`.

Everything here is bounded by `Limits`: a cassette is hostile input.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TypeAlias, Union
from zlib import crc32

import msgpack

from gp_replay.errors import CassetteCorrupt, CassetteTooNew

__all__ = [
    "FORMAT_VERSION",
    "MAGIC",
    "MAX_INT",
    "PREAMBLE_BYTES",
    "RECORD_HEAD_BYTES",
    "TRAILER_BYTES",
    "TRAILER_MAGIC",
    "Limits",
    "Plain",
    "Record",
    "RecordScanner",
    "check_depth",
    "decode_preamble",
    "decode_record",
    "decode_record_head",
    "decode_trailer",
    "encode_preamble",
    "encode_record",
    "encode_trailer",
    "shown",
    "unpack",
]

MAGIC = b"GPREPLAY"
TRAILER_MAGIC = b"GPRTRAIL"
FORMAT_VERSION = 1
MAX_INT = 2**53 - 1
"""Largest integer in a cassette: every language reads it exactly. As a time it is 285 years."""

_PREAMBLE = Struct(">8sH")
_RECORD_HEAD = Struct(">II")
_TRAILER = Struct(">Q8s")
PREAMBLE_BYTES = _PREAMBLE.size
RECORD_HEAD_BYTES = _RECORD_HEAD.size
TRAILER_BYTES = _TRAILER.size

# Below this a record cannot decode to more than a few MB whatever its bytes are, so nothing is counted.
_SMALL_BYTES = 64 * 1024

Plain: TypeAlias = Union[bool, int, float, str, bytes, list["Plain"], None]  # noqa: UP007 - a string has no |
"""What a record may hold once MessagePack has decoded it: no maps, no extension types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a cassette may make its reader do. Beyond a limit it is corrupt; a writer keeps the same ones.

    Attributes:
        max_record_bytes: of the header and of one event: the largest WebSocket message is the largest thing in one.
        max_footer_bytes: of the footer, which grows with the recording: about 4 bytes an event, 100 a stream.
        max_items: values in all arrays of one record of over 64 KiB, and in one array of any: an empty array is one
            byte in the file and 60 in memory. (The footer has ``max_records`` more, for its offsets.)
        max_depth: arrays in arrays. The format needs four; the rest is room for fields of later versions.
        max_streams: in one cassette.
        max_records: events in one cassette.
    """

    max_record_bytes: int = 64 * 1024 * 1024
    max_footer_bytes: int = 256 * 1024 * 1024
    max_items: int = 262_144
    max_depth: int = 16
    max_streams: int = 1_000_000
    max_records: int = 16_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record whose checksum is right.

    Attributes:
        offset: of its first byte (of its length) in the file.
        payload: MessagePack, not decoded.
    """

    offset: int
    payload: bytes

    @property
    def end(self) -> int:
        """Offset of the byte after it."""
        return self.offset + RECORD_HEAD_BYTES + len(self.payload)


def encode_preamble(version: int = FORMAT_VERSION) -> bytes:
    """The first 10 bytes of a cassette."""
    return _PREAMBLE.pack(MAGIC, version)


def decode_preamble(data: bytes, *, path: str) -> int:
    """The format version, from the first bytes of a file.

    Raises:
        CassetteCorrupt: it is no cassette, or has no version.
        CassetteTooNew: see there.
    """
    if len(data) < PREAMBLE_BYTES or not data.startswith(MAGIC):
        raise CassetteCorrupt(path, "it does not begin as a cassette does", offset=0)
    version = _PREAMBLE.unpack_from(data)[1]
    assert isinstance(version, int)
    if version > FORMAT_VERSION:
        raise CassetteTooNew(path, found=version, supported=FORMAT_VERSION)
    if version < 1:
        raise CassetteCorrupt(path, f"there is no format {version}", offset=len(MAGIC))
    return version


def encode_record(payload: bytes) -> bytes:
    """A record: length, CRC-32 and payload."""
    return _RECORD_HEAD.pack(len(payload), crc32(payload)) + payload


def decode_record_head(data: bytes, *, path: str, offset: int, max_bytes: int) -> int:
    """The length of the payload that follows the 8 bytes at the beginning of ``data``.

    Raises:
        CassetteCorrupt: fewer bytes, or more payload than allowed.
    """
    if len(data) < RECORD_HEAD_BYTES:
        raise CassetteCorrupt(path, "it ends inside a record", offset=offset)
    length = int.from_bytes(data[:4], "big")
    if length > max_bytes:
        raise CassetteCorrupt(path, f"a record of {length} bytes, the limit is {max_bytes}", offset=offset)
    return length


def decode_record(data: bytes, *, path: str, offset: int) -> bytes:
    """The payload of the one record that ``data`` is.

    Raises:
        CassetteCorrupt: too few or too many bytes, or the checksum is wrong.
    """
    if len(data) < RECORD_HEAD_BYTES:
        raise CassetteCorrupt(path, "it ends inside a record", offset=offset)
    length, checksum = _RECORD_HEAD.unpack_from(data)
    payload = data[RECORD_HEAD_BYTES:]
    if len(payload) != length:
        raise CassetteCorrupt(path, f"a record of {length} bytes where {len(payload)} are", offset=offset)
    if crc32(payload) != checksum:
        raise CassetteCorrupt(path, "a record whose checksum is wrong", offset=offset)
    return payload


def encode_trailer(footer_offset: int) -> bytes:
    """The last 16 bytes of a cassette."""
    return _TRAILER.pack(footer_offset, TRAILER_MAGIC)


def decode_trailer(data: bytes, *, path: str, size: int) -> int | None:
    """The offset of the footer record, from the last 16 bytes of a file of ``size`` bytes.

    Returns:
        The offset, or None where there is no trailer: the recording was not finished.

    Raises:
        CassetteCorrupt: the offset is outside the file.
    """
    if len(data) != TRAILER_BYTES or not data.endswith(TRAILER_MAGIC):
        return None
    offset = _TRAILER.unpack(data)[0]
    assert isinstance(offset, int)
    if not PREAMBLE_BYTES <= offset <= size - TRAILER_BYTES - RECORD_HEAD_BYTES:
        raise CassetteCorrupt(path, f"a footer at {offset} of {size} bytes", offset=size - TRAILER_BYTES)
    return offset


def unpack(payload: bytes, *, path: str, offset: int, limits: Limits, more_items: int = 0) -> list[Plain]:
    """The array a payload is.

    Args:
        payload: MessagePack.
        path, offset: for the error.
        limits: bounds what is built in memory.
        more_items: allowed beyond ``limits.max_items``.

    Raises:
        CassetteCorrupt: no MessagePack, not an array, maps or extension types in it, or more than the limits allow.
    """
    most = limits.max_items + more_items
    items = 0

    def counted(array: list[Plain]) -> list[Plain]:
        nonlocal items
        items += 1 + len(array)
        if items > most:
            raise ValueError("too many items")
        return array

    # Lists, not tuples: CPython takes a list's memory from calloc, so lengths that are announced and not kept cost
    # address space only. msgpack itself stops at 512 arrays in one another.
    try:
        value = msgpack.unpackb(
            payload,
            list_hook=counted if len(payload) > _SMALL_BYTES else None,
            max_array_len=min(len(payload), most),
            max_map_len=0,
            max_ext_len=0,
        )
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError, msgpack.UnpackException) as error:
        problem = f"a record that is not MessagePack within the limits ({error or type(error).__name__})"
        raise CassetteCorrupt(path, problem, offset=offset) from error
    if not isinstance(value, list) or not value:
        raise CassetteCorrupt(path, "a record that is not an array", offset=offset)
    return value


def check_depth(record: list[Plain], *, path: str, offset: int, limits: Limits) -> None:
    """Refuses arrays deeper in one another than ``limits.max_depth``.

    Raises:
        CassetteCorrupt: they are.
    """
    level: list[list[Plain]] = [record]
    for _ in range(limits.max_depth):
        level = [item for array in level for item in array if isinstance(item, list)]
        if not level:
            return
    raise CassetteCorrupt(path, f"arrays more than {limits.max_depth} deep", offset=offset)


def shown(value: object) -> str:
    """A value that came from a file, for an error message: in little text, made with little memory and no recursion."""
    if isinstance(value, (list, tuple)):
        return f"an array of {len(value)}"
    return repr(value[:40] if isinstance(value, (bytes, str)) else value)[:40]


class RecordScanner:
    """Reads whole records from bytes that come in any portions, up to the first damaged one: for recovery.

    At most one record is held in memory.

    Args:
        limits: for the length of a record.
        offset: in the file, of the first byte that will be fed.

    Attributes:
        offset: of the first byte not yet part of a whole record.
        problem: what was wrong with the record there, or "" while nothing was; nothing more is read then.
    """

    def __init__(self, *, limits: Limits | None = None, offset: int = PREAMBLE_BYTES) -> None:
        limits = limits or Limits()
        self._max_bytes = max(limits.max_record_bytes, limits.max_footer_bytes)
        self._buffer = bytearray()
        self.offset = offset
        self.problem = ""

    def feed(self, data: bytes) -> list[Record]:
        """The records that ``data`` completes, in order."""
        if self.problem:
            return []
        self._buffer += data
        records: list[Record] = []
        position = 0
        while len(self._buffer) - position >= RECORD_HEAD_BYTES:
            length, checksum = _RECORD_HEAD.unpack_from(self._buffer, position)
            begin, end = position + RECORD_HEAD_BYTES, position + RECORD_HEAD_BYTES + length
            if length == 0:  # where a file system lost power, zeros may stand, and CRC-32 of nothing is zero
                self.problem = "an empty record"
                break
            if length > self._max_bytes:
                self.problem = f"a record of {length} bytes, the limit is {self._max_bytes}"
                break
            if len(self._buffer) < end:
                break
            payload = bytes(self._buffer[begin:end])
            if crc32(payload) != checksum:
                self.problem = "a record whose checksum is wrong"
                break
            records.append(Record(offset=self.offset, payload=payload))
            self.offset += end - position
            position = end
        del self._buffer[:position]
        return records
