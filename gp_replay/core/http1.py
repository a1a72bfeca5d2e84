"""HTTP/1.1 messages from bytes, whatever the reads cut them into (RFC 9112).

One reader serves the recording tap (both directions) and the replay listener, so that both agree on where a message
ends. It is lenient about spelling (bare LF, folded fields, no reason phrase) and strict about framing: two lengths
that disagree are an error, because a proxy that guesses differently from the server behind it lets one client smuggle
requests.

Rules of a reader::

    HEAD ──────────► LENGTH | CHUNK_SIZE | UNTIL_CLOSE | UPGRADED | HEAD (no body, or 1xx)
    CHUNK_SIZE ────► CHUNK_DATA ─► CHUNK_END ─► CHUNK_SIZE      size > 0
    CHUNK_SIZE ────► TRAILERS ─► HEAD                           size 0
    LENGTH ────────► HEAD                                       when the length is used up
    UNTIL_CLOSE ───► HEAD                                       at `close`
    UPGRADED                                                    for ever: the bytes are another protocol's
    any ───────────► FAILED                                     after `WireError`; every later call raises it again
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from gp_replay.core.model import Headers, header_value, header_values
from gp_replay.errors import WireError

__all__ = [
    "Body",
    "Complete",
    "HeadLimits",
    "Item",
    "RequestLine",
    "RequestReader",
    "ResponseReader",
    "StatusLine",
    "is_websocket_upgrade",
    "media_type",
    "render_head",
    "wants_close",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimits:
    """Bounds of what a reader keeps in memory.

    Attributes:
        max_head_bytes: of a request or status line with its fields, and of trailers; nginx and Node take 8 to 32 KiB,
            JWT-laden agent handshakes more.
        max_fields: number of fields; Apache takes 100.
        max_line_bytes: of a chunk-size line with its extensions.
    """

    max_head_bytes: int = 65_536
    max_fields: int = 256
    max_line_bytes: int = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """A complete request head; the body, if any, follows."""

    method: bytes
    target: bytes
    version: bytes
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusLine:
    """A complete response head. ``status`` below 200 and not 101: another head follows."""

    version: bytes
    status: int
    reason: bytes
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Body bytes of one read; ``ends_chunk`` where an HTTP chunk ended with them."""

    data: bytes
    ends_chunk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete:
    """The message is complete."""

    trailers: Headers = ()


Item: TypeAlias = RequestLine | StatusLine | Body | Complete

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +([^\x00-\x20\x7f]+) +(HTTP/[0-9]\.[0-9])")
_STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) +([1-9][0-9]{2})(?: (.*))?", re.DOTALL)
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)", re.DOTALL)
_FORBIDDEN = re.compile(rb"[\x00\r\n]")
_METHOD_BYTES = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_HEAD_END = re.compile(rb"\n\r?\n")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_DIGITS = re.compile(rb"[0-9]{1,18}")


class _At(Enum):
    HEAD = auto()
    LENGTH = auto()
    CHUNK_SIZE = auto()
    CHUNK_DATA = auto()
    CHUNK_END = auto()
    TRAILERS = auto()
    UNTIL_CLOSE = auto()
    UPGRADED = auto()


class _Reader:
    """What requests and responses share. See `feed`."""

    _first_bytes = b""

    def __init__(self, limits: HeadLimits | None = None) -> None:
        self._limits = limits or HeadLimits()
        self._at = _At.HEAD
        self._kept = bytearray()
        self._left = 0
        self._failure: WireError | None = None

    @property
    def between_messages(self) -> bool:
        """No message has begun that is not complete."""
        return self._at is _At.HEAD and not self._kept

    @property
    def within_body(self) -> bool:
        """A head is complete and its body is not."""
        return self._at not in (_At.HEAD, _At.UPGRADED)

    @property
    def upgraded(self) -> bool:
        """What follows is another protocol's."""
        return self._at is _At.UPGRADED

    def feed(self, data: bytes) -> tuple[int, list[Item]]:
        """Takes the next bytes and says what they hold.

        Stops behind a complete head, a complete message and an upgrade, so that the caller can act on it before it
        feeds the rest: call again with ``data[used:]`` while that is not empty and the reader is not `upgraded`.

        Args:
            data: one read, not empty. Nothing of it is kept but an incomplete head, chunk-size line or trailer.

        Returns:
            How many bytes were used (at least 1 unless upgraded), and the items they completed, in order.

        Raises:
            WireError: the bytes are not HTTP/1.1, or exceed a limit. The reader is then dead: every later call raises
                the same error again.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return self._advance(data)
        except WireError as error:
            self._failure = error
            raise

    def close(self) -> list[Item]:
        """The sender ended its stream.

        Returns:
            ``[Complete()]`` where only that ends a body (a response without a length), else nothing.
            Whether a message was cut off can be read from `between_messages` afterwards.
        """
        if self._at is _At.UNTIL_CLOSE:
            self._at = _At.HEAD
            return [Complete()]
        return []

    def _advance(self, data: bytes) -> tuple[int, list[Item]]:
        items: list[Item] = []
        position, size = 0, len(data)
        while position < size:
            match self._at:
                case _At.HEAD:
                    return self._read_head(data, position, items)
                case _At.LENGTH:
                    end = min(size, position + self._left)
                    items.append(Body(data=data[position:end]))
                    self._left -= end - position
                    position = end
                    if not self._left:
                        return self._complete(position, items)
                case _At.UNTIL_CLOSE:
                    items.append(Body(data=data[position:]))
                    position = size
                case _At.CHUNK_SIZE:
                    position, line = self._read_line(data, position)
                    if line is not None:
                        self._begin_chunk(line)
                case _At.CHUNK_DATA:
                    end = min(size, position + self._left)
                    self._left -= end - position
                    items.append(Body(data=data[position:end], ends_chunk=not self._left))
                    position = end
                    if not self._left:
                        self._at = _At.CHUNK_END
                case _At.CHUNK_END:
                    position, line = self._read_line(data, position)
                    if line is not None:
                        if line:
                            raise WireError("a chunk is longer than its size says")
                        self._at = _At.CHUNK_SIZE
                case _At.TRAILERS:
                    position, done = self._read_trailers(data, position, items)
                    if done:
                        return position, items
                case _At.UPGRADED:
                    return position, items
        return position, items

    def _complete(self, position: int, items: list[Item], trailers: Headers = ()) -> tuple[int, list[Item]]:
        self._at = _At.HEAD
        items.append(Complete(trailers=trailers))
        return position, items

    def _read_head(self, data: bytes, position: int, items: list[Item]) -> tuple[int, list[Item]]:
        kept = self._kept
        if not kept:
            # Empty lines before a message are to be ignored (RFC 9112 section 2.2).
            while position < len(data) and data[position] in b"\r\n":
                position += 1
            if position == len(data):
                return position, items
            self._check_first(data[position])
        search_from = max(0, len(kept) - 3)
        before = len(kept)
        kept += data[position : position + self._limits.max_head_bytes + 1]
        if not kept.startswith(self._first_bytes[: len(kept)]):
            raise WireError("not HTTP/1")
        found = _HEAD_END.search(kept, search_from)
        if found is None or found.end() > self._limits.max_head_bytes:
            if len(kept) > self._limits.max_head_bytes:
                raise WireError(f"head over {self._limits.max_head_bytes} bytes", status=431)
            return len(data), items
        used = position + found.end() - before
        raw = bytes(kept[: found.start()])
        kept.clear()
        first, _, rest = raw.partition(b"\n")
        self._begin_message(first.rstrip(b"\r"), _fields(rest, self._limits), items)
        return used, items

    def _check_first(self, byte: int) -> None:
        """Whether a head may begin so: what is something else entirely is told so at once."""

    def _begin_message(self, first: bytes, headers: Headers, items: list[Item]) -> None:
        raise AssertionError("a reader is for requests or for responses")

    def _frame_body(self, headers: Headers, items: list[Item], *, otherwise: _At) -> None:
        """Chooses how the body ends (RFC 9112 section 6.3)."""
        codings = [
            item.strip().lower() for value in header_values(headers, b"transfer-encoding") for item in value.split(b",")
        ]
        length = _content_length(headers)
        if codings:
            if codings[-1] != b"chunked" or codings.count(b"chunked") > 1:
                if otherwise is _At.HEAD:
                    raise WireError("transfer-encoding does not end in chunked", status=501)
                self._at = _At.UNTIL_CLOSE
                return
            if length is not None and otherwise is _At.HEAD:
                raise WireError("both transfer-encoding and content-length")
            self._at = _At.CHUNK_SIZE
        elif length is None:
            self._at = otherwise
            if otherwise is _At.HEAD:
                items.append(Complete())
        elif length == 0:
            items.append(Complete())
        else:
            self._at, self._left = _At.LENGTH, length

    def _read_line(self, data: bytes, position: int) -> tuple[int, bytes | None]:
        end = data.find(b"\n", position)
        part = data[position:] if end < 0 else data[position:end]
        if len(self._kept) + len(part) > self._limits.max_line_bytes:
            raise WireError("a chunk-size line has no end")
        if end < 0:
            self._kept += part
            return len(data), None
        line = bytes(self._kept) + part
        self._kept.clear()
        return end + 1, line.removesuffix(b"\r")

    def _begin_chunk(self, line: bytes) -> None:
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None:
            raise WireError("not a chunk size")
        self._left = int(size[1], 16)
        self._at = _At.CHUNK_DATA if self._left else _At.TRAILERS

    def _read_trailers(self, data: bytes, position: int, items: list[Item]) -> tuple[int, bool]:
        kept = self._kept
        end = data.find(b"\n", position)
        kept += data[position:] if end < 0 else data[position : end + 1]
        if len(kept) > self._limits.max_head_bytes:
            raise WireError("trailers over the limit", status=431)
        if end < 0:
            return len(data), False
        if (len(kept) <= 2 and not kept.strip(b"\r\n")) or kept.endswith((b"\n\r\n", b"\n\n")):
            trailers = _fields(bytes(kept), self._limits)
            kept.clear()
            self._complete(end + 1, items, trailers)
            return end + 1, True
        return end + 1, False


class RequestReader(_Reader):
    """Reads what a client sends. What follows an upgrade request is for the answer to decide, not for this reader."""

    def _check_first(self, byte: int) -> None:
        if byte == 0x16:
            raise WireError("TLS on a plain port: use http:// or ws://")
        if byte not in _METHOD_BYTES:
            raise WireError("not an HTTP request line")

    def _begin_message(self, first: bytes, headers: Headers, items: list[Item]) -> None:
        line = _REQUEST_LINE.fullmatch(first)
        if line is None:
            raise WireError("not an HTTP request line")
        method, target, version = line.groups()
        if version not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise WireError(f"{version.decode('ascii')} is not spoken here", status=505)
        items.append(RequestLine(method=method, target=target, version=version, headers=headers))
        self._frame_body(headers, items, otherwise=_At.HEAD)


class ResponseReader(_Reader):
    """Reads what a server sends. Whether an answer has a body depends on the request: see `expect`."""

    _first_bytes = b"HTTP/1."

    def __init__(self, limits: HeadLimits | None = None) -> None:
        super().__init__(limits)
        self._methods: deque[bytes] = deque()

    def expect(self, method: bytes) -> None:
        """A request with this method was sent; its answer comes after those expected before."""
        self._methods.append(method)

    def _begin_message(self, first: bytes, headers: Headers, items: list[Item]) -> None:
        line = _STATUS_LINE.fullmatch(first)
        if line is None:
            raise WireError("not an HTTP status line")
        version, status, reason = line[1], int(line[2]), line[3] or b""
        items.append(StatusLine(version=version, status=status, reason=reason, headers=headers))
        if status == 101:
            self._at = _At.UPGRADED
            return
        if status < 200:
            return
        method = self._methods.popleft() if self._methods else b"GET"
        if method == b"HEAD" or status in (204, 304):
            items.append(Complete())
        else:
            self._frame_body(headers, items, otherwise=_At.UNTIL_CLOSE)


def _fields(raw: bytes, limits: HeadLimits) -> Headers:
    fields: list[tuple[bytes, bytes]] = []
    for line in raw.split(b"\n"):
        line = line.removesuffix(b"\r")
        if not line:
            continue
        if line[0] in b" \t" and fields:
            # A folded field (RFC 9112 section 5.2): kept as it stood, so that it can be served as it stood.
            name, value = fields[-1]
            fields[-1] = (name, value + b"\r\n" + line.rstrip(b" \t"))
            continue
        field = _FIELD.fullmatch(line)
        if field is None or _FORBIDDEN.search(line):
            raise WireError("not a header field")
        if len(fields) == limits.max_fields:
            raise WireError(f"over {limits.max_fields} header fields", status=431)
        fields.append((field[1], field[2].rstrip(b" \t")))
    return tuple(fields)


def _content_length(headers: Headers) -> int | None:
    values = {item.strip() for value in header_values(headers, b"content-length") for item in value.split(b",")}
    if not values:
        return None
    value = values.pop()
    if values or not _DIGITS.fullmatch(value):
        raise WireError("content-length is not one number")
    return int(value)


def _tokens(headers: Headers, name: bytes) -> set[bytes]:
    return {item.strip().lower() for value in header_values(headers, name) for item in value.split(b",")}


def is_websocket_upgrade(headers: Headers) -> bool:
    """Whether a request asks for a WebSocket, or a 101 grants one (RFC 6455 section 4.2.1)."""
    return b"websocket" in _tokens(headers, b"upgrade") and b"upgrade" in _tokens(headers, b"connection")


def wants_close(version: bytes, headers: Headers) -> bool:
    """Whether the connection ends after this message (RFC 9112 section 9.3)."""
    tokens = _tokens(headers, b"connection")
    return b"close" in tokens or (version == b"HTTP/1.0" and b"keep-alive" not in tokens)


def render_head(first_line: bytes, headers: Headers) -> bytes:
    """A head as bytes, fields in their order and spelling."""
    lines = [first_line, *(name + b": " + value for name, value in headers), b"", b""]
    return b"\r\n".join(lines)


def media_type(headers: Headers) -> bytes:
    """The media type of a body, lower case and without parameters; b"" when none is said."""
    value = header_value(headers, b"content-type") or b""
    return value.partition(b";")[0].strip().lower()
