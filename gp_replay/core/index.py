"""The index of a cassette: what is known of each stream without reading its events again.

One `Indexer` serves the writer (as events are written), `repair` (as they are read back) and cassettes held in memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from gp_replay.core.model import (
    Close,
    End,
    Event,
    Footer,
    Header,
    Message,
    Opened,
    Piece,
    Protocol,
    RequestHead,
    ResponseHead,
    Side,
    StreamEntry,
)

__all__ = ["Indexer", "MemoryCassette", "RequestKey"]

RequestKey = Callable[[str, tuple[Event, ...]], bytes]
"""Computes the match key of a complete request: role, then the client's events from `RequestHead` to `End`."""

_MAX_MODELS = 100
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,200})"')


@dataclass(slots=True)
class _Draft:
    entry: StreamEntry
    offsets: list[int] = field(default_factory=list)
    request: list[Event] | None = field(default_factory=list)
    client_ended: bool = False
    server_ended: bool = False
    closed: bool = False
    messages: int = 0
    body_bytes: int = 0


class Indexer:
    """Builds the footer from events in file order.

    Args:
        key: computes match keys, or None to leave them empty. Only the request of an open exchange is kept in memory.
        fingerprint: of the canonical form behind ``key``; see `Footer`.
    """

    def __init__(self, *, key: RequestKey | None = None, fingerprint: bytes = b"") -> None:
        self._key = key
        self._fingerprint = fingerprint if key else b""
        self._drafts: dict[int, _Draft] = {}
        self._models: dict[str, None] = {}

    def __len__(self) -> int:
        """Number of streams so far."""
        return len(self._drafts)

    def add(self, event: Event, *, offset: int) -> None:
        """Takes the next event, which stands at ``offset`` of the file.

        Raises:
            ValueError: the event's stream was never opened, or is opened twice.
        """
        if isinstance(event, Opened):
            if event.stream in self._drafts:
                raise ValueError(f"stream {event.stream} is opened twice")
            entry = StreamEntry(
                stream=event.stream,
                protocol=event.protocol,
                role=event.role,
                owner=event.owner,
                method=b"",
                target=b"",
                status=0,
                opened_us=event.at_us,
                ended_us=event.at_us,
                complete=False,
                events=0,
                messages=0,
                body_bytes=0,
                key=b"",
                offsets=(),
            )
            self._drafts[event.stream] = _Draft(entry=entry)
        draft = self._drafts.get(event.stream)
        if draft is None:
            raise ValueError(f"stream {event.stream} was never opened")
        draft.offsets.append(offset)
        self._note(draft, event)

    def footer(self, *, exit_code: int | None = None, digest: bytes = b"") -> Footer:
        """The footer for all events added so far."""
        return Footer(
            entries=tuple(_finished(self._drafts[stream]) for stream in sorted(self._drafts)),
            models=tuple(self._models),
            exit_code=exit_code,
            fingerprint=self._fingerprint,
            digest=digest,
        )

    def _note(self, draft: _Draft, event: Event) -> None:
        if event.at_us > draft.entry.ended_us:
            draft.entry = replace(draft.entry, ended_us=event.at_us)
        if draft.request is not None and event.side is Side.CLIENT and not isinstance(event, Opened):
            draft.request.append(event)
        match event:
            case RequestHead():
                draft.entry = replace(draft.entry, method=event.method, target=event.target)
                if draft.entry.protocol is Protocol.WEBSOCKET:
                    self._request_is_complete(draft)
            case ResponseHead() if event.status >= 200 or event.status == 101:
                draft.entry = replace(draft.entry, status=event.status)
            case Piece():
                draft.body_bytes += len(event.data)
            case Message():
                draft.body_bytes += len(event.data)
                draft.messages += 1
            case End() if event.side is Side.CLIENT:
                draft.client_ended = True
                self._request_is_complete(draft)
            case End():
                draft.server_ended = True
            case Close():
                draft.closed = True
            case _:
                pass

    def _request_is_complete(self, draft: _Draft) -> None:
        request, draft.request = draft.request, None
        if not request:
            return
        body = b"".join(event.data for event in request if isinstance(event, Piece))
        for name in _MODEL.findall(body):
            if len(self._models) < _MAX_MODELS:
                self._models.setdefault(name.decode("utf-8", "replace"))
        if self._key is not None:
            draft.entry = replace(draft.entry, key=self._key(draft.entry.role, tuple(request)))


def _finished(draft: _Draft) -> StreamEntry:
    if draft.entry.protocol is Protocol.HTTP:
        complete = draft.client_ended and draft.server_ended
    else:
        complete = draft.closed or draft.server_ended
    return replace(
        draft.entry,
        complete=complete,
        events=len(draft.offsets),
        messages=draft.messages,
        body_bytes=draft.body_bytes,
        offsets=tuple(draft.offsets),
    )


class MemoryCassette:
    """A cassette whose events are all in memory: takes in flight, and tests.

    Args:
        header: its header.
        events: in the order they were written; any streams interleaved.
        key, fingerprint: as for `Indexer`.

    Raises:
        ValueError: an event's stream was never opened, or is opened twice.
    """

    def __init__(
        self, header: Header, events: Iterable[Event], *, key: RequestKey | None = None, fingerprint: bytes = b""
    ) -> None:
        self._header = header
        self._streams: dict[int, list[Event]] = {}
        indexer = Indexer(key=key, fingerprint=fingerprint)
        for number, event in enumerate(events):
            indexer.add(event, offset=number)
            self._streams.setdefault(event.stream, []).append(event)
        self._footer = indexer.footer()

    @property
    def header(self) -> Header:
        return self._header

    @property
    def footer(self) -> Footer:
        return self._footer

    def events(self, stream: int) -> tuple[Event, ...]:
        """See `gp_replay.core.model.Cassette.events`."""
        return tuple(sorted(self._streams[stream], key=lambda event: event.at_us))
