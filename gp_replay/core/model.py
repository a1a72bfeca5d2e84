"""What went over the wire, as values: the one set of events that recorder, cassette, player and reports share.

A *stream* is one exchange (an HTTP request and its response) or one connection (a WebSocket with its handshake).
Streams are numbered from 1 in the order they were opened. Every event says when (``at_us``, microseconds since the
start of the epoch), in which stream, and which side *sent* it.

The order of events in one exchange (``*`` any number, ``?`` perhaps)::

    Opened  RequestHead  Piece*  End            from the client
            ResponseHead+  Piece*  End          from the server (1xx heads come before the final one)
            Gone?                               either side: the conversation broke off here; an End may be missing

and in one connection::

    Opened  RequestHead  ResponseHead(101)  (Message | Ping | Pong)*  Close?  Gone?
    Opened  RequestHead  ResponseHead(other)  Piece*  End              a refused upgrade

``Opaque`` may follow any event: from there on the tap did not understand that side, and only sizes are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol as TypingProtocol
from typing import TypeAlias

__all__ = [
    "Cassette",
    "Close",
    "End",
    "Epoch",
    "Event",
    "Footer",
    "Fragment",
    "Gone",
    "Header",
    "Headers",
    "How",
    "Message",
    "Opaque",
    "Opcode",
    "Opened",
    "Origin",
    "Piece",
    "Ping",
    "Pong",
    "Protocol",
    "RequestHead",
    "ResponseHead",
    "Role",
    "Side",
    "StreamEntry",
    "Wire",
    "header_value",
    "header_values",
]

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Ordered pairs of name and value, spelled as they were on the wire; values without surrounding white space."""


class Side(Enum):
    """Who sent an event. The value is what a cassette stores."""

    CLIENT = 0
    SERVER = 1

    @property
    def other(self) -> Side:
        """The side that hears what this one says."""
        return Side.SERVER if self is Side.CLIENT else Side.CLIENT


class Protocol(Enum):
    """What a stream is. The value is what a cassette stores."""

    HTTP = 0
    WEBSOCKET = 1


class Opcode(Enum):
    """Kind of a WebSocket message (RFC 6455 section 5.2)."""

    TEXT = 1
    BINARY = 2


class How(Enum):
    """How a side went away. The value is what a cassette stores."""

    EOF = "eof"
    """It closed its half, or the whole, in an orderly way."""
    RESET = "reset"
    """The transport broke (RST, TLS failure)."""
    CUT = "cut"
    """The recording stopped while the stream was open."""
    UNREACHABLE = "unreachable"
    """The upstream could not be reached; the client got a 502 of our own, which is not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What all events have.

    Attributes:
        at_us: microseconds since the start of the epoch, 0 or more.
        stream: number of the stream, 1 or more.
        side: who sent it.
    """

    at_us: int
    stream: int
    side: Side

    def __post_init__(self) -> None:
        if self.at_us < 0 or self.stream < 1:
            raise ValueError(f"at_us {self.at_us} or stream {self.stream} out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Wire):
    """A stream begins. Always its first event, side CLIENT.

    Attributes:
        protocol: what the request asked for; a refused upgrade is still a WEBSOCKET stream.
        role: what was spoken to, by name.
        owner: the user it belongs to, in clear, or None when no token said.
    """

    protocol: Protocol
    role: str
    owner: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead(Wire):
    """Request line and headers (RFC 9112 section 3), as the client sent them.

    Attributes:
        method: as spelled, for example ``b"POST"``.
        target: origin form, without the role's prefix and the upstream's base path: ``b"/v1/models?x=1"``.
        version: ``b"HTTP/1.1"`` or ``b"HTTP/1.0"``.
        headers: ordered, spelling kept, secrets replaced.
        coding: content coding the body had on the wire; pieces are stored decoded. "" is identity.
    """

    method: bytes
    target: bytes
    version: bytes
    headers: Headers
    coding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead(Wire):
    """Status line and headers (RFC 9112 section 4), as the upstream sent them. Interim (1xx) heads are own events.

    Attributes:
        version: ``b"HTTP/1.1"`` or ``b"HTTP/1.0"``.
        status: 100 to 999.
        reason: the reason phrase, may be empty.
        headers: ordered, spelling kept, secrets replaced.
        coding: as in `RequestHead`.
    """

    version: bytes
    status: int
    reason: bytes
    headers: Headers
    coding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece(Wire):
    """Body bytes of one read, cut further where an HTTP chunk ended.

    Attributes:
        data: decoded content; may be empty where a compressed read gave nothing yet.
        ends_chunk: an HTTP chunk ended with this piece. False throughout when the body is not chunked.
    """

    data: bytes
    ends_chunk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Wire):
    """The message of this side is complete. Trailers only where the body was chunked."""

    trailers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """One frame of a fragmented message: its inflated length in bytes and when its last byte was read."""

    length: int
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(Wire):
    """One WebSocket message, inflated. ``at_us`` is when its last byte was read.

    Attributes:
        opcode: text or binary.
        data: the payload; text is UTF-8, not checked.
        fragments: two or more where the message was fragmented, lengths adding up to ``len(data)``; else empty.
        deflated: it was compressed on the wire (permessage-deflate, RFC 7692).
    """

    opcode: Opcode
    data: bytes
    fragments: tuple[Fragment, ...] = ()
    deflated: bool = False

    def __post_init__(self) -> None:
        if self.fragments and sum(fragment.length for fragment in self.fragments) != len(self.data):
            raise ValueError("fragment lengths do not add up to the message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Wire):
    """A ping frame (RFC 6455 section 5.5.2)."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong(Wire):
    """A pong frame. Recorded, never replayed: pongs answer live pings."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(Wire):
    """A close frame. ``code`` None is a frame without a code (1005 in APIs)."""

    code: int | None
    reason: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone(Wire):
    """This side of the transport ended while the stream was open, or after its last event."""

    how: How


@dataclass(frozen=True, slots=True, kw_only=True)
class Opaque(Wire):
    """Bytes that were relayed but not understood: their number, never their content."""

    size: int


Event: TypeAlias = Opened | RequestHead | ResponseHead | Piece | End | Message | Ping | Pong | Close | Gone | Opaque


class Origin(Enum):
    """Where a cassette comes from. The value is what a cassette stores."""

    LIVE = "live"
    IMPORTED = "imported"
    SYNTHETIC = "synthetic"
    EDITED = "edited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What the recording spoke to: a name, and the upstream URL it had in the recorded environment."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A stretch recorded at one time: streams from ``first_stream`` up to the next epoch's share its clock."""

    recorded_at: str
    first_stream: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The header of a cassette.

    Attributes:
        name: of the cassette, for people; never used as a path.
        recorded_at: start of the first epoch, ISO 8601 in UTC.
        tool: program and version that wrote it.
        origin: live, imported, synthetic or edited.
        roles: in the order they were given.
        salt: key of the pseudonyms, 16 bytes, inherited by revisions.
        redaction: names of the rule sets applied; ``("off",)`` where redaction was switched off.
        environment: name of the environment, or "".
        revision: 1 for a first recording.
        replaces: digest of the revision this one replaces, or b"".
        labels: free text by name.
        commit: git commit of the recorded project, or "".
        epochs: later epochs, in order; the first one begins with stream 1 at ``recorded_at`` and is not listed.
    """

    name: str
    recorded_at: str
    tool: str
    origin: Origin
    roles: tuple[Role, ...]
    salt: bytes
    redaction: tuple[str, ...]
    environment: str = ""
    revision: int = 1
    replaces: bytes = b""
    labels: tuple[tuple[str, str], ...] = ()
    commit: str = ""
    epochs: tuple[Epoch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEntry:
    """One stream in the index of a cassette: enough to list, choose and match without reading its events.

    Attributes:
        stream: its number.
        protocol: HTTP or WEBSOCKET.
        role: by name.
        owner: or None.
        method: of the request, b"" if its head was never seen.
        target: of the request, redacted.
        status: of the final response, or 0 if none was seen.
        opened_us: offset of its first event.
        ended_us: offset of its last event.
        complete: both sides ended as the protocol wants (both `End`, or a `Close` frame).
        events: how many it has.
        messages: how many of them are WebSocket messages.
        body_bytes: sum of all piece and message sizes.
        key: match key of an exchange (digest of its canonical form), or b"" where none was computed.
        offsets: file offset of each of its events, rising.
    """

    stream: int
    protocol: Protocol
    role: str
    owner: str | None
    method: bytes
    target: bytes
    status: int
    opened_us: int
    ended_us: int
    complete: bool
    events: int
    messages: int
    body_bytes: int
    key: bytes
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """The footer of a cassette: its index, and what is known only at the end.

    Attributes:
        entries: one for each stream, by number.
        models: names of the LLM models seen in requests, in order of first appearance.
        exit_code: of the recorded command (``-- COMMAND``), or None when there was none or it is not known.
        fingerprint: of the canonical form and rules that computed the entries' keys; b"" where none were.
        digest: BLAKE2b-256 of all bytes of the file before the footer record.
    """

    entries: tuple[StreamEntry, ...]
    models: tuple[str, ...] = ()
    exit_code: int | None = None
    fingerprint: bytes = b""
    digest: bytes = b""


class Cassette(TypingProtocol):
    """What the core needs of a cassette: header and index at hand, events when asked for."""

    @property
    def header(self) -> Header: ...

    @property
    def footer(self) -> Footer: ...

    def events(self, stream: int) -> tuple[Event, ...]:
        """All events of one stream in the order they happened, read anew each time.

        Raises:
            KeyError: there is no such stream.
            CassetteCorrupt: the bytes are not what the index promises.
        """


def header_values(headers: Headers, name: bytes) -> list[bytes]:
    """All values of a header, in order. ``name`` in lower case."""
    return [value for key, value in headers if key.lower() == name]


def header_value(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header, or None. ``name`` in lower case."""
    for key, value in headers:
        if key.lower() == name:
            return value
    return None
