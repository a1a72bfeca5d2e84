"""The one canonical form: what makes two requests, or two messages, the same conversation.

Recording (keys in the index), matching, misses and diffs all use it. Values that no person chose (ids, times) stand
in it by their class, secrets by class and ordinal, everything else literally. Two requests that are canonically equal
may still differ literally, and then the literal one wins (`literal_digest`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import parse_qsl, unquote

import orjson

from gp_replay.core.correlation import Correlated, correlated
from gp_replay.core.http1 import media_type
from gp_replay.core.model import Event, Headers, Message, Opcode, Piece, RequestHead, header_value, header_values
from gp_replay.core.places import Any_, Place
from gp_replay.core.redaction import SecretClasses
from gp_replay.core.rules import Rules
from gp_replay.core.ruling import NESTED, Plain, ruled
from gp_replay.core.shapes import embedded_ids, is_time_number, shape_of

__all__ = [
    "CANONICAL_VERSION",
    "Form",
    "Plain",
    "body_of",
    "differing_ids",
    "fingerprint",
    "literal_digest",
    "message_form",
    "paired_ids",
    "path_of",
    "request_form",
    "request_key",
]

CANONICAL_VERSION = 4
"""Rises whenever the same bytes get another form; cached keys of another version are computed anew."""

_MAX_DEPTH = 100
_NONCES = {"EIO": ("t",)}
"""A query parameter that names a protocol, and those parameters of it that only keep caches away (engine.io)."""
_EMBEDDED = re.compile(r"[\w:/,.-]{1,24}(?=[\[{])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A canonical form.

    Attributes:
        plain: as plain data; the top-level names are the parts of places (`gp_replay.core.places`).
        digest: 16 bytes, equal for equal forms.
        correlated: what a message of a request/reply protocol says of itself; its number is no part of the form.
    """

    plain: Mapping[str, Plain]
    digest: bytes
    correlated: Correlated | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that stand in it by their class."""
        return tuple(_ids(self.plain))


class _Masked(str):
    """A text in which ids stand by their class, with those ids. It is a `str` to everything else."""

    __slots__ = ("ids",)
    ids: tuple[str, ...]


def _masked(text: str, ids: tuple[str, ...]) -> _Masked:
    masked = _Masked(text)
    masked.ids = ids
    return masked


def _without_ids(text: str) -> str:
    spans = embedded_ids(text)
    if not spans:
        return text
    parts, position = [], 0
    for start, end in spans:
        parts += [text[position:start], "<id>"]
        position = end
    return _masked("".join([*parts, text[position:]]), tuple(text[start:end] for start, end in spans))


def paired_ids(recorded: Form, live: Form) -> list[tuple[bytes, bytes]]:
    """Ids that stand at the same places of two forms, recorded and live. The forms need not be equal."""
    return [(old.encode(), new.encode()) for _, old, new in _pairs((), recorded.plain, live.plain)]


def differing_ids(recorded: Form, live: Form) -> list[tuple[Place, str, str]]:
    """Where two forms have other ids at the same place, and which."""
    return [found for found in _pairs((), recorded.plain, live.plain) if found[1] != found[2]]


def _pairs(place: Place, old: object, new: object) -> Iterable[tuple[Place, str, str]]:
    if isinstance(old, _Masked) and isinstance(new, _Masked):
        if len(old.ids) == len(new.ids):
            yield from ((place, *pair) for pair in zip(old.ids, new.ids, strict=True))
    elif isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() & new.keys()):
            yield from _pairs((*place, Any_.JSON if name == NESTED else name), old[name], new[name])
    elif isinstance(old, list) and isinstance(new, list):
        for number, (one, other) in enumerate(zip(old, new, strict=False)):
            yield from _pairs((*place, number), one, other)


def _ids(value: object) -> Iterable[str]:
    match value:
        case _Masked():
            yield from value.ids
        case dict():
            for name in sorted(value):
                yield from _ids(value[name])
        case list():
            for item in value:
                yield from _ids(item)


def fingerprint(rules: Rules) -> bytes:
    """What cached keys depend on besides the request itself."""
    return bytes([CANONICAL_VERSION]) + rules.fingerprint


def body_of(events: Iterable[Event]) -> bytes:
    """The joined body among the events of one side."""
    return b"".join(event.data for event in events if isinstance(event, Piece))


def path_of(target: bytes) -> str:
    """The path of a request target, percent-decoded where it is UTF-8, without doubled leading slashes."""
    path = target.partition(b"?")[0].decode("latin-1")
    with contextlib.suppress(UnicodeDecodeError):
        path = unquote(path, errors="strict")
    return "/" + path.lstrip("/") if path.startswith("/") else path


def request_key(rules: Rules, role: str, request: Iterable[Event]) -> bytes:
    """What the index keeps of a request: digest of the form (16 bytes), then of the literal request (8 bytes).

    Args:
        rules: of the cassette.
        role: by name; it counts for which rules apply, not in the digest.
        request: the client's events from `RequestHead` to `End`.
    """
    events = tuple(request)
    head = next(event for event in events if isinstance(event, RequestHead))
    body = body_of(events)
    return request_form(head, body, role=role, rules=rules).digest + literal_digest(head.target, body)


def literal_digest(target: bytes, body: bytes) -> bytes:
    """8 bytes, equal only for byte-identical requests."""
    return blake2b(target + b"\0" + body, digest_size=8).digest()


def request_form(head: RequestHead, body: bytes, *, role: str, rules: Rules) -> Form:
    """The form of a request, or of the handshake of a connection (then with the offered subprotocols)."""
    path = path_of(head.target)
    literal = rules.literals(role, path)
    return _form(
        _request(head, body, path, _Walk()),
        rules.places(role, path),
        literal=(literal, _request(head, body, path, _LiteralWalk())) if literal else None,
    )


def _request(head: RequestHead, body: bytes, path: str, walk: _Walk) -> dict[str, Plain]:
    # Without a body its type says nothing, and clients differ in whether they send it.
    media = media_type(head.headers).decode("latin-1") if body else ""
    plain: dict[str, Plain] = {
        "method": head.method.decode("latin-1"),
        "path": walk.secrets(path),
        "query": _query(head.target.partition(b"?")[2], walk),
        "media_type": media,
        "body": _body(body, media, head.headers, walk),
    }
    offered = header_values(head.headers, b"sec-websocket-protocol")
    if header_value(head.headers, b"upgrade"):
        plain["subprotocol"] = [walk.subprotocol(item) for value in offered for item in value.split(b",")]
    return plain


def message_form(message: Message, *, role: str, path: str, rules: Rules) -> Form:
    """The form of a WebSocket message. ``path`` is the connection's, as `path_of` gives it."""
    plain: dict[str, Plain] = {"opcode": message.opcode.name.lower()}
    said = None
    literal = rules.literals(role, path)
    raw: Plain = None
    if message.opcode is Opcode.TEXT:
        value = _read(message.data)
        said = correlated(value)
        plain["message"] = _plain(value, message.data, _Walk())
        raw = _plain(value, message.data, _LiteralWalk()) if literal else None
    else:
        plain["message"] = _raw(message.data)
    if said is not None and not _blank_number(plain, said):
        said = None
    return _form(plain, rules.places(role, path), said, literal=(literal, {"message": raw}) if literal else None)


def _form(
    plain: dict[str, Plain],
    volatile: tuple[Place, ...],
    said: Correlated | None = None,
    *,
    literal: tuple[tuple[Place, ...], dict[str, Plain]] | None = None,
) -> Form:
    """``literal`` is the places that are never volatile, and the same plain data with ids and times as they were."""
    if volatile or literal is not None:
        places, raw = literal or ((), {})
        plain = ruled(plain, volatile=volatile, literal=places, raw=raw)
    packed = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    return Form(plain=plain, digest=blake2b(packed, digest_size=16).digest(), correlated=said)


def _blank_number(plain: dict[str, Plain], said: Correlated) -> bool:
    """Takes the number out of the form; False where the text around it is no JSON after all."""
    message = plain["message"]
    if not said.at:
        if not isinstance(message, dict) or not isinstance(message.get("prefix"), str):
            return False
        message["prefix"] = str(message["prefix"]).removesuffix(said.number) + "<number>"
        return True
    for name in said.at[:-1]:
        message = message[name]  # type: ignore[index,call-overload]
    if message[said.at[-1]] != "<id>":  # type: ignore[index,call-overload]
        message[said.at[-1]] = "<number>"  # type: ignore[index,call-overload]
    return True


def _raw(data: bytes) -> str:
    return f"<{len(data)} bytes {blake2b(data, digest_size=16).hexdigest()}>" if data else ""


def _query(raw: bytes, walk: _Walk) -> Plain:
    pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, max_num_fields=None)
    volatile = next((names for mark, names in _NONCES.items() if any(name == mark for name, _ in pairs)), ())
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        text = walk.nonce(value) if name in volatile else walk.plain_text(value, name, parameter=True)
        query.setdefault(name, []).append(text)
    return {name: values[0] if len(values) == 1 else list(values) for name, values in query.items()}


def _body(body: bytes, media: str, headers: Headers, walk: _Walk) -> Plain:
    if not body:
        return ""
    if media == "application/x-www-form-urlencoded":
        return _query(body, walk)
    if media.startswith("multipart/"):
        content_type = header_value(headers, b"content-type") or b""
        found = re.search(rb'boundary="?([^";,\s]{1,70})', content_type)
        return _text_body(body.replace(found[1], b"boundary"), walk) if found else _raw(body)
    return _text_body(body, walk)


def _text_body(data: bytes, walk: _Walk) -> Plain:
    return _plain(_read(data), data, walk)


def _read(data: bytes) -> object:
    """JSON as values, other text as text, None for what is neither."""
    if data[:1] in b'{["' or data.lstrip()[:1] in (b"{", b"["):
        with contextlib.suppress(orjson.JSONDecodeError):
            return orjson.loads(data)
    with contextlib.suppress(UnicodeDecodeError):
        return data.decode("utf-8")
    return None


def _plain(value: object, data: bytes, walk: _Walk) -> Plain:
    try:
        return _raw(data) if value is None else walk.value(value, "", 0)
    except _TooDeep:
        return _raw(data)


class _TooDeep(Exception):
    """The value nests deeper than anybody means; it is compared as raw bytes."""


class _Walk:
    """One pass over one request or message. It numbers the secrets it meets, in order."""

    def __init__(self) -> None:
        self._secrets = SecretClasses()

    def value(self, value: object, name: str, depth: int) -> Plain:
        """Any JSON value in canonical form; ``name`` is of the member it stands under."""
        if depth > _MAX_DEPTH:
            raise _TooDeep
        match value:
            case dict():
                return {str(key): self.value(item, str(key), depth + 1) for key, item in value.items()}
            case list():
                return [self.value(item, name, depth + 1) for item in value]
            case str():
                return self.text(value, name, depth)
            case bool() | None:
                return value
            case int() | float():
                return self.number(value, name)
            case _:
                raise AssertionError(f"orjson does not make a {type(value)}")

    def text(self, text: str, name: str, depth: int) -> Plain:
        """A string: looked into where it holds JSON, else by its class or literally."""
        if len(text) > 1 and text[-1] in "}]":
            prefix = "" if text[0] in "{[" else (found[0] if (found := _EMBEDDED.match(text)) else None)
            if prefix is not None:
                try:
                    nested = self.value(orjson.loads(text[len(prefix) :]), name, depth + 1)
                except orjson.JSONDecodeError:
                    return self.plain_text(text, name)
                return {NESTED: nested, "prefix": prefix} if prefix else {NESTED: nested}
        return self.plain_text(text, name)

    def plain_text(self, text: str, name: str, *, parameter: bool = False) -> str:
        """A string that is not looked into."""
        text = self._secrets.mask(text, name, parameter=parameter)
        shape = shape_of(text, name)
        if shape == "id":
            return _masked("<id>", (text,))
        return f"<{shape}>" if shape else _without_ids(text)

    def number(self, value: float, name: str) -> Plain:
        """A number: a time by its class, else literally."""
        return "<time>" if is_time_number(value, name) else value

    def nonce(self, text: str) -> str:
        """What only keeps caches away."""
        del text
        return "<time>"

    def secrets(self, text: str) -> str:
        """A text in which secrets stand by their class, and everything else literally."""
        return self._secrets.mask(text, "")

    def subprotocol(self, item: bytes) -> str:
        """One offered subprotocol; tokens by class."""
        text = item.strip().decode("latin-1")
        prefix, dot, rest = text.partition(".")
        if dot and len(rest) >= 10 and not re.fullmatch(r"[a-z0-9.-]{10,60}", rest):
            return f"{prefix}.<token>"
        return self.plain_text(text, "")


class _LiteralWalk(_Walk):
    """The same pass with ids and times as they are; secrets are by their class here too."""

    def plain_text(self, text: str, name: str, *, parameter: bool = False) -> str:
        return self._secrets.mask(text, name, parameter=parameter)

    def number(self, value: float, name: str) -> Plain:
        del name
        return value

    def nonce(self, text: str) -> str:
        return text
