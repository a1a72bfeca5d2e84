"""Recorded answers as bytes for one live client: its chunk framing, its content coding, its handshake."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha1

from gp_replay.core.coding import Encoder, accepts
from gp_replay.core.frames import DeflateParameters, negotiated_deflate, render_deflate
from gp_replay.core.http1 import render_head, wants_close
from gp_replay.core.model import (
    End,
    Event,
    Headers,
    Piece,
    RequestHead,
    ResponseHead,
    header_value,
    header_values,
)
from gp_replay.core.script import StreamScript
from gp_replay.errors import WireError

__all__ = ["AnswerRenderer", "HandshakeRenderer", "accept_key", "problem_answer"]

SERVED_BY = b"x-gp-replay"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    421: "Misdirected Request",
    424: "Failed Dependency",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    505: "HTTP Version Not Supported",
}


class AnswerRenderer:
    """Renders the answer of one exchange (or of a refused upgrade).

    Chunk framing is kept: each recorded chunk is announced with its whole size when its first piece goes out. A
    coding the client takes is applied again piece by piece; one it does not take is left off.

    Args:
        script: what was claimed.
        live: the live request.
        label: what ``x-gp-replay`` says.
    """

    def __init__(self, script: StreamScript, *, live: RequestHead, label: str) -> None:
        events = [step.event for step in script.steps]
        self._label = label.encode("ascii", "replace")
        self._live = live
        head = next((event for event in events if isinstance(event, ResponseHead) and event.status >= 200), None)
        self._chunked = head is not None and _is_chunked(head.headers)
        self._old_client = live.version == b"HTTP/1.0"
        self._silent = live.method == b"HEAD" or (head is not None and head.status in (204, 304))
        self._coding = head.coding if head and accepts(live.headers, head.coding) else ""
        self._recoded = bool(head and head.coding)
        pieces = [event for event in events if isinstance(event, Piece)]
        self._ends = any(isinstance(event, End) for event in events)
        self._data = self._encoded(pieces)
        self._sizes = _chunk_sizes(pieces, self._data)
        self._next = 0
        self._in_chunk = False
        self.closes = head is None or self._must_close(head)
        """The connection ends with this answer."""

    def _must_close(self, head: ResponseHead) -> bool:
        if wants_close(self._live.version, self._live.headers) or wants_close(head.version, head.headers):
            return True
        framed = (self._chunked and not self._old_client) or header_value(head.headers, b"content-length") is not None
        return not framed and not self._silent

    def _encoded(self, pieces: list[Piece]) -> list[bytes]:
        if not self._coding:
            return [piece.data for piece in pieces]
        encoder = Encoder(self._coding)
        data = [encoder.feed(piece.data) for piece in pieces]
        if data and self._ends:
            data[-1] += encoder.finish()
        return data

    def render(self, event: Event) -> bytes:
        """The bytes of the next event: a `ResponseHead`, `Piece` or `End`, in recorded order."""
        match event:
            case ResponseHead():
                first = b" ".join((event.version, b"%d" % event.status, event.reason))
                return render_head(first, self._headers(event))
            case Piece():
                return self._piece(event)
            case End() if self._chunked and not self._old_client and not self._silent:
                lines = [b"0", *(name + b": " + value for name, value in event.trailers), b"", b""]
                return b"\r\n".join(lines)
            case _:
                return b""

    def _piece(self, piece: Piece) -> bytes:
        number = self._next
        self._next += 1
        data, size = self._data[number], self._sizes[number]
        if self._silent:
            return b""
        if not self._chunked or self._old_client:
            return data
        if size >= 0:
            self._in_chunk = size > 0  # an empty chunk would end the body, so one that came to nothing is left out
        before = b"%x\r\n" % size if size > 0 else b""
        return before + data + (b"\r\n" if piece.ends_chunk and self._in_chunk else b"")

    def _headers(self, head: ResponseHead) -> Headers:
        headers: list[tuple[bytes, bytes]] = []
        for name, value in head.headers:
            match name.lower():
                case b"content-encoding" if self._recoded and not self._coding:
                    continue
                case b"content-length" if self._recoded and not self._silent and head.status >= 200:
                    value = b"%d" % sum(map(len, self._data))
                case b"transfer-encoding" if self._old_client:
                    continue
                case _:
                    pass
            headers.append((name, value))
        return (*headers, (SERVED_BY, self._label))


class HandshakeRenderer:
    """Renders the 101 of a recorded connection for a live client.

    Raises:
        WireError: the live request is no WebSocket handshake (RFC 6455 section 4.2.1); says why.
    """

    def __init__(self, *, live: RequestHead) -> None:
        key = header_value(live.headers, b"sec-websocket-key") or b""
        if live.method != b"GET":
            raise WireError("a WebSocket handshake is a GET")
        if header_value(live.headers, b"sec-websocket-version") != b"13":
            raise WireError("sec-websocket-version is not 13")
        if len(key) != 24 or not key.endswith(b"=="):
            raise WireError("sec-websocket-key is not 16 bytes in base64")
        self._key = key
        self._offered = b",".join(header_values(live.headers, b"sec-websocket-extensions"))
        self.deflate: DeflateParameters | None = None
        """What was negotiated, once `render` was called."""

    def render(self, head: ResponseHead, *, label: str) -> bytes:
        """The head as recorded, with this client's accept key, and of the extensions what both sides have."""
        recorded = negotiated_deflate(head.headers)
        answer = render_deflate(recorded, offered=self._offered) if recorded else None
        # The answer may hold more than was recorded: a client can ask us to drop the context after each message.
        self.deflate = negotiated_deflate(((b"sec-websocket-extensions", answer),)) if answer else None
        headers: list[tuple[bytes, bytes]] = []
        for name, value in head.headers:
            match name.lower():
                case b"sec-websocket-accept":
                    value = accept_key(self._key)
                case b"sec-websocket-extensions":
                    if answer is None:
                        continue
                    value = answer
                case _:
                    pass
            headers.append((name, value))
        headers.append((SERVED_BY, label.encode("ascii", "replace")))
        return render_head(b" ".join((head.version, b"101", head.reason)), tuple(headers))


def accept_key(key: bytes) -> bytes:
    """``Sec-WebSocket-Accept`` for a key (RFC 6455 section 4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def problem_answer(status: int, body: bytes, *, served_by: str, close: bool, retry: bool = False) -> bytes:
    """A whole answer of our own: JSON, not to be retried unless the cause may pass."""
    lines = [
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"x-gp-replay: {served_by}",
        *([] if retry else ["x-should-retry: false"]),
        *(["Connection: close"] if close else []),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1", "replace") + body


def _is_chunked(headers: Headers) -> bool:
    return any(b"chunked" in value.lower() for value in header_values(headers, b"transfer-encoding"))


def _chunk_sizes(pieces: Iterable[Piece], data: list[bytes]) -> list[int]:
    """For the first piece of each chunk the size of the whole chunk, for others -1.

    A chunk that was never finished is announced one byte longer than what came of it, so that it stays unfinished.
    """
    sizes = [-1] * len(data)
    start, total = 0, 0
    for number, piece in enumerate(pieces):
        total += len(data[number])
        if piece.ends_chunk:
            sizes[start] = total
            start, total = number + 1, 0
    if start < len(sizes):
        sizes[start] = total + 1
    return sizes
