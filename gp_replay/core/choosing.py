"""Whose recording a live request gets: by content, by owner, by the ids it was given, and only then by order.

What a client says is read in recorded ids first. Where an unknown owner may take a recorded one, it is also read in
each free owner's name; the first that has an answer is its from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gp_replay.core import explain
from gp_replay.core.authority import OwnAddress
from gp_replay.core.bindings import Bindings, Mint
from gp_replay.core.canonical import Form, literal_digest, paired_ids, path_of, request_form
from gp_replay.core.crowd import Crowd, Member
from gp_replay.core.evidence import redacted_heads
from gp_replay.core.explain import Recorded, Request
from gp_replay.core.id_index import IdIndex
from gp_replay.core.injection import Injection
from gp_replay.core.matching import Refusal, Shelf
from gp_replay.core.model import Protocol, Side
from gp_replay.core.playing import Candidate
from gp_replay.core.rules import Rules
from gp_replay.core.script import Script, StreamScript
from gp_replay.core.terms import OnRepeat, Terms

__all__ = ["Choice", "Chooser"]

_POLLED = frozenset({b"GET", b"HEAD", b"OPTIONS"})


@dataclass(slots=True, kw_only=True)
class Choice:
    """What a live request may get.

    Attributes:
        candidates: the recordings left; of an HTTP request one, and it is claimed.
        again: that one was played before.
        behind: recordings that must be claimed before it is answered.
    """

    candidates: list[Candidate]
    again: bool = False
    behind: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """One way to read what a client says: in whose name, and with which ids."""

    owners: tuple[str | None, ...]
    bindings: Bindings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request as one view reads it."""

    view: _View
    role: str
    form: Form
    key: bytes


class Chooser:
    """The recordings of one play state, and who has which.

    Args:
        scripts: compiled cassettes with the names to call them by.
        terms: of the play.

    Attributes:
        recorded: all recordings, by number.
        ours: those of which we play the client.
        bindings: the ids of this play state.
        repeats: how often a recording was served again, by number.
        injection: the faults.
    """

    def __init__(self, scripts: Sequence[tuple[str, Script]], terms: Terms) -> None:
        self._terms = terms
        self.recorded: list[Recorded] = []
        self.ours: list[Recorded] = []
        self.repeats: dict[int, int] = {}
        self.injection = Injection(terms.faults)
        mint = Mint(terms.seed)
        self.bindings = Bindings(mint=mint if terms.fresh_ids else None, spare=mint)
        self._shelf = Shelf()
        self._owners: dict[str, str] = {}  # live to recorded
        self._compiled: dict[int, StreamScript] = {}
        self._last: tuple[int, StreamScript] | None = None
        self._indexes: dict[tuple[Protocol, bytes, str, str | None], IdIndex] = {}
        self._crowds: dict[tuple[Protocol, bytes, str, tuple[str | None, ...]], Crowd] = {}
        self._urls: dict[str, str] = {}
        self._rules: dict[str, Rules] = {}
        self._by_path: dict[tuple[Protocol, str], list[Recorded]] = {}
        known: dict[str, None] = {}
        for name, script in scripts:
            for role in script.cassette.header.roles:
                self._urls.setdefault(role.name, role.url)
            for entry in script.entries:
                recorded = Recorded(number=len(self.recorded), cassette=name, script=script, entry=entry)
                self.recorded.append(recorded)
                self._rules.setdefault(entry.role, script.rules)
                if script.cast[entry.role] is Side.CLIENT:
                    self.ours.append(recorded)
                elif key := script.key(entry):
                    self._shelf.put(
                        recorded.number, protocol=entry.protocol, key=key, role=entry.role, owner=entry.owner
                    )
                    if entry.owner is not None:
                        known[entry.owner] = None
        self._known = tuple(known)

    @property
    def unclaimed(self) -> list[int]:
        """Numbers of the recordings nobody used."""
        return self._shelf.unclaimed

    def url(self, role: str) -> str:
        """Where a role was recorded."""
        return self._urls.get(role, "")

    # Who asks

    def _views(self, owner: str | None) -> list[_View]:
        if owner is None or not self._terms.bind_owners:
            return [_View(owners=(owner, None), bindings=self.bindings)]
        bound = self._owners.get(owner)
        if bound is not None:
            return [_View(owners=(bound, None), bindings=self.bindings)]
        if owner in self._known:
            taken = owner in self._owners.values()  # under another name
            return [_View(owners=(None,) if taken else (owner, None), bindings=self.bindings)]
        free = [name for name in self._known if name not in self._owners.values()]
        views = []
        for name in free:
            bindings = Bindings(parent=self.bindings)
            bindings.name(name, owner)
            views.append(_View(owners=(name,), bindings=bindings))
        return [*views, _View(owners=(None,), bindings=self.bindings)]

    def _read(self, request: Request, view: _View) -> _Asked | Refusal | None:
        """The request in one view; None where nothing recorded has its form."""
        head = replace(request.head, target=view.bindings.hear(request.head.target))
        heard = view.bindings.hear(request.body)
        roles = [request.role] if request.role is not None else list(self._rules)
        bodies = {
            role: OwnAddress(upstream=self.url(role), live=request.base).restore(heard)
            for role in roles
            if role in self._rules
        }
        forms = {role: request_form(head, body, role=role, rules=self._rules[role]) for role, body in bodies.items()}
        known = [
            role
            for role, form in forms.items()
            if role in self._shelf.roles(protocol=request.protocol, key=form.digest)
        ]
        if len(known) > 1:
            known = [role for role in known if _host_of(self._urls[role]) in request.hosts] or known
        if len(known) > 1:
            path = path_of(request.head.target)
            return Refusal(
                kind="ambiguous",
                reason=f"{path}: roles {' and '.join(known)} could both answer",
                close_code=4404,
                hint=f"ask for /{known[0]}{path}, or send X-Forwarded-Host",
            )
        if not known:
            return None
        form, literal = forms[known[0]], literal_digest(head.target, bodies[known[0]])
        return _Asked(view=view, role=known[0], form=form, key=form.digest + literal)

    # Choosing

    def choose(self, now_us: int, request: Request) -> Choice | Refusal:
        """The recordings that may answer, or why none does."""
        readings = [self._read(request, view) for view in self._views(request.owner)]
        asked = [reading for reading in readings if isinstance(reading, _Asked)]
        if not asked:
            refusal = next((reading for reading in readings if isinstance(reading, Refusal)), None)
            return refusal or explain.no_match(request, self._near(request), self.recorded)
        try:
            choice = (
                self._take(now_us, request, asked)
                if request.protocol is Protocol.HTTP
                else self._gather(now_us, request, asked)
            )
        except _Unplayable as error:
            return error.refusal
        if choice is None:
            return self._nothing_left(request, asked[0])
        self.injection.befall(choice.candidates, request.head)
        return choice

    def _near(self, request: Request) -> list[Recorded]:
        if not self._by_path:
            for item in self.recorded:
                self._by_path.setdefault((item.entry.protocol, path_of(item.entry.target)), []).append(item)
        near = self._by_path.get((request.protocol, path_of(request.head.target)), [])
        return [item for item in near if request.role in (None, item.entry.role)]

    def _take(self, now_us: int, request: Request, asked: Sequence[_Asked]) -> Choice | None:
        for reading in asked:
            found = self._fitting(request.protocol, reading)
            again = found is None
            if found is None:
                found = self._repeated(request, reading)
            if found is None:
                continue
            recorded = self.recorded[found]
            script = self._script(recorded, raises=True)
            if not again:
                self._shelf.claim(found)
            else:
                self.repeats[found] = self.repeats.get(found, 0) + 1
            bindings = Bindings(parent=reading.view.bindings)
            if reading.form.ids:
                bindings.learn(paired_ids(recorded.form(), reading.form))
            candidate = Candidate.begin(recorded, script, bindings=bindings, now_us=now_us, heard=1)
            behind = frozenset[int]() if again else self._behind(request, reading, recorded)
            if behind:
                candidate.script = _due_after(script, max(self.recorded[number].entry.opened_us for number in behind))
            return Choice(candidates=[candidate], again=again, behind=behind)
        return None

    def _fitting(self, protocol: Protocol, reading: _Asked) -> int | None:
        found = self._shelf.candidates(
            protocol=protocol, key=reading.key, role=reading.role, owners=reading.view.owners
        )
        # Ids that were said before narrow it down however much there is; without any the first in order is right.
        known = [text for text in reading.form.ids if reading.view.bindings.live(text.encode()) is not None]
        broken: int | None = None
        for number, literal in self._by_ids(protocol, reading, known) if known else found:
            if not self._shelf.is_free(number):
                continue
            if not literal and reading.form.ids:
                pairs = paired_ids(self.recorded[number].form(), reading.form)
                if not reading.view.bindings.agrees(pairs):
                    continue
            if not self._script(self.recorded[number]).problem:
                return number
            broken = number if broken is None else broken
        return broken

    def _by_ids(self, protocol: Protocol, reading: _Asked, known: Sequence[str]) -> Iterator[tuple[int, bool]]:
        """Recordings that hold all these ids: literally equal ones first, then by owner and in recorded order."""
        key, role = reading.key, reading.role
        for number, literal in self._shelf.candidates(
            protocol=protocol, key=key, role=role, owners=reading.view.owners
        ):
            if not literal:
                break
            yield number, True
        for owner in reading.view.owners:
            place = (protocol, reading.form.digest, role, owner)
            index = self._indexes.get(place)
            if index is None:
                numbers = self._shelf.all_of(protocol=protocol, key=key, role=role, owners=(owner,))
                index = self._indexes[place] = IdIndex(numbers, lambda number: self.recorded[number].form().ids)
            yield from ((number, False) for number in index.having(known))

    def _repeated(self, request: Request, reading: _Asked) -> int | None:
        """A recording that answers once more: a poll's last, or what the terms say."""
        everything = self._all_of(request, reading)
        if not everything:
            return None
        recurs = len(everything) > 1 and request.head.method in _POLLED
        if recurs or request.head.method == b"OPTIONS" or self._repeats_by_rule(reading.role, request):
            return everything[-1]
        match self._terms.on_repeat:
            case OnRepeat.LAST:
                return everything[-1]
            case OnRepeat.CYCLE:
                served = sum(self.repeats.get(number, 0) for number in everything)
                return everything[served % len(everything)]
            case OnRepeat.REFUSE:
                return None

    def _all_of(self, request: Request, reading: _Asked) -> list[int]:
        everything = self._shelf.all_of(
            protocol=request.protocol, key=reading.key, role=reading.role, owners=reading.view.owners
        )
        if not reading.form.ids:
            return everything
        agrees = reading.view.bindings.agrees
        return [number for number in everything if agrees(paired_ids(self.recorded[number].form(), reading.form))]

    def _repeats_by_rule(self, role: str, request: Request) -> bool:
        return self._rules[role].repeats(role, path_of(request.head.target))

    def _behind(self, request: Request, reading: _Asked, recorded: Recorded) -> frozenset[int]:
        """A poll's answer waits for the requests with the same id that came between it and the poll before."""
        if request.head.method != b"GET" or not reading.form.ids:
            return frozenset()
        polls = [number for number in self._all_of(request, reading) if number < recorded.number]
        since_us = self.recorded[polls[-1]].entry.opened_us if polls else 0
        ids = [text.encode() for text in recorded.form().ids]
        behind = set()
        for item in self._of_cassette(recorded):
            entry = item.entry
            if not since_us < entry.opened_us < recorded.entry.ended_us or entry.protocol is not Protocol.HTTP:
                continue
            if entry.method not in _POLLED and any(found in entry.target for found in ids):
                behind.add(item.number)
        return frozenset(number for number in behind if self._shelf.is_free(number) and recorded.entry.status)

    def _of_cassette(self, recorded: Recorded) -> Iterable[Recorded]:
        return (item for item in self.recorded if item.script is recorded.script)

    def _gather(self, now_us: int, request: Request, asked: Sequence[_Asked]) -> Choice | None:
        candidates: list[Candidate] = []
        problem = ""
        for reading in asked:
            crowd, problem = self._crowd(request.protocol, reading, problem)
            if crowd is None:
                continue
            for recorded, script in crowd.candidates(redacted_heads(request.head, crowd.salts), self._shelf.is_free):
                bindings = Bindings(parent=reading.view.bindings)
                if reading.form.ids:
                    bindings.learn(paired_ids(recorded.form(), reading.form))
                candidates.append(Candidate.begin(recorded, script, bindings=bindings, now_us=now_us, heard=1))
        if not candidates and problem:
            raise _Unplayable(problem)
        free = any(self.may_be_claimed(item, request.owner) for item in candidates)
        return Choice(candidates=candidates) if free else None

    def _crowd(self, protocol: Protocol, reading: _Asked, problem: str) -> tuple[Crowd | None, str]:
        """The playable recordings of one reading, its first owner's first, used or not; and why others are none."""
        place = (protocol, reading.form.digest, reading.role, reading.view.owners)
        if place in self._crowds and not reading.form.ids:
            return self._crowds[place], problem
        numbers = dict.fromkeys(
            number
            for owner in reading.view.owners
            for number in self._shelf.all_of(protocol=protocol, key=reading.key, role=reading.role, owners=(owner,))
        )
        members: list[Member] = []
        for number in numbers:
            recorded = self.recorded[number]
            if reading.form.ids and not reading.view.bindings.agrees(paired_ids(recorded.form(), reading.form)):
                continue
            script = self._script(recorded, keep=len(numbers) > 1)
            if script.problem:
                problem = f"{recorded.label} cannot be played: {script.problem}"
            else:
                members.append((recorded, script))
        if not members:
            return None, problem
        crowd = Crowd(members)
        if len(members) > 1 and not reading.form.ids:
            self._crowds[place] = crowd
        return crowd, problem

    def _script(self, recorded: Recorded, *, keep: bool = False, raises: bool = False) -> StreamScript:
        script = self._compiled.get(recorded.number) or self._last_script(recorded)
        if keep:
            self._compiled[recorded.number] = script
        if script.problem and raises:
            raise _Unplayable(f"{recorded.label} cannot be played: {script.problem}")
        return script

    def _last_script(self, recorded: Recorded) -> StreamScript:
        """Compiled, unless it was the last thing to be compiled."""
        if self._last is None or self._last[0] != recorded.number:
            self._last = (recorded.number, recorded.script.stream(recorded.entry))
        return self._last[1]

    def settle(self, candidates: list[Candidate], owner: str | None) -> bool:
        """Claims the first of the candidates that is free; False when none is.

        The list keeps the claimed one only, or nothing.
        """
        while candidates:
            first = candidates[0]
            if self.may_be_claimed(first, owner) and self._shelf.claim(first.recorded.number):
                del candidates[1:]
                self.confirm(first, owner)
                return True
            del candidates[0]
        return False

    def may_be_claimed(self, candidate: Candidate, owner: str | None) -> bool:
        """Whether it is free, and its owner is, or is this one."""
        name = candidate.recorded.entry.owner
        return self._shelf.is_free(candidate.recorded.number) and self._may_have(owner, name)

    def confirm(self, candidate: Candidate, owner: str | None) -> None:
        """Something is said of this recording now: what was learned for it counts."""
        candidate.bindings.settle()
        self._own(candidate.recorded, owner)

    def _own(self, recorded: Recorded, owner: str | None) -> None:
        """The live owner is this recorded one from now on, where they may differ."""
        name = recorded.entry.owner
        if self._terms.bind_owners and owner is not None and name is not None:
            self._owners.setdefault(owner, name)
            self.bindings.name(name, owner)

    def _may_have(self, owner: str | None, recorded: str | None) -> bool:
        """Whether a live owner may be a recorded one by now: each of them has one other."""
        if recorded is None or owner is None or not self._terms.bind_owners:
            return True
        bound = self._owners.get(owner)
        return bound == recorded if bound is not None else recorded not in self._owners.values()

    def release(self, candidate: Candidate) -> None:
        """Nothing of this recording was said: somebody else may have it."""
        self._shelf.release(candidate.recorded.number)
        candidate.bindings.drop()

    def _nothing_left(self, request: Request, reading: _Asked) -> Refusal:
        what = f"{request.head.method.decode('latin-1')} {path_of(request.head.target)}"
        everything = self._shelf.all_of(
            protocol=request.protocol, key=reading.form.digest, role=reading.role, owners=(request.owner, None)
        )
        free = [number for number in everything if self._shelf.is_free(number)]
        if free and reading.form.ids:
            return explain.other_ids(what, self.recorded[free[0]], reading.form)
        owners = self._shelf.owners(protocol=request.protocol, key=reading.form.digest, role=reading.role)
        if not everything:
            return explain.other_owner(what, owners, request.owner)
        return Refusal(
            kind="used-up",
            reason=f"{what}: every recording of it was used",
            close_code=4410,
            hint="record as many as the test makes; start a new replay for each test; or --on-repeat last",
        )


def _due_after(script: StreamScript, at_us: int) -> StreamScript:
    """The script of an answer that followed, in the recording, something later than its own request."""
    first, *rest = script.steps
    after_us = min(first.after_us, max(0, first.event.at_us - at_us))
    return replace(script, steps=(replace(first, after_us=after_us), *rest))


class _Unplayable(Exception):
    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.refusal = Refusal(kind="unplayable", reason=problem, close_code=4404, hint="record it again")


def _host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].lower()
