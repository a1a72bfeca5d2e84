"""The text deltas of a stream, rewritten as the joined text they are.

An LLM streams one word an event: ``{"choices":[{"delta":{"content":"sk-ab"}}]}``, then ``"cdef…"``. The strings at
one JSON path in consecutive units (SSE events, WebSocket messages) are one text with its own `Rewriter`, whatever the
path. A unit is withheld while one of its strings is. Units over 4 KiB are no deltas.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from gp_replay.core.json_strings import JsonPath, RawString, decoded, json_strings, write_back
from gp_replay.core.rewriter import Finder, Rewriter

__all__ = ["MAX_UNIT", "Deltas", "EventStreamDeltas"]

MAX_UNIT = 4096
# A delta of four characters comes in an event of some 250 bytes: a JWT of 800 characters holds back so much.
_MAX_HELD = 65_536
# Other events may come in between (pings, other paths), but a text that has not gone on for so many has ended.
_MAX_GAP = 16
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DATA_LINE = re.compile(rb"(?m)^data: ?([\[{].*?)\r?$")
_HIDING = re.compile(rb"\\u00[2-7]|\\/")


@dataclass(slots=True)
class _Unit:
    data: bytearray
    pending: int = 0


@dataclass(slots=True)
class _Joined:
    rewriter: Rewriter
    last_unit: int
    waiting: deque[tuple[_Unit, RawString, bytes]] = field(default_factory=deque)


class Deltas:
    """Rewrites the deltas of one side of one stream, unit by unit.

    Args:
        finder: what to change in a joined text; its edits keep the length.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._joined: dict[JsonPath, _Joined] = {}
        self._units: deque[_Unit] = deque()
        self._held_bytes = 0
        self._count = 0

    @property
    def withholds(self) -> bool:
        """Whether a unit is withheld."""
        return bool(self._units)

    def feed(self, unit: bytes, *, json_at: tuple[int, int]) -> list[bytes]:
        """Takes a unit; returns the units that are decided now, in order.

        Args:
            unit: an event or message.
            json_at: where its JSON stands; an empty span when it has none.
        """
        start, end = json_at
        entry = _Unit(data=bytearray(unit))
        self._count += 1
        self._units.append(entry)
        self._held_bytes += len(unit)
        if start < end and len(unit) <= MAX_UNIT and (self._joined or self._is_suspect(unit[start:end])):
            self._join(entry, unit[start:end], start)
        too_much = self._held_bytes > _MAX_HELD
        for path in [
            path for path, joined in self._joined.items() if too_much or self._count - joined.last_unit > _MAX_GAP
        ]:
            joined = self._joined.pop(path)
            self._settle(joined, joined.rewriter.finish())
        return self._released()

    def finish(self) -> list[bytes]:
        """Nothing will follow: returns what was withheld."""
        self._finish_texts()
        return self._released()

    def _is_suspect(self, text: bytes) -> bool:
        """Whether any string may end in the beginning of something, or hide it behind escapes."""
        return _HIDING.search(text) is not None or self._finder.suspects(text)

    def _join(self, entry: _Unit, text: bytes, start: int) -> None:
        for string in json_strings(text):
            content = text[string.start : string.end]
            plain = decoded(content) if string.escaped else content
            joined = self._joined.get(string.path)
            if joined is None:
                joined = _Joined(rewriter=Rewriter(self._finder), last_unit=self._count)
            joined.last_unit = self._count
            at = RawString(string.path, start + string.start, start + string.end, string.escaped)
            joined.waiting.append((entry, at, plain))
            entry.pending += 1
            self._settle(joined, joined.rewriter.feed(plain))
            if joined.waiting:
                self._joined[string.path] = joined
            else:
                self._joined.pop(string.path, None)

    def _settle(self, joined: _Joined, pieces: list[bytes]) -> None:
        for piece in pieces:
            entry, at, plain = joined.waiting.popleft()
            entry.pending -= 1
            if piece != plain:
                raw = bytes(entry.data[at.start : at.end])
                entry.data[at.start : at.end] = write_back(raw, piece) if at.escaped else piece

    def _finish_texts(self) -> None:
        for joined in self._joined.values():
            self._settle(joined, joined.rewriter.finish())
        self._joined.clear()

    def _released(self) -> list[bytes]:
        out: list[bytes] = []
        while self._units and not self._units[0].pending:
            unit = self._units.popleft()
            self._held_bytes -= len(unit.data)
            out.append(bytes(unit.data))
        return out


class EventStreamDeltas:
    """`Deltas` over an event stream that comes in pieces, each of which may hold many events or a part of one."""

    def __init__(self, finder: Finder) -> None:
        self._deltas = Deltas(finder)
        self._partial = b""
        self._lengths: deque[int] = deque()
        self._ready = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """Takes a piece; returns the pieces that are decided now, in order."""
        self._lengths.append(len(piece))
        text = self._partial + piece
        position = 0
        for found in _EVENT_END.finditer(text):
            self._take(text[position : found.end()])
            position = found.end()
        self._partial = text[position:]
        if len(self._partial) > MAX_UNIT:
            self._take(self._partial)
            self._partial = b""
        return self._pieces()

    def finish(self) -> list[bytes]:
        """Nothing will follow: returns what was withheld."""
        if self._partial:
            self._take(self._partial)
            self._partial = b""
        for unit in self._deltas.finish():
            self._ready += unit
        return self._pieces()

    def _take(self, event: bytes) -> None:
        found = _DATA_LINE.search(event)
        for unit in self._deltas.feed(event, json_at=found.span(1) if found else (0, 0)):
            self._ready += unit

    def _pieces(self) -> list[bytes]:
        out: list[bytes] = []
        while self._lengths and self._lengths[0] <= len(self._ready):
            size = self._lengths.popleft()
            out.append(bytes(self._ready[:size]))
            del self._ready[:size]
        return out
