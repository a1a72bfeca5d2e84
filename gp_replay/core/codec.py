"""The cassette format, version 1 (``.gpr``): its specification, and the code that writes and reads it.

All integers of the frame are unsigned and big-endian. ``bin``, ``str``, ``int``, ``bool``, ``nil`` and ``array`` are
the types of MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md). There are no maps, floats or
extension types. Every ``int`` is 0 to 2^53-1 unless a range is given. ``str`` is UTF-8.

File::

    preamble   "GPREPLAY" (8 bytes)   format version (u16)
    record     the header
    record *   events, in the order they were written; streams are interleaved
    record     the footer
    trailer    file offset of the footer record (u64)   "GPRTRAIL" (8 bytes)

    record     length of the payload in bytes (u32, not 0)   CRC-32 of the payload (u32, as zlib's)   payload

A payload is one ``array`` and nothing after it. Its first item is the *kind*: 0 the header, 255 the footer, else an
event. Fields follow in the order given here. A field with a default (``= ...``) may be left out, together with all
after it. A reader ignores items after the last field it knows, and fills in defaults for those that are not there.

Header: ``[0, name, recorded_at, tool, origin, roles, salt, redaction, ...]``::

    name         str                      of the cassette, for people; never to be used as a path
    recorded_at  str                      beginning of the first epoch, ISO 8601, UTC
    tool         str                      program and version that wrote the file
    origin       str                      "live", "imported", "synthetic" or "edited"
    roles        array of [str, str]      name, upstream URL
    salt         bin, 16 bytes            key of the pseudonyms
    redaction    array of str             rule sets applied; ["off"] where redaction was switched off
    environment  str = ""
    revision     int from 1 = 1
    replaces     bin, 0 or 32 = ""        digest of the revision this one replaces
    labels       array of [str, str] = [] name, text
    commit       str = ""                 git commit of the recorded project
    epochs       array of [str, int] = [] recorded_at, first stream (2 or more, rising) of every epoch but the first

Event: ``[kind, stream, at_us, side, ...]``. ``stream`` is an int from 1; ``at_us`` is microseconds since the beginning
of the stream's epoch; ``side``, who sent it, is 0 client or 1 server. The first event of a stream in the file is its
Opened. Times of one stream may fall: sort by ``at_us``, stably::

     1 Opened        protocol int (0 HTTP, 1 WebSocket), role str, owner str or nil = nil
     2 RequestHead   method bin, target bin, version bin, headers, coding str = ""
     3 ResponseHead  version bin, status int 100-999, reason bin, headers, coding str = ""
     4 Piece         data bin, ends_chunk bool = false
     5 End           trailers = []
     6 Message       opcode int (1 text, 2 binary), data bin, fragments array of [length int, at_us int] = [],
                     deflated bool = false
     7 Ping          data bin
     8 Pong          data bin
     9 Close         code int 0-65535 or nil, reason bin = ""
    10 Gone          how str: "eof", "reset", "cut" or "unreachable"
    11 Opaque        size int, in bytes

    headers and trailers are arrays of [name bin, value bin], in order, spelling kept, values trimmed of white space.
    Body bytes are stored without content coding (``coding`` names the one on the wire) and without chunk framing
    (``ends_chunk``); messages without fragmentation (``fragments``: lengths adding up to that of ``data``, and the time
    of each one's last byte) and inflated (``deflated`` says that they were not).

Footer: ``[255, entries, models, exit_code, fingerprint, digest]``::

    entries      array                    one entry for each stream, by rising number
    models       array of str             names of LLM models in requests, in order of first appearance
    exit_code    int -2^31 to 2^32-1 or nil  of the recorded command
    fingerprint  bin, up to 64            of what computed the entries' keys; "" where they have none
    digest       bin, 32 bytes            BLAKE2b-256 of all bytes of the file before the footer record

    entry        [stream int from 1, protocol int, role str, owner str or nil, method bin, target bin,
                 status int 0-999 (0: no final response), opened_us int, ended_us int (not before opened_us),
                 complete bool, messages int, body_bytes int, key bin up to 64, offsets array of int]
    offsets      file offset of the record of the stream's first event, then for each later one its distance from the
                 record before; the number of offsets is the number of events

Reading: version first. Newer than known: refuse and say so. Then trailer, footer, header, and the digest over the
bytes before the footer; events when needed, each against its checksum.

Recovery: a file without a trailer is a recording that was cut off. All records from the preamble on whose length and
checksum are right are good, up to the first that is not; what follows is lost. Streams are ended by what is known of
them, and a footer is made anew.

Limits: a cassette is hostile input. Readers bound what they take (here: `Limits`) and treat more as corrupt.

Evolution: a new field comes last and has a default. A new kind, type or meaning is a new version (`migrations`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import msgpack

from gp_replay.core.entries import ENTRY_FIELDS, KEY_BYTES, checked_entries, read_entry, write_entry
from gp_replay.core.layouts import (
    BOOL,
    BYTES,
    FRAGMENTS,
    HEADERS,
    NUMBER,
    PAIRS,
    TEXT,
    TEXTS,
    Field,
    Layout,
    blob,
    choice,
    number,
    optional,
    tuple_of,
)
from gp_replay.core.migrations import Part, migrate
from gp_replay.core.model import (
    Close,
    End,
    Epoch,
    Event,
    Footer,
    Gone,
    Header,
    How,
    Message,
    Opaque,
    Opcode,
    Opened,
    Origin,
    Piece,
    Ping,
    Pong,
    Protocol,
    RequestHead,
    ResponseHead,
    Role,
    Side,
)
from gp_replay.core.records import (
    FORMAT_VERSION,
    MAGIC,
    MAX_INT,
    Limits,
    Plain,
    check_depth,
    decode_preamble,
    encode_preamble,
    encode_record,
    encode_trailer,
    shown,
    unpack,
)
from gp_replay.errors import CassetteCorrupt

__all__ = [
    "FORMAT_VERSION",
    "MAGIC",
    "Limits",
    "decode_event",
    "decode_footer",
    "decode_header",
    "decode_preamble",
    "encode_event",
    "encode_footer",
    "encode_header",
    "encode_preamble",
    "is_footer",
]

_HEADER_KIND = 0
_FOOTER_KIND = 255

_WIRE = (Field("stream", number(1, MAX_INT)), Field("at_us", NUMBER), Field("side", choice(Side)))
_CODING = Field("coding", TEXT, "")
_EVENTS: dict[int, Layout[Event]] = {
    kind: Layout(make, (*_WIRE, *own))
    for kind, make, own in (
        (1, Opened, (Field("protocol", choice(Protocol)), Field("role", TEXT), Field("owner", optional(TEXT), None))),
        (
            2,
            RequestHead,
            (
                Field("method", BYTES),
                Field("target", BYTES),
                Field("version", BYTES),
                Field("headers", HEADERS),
                _CODING,
            ),
        ),
        (
            3,
            ResponseHead,
            (
                Field("version", BYTES),
                Field("status", number(100, 999)),
                Field("reason", BYTES),
                Field("headers", HEADERS),
                _CODING,
            ),
        ),
        (4, Piece, (Field("data", BYTES), Field("ends_chunk", BOOL, False))),
        (5, End, (Field("trailers", HEADERS, ()),)),
        (
            6,
            Message,
            (
                Field("opcode", choice(Opcode)),
                Field("data", BYTES),
                Field("fragments", FRAGMENTS, ()),
                Field("deflated", BOOL, False),
            ),
        ),
        (7, Ping, (Field("data", BYTES),)),
        (8, Pong, (Field("data", BYTES),)),
        (9, Close, (Field("code", optional(number(0, 0xFFFF))), Field("reason", BYTES, b""))),
        (10, Gone, (Field("how", choice(How)),)),
        (11, Opaque, (Field("size", NUMBER),)),
    )
}
_KINDS: dict[type, int] = {cast(type, layout.make): kind for kind, layout in _EVENTS.items()}
_HEADER = Layout(
    Header,
    (
        Field("name", TEXT),
        Field("recorded_at", TEXT),
        Field("tool", TEXT),
        Field("origin", choice(Origin)),
        Field("roles", tuple_of(Layout(Role, (Field("name", TEXT), Field("url", TEXT))))),
        Field("salt", blob(16)),
        Field("redaction", TEXTS),
        Field("environment", TEXT, ""),
        Field("revision", number(1, MAX_INT), 1),
        Field("replaces", blob(0, 32), b""),
        Field("labels", PAIRS, ()),
        Field("commit", TEXT, ""),
        Field(
            "epochs",
            tuple_of(Layout(Epoch, (Field("recorded_at", TEXT), Field("first_stream", number(2, MAX_INT))))),
            (),
        ),
    ),
)
_FOOTER_REST = Layout(
    Footer,
    (
        Field("models", TEXTS),
        Field("exit_code", optional(number(-(2**31), 2**32 - 1))),
        Field("fingerprint", blob(*range(KEY_BYTES + 1))),
        Field("digest", blob(32)),
    ),
)
_LIMITS = Limits()

T = TypeVar("T")


def encode_header(header: Header, *, limits: Limits = _LIMITS) -> bytes:
    """The header as a record.

    Raises:
        ValueError: a value the format has no room for.
    """
    _check_epochs(header)
    return _encode([_HEADER_KIND, *_HEADER.write(header)], max_bytes=limits.max_record_bytes)


def decode_header(
    payload: bytes, *, path: str, offset: int, version: int = FORMAT_VERSION, limits: Limits = _LIMITS
) -> Header:
    """The header that a payload is.

    Args:
        payload: of the first record.
        path, offset: of the record, for errors.
        version: of the format it is in.
        limits: of what is built in memory.

    Raises:
        CassetteCorrupt: it is no header.
    """

    def read(values: list[Plain]) -> Header:
        if values[0] != _HEADER_KIND or type(values[0]) is not int:
            raise ValueError("not a header")
        header = _HEADER.read(values[1:])
        _check_epochs(header)
        return header

    values = unpack(payload, path=path, offset=offset, limits=limits)
    known = 1 + len(_HEADER.fields)
    return _decode(values, Part.HEADER, read, path=path, offset=offset, version=version, limits=limits, known=known)


def encode_event(event: Event, *, limits: Limits = _LIMITS) -> bytes:
    """An event as a record.

    Raises:
        ValueError: a value the format has no room for, or more than the limits allow.
    """
    kind = _KINDS[type(event)]
    values = _EVENTS[kind].write(event)
    for value in values:
        if type(value) is list and len(value) * 4 > limits.max_items:
            raise ValueError(f"{len(value)} items in one event")
    return _encode([kind, *values], max_bytes=limits.max_record_bytes)


def decode_event(
    payload: bytes, *, path: str, offset: int, version: int = FORMAT_VERSION, limits: Limits = _LIMITS
) -> Event:
    """The event that a payload is. Arguments and errors as for `decode_header`."""
    values = unpack(payload, path=path, offset=offset, limits=limits)
    layout = _layout(values)
    known = 1 + len(layout.fields) if layout else 0
    return _decode(
        values, Part.EVENT, _read_event, path=path, offset=offset, version=version, limits=limits, known=known
    )


def encode_footer(footer: Footer, *, offset: int, limits: Limits = _LIMITS) -> bytes:
    """The footer as a record that stands at ``offset``, and the trailer that points there.

    Raises:
        ValueError: a value the format has no room for, or more than the limits allow.
    """
    entries: list[Plain] = [write_entry(entry) for entry in footer.entries]
    checked_entries(footer.entries, footer_offset=offset, limits=limits)
    values: list[Plain] = [_FOOTER_KIND, entries, *_FOOTER_REST.write(footer)]
    return _encode(values, max_bytes=limits.max_footer_bytes) + encode_trailer(offset)


def decode_footer(
    payload: bytes, *, path: str, offset: int, version: int = FORMAT_VERSION, limits: Limits = _LIMITS
) -> Footer:
    """The footer that a payload is. Arguments and errors as for `decode_header`.

    What the index promises of the file's events is not checked here, except that they stand before the footer.
    """

    def read(values: list[Plain]) -> Footer:
        if values[0] != _FOOTER_KIND or len(values) < 2 or type(values[1]) is not list:
            raise ValueError("not a footer")
        entries = tuple([read_entry(item) for item in values[1]])
        return _FOOTER_REST.read(values[2:], entries=checked_entries(entries, footer_offset=offset, limits=limits))

    more = limits.max_streams * (ENTRY_FIELDS + 4) + limits.max_records
    values = unpack(payload, path=path, offset=offset, limits=limits, more_items=more)
    known = 2 + len(_FOOTER_REST.fields)
    return _decode(values, Part.FOOTER, read, path=path, offset=offset, version=version, limits=limits, known=known)


def is_footer(payload: bytes) -> bool:
    """Whether a payload calls itself a footer (and so ends the events)."""
    return payload[:1] in _FIXARRAYS and payload[1:3] == b"\xcc\xff"


_FIXARRAYS = frozenset(bytes([first]) for first in range(0x90, 0xA0))


def _encode(values: list[Plain], *, max_bytes: int) -> bytes:
    payload = msgpack.packb(values)
    assert isinstance(payload, bytes)
    if len(payload) > max_bytes:
        raise ValueError(f"a record of {len(payload)} bytes, the limit is {max_bytes}")
    return encode_record(payload)


def _decode(
    values: list[Plain],
    part: Part,
    read: Callable[[list[Plain]], T],
    *,
    path: str,
    offset: int,
    version: int,
    limits: Limits,
    known: int,
) -> T:
    if len(values) > known:
        check_depth(values, path=path, offset=offset, limits=limits)
    try:
        if version != FORMAT_VERSION:
            values = migrate(version, part, values, to=FORMAT_VERSION)
        return read(values)
    except ValueError as error:
        raise CassetteCorrupt(path, f"{part.value}: {error}", offset=offset) from error


def _layout(values: list[Plain]) -> Layout[Event] | None:
    kind = values[0]
    return _EVENTS.get(kind) if type(kind) is int else None


def _read_event(values: list[Plain]) -> Event:
    layout = _layout(values)
    if layout is None:
        raise ValueError(f"no kind {shown(values[0])}")
    return layout.read(values[1:])


def _check_epochs(header: Header) -> None:
    firsts = [epoch.first_stream for epoch in header.epochs]
    if firsts != sorted(set(firsts)):
        raise ValueError("epochs out of order")
