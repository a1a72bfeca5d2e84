"""Hypothesis strategies for valid streams and cassettes, shared by the tests."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

from hypothesis import strategies as st

from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import (
    Close,
    End,
    Epoch,
    Event,
    Fragment,
    Gone,
    Header,
    Headers,
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

__all__ = ["bodies", "cassettes", "exchanges", "connections", "headers", "names", "streams", "wire_headers"]

_AWKWARD_TEXT = (
    "yes",
    "1e3",
    "null",
    "2026-11-25",
    "0x10",
    "1_000",
    "~",
    "- a: b #c",
    " leading",
    "trailing ",
    "tab\tand\ttrailing\t\n",
    "a\n  b\n\n",
    "\n\n",
    "\r\n",
    "a\rb",
    "nel\x85ls\u2028ps\u2029",
    "\ufeffbom",
    "😀 emoji",
    "é",
    'data: {"a": [1, 2]}\n\n',
    "\x1b[31mred\x1b[0m",
    "\x00",
    "<<",
    "...",
    "--- x\n--- y",
    "%TAG",
)

names = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(_AWKWARD_TEXT)
"""Any text: names are free."""

bodies = (
    st.binary(max_size=60)
    | st.text(st.characters(codec="utf-8"), max_size=40).map(lambda text: text.encode("utf-8"))
    | st.text(st.sampled_from(" \t\n\rab:#-😀\x85\ufeff"), max_size=12).map(lambda text: text.encode("utf-8"))
    | st.sampled_from(_AWKWARD_TEXT).map(lambda text: text.encode("utf-8"))
)
"""Bytes of bodies, messages and reasons: binary, text, and text that formats like to bend."""

_TOKEN = st.text("abcdefgh-XYZ", min_size=1, max_size=12).map(lambda text: text.encode("ascii"))
_VALUE = st.binary(max_size=20) | st.sampled_from(_AWKWARD_TEXT).map(lambda text: text.encode("utf-8"))
wire_headers: st.SearchStrategy[Headers] = st.lists(st.tuples(_TOKEN, _VALUE), max_size=4).map(tuple)
"""Ordered header fields."""

_CODINGS = st.sampled_from(["", "gzip", "br"])
_GAPS = st.integers(0, 3) | st.integers(0, 2_000_000)


def _timed(draw: st.DrawFn, events: list[Event]) -> tuple[Event, ...]:
    times = accumulate(draw(_GAPS) for _ in events)
    return tuple(replace(event, at_us=at_us) for event, at_us in zip(events, times, strict=True))


def _body(draw: st.DrawFn, stream: int, side: Side) -> list[Event]:
    wire = {"at_us": 0, "stream": stream, "side": side}
    pieces = draw(st.lists(st.tuples(bodies, st.booleans()), max_size=4))
    events: list[Event] = [Piece(**wire, data=data, ends_chunk=ends) for data, ends in pieces]
    trailers = draw(st.just(()) | wire_headers)
    return [*events, End(**wire, trailers=trailers)]


@st.composite
def _heads(draw: st.DrawFn, stream: int, protocol: Protocol) -> list[Event]:
    wire = {"at_us": 0, "stream": stream, "side": Side.CLIENT}
    opened = Opened(**wire, protocol=protocol, role=draw(names), owner=draw(st.none() | names))
    request = RequestHead(
        **wire,
        method=draw(st.sampled_from([b"GET", b"POST"]) | _TOKEN),
        target=draw(st.sampled_from([b"/v1/chat/completions", b"/a?b=c"]) | bodies),
        version=b"HTTP/1.1",
        headers=draw(wire_headers),
        coding=draw(_CODINGS),
    )
    return [opened, request]


@st.composite
def _response(draw: st.DrawFn, stream: int, status: st.SearchStrategy[int]) -> ResponseHead:
    return ResponseHead(
        at_us=0,
        stream=stream,
        side=Side.SERVER,
        version=b"HTTP/1.1",
        status=draw(status),
        reason=draw(st.sampled_from([b"OK", b""]) | bodies),
        headers=draw(wire_headers),
        coding=draw(_CODINGS),
    )


@st.composite
def exchanges(draw: st.DrawFn, stream: int) -> tuple[Event, ...]:
    """All events of one exchange, sometimes broken off."""
    events: list[Event] = draw(_heads(stream, Protocol.HTTP))
    events += _body(draw, stream, Side.CLIENT)
    if draw(st.booleans()):
        events.append(draw(_response(stream, st.integers(102, 199))))
    events.append(draw(_response(stream, st.integers(200, 999))))
    events += _body(draw, stream, Side.SERVER)
    if draw(st.booleans()):
        events = events[: draw(st.integers(1, len(events)))]
        side = draw(st.sampled_from(Side))
        events.append(Gone(at_us=0, stream=stream, side=side, how=draw(st.sampled_from(How))))
    return _timed(draw, events)


@st.composite
def _messages(draw: st.DrawFn, stream: int, side: Side) -> Event:
    parts: list[bytes] = draw(st.lists(bodies, min_size=1, max_size=3))
    fragments = tuple(Fragment(length=len(part), at_us=n) for n, part in enumerate(parts)) if len(parts) > 1 else ()
    return Message(
        at_us=0,
        stream=stream,
        side=side,
        opcode=draw(st.sampled_from(Opcode)),
        data=b"".join(parts),
        fragments=fragments,
        deflated=draw(st.booleans()),
    )


@st.composite
def _frames(draw: st.DrawFn, stream: int) -> Event:
    side: Side = draw(st.sampled_from(Side))
    wire = {"at_us": 0, "stream": stream, "side": side}
    return draw(
        st.one_of(
            _messages(stream, side),
            _messages(stream, side),
            bodies.map(lambda data: Ping(**wire, data=data)),
            bodies.map(lambda data: Pong(**wire, data=data)),
            st.integers(0, 2**40).map(lambda size: Opaque(**wire, size=size)),
        )
    )


@st.composite
def connections(draw: st.DrawFn, stream: int) -> tuple[Event, ...]:
    """All events of one connection, sometimes refused, sometimes without a close."""
    events: list[Event] = draw(_heads(stream, Protocol.WEBSOCKET))
    if draw(st.integers(0, 4)) == 0:
        events.append(draw(_response(stream, st.integers(400, 599))))
        return _timed(draw, events + _body(draw, stream, Side.SERVER))
    events.append(draw(_response(stream, st.just(101))))
    events += draw(st.lists(_frames(stream), max_size=6))
    codes = st.none() | st.integers(1000, 4999)
    for side in draw(st.lists(st.sampled_from(Side), max_size=2, unique=True)):
        events.append(Close(at_us=0, stream=stream, side=side, code=draw(codes), reason=draw(bodies)))
    if draw(st.booleans()):
        events.append(Gone(at_us=0, stream=stream, side=Side.SERVER, how=draw(st.sampled_from(How))))
    return _timed(draw, events)


def streams(stream: int) -> st.SearchStrategy[tuple[Event, ...]]:
    """All events of one exchange or connection with this number."""
    return exchanges(stream) | connections(stream)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    """Any header of a cassette."""
    return Header(
        name=draw(names),
        recorded_at="2026-11-25T10:00:00Z",
        tool="gp-replay 0",
        origin=draw(st.sampled_from(Origin)),
        roles=tuple(draw(st.lists(st.builds(Role, name=names, url=names), max_size=2))),
        salt=draw(st.binary(min_size=16, max_size=16)),
        redaction=tuple(draw(st.lists(names, max_size=2))),
        environment=draw(names),
        revision=draw(st.integers(1, 99)),
        replaces=draw(st.just(b"") | st.binary(min_size=32, max_size=32)),
        labels=tuple(draw(st.lists(st.tuples(names, names), max_size=2))),
        commit=draw(st.just("") | names),
        epochs=tuple(
            Epoch(recorded_at="2026-11-26T10:00:00Z", first_stream=first)
            for first in sorted(draw(st.lists(st.integers(2, 5), max_size=2, unique=True)))
        ),
    )


@st.composite
def cassettes(draw: st.DrawFn, max_streams: int = 4) -> MemoryCassette:
    """A cassette of up to ``max_streams`` streams, their events interleaved in an order that keeps each stream's."""
    count = draw(st.integers(0, max_streams))
    waiting = [list(draw(streams(number))) for number in range(1, count + 1)]
    written: list[Event] = []
    while any(waiting):
        queue = draw(st.sampled_from([queue for queue in waiting if queue]))
        written.append(queue.pop(0))
    return MemoryCassette(draw(headers()), written)
