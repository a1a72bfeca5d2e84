"""Redaction: what leaves the recorder's memory for the disk has pseudonyms where the wire had secrets.

On by default, before the first write, for HTTP and WebSocket alike. `StreamRedactor` takes the events of one stream and
returns as many, changed only in secrets, each side in order, a tail withheld while it may begin a secret.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TypeVar

from gp_replay.core.deltas import MAX_UNIT, Deltas, EventStreamDeltas
from gp_replay.core.http1 import media_type
from gp_replay.core.identity import subprotocol_token
from gp_replay.core.json_strings import cut_escape, unescaped
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
    BARE_NAMES,
    NAMES,
    cookie_value,
    is_credential,
    is_secret_header,
    is_secret_value,
    normal_name,
    secret_literals,
)
from gp_replay.core.secret_scan import SecretScanner
from gp_replay.errors import UsageError

__all__ = ["RedactionRules", "Redactor", "SecretClasses", "StreamRedactor", "secret_literals"]

_PARAMETER = re.compile(rb"([?&;#]|^)([^=&?;#\s]{1,128})=([^&;#\s]*)")
_URL_HEADERS = frozenset({b"referer", b"location", b"link", b"content-location", b"origin", b"refresh"})
_USER_INFO = re.compile(rb"(?<=//)[^/?#\s:@]{0,128}:([^/?#\s@]{1,256})@")
_JSON_START = re.compile(rb"\s*[\w:/,.-]{0,24}[\[{]")
_LINE_MEDIA = frozenset({b"application/x-ndjson", b"application/ndjson", b"application/jsonl", b"application/json-seq"})
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9-]*) +(?=\S)")

HeadT = TypeVar("HeadT", RequestHead, ResponseHead)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionRules:
    """What to redact besides the built-in names and shapes.

    Attributes:
        enabled: False writes everything as it was; the cassette's header says so.
        literals: values that are secrets wherever they stand.
        headers: more header fields whose values are secrets, lower case.
        fields: more names of JSON fields, query parameters and form fields whose values are secrets.
        patterns: more shapes of secrets, regular expressions over ASCII text; what they match within one word (no
            white space, quotes, ``<`` or ``>``, at most 256 bytes) is found whatever cuts it.
    """

    enabled: bool = True
    literals: tuple[bytes, ...] = ()
    headers: frozenset[bytes] = field(default_factory=frozenset)
    fields: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            try:
                re.compile(pattern.encode())
            except re.error as error:
                raise UsageError(f"redaction pattern {pattern!r}: {error}") from error
        for name in self.fields:
            if not re.fullmatch(r"(?=.*[A-Za-z0-9])[A-Za-z0-9_-]{2,40}", name):
                raise UsageError(f"redaction field {name!r}", hint="2 to 40 of A-Z a-z 0-9 _ -")

    @classmethod
    def off(cls) -> RedactionRules:
        """No redaction at all."""
        return cls(enabled=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The rule sets applied, for the header of a cassette."""
        if not self.enabled:
            return ("off",)
        own = {
            "environment": self.literals,
            "headers": self.headers,
            "fields": self.fields,
            "patterns": self.patterns,
        }
        return ("built-in", *(name for name, given in own.items() if given))


class Redactor:
    """Redacts one recording: equal secrets get equal pseudonyms, in whatever stream and place.

    Args:
        rules: what to redact.
        salt: of the cassette's header.
    """

    def __init__(self, rules: RedactionRules, *, salt: bytes) -> None:
        self.rules = rules
        self._pseudonyms = Pseudonyms(salt)
        self._fields = frozenset(map(normal_name, rules.fields))
        self._scanner = SecretScanner(
            literals=rules.literals,
            fields=rules.fields,
            patterns=[re.compile(pattern.encode()) for pattern in rules.patterns],
        )

    def stream(self) -> StreamRedactor:
        """For the events of one more stream."""
        return StreamRedactor(self)

    def find(self, text: bytes, *, start: int, final: bool) -> tuple[list[Edit], int]:
        """See `gp_replay.core.rewriter.Finder`."""
        size = len(text)
        cut = size if final else cut_escape(text)
        raw = text if cut == size else text[:cut]
        plain = unescaped(raw, start=start)
        spans, undecided = self._scanner.scan(raw if plain is None else plain.text, start=start, final=final)
        if plain is None:
            edits = [Edit(span.start, span.end, self._made(raw[span.start : span.end], span.kind)) for span in spans]
            return edits, undecided if undecided < cut else max(cut, start)
        edits = []
        for span in spans:
            data = plain.raw_data(span.start, self._made(plain.text[span.start : span.end], span.kind))
            edits.append(Edit(plain.raw_offset(span.start), plain.raw_offset(span.end), data))
        return edits, plain.raw_offset(undecided)

    def suspects(self, text: bytes) -> bool:
        """See `gp_replay.core.rewriter.Finder`."""
        return self._scanner.suspects(text)

    def rest(self, text: bytes, *, start: int) -> Edit | None:
        """See `gp_replay.core.rewriter.Finder`."""
        end = self._scanner.ends_inside(text, start=start)
        return Edit(start, end, self._pseudonyms.credential(text[start:end])) if end > start else None

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

    def parameters(self, text: bytes) -> bytes:
        """A request target or a URL: values of parameters whose names say secret, and what `text` finds."""
        edits = self.parameter_edits(text, start=0, form=False)
        return self.text(apply_edits([text], edits)[0] if edits else text)

    def parameter_edits(self, text: bytes, *, start: int, form: bool) -> list[Edit]:
        """Edits of parameters; in a form the first one has nothing in front of it."""
        edits: list[Edit] = []
        for found in _PARAMETER.finditer(text, start):
            name = found[2].decode("latin-1")
            secret = is_secret_value(name, found[3]) or normal_name(name) in self._fields
            if secret and found[3] and (found[1] or form):
                edits.append(Edit(*found.span(3), self.value(found[3])))
        return edits

    def _made(self, value: bytes, kind: str) -> bytes:
        return self._pseudonyms.jwt(value) if kind == "jwt" else self._pseudonyms.credential(value)

    def _field(self, name: bytes, value: bytes) -> bytes:
        if name in (b"cookie", b"set-cookie"):
            return self._cookies(value, whole=name == b"cookie")
        if name == b"sec-websocket-protocol":
            items = (self._subprotocol(item) for item in re.split(rb"(\s*,\s*)", value))
            return b"".join(items)
        if name in self.rules.headers or is_secret_header(name, value):
            scheme = _SCHEME.match(value)
            start = scheme.end() if scheme else 0
            return value[:start] + self.value(value[start:])
        if name not in _URL_HEADERS:
            return self.text(value)
        edits = [Edit(*found.span(1), self.value(found[1])) for found in _USER_INFO.finditer(value)]
        return self.parameters(apply_edits([value], edits)[0])

    def _cookies(self, value: bytes, *, whole: bool) -> bytes:
        cookies = value.split(b";")
        for index, cookie in enumerate(cookies if whole else cookies[:1]):
            start, end = cookie_value(cookie)
            cookies[index] = cookie[:start] + self.value(cookie[start:end]) + cookie[end:]
        return b";".join(cookies)

    def _subprotocol(self, item: bytes) -> bytes:
        found = subprotocol_token(item)
        if found is None:
            return self.value(item) if is_credential(item) else self.text(item)
        prefix, token = found
        inner = decode_segment(token)
        if inner is not None and inner.startswith(b"eyJ") and inner.count(b".") == 2:
            return prefix + encode_segment(self._pseudonyms.jwt(inner), like=token)
        return prefix + self.value(token)


class _FormFinder:
    """Finds secrets in a form: a value ends at the next ``&``."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def find(self, text: bytes, *, start: int, final: bool) -> tuple[list[Edit], int]:
        undecided = len(text) if final else max(start, text.rfind(b"&", start))
        whole = text[:undecided]
        edits = self._redactor.parameter_edits(whole, start=start, form=True)
        others, _ = self._redactor.find(whole, start=start, final=True)
        taken = [(edit.start, edit.end) for edit in edits]
        edits += [edit for edit in others if all(edit.end <= low or edit.start >= high for low, high in taken)]
        return sorted(edits, key=lambda edit: edit.start), undecided

    def suspects(self, text: bytes) -> bool:
        return self._redactor.suspects(text)

    def rest(self, text: bytes, *, start: int) -> Edit | None:
        return self._redactor.rest(text, start=start)


@dataclass(slots=True)
class _Side:
    """What one side of a stream has under way."""

    raw: Rewriter | None = None
    events: deque[Event] = field(default_factory=deque)
    deltas: Deltas | None = None
    event_stream: EventStreamDeltas | None = None
    waiting: deque[Event] = field(default_factory=deque)


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
        is_form = media == b"application/x-www-form-urlencoded"
        side.raw = Rewriter(_FormFinder(self._redactor) if is_form else self._redactor)
        if media == b"text/event-stream":
            side.event_stream = EventStreamDeltas(self._redactor)
        elif media in _LINE_MEDIA:
            side.event_stream = EventStreamDeltas(self._redactor, lines=True)
        else:
            side.event_stream = None

    def _piece(self, side: _Side, piece: Piece) -> list[Event]:
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
        start = len(data)
        if message.opcode is Opcode.TEXT and len(data) <= MAX_UNIT:
            found = _JSON_START.match(data)
            start = found.end() - 1 if found else 0
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
        if side.raw is not None:
            out += self._past_raw(side, side.raw.finish())
        if side.event_stream is not None:
            out += self._settled(side, side.event_stream.finish())
        if side.deltas is not None:
            out += self._settled(side, side.deltas.finish())
        return out


@cache
def _plain_scanner() -> SecretScanner:
    """The scanner of the built-in rules: made once, since every request and message is looked at with it."""
    return SecretScanner()


class SecretClasses:
    """Secrets by class and ordinal, for the canonical form: which are equal counts, their values do not."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._scanner = _plain_scanner()

    def mask(self, text: str, name: str, *, parameter: bool = False) -> str:
        """``text`` with every secret in it replaced.

        Args:
            text: decoded, of any length.
            name: of the field it stands under, "" for none.
            parameter: it is a query parameter or stands in a form, where more names are secrets.
        """
        raw = text.encode("utf-8", "surrogatepass")
        normal = normal_name(name)
        if raw and (normal in NAMES or (normal in BARE_NAMES and is_credential(raw))):
            return self._number(raw)
        if parameter and is_secret_value(name, raw):
            return self._number(raw)
        spans = self._scanner.scan(raw)[0] if len(raw) >= 12 else []
        if not spans:
            return text
        out, position = [], 0
        for span in spans:
            out += [raw[position : span.start].decode("utf-8", "replace"), self._number(raw[span.start : span.end])]
            position = span.end
        return "".join([*out, raw[position:].decode("utf-8", "replace")])

    def _number(self, value: bytes) -> str:
        return f"<secret {self._numbers.setdefault(value, len(self._numbers) + 1)}>"
