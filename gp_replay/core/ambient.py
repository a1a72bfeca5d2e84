"""Traffic outside the script: heartbeats that come on their period whatever is being said, and their answers.

What counts is in tables. A ping of ours is produced on its period, one of the live side is answered as it was recorded;
neither gates anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import orjson

from gp_replay.core.model import Event, Message, Opcode, Ping

__all__ = ["Ambient", "Beat", "ambient_of", "beat_of"]


class Ambient(Enum):
    """What an ambient message does."""

    PING = "ping"
    PONG = "pong"


_NAMES = {
    Ambient.PING: frozenset({b"ping", b"heartbeat", b"keepalive", b"keep_alive", b"keep-alive", b"ka"}),
    Ambient.PONG: frozenset({b"pong", b"heartbeat_ack", b"heartbeat_response"}),
}
_TEXTS = {b"ping": Ambient.PING, b"pong": Ambient.PONG}
_ENGINE_IO = {b"2": Ambient.PING, b"3": Ambient.PONG}
_ENGINE_IO_TARGET = re.compile(rb"[?&]EIO=\d")
_DISCRIMINATORS = ("type", "event", "op", "action", "kind", "method")
_LIGHT = 40
"""A heartbeat carries ids, times and counters; a longer text is said by somebody."""
_MAX_BYTES = 256
"""A heartbeat is short; what is longer says something."""


def ambient_of(event: Event, target: bytes) -> Ambient | None:
    """What an event is outside the script, or None for one that belongs to it.

    Args:
        event: any; only messages and ping frames can be ambient.
        target: of the connection's request; it says what protocol the messages are in.
    """
    if isinstance(event, Ping):
        return Ambient.PING
    if not isinstance(event, Message) or event.opcode is not Opcode.TEXT or len(event.data) > _MAX_BYTES:
        return None
    data = event.data.strip()
    if len(data) == 1:
        return _ENGINE_IO.get(data) if _ENGINE_IO_TARGET.search(target) else None
    if data[:1] != b"{":
        return _TEXTS.get(data.lower())
    lowered = data.lower()
    if b'"' not in data or not any(name in lowered for names in _NAMES.values() for name in names):
        return None
    return _named(data)


def _named(data: bytes) -> Ambient | None:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    said = {str(value[name]).lower().encode() for name in _DISCRIMINATORS if isinstance(value.get(name), str)}
    if any(_says_something(item) for name, item in value.items() if name not in _DISCRIMINATORS):
        return None
    return next((kind for kind, names in _NAMES.items() if said & names), None)


def _says_something(value: object) -> bool:
    if isinstance(value, str):
        return len(value) > _LIGHT or " " in value
    return isinstance(value, dict | list) and bool(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A heartbeat of the part we play.

    Attributes:
        event: as recorded.
        period_us: the median of its recorded distances; the first counts from the opening of the connection.
    """

    event: Event
    period_us: int


def beat_of(pings: Sequence[Event], *, opened_us: int) -> Beat | None:
    """The heartbeat that these recorded pings of one side were; None without any.

    Args:
        pings: in recorded order.
        opened_us: when the connection was open.
    """
    if not pings:
        return None
    times = [opened_us, *(event.at_us for event in pings)]
    gaps = sorted(later - sooner for sooner, later in pairwise(times))
    return Beat(event=pings[0], period_us=max(1_000, gaps[len(gaps) // 2]))
