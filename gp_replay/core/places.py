"""Where a value stands in a request or message, as text that rules, misses and reports share.

::

    place   = part step*
    part    = "body" | "query" | "message" | "method" | "path" | "media_type" | "opcode" | "subprotocol"
    step    = "." name            a member of an object; a name outside [A-Za-z0-9_-] is written ["…"] with JSON
    escapes
            | "[" number "]"      an element of an array
            | "[*]"               any element (rules only)
            | "{}"                into a string that holds JSON

Examples: ``body.messages[*].id``, ``query.t``, ``message.payload.arguments{}.city``, ``body["odd.name"]``.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TypeAlias

from gp_replay.errors import UsageError

__all__ = ["Any_", "Place", "Step", "covers", "format_place", "parse_place"]


class Any_(Enum):
    """Steps that are not names or numbers."""

    ELEMENT = "[*]"
    JSON = "{}"


Step: TypeAlias = str | int | Any_
Place: TypeAlias = tuple[Step, ...]
"""The part first, as a string."""

_PARTS = frozenset({"body", "query", "message", "method", "path", "media_type", "opcode", "subprotocol"})
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_STEP = re.compile(r'\.([A-Za-z0-9_-]+)|\[(\d{1,9})\]|(\[\*\])|(\{\})|\[("(?:[^"\\]|\\.)*")\]')


def format_place(place: Place) -> str:
    """The text of a place."""
    text = str(place[0])
    for step in place[1:]:
        match step:
            case int():
                text += f"[{step}]"
            case Any_():
                text += step.value
            case str() if _NAME.fullmatch(step):
                text += f".{step}"
            case str():
                text += f"[{json.dumps(step)}]"
    return text


def covers(wide: Place, place: Place) -> bool:
    """Whether ``place`` is the place ``wide``, or within it; ``[*]`` stands for any element."""
    return len(wide) <= len(place) and all(
        step == inner or (step is Any_.ELEMENT and isinstance(inner, int))
        for step, inner in zip(wide, place, strict=False)
    )


def parse_place(text: str) -> Place:
    """Reads a place.

    Raises:
        UsageError: the text is not one; it names the position.
    """
    part = _NAME.match(text)
    if part is None or part[0] not in _PARTS:
        raise UsageError(f"{text!r} does not begin with one of {', '.join(sorted(_PARTS))}")
    place: list[Step] = [part[0]]
    position = part.end()
    while position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            raise UsageError(f"{text!r} is not a place: character {position + 1}", hint="like body.messages[*].id")
        if step[1] is not None:
            place.append(step[1])
        elif step[2] is not None:
            place.append(int(step[2]))
        elif step[5] is not None:
            place.append(_unquote(step[5], text))
        else:
            place.append(Any_.ELEMENT if step[3] else Any_.JSON)
        position = step.end()
    return tuple(place)


def _unquote(quoted: str, text: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError as error:
        raise UsageError(f"{text!r} is not a place: {quoted}") from error
