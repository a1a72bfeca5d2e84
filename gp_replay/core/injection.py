"""The faults of one play state: which live stream gets which, which of them happened, what they brought to light."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gp_replay.core.faulting import faulted
from gp_replay.core.faults import Fault
from gp_replay.core.landmarks import kind_of
from gp_replay.core.model import Message, RequestHead
from gp_replay.core.playing import Candidate
from gp_replay.core.script import StreamScript

__all__ = ["Injection"]

_NAMED = 3
"""Recordings that are named where several are left."""
_MAX_NOTES = 1_000


class Injection:
    """The faults of one play state: which live stream gets which.

    Args:
        faults: as asked for.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(dict.fromkeys(faults))
        self._fitted: Counter[Fault] = Counter()
        self._happened: Counter[tuple[str, str]] = Counter()
        self._notes: dict[str, None] = {}

    @property
    def happened(self) -> tuple[tuple[str, str, int], ...]:
        """Text of each fault that happened, to which recording, and how often."""
        return tuple((text, label, times) for (text, label), times in self._happened.items())

    @property
    def notes(self) -> tuple[str, ...]:
        """What clients said while a fault held back what they should have waited for."""
        return tuple(self._notes)

    def befall(self, candidates: Sequence[Candidate], live: RequestHead) -> None:
        """Gives the recordings that one live stream may get the faults that are due on it."""
        if not self._faults:
            return
        due = []
        for fault in self._faults:
            if all(faulted(item.script, [fault], live=live) is item.script for item in candidates):
                continue
            self._fitted[fault] += 1
            if fault.nth in (None, self._fitted[fault]):
                due.append(fault)
        for item in candidates if due else ():
            item.script = faulted(item.script, due, live=live)
        labels = [item.recorded.label for item in candidates]
        label = " or ".join(labels[:_NAMED]) + (" or another" if len(labels) > _NAMED else "")
        for text in dict.fromkeys(text for item in candidates for text in item.script.faults):
            self._happened[text, label] += 1

    def cut(self, script: StreamScript, label: str) -> None:
        """A connection came to its age."""
        if script.age_cut is not None:
            self._happened[script.age_cut[1], label] += 1

    def early(self, label: str, message: Message) -> None:
        """A client said this while a fault held back what it should have waited for."""
        if len(self._notes) < _MAX_NOTES:
            self._notes[f"{label}: the client said {kind_of(message) or 'something'} before the welcome"] = None
