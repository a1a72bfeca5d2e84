"""What no recording answers, relayed: one request of a replay's client, and all that follows from it.

The client's connection changes hands: its transport gets a `Passage` for a protocol, the recording proxy's client
side for one request (`gp_replay.net.relay`): the same splice, the same tap. Then it is the cassette's again::

    request no recording answers ──► dialled ──► answered whole ──► back, with what the client has sent since
                                                 101 ─────────────► a splice until either side leaves
                                     unreachable ─────────────────► 502, and the connection ends
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from gp_replay.core.acts import Tally
from gp_replay.core.canonical import path_of
from gp_replay.core.explain import Request
from gp_replay.core.http1 import render_head, wants_close
from gp_replay.core.matching import Refusal
from gp_replay.core.model import How, RequestHead, Side
from gp_replay.core.redaction import RedactionRules, Redactor
from gp_replay.core.routing import Upstream
from gp_replay.net.clock import Clock
from gp_replay.net.relay import ClientSide, Relay, UpstreamSide
from gp_replay.net.tape import Tape
from gp_replay.report.plain_text import printable

__all__ = ["Passage", "Passed", "Passing", "hosts_of"]

_LIVE_KINDS = frozenset({"no-match", "used-up", "unplayable"})
"""Refusals that say: nobody recorded this. Another owner's recording, or two that could answer, are no such thing."""


class Passed(Protocol):
    """A connection that can be lent out."""

    transport: asyncio.Transport

    def resume(self, held: bytes, *, full: bool, ended: bool, close: bool) -> None:
        """The connection is back.

        Args:
            held: what the client has sent meanwhile.
            full: the client does not read what was written.
            ended: the client will send no more.
            close: the answer was the last of this connection.
        """

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""


@dataclass(slots=True, kw_only=True)
class Passing:
    """Where requests go that no recording answers, and which went.

    Attributes:
        relay: its upstreams are those of the roles that may go live; its tape gets what they say.
        hosts: role to the authorities it is known by: they decide where the path names no role.
        log: gets a line for each request that went, or could not.
        passed: refusals that were answered live after all, by identity, with a label for each.
    """

    relay: Relay
    hosts: Mapping[str, frozenset[str]]
    log: Callable[[str], None]
    passed: dict[int, tuple[Refusal, str]] = field(default_factory=dict)

    @classmethod
    def unrecorded(
        cls, upstreams: Mapping[str, Upstream], *, hosts: Mapping[str, frozenset[str]], log: Callable[[str], None]
    ) -> Passing:
        """One that leaves no tape."""
        tape = Tape(write=lambda event: None, redactor=Redactor(RedactionRules.off(), salt=b""))
        return cls(relay=Relay(upstreams=upstreams, tape=tape, clock=Clock(), skip=("*",)), hosts=hosts, log=log)

    @property
    def unreachable(self) -> tuple[str, ...]:
        """What upstreams that could not be reached said, without repetition."""
        return tuple(self.relay.tape.unreachable)

    def takes(self, refusal: Refusal, request: Request) -> str | None:
        """The role to relay a refused request to, or None where it stays refused."""
        if refusal.kind not in _LIVE_KINDS:
            return None
        roles = [request.role] if request.role is not None else list(self.hosts)
        if len(roles) > 1:
            roles = [role for role in roles if self.hosts[role].intersection(request.hosts)]
        role = roles[0] if len(roles) == 1 else None
        if role in self.relay.upstreams:
            return role
        why = "no upstream is known for its role" if role else "its path names no role"
        self.log(printable(f"live: {_what(request.head)} stays here: {why}"))
        return None

    def went(self, refusal: Refusal, head: RequestHead, upstream: Upstream) -> None:
        """A request has its upstream."""
        self.passed[id(refusal)] = refusal, f"{_what(head)} -> {upstream.role} {upstream.url}"
        self.log(printable(f"live: {_what(head)} went to {upstream.url}"))

    def missed(self, head: RequestHead, upstream: Upstream) -> None:
        """A request has none."""
        self.log(printable(f"live: {_what(head)} could not go to {upstream.url}: not reachable"))

    def settle(self, tally: Tally) -> tuple[Tally, tuple[str, ...]]:
        """A tally without what was answered live, and the labels of that."""
        went = [self.passed[id(item)][1] for item in tally.missed if id(item) in self.passed]
        missed = tuple(item for item in tally.missed if id(item) not in self.passed)
        return replace(tally, missed=missed), tuple(went)

    def close(self) -> None:
        """Breaks off what is being relayed and finishes the tape."""
        for client in list(self.relay.clients):
            client.stop()
        self.relay.tape.finish(self.relay.clock.stamp_us())


class Passage(ClientSide):
    """One request of one client connection, relayed; `Passed.resume` is called when the connection is free again.

    Args:
        passing: knows the upstreams.
        live: whose transport it is.
        refusal: why no recording answers.
        head: of the request, with the target as the role sees it.
        role: one that `Passing.takes` gave.
    """

    def __init__(self, passing: Passing, live: Passed, refusal: Refusal, head: RequestHead, *, role: str) -> None:
        super().__init__(passing.relay, role)
        self._passing = passing
        self._live = live
        self._refusal = refusal
        self._head = head
        self._upstream = passing.relay.upstreams[role]
        self._full = False

    def begin(self, body: bytes, *, ended: bool) -> None:
        """Takes the connection over and relays; what the client has sent behind the request is `data_received`.

        Args:
            body: as it was on the wire.
            ended: the client will send no more.
        """
        head = self._head
        self.connection_made(self._live.transport)
        self.transport.set_protocol(self)
        self._ended = ended
        first_line = b" ".join((head.method, head.target, head.version))
        self.data_received(render_head(first_line, head.headers) + body)

    # asyncio.Protocol

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._live.connection_lost(exc)

    def pause_writing(self) -> None:
        self._full = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._full = False
        super().resume_writing()

    # gp_replay.net.relay

    @property
    def _blocked(self) -> bool:
        # What follows the one request is not for the upstream.
        whole = self._link is not None and not self._reader.within_body and not self._raw
        return whole or super()._blocked

    def _ask(self, link: UpstreamSide) -> None:
        self._passing.went(self._refusal, self._head, self._upstream)
        super()._ask(link)

    def _record_unanswered(self, how: How, *, side: Side, at_us: int) -> None:
        # Nobody answered, so there is nothing to replay: recorded, it would stand in the way of a later answer.
        self._asked = None
        if how is How.UNREACHABLE:
            self._passing.missed(self._head, self._upstream)

    def flush_held(self) -> None:
        """See `ClientSide.flush_held`; gives the connection back once the answer is whole."""
        super().flush_held()
        link = self._link
        if link is None or not link.answered or self._reader.within_body or self.transport.is_closing():
            return
        self._relay.clients.discard(self)
        link.silent = True
        link.transport.abort()
        self.transport.set_protocol(self._live)  # type: ignore[arg-type]
        close = link.closes or wants_close(self._head.version, self._head.headers)
        self._live.resume(bytes(self._held), full=self._full, ended=self._ended, close=close)


def hosts_of(*urls: str) -> frozenset[str]:
    """The authorities in URLs, as a ``Host`` header would say them; an authority alone is one too."""
    return frozenset(url.rpartition("://")[2].partition("/")[0].lower() for url in urls) - {""}


def _what(head: RequestHead) -> str:
    return f"{head.method.decode('latin-1')} {path_of(head.target)}"
