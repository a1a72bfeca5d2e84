"""The player: runs steps, hears cues, and does not know which part it plays.

One `Player` is one play state: what was claimed, by whom, and how far each conversation is. Time is an argument.

Rules of a conversation::

    open ───► refused          no candidate agrees with the request (kind says why)
    open ───► claimed          one candidate is left, or all that are left are canonically equal: the first in order
    open ───► pending          several are left: only what they share is said; a cue narrows them
    a step   is due its distance after its gate opened (or after the step before in its lane), and never before that
    a cue    may come in any order and early; a gate opens when all that it waits for was heard
    no cue   of any candidate agrees: mismatch; none is awaited any more: beyond. Where we play the client, the live
             server may say what it likes: its messages stand for recorded ones of their kind
    ambient  messages are no cues; ours come on their period, in real time
    stall    the awaited cue was due, by the recording, longer than the patience ago
    all candidates can speak and would say different things: ambiguous
    the last step said: over; where the other part ended the recorded conversation, it may stay as long as it likes
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace

from gp_replay.core import explain
from gp_replay.core.acts import Action, Claim, Open, Outcome, Over, Pending, Refuse, Send, Tally
from gp_replay.core.ambient import Ambient, ambient_of
from gp_replay.core.authority import OwnAddress
from gp_replay.core.canonical import path_of
from gp_replay.core.choosing import Choice, Chooser
from gp_replay.core.copies import Copies
from gp_replay.core.defining import Defining
from gp_replay.core.explain import Request
from gp_replay.core.hearing import Hearing
from gp_replay.core.matching import Refusal
from gp_replay.core.model import (
    Close,
    End,
    Event,
    Gone,
    Message,
    Protocol,
    ResponseHead,
    Side,
    header_value,
)
from gp_replay.core.openings import Openings
from gp_replay.core.playing import Candidate, Playing
from gp_replay.core.script import Script, Step
from gp_replay.core.speaking import Speaker
from gp_replay.core.terms import Terms

__all__ = ["Player"]

_MAX_MISSED = 10_000
"""Refusals kept; a client that asks for ever must not fill the memory."""


class Player:
    """See the module.

    Args:
        scripts: compiled cassettes with the names to call them by.
        terms: how they are played.
    """

    def __init__(self, scripts: Sequence[tuple[str, Script]], terms: Terms | None = None) -> None:
        self._terms = terms or Terms()
        self._chooser = Chooser(scripts, self._terms)
        copies = Copies()
        self._hearing = Hearing(self._chooser.bindings, copies)
        self._speaker = Speaker(self._terms.started_us if self._terms.rebase else None, copies)
        self._playing: dict[int, Playing] = {}
        self._wakes: list[tuple[int, int]] = []
        self._served: dict[int, bool] = {}
        self._missed: list[Refusal] = []
        self._behind: dict[int, list[Playing]] = {}
        self._defining = Defining(self._chooser.ours)
        self._openings = Openings(self._chooser.recorded, self._chooser.ours)

    @property
    def driving(self) -> bool:
        """Whether our client parts still have something to do, or wait for something."""
        ours = any(playing.lead.script.part is Side.CLIENT for playing in self._playing.values())
        return ours or bool(self._openings.waiting)

    def start(self, now_us: int) -> None:
        """Begins: the streams our client parts open are due from now on. Without such parts it does nothing."""
        self._open_ready(now_us)

    @property
    def tally(self) -> Tally:
        """What was done so far."""
        labels = [recorded.label for recorded in self._chooser.recorded]
        unopened = sorted(recorded.number for recorded in self._chooser.ours if recorded.number not in self._served)
        return Tally(
            served=tuple(labels[number] for number in sorted(self._served)),
            unfinished=tuple(labels[number] for number in sorted(self._served) if not self._served[number]),
            missed=tuple(self._missed),
            unplayed=tuple(labels[number] for number in sorted([*self._chooser.unclaimed, *unopened])),
            repeated=tuple((labels[number], times) for number, times in sorted(self._chooser.repeats.items())),
            faults=self._chooser.injection.happened,
            notes=self._chooser.injection.notes,
        )

    @property
    def bound(self) -> tuple[bytes, ...]:
        """The recorded ids that stand for something."""
        return tuple(self._chooser.bindings)

    def open(self, now_us: int, live: int, request: Request) -> Outcome:
        """A live request is there, whole; or a handshake.

        Args:
            now_us: the time.
            live: the caller's number for the stream; not in use.
            request: what was asked.

        Returns:
            `Claim` or `Pending`, after which `tick` says the first steps; or a `Refusal`, which leaves nothing
            behind.
        """
        choice = self._chooser.choose(now_us, replace(request, body=self._speaker.restored(request.body)))
        if isinstance(choice, Refusal):
            self.refuse(choice)
            return choice
        playing = self._begin(now_us, live, request, choice)
        if isinstance(playing, Refusal):
            self.refuse(playing)
            return playing
        self._wake(playing, now_us)
        lead = playing.lead
        if playing.claimed:
            return Claim(label=lead.recorded.label, script=lead.script)
        return Pending(cassette=lead.recorded.cassette, lead=lead.script)

    def refuse(self, refusal: Refusal) -> None:
        """Counts a refusal, also one that the caller found by itself (bytes that are no message)."""
        if len(self._missed) < _MAX_MISSED:
            self._missed.append(refusal)

    def receive(self, now_us: int, live: int, event: Event) -> list[Action]:
        """The other part said something on a stream.

        Args:
            now_us: the time.
            live: of an open stream.
            event: a `Message` or `Close`; also `ResponseHead`, `Piece` and `End` where we play the client. Others are
                no cues.

        Returns:
            Actions for any live stream, in order. Empty for a stream that is unknown.
        """
        playing = self._playing.get(live)
        if playing is None or playing.deaf:
            return []
        ambient = ambient_of(event, playing.lead.script.head.target)
        if ambient is not None:
            pong = playing.lead.script.pong
            return [Send(live=live, event=pong)] if ambient is Ambient.PING and pong is not None else []
        playing.last_us = now_us
        if playing.holding and isinstance(event, Message):
            self._chooser.injection.early(playing.lead.recorded.label, event)
        if isinstance(event, Close):
            return self._hear_close(playing, event, now_us)
        refusal = self._hear(playing, event, now_us)
        return self._refuse(playing, refusal) if refusal else self._advance(playing, now_us)

    def leave(self, now_us: int, live: int) -> None:
        """The live side is gone. A recording of which nothing was said, or that a fault spoiled, is free again."""
        playing = self._playing.pop(live, None)
        if playing is not None and playing.was_cut:
            self._chooser.injection.cut(playing.lead.script, playing.lead.recorded.label)
        if playing is None or not playing.claimed or playing.again:
            return
        lead = playing.lead
        nothing = playing.said == 0 and not playing.over and bool(lead.script.steps)
        if nothing or lead.script.spoiled or (playing.was_cut and not playing.finished):
            self._chooser.release(lead)
            self._served.pop(lead.recorded.number, None)
        else:
            answered = lead.script.part is Side.SERVER or lead.is_answered
            self._served[lead.recorded.number] = answered and playing.said >= len(lead.script.steps)
            self._has_ended(playing, now_us)

    def tick(self, now_us: int) -> list[Action]:
        """Everything that is due at ``now_us``."""
        actions: list[Action] = []
        while self._wakes and self._wakes[0][0] <= now_us:
            at_us, live = heapq.heappop(self._wakes)
            if live in self._openings.waiting:
                actions += self._open_ours(live, now_us)
                continue
            playing = self._playing.get(live)
            if playing is not None and playing.wakes_us == at_us:
                playing.wakes_us = None
                actions += self._advance(playing, now_us)
        return actions

    def next_due(self) -> int | None:
        """When `tick` has something to do next, or None."""
        while self._wakes:
            at_us, live = self._wakes[0]
            playing = self._playing.get(live)
            if live in self._openings.waiting:
                return at_us
            if playing is not None and playing.wakes_us == at_us:
                return at_us
            heapq.heappop(self._wakes)
        return None

    # Opening

    def _begin(self, now_us: int, live: int, request: Request, choice: Choice) -> Playing | Refusal:
        label = choice.candidates[0].recorded.label
        playing = Playing(
            live=live,
            candidates=choice.candidates,
            last_us=now_us,
            owner=request.owner,
            path=path_of(request.head.target),
            again=choice.again,
            behind=choice.behind,
        )
        if request.protocol is Protocol.HTTP:
            self._claimed(playing, now_us)
        else:
            self._settle(playing, now_us)
            if not playing.candidates:
                return explain.taken(label)
        lead = playing.lead
        if request.base:
            host = (header_value(lead.script.head.headers, b"host") or b"").decode("latin-1")
            url = self._chooser.url(lead.recorded.entry.role)
            playing.address = OwnAddress(upstream=url, live=request.base, host=host)
        if request.protocol is Protocol.HTTP:
            lead.script = self._speaker.answer(lead, address=playing.address)
        for number in playing.behind:
            self._behind.setdefault(number, []).append(playing)
        self._playing[live] = playing
        return playing

    def _settle(self, playing: Playing, now_us: int, *, alike: bool = False) -> None:
        """Claims the first candidate once those left are canonically equal, or were ``alike`` to the client."""
        if playing.claimed or (not alike and len({item.script.digest for item in playing.candidates}) != 1):
            return
        if self._chooser.settle(playing.candidates, playing.owner):
            self._claimed(playing, now_us)

    def _claimed(self, playing: Playing, now_us: int) -> None:
        playing.claimed = True
        playing.start_lanes()
        recorded = playing.lead.recorded
        self._speaker.begin(recorded, now_us)
        if not playing.again:
            self._served.setdefault(recorded.number, False)
        for waiting in self._behind.pop(recorded.number, ()):
            waiting.behind -= {recorded.number}
            if not waiting.behind:
                waiting.lead.opened_us[-1] = max(now_us, waiting.lead.opened_us[-1])
                self._wake(waiting, now_us)

    # Playing

    def _hear(self, playing: Playing, event: Event, now_us: int) -> Refusal | None:
        if playing.lead.script.part is Side.CLIENT:
            self._hearing.from_server(playing, event, now_us)
            return None
        label = playing.lead.recorded.label
        if isinstance(event, Message):
            data = self._speaker.restored(event.data)
            event = replace(event, data=playing.address.restore(data) if playing.address else data, fragments=())
        refusal = self._hearing.from_client(playing, event, now_us)
        if refusal is None:
            self._settle(playing, now_us)
        return refusal if playing.candidates else explain.taken(label)

    def _advance(self, playing: Playing, now_us: int) -> list[Action]:
        actions: list[Action] = [Send(live=playing.live, event=event) for event in playing.unscripted(now_us)]
        if not playing.over:
            actions += self._say_due(playing, now_us)
        if playing.over and playing.candidates and playing.lead.gate == len(playing.lead.script.cues):
            self._has_ended(playing, now_us)
        real_us = playing.real_us
        if real_us is not None:
            self._wake(playing, min(real_us, playing.wakes_us or real_us))
        return actions

    def _say_due(self, playing: Playing, now_us: int) -> list[Action]:
        actions: list[Action] = []
        while not playing.over:
            if not playing.claimed:
                label = playing.lead.recorded.label
                # Those that others have still count, but what is said is of one that may be had.
                playing.candidates.sort(key=lambda item: not self._chooser.may_be_claimed(item, playing.owner))
                self._settle(playing, now_us)
                free = playing.candidates and self._chooser.may_be_claimed(playing.lead, playing.owner)
                if not free and not playing.claimed:
                    return actions + self._refuse(playing, explain.taken(label))
            found = None if playing.behind else self._next(playing)
            if isinstance(found, Refusal):
                return actions + self._refuse(playing, found)
            if found is None:
                if playing.claimed and not playing.lead.script.steps:
                    return actions + self._hold(playing, now_us)
                if not playing.finished:
                    return actions + self._wait(playing, now_us)
                if not playing.claimed:  # nobody will say any more whose it is: they were all alike to this client
                    self._settle(playing, now_us, alike=True)
                    continue
                playing.over = True
                return actions + self._end(playing)
            due_us, step = found
            if due_us > now_us:
                self._wake(playing, due_us)
                return actions
            actions.append(Send(live=playing.live, event=self._say(playing, step, due_us, now_us)))
        return actions

    def _next(self, playing: Playing) -> tuple[int, Step] | Refusal | None:
        """What is said next, and when it is due; None while a cue is awaited or nothing is left."""
        if playing.claimed:
            due = [(playing.due(step, self._terms.pace), number, step) for number, step in playing.ready()]
            first = min(due, key=lambda item: item[:2], default=None)
            return None if first is None else (first[0], first[2])
        step = self._shared_step(playing)
        if step is None or isinstance(step, Refusal):
            return step
        return playing.due(step, self._terms.pace), step

    def _say(self, playing: Playing, step: Step, due_us: int, now_us: int) -> Event:
        lead = playing.lead
        if playing.said == 0 and lead.script.part is Side.SERVER and playing.claimed and not playing.again:
            self._chooser.confirm(lead, playing.owner)
        playing.saying(step, due_us)
        playing.last_us = now_us
        if lead.script.entry.protocol is Protocol.HTTP:
            return step.event  # rewritten as a whole when it was chosen or opened
        if lead.script.part is Side.CLIENT:
            self._hearing.turn_over(playing, step, playing.spoke)
            playing.spoke = step
        if not playing.claimed:
            others = [item.script.steps[playing.said - 1] for item in playing.candidates[1:]]
            self._hearing.keep_constants(lead, step, others)
        event = self._speaker.message(lead, step, address=playing.address)
        if isinstance(event, ResponseHead) and event.status == 101:
            playing.upgraded(now_us)
        if not playing.claimed:
            for other in playing.candidates[1:]:
                self._hearing.told(other, other.script.steps[playing.said - 1], event)
        return event

    def _shared_step(self, playing: Playing) -> Step | Refusal | None:
        """The step all candidates would say next; None while a cue is awaited or nothing is left."""
        ready = playing.shared()
        if len({step.digest for step in ready}) <= 1 or self._hearing.say_the_same(playing, ready):
            return ready[0] if ready else None
        return playing.ambiguity()

    def _hold(self, playing: Playing, now_us: int) -> list[Action]:
        """A request whose recorded client gave up waiting: a poll is held as long as it likes, others for a while."""
        deadline_us = playing.last_us + self._terms.patience_us
        if playing.lead.script.head.method == b"GET":
            return []
        if now_us >= deadline_us:
            return self._refuse(playing, explain.unanswered(playing.lead.recorded.label))
        self._wake(playing, deadline_us)
        return []

    def _wait(self, playing: Playing, now_us: int) -> list[Action]:
        """A cue is awaited: refuses once patience is over, else wakes up then."""
        lead = playing.lead
        awaited = lead.awaited()
        if playing.behind or awaited is None or isinstance(awaited.event, Close):
            return []  # others have to come first, or all that is missing is a farewell and nobody has to go
        deadline_us = playing.last_us + awaited.after_us + self._terms.patience_us
        if now_us < deadline_us:
            self._wake(playing, deadline_us)
            return []
        whose = "client" if lead.script.part is Side.SERVER else "server"
        refusal = explain.stall(lead.recorded.label, whose=whose, patience_us=self._terms.patience_us)
        return self._refuse(playing, refusal)

    def _hear_close(self, playing: Playing, close: Close, now_us: int) -> list[Action]:
        """The other part closes. In time, the recorded farewell follows; early, it is all that still follows."""
        lead = playing.lead
        number = lead.hear_close(now_us) if playing.claimed else None
        rest = playing.unsaid()
        step = rest[0] if rest else None
        left = {id(step) for step in rest}
        said = any(isinstance(step.event, Close) for step in lead.script.steps if id(step) not in left)
        if number is not None and lead.gate > number and (said if step is None else step.cues > number):
            return self._advance(playing, now_us)
        playing.over = playing.deaf = True
        actions: list[Action] = []
        if not said:
            event = next((step.event for step in rest if isinstance(step.event, Close)), None)
            own = Close(at_us=0, stream=lead.script.entry.stream, side=lead.script.part, code=close.code)
            actions.append(Send(live=playing.live, event=event or own))
        return [*actions, Over(live=playing.live, whole=True)]

    def _end(self, playing: Playing) -> list[Action]:
        lead = playing.lead
        if not playing.again:
            self._served[lead.recorded.number] = True
        if lead.script.entry.protocol is Protocol.HTTP:
            return [Over(live=playing.live, whole=lead.script.entry.complete)]
        # Where the recorded server said no farewell, the client ended it, and this one may stay as long as it likes.
        farewell = any(isinstance(step.event, Close | Gone | End) for step in lead.script.steps)
        if farewell:
            playing.beats_us = playing.cuts_us = None
        return [Over(live=playing.live, whole=True)] if farewell else []

    # Our clients

    def _open_ready(self, now_us: int) -> None:
        for live, after_us in self._openings.ready():
            heapq.heappush(self._wakes, (now_us + self._terms.pace.delay_us(after_us), live))

    def _has_ended(self, playing: Playing, now_us: int) -> None:
        self._openings.ended(playing.lead.recorded.number)
        self._open_ready(now_us)

    def _open_ours(self, live: int, now_us: int) -> list[Action]:
        recorded = self._openings.waiting.pop(live)
        script = recorded.script.stream(recorded.entry)
        bindings = self._chooser.bindings
        candidate = Candidate.begin(recorded, script, bindings=bindings, now_us=now_us, heard=0)
        playing = Playing(live=live, candidates=[candidate], last_us=now_us, path=path_of(script.head.target))
        self._claimed(playing, now_us)
        if script.entry.protocol is Protocol.HTTP:
            candidate.script = self._speaker.answer(candidate, address=None)
        self._playing[live] = playing
        unknown = self._defining.missing(recorded, bindings)
        if unknown is not None:
            refusal = explain.unknown_id(recorded.label, *unknown)
            return [Open(live=live, script=candidate.script), *self._refuse(playing, refusal)]
        return [Open(live=live, script=candidate.script), *self._advance(playing, now_us)]

    def _refuse(self, playing: Playing, refusal: Refusal) -> list[Action]:
        playing.over = playing.deaf = True
        self.refuse(refusal)
        return [Refuse(live=playing.live, refusal=refusal)]

    def _wake(self, playing: Playing, at_us: int) -> None:
        if playing.wakes_us != at_us:
            playing.wakes_us = at_us
            heapq.heappush(self._wakes, (at_us, playing.live))
