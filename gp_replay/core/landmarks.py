"""What kind of message one is, and which of them a live client waits for.

A part of ours that plays the client cannot count what the server says: the number of deltas is free. It waits for
*landmarks*: of the messages since it last spoke, the last one whose kind occurs only once among them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import orjson

from gp_replay.core.model import Message, Opcode

__all__ = ["kind_of", "landmark_of"]

_DISCRIMINATORS = ("type", "event", "event_type", "method", "op", "action", "kind", "status", "object")
_MAX_KEYS = 12


def kind_of(message: Message) -> str:
    """What kind of message it is: the values that say so, else its members, never its content."""
    if message.opcode is not Opcode.TEXT:
        return "binary"
    text = message.data.lstrip()
    prefix = b""
    if text[:1].isdigit():  # socket.io: 42["event",{…}]
        digits = len(text) - len(text.lstrip(b"0123456789"))
        prefix, text = text[: min(digits, 2)], text[digits:]
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return f"{prefix.decode()}text"
    if isinstance(value, list) and value and isinstance(value[0], str):
        return f"{prefix.decode()}{value[0]}"
    if not isinstance(value, dict):
        return f"{prefix.decode()}{type(value).__name__}"
    said = [f"{name}={value[name]}" for name in _DISCRIMINATORS if isinstance(value.get(name), str)]
    if not said:
        for outer in ("data", "payload", "message"):
            inner = value.get(outer)
            if isinstance(inner, dict):
                said = [f"{outer}.{name}={inner[name]}" for name in _DISCRIMINATORS if isinstance(inner.get(name), str)]
    return prefix.decode() + " ".join(said or _members(value))


def _members(value: dict[str, object]) -> list[str]:
    """Where no member says what a message is, its members do: ``serverContent.turnComplete``."""
    names: list[str] = []
    for name in sorted(value)[:_MAX_KEYS]:
        inner = value[name]
        names += [f"{name}.{deeper}" for deeper in sorted(inner)[:_MAX_KEYS]] if isinstance(inner, dict) else [name]
    return names


def landmark_of(kinds: Sequence[str]) -> int | None:
    """Which of the messages of one turn ends it: the last whose kind is unique in it, else the last; None without any.

    Args:
        kinds: of the messages, in order.
    """
    counts = Counter(kinds)
    for number in range(len(kinds) - 1, -1, -1):
        if counts[kinds[number]] == 1:
            return number
    return len(kinds) - 1 if kinds else None
