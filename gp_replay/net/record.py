"""The recording proxy: a splice with a tap.

One `_ClientSide` is a client connection; it has one `_UpstreamSide` for each role it asked for. Bytes are written to
the other side before anything looks at them. What looks at them (`gp_replay.core.recorder.Tap`) may fail; then the
recording of that connection ends and the relay goes on.

Held back is only what cannot be sent yet: an incomplete request head, bytes behind an upgrade request until the
answer says what they are, and whatever follows a request to another role or an upstream that is still being dialled.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from gp_replay.core.http1 import RequestLine, RequestReader
from gp_replay.core.identity import owner_of
from gp_replay.core.model import Event, Gone, How, Opened, RequestHead, ResponseHead, Side
from gp_replay.core.recorder import Tap
from gp_replay.core.redaction import Redactor, StreamRedactor
from gp_replay.core.routing import Upstream, origin_form, split_role, upstream_head
from gp_replay.errors import GpReplayError, UpstreamUnreachable, WireError
from gp_replay.net.clock import Clock
from gp_replay.net.sockets import Address, connect, listen, reset, url_of

__all__ = ["RecordingProxy", "Tape"]

_HELD_BYTES = 1_048_576
_LINGER_SECONDS = 5.0


@dataclass(slots=True)
class Tape:
    """Where a recording goes: redacted, then written.

    Attributes:
        write: takes the events to keep.
        redactor: of this recording.
        streams: opened so far.
        answered: final response heads so far.
        unreachable: messages of upstreams that could not be reached, without repetition.
        broken: connections whose tap failed; a bug, and said at the end.
    """

    write: Callable[[Event], None]
    redactor: Redactor
    streams: int = 0
    answered: int = 0
    unreachable: dict[str, None] = field(default_factory=dict)
    broken: int = 0
    _open: dict[int, StreamRedactor] = field(default_factory=dict)

    def number(self) -> int:
        """The next stream number."""
        self.streams += 1
        return self.streams

    def take(self, event: Event) -> None:
        """See `gp_replay.core.recorder.Sink`."""
        if isinstance(event, Opened):
            self._open[event.stream] = self.redactor.stream()
        if isinstance(event, ResponseHead) and event.status >= 101:
            self.answered += 1
        for kept in self._open[event.stream].feed(event):
            self.write(kept)

    def done(self, stream: int) -> None:
        """See `gp_replay.core.recorder.Sink`."""
        redactor = self._open.pop(stream, None)
        if redactor is not None:
            for kept in redactor.finish():
                self.write(kept)

    def finish(self, at_us: int) -> None:
        """The recording stops: streams still open are cut."""
        for stream in sorted(self._open):
            self.take(Gone(at_us=at_us, stream=stream, side=Side.SERVER, how=How.CUT))
            self.done(stream)


class RecordingProxy:
    """Relays clients to upstreams and records what passes.

    Args:
        upstreams: by role, in order.
        tape: gets the events.
        clock: of the recording.
        skip: path patterns (``*`` and ``?``) that are relayed and not recorded.
        keep_host: leave ``Host`` as clients send it.
        tls: context for https and wss; None makes the default one when needed.
    """

    def __init__(
        self,
        *,
        upstreams: Mapping[str, Upstream],
        tape: Tape,
        clock: Clock,
        skip: Sequence[str] = (),
        keep_host: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.upstreams = dict(upstreams)
        self.tape = tape
        self.clock = clock
        self.keep_host = keep_host
        self._skip = tuple(skip)
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._clients: set[_ClientSide] = set()

    async def start(self, address: Address = ("127.0.0.1", 0), *, role: str | None = None) -> str:
        """Listens on one more address, for all roles or for one.

        Returns:
            Its URL.

        Raises:
            ListenError: the address cannot be had.
        """
        server = await listen(lambda: _ClientSide(self, role), address)
        self._servers.append(server)
        return url_of(server)

    async def close(self) -> None:
        """Stops listening, breaks off what is open and finishes the tape."""
        for server in self._servers:
            server.close()
        for client in list(self._clients):
            client.stop()
        self.tape.finish(self.clock.stamp_us())
        await asyncio.sleep(0)

    def skips(self, target: bytes) -> bool:
        """Whether this target is not to be recorded."""
        path = target.partition(b"?")[0].decode("latin-1")
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self._skip)

    def tls_for(self, upstream: Upstream) -> ssl.SSLContext | None:
        """The TLS context for an upstream; None for plain ones."""
        if not upstream.tls:
            return None
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


class _ClientSide(asyncio.Protocol):
    def __init__(self, proxy: RecordingProxy, role: str | None) -> None:
        self._proxy = proxy
        self._role = role
        self._reader = RequestReader()
        self._links: dict[str, _UpstreamSide] = {}
        self._link: _UpstreamSide | None = None
        self._held = bytearray()
        self._waiting = False
        self._raw = False
        self._asked: tuple[RequestLine, bytes, str, int] | None = None
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.transport: asyncio.Transport

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._proxy._clients.add(self)

    def data_received(self, data: bytes) -> None:
        at_us = self._proxy.clock.stamp_us()
        if self._raw and self._link is not None:
            self._pass_raw(self._link, data, at_us)
        elif self._held or self._blocked:
            self._held += data
            if len(self._held) > _HELD_BYTES:
                self.transport.pause_reading()
        else:
            self._relay(data, at_us)

    def eof_received(self) -> bool:
        at_us = self._proxy.clock.stamp_us()
        self._ended = True
        for link in self._links.values():
            link.tapped(lambda tap: tap.client_gone(How.EOF, at_us=at_us))
            link.end()
        return bool(self._links) or self._waiting

    def connection_lost(self, exc: Exception | None) -> None:
        at_us = self._proxy.clock.stamp_us()
        self._proxy._clients.discard(self)
        for task in self._tasks:
            task.cancel()
        if self._asked is not None:
            self._record_unanswered(How.RESET if exc else How.EOF, side=Side.CLIENT, at_us=at_us)
        for link in self._links.values():
            link.client_lost(at_us)

    def pause_writing(self) -> None:
        for link in self._links.values():
            link.transport.pause_reading()

    def resume_writing(self) -> None:
        for link in self._links.values():
            link.transport.resume_reading()

    # Relaying

    @property
    def _blocked(self) -> bool:
        return self._waiting or (self._link is not None and self._link.switching)

    def _relay(self, data: bytes, at_us: int) -> None:
        while data:
            link = self._link
            if self._raw and link is not None:
                self._pass_raw(link, data, at_us)
                return
            if self._blocked:
                self._held += data
                return
            in_body = self._reader.within_body
            try:
                used, items = self._reader.feed(data)
            except WireError as error:
                if in_body and link is not None:
                    self.splice()
                    continue
                self._answer(error.status, str(error), "this port speaks HTTP/1.1 and WebSocket")
                return
            if in_body and link is not None:
                link.transport.write(data[:used])
                link.tapped(partial(Tap.request_items, items=items, at_us=at_us))
            elif items and isinstance(items[0], RequestLine):
                self._begin(items[0], at_us)
            data = data[used:]

    def _pass_raw(self, link: _UpstreamSide, data: bytes, at_us: int) -> None:
        link.transport.write(data)
        link.tapped(partial(Tap.client_bytes, data=data, at_us=at_us))

    def splice(self) -> None:
        """From here on nothing the client sends is looked at before it is passed on."""
        self._raw = True

    def _begin(self, line: RequestLine, at_us: int) -> None:
        target = origin_form(line.target)
        role, target = (self._role, target) if self._role else split_role(target, self._proxy.upstreams)
        if role is None and len(self._proxy.upstreams) == 1:
            role = next(iter(self._proxy.upstreams))
        if role is None:
            names = ", ".join(f"/{name}/…" for name in self._proxy.upstreams)
            self._answer(421, f"the path names no role, and there are several ({names})", "put the role first")
            return
        self._asked = (line, target, role, at_us)
        link = self._links.get(role)
        other = self._link is not None and link is not self._link and not self._link.idle
        if link is not None and not other:
            self._ask(link)
            return
        self._waiting = True
        if not other:
            self._dial(role)

    def _dial(self, role: str) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(self._proxy.upstreams[role]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, upstream: Upstream) -> None:
        link = _UpstreamSide(self, self._proxy)
        try:
            await connect(lambda: link, upstream, self._proxy.tls_for(upstream))
        except UpstreamUnreachable as error:
            self._proxy.tape.unreachable.setdefault(str(error))
            self._record_unanswered(How.UNREACHABLE, side=Side.SERVER, at_us=self._proxy.clock.stamp_us())
            self._answer(502, str(error), error.hint)
            return
        self._links[upstream.role] = link
        self._waiting = False
        self._ask(link)
        if self._ended:
            link.end()
        self.flush_held()

    def _ask(self, link: _UpstreamSide) -> None:
        assert self._asked is not None
        (line, target, role, at_us), self._asked = self._asked, None
        self._link = link
        proxy = self._proxy
        link.transport.write(
            upstream_head(line, target=target, upstream=proxy.upstreams[role], keep_host=proxy.keep_host)
        )
        link.tapped(
            lambda tap: tap.request(
                line, target=target, role=role, owner=_owner(line, target), at_us=at_us, skip=proxy.skips(target)
            )
        )
        if not self._reader.within_body:
            link.tapped(lambda tap: tap.request_complete(at_us=at_us))

    def flush_held(self) -> None:
        """What was held back may go now: the upstream is there, or an answer said what follows."""
        if self._waiting and self._asked is not None and self._link is not None and self._link.idle:
            role = self._asked[2]
            if role in self._links:
                self._waiting = False
                self._ask(self._links[role])
            elif not self._tasks:
                self._dial(role)
        if self._link is not None and self._link.upgraded and not self._raw:
            self.splice()
        if self._held and not self._blocked:
            held = bytes(self._held)
            self._held.clear()
            self._relay(held, self._proxy.clock.stamp_us())
            self.transport.resume_reading()

    def _record_unanswered(self, how: How, *, side: Side, at_us: int) -> None:
        """A request that reached no upstream is evidence too."""
        if self._asked is None:
            return
        (line, target, role, asked_us), self._asked = self._asked, None
        if self._proxy.skips(target):
            return
        tap = Tap(number=self._proxy.tape.number, sink=self._proxy.tape)
        tap.request(line, target=target, role=role, owner=_owner(line, target), at_us=asked_us)
        if side is Side.SERVER:
            tap.server_gone(how, at_us=at_us)
        else:
            tap.client_gone(How.RESET, at_us=at_us)

    def _answer(self, status: int, problem: str, hint: str) -> None:
        """An answer of our own, and the end of the connection. Never recorded."""
        reasons = {400: "Bad Request", 421: "Misdirected Request", 431: "Request Header Fields Too Large"}
        reason = {**reasons, 501: "Not Implemented", 502: "Bad Gateway", 505: "HTTP Version Not Supported"}.get(
            status, "Error"
        )
        body = json.dumps({"error": {"type": "gp_replay", "message": problem, "hint": hint}}).encode() + b"\n"
        head = (
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            "x-gp-replay: error\r\nConnection: close\r\n\r\n"
        )
        self._waiting = True
        self._held.clear()
        self.transport.write(head.encode("latin-1", "replace") + body)
        self.transport.close()

    def stop(self) -> None:
        """The proxy closes."""
        for link in self._links.values():
            link.silent = True
            link.transport.abort()
        self.transport.abort()


class _UpstreamSide(asyncio.Protocol):
    def __init__(self, client: _ClientSide, proxy: RecordingProxy) -> None:
        self._client = client
        self._proxy = proxy
        self._tap: Tap | None = Tap(number=proxy.tape.number, sink=proxy.tape)
        self._gone = False
        self.silent = False
        self.transport: asyncio.Transport

    @property
    def idle(self) -> bool:
        """Nothing is being asked or answered."""
        return self._tap is None or self._tap.idle

    @property
    def switching(self) -> bool:
        """An upgrade was asked for and not answered yet."""
        return self._tap is not None and self._tap.switching

    @property
    def upgraded(self) -> bool:
        """The connection is no longer HTTP."""
        return self._tap is not None and self._tap.upgraded

    def tapped(self, look: Callable[[Tap], None]) -> None:
        """Lets the tap look. Its failure ends the recording of this connection, never the relay."""
        if self._tap is None or self.silent:
            return
        try:
            look(self._tap)
        except Exception:
            self._tap = None
            self._client.splice()
            self._proxy.tape.broken += 1

    def end(self) -> None:
        """The client will say no more."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def client_lost(self, at_us: int) -> None:
        """The client's transport is gone."""
        if not self._gone:
            self.tapped(lambda tap: tap.client_gone(How.RESET, at_us=at_us))
            self.silent = True
            self.transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._client.transport.write(data)
        at_us = self._proxy.clock.stamp_us()
        self.tapped(lambda tap: tap.server_bytes(data, at_us=at_us))
        self._client.flush_held()

    def eof_received(self) -> bool:
        at_us = self._proxy.clock.stamp_us()
        self.tapped(lambda tap: tap.server_gone(How.EOF, at_us=at_us))
        self._gone = True
        self._pass_on_end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        at_us = self._proxy.clock.stamp_us()
        if self._gone:
            return
        self._gone = True
        if not self.silent:
            self.tapped(lambda tap: tap.server_gone(How.RESET if exc else How.EOF, at_us=at_us))
            if exc is not None and not self._client.transport.get_write_buffer_size():
                reset(self._client.transport)
            else:
                self._pass_on_end()

    def pause_writing(self) -> None:
        self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        self._client.transport.resume_reading()

    def _pass_on_end(self) -> None:
        client = self._client
        if client._link is not self and client._link is not None:
            client._links = {role: link for role, link in client._links.items() if link is not self}
            return
        transport = client.transport
        if transport.is_closing():
            return
        if transport.can_write_eof() and not client._ended:
            # Closing at once would reset a client that is still sending, and could cost it the answer.
            transport.write_eof()
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, transport.close)
        else:
            transport.close()


def _owner(line: RequestLine, target: bytes) -> str | None:
    try:
        return owner_of(
            RequestHead(
                at_us=0,
                stream=1,
                side=Side.CLIENT,
                method=line.method,
                target=target,
                version=line.version,
                headers=line.headers,
            )
        )
    except GpReplayError:
        return None
