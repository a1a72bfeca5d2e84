"""Limits in time, judged on offsets: of a recording, or of a live stream, never of a replay's own pace."""

from __future__ import annotations

from collections import deque

from gp_replay.contracts.contract import Contract, Limit
from gp_replay.contracts.findings import Notes
from gp_replay.contracts.said import Said

__all__ = ["OPENED", "RUN", "Limits"]

OPENED = "opened"
"""Instead of an event: the connection is asked for."""
RUN = "run"
"""Instead of an event: a run begins; or any event of a run, where a limit is about runs."""

_MAX_WAITING = 1_000


class Limits:
    """The limits of one connection.

    Args:
        contract: whose.
        timed: False where offsets say nothing; then nothing is ever late.
    """

    def __init__(self, contract: Contract, *, timed: bool) -> None:
        limits = contract.limits if timed else ()
        self._gaps = tuple(limit for limit in limits if limit.start == RUN and limit.end == RUN)
        self._whole = tuple(limit for limit in limits if not limit.start and limit.end == RUN)
        rest = [limit for limit in limits if limit not in self._gaps and limit not in self._whole]
        self._spans: tuple[tuple[Limit, deque[int]], ...] = tuple((limit, deque()) for limit in rest)
        self._named = {name for limit in rest for name in (limit.start, limit.end)}

    def hear(self, name: str, said: Said, notes: Notes, *, not_before_us: int = 0) -> None:
        """Takes the next event by its name, `OPENED` or `RUN`.

        Args:
            name: of the event.
            said: what was said.
            notes: takes what is late.
            not_before_us: what is being worked off in order cannot have begun before.
        """
        if name not in self._named:
            return
        for limit, starts in self._spans:
            if limit.end == name and starts:
                took_us = said.at_us - max(starts.popleft(), not_before_us)
                if took_us > limit.max_us:
                    _late(limit, took_us, said, notes)
            if limit.start == name and len(starts) < _MAX_WAITING:
                starts.append(said.at_us)

    def between(self, last_us: int, said: Said, notes: Notes) -> None:
        """An event of a run came, and the one before it at `last_us`."""
        for limit in self._gaps:
            if said.at_us - last_us > limit.max_us:
                _late(limit, said.at_us - last_us, said, notes)

    def whole(self, began_us: int, said: Said, notes: Notes) -> bool:
        """An event of a run that began at `began_us` came. True if the run has lasted too long."""
        for limit in self._whole:
            if said.at_us - began_us > limit.max_us:
                _late(limit, said.at_us - began_us, said, notes)
                return True
        return False


def _late(limit: Limit, took_us: int, said: Said, notes: Notes) -> None:
    notes.find(
        said,
        f"limit.{limit.name}",
        level=limit.level,
        expected=f"within {limit.max_us / 1e6:g} s",
        came=f"after {took_us / 1e6:.3f} s",
        fix=f"find out what was slow, or raise limits.{limit.name}",
    )
