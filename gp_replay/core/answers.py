"""Two answers to the same request, recorded and live: what in one stands for what in the other.

An answer is one JSON value, or an event stream of them. Events are paired by their kind and their place among those of
that kind; the strings at one path in consecutive events are one text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import orjson

from gp_replay.core.secret_rules import NAMES, normal_name
from gp_replay.core.shapes import shape_of
from gp_replay.core.sse import EventStreamParser

__all__ = ["Units", "answer_pairs", "secret_pairs", "texts_of", "units_of"]

_MAX_DEPTH = 32
_PACKETS = b"\x1e"
_PACKET = re.compile(rb"(\d{1,3})(?:/[^,]{0,200},)?(?=[\[{])")
_MIN_SECRET = 16
_DISCRIMINATORS = ("type", "event", "object")


Units = Sequence[tuple[str, bytes]]
"""JSON texts in order, each with the name of its event or ""."""


def units_of(answer: bytes) -> Units:
    """The JSON texts of a body: one, those of an event stream, or those of engine.io packets."""
    if answer.lstrip()[:1] in (b"{", b"["):
        return [("", answer)]
    packets = [found for packet in answer.split(_PACKETS) if (found := _PACKET.match(packet)) is not None]
    if packets:
        return [(found[1].decode("latin-1"), found.string[found.end() :]) for found in packets]
    return [(event.type.decode("latin-1"), event.data) for event in EventStreamParser().feed(answer)]


def answer_pairs(recorded: Units, live: Units) -> list[tuple[bytes, bytes]]:
    """Ids at the same places of two answers."""
    old, new = dict(_sites(recorded)), dict(_sites(live))
    return [
        (old[site].encode(), new[site].encode())
        for site in old
        if site in new and _is_id(old[site], site) and _is_id(new[site], site)
    ]


def _is_id(text: str, site: tuple[object, ...]) -> bool:
    name = next((step for step in reversed(site) if isinstance(step, str)), "")
    return shape_of(text, name) == "id"


def secret_pairs(recorded: Units, live: Units) -> list[tuple[str, str]]:
    """Tokens at the same places of two answers: the recorded one is a pseudonym, the live one is not."""
    old, new = dict(_sites(recorded)), dict(_sites(live))
    return [
        (old[site], new[site])
        for site in old
        if site in new and normal_name(str(site[-1])) in NAMES and len(old[site]) >= _MIN_SECRET
    ]


def texts_of(units: Units) -> dict[tuple[object, ...], str]:
    """The strings of an answer by where they stand; those at one path of consecutive events are joined."""
    texts: dict[tuple[object, ...], list[str]] = {}
    for kind, _, value in _values(units):
        for path, text in _strings(value, (kind,), 0):
            texts.setdefault(path, []).append(text)
    return {path: parts[0] if len(set(parts)) == 1 else "".join(parts) for path, parts in texts.items()}


def _sites(units: Units) -> Iterator[tuple[tuple[object, ...], str]]:
    for kind, number, value in _values(units):
        yield from _strings(value, (kind, number), 0)


def _values(units: Units) -> Iterator[tuple[str, int, object]]:
    """JSON values, each with its kind and its place among those of that kind."""
    seen: dict[str, int] = {}
    for name, raw in units:
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            continue
        named = [str(value[key]) for key in _DISCRIMINATORS if key in value] if isinstance(value, dict) else []
        kind = " ".join([name, *named])
        seen[kind] = number = seen.get(kind, -1) + 1
        yield kind, number, value


def _strings(value: object, path: tuple[object, ...], depth: int) -> Iterator[tuple[tuple[object, ...], str]]:
    if depth > _MAX_DEPTH:
        return
    match value:
        case str():
            yield path, value
        case dict():
            for name, item in value.items():
                yield from _strings(item, (*path, name), depth + 1)
        case list():
            for number, item in enumerate(value):
                yield from _strings(item, (*path, number), depth + 1)
        case _:
            pass
