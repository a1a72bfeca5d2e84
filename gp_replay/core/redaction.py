"""Redaction: what leaves the recorder's memory for the disk has pseudonyms where the wire had secrets.

By default on, before the first write, in this one place for HTTP and WebSocket alike. `Redactor` belongs to one
recording, `StreamRedactor` to one exchange or connection: its events in, the same events out, changed only in
secrets, each side in order, a tail withheld while it may be the beginning of a secret.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TypeVar

from gp_replay.core.deltas import MAX_UNIT, Deltas, EventStreamDeltas
from gp_replay.core.http1 import media_type
from gp_replay.core.identity import subprotocol_token
from gp_replay.core.model import (
    Close,
    End,
    Event,
    Headers,
    Message,
    Opcode,
    Piece,
    Ping,
    Pong,
    RequestHead,
    ResponseHead,
    Side,
)
from gp_replay.core.pseudonym import Pseudonyms, decode_segment, encode_segment
from gp_replay.core.rewriter import Edit, Rewriter, apply_edits
from gp_replay.core.secret_rules import (
    HEADER_NAMES,
    Span,
    ends_suspiciously,
    find_secrets,
    is_secret_value,
    secret_literals,
    unfinished_from,
)

__all__ = ["RedactionRules", "Redactor", "SecretClasses", "StreamRedactor", "secret_literals"]

_PARAMETER = re.compile(rb"([?&;#]|^)([^=&?;#\s]{1,128})=([^&;#\s]*)")
_URL_HEADERS = frozenset({b"referer", b"location", b"link", b"content-location", b"origin", b"refresh"})
_COOKIE_PAIR = re.compile(rb"([^=;\s]+)=(\"?)([^;\"]*)")
_JSON_START = re.compile(rb"\s*[\w:/,.-]{0,24}[\[{]")
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9-]*) +(?=\S)")

HeadT = TypeVar("HeadT", RequestHead, ResponseHead)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionRules:
    """What to redact besides the built-in names and shapes.

    Attributes:
        enabled: False writes everything as it was; the cassette's header says so.
        literals: values that are secrets wherever they stand.
        headers: more header fields whose values are secrets, lower case.
    """

    enabled: bool = True
    literals: tuple[bytes, ...] = ()
    headers: frozenset[bytes] = field(default_factory=frozenset)

    @classmethod
    def off(cls) -> RedactionRules:
        """No redaction at all."""
        return cls(enabled=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The rule sets applied, for the header of a cassette."""
        if not self.enabled:
            return ("off",)
        extra = (("environment",) if self.literals else ()) + (("headers",) if self.headers else ())
        return ("built-in", *extra)


class Redactor:
    """Redacts one recording: equal secrets get equal pseudonyms, in whatever stream and place.

    Args:
        rules: what to redact.
        salt: of the cassette's header.
    """

    def __init__(self, rules: RedactionRules, *, salt: bytes) -> None:
        self.rules = rules
        self._pseudonyms = Pseudonyms(salt)
        self._open_literals = _literal_beginnings(rules.literals)

    def stream(self) -> StreamRedactor:
        """For the events of one more stream."""
        return StreamRedactor(self)

    def find(self, text: bytes, *, start: int, final: bool) -> tuple[list[Edit], int]:
        """See `gp_replay.core.rewriter.Finder`."""
        literals = self.rules.literals
        undecided = len(text) if final else unfinished_from(text, literals, start=start)
        spans = find_secrets(text, literals, start=start)
        for span in spans:
            # What reaches the end may go on; what the undecided tail cuts is undecided as a whole.
            if not final and (span.end == len(text) or span.end > undecided):
                undecided = min(undecided, span.start)
        edits = [self._edit(text, span) for span in spans if span.end <= undecided]
        return edits, undecided

    def suspects(self, text: bytes) -> bool:
        """See `gp_replay.core.rewriter.Finder`."""
        if ends_suspiciously(text):
            return True
        return self._open_literals is not None and self._open_literals.search(text) is not None

    def text(self, text: bytes) -> bytes:
        """A whole text: a header value, a close reason, a message."""
        if not self.rules.enabled or not text:
            return text
        edits, _ = self.find(text, start=0, final=True)
        return apply_edits([text], edits)[0] if edits else text

    def value(self, value: bytes) -> bytes:
        """A value that is a secret as a whole."""
        if not value:
            return value
        return self._pseudonyms.jwt(value) if value.startswith(b"eyJ") else self._pseudonyms.credential(value)

    def head(self, head: HeadT) -> HeadT:
        """A request or response head: target, fields, subprotocols."""
        if not self.rules.enabled:
            return head
        if isinstance(head, RequestHead):
            return replace(head, target=self.parameters(head.target), headers=self.headers(head.headers))
        return replace(head, headers=self.headers(head.headers))

    def headers(self, headers: Headers) -> Headers:
        """Header fields or trailers."""
        return tuple((name, self._field(name.lower(), value)) for name, value in headers)

    def parameters(self, text: bytes, *, form: bool = False) -> bytes:
        """A request target, a URL, or (``form``) a form body: values of parameters whose names say secret."""

        def change(found: re.Match[bytes]) -> bytes:
            if not found[1] and not form:
                return found[0]
            secret = is_secret_value(found[2].decode("latin-1"), found[3])
            return found[1] + found[2] + b"=" + (self.value(found[3]) if secret else found[3])

        return self.text(_PARAMETER.sub(change, text))

    def _edit(self, text: bytes, span: Span) -> Edit:
        value = text[span.start : span.end]
        make = self._pseudonyms.jwt if span.kind == "jwt" else self._pseudonyms.credential
        return Edit(span.start, span.end, make(value))

    def _field(self, name: bytes, value: bytes) -> bytes:
        if name in (b"cookie", b"set-cookie"):
            return self._cookies(value, whole=name == b"cookie")
        if name == b"sec-websocket-protocol":
            items = (self._subprotocol(item) for item in re.split(rb"(\s*,\s*)", value))
            return b"".join(items)
        if name in HEADER_NAMES or name in self.rules.headers:
            scheme = _SCHEME.match(value)
            start = scheme.end() if scheme else 0
            return value[:start] + self.value(value[start:])
        return self.parameters(value) if name in _URL_HEADERS else self.text(value)

    def _cookies(self, value: bytes, *, whole: bool) -> bytes:
        def change(found: re.Match[bytes]) -> bytes:
            return found[1] + b"=" + found[2] + self.value(found[3])

        return _COOKIE_PAIR.sub(change, value, count=0 if whole else 1)

    def _subprotocol(self, item: bytes) -> bytes:
        found = subprotocol_token(item)
        if found is None:
            return self.text(item)
        prefix, token = found
        inner = decode_segment(token)
        if inner is not None and inner.startswith(b"eyJ") and inner.count(b".") == 2:
            return prefix + encode_segment(self._pseudonyms.jwt(inner), like=token)
        return prefix + self.value(token)


def _literal_beginnings(literals: tuple[bytes, ...]) -> re.Pattern[bytes] | None:
    """Matches a JSON string that ends in the beginning of a literal."""
    if not literals:
        return None
    starts = []
    for literal in literals:
        pattern = rb'[^"]*'
        for byte in reversed(literal[1:12]):
            pattern = rb"(?:" + re.escape(bytes([byte])) + pattern + rb")?"
        starts.append(re.escape(literal[:1]) + pattern)
    return re.compile(rb"(?:" + rb"|".join(starts) + rb')(?=")')


@dataclass(slots=True)
class _Side:
    """What one side of a stream has under way."""

    raw: Rewriter | None = None
    events: deque[Event] = field(default_factory=deque)
    deltas: Deltas | None = None
    event_stream: EventStreamDeltas | None = None
    waiting: deque[Event] = field(default_factory=deque)
    form: list[Piece] | None = None


class StreamRedactor:
    """Redacts the events of one stream, both sides. See `Redactor`."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._sides = {side: _Side() for side in Side}

    def feed(self, event: Event) -> list[Event]:
        """Takes the next event; returns those of its side that are decided now, in order."""
        if not self._redactor.rules.enabled:
            return [event]
        side = self._sides[event.side]
        match event:
            case RequestHead():
                self._begin_body(side, event)
                return [self._redactor.head(event)]
            case ResponseHead():
                self._begin_body(side, event)
                return [self._redactor.head(event)]
            case Piece():
                return self._piece(side, event)
            case Message():
                return self._message(side, event)
            case Ping() | Pong():
                return self._behind(side, replace(event, data=self._redactor.text(event.data)))
            case Close():
                return [*self._finish(side), replace(event, reason=self._redactor.text(event.reason))]
            case End():
                return [*self._finish(side), replace(event, trailers=self._redactor.headers(event.trailers))]
            case _:
                return [*self._finish(side), event]

    def finish(self) -> list[Event]:
        """Nothing will follow on either side: returns what was withheld."""
        return [event for side in self._sides.values() for event in self._finish(side)]

    def _begin_body(self, side: _Side, head: RequestHead | ResponseHead) -> None:
        media = media_type(head.headers)
        side.raw = Rewriter(self._redactor)
        side.event_stream = EventStreamDeltas(self._redactor) if media == b"text/event-stream" else None
        side.form = [] if media == b"application/x-www-form-urlencoded" else None

    def _piece(self, side: _Side, piece: Piece) -> list[Event]:
        if side.form is not None:
            # A form is small and its values end at the next "&": it is decided when it is whole.
            side.form.append(piece)
            return []
        if side.raw is None:
            side.raw = Rewriter(self._redactor)
        side.events.append(piece)
        return self._past_raw(side, side.raw.feed(piece.data))

    def _past_raw(self, side: _Side, pieces: list[bytes]) -> list[Event]:
        out: list[Event] = []
        for data in pieces:
            piece = side.events.popleft()
            assert isinstance(piece, Piece)
            piece = piece if data == piece.data else replace(piece, data=data)
            if side.event_stream is None:
                out.append(piece)
            else:
                side.waiting.append(piece)
                out += self._settled(side, side.event_stream.feed(data))
        return out

    def _settled(self, side: _Side, units: list[bytes]) -> list[Event]:
        out: list[Event] = []
        for data in units:
            event = side.waiting.popleft()
            if isinstance(event, Piece | Message) and data != event.data:
                event = replace(event, data=data)
            out.append(event)
        return out

    def _message(self, side: _Side, message: Message) -> list[Event]:
        data = self._redactor.text(message.data)
        if data != message.data:
            message = replace(message, data=data)
        if side.deltas is None:
            side.deltas = Deltas(self._redactor)
        start = 0
        if message.opcode is Opcode.TEXT and len(data) <= MAX_UNIT and (found := _JSON_START.match(data)):
            start = found.end() - 1
        else:
            start = len(data)
        side.waiting.append(message)
        return self._settled(side, side.deltas.feed(data, json_at=(start, len(data))))

    def _behind(self, side: _Side, event: Ping | Pong) -> list[Event]:
        """A control frame keeps its place behind the messages before it, and must not cut their deltas."""
        if side.deltas is None or not side.deltas.withholds:
            return [event]
        side.waiting.append(event)
        return self._settled(side, side.deltas.feed(b"", json_at=(0, 0)))

    def _finish(self, side: _Side) -> list[Event]:
        out: list[Event] = []
        if side.form:
            out += self._form(side.form)
            side.form = []
        if side.raw is not None:
            out += self._past_raw(side, side.raw.finish())
        if side.event_stream is not None:
            out += self._settled(side, side.event_stream.finish())
        if side.deltas is not None:
            out += self._settled(side, side.deltas.finish())
        return out

    def _form(self, pieces: list[Piece]) -> list[Event]:
        data = self._redactor.parameters(b"".join(piece.data for piece in pieces), form=True)
        out: list[Event] = []
        position = 0
        for piece in pieces:
            end = position + len(piece.data)
            out.append(replace(piece, data=data[position:end]))
            position = end
        return out


class SecretClasses:
    """Secrets by class and ordinal, for the canonical form: which are equal counts, their values do not."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def mask(self, text: str, name: str) -> str:
        """``text`` with every secret in it replaced; ``name`` is of the field it stands under."""
        raw = text.encode("utf-8", "surrogatepass")
        if name and is_secret_value(name, raw):
            return self._number(raw)
        spans = find_secrets(raw) if len(raw) >= 12 else []
        if not spans:
            return text
        out, position = [], 0
        for span in spans:
            out += [raw[position : span.start].decode("utf-8", "replace"), self._number(raw[span.start : span.end])]
            position = span.end
        return "".join([*out, raw[position:].decode("utf-8", "replace")])

    def _number(self, value: bytes) -> str:
        return f"<secret {self._numbers.setdefault(value, len(self._numbers) + 1)}>"
