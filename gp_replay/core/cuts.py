"""Ids that deltas cut: the strings at one JSON path in consecutive messages or events are one text.

Where such a text holds an id that no single string holds whole, this says which part of it stands where, so that it can
be said as another one all the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gp_replay.core.json_strings import decoded, json_strings
from gp_replay.core.rewriter import Edit
from gp_replay.core.shapes import embedded_ids, is_id
from gp_replay.core.sse import data_lines

__all__ = ["Cut", "cut_edits", "cuts_of"]

_MAX_DELTA = 200
"""A longer string is no delta that cuts an id."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of an id: ``[start, end)`` of its unit is ``[first, last)`` of the id."""

    start: int
    end: int
    id: bytes
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Part:
    unit: int
    start: int
    text: bytes


def cuts_of(units: Sequence[bytes], *, event_stream: bool) -> Mapping[int, Sequence[Cut]]:
    """The cut ids of a conversation's messages, or of a body's pieces, by unit.

    Args:
        units: in order. Of an event stream pieces of whole events; others give nothing.
        event_stream: the JSON stands in ``data:`` lines.
    """
    texts: dict[tuple[str | int, ...], list[_Part]] = {}
    for number, unit in enumerate(units):
        for start, end in data_lines(unit) if event_stream else ((0, len(unit)),):
            raw = unit[start:end]
            if raw[:1] not in (b"{", b"["):
                continue
            for string in json_strings(raw):
                size = string.end - string.start
                if not string.escaped and 0 < size <= _MAX_DELTA:
                    part = _Part(number, start + string.start, raw[string.start : string.end])
                    texts.setdefault(string.path, []).append(part)
                elif size:
                    content = decoded(raw[string.start : string.end])
                    texts.setdefault(string.path, []).append(_Part(number, -1, content))
    found: dict[int, list[Cut]] = {}
    for parts in texts.values():
        if len({part.text for part in parts}) > 1:
            _look(parts, found)
    return found


def _look(parts: Sequence[_Part], found: dict[int, list[Cut]]) -> None:
    whole = b"".join(part.text for part in parts).decode("latin-1")
    bounds: list[int] = []
    position = 0
    for part in parts:
        bounds.append(position)
        position += len(part.text)
    for start, end in embedded_ids(whole):
        inside = []
        for number in range(bisect_right(bounds, start) - 1, len(parts)):
            if bounds[number] >= end:
                break
            inside.append((bounds[number], parts[number]))
        if len(inside) < 2 or any(part.start < 0 for _, part in inside):
            continue
        if all(is_id(part.text.decode("latin-1")) for _, part in inside):
            continue  # ids that follow each other, each whole
        for bound, part in inside:
            low, high = max(start, bound), min(end, bound + len(part.text))
            text = whole[start:end].encode("latin-1")
            cut = Cut(part.start + low - bound, part.start + high - bound, text, low - start, high - start)
            found.setdefault(part.unit, []).append(cut)


def cut_edits(cuts: Sequence[Cut], live: Callable[[bytes], bytes | None]) -> list[Edit]:
    """What to change in one unit: each part gets as much of the live id as of the recorded one, the last the rest."""
    edits = []
    for cut in cuts:
        said = live(cut.id)
        if said is None or said == cut.id:
            continue
        last = cut.last == len(cut.id)
        edits.append(Edit(cut.start, cut.end, said[cut.first :] if last else said[cut.first : cut.last]))
    return edits
