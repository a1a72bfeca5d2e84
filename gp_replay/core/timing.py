"""How recorded distances become live ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gp_replay.errors import UsageError

__all__ = ["Pace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A way of pacing: ``recorded``, ``instant``, ``scale:N`` or ``cap:SECONDS``.

    Attributes:
        factor: recorded distances are multiplied by it; 0 is instant, 1 as recorded, 0.5 twice as fast.
        cap_us: no single distance is longer, or None.
    """

    factor: float = 1.0
    cap_us: int | None = None

    def delay_us(self, recorded_us: int) -> int:
        """The live distance for a recorded one, both in microseconds."""
        delay = recorded_us if self.factor == 1.0 else int(recorded_us * self.factor)
        return delay if self.cap_us is None else min(delay, self.cap_us)

    @classmethod
    def parse(cls, text: str) -> Pace:
        """Reads ``recorded``, ``instant``, ``scale:N`` (N >= 0) or ``cap:SECONDS`` (>= 0).

        Raises:
            UsageError: anything else.
        """
        kind, _, number = text.partition(":")
        if text == "recorded":
            return cls()
        if text == "instant":
            return cls(factor=0.0)
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if math.isfinite(value) and value >= 0:
            if kind == "scale":
                return cls(factor=value)
            if kind == "cap":
                return cls(cap_us=int(value * 1_000_000))
        raise UsageError(f"timing {text!r}", hint="recorded, instant, scale:0.5 (twice as fast) or cap:SECONDS")

    def __str__(self) -> str:
        if self.cap_us is not None:
            return f"cap:{self.cap_us / 1_000_000:g}"
        return {0.0: "instant", 1.0: "recorded"}.get(self.factor, f"scale:{self.factor:g}")
