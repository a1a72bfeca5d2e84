"""The splice of the recording proxy: one client connection, and an upstream connection for each role it asks for.

Bytes are written to the other side before anything looks at them. What looks at them (`gp_replay.core.recorder.Tap`)
may fail; then the recording of that connection ends and the relay goes on.

Held back is only what cannot be sent yet: an incomplete request head, bytes behind an upgrade request until the
answer says what they are, and whatever follows a request to another role or an upstream that is still being dialled.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from gp_replay.core.http1 import RequestLine, RequestReader
from gp_replay.core.identity import owner_of
from gp_replay.core.model import How, RequestHead, Side
from gp_replay.core.recorder import Tap
from gp_replay.core.render import problem_answer
from gp_replay.core.routing import Upstream, origin_form, split_role, upstream_head
from gp_replay.errors import UpstreamUnreachable, WireError
from gp_replay.net.clock import Clock
from gp_replay.net.sockets import connect, reset
from gp_replay.net.tape import Tape

__all__ = ["ClientSide", "Relay", "UpstreamSide"]

_HELD_BYTES = 1_048_576
_REQUESTS_A_TURN = 10
"""Of one client, before the others have theirs."""
_LINGER_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class Relay:
    """What all connections of one recording proxy share.

    Attributes:
        upstreams: by role, in order.
        tape: gets the events.
        clock: of the recording.
        skip: path patterns (``*`` and ``?``) that are relayed and not recorded.
        keep_host: leave ``Host`` as clients send it.
        tls: context for https and wss; made when first needed.
        clients: the open client connections.
    """

    upstreams: Mapping[str, Upstream]
    tape: Tape
    clock: Clock
    skip: tuple[str, ...] = ()
    keep_host: bool = False
    tls: ssl.SSLContext | None = None
    clients: set[ClientSide] = field(default_factory=set)

    def skips(self, target: bytes) -> bool:
        """Whether this target is not to be recorded."""
        path = target.partition(b"?")[0].decode("latin-1")
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self.skip)

    def tls_for(self, upstream: Upstream) -> ssl.SSLContext | None:
        """The TLS context for an upstream; None for plain ones."""
        if not upstream.tls:
            return None
        if self.tls is None:
            self.tls = ssl.create_default_context()
        return self.tls


class ClientSide(asyncio.Protocol):
    """One client connection. ``role`` is the listener's, or None where the path names it."""

    def __init__(self, relay: Relay, role: str | None) -> None:
        self._relay = relay
        self._role = role
        self._reader = RequestReader()
        self._links: dict[str, UpstreamSide] = {}
        self._link: UpstreamSide | None = None
        self._held = bytearray()
        self._waiting = False
        self._turning = False
        self._raw = False
        self._asked: tuple[RequestLine, bytes, str, int] | None = None
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.transport: asyncio.Transport

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._relay.clients.add(self)

    def data_received(self, data: bytes) -> None:
        at_us = self._relay.clock.stamp_us()
        if self._raw and self._link is not None:
            self._pass_raw(self._link, data, at_us)
        elif self._held or self._blocked:
            self._held += data
            if len(self._held) > _HELD_BYTES:
                self.transport.pause_reading()
        else:
            self._take(data, at_us)

    def eof_received(self) -> bool:
        self._ended = True
        self._pass_on_end()
        return bool(self._links) or self._waiting

    def connection_lost(self, exc: Exception | None) -> None:
        at_us = self._relay.clock.stamp_us()
        self._relay.clients.discard(self)
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
        return self._waiting or self._turning or (self._link is not None and self._link.switching)

    def _take(self, data: bytes, at_us: int) -> None:
        turn = _REQUESTS_A_TURN
        while data:
            link = self._link
            if self._raw and link is not None:
                self._pass_raw(link, data, at_us)
                return
            if not turn and not self._blocked:
                self._turning = True
                asyncio.get_running_loop().call_soon(self._next_turn)
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
                turn -= 1
            data = data[used:]

    def _next_turn(self) -> None:
        self._turning = False
        if not self.transport.is_closing():
            self.flush_held()

    def _pass_on_end(self) -> None:
        """The client will say no more, and all that it said was passed on: so is that."""
        if not self._ended or self._held or self._waiting:
            return
        at_us = self._relay.clock.stamp_us()
        for link in self._links.values():
            if not link.client_ended:
                link.client_ended = True
                link.tapped(lambda tap: tap.client_gone(How.EOF, at_us=at_us))
                link.end()

    def _pass_raw(self, link: UpstreamSide, data: bytes, at_us: int) -> None:
        link.transport.write(data)
        link.tapped(partial(Tap.client_bytes, data=data, at_us=at_us))

    def splice(self) -> None:
        """From here on nothing the client sends is looked at before it is passed on."""
        self._raw = True

    def _begin(self, line: RequestLine, at_us: int) -> None:
        target = origin_form(line.target)
        role, target = (self._role, target) if self._role else split_role(target, self._relay.upstreams)
        if role is None and len(self._relay.upstreams) == 1:
            role = next(iter(self._relay.upstreams))
        if role is None:
            names = ", ".join(f"/{name}/…" for name in self._relay.upstreams)
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
        task = asyncio.get_running_loop().create_task(self._connect(self._relay.upstreams[role]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, upstream: Upstream) -> None:
        link = UpstreamSide(self, self._relay)
        try:
            await connect(lambda: link, upstream, self._relay.tls_for(upstream))
        except UpstreamUnreachable as error:
            self._relay.tape.unreachable.setdefault(str(error))
            self._record_unanswered(How.UNREACHABLE, side=Side.SERVER, at_us=self._relay.clock.stamp_us())
            self._answer(502, str(error), error.hint)
            return
        self._links[upstream.role] = link
        self._waiting = False
        self._ask(link)
        self.flush_held()

    def _ask(self, link: UpstreamSide) -> None:
        assert self._asked is not None
        (line, target, role, at_us), self._asked = self._asked, None
        self._link = link
        relay = self._relay
        link.transport.write(
            upstream_head(line, target=target, upstream=relay.upstreams[role], keep_host=relay.keep_host)
        )
        link.tapped(
            lambda tap: tap.request(
                line, target=target, role=role, owner=_owner(line, target), at_us=at_us, skip=relay.skips(target)
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
            self._take(held, self._relay.clock.stamp_us())
            self.transport.resume_reading()
        self._pass_on_end()

    def _record_unanswered(self, how: How, *, side: Side, at_us: int) -> None:
        """A request that reached no upstream is evidence too."""
        if self._asked is None:
            return
        (line, target, role, asked_us), self._asked = self._asked, None
        if self._relay.skips(target):
            return
        tap = Tap(number=self._relay.tape.number, sink=self._relay.tape)
        tap.request(line, target=target, role=role, owner=_owner(line, target), at_us=asked_us)
        if side is Side.SERVER:
            tap.server_gone(how, at_us=at_us)
        else:
            tap.client_gone(How.RESET, at_us=at_us)

    def _answer(self, status: int, problem: str, hint: str) -> None:
        """An answer of our own, and the end of the connection. Never recorded."""
        body = json.dumps({"error": {"type": "gp_replay", "message": problem, "hint": hint}}).encode() + b"\n"
        self._waiting = True
        self._held.clear()
        self.transport.write(problem_answer(status, body, served_by="error", close=True, retry=True))
        self.transport.close()

    def stop(self) -> None:
        """The proxy closes."""
        for link in self._links.values():
            link.silent = True
            link.transport.abort()
        self.transport.abort()


class UpstreamSide(asyncio.Protocol):
    """One upstream connection of one client connection."""

    def __init__(self, client: ClientSide, relay: Relay) -> None:
        self._client = client
        self._relay = relay
        self._tap: Tap | None = Tap(number=relay.tape.number, sink=relay.tape)
        self._gone = False
        self.silent = False
        self.client_ended = False
        self.transport: asyncio.Transport

    @property
    def idle(self) -> bool:
        """Nothing is being asked or answered."""
        return self._tap is None or self._tap.idle

    @property
    def answered(self) -> bool:
        """The last request has its whole answer, and the connection is HTTP still."""
        return self._tap is not None and self._tap.answered

    @property
    def closes(self) -> bool:
        """The last answer said that the connection ends with it."""
        return self._tap is not None and self._tap.closes

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
            self._relay.tape.broken += 1

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
        at_us = self._relay.clock.stamp_us()
        self.tapped(lambda tap: tap.server_bytes(data, at_us=at_us))
        self._client.flush_held()

    def eof_received(self) -> bool:
        at_us = self._relay.clock.stamp_us()
        self.tapped(lambda tap: tap.server_gone(How.EOF, at_us=at_us))
        self._gone = True
        self._pass_on_end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        at_us = self._relay.clock.stamp_us()
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
    method, version, headers = line.method, line.version, line.headers
    head = RequestHead(
        at_us=0, stream=1, side=Side.CLIENT, method=method, target=target, version=version, headers=headers
    )
    return owner_of(head)
