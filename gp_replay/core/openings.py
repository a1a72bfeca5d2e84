"""When our client parts open their streams: after those that had ended before them in the recording have ended live."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from gp_replay.core.explain import Recorded

__all__ = ["Openings"]


class Openings:
    """Streams to be opened, each behind the recorded streams that ended before it began.

    Args:
        played: all recordings of the play state.
        ours: those of which we play the client.

    Attributes:
        waiting: openings that are ready and not yet done, by the live number they will have (negative).
    """

    def __init__(self, played: Sequence[Recorded], ours: Sequence[Recorded]) -> None:
        self._by_end = sorted(played, key=lambda item: item.entry.ended_us)
        self._done: set[int] = set()
        self._passed = 0
        self.waiting: dict[int, Recorded] = {}
        ends = [item.entry.ended_us for item in self._by_end]
        self._blocked: deque[tuple[int, Recorded]] = deque()
        before = 0
        for item in sorted(ours, key=lambda item: item.entry.opened_us):
            while before < len(ends) and ends[before] < item.entry.opened_us:
                before += 1
            self._blocked.append((before, item))

    def ended(self, number: int) -> None:
        """A live stream played this recording to its end."""
        self._done.add(number)
        while self._passed < len(self._by_end) and self._by_end[self._passed].number in self._done:
            self._passed += 1

    def ready(self) -> Iterator[tuple[int, int]]:
        """Openings whose gate is open: their live number, and their recorded distance from it in microseconds."""
        while self._blocked and self._blocked[0][0] <= self._passed:
            before, item = self._blocked.popleft()
            gate_us = self._by_end[before - 1].entry.ended_us if before else 0
            live = -1 - item.number
            self.waiting[live] = item
            yield live, max(0, item.entry.opened_us - gate_us)
