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
from gp_replay.core.sse import data_lines

__all__ = ["MAX_UNIT", "Deltas", "EventStreamDeltas"]

MAX_UNIT = 4096
# A delta of four characters comes in an event of some 250 bytes: a JWT of 800 characters holds back so much.
_MAX_HELD = 65_536
# Other events may come in between (pings, other paths), but a text that has not gone on for so many has ended.
_MAX_GAP = 16
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE_END = re.compile(rb"\n")
# Texts that take turns (n choices, parallel tool calls) say so beside the delta.
_INDEX = re.compile(rb"\"(?:[a-z]+_)?index\":[ ]?(\d{1,6})")


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
        self._joined: dict[tuple[JsonPath, tuple[bytes, ...]], _Joined] = {}
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
            json_at: where its JSON stands, or its text when it is none; an empty span when it has neither.
        """
        start, end = json_at
        self._count += 1
        if not self._joined and (start == end or len(unit) > MAX_UNIT or not self._is_suspect(unit[start:end])):
            return [unit]
        entry = _Unit(data=bytearray(unit))
        self._units.append(entry)
        self._held_bytes += len(unit)
        if start < end and len(unit) <= MAX_UNIT:
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
        if text[:1] not in (b"{", b"[", b'"'):
            text += b'"'  # the text as a whole is the string
        return b"\\u00" in text or b"\\/" in text or self._finder.suspects(text)

    def _join(self, entry: _Unit, text: bytes, start: int) -> None:
        is_json = text[:1] in (b"{", b"[", b'"')
        index = tuple(_INDEX.findall(text)) if is_json else ()
        for string in json_strings(text) if is_json else [RawString((), 0, len(text), False)]:
            content = text[string.start : string.end]
            plain = decoded(content) if string.escaped else content
            path = (string.path, index)
            joined = self._joined.get(path)
            if joined is None:
                joined = _Joined(rewriter=Rewriter(self._finder), last_unit=self._count)
            joined.last_unit = self._count
            at = RawString(string.path, start + string.start, start + string.end, string.escaped)
            joined.waiting.append((entry, at, plain))
            entry.pending += 1
            self._settle(joined, joined.rewriter.feed(plain))
            if joined.waiting:
                self._joined[path] = joined
            else:
                self._joined.pop(path, None)

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
    """`Deltas` over an event stream that comes in pieces, each of which may hold many events or a part of one.

    Args:
        finder: see `Deltas`.
        lines: every line is a unit (NDJSON), not an event.
    """

    def __init__(self, finder: Finder, *, lines: bool = False) -> None:
        self._deltas = Deltas(finder)
        self._lines = lines
        self._unit_end = _LINE_END if lines else _EVENT_END
        self._partial = b""
        self._lengths: deque[int] = deque()
        self._ready = bytearray()

    def feed(self, piece: bytes) -> list[bytes]:
        """Takes a piece; returns the pieces that are decided now, in order."""
        self._lengths.append(len(piece))
        text = self._partial + piece if self._partial else piece
        if piece.endswith(b"\n\n") and not self._lines and text.find(b"\n\n") == len(text) - 2 and b"\r" not in text:
            self._take(text)  # as nearly all come: one event, whole
            self._partial = b""
            return self._pieces()
        position = 0
        for found in self._unit_end.finditer(text):
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

    def _take(self, unit: bytes) -> None:
        for decided in self._deltas.feed(unit, json_at=self._data_at(unit)):
            self._ready += decided

    def _data_at(self, unit: bytes) -> tuple[int, int]:
        if self._lines:
            return 0, len(unit.rstrip(b"\r\n"))
        if unit.startswith(b"data: ") and unit.find(b"\n") == len(unit) - 2:
            return 6, len(unit) - 2
        if len(unit) > MAX_UNIT:
            return 0, 0
        lines = data_lines(unit)
        return (lines[0][0], lines[-1][1]) if lines else (0, 0)

    def _pieces(self) -> list[bytes]:
        out: list[bytes] = []
        while self._lengths and self._lengths[0] <= len(self._ready):
            size = self._lengths.popleft()
            out.append(bytes(self._ready[:size]))
            del self._ready[:size]
        return out
