"""The only reader of time."""

from __future__ import annotations

import time
from datetime import UTC, datetime

__all__ = ["Clock", "utc_now", "utc_seconds"]


class Clock:
    """Microseconds since it was made, from the monotonic clock."""

    def __init__(self) -> None:
        self._start_ns = time.monotonic_ns()
        self._last_us = -1

    def now_us(self) -> int:
        """The time now."""
        return (time.monotonic_ns() - self._start_ns) // 1000

    def stamp_us(self) -> int:
        """The time of a read: later than every earlier stamp, so that their order is the order of the reads."""
        self._last_us = max(self.now_us(), self._last_us + 1)
        return self._last_us


def utc_now() -> str:
    """Date and time in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def utc_seconds() -> int:
    """Whole seconds since 1970."""
    return int(time.time())
