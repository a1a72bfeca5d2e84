"""Reading documents: the other direction of `gp_replay.core.document`, where their shape is described.

A document is untrusted: every mistake is one `CassetteCorrupt` that says where it is and what was expected there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from gp_replay.core.model import (
    Close,
    End,
    Epoch,
    Event,
    Fragment,
    Gone,
    Header,
    Headers,
    How,
    Message,
    Opaque,
    Opcode,
    Opened,
    Origin,
    Piece,
    Ping,
    Pong,
    Protocol,
    RequestHead,
    ResponseHead,
    Role,
    Side,
)
from gp_replay.core.plain import Node
from gp_replay.errors import CassetteTooNew

__all__ = ["DOCUMENT_FORMAT", "FORMAT_KEY", "NO_CODE", "Document", "Facts", "document_facts", "from_document"]

DOCUMENT_FORMAT = 1
"""Version of the document's shape."""

FORMAT_KEY = "gp_replay_document"
"""The document's first key; its value is `DOCUMENT_FORMAT`."""

NO_CODE = "no code"
"""Stands for the code of a close frame that has none."""

Document: TypeAlias = dict[str, object]
"""A document: text, integers, booleans, lists and mappings only."""

_SIDES = {"client": Side.CLIENT, "server": Side.SERVER}
_PROTOCOLS = {"http": Protocol.HTTP, "websocket": Protocol.WEBSOCKET}
_OPCODES = {"text": Opcode.TEXT, "binary": Opcode.BINARY}
_ORIGINS = {origin.value: origin for origin in Origin}
_HOWS = {how.value: how for how in How}

_Fields: TypeAlias = dict[str, Node]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a document keeps of the footer.

    Attributes:
        models: see `gp_replay.core.model.Footer`; an index built from the events finds them again.
        exit_code: of the recorded command, or None.
    """

    models: tuple[str, ...] = ()
    exit_code: int | None = None


def from_document(
    document: object, *, source: str = "document", origin: Origin | None = None
) -> tuple[Header, list[Event]]:
    """Header and events of a document.

    Args:
        document: as `gp_replay.core.document.to_document` gives it, perhaps edited: nothing about it is trusted.
        source: its name, for errors.
        origin: what the header shall say instead of the document's origin, for example `Origin.EDITED`.

    Returns:
        The header, and all events in the order of `gp_replay.core.document.ordered_events`.

    Raises:
        CassetteCorrupt: it is not a document, and why: the place, and what was expected there.
        CassetteTooNew: it was written by a later version.
    """
    fields = _document_fields(document, source)
    header = _header(fields)
    _facts(fields)
    starts = [epoch.first_stream for epoch in header.epochs]
    ordered: list[tuple[tuple[int, int, int, int, int], Event]] = []
    seen: set[int] = set()
    for node in fields["streams"]:
        stream, events = _stream(node)
        if stream in seen:
            node.reject(f"stream {stream} is there twice")
        seen.add(stream)
        epoch = sum(start <= stream for start in starts)
        for position, (order, event) in enumerate(events):
            ordered.append(((epoch, event.at_us, order, stream, position), event))
    ordered.sort(key=lambda item: item[0])
    return (header if origin is None else replace(header, origin=origin)), [event for _, event in ordered]


def document_facts(document: object, *, source: str = "document") -> Facts:
    """What the document keeps of the footer.

    Raises:
        CassetteCorrupt, CassetteTooNew: as `from_document`.
    """
    return _facts(_document_fields(document, source))


def _document_fields(document: object, source: str) -> _Fields:
    root = Node(document, source=source)
    if FORMAT_KEY not in root.names():
        root.reject(f"{FORMAT_KEY} is missing: this is not a cassette's document")
    assert isinstance(document, dict)
    found = Node(document[FORMAT_KEY], source=source, parent=root, key=FORMAT_KEY).integer(1)
    if found > DOCUMENT_FORMAT:
        raise CassetteTooNew(source, found=found, supported=DOCUMENT_FORMAT)
    return root.fields(
        required=(FORMAT_KEY, "name", "recorded_at", "tool", "origin", "roles", "redaction", "salt", "streams"),
        optional=("revision", "replaces", "environment", "commit", "labels", "epochs", "models", "exit_code"),
    )


def _facts(fields: _Fields) -> Facts:
    return Facts(
        models=fields["models"].items(Node.text) if "models" in fields else (),
        exit_code=fields["exit_code"].integer(-(2**31), 2**32 - 1) if "exit_code" in fields else None,
    )


def _header(fields: _Fields) -> Header:
    return Header(
        name=fields["name"].text(),
        recorded_at=fields["recorded_at"].text(),
        tool=fields["tool"].text(),
        origin=fields["origin"].choice(_ORIGINS),
        roles=fields["roles"].items(_role),
        salt=fields["salt"].hexadecimal(),
        redaction=fields["redaction"].items(Node.text),
        environment=fields["environment"].text() if "environment" in fields else "",
        revision=fields["revision"].integer(1) if "revision" in fields else 1,
        replaces=fields["replaces"].hexadecimal() if "replaces" in fields else b"",
        labels=fields["labels"].items(_label) if "labels" in fields else (),
        commit=fields["commit"].text() if "commit" in fields else "",
        epochs=fields["epochs"].items(_epoch) if "epochs" in fields else (),
    )


def _role(node: Node) -> Role:
    fields = node.fields(required=("name", "url"))
    return Role(name=fields["name"].text(), url=fields["url"].text())


def _label(node: Node) -> tuple[str, str]:
    name, text = node.pair()
    return name.text(), text.text()


def _epoch(node: Node) -> Epoch:
    fields = node.fields(required=("recorded_at", "first_stream"))
    return Epoch(recorded_at=fields["recorded_at"].text(), first_stream=fields["first_stream"].integer(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stream:
    number: int
    protocol: Protocol
    role: str
    owner: str | None


def _stream(node: Node) -> tuple[int, list[tuple[int, Event]]]:
    fields = node.fields(required=("stream", "protocol", "role", "events"), optional=("owner",))
    stream = _Stream(
        number=fields["stream"].integer(1),
        protocol=fields["protocol"].choice(_PROTOCOLS),
        role=fields["role"].text(),
        owner=fields["owner"].text() if "owner" in fields else None,
    )
    events: list[tuple[int, Event]] = []
    before = (0, 0)
    for item in fields["events"]:
        order, event = _event(item, stream)
        if isinstance(event, Opened) is bool(events):
            item.reject("opened must be the first event of a stream, and only the first")
        if events and (event.at_us, order) < before:
            item.reject(f"at_us {event.at_us} is earlier than the event before, at {before[0]}")
        before = (event.at_us, order)
        events.append((order, event))
    if not events:
        fields["events"].reject("a stream has at least the event opened")
    return stream.number, events


def _event(node: Node, stream: _Stream) -> tuple[int, Event]:
    named = [key for key in node.names() if key in _KINDS]
    if len(named) != 1:
        node.reject("expected exactly one of the keys " + ", ".join(_KINDS) + f", found {', '.join(named) or 'none'}")
    kind = _KINDS[named[0]]
    fields = node.fields(required=("at_us", "from", named[0], *kind.required), optional=(*kind.optional, "order"))
    if kind.websocket_only and stream.protocol is not Protocol.WEBSOCKET:
        fields[named[0]].reject("only a websocket stream can have this event")
    wire = _Wire(at_us=fields["at_us"].integer(), side=fields["from"].choice(_SIDES), stream=stream)
    event = kind.read(fields, wire)
    return (fields["order"].integer() if "order" in fields else 0), event


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wire:
    at_us: int
    side: Side
    stream: _Stream


def _opened(fields: _Fields, wire: _Wire) -> Event:
    fields["opened"].mark()
    if wire.side is not Side.CLIENT:
        fields["from"].fail("client")
    stream = wire.stream
    return Opened(
        at_us=wire.at_us,
        stream=stream.number,
        side=wire.side,
        protocol=stream.protocol,
        role=stream.role,
        owner=stream.owner,
    )


def _request(fields: _Fields, wire: _Wire) -> Event:
    return RequestHead(
        at_us=wire.at_us,
        stream=wire.stream.number,
        side=wire.side,
        method=fields["method"].data(),
        target=fields["target"].data(),
        version=fields["version"].data(),
        headers=fields["headers"].items(_header_field),
        coding=fields["coding"].text() if "coding" in fields else "",
    )


def _response(fields: _Fields, wire: _Wire) -> Event:
    return ResponseHead(
        at_us=wire.at_us,
        stream=wire.stream.number,
        side=wire.side,
        version=fields["version"].data(),
        status=fields["status"].integer(100, 999),
        reason=fields["reason"].data(),
        headers=fields["headers"].items(_header_field),
        coding=fields["coding"].text() if "coding" in fields else "",
    )


def _header_field(node: Node) -> tuple[bytes, bytes]:
    name, value = node.pair()
    return name.data(), value.data()


def _piece(fields: _Fields, wire: _Wire) -> Event:
    ends_chunk = "ends_chunk" in fields and fields["ends_chunk"].flag()
    data = fields["piece"].data()
    return Piece(at_us=wire.at_us, stream=wire.stream.number, side=wire.side, data=data, ends_chunk=ends_chunk)


def _end(fields: _Fields, wire: _Wire) -> Event:
    fields["end"].mark()
    trailers: Headers = fields["trailers"].items(_header_field) if "trailers" in fields else ()
    return End(at_us=wire.at_us, stream=wire.stream.number, side=wire.side, trailers=trailers)


def _message(fields: _Fields, wire: _Wire) -> Event:
    data = fields["message"].data()
    fragments = fields["fragments"].items(_fragment) if "fragments" in fields else ()
    total = sum(fragment.length for fragment in fragments)
    if fragments and total != len(data):
        fields["fragments"].reject(f"the lengths add up to {total}, but the message has {len(data)} bytes")
    return Message(
        at_us=wire.at_us,
        stream=wire.stream.number,
        side=wire.side,
        opcode=fields["opcode"].choice(_OPCODES),
        data=data,
        fragments=fragments,
        deflated="deflated" in fields and fields["deflated"].flag(),
    )


def _fragment(node: Node) -> Fragment:
    fields = node.fields(required=("length", "at_us"))
    return Fragment(length=fields["length"].integer(), at_us=fields["at_us"].integer())


def _ping(fields: _Fields, wire: _Wire) -> Event:
    return Ping(at_us=wire.at_us, stream=wire.stream.number, side=wire.side, data=fields["ping"].data())


def _pong(fields: _Fields, wire: _Wire) -> Event:
    return Pong(at_us=wire.at_us, stream=wire.stream.number, side=wire.side, data=fields["pong"].data())


def _close(fields: _Fields, wire: _Wire) -> Event:
    code = None if fields["close"].value == NO_CODE else fields["close"].integer(0, 65535)
    reason = fields["reason"].data() if "reason" in fields else b""
    return Close(at_us=wire.at_us, stream=wire.stream.number, side=wire.side, code=code, reason=reason)


def _gone(fields: _Fields, wire: _Wire) -> Event:
    return Gone(at_us=wire.at_us, stream=wire.stream.number, side=wire.side, how=fields["gone"].choice(_HOWS))


def _opaque(fields: _Fields, wire: _Wire) -> Event:
    return Opaque(at_us=wire.at_us, stream=wire.stream.number, side=wire.side, size=fields["opaque"].integer())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    read: Callable[[_Fields, _Wire], Event]
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    websocket_only: bool = False


_KINDS = {
    "opened": _Kind(read=_opened),
    "method": _Kind(read=_request, required=("target", "version", "headers"), optional=("coding",)),
    "status": _Kind(read=_response, required=("reason", "version", "headers"), optional=("coding",)),
    "piece": _Kind(read=_piece, optional=("ends_chunk",)),
    "end": _Kind(read=_end, optional=("trailers",)),
    "message": _Kind(read=_message, required=("opcode",), optional=("fragments", "deflated"), websocket_only=True),
    "ping": _Kind(read=_ping, websocket_only=True),
    "pong": _Kind(read=_pong, websocket_only=True),
    "close": _Kind(read=_close, optional=("reason",), websocket_only=True),
    "gone": _Kind(read=_gone),
    "opaque": _Kind(read=_opaque),
}
