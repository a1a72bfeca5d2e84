"""Requests and replies within one connection, found by data: which protocol says where its messages carry a number.

A reply belongs to the request with its number, whenever that came; so it waits for that request only, and the number
is the live one. Protocols are entries of a table, not code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CORRELATIONS", "Correlated", "Correlation", "Pattern", "correlated", "with_number"]

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Messages that carry a number.

    Attributes:
        at: members that lead to it.
        having: top-level members that must be there, with the values they may have (none: any).
        lacking: top-level members that must not be there.
        numeric: the number is one; else it may be a string too.
    """

    at: Path
    having: Mapping[str, frozenset[str]]
    lacking: frozenset[str] = frozenset()
    numeric: bool = False

    def number(self, message: Mapping[str, object]) -> str | int | None:
        """The number in a message, None where the pattern does not fit."""
        for name, values in self.having.items():
            said = message.get(name, _ABSENT)
            if said is _ABSENT or (values and not (isinstance(said, str) and said in values)):
                return None
        if any(name in message for name in self.lacking):
            return None
        value: object = message
        for name in self.at:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str):
            return None if self.numeric or not value else value
        return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """One protocol: what its requests and replies look like. Replies are looked for first."""

    name: str
    request: Pattern
    reply: Pattern


_ANY: frozenset[str] = frozenset()
_ABSENT = object()

# Where two protocols could be meant, a message of the wrong one is numbered all the same: that costs nothing, since the
# number of a string's shape stays an id.
CORRELATIONS = (
    Correlation(
        name="json-rpc",
        request=Pattern(at=("id",), having={"jsonrpc": frozenset({"2.0"}), "method": _ANY}),
        reply=Pattern(at=("id",), having={"jsonrpc": frozenset({"2.0"})}, lacking=frozenset({"method"})),
    ),
    Correlation(
        name="graphql-transport-ws",
        request=Pattern(at=("id",), having={"type": frozenset({"subscribe", "start"}), "payload": _ANY}),
        reply=Pattern(at=("id",), having={"type": frozenset({"next", "data", "error"}), "payload": _ANY}),
    ),
    Correlation(
        name="graphql-transport-ws",
        request=Pattern(at=("id",), having={"type": frozenset({"stop"})}, lacking=frozenset({"event_id", "data"})),
        reply=Pattern(at=("id",), having={"type": frozenset({"complete"})}, lacking=frozenset({"event_id", "data"})),
    ),
    Correlation(
        name="jupyter",
        request=Pattern(at=("header", "msg_id"), having={"header": _ANY, "content": _ANY, "channel": _ANY}),
        reply=Pattern(at=("parent_header", "msg_id"), having={"header": _ANY, "content": _ANY, "channel": _ANY}),
    ),
    *(
        Correlation(
            name="cdp",
            request=Pattern(
                at=("id",), having={"method": _ANY}, lacking=frozenset({"jsonrpc", "type", "url"}), numeric=True
            ),
            reply=Pattern(
                at=("id",), having={answer: _ANY}, lacking=frozenset({"jsonrpc", "method", "type"}), numeric=True
            ),
        )
        for answer in ("result", "error")
    ),
)

_ACKNOWLEDGED = re.compile(r"(4[2-6](?:\d+-)?(?:/[^,]*,)?)(\d+)(?=\[)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlated:
    """What a message says of itself.

    Attributes:
        name: of the protocol.
        reply: it answers; else it asks.
        number: as text; of JSON strings with their quotes, so that 1 and "1" differ.
        at: members that lead to the number; empty where it stands before the JSON (socket.io).
    """

    name: str
    reply: bool
    number: str
    at: Path


def correlated(message: object) -> Correlated | None:
    """What a parsed JSON message says of itself, or a text that socket.io wrote; None for others."""
    if isinstance(message, str):
        found = _ACKNOWLEDGED.match(message)
        if found is None:
            return None
        reply = found[1][1] in "36"
        return Correlated(name="socket.io", reply=reply, number=found[2], at=())
    if not isinstance(message, dict):
        return None
    for correlation in CORRELATIONS:
        for pattern, reply in ((correlation.reply, True), (correlation.request, False)):
            number = pattern.number(message)
            if number is not None:
                text = f'"{number}"' if isinstance(number, str) else str(number)
                return Correlated(name=correlation.name, reply=reply, number=text, at=pattern.at)
    return None


_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|[{}\[\],:]|-?\d[\d.eE+-]*', re.DOTALL)


def with_number(raw: bytes, said: Correlated, number: str) -> bytes:
    """``raw`` with another number in its place, and every other byte as it was."""
    if number == said.number:
        return raw
    if not said.at:
        found = _ACKNOWLEDGED.match(raw[:200].decode("latin-1"))
        return raw[: found.start(2)] + number.encode() + raw[found.end(2) :] if found else raw
    span = _member(raw, said.at)
    return raw if span is None else raw[: span[0]] + number.encode() + raw[span[1] :]


def _member(raw: bytes, path: Path) -> tuple[int, int] | None:
    """Where the scalar under these members stands in a raw JSON object."""
    names: list[str] = []  # of the objects that are open, the last being read; "" in arrays
    key: str | None = None
    after_colon = False
    for token in _TOKEN.finditer(raw):
        byte = raw[token.start()]
        if byte in b"{[":
            if names and key is not None:
                names[-1] = key
            names.append("")
            key, after_colon = None, False
        elif byte in b"}]":
            if not names:
                return None
            names.pop()
            key, after_colon = None, False
        elif byte == 0x3A:
            after_colon = True
        elif byte == 0x2C:
            key, after_colon = None, False
        elif after_colon:
            if len(names) == len(path) and (*names[:-1], key) == path:
                return token.span()
        else:
            key = token[1].decode("utf-8", "replace") if token[1] is not None else None
    return None
