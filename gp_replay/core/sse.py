"""Event streams as a view: the events of a body, and where their data stands in it.

The rules are the WHATWG HTML standard's, section 9.2.6: lines end with LF, CRLF or CR; a BOM may come first; a line
that begins with a colon is a comment; ``data`` lines are joined with LF; an event without data is none; an ``id``
with NUL is ignored; an event the stream does not finish is dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["EventStreamParser", "ServerSentEvent", "data_lines"]

_LINE_END = re.compile(rb"\r\n|\n|\r")
_DATA_LINE = re.compile(rb"(?:(?<=[\r\n])|\A)data(?:: ?([^\r\n]*))?(?=[\r\n]|\Z)")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSentEvent:
    """One event.

    Attributes:
        type: its ``event`` field, ``message`` when there is none.
        data: its data lines, joined with LF.
        id: the last id the stream had set, b"" before the first.
        retry_ms: the reconnection time it sets, or None.
        data_spans: where the content of each data line stands, as offsets in the whole stream.
        start: where its first line begins.
        end: where the empty line that ends it begins.
    """

    type: bytes
    data: bytes
    id: bytes
    retry_ms: int | None
    data_spans: tuple[tuple[int, int], ...]
    start: int
    end: int


class EventStreamParser:
    """Reads events from an event stream, whatever it is cut into.

    Args:
        max_line_bytes: a longer line is dropped with its event, so that a stream without line ends takes no memory.
    """

    def __init__(self, *, max_line_bytes: int = 16 * 1024 * 1024) -> None:
        self._max_line_bytes = max_line_bytes
        self._parts: list[bytes] = []  # of the line under way; joined once, at its end
        self._size = 0
        self._line_from = 0
        self._after_cr = False
        self._id = b""
        self._retry_ms: int | None = None
        self._start: int | None = None
        self._clear()

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Takes the next bytes; returns the events they finish."""
        events: list[ServerSentEvent] = []
        position = 0
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 0x0A:  # the rest of a CRLF, its line is dispatched already
                position = 1
                self._line_from += 1
        for found in _LINE_END.finditer(data, position):
            self._add(data[position : found.start()])
            line = b"".join(self._parts)
            width = found.end() - found.start()
            self._line(line, events)
            self._line_from += self._size + width
            self._parts, self._size = [], 0
            position = found.end()
        self._add(data[position:])
        self._after_cr = data.endswith(b"\r") if data else self._after_cr
        return events

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if part and self._size <= self._max_line_bytes:
            self._parts.append(part)

    def _line(self, line: bytes, events: list[ServerSentEvent]) -> None:
        offset = self._line_from
        if offset == 0 and line.startswith(_BOM):
            line, offset = line[3:], 3
        if self._start is None:
            self._start = offset
        if self._size > self._max_line_bytes:
            self._dropped = True
        elif not line:
            self._dispatch(events, end=offset)
        else:
            self._field(line, offset)

    def _field(self, line: bytes, offset: int) -> None:
        name, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        match name:
            case b"data":
                self._data.append(value)
                end = offset + len(line)
                self._spans.append((end - len(value), end))
            case b"event":
                self._type = value
            case b"id" if b"\0" not in value:
                self._id = value
            case b"retry" if value.isdigit() and len(value) <= 12:
                self._retry_ms = int(value)

    def _dispatch(self, events: list[ServerSentEvent], *, end: int) -> None:
        if self._data and not self._dropped:
            event = ServerSentEvent(
                type=self._type or b"message",
                data=b"\n".join(self._data),
                id=self._id,
                retry_ms=self._retry_ms,
                data_spans=tuple(self._spans),
                start=self._start or 0,
                end=end,
            )
            events.append(event)
        self._clear()

    def _clear(self) -> None:
        self._type = b""
        self._data: list[bytes] = []
        self._spans: list[tuple[int, int]] = []
        self._retry_ms = None
        self._dropped = False
        self._start = None


def data_lines(event: bytes) -> list[tuple[int, int]]:
    """Where the content of each data line of one whole event stands."""
    return [
        found.span(1) if found[1] is not None else (found.end(), found.end()) for found in _DATA_LINE.finditer(event)
    ]
