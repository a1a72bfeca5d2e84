"""What differs between two payloads: by JSON path where both are JSON, else around the first differing character.

Payloads are bodies, messages, and the data of server-sent events. Whatever differs in bytes gives at least one change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import orjson

from gp_replay.core.aligning import align
from gp_replay.core.places import Any_, Place, format_place
from gp_replay.core.shapes import is_time_number, shape_of
from gp_replay.report.plain_text import printable

__all__ = ["MAX_SHOWN", "Change", "event_blocks", "event_changes", "payload_changes", "purpose", "text_change"]

MAX_SHOWN = 160
"""How many characters of a value are shown, before escaping."""

_BEFORE = 40
_MAX_DEPTH = 100
_EMBEDDED = re.compile(r"[\w:/,.-]{1,24}(?=[\[{])")
_WORDS = re.compile(r"[^A-Za-z0-9_-]+")
_PURPOSES = ("type", "event", "event_type", "method", "op", "kind", "object", "role")
# Atomic, so that the two bytes of one line end are never taken for two line ends.
_BLOCK = re.compile(rb".*?(?:(?>\r\n|\n|\r){2}|\Z)", re.DOTALL)
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference within a payload.

    Attributes:
        place: as `gp_replay.core.places` writes it.
        a, b: the values, JSON or text, bounded and safe to print; None where there is none.
        volatile: ``id`` or ``time`` where both values have that shape, else "".
        spelling: the values are equal; they are only written differently.
    """

    place: str
    a: str | None
    b: str | None
    volatile: str = ""
    spelling: bool = False


def payload_changes(a: bytes, b: bytes, *, part: str) -> list[Change]:
    """What differs between two payloads; nothing where they are equal.

    Args:
        a, b: any bytes.
        part: what every place begins with: ``body``, ``message``, ``data``.
    """
    if a == b:
        return []
    text_a, text_b = a.decode("utf-8", "surrogateescape"), b.decode("utf-8", "surrogateescape")
    return list(_text(text_a, text_b, (part,), depth=0, nested=False))


def text_change(a: str, b: str, *, place: str, name: str = "", spelling: bool = False) -> Change:
    """Two different texts, shown around the first character that differs."""
    shown_a, shown_b = _windows(a, b)
    volatile = "" if spelling else _volatile(a, b, name)
    return Change(place=place, a=shown_a, b=shown_b, volatile=volatile, spelling=spelling)


def purpose(payload: bytes) -> Hashable:
    """What kind of message a payload is, by the member that says so (``type``, ``event`` …) or by its form."""
    found = _json(payload.decode("utf-8", "surrogateescape"))
    if found is None:
        return "text"
    return found[0], _purpose(found[1])


def event_blocks(body: bytes) -> list[bytes]:
    """The blocks of a ``text/event-stream`` with their line ends; joined they are the body."""
    return [block for block in _BLOCK.findall(body) if block]


def event_changes(a: bytes, b: bytes) -> list[Change]:
    """What differs between two blocks of an event stream: its data as a payload, its other lines as text."""
    if a == b:
        return []
    (data_a, rest_a), (data_b, rest_b) = _event(a), _event(b)
    changes = payload_changes(data_a, data_b, part="data")
    if rest_a != rest_b:
        changes.append(text_change(rest_a, rest_b, place="fields"))
    if not changes:
        raw = a.decode("utf-8", "surrogateescape"), b.decode("utf-8", "surrogateescape")
        changes.append(text_change(*raw, place="data", spelling=True))
    return changes


def _event(block: bytes) -> tuple[bytes, str]:
    data: list[bytes] = []
    rest: list[str] = []
    for line in _LINE_END.split(block):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif line:
            rest.append((name + b": " + value.removeprefix(b" ")).decode("utf-8", "surrogateescape"))
    return b"\n".join(data), "\n".join(rest)


def _text(a: str, b: str, place: Place, *, depth: int, nested: bool) -> Iterator[Change]:
    """Two different texts that may hold JSON."""
    found_a, found_b = (_json(a), _json(b)) if depth < _MAX_DEPTH else (None, None)
    if found_a is None or found_b is None or found_a[0] != found_b[0]:
        yield text_change(a, b, place=format_place(place), name=_name(place))
        return
    inside = (*place, Any_.JSON) if nested or found_a[0] else place
    changes = list(_values(found_a[1], found_b[1], inside, depth=depth + 1))
    yield from changes or [text_change(a, b, place=format_place(place), spelling=True)]


def _values(a: object, b: object, place: Place, *, depth: int) -> Iterator[Change]:
    """Two JSON values of the same place, equal or not."""
    match a, b:
        case dict(), dict() if depth < _MAX_DEPTH:
            yield from _objects(a, b, place, depth)
        case list(), list() if depth < _MAX_DEPTH:
            yield from _arrays(a, b, place, depth)
        case str(), str():
            if a != b:
                yield from _text(a, b, place, depth=depth, nested=True)
        case _:
            if type(a) is not type(b) or _packed(a) != _packed(b):
                yield _change(a, b, place)


def _objects(a: dict[str, object], b: dict[str, object], place: Place, depth: int) -> Iterator[Change]:
    only_a, only_b = [key for key in a if key not in b], [key for key in b if key not in a]
    if len(only_a) == len(only_b) == 1 and _packed(a[only_a[0]]) == _packed(b[only_b[0]]):
        # A member with another name and the same value is one change, not two.
        old, new = only_a.pop(), only_b.pop()
        yield _change({old: a[old]}, {new: b[new]}, (*place, old))
    for key, value in a.items():
        if key in b:
            yield from _values(value, b[key], (*place, key), depth=depth + 1)
        elif key in only_a:
            yield Change(place=format_place((*place, key)), a=_shown(value), b=None)
    for key in only_b:
        yield Change(place=format_place((*place, key)), a=None, b=_shown(b[key]))


def _arrays(a: list[object], b: list[object], place: Place, depth: int) -> Iterator[Change]:
    for i, j in align(a, b, same=_packed, like=_purpose):
        if i is None:
            assert j is not None
            yield Change(place=format_place((*place, j)), a=None, b=_shown(b[j]))
        elif j is None:
            yield Change(place=format_place((*place, i)), a=_shown(a[i]), b=None)
        else:
            yield from _values(a[i], b[j], (*place, i), depth=depth + 1)


def _change(a: object, b: object, place: Place) -> Change:
    shown_a, shown_b = _windows(_compact(a), _compact(b))
    is_time = _is_time(a, _name(place)) and _is_time(b, _name(place))
    return Change(place=format_place(place), a=shown_a, b=shown_b, volatile="time" if is_time else "")


def _is_time(value: object, name: str) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_time_number(value, name)


def _json(text: str) -> tuple[str, object] | None:
    """A short prefix and the JSON object or array behind it, or None; the canonical form looks into the same texts."""
    if not text or text.rstrip()[-1:] not in ("}", "]"):
        return None
    found = None if text.lstrip()[:1] in ("{", "[") else _EMBEDDED.match(text)
    prefix = found[0] if found else ""
    try:
        value: object = orjson.loads(text[len(prefix) :])
        orjson.dumps(value)  # refuses what nests deeper than the walk below should go
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, UnicodeEncodeError):
        return None
    return (prefix, value) if isinstance(value, dict | list) else None


def _purpose(value: object) -> Hashable:
    match value:
        case dict():
            said = [(key, value[key]) for key in _PURPOSES if isinstance(value.get(key), str)]
            return said[0] if said else tuple(sorted(value))
        case [str(first), *_]:
            return first
        case _:
            return type(value).__name__


def _name(place: Place) -> str:
    return next((step for step in reversed(place[1:]) if isinstance(step, str)), "")


def _packed(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _shown(value: object) -> str:
    text = _compact(value)
    return printable(text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…")


def _windows(a: str, b: str) -> tuple[str, str]:
    """Both texts, safe to print, the same stretch of each where they are long."""
    common = next((n for n, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), min(len(a), len(b)))
    start = max(0, common - _BEFORE) if max(len(a), len(b)) > MAX_SHOWN else 0
    shown = []
    for text in (a, b):
        cut = text[start : start + MAX_SHOWN]
        shown.append(("…" if start else "") + printable(cut) + ("…" if start + len(cut) < len(text) else ""))
    return shown[0], shown[1]


def _volatile(a: str, b: str, name: str) -> str:
    """The shape both texts have, or that all words have in which they differ."""
    shape = shape_of(a, name)
    if shape:
        return shape if shape == shape_of(b, name) else ""
    words_a, words_b = _WORDS.split(a), _WORDS.split(b)
    if len(words_a) != len(words_b) or _WORDS.findall(a) != _WORDS.findall(b):
        return ""
    shapes = {(shape_of(one), shape_of(other)) for one, other in zip(words_a, words_b, strict=True) if one != other}
    return "id" if shapes == {("id", "id")} else ""
