"""The tap of a splice: bytes that were relayed, in; events, out. It may fail; the relay never notices.

One `Tap` watches one upstream connection and the client connection it serves. What it does not understand it counts:
from the first byte that is not HTTP (or not a WebSocket frame) on, a side is *opaque*, and only sizes and times are
kept.

Rules::

    request ─► (answer) ─► request …            any number of exchanges; requests may be ahead of answers (pipelining)
    request with Upgrade ─► 101 ─► frames       both sides change to frames at once
    request with Upgrade ─► any other answer    a refused upgrade: a WEBSOCKET stream with a body
    a side that fails                           Opaque events, for ever
    either side gone with an exchange open      Gone, and the stream is over
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol as TypingProtocol

from gp_replay.core.coding import Decoder, coding_of
from gp_replay.core.frames import MAX_MESSAGE_BYTES, FrameReader, negotiated_deflate
from gp_replay.core.http1 import (
    Body,
    Complete,
    HeadLimits,
    Item,
    RequestLine,
    ResponseReader,
    StatusLine,
    is_websocket_upgrade,
    wants_close,
)
from gp_replay.core.model import (
    End,
    Event,
    Gone,
    Headers,
    How,
    Opaque,
    Opened,
    Piece,
    Protocol,
    RequestHead,
    ResponseHead,
    Side,
)
from gp_replay.errors import WireError

__all__ = ["Sink", "Tap"]


class Sink(TypingProtocol):
    """Where a tap's events go."""

    def take(self, event: Event) -> None:
        """The next event of its stream."""

    def done(self, stream: int) -> None:
        """No event of this stream will follow."""


_SKIPPED = 2**31
"""Stream number of exchanges that are followed and not recorded."""


@dataclass(slots=True)
class _Exchange:
    stream: int
    protocol: Protocol
    decoders: dict[Side, Decoder | None]
    ended: set[Side]


class Tap:
    """See the module.

    Args:
        number: gives the next free stream number of the recording.
        sink: gets the events.
        limits: of response heads.
        max_message_bytes: of one WebSocket message; beyond it the direction is opaque.
    """

    def __init__(
        self,
        *,
        number: Callable[[], int],
        sink: Sink,
        limits: HeadLimits | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._number = number
        self._sink = sink
        self._max_message_bytes = max_message_bytes
        self._responses = ResponseReader(limits)
        self._asking: _Exchange | None = None
        self._open: deque[_Exchange] = deque()
        self._frames: dict[Side, FrameReader] = {}
        self._opaque: set[Side] = set()
        self._left: How | None = None
        self.switching = False
        """An upgrade was asked for and the answer is not there: what the client sends now belongs to nobody yet."""
        self.closes = False
        """The last answer said that the connection ends with it."""

    @property
    def answered(self) -> bool:
        """Every request has its whole answer."""
        return Side.SERVER not in self._opaque and not self._open and not self._asking

    @property
    def idle(self) -> bool:
        """Every request has its whole answer, as far as can be told."""
        return self.answered or Side.SERVER in self._opaque

    @property
    def upgraded(self) -> bool:
        """The connection is no longer HTTP."""
        return bool(self._frames) or self._responses.upgraded

    def request(
        self, line: RequestLine, *, target: bytes, role: str, owner: str | None, at_us: int, skip: bool = False
    ) -> None:
        """A request head was relayed.

        Args:
            line: as the client sent it.
            target: what to record as its target (role prefix cut off).
            role: whom it went to.
            owner: whose it is, or None.
            at_us: when its last byte was read.
            skip: follow the exchange and record nothing of it.
        """
        protocol = Protocol.WEBSOCKET if is_websocket_upgrade(line.headers) else Protocol.HTTP
        stream = _SKIPPED if skip else self._number()
        coding = coding_of(line.headers)
        exchange = _Exchange(
            stream=stream,
            protocol=protocol,
            decoders={Side.CLIENT: None if coding is None else Decoder(coding)},
            ended=set(),
        )
        self._take(Opened(at_us=at_us, stream=stream, side=Side.CLIENT, protocol=protocol, role=role, owner=owner))
        self._take(
            RequestHead(
                at_us=at_us,
                stream=stream,
                side=Side.CLIENT,
                method=line.method,
                target=target,
                version=line.version,
                headers=line.headers,
                coding=coding or "",
            )
        )
        self._asking = exchange
        self._open.append(exchange)
        self._responses.expect(line.method)
        self.switching = self.switching or protocol is Protocol.WEBSOCKET

    def request_items(self, items: list[Item], *, at_us: int) -> None:
        """Body of the request that was announced last, as its reader cut it."""
        exchange = self._asking
        if exchange is None:
            return
        self._body(exchange, Side.CLIENT, items, at_us)
        if any(isinstance(item, Complete) for item in items):
            self._asking = None
            self._finish_if_over(exchange)
            if self._left is not None:  # the server had closed an idle connection, and the client had not noticed
                self.server_gone(self._left, at_us=at_us)

    def request_complete(self, *, at_us: int) -> None:
        """The request announced last has no body."""
        self.request_items([Complete()], at_us=at_us)

    def client_bytes(self, data: bytes, *, at_us: int) -> None:
        """Bytes of the client outside HTTP: frames, or what could not be read as a request."""
        reader = self._frames.get(Side.CLIENT)
        if reader is None or Side.CLIENT in self._opaque:
            self._count(Side.CLIENT, len(data), at_us)
        else:
            self._feed_frames(Side.CLIENT, data, at_us)

    def server_bytes(self, data: bytes, *, at_us: int) -> None:
        """Bytes of the server, as read."""
        while data:
            if Side.SERVER in self._opaque:
                return self._count(Side.SERVER, len(data), at_us)
            if self._frames:
                return self._feed_frames(Side.SERVER, data, at_us)
            if self._responses.upgraded:
                return self._count(Side.SERVER, len(data), at_us)
            try:
                used, items = self._responses.feed(data)
            except WireError:
                self._opaque.add(Side.SERVER)
                self.switching = False
                continue
            self._answer(items, at_us)
            data = data[used:]
        return None

    def client_gone(self, how: How, *, at_us: int) -> None:
        """The client ended its stream (EOF: it may still listen) or its transport broke."""
        for exchange in list(self._open):
            self._take(Gone(at_us=at_us, stream=exchange.stream, side=Side.CLIENT, how=how))
        if how is not How.EOF:
            self._all_over()

    def server_gone(self, how: How, *, at_us: int) -> None:
        """The upstream ended its stream or its transport broke: nothing will follow."""
        self._left = how
        for item in self._responses.close():
            self._answer([item], at_us)
        for exchange in list(self._open):
            self._take(Gone(at_us=at_us, stream=exchange.stream, side=Side.SERVER, how=how))
        self._all_over()

    def _take(self, event: Event) -> None:
        if event.stream != _SKIPPED:
            self._sink.take(event)

    def _done(self, stream: int) -> None:
        if stream != _SKIPPED:
            self._sink.done(stream)

    def _all_over(self) -> None:
        over = {exchange.stream for exchange in self._open} | ({self._asking.stream} if self._asking else set())
        self._open.clear()
        self._asking = None
        for stream in sorted(over):
            self._done(stream)

    def _answer(self, items: list[Item], at_us: int) -> None:
        for item in items:
            if not self._open:
                return
            exchange = self._open[0]
            if isinstance(item, StatusLine):
                self._status(exchange, item, at_us)
            else:
                self._body(exchange, Side.SERVER, [item], at_us)
                if isinstance(item, Complete):
                    self._open.popleft()
                    self._finish_if_over(exchange)

    def _status(self, exchange: _Exchange, line: StatusLine, at_us: int) -> None:
        coding = coding_of(line.headers)
        self._take(
            ResponseHead(
                at_us=at_us,
                stream=exchange.stream,
                side=Side.SERVER,
                version=line.version,
                status=line.status,
                reason=line.reason,
                headers=line.headers,
                coding=coding or "",
            )
        )
        if line.status == 101:
            self._switch(exchange, line.headers, at_us)
        elif line.status >= 200:
            self.closes = wants_close(line.version, line.headers)
            exchange.decoders[Side.SERVER] = None if coding is None else Decoder(coding)
            self.switching = self.switching and exchange.protocol is not Protocol.WEBSOCKET

    def _switch(self, exchange: _Exchange, headers: Headers, at_us: int) -> None:
        self.switching = False
        try:
            deflate = negotiated_deflate(headers)
            if exchange.protocol is not Protocol.WEBSOCKET:
                raise WireError("an upgrade to another protocol")
        except WireError:
            self._opaque.update(Side)
            return
        for side in Side:
            self._frames[side] = FrameReader(
                stream=exchange.stream, side=side, deflate=deflate, max_message_bytes=self._max_message_bytes
            )

    def _feed_frames(self, side: Side, data: bytes, at_us: int) -> None:
        try:
            events = self._frames[side].feed(data, at_us=at_us)
        except WireError:
            self._opaque.add(side)
            self._count(side, len(data), at_us)
            return
        for event in events:
            self._take(event)

    def _body(self, exchange: _Exchange, side: Side, items: list[Item], at_us: int) -> None:
        for item in items:
            match item:
                case Body():
                    self._take(self._piece(exchange, side, item, at_us))
                case Complete() if exchange.protocol is Protocol.WEBSOCKET and side is Side.CLIENT:
                    exchange.ended.add(side)  # a handshake has no body, and its End would say nothing
                case Complete():
                    exchange.ended.add(side)
                    self._take(End(at_us=at_us, stream=exchange.stream, side=side, trailers=item.trailers))
                case _:
                    pass

    def _piece(self, exchange: _Exchange, side: Side, body: Body, at_us: int) -> Event:
        decoder = exchange.decoders.get(side)
        if decoder is not None:
            try:
                data = decoder.feed(body.data)
                return Piece(at_us=at_us, stream=exchange.stream, side=side, data=data, ends_chunk=body.ends_chunk)
            except WireError:
                exchange.decoders[side] = None
        return Opaque(at_us=at_us, stream=exchange.stream, side=side, size=len(body.data))

    def _finish_if_over(self, exchange: _Exchange) -> None:
        if exchange.ended == set(Side):
            self._done(exchange.stream)

    def _count(self, side: Side, size: int, at_us: int) -> None:
        if self._open:
            self._take(Opaque(at_us=at_us, stream=self._open[-1].stream, side=side, size=size))
