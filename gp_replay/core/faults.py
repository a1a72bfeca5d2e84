"""Faults by name: what can go wrong between a client and its server, and how a person asks for it.

::

    [ROLE:]NAME[=VALUE][#N]      welcome-late=3    llm:http=429#1    chat:cut=2

Without a role it is every role's, without ``#N`` every stream's. ``#N`` is the N-th live stream that the fault fits.
What a fault does to a conversation is in `gp_replay.core.faulting`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from gp_replay.core.model import Protocol
from gp_replay.errors import UsageError

__all__ = ["EDGES", "KINDS", "Fault", "Kind", "Value", "edge_faults", "parse_fault"]

_MAX_SECONDS = 86_400.0
_MAX_COUNT = 1_000_000
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Of RFC 9110 section 5.6.2."""
_FAULT = re.compile(r"(?:([A-Za-z0-9][A-Za-z0-9_.-]*):)?([A-Za-z0-9-]+)(?:=([^#]*))?(?:#([0-9]{1,7}))?")


class Value(Enum):
    """What stands behind the ``=``; the value is what people are shown."""

    NONE = ""
    SECONDS = "SECONDS"
    STATUS = "STATUS"
    COUNT = "N"
    WORD = "NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One named fault.

    Attributes:
        name: as people say it.
        about: what the client sees, in one line.
        protocols: of the streams it can befall.
        value: what kind of value it takes.
        default: that value when none is given; None: one must be given; "": it follows from the recording.
        spoils: the conversation does not come to its recorded end, and the recording stays free for the next client.
    """

    name: str
    about: str
    protocols: frozenset[Protocol]
    value: Value = Value.NONE
    default: str | None = ""
    spoils: bool = False

    @property
    def usage(self) -> str:
        """The name with what may stand behind it."""
        if self.value is Value.NONE:
            return self.name
        return f"{self.name}={self.value.value}" if self.default is None else f"{self.name}[={self.value.value}]"


_WS = frozenset({Protocol.WEBSOCKET})
_HTTP = frozenset({Protocol.HTTP})
_ANY = _WS | _HTTP

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="welcome-late",
            about="the welcome comes later than recorded, by 3 s",
            protocols=_WS,
            value=Value.SECONDS,
            default="3",
        ),
        Kind(
            name="welcome-held",
            about="the welcome is held until the client has spoken, 3 s at most; what it said early is noted",
            protocols=_WS,
            value=Value.SECONDS,
            default="3",
        ),
        Kind(name="events-before-welcome", about="the first event of the run comes before the welcome", protocols=_WS),
        Kind(name="double-welcome", about="the welcome comes twice", protocols=_WS),
        Kind(
            name="welcome-without",
            about="the welcome lacks a field, connection_id",
            protocols=_WS,
            value=Value.WORD,
            default="connection_id",
        ),
        Kind(
            name="connection-id-changes",
            about="after the welcome the server gives another connection_id",
            protocols=_WS,
        ),
        Kind(
            name="no-welcome-1011",
            about="101, then a close with 1011 63 ms later",
            protocols=_WS,
            value=Value.SECONDS,
            default="0.063",
            spoils=True,
        ),
        Kind(
            name="accept-error-1011",
            about="101, then an error that says to call accept first, then a close with 1011",
            protocols=_WS,
            spoils=True,
        ),
        Kind(
            name="close-1011-mid-run",
            about="a close with 1011 after N messages, or halfway through what follows the client's first",
            protocols=_WS,
            value=Value.COUNT,
            spoils=True,
        ),
        Kind(
            name="subprotocol-not-offered",
            about="101 with a subprotocol that the client did not offer",
            protocols=_WS,
            value=Value.WORD,
            spoils=True,
        ),
        Kind(name="token-echoed", about="101 with the client's token as its subprotocol", protocols=_WS),
        Kind(
            name="refused-upgrade",
            about="403 instead of 101",
            protocols=_WS,
            value=Value.STATUS,
            default="403",
            spoils=True,
        ),
        Kind(name="silence", about="after the welcome nothing more is said", protocols=_WS, spoils=True),
        Kind(
            name="http",
            about="an error of the API instead of the answer: 429, 500, 503, …",
            protocols=_HTTP,
            value=Value.STATUS,
            default=None,
            spoils=True,
        ),
        Kind(
            name="cut",
            about="the connection is reset after N chunks or messages",
            protocols=_ANY,
            value=Value.COUNT,
            default=None,
            spoils=True,
        ),
        Kind(
            name="stall",
            about="after N chunks or messages nothing more comes, and the connection stays open",
            protocols=_ANY,
            value=Value.COUNT,
            default=None,
            spoils=True,
        ),
        Kind(
            name="delay",
            about="the first byte comes later than recorded",
            protocols=_ANY,
            value=Value.SECONDS,
            default=None,
        ),
        Kind(
            name="age-cut",
            about="the connection is cut, without a close, so long after 101, whatever is being said",
            protocols=_WS,
            value=Value.SECONDS,
            default="30",
        ),
        Kind(
            name="authorization-stripped",
            about="a handshake whose only credential is an Authorization header gets 403",
            protocols=_WS,
            spoils=True,
        ),
    )
}
"""All faults, by name."""

EDGES: Mapping[str, tuple[str, ...]] = {
    # A serverless backend behind a load balancer with timeout_sec = 30: sockets end at that age with 1006, and
    # Authorization does not survive the upgrade.
    "cloud-run": ("age-cut=30", "authorization-stripped"),
}
"""What stands before a server in some place, as faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault as asked for.

    Attributes:
        kind: which.
        text: as given.
        role: whose streams it befalls; None: all.
        nth: which of those it fits; None: each.
        amount: microseconds, status or count; None: it has none, or the recording decides.
        word: a name, or "".
        edge: it belongs to a place, and need not happen.
    """

    kind: Kind
    text: str
    role: str | None = None
    nth: int | None = None
    amount: int | None = None
    word: str = ""
    edge: bool = False


def parse_fault(text: str, *, edge: bool = False) -> Fault:
    """Reads ``[ROLE:]NAME[=VALUE][#N]``.

    Args:
        text: as a person wrote it.
        edge: it belongs to a place.

    Raises:
        UsageError: no such fault, or a value it cannot have.
    """
    found = _FAULT.fullmatch(text)
    kind = KINDS.get(found[2]) if found else None
    if found is None or kind is None:
        raise UsageError(f"fault {text!r}", hint=_names())
    role, given, nth = found[1], found[3], found[4]
    if nth is not None and int(nth) < 1:
        raise UsageError(f"fault {text!r}: streams count from 1", hint="like llm:http=429#1")
    value = kind.default if given is None else given
    if value is None or given == "" or (given is not None and kind.value is Value.NONE):
        raise UsageError(f"fault {text!r}", hint=f"{kind.usage}: {kind.about}")
    amount = None if kind.value in (Value.NONE, Value.WORD) or not value else _amount(text, kind, value)
    if kind.value is Value.WORD and value and not _TOKEN.fullmatch(value):
        raise UsageError(f"fault {text!r}", hint=f"{kind.usage}: {kind.about}")
    return Fault(
        kind=kind,
        text=text,
        role=role,
        nth=None if nth is None else int(nth),
        amount=amount,
        word=value if kind.value is Value.WORD else "",
        edge=edge,
    )


def edge_faults(name: str) -> tuple[Fault, ...]:
    """What the edge of this name does.

    Raises:
        UsageError: none has it.
    """
    if name not in EDGES:
        raise UsageError(f"edge {name!r}", hint=f"known: {', '.join(EDGES)}")
    return tuple(parse_fault(text, edge=True) for text in EDGES[name])


def _amount(text: str, kind: Kind, value: str) -> int:
    try:
        number = float(value) if kind.value is Value.SECONDS else int(value)
    except ValueError:
        number = math.nan
    low, high = {Value.SECONDS: (0.0, _MAX_SECONDS), Value.STATUS: (400, 599)}.get(kind.value, (0, _MAX_COUNT))
    if not low <= number <= high:  # no number is neither
        what = {Value.SECONDS: "seconds", Value.STATUS: "a status"}.get(kind.value, "a number")
        raise UsageError(f"fault {text!r}", hint=f"{kind.usage}, {what} from {low:g} to {high:g}: {kind.about}")
    return round(number * 1_000_000) if kind.value is Value.SECONDS else int(number)


def _names() -> str:
    return f"[ROLE:]NAME[=VALUE][#N] with a name of: {', '.join(kind.usage for kind in KINDS.values())}"
