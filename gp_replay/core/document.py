"""A cassette as a document: plain data a person can read and edit, and back without loss.

The document is a mapping with the header's fields, the footer's facts, and the streams::

    gp_replay_document: 1
    name: golden-path
    recorded_at: "2026-11-25T10:00:00Z"
    …
    models: [gpt-4o]
    exit_code: 0
    streams:
    - stream: 1
      protocol: http
      role: llm
      owner: alice
      events:
      - {at_us: 0, from: client, opened: true}
      - {at_us: 100, from: client, method: POST, target: /v1/x, version: HTTP/1.1, headers: [[Host, llm]]}
      - {at_us: 200, from: client, end: true}
      - {at_us: 900, from: server, status: 200, reason: OK, version: HTTP/1.1, headers: []}
      - {at_us: 1200, from: server, piece: "data: {…}\\n\\n", ends_chunk: true}

The third key of an event says what it is: ``opened``, ``method``, ``status``, ``piece``, ``end``, ``message``,
``ping``, ``pong``, ``close``, ``gone`` or ``opaque``. A field at its default is left out. Bytes are text or
``{"base64": …}``. Index and digest are not in it: they follow from the events.

A cassette promises the order of events within a stream, and tells that of two streams by time. Where events of several
streams fall into the same microsecond and were not written in the order of their numbers, ``order`` keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import assert_never

from gp_replay.core.document_reading import (
    DOCUMENT_FORMAT,
    FORMAT_KEY,
    NO_CODE,
    Document,
    Facts,
    document_facts,
    from_document,
)
from gp_replay.core.model import (
    Cassette,
    Close,
    End,
    Event,
    Gone,
    Header,
    Headers,
    Message,
    Opaque,
    Opened,
    Piece,
    Ping,
    Pong,
    RequestHead,
    ResponseHead,
    StreamEntry,
)
from gp_replay.core.plain import bytes_to_plain

__all__ = ["DOCUMENT_FORMAT", "Document", "Facts", "document_facts", "from_document", "ordered_events", "to_document"]


def ordered_events(cassette: Cassette) -> list[Event]:
    """All events of all streams in one order: by epoch and time, then as they were written.

    Raises:
        CassetteCorrupt: the cassette's bytes are not what its index promises.
    """
    return [moment.event for moment in _timeline(cassette)]


def to_document(cassette: Cassette) -> Document:
    """The whole cassette as a document.

    Returns:
        New lists and mappings, keys in a fixed order; the same for the same header, facts and events.

    Raises:
        CassetteCorrupt: the cassette's bytes are not what its index promises.
    """
    document = _header_to_document(cassette.header)
    footer = cassette.footer
    if footer.models:
        document["models"] = list(footer.models)
    if footer.exit_code is not None:
        document["exit_code"] = footer.exit_code
    events: dict[int, list[object]] = {entry.stream: [] for entry in footer.entries}
    for _, group in groupby(_timeline(cassette), key=lambda moment: moment.when):
        moments = list(group)
        streams = [moment.event.stream for moment in moments]
        as_numbered = streams == sorted(streams)
        for order, moment in enumerate(moments):
            plain = _event_to_document(moment.event)
            if not as_numbered:
                plain["order"] = order
            events[moment.event.stream].append(plain)
    document["streams"] = [_stream_to_document(entry, events[entry.stream]) for entry in footer.entries]
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    when: tuple[int, int]
    offset: int
    position: int
    event: Event


def _timeline(cassette: Cassette) -> list[_Moment]:
    starts = [epoch.first_stream for epoch in cassette.header.epochs]
    moments: list[_Moment] = []
    for entry in cassette.footer.entries:
        epoch = sum(start <= entry.stream for start in starts)
        for position, event in enumerate(sorted(cassette.events(entry.stream), key=lambda event: event.at_us)):
            # The offsets rise, so they break ties between streams and never disturb the order within one.
            offset = entry.offsets[min(position, len(entry.offsets) - 1)] if entry.offsets else 0
            moments.append(_Moment(when=(epoch, event.at_us), offset=offset, position=position, event=event))
    moments.sort(key=lambda moment: (moment.when, moment.offset, moment.event.stream, moment.position))
    return moments


def _stream_to_document(entry: StreamEntry, events: list[object]) -> Document:
    stream: Document = {"stream": entry.stream, "protocol": entry.protocol.name.lower(), "role": entry.role}
    if entry.owner is not None:
        stream["owner"] = entry.owner
    stream["events"] = events
    return stream


def _header_to_document(header: Header) -> Document:
    document: Document = {
        FORMAT_KEY: DOCUMENT_FORMAT,
        "name": header.name,
        "recorded_at": header.recorded_at,
        "tool": header.tool,
        "origin": header.origin.value,
        "revision": header.revision,
    }
    if header.replaces:
        document["replaces"] = header.replaces.hex()
    if header.environment:
        document["environment"] = header.environment
    if header.commit:
        document["commit"] = header.commit
    document["roles"] = [{"name": role.name, "url": role.url} for role in header.roles]
    document["redaction"] = list(header.redaction)
    document["salt"] = header.salt.hex()
    if header.labels:
        document["labels"] = [[name, text] for name, text in header.labels]
    if header.epochs:
        document["epochs"] = [
            {"recorded_at": epoch.recorded_at, "first_stream": epoch.first_stream} for epoch in header.epochs
        ]
    return document


def _event_to_document(event: Event) -> Document:
    plain: Document = {"at_us": event.at_us, "from": event.side.name.lower()}
    match event:
        case Opened():
            plain["opened"] = True
        case RequestHead() | ResponseHead():
            plain |= _head_to_document(event)
        case Piece():
            plain["piece"] = bytes_to_plain(event.data)
            if event.ends_chunk:
                plain["ends_chunk"] = True
        case End():
            plain["end"] = True
            if event.trailers:
                plain["trailers"] = _headers_to_document(event.trailers)
        case Message():
            plain |= _message_to_document(event)
        case Ping():
            plain["ping"] = bytes_to_plain(event.data)
        case Pong():
            plain["pong"] = bytes_to_plain(event.data)
        case Close():
            plain["close"] = NO_CODE if event.code is None else event.code
            if event.reason:
                plain["reason"] = bytes_to_plain(event.reason)
        case Gone():
            plain["gone"] = event.how.value
        case Opaque():
            plain["opaque"] = event.size
        case _:
            assert_never(event)
    return plain


def _head_to_document(event: RequestHead | ResponseHead) -> Document:
    plain: Document
    if isinstance(event, RequestHead):
        plain = {"method": bytes_to_plain(event.method), "target": bytes_to_plain(event.target)}
    else:
        plain = {"status": event.status, "reason": bytes_to_plain(event.reason)}
    plain["version"] = bytes_to_plain(event.version)
    plain["headers"] = _headers_to_document(event.headers)
    if event.coding:
        plain["coding"] = event.coding
    return plain


def _message_to_document(event: Message) -> Document:
    plain: Document = {"message": bytes_to_plain(event.data), "opcode": event.opcode.name.lower()}
    if event.fragments:
        plain["fragments"] = [{"length": fragment.length, "at_us": fragment.at_us} for fragment in event.fragments]
    if event.deflated:
        plain["deflated"] = True
    return plain


def _headers_to_document(headers: Headers) -> list[object]:
    return [[bytes_to_plain(name), bytes_to_plain(value)] for name, value in headers]
