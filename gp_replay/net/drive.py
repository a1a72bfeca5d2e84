"""Our clients: streams that a play opens to live services, one connection each.

What is sent and what is heard passes a tap on its way, so the take is recorded as any recording is. The player hears
the same events; it never knows that they came over a network.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from secrets import token_bytes

from gp_replay.core.acts import Action, Open, Over, Refuse, Send
from gp_replay.core.credentials import Credentials, with_credential
from gp_replay.core.frames import FrameWriter, deflate_only, negotiated_deflate
from gp_replay.core.http1 import Body, Complete, RequestLine, render_head
from gp_replay.core.model import (
    Close,
    End,
    Event,
    Gone,
    Headers,
    How,
    Message,
    Piece,
    Ping,
    Protocol,
    RequestHead,
    ResponseHead,
    Side,
    header_value,
)
from gp_replay.core.recorder import Tap
from gp_replay.core.routing import Upstream
from gp_replay.core.script import StreamScript
from gp_replay.errors import UpstreamUnreachable
from gp_replay.net.clock import Clock
from gp_replay.net.sockets import connect, reset
from gp_replay.net.stage import Stage
from gp_replay.net.tape import Tape

__all__ = ["DrivenStream", "Driver"]

_FAREWELL_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class Driver:
    """What all driven streams of one play share.

    Attributes:
        stage: of the play.
        upstreams: live services by role.
        credentials: to replace recorded pseudonyms with.
        tape: gets the take.
        clock: of the take.
        unproven: roles and owners whose recorded pseudonym was sent for want of a credential.
        idle: set when nothing is open and nothing will be opened.
    """

    stage: Stage
    upstreams: Mapping[str, Upstream]
    credentials: Credentials
    tape: Tape
    clock: Clock
    unproven: dict[tuple[str, str | None], None] = field(default_factory=dict)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    streams: set[DrivenStream] = field(default_factory=set)

    def open(self, action: Open) -> DrivenStream:
        """Begins to dial for a stream; what is to be said waits until somebody hears."""
        stream = DrivenStream(self, action.live, action.script)
        self.streams.add(stream)
        stream.dial()
        return stream

    def look(self) -> None:
        """Sets ``idle`` when all is done."""
        if not self.streams and not self.stage.player.driving:
            self.idle.set()


class DrivenStream(asyncio.Protocol):
    """One exchange or connection with a live service."""

    def __init__(self, driver: Driver, live: int, script: StreamScript) -> None:
        self._driver = driver
        self._live = live
        self._script = script
        self._role = script.entry.role
        self._tap = Tap(number=driver.tape.number, sink=self)
        self._out: list[tuple[bytes, Callable[[int], None]]] = []
        self._heard: list[Event] = []
        self._hearing = False
        self._writer = FrameWriter(side=Side.CLIENT)
        self._chunked = False
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._closing = False

    # Dialling

    def dial(self) -> None:
        """Connects, or leaves when nobody is there."""
        self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        upstream = self._driver.upstreams[self._role]
        try:
            await connect(lambda: self, upstream, _tls(upstream))
        except UpstreamUnreachable as error:
            self._driver.tape.unreachable.setdefault(str(error))
            self._leave()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.flush()

    # Hearing

    def take(self, event: Event) -> None:
        """See `gp_replay.core.recorder.Sink`: to the take, and, if the service said it, to the player."""
        self._driver.tape.take(event)
        if event.side is Side.SERVER and not isinstance(event, Gone):
            self._heard.append(event)

    def done(self, stream: int) -> None:
        """See `gp_replay.core.recorder.Sink`."""
        self._driver.tape.done(stream)

    def data_received(self, data: bytes) -> None:
        self._tap.server_bytes(data, at_us=self._driver.clock.stamp_us())
        self._pass_on()

    def eof_received(self) -> bool:
        self._tap.server_gone(How.EOF, at_us=self._driver.clock.stamp_us())
        self._pass_on()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._tap.server_gone(How.RESET if exc else How.EOF, at_us=self._driver.clock.stamp_us())
        self._pass_on()
        self._leave()

    def _pass_on(self) -> None:
        """The player hears; what it then says may be heard at once, so this is a loop and no recursion."""
        if self._hearing:
            return
        self._hearing = True
        stage = self._driver.stage
        while self._heard:
            event = self._heard.pop(0)
            match event:
                case ResponseHead(status=101):
                    self._writer = FrameWriter(side=Side.CLIENT, deflate=negotiated_deflate(event.headers))
                case Ping(data=data):
                    self._frame(self._writer.pong(data))
                    self.flush()
                case _:
                    pass
            interim = isinstance(event, ResponseHead) and event.status != 101 and event.status < 200
            if isinstance(event, Message | Close | ResponseHead | Piece | End) and not interim:
                stage.act(stage.player.receive(stage.clock.now_us(), self._live, event))
            self._end_of_exchange(event)
        self._hearing = False

    def _end_of_exchange(self, event: Event) -> None:
        if isinstance(event, End) or (isinstance(event, Close) and self._closing):
            self._hang_up()

    # Saying

    def carry_out(self, action: Action) -> None:
        """See `gp_replay.net.stage.Actor`."""
        match action:
            case Send(event=event):
                self._send(event)
            case Refuse(refusal=refusal):
                self._driver.stage.say(refusal)
                self._hang_up()
            case Over():
                self._closing = True
                if self._script.entry.protocol is Protocol.WEBSOCKET:
                    asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, self._hang_up)
            case _:
                pass

    def _send(self, event: Event) -> None:
        match event:
            case RequestHead():
                self._request(event)
            case Piece(data=data, ends_chunk=ends_chunk) if data:
                raw = b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data
                body = Body(data=data, ends_chunk=ends_chunk or self._chunked)
                self._write(raw, lambda at_us: self._tap.request_items([body], at_us=at_us))
            case End() if self._script.entry.protocol is Protocol.HTTP:
                raw = b"0\r\n\r\n" if self._chunked else b""
                self._write(raw, lambda at_us: self._tap.request_items([Complete()], at_us=at_us))
            case Message():
                for data in self._writer.message(event):
                    self._frame(data)
            case Ping(data=data):
                self._frame(self._writer.ping(data))
            case Close(code=code, reason=reason):
                self._frame(self._writer.close(code, reason))
            case Gone(how=how):
                self.flush()
                if how is How.RESET and self._transport is not None:
                    reset(self._transport)
                else:
                    self._hang_up()
            case _:
                pass

    def _write(self, data: bytes, tapped: Callable[[int], None]) -> None:
        self._out.append((data, tapped))

    def _frame(self, data: bytes) -> None:
        self._write(data, lambda at_us: self._tap.client_bytes(data, at_us=at_us))

    def _request(self, head: RequestHead) -> None:
        driver, owner = self._driver, self._script.entry.owner
        token = driver.credentials.of(self._role, owner)
        if token is not None:
            head = with_credential(head, token)
        elif header_value(head.headers, b"authorization") is not None or owner is not None:
            driver.unproven.setdefault((self._role, owner))
        upstream = driver.upstreams[self._role]
        headers = _headers(head.headers, upstream.authority.encode("latin-1", "replace"))
        self._chunked = b"chunked" in (header_value(headers, b"transfer-encoding") or b"").lower()
        size = sum(len(step.event.data) for step in self._script.steps if isinstance(step.event, Piece))
        if size and not self._chunked and header_value(headers, b"content-length") is None:
            headers = (*headers, (b"Content-Length", b"%d" % size))  # a body that was ended by its coding
        line = RequestLine(method=head.method, target=head.target, version=b"HTTP/1.1", headers=headers)
        path = upstream.base_path.encode("latin-1", "replace") + head.target
        raw = render_head(b" ".join((line.method, path, line.version)), line.headers)
        websocket = self._script.entry.protocol is Protocol.WEBSOCKET

        def tapped(at_us: int) -> None:
            self._tap.request(line, target=head.target, role=self._role, owner=owner, at_us=at_us)
            if websocket:
                self._tap.request_complete(at_us=at_us)

        self._write(raw, tapped)

    def flush(self) -> None:
        """Sends what was said, once somebody is there."""
        if self._transport is None or not self._out:
            return
        out, self._out = self._out, []
        self._transport.write(b"".join(data for data, _ in out))
        at_us = self._driver.clock.stamp_us()
        for _, tapped in out:
            tapped(at_us)
        self._pass_on()

    def drop(self) -> None:
        """Breaks the connection off."""
        self._hang_up()

    def _hang_up(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
        elif self._transport is None:
            self._leave()

    def _leave(self) -> None:
        driver = self._driver
        if self not in driver.streams:
            return
        driver.streams.discard(self)
        driver.stage.detach(self._live)
        driver.stage.act([])
        driver.look()


def _headers(headers: Headers, authority: bytes) -> Headers:
    out: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        match name.lower():
            case b"host":
                value = authority
            case b"content-encoding":
                continue  # bodies are kept decoded
            case b"sec-websocket-key":
                value = b64encode(token_bytes(16))
            case b"sec-websocket-extensions":
                value = deflate_only(value)
                if not value:
                    continue
            case _:
                pass
        out.append((name, value))
    return tuple(out)


def _tls(upstream: Upstream) -> ssl.SSLContext | None:
    return ssl.create_default_context() if upstream.tls else None
