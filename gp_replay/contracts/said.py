"""What was said on WebSocket connections, one thing after another, in cassettes, replays and live streams alike.

A connection says, in this order: OPENED, then ACCEPTED or REFUSED, then any number of MESSAGE, perhaps CLOSED for each
side, perhaps GONE.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from heapq import merge

import orjson

from gp_replay.core.model import (
    Cassette,
    Close,
    Event,
    Gone,
    Headers,
    How,
    Message,
    Opcode,
    Opened,
    Protocol,
    RequestHead,
    ResponseHead,
    Side,
    header_values,
)

__all__ = ["Ear", "Said", "What", "said_in"]


class What(Enum):
    """What kind of thing was said."""

    OPENED = "opened"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    MESSAGE = "message"
    CLOSED = "closed"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing that was said.

    Attributes:
        what: its kind; which of the fields below mean something follows from it.
        connection: number of the connection.
        index: how many messages of this connection came before; of a message, its index from 0.
        at_us: offset in microseconds, on the clock all connections share.
        side: who said it.
        owner: whose connection it is, or None.
        role: what was spoken to.
        message: the JSON object it is, or None.
        raw: the message's bytes.
        kind: ``object``, another JSON type, ``text`` (no JSON) or ``binary``.
        offered: subprotocols the client offered, of OPENED.
        selected: the subprotocol the server chose, of ACCEPTED, or None.
        status: HTTP status, of ACCEPTED and REFUSED.
        code: of CLOSED; None is a close frame without a code.
        reason: of CLOSED.
        how: of GONE.
    """

    what: What
    connection: int
    index: int
    at_us: int
    side: Side
    owner: str | None = None
    role: str = ""
    message: dict[str, object] | None = None
    raw: bytes = b""
    kind: str = ""
    offered: tuple[str, ...] = ()
    selected: str | None = None
    status: int = 0
    code: int | None = None
    reason: str = ""
    how: How | None = None

    @property
    def is_message(self) -> bool:
        """Whether it is a message."""
        return self.what is What.MESSAGE


@dataclass(slots=True)
class Ear:
    """Hears the wire events of one connection and says what each means.

    A live stream feeds it as events come; `said_in` does for cassettes.
    """

    owner: str | None = None
    role: str = ""
    messages: int = field(default=0, init=False)

    def hear(self, event: Event) -> Said | None:
        """What the event says, or None for one that says nothing of its own (pings, bodies, interim answers)."""
        match event:
            case Opened():
                self.owner, self.role = event.owner, event.role
                return None
            case Message():
                return self._message(event)
            case RequestHead():
                return self._said(event, What.OPENED, offered=_subprotocols(event.headers))
            case ResponseHead() if event.status == 101:
                chosen = next(iter(_subprotocols(event.headers)), None)
                return self._said(event, What.ACCEPTED, status=101, selected=chosen)
            case ResponseHead() if event.status >= 200:
                return self._said(event, What.REFUSED, status=event.status)
            case Close():
                return self._said(event, What.CLOSED, code=event.code, reason=event.reason.decode("utf-8", "replace"))
            case Gone():
                return self._said(event, What.GONE, how=event.how)
            case _:
                return None

    def _said(
        self,
        event: Event,
        what: What,
        *,
        offered: tuple[str, ...] = (),
        selected: str | None = None,
        status: int = 0,
        code: int | None = None,
        reason: str = "",
        how: How | None = None,
    ) -> Said:
        return Said(
            what=what,
            connection=event.stream,
            index=self.messages,
            at_us=event.at_us,
            side=event.side,
            owner=self.owner,
            role=self.role,
            offered=offered,
            selected=selected,
            status=status,
            code=code,
            reason=reason,
            how=how,
        )

    def _message(self, event: Message) -> Said:
        index, self.messages = self.messages, self.messages + 1
        value, kind = _parsed(event)
        return Said(
            what=What.MESSAGE,
            connection=event.stream,
            index=index,
            at_us=event.at_us,
            side=event.side,
            owner=self.owner,
            role=self.role,
            message=value,
            raw=event.data,
            kind=kind,
        )


def said_in(cassette: Cassette) -> Iterator[Said]:
    """All that was said on the WebSocket connections of a cassette, in the order it happened.

    Connections of a later epoch come after all of an earlier one: their clocks are not the same.

    Raises:
        CassetteCorrupt: the cassette's bytes are not what its index promises; raised while it is read.
    """
    starts = [epoch.first_stream for epoch in cassette.header.epochs]
    by_epoch: dict[int, list[int]] = {}
    for entry in cassette.footer.entries:
        if entry.protocol is Protocol.WEBSOCKET:
            by_epoch.setdefault(sum(start <= entry.stream for start in starts), []).append(entry.stream)
    for _, streams in sorted(by_epoch.items()):
        yield from merge(*(_said_on(cassette, stream) for stream in streams), key=_when)


def _when(said: Said) -> int:
    return said.at_us


def _said_on(cassette: Cassette, stream: int) -> Iterator[Said]:
    ear = Ear()
    for event in cassette.events(stream):
        said = ear.hear(event)
        if said is not None:
            yield said


def _subprotocols(headers: Headers) -> tuple[str, ...]:
    items = (item for value in header_values(headers, b"sec-websocket-protocol") for item in value.split(b","))
    return tuple(item.strip().decode("latin-1") for item in items if item.strip())


_KINDS = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def _parsed(event: Message) -> tuple[dict[str, object] | None, str]:
    if event.opcode is not Opcode.TEXT:
        return None, "binary"
    try:
        value: object = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return None, "text"
    if isinstance(value, dict):
        return value, "object"
    return None, _KINDS.get(type(value), "text")
