"""How far one live stream is in what is played to it: the player's memory of it.

Steps of a lane are said in order. Which of them is next, over all lanes, is what is due first, and of two due at the
same time the one that was recorded first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from gp_replay.core import explain
from gp_replay.core.authority import OwnAddress
from gp_replay.core.bindings import Bindings
from gp_replay.core.canonical import Form, message_form, path_of
from gp_replay.core.cuts import Cut, cuts_of
from gp_replay.core.evidence import differing_headers
from gp_replay.core.explain import Recorded
from gp_replay.core.http1 import media_type
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Close, Event, Gone, How, Message, Piece, Protocol, ResponseHead, Side
from gp_replay.core.script import Cue, Step, StreamScript
from gp_replay.core.timing import Pace

__all__ = ["Candidate", "Playing"]

_UNHEARD = -1
_NO_NUMBERS: Mapping[str, str] = MappingProxyType({})
_EXPLAINED = 10
"""Candidates that are looked at to say what would decide between them."""


@dataclass(slots=True)
class Candidate:
    """A recording that may be the one a live stream gets, or is.

    Attributes:
        recorded, script: which.
        bindings: ids, as far as this recording is the right one.
        heard_us: when each cue was heard, -1 for those that were not.
        opened_us: when the first so many cues had all been heard, by that number; [0] is when the stream opened.
        numbers: of the live side's requests, by their recorded ones.
    """

    recorded: Recorded
    script: StreamScript
    bindings: Bindings
    heard_us: list[int]
    opened_us: list[int]
    numbers: Mapping[str, str] = field(default_factory=lambda: _NO_NUMBERS)
    _cuts: Mapping[int, Sequence[Cut]] | None = None

    @classmethod
    def begin(
        cls, recorded: Recorded, script: StreamScript, *, bindings: Bindings, now_us: int, heard: int
    ) -> Candidate:
        """A candidate of a stream that opens now, with its first ``heard`` cues heard."""
        heard = min(heard, len(script.cues))
        return cls(
            recorded=recorded,
            script=script,
            bindings=bindings,
            heard_us=[now_us] * heard + [_UNHEARD] * (len(script.cues) - heard),
            opened_us=[now_us] * (1 + heard),
        )

    @property
    def is_answered(self) -> bool:
        """The other part of an exchange said all it had to; of a connection nobody can tell."""
        return self.script.entry.protocol is not Protocol.HTTP or self.gate == len(self.script.cues)

    @property
    def gate(self) -> int:
        """How many cues from the start have all been heard."""
        return len(self.opened_us) - 1

    def cuts(self) -> Mapping[int, Sequence[Cut]]:
        """The ids that are cut by deltas in what we say: by step of a connection, by piece of an answer."""
        if self._cuts is None:
            steps = [step.event for step in self.script.steps]
            heads = [event for event in steps if isinstance(event, ResponseHead)]
            if self.script.entry.protocol is Protocol.HTTP:
                streams = any(b"event-stream" in media_type(head.headers) for head in heads)
                pieces = [event.data for event in steps if isinstance(event, Piece)]
                self._cuts = cuts_of(pieces, event_stream=True) if streams else {}
            else:
                texts = [event.data if isinstance(event, Message) else b"" for event in steps]
                self._cuts = cuts_of(texts, event_stream=False)
        return self._cuts

    def unheard(self, *, digest: bytes, number: str = "") -> list[int]:
        """Numbers of the cues with this digest that were not heard yet; of a reply only those to its request."""
        cues = self.script.cues
        return [
            at
            for at in range(self.gate, len(cues))
            if self.heard_us[at] < 0 and cues[at].digest == digest and (not number or cues[at].number == number)
        ]

    def messages_to_hear(self, most: int = 5) -> list[Form]:
        """The forms of the first messages we would hear."""
        events = [cue.event for cue in self.script.cues if isinstance(cue.event, Message)][:most]
        entry, rules = self.recorded.entry, self.recorded.script.rules
        return [message_form(event, role=entry.role, path=path_of(entry.target), rules=rules) for event in events]

    def number(self, recorded: str, live: str) -> None:
        """The live side made a request under a number of its own."""
        self.numbers = {**self.numbers, recorded: live}

    def recorded_number(self, live: str) -> str | None:
        """The recorded number of a request that the live side made under this one."""
        return next((recorded for recorded, number in self.numbers.items() if number == live), None)

    def of_kind(self, kind: str) -> int | None:
        """The cue that a message of this kind stands for to a client: the first unheard one, else the last heard."""
        cues = self.script.cues
        last: int | None = None
        for at, cue in enumerate(cues):
            if cue.kind == kind:
                if self.heard_us[at] < 0:
                    return at
                last = at
        return last

    def mark(self, at: int, now_us: int) -> None:
        """The cue was heard."""
        if self.heard_us[at] >= 0:
            return
        self.heard_us[at] = now_us
        while self.gate < len(self.heard_us) and self.heard_us[self.gate] >= 0:
            self.opened_us.append(now_us)

    def hear_close(self, now_us: int) -> int | None:
        """Marks the other part's farewell, whatever code it gives; its number, or None."""
        for at, cue in enumerate(self.script.cues):
            if self.heard_us[at] < 0 and isinstance(cue.event, Close):
                self.mark(at, now_us)
                return at
        return None

    def awaited(self) -> Cue | None:
        """The first cue that was not heard."""
        return next((cue for at, cue in zip(self.heard_us, self.script.cues, strict=True) if at < 0), None)

    def is_open(self, step: Step) -> bool:
        """Whether its gate is."""
        if step.only is None:
            return step.cues <= self.gate
        return all(self.heard_us[cue] >= 0 for cue in step.only)

    def gate_us(self, step: Step) -> int:
        """When its gate opened."""
        if step.only is None:
            return self.opened_us[step.cues]
        return max((self.heard_us[cue] for cue in step.only), default=self.opened_us[0])


@dataclass(slots=True)
class Playing:
    """One live stream.

    Attributes:
        live: its number.
        candidates: the recordings left; one, once it is claimed.
        last_us: when either side last said something.
        owner: of the live request.
        path: of the live request.
        claimed: its recording is chosen and nobody else's.
        again: its recording was played before; it is not claimed by this stream.
        said: how many steps were said.
        at: of each lane, the place of its next step in it.
        due_us: of each lane, when its last step was due.
        over: the last step was said, or it was refused.
        deaf: it was refused or has ended early: what is still heard means nothing.
        wakes_us: when it next needs `Player.tick`, or None.
        beats_us: when the next heartbeat is due, or None.
        cuts_us: when the connection is too old, or None.
        was_cut: it was; no farewell was said.
        behind: recordings that must be claimed before anything is said.
        address: our own, to this client.
        heard: what we heard since we last spoke, where we play a client.
        spoke: the step we last said, where we play a client.
    """

    live: int
    candidates: list[Candidate]
    last_us: int
    owner: str | None = None
    path: str = ""
    claimed: bool = False
    again: bool = False
    said: int = 0
    at: list[int] = field(default_factory=list)
    due_us: list[int] = field(default_factory=list)
    over: bool = False
    deaf: bool = False
    wakes_us: int | None = None
    beats_us: int | None = None
    cuts_us: int | None = None
    was_cut: bool = False
    behind: frozenset[int] = frozenset()
    address: OwnAddress | None = None
    heard: list[bytes] = field(default_factory=list)
    spoke: Step | None = None

    @property
    def lead(self) -> Candidate:
        """The first recording left."""
        return self.candidates[0]

    def start_lanes(self) -> None:
        """The recording is chosen: from here on each of its lanes goes its own way."""
        lanes = self.lead.script.lanes
        last_us = self.due_us[0] if self.due_us else 0
        self.at = [sum(1 for step in lane if step < self.said) for lane in lanes]
        self.due_us = [last_us] * len(lanes)

    def ready(self) -> list[tuple[int, Step]]:
        """The next step of each lane whose gate is open, with its number; only once the recording is chosen."""
        script = self.lead.script
        return [
            (lane[at], script.steps[lane[at]])
            for lane, at in zip(script.lanes, self.at, strict=True)
            if at < len(lane) and self.lead.is_open(script.steps[lane[at]])
        ]

    def shared(self) -> list[Step]:
        """The next step of every candidate; nothing while one of them has none, or waits for a cue."""
        steps = [item.script.steps[self.said] for item in self.candidates if self.said < len(item.script.steps)]
        ready = [step for step, item in zip(steps, self.candidates, strict=False) if item.is_open(step)]
        return ready if len(ready) == len(self.candidates) else []

    def ambiguity(self) -> Refusal:
        """Why it cannot go on: what the candidates would say next is not the same."""
        heads = [item.script.head for item in self.candidates]
        return explain.ambiguous(
            [item.recorded.label for item in self.candidates],
            heads,
            differing_headers(heads),
            [item.messages_to_hear() for item in self.candidates[:_EXPLAINED]],
        )

    def saying(self, step: Step, due_us: int) -> None:
        """A step is said now."""
        self.said += 1
        if self.claimed:
            self.at[step.lane] += 1
            self.due_us[step.lane] = due_us
        else:
            self.due_us = [due_us]

    def due(self, step: Step, pace: Pace) -> int:
        """When a step of the first recording is due."""
        delay_us = pace.delay_us(step.after_us)
        before_us = self.due_us[step.lane] if step.lane < len(self.due_us) else 0
        due_us = before_us + delay_us if step.follows_step else max(self.lead.gate_us(step) + delay_us, before_us)
        if not step.held_us:
            return due_us
        spoke = [heard_us for heard_us in self.lead.heard_us[1:] if heard_us >= 0]
        held_us = due_us + step.held_us
        return min(held_us, max(due_us, min(spoke))) if step.yields and spoke else held_us

    @property
    def holding(self) -> bool:
        """A fault holds back a message that the other part should wait for."""
        return bool(self.lead.script.faults) and any(
            step.held_us and isinstance(step.event, Message) for step in self.unsaid()
        )

    # In real time, whatever is being said

    def upgraded(self, now_us: int) -> None:
        """101 is said now."""
        script = self.lead.script
        if script.beat is not None:
            self.beats_us = now_us + script.beat.period_us
        if script.age_cut is not None:
            self.cuts_us = now_us + script.age_cut[0]

    @property
    def real_us(self) -> int | None:
        """When something is due outside the script, or None."""
        if self.deaf or self.cuts_us is None:
            return None if self.deaf else self.beats_us
        return self.cuts_us if self.beats_us is None else min(self.beats_us, self.cuts_us)

    def unscripted(self, now_us: int) -> list[Event]:
        """A heartbeat that is due, or the end of a connection that is too old."""
        due_us = self.real_us
        if due_us is None or now_us < due_us or not self.candidates:
            return []
        script = self.lead.script
        if self.cuts_us is not None and now_us >= self.cuts_us:
            self.over = self.deaf = self.was_cut = True
            return [Gone(at_us=0, stream=script.entry.stream, side=Side.SERVER, how=How.EOF)]
        assert script.beat is not None
        self.beats_us = now_us + script.beat.period_us
        return [script.beat.event]

    def unsaid(self) -> list[Step]:
        """The steps of the first candidate that were not said, in recorded order."""
        steps = self.lead.script.steps
        if not self.claimed:
            return list(steps[self.said :])
        left = [number for lane, at in zip(self.lead.script.lanes, self.at, strict=True) for number in lane[at:]]
        return [steps[number] for number in sorted(left)]

    @property
    def finished(self) -> bool:
        """Nothing is left to say."""
        return all(self.said >= len(item.script.steps) for item in self.candidates)
