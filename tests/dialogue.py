"""Cassettes written as dialogues: ``chat(...)`` and ``ask(...)`` give the events of one stream, times in milliseconds."""

from __future__ import annotations

from collections.abc import Iterable

from gp_replay.core.canonical import fingerprint, request_key
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import (
    Close,
    End,
    Event,
    Header,
    Message,
    Opcode,
    Opened,
    Origin,
    Piece,
    Protocol,
    RequestHead,
    ResponseHead,
    Role,
    Side,
)
from gp_replay.core.rules import Rules

CLIENT, SERVER = Side.CLIENT, Side.SERVER


def header(*roles: str) -> Header:
    return Header(
        name="tape",
        recorded_at="2026-11-25T10:00:00Z",
        tool="gp-replay test",
        origin=Origin.SYNTHETIC,
        roles=tuple(Role(name=role, url=f"http://{role}.test") for role in roles or ("default",)),
        salt=b"0123456789abcdef",
        redaction=("built-in",),
    )


def cassette(*streams: Iterable[Event], roles: tuple[str, ...] = (), rules: Rules | None = None) -> MemoryCassette:
    rules = rules or Rules()
    events = sorted((event for stream in streams for event in stream), key=lambda event: event.at_us)
    names = roles or tuple(dict.fromkeys(event.role for event in events if isinstance(event, Opened)))
    return MemoryCassette(
        header(*names),
        events,
        key=lambda role, request: request_key(rules, role, request),
        fingerprint=fingerprint(rules),
    )


def ask(
    stream: int,
    method: str,
    target: str,
    body: str = "",
    *,
    answer: Iterable[tuple[int, str]] = ((10, "{}"),),
    status: int = 200,
    at: int = 0,
    role: str = "default",
    owner: str | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    answer_headers: tuple[tuple[bytes, bytes], ...] = ((b"Transfer-Encoding", b"chunked"),),
) -> list[Event]:
    """One exchange: the request whole at ``at``, then the answer's chunks at their offsets from there."""
    us = at * 1000
    events: list[Event] = [
        Opened(at_us=us, stream=stream, side=CLIENT, protocol=Protocol.HTTP, role=role, owner=owner),
        RequestHead(
            at_us=us,
            stream=stream,
            side=CLIENT,
            method=method.encode(),
            target=target.encode(),
            version=b"HTTP/1.1",
            headers=((b"Content-Type", b"application/json"), *headers),
        ),
    ]
    if body:
        events.append(Piece(at_us=us, stream=stream, side=CLIENT, data=body.encode()))
    events.append(End(at_us=us, stream=stream, side=CLIENT))
    last = us
    for number, (after, data) in enumerate(answer):
        last = us + after * 1000
        if number == 0:
            events.append(
                ResponseHead(
                    at_us=last,
                    stream=stream,
                    side=SERVER,
                    version=b"HTTP/1.1",
                    status=status,
                    reason=b"OK",
                    headers=answer_headers,
                )
            )
        events.append(Piece(at_us=last, stream=stream, side=SERVER, data=data.encode(), ends_chunk=True))
    events.append(End(at_us=last, stream=stream, side=SERVER))
    return events


def chat(
    stream: int,
    *lines: str,
    path: str = "/ws",
    role: str = "default",
    owner: str | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    close: tuple[Side, int] | None = (CLIENT, 1000),
    at: int = 0,
) -> list[Event]:
    """One connection. A line is ``TIME > text`` (the client says) or ``TIME < text`` (the server says), in ms."""
    us = at * 1000
    events: list[Event] = [
        Opened(at_us=us, stream=stream, side=CLIENT, protocol=Protocol.WEBSOCKET, role=role, owner=owner),
        RequestHead(
            at_us=us,
            stream=stream,
            side=CLIENT,
            method=b"GET",
            target=path.encode(),
            version=b"HTTP/1.1",
            headers=(
                (b"Upgrade", b"websocket"),
                (b"Connection", b"Upgrade"),
                (b"Sec-WebSocket-Version", b"13"),
                *headers,
            ),
        ),
        ResponseHead(
            at_us=us + 1000,
            stream=stream,
            side=SERVER,
            version=b"HTTP/1.1",
            status=101,
            reason=b"Switching Protocols",
            headers=((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), (b"Sec-WebSocket-Accept", b"x")),
        ),
    ]
    last = us + 1000
    for line in lines:
        time, arrow, text = line.split(" ", 2)
        last = us + int(float(time) * 1000)
        side = CLIENT if arrow == ">" else SERVER
        events.append(Message(at_us=last, stream=stream, side=side, opcode=Opcode.TEXT, data=text.encode()))
    if close is not None:
        events.append(Close(at_us=last + 1000, stream=stream, side=close[0], code=close[1]))
        events.append(Close(at_us=last + 2000, stream=stream, side=close[0].other, code=close[1]))
    return events
