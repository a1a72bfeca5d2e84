"""The player: runs steps, hears cues, and does not know which part it plays.

One `Player` is one play state: what was claimed, by whom, and how far each conversation is. Time is an argument.

Rules of a conversation::

    open ───► refused          no candidate agrees with the request (kind says why)
    open ───► claimed          one candidate is left, or all that are left are canonically equal: the first in order
    open ───► pending          several are left: only what they share is said; a cue narrows them
    a step   is due its distance after its gate opened (or after the step before), and never before that step
    a cue    may come in any order and early; the gate opens when all cues before the step have been heard
    no cue   of any candidate agrees: mismatch; none is awaited any more: beyond
    stall    the awaited cue was due, by the recording, longer than the patience ago
    all candidates can speak and would say different things: ambiguous
    the last step said: over; where the other part ended the recorded conversation, it may stay as long as it likes
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from gp_replay.core import explain
from gp_replay.core.acts import Action, Claim, Open, Outcome, Over, Pending, Refuse, Send, Tally
from gp_replay.core.canonical import literal_digest, path_of, request_form
from gp_replay.core.explain import Recorded, Request
from gp_replay.core.matching import Refusal, Shelf
from gp_replay.core.model import Close, End, Event, Gone, Protocol, Side
from gp_replay.core.openings import Openings
from gp_replay.core.playing import Candidate, Playing
from gp_replay.core.rules import Rules
from gp_replay.core.script import Script, Step, StreamScript, identity
from gp_replay.core.timing import Pace

__all__ = ["PATIENCE_US", "Player"]

PATIENCE_US = 10_000_000


class Player:
    """See the module.

    Args:
        scripts: compiled cassettes with the names to call them by.
        pace: how recorded distances become live ones.
        patience_us: how long to wait for a cue beyond its recorded distance.
    """

    def __init__(
        self, scripts: Sequence[tuple[str, Script]], *, pace: Pace | None = None, patience_us: int = PATIENCE_US
    ) -> None:
        self._pace = pace or Pace()
        self._patience_us = patience_us
        self._recorded: list[Recorded] = []
        self._shelf = Shelf()
        self._playing: dict[int, Playing] = {}
        self._wakes: list[tuple[int, int]] = []
        self._served: dict[int, bool] = {}
        self._missed: list[Refusal] = []
        # Recordings that several clients are choosing among; each leaves when it is claimed.
        self._compiled: dict[int, StreamScript] = {}
        self._urls: dict[str, str] = {}
        self._rules: dict[str, Rules] = {}
        ours: list[Recorded] = []
        for name, script in scripts:
            for role in script.cassette.header.roles:
                self._urls.setdefault(role.name, role.url)
            for entry in script.entries:
                recorded = Recorded(number=len(self._recorded), cassette=name, script=script, entry=entry)
                self._recorded.append(recorded)
                self._rules.setdefault(entry.role, script.rules)
                if script.cast[entry.role] is Side.CLIENT:
                    ours.append(recorded)
                elif key := script.key(entry):
                    self._shelf.put(
                        recorded.number, protocol=entry.protocol, key=key, role=entry.role, owner=entry.owner
                    )
        self._openings = Openings(self._recorded, ours)

    def start(self, now_us: int) -> None:
        """Begins: the streams our client parts open are due from now on. Without such parts it does nothing."""
        self._open_ready(now_us)

    @property
    def tally(self) -> Tally:
        """What was done so far."""
        labels = [recorded.label for recorded in self._recorded]
        return Tally(
            served=tuple(labels[number] for number in sorted(self._served)),
            unfinished=tuple(labels[number] for number in sorted(self._served) if not self._served[number]),
            missed=tuple(self._missed),
            unplayed=tuple(labels[number] for number in self._shelf.unclaimed),
        )

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
        outcome = self._choose(now_us, live, request)
        if isinstance(outcome, Refusal):
            self._missed.append(outcome)
        else:
            self._wake(self._playing[live], now_us)
        return outcome

    def refuse(self, refusal: Refusal) -> None:
        """Counts a refusal that the caller found by itself (a message too large, bytes that are no message)."""
        self._missed.append(refusal)

    def receive(self, now_us: int, live: int, event: Event) -> list[Action]:
        """The other part said something on a stream.

        Args:
            now_us: the time.
            live: of an open stream.
            event: a `Message` or `Close`; also `ResponseHead` and `End` where we play the client. Others are no cues.

        Returns:
            Actions for any live stream, in order. Empty for a stream that is unknown.
        """
        playing = self._playing.get(live)
        if playing is None or playing.deaf:
            return []
        playing.last_us = now_us
        if isinstance(event, Close):
            return self._hear_close(playing, event, now_us)
        refusal = self._hear(playing, event, now_us)
        return self._refuse(playing, refusal) if refusal else self._advance(playing, now_us)

    def leave(self, now_us: int, live: int) -> None:
        """The live side is gone. A recording of which nothing was said is free again."""
        playing = self._playing.pop(live, None)
        if playing is None or not playing.claimed:
            return
        lead = playing.candidates[0]
        if playing.position == 0 and not playing.over:
            self._shelf.release(lead.recorded.number)
            self._served.pop(lead.recorded.number, None)
        else:
            self._served[lead.recorded.number] = playing.position == len(lead.script.steps)

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

    # Choosing

    def _choose(self, now_us: int, live: int, request: Request) -> Outcome:
        keys: dict[str, bytes] = {}
        literal = literal_digest(request.head.target, request.body)
        for role in [request.role] if request.role is not None else list(self._rules):
            if role in self._rules:
                form = request_form(request.head, request.body, role=role, rules=self._rules[role])
                keys[role] = form.digest + literal
        known = [role for role, key in keys.items() if role in self._shelf.roles(protocol=request.protocol, key=key)]
        if len(known) > 1:
            known = [role for role in known if _host_of(self._urls[role]) in request.hosts] or known
        if not known:
            return explain.no_match(request, self._recorded)
        if len(known) > 1:
            return Refusal(
                kind="ambiguous",
                reason=f"{path_of(request.head.target)}: roles {' and '.join(known)} could both answer",
                close_code=4404,
                hint=f"ask for /{known[0]}{path_of(request.head.target)}, or send X-Forwarded-Host",
            )
        role, key = known[0], keys[known[0]]
        if request.protocol is Protocol.HTTP:
            number = self._shelf.take(protocol=request.protocol, key=key, role=role, owner=request.owner)
            numbers = [] if number is None else [number]
        else:
            numbers = self._shelf.candidates(protocol=request.protocol, key=key, role=role, owner=request.owner)
        if not numbers:
            return self._none_left(request, role, key)
        return self._begin(now_us, live, request, numbers)

    def _none_left(self, request: Request, role: str, key: bytes) -> Refusal:
        what = f"{request.head.method.decode('latin-1')} {path_of(request.head.target)}"
        owners = self._shelf.owners(protocol=request.protocol, key=key, role=role)
        if request.owner not in owners and None not in owners:
            names = ", ".join(owner for owner in owners[:5] if owner)
            return Refusal(
                kind="owner",
                reason=f"{what}: recorded for {names}, asked by {request.owner or 'nobody (no token)'}",
                close_code=4404,
                hint="send a token whose sub is a recorded owner",
            )
        return Refusal(
            kind="used-up",
            reason=f"{what}: every recording of it was used",
            close_code=4410,
            hint="record as many as the test makes; or start a new replay for each test",
        )

    def _begin(self, now_us: int, live: int, request: Request, numbers: list[int]) -> Outcome:
        candidates: list[Candidate] = []
        problem = ""
        for number in numbers:
            recorded = self._recorded[number]
            script = self._compiled.get(number) or recorded.script.stream(recorded.entry)
            if len(numbers) > 1:
                self._compiled[number] = script
            if script.problem:
                problem = f"{recorded.label} cannot be played: {script.problem}"
                continue
            heard = bytearray(len(script.cues))
            heard[:1] = b"\1" if heard else b""
            opened_us = [now_us] * (1 + sum(heard[:1]))
            candidates.append(Candidate(recorded=recorded, script=script, heard=heard, opened_us=opened_us))
        if not candidates:
            return Refusal(kind="unplayable", reason=problem, close_code=4404, hint="record it again")
        playing = Playing(live=live, candidates=candidates, last_us=now_us, path=path_of(request.head.target))
        self._playing[live] = playing
        playing.claimed = request.protocol is Protocol.HTTP
        self._settle(playing)
        lead = playing.candidates[0]
        if playing.claimed:
            return Claim(label=lead.recorded.label, script=lead.script)
        return Pending(cassette=lead.recorded.cassette, lead=lead.script)

    def _settle(self, playing: Playing) -> None:
        """Claims the first candidate once those left are canonically equal."""
        while not playing.claimed and len({item.script.digest for item in playing.candidates}) == 1:
            if self._shelf.claim(playing.candidates[0].recorded.number):
                playing.claimed = True
            else:
                del playing.candidates[0]
        if playing.claimed:
            del playing.candidates[1:]
            self._compiled.pop(playing.candidates[0].recorded.number, None)
            playing.bind()
            self._served.setdefault(playing.candidates[0].recorded.number, False)

    # Playing

    def _hear(self, playing: Playing, event: Event, now_us: int) -> Refusal | None:
        lead = playing.candidates[0]
        digest, form = identity(event, lead.recorded.entry, playing.path, lead.recorded.script.rules)
        agreeing = [item for item in playing.candidates if item.hear(digest, now_us) is not None]
        if not agreeing:
            awaited = [
                cue
                for heard, cue in zip(lead.heard, lead.script.cues, strict=True)
                if not heard and cue.form is not None
            ]
            if not awaited or form is None:
                return explain.beyond(lead.recorded.label)
            return explain.mismatch(
                awaited[0], form, label=lead.recorded.label, role=lead.recorded.entry.role, path=playing.path
            )
        playing.candidates = agreeing
        self._settle(playing)
        return None if playing.candidates else _taken(lead.recorded.label)

    def _advance(self, playing: Playing, now_us: int) -> list[Action]:
        actions = self._say_due(playing, now_us)
        lead = playing.candidates[0] if playing.candidates else None
        if playing.over and lead is not None and lead.gate == len(lead.script.cues):
            self._openings.ended(lead.recorded.number)
            self._open_ready(now_us)
        return actions

    def _say_due(self, playing: Playing, now_us: int) -> list[Action]:
        actions: list[Action] = []
        while not playing.over:
            if not playing.claimed:
                lead = playing.candidates[0]
                playing.candidates = [item for item in playing.candidates if self._shelf.is_free(item.recorded.number)]
                self._settle(playing)
                if not playing.candidates:
                    return actions + self._refuse(playing, _taken(lead.recorded.label))
            step = self._shared_step(playing)
            if isinstance(step, Refusal):
                return actions + self._refuse(playing, step)
            if step is None:
                if not self._finished(playing):
                    return actions + self._wait(playing, now_us)
                playing.over = True
                return actions + self._end(playing)
            due_us = self._due(playing, step)
            if due_us > now_us:
                self._wake(playing, due_us)
                return actions
            playing.due_us = due_us
            playing.position += 1
            playing.last_us = now_us
            actions.append(Send(live=playing.live, event=playing.bindings.apply(step.event)))
            if not playing.claimed:
                playing.told.append(step.event)
        return actions

    def _shared_step(self, playing: Playing) -> Step | Refusal | None:
        """The step all candidates would say next; None while a cue is awaited or nothing is left."""
        steps = [item.next_step(playing.position) for item in playing.candidates]
        ready = [step for step, item in zip(steps, playing.candidates, strict=True) if step and step.cues <= item.gate]
        if len(ready) < len(steps):
            return None
        if len({step.digest for step in ready}) > 1:
            labels = " and ".join(item.recorded.label for item in playing.candidates[:3])
            return Refusal(
                kind="ambiguous",
                reason=f"{labels} part before the client has said which",
                close_code=4404,
                nearest=playing.candidates[0].recorded.label,
                hint="record with a token per user, another path or subprotocol, or let the client speak first",
            )
        return ready[0]

    def _due(self, playing: Playing, step: Step) -> int:
        delay_us = self._pace.delay_us(step.after_us)
        if step.follows_step:
            return playing.due_us + delay_us
        return max(playing.candidates[0].opened_us[step.cues] + delay_us, playing.due_us)

    def _finished(self, playing: Playing) -> bool:
        return all(item.next_step(playing.position) is None for item in playing.candidates)

    def _wait(self, playing: Playing, now_us: int) -> list[Action]:
        """A cue is awaited: refuses once patience is over, else wakes up then."""
        lead = playing.candidates[0]
        awaited = next((cue for heard, cue in zip(lead.heard, lead.script.cues, strict=True) if not heard), None)
        if awaited is None or isinstance(awaited.event, Close):
            return []  # all that is missing is a farewell, and nobody has to go
        deadline_us = playing.last_us + awaited.after_us + self._patience_us
        if now_us < deadline_us:
            self._wake(playing, deadline_us)
            return []
        refusal = Refusal(
            kind="stall",
            reason=f"waited {self._patience_us / 1_000_000:g} s for the client's message, as in {lead.recorded.label}",
            close_code=4408,
            nearest=lead.recorded.label,
            hint="the recorded client said something here that this one does not",
        )
        return self._refuse(playing, refusal)

    def _hear_close(self, playing: Playing, close: Close, now_us: int) -> list[Action]:
        """The other part closes. In time, the recorded farewell follows; early, it is all that still follows."""
        lead = playing.candidates[0]
        number = lead.hear_close(now_us) if playing.claimed else None
        step = lead.next_step(playing.position)
        if number is not None and lead.gate > number and (step is None or step.cues > number):
            return self._advance(playing, now_us)
        said = any(isinstance(step.event, Close) for step in lead.script.steps[: playing.position])
        rest = lead.script.steps[playing.position :]
        playing.over = playing.deaf = True
        actions: list[Action] = []
        if not said:
            event = next((step.event for step in rest if isinstance(step.event, Close)), None)
            own = Close(at_us=0, stream=lead.script.entry.stream, side=lead.script.part, code=close.code)
            actions.append(Send(live=playing.live, event=event or own))
        return [*actions, Over(live=playing.live, whole=True)]

    def _end(self, playing: Playing) -> list[Action]:
        lead = playing.candidates[0]
        self._served[lead.recorded.number] = True
        if lead.script.entry.protocol is Protocol.HTTP:
            return [Over(live=playing.live, whole=lead.script.entry.complete)]
        # Where the recorded server said no farewell, the client ended it, and this one may stay as long as it likes.
        farewell = any(isinstance(step.event, Close | Gone | End) for step in lead.script.steps)
        return [Over(live=playing.live, whole=True)] if farewell else []

    # Opening

    def _open_ready(self, now_us: int) -> None:
        for live, after_us in self._openings.ready():
            heapq.heappush(self._wakes, (now_us + self._pace.delay_us(after_us), live))

    def _open_ours(self, live: int, now_us: int) -> list[Action]:
        recorded = self._openings.waiting.pop(live)
        script = recorded.script.stream(recorded.entry)
        candidate = Candidate(recorded=recorded, script=script, heard=bytearray(len(script.cues)), opened_us=[now_us])
        playing = Playing(
            live=live, candidates=[candidate], last_us=now_us, claimed=True, path=path_of(script.head.target)
        )
        self._playing[live] = playing
        return [Open(live=live, script=script), *self._advance(playing, now_us)]

    def _refuse(self, playing: Playing, refusal: Refusal) -> list[Action]:
        playing.over = playing.deaf = True
        self._missed.append(refusal)
        return [Refuse(live=playing.live, refusal=refusal)]

    def _wake(self, playing: Playing, at_us: int) -> None:
        if playing.wakes_us != at_us:
            playing.wakes_us = at_us
            heapq.heappush(self._wakes, (at_us, playing.live))


def _taken(label: str) -> Refusal:
    return Refusal(
        kind="used-up",
        reason=f"{label} was taken by another client meanwhile",
        close_code=4410,
        nearest=label,
        hint="record as many connections as there are clients",
    )


def _host_of(url: str) -> str:
    authority = url.partition("://")[2].partition("/")[0]
    return authority.lower()
