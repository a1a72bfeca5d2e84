"""How far one live stream is in what is played to it: the player's memory of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gp_replay.core.bindings import Bindings
from gp_replay.core.explain import Recorded
from gp_replay.core.model import Close, Event
from gp_replay.core.script import Cue, Step, StreamScript

__all__ = ["Candidate", "Playing"]


@dataclass(slots=True)
class Candidate:
    """A recording that may be the one a live stream gets, or is.

    Attributes:
        recorded, script: which.
        heard: a byte for each cue, 1 once it was heard.
        opened_us: when the first so many cues had all been heard, by that number; [0] is when the stream opened.
    """

    recorded: Recorded
    script: StreamScript
    heard: bytearray
    opened_us: list[int]

    def hear(self, digest: bytes, now_us: int) -> int | None:
        """Marks the first unheard cue with this digest; its number, or None."""
        return self._mark(lambda cue: cue.digest == digest, now_us)

    def hear_close(self, now_us: int) -> int | None:
        """Marks the other part's farewell, whatever code it gives; its number, or None."""
        return self._mark(lambda cue: isinstance(cue.event, Close), now_us)

    def _mark(self, agrees: Callable[[Cue], bool], now_us: int) -> int | None:
        for number, cue in enumerate(self.script.cues):
            if not self.heard[number] and agrees(cue):
                self.heard[number] = 1
                while self.gate < len(self.heard) and self.heard[self.gate]:
                    self.opened_us.append(now_us)
                return number
        return None

    @property
    def gate(self) -> int:
        """How many cues from the start have all been heard."""
        return len(self.opened_us) - 1

    def next_step(self, position: int) -> Step | None:
        """The step at a position; None behind the last one."""
        return self.script.steps[position] if position < len(self.script.steps) else None


@dataclass(slots=True)
class Playing:
    """One live stream.

    Attributes:
        live: its number.
        candidates: the recordings left; one, once it is claimed.
        last_us: when either side last said something.
        claimed: its recording is chosen and nobody else's.
        position: of the next step.
        due_us: when the last step was due.
        over: the last step was said, or it was refused.
        deaf: it was refused or has ended early: what is still heard means nothing.
        wakes_us: when it next needs `Player.tick`, or None.
        path: of its request.
        told: what was said while several recordings were left.
        bindings: ids that stand for recorded ones here.
    """

    live: int
    candidates: list[Candidate]
    last_us: int
    claimed: bool = False
    position: int = 0
    due_us: int = 0
    over: bool = False
    deaf: bool = False
    wakes_us: int | None = None
    path: str = field(default="")
    told: list[Event] = field(default_factory=list)
    bindings: Bindings = field(default_factory=Bindings)

    def bind(self) -> None:
        """The recording is chosen: its ids give way to those that were told before."""
        for step, said in zip(self.candidates[0].script.steps, self.told, strict=False):
            self.bindings.learn(recorded=step.event, said=said)
        self.told.clear()
