"""Runs: what one request sets off, on one connection.

A run opens with its first event (by the contract's grammar: `opens`). An event without a run's id belongs to the run
opened last. Agents that open must close; the run ends when the agent that opened it closes, or with an error that names
it (or, of errors that belong to runs, with one that names none while one run is open). An error that names no run
excuses the runs that are open, and ends none. What comes for a run after its end is late.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from gp_replay.contracts.contract import Contract
from gp_replay.contracts.contract import Runs as RunRules
from gp_replay.contracts.findings import Level, Notes
from gp_replay.contracts.grammar import Broken, Grammar, Scope
from gp_replay.contracts.limits import RUN, Limits
from gp_replay.contracts.pairing import Pairs
from gp_replay.contracts.recognising import Heard, text_of
from gp_replay.contracts.said import Said

__all__ = ["RunBook", "break_rule"]

_MAX_RUNS = 256
_MAX_ENDED = 1_000
_MAX_AGENTS = 256
_MAX_STAMPS = 20_000
_MAX_ASKED = 1_000


@dataclass(slots=True, kw_only=True)
class _Run:
    """An open run. `agents` are those that opened and did not close yet, the opener first."""

    id: str | None
    first: Said
    opener: str | None
    scope: Scope
    pairs: tuple[Pairs, ...]
    last: Said
    agents: dict[str, Said] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    stamps: set[int] = field(default_factory=set)
    excused: bool = False
    too_long: bool = False

    @property
    def label(self) -> str:
        return "the run without an id" if self.id is None else f"run {self.id}"


class RunBook:
    """The runs of one connection.

    Args:
        contract: has runs.
        rules: `contract.runs`.
        grammar: its rules per run.
        limits: of the connection.

    Attributes:
        completed: how many runs ended.
    """

    def __init__(self, contract: Contract, rules: RunRules, grammar: Grammar, limits: Limits) -> None:
        self._contract = contract
        self._rules = rules
        self._grammar = grammar
        self._limits = limits
        self._open: dict[str | None, _Run] = {}
        self._ended: dict[str, bool] = {}
        self._asked: deque[Said] = deque(maxlen=_MAX_ASKED)
        self._ended_us = 0
        self.completed = 0

    def ask(self, said: Said) -> None:
        """The client asked for a run."""
        self._asked.append(said)

    @property
    def is_asked(self) -> bool:
        """Whether a request waits for its run."""
        return bool(self._asked)

    def hear(self, heard: Heard, notes: Notes) -> None:
        """Takes the next event that belongs to a run, or fails one."""
        run_id = heard.text(self._rules.key)
        if heard.name in self._rules.fails:
            self._fail(heard, run_id, notes)
            return
        run = self._run_of(heard, run_id, notes)
        if run is None or self._came_before(run, heard, notes):
            return
        self._note_times(run, heard.said, notes)
        self._note_same(run, heard, notes)
        for broken in run.scope.hear(heard.name, heard.said.side):
            break_rule(broken, heard.said, notes, what=run.label)
        for pairs in run.pairs:
            pairs.hear(heard, notes)
        if heard.name == self._rules.opens:
            self._agent_opens(run, heard, notes)
        elif heard.name == self._rules.closes:
            self._agent_closes(run, heard, notes)

    def end(self, said: Said, notes: Notes, *, left: bool) -> None:
        """The connection is over.

        Args:
            said: how it ended.
            notes: takes what is missing.
            left: the client vanished or the recording stopped, so that nobody can say what would have come.
        """
        level = Level.WARNING if left else Level.ERROR
        for run in self._open.values():
            if not run.excused and not run.scope.astray:
                self._unfinished(run, notes, level)
        for asked in self._asked:
            notes.find(
                asked,
                "request.answered",
                level=level,
                expected=f"{self._rules.opens} or an error",
                came=f"none before the connection ended at {said.at_us / 1e6:.3f} s",
                fix="answer every request, with an error if there is nothing to run",
            )
        self._open, self._asked = {}, deque(maxlen=_MAX_ASKED)

    def _run_of(self, heard: Heard, run_id: str | None, notes: Notes) -> _Run | None:
        if run_id is None and self._open and heard.name != self._rules.opens:
            return next(reversed(self._open.values()))
        run = self._open.get(run_id)
        if run is not None:
            return run
        if run_id is not None and run_id in self._ended:
            self._late(heard, run_id, notes)
            return None
        return self._begin(heard, run_id, notes)

    def _begin(self, heard: Heard, run_id: str | None, notes: Notes) -> _Run:
        if len(self._open) >= _MAX_RUNS:
            self._unfinished(self._open.pop(next(iter(self._open))), notes, Level.ERROR)
        said = heard.said
        run = _Run(
            id=run_id,
            first=said,
            opener=None,
            scope=Scope(self._grammar),
            pairs=tuple(Pairs(pairing) for pairing in self._contract.pairings),
            last=said,
        )
        self._open[run_id] = run
        self._answered(said, notes)
        return run

    def _answered(self, said: Said, notes: Notes) -> None:
        if self._asked:
            self._asked.popleft()
        self._limits.hear(RUN, said, notes, not_before_us=self._ended_us)

    def _came_before(self, run: _Run, heard: Heard, notes: Notes) -> bool:
        if not any(heard.has(path) for path in self._rules.once_by):
            return False
        stamp = hash(heard.said.raw)
        if stamp in run.stamps:
            notes.find(
                heard.said,
                "run.once",
                expected="each message once",
                came=f"the same {heard.name} again, with the same time or id",
                fix="look for two senders on one connection, or a retry after a send that had worked",
            )
            return True
        if len(run.stamps) < _MAX_STAMPS:
            run.stamps.add(stamp)
        return False

    def _note_times(self, run: _Run, said: Said, notes: Notes) -> None:
        self._limits.between(run.last.at_us, said, notes)
        run.too_long = run.too_long or self._limits.whole(run.first.at_us, said, notes)
        run.last = said

    def _note_same(self, run: _Run, heard: Heard, notes: Notes) -> None:
        for wanted in self._rules.same:
            value = heard.text(wanted)
            if value is not None and run.same.setdefault(wanted.name, value) != value:
                place = ".".join(wanted.paths[0])
                notes.find(
                    heard.said,
                    f"run.{wanted.name}",
                    place=place,
                    expected=f"{text_of(run.same[wanted.name])}, as in all of {run.label}",
                    came=text_of(value),
                    fix=f"one run has one {place}: look for state shared between runs",
                )

    def _agent_opens(self, run: _Run, heard: Heard, notes: Notes) -> None:
        agent = heard.text(self._rules.by)
        if heard.said is run.first or (run.scope.astray and run.opener is None):
            run.opener = agent
            if agent is not None:
                run.agents[agent] = heard.said
        elif agent is None or agent in run.agents:
            notes.find(
                heard.said,
                "run.agents",
                expected=f"one {self._rules.opens} per agent until it completes",
                came=f"{self._rules.opens} of {agent or 'no agent'} again",
                fix="send it once per run and agent",
            )
        elif len(run.agents) < _MAX_AGENTS:
            run.agents[agent] = heard.said

    def _agent_closes(self, run: _Run, heard: Heard, notes: Notes) -> None:
        agent = heard.text(self._rules.by)
        if agent is not None and run.opener is not None and agent != run.opener:
            run.agents.pop(agent, None)
            return
        if agent is not None and run.opener is None and run.agents.pop(agent, None) is not None:
            return
        if not run.excused and not run.scope.astray:
            for broken in run.scope.end():
                break_rule(broken, heard.said, notes, what=run.label)
            for name, said in run.agents.items():
                if name != run.opener:
                    self._never_completed(run, name, said, notes)
            for pairs in run.pairs:
                pairs.end(notes)
        self._close(run, heard.said, may_close_again=False)

    def _close(self, run: _Run, said: Said, *, may_close_again: bool) -> None:
        del self._open[run.id]
        self._ended_us = said.at_us
        self.completed += 1
        if run.id is not None:
            if len(self._ended) >= _MAX_ENDED:
                del self._ended[next(iter(self._ended))]
            self._ended[run.id] = may_close_again

    def _fail(self, heard: Heard, run_id: str | None, notes: Notes) -> None:
        in_run = heard.event is not None and heard.event.in_run
        run = self._open.get(run_id)
        if run_id is None and in_run and len(self._open) == 1:
            run = next(iter(self._open.values()))
        if run is not None:
            agent = heard.text(self._rules.by)
            run.excused = True
            if in_run and agent is not None and run.opener is not None and agent != run.opener:
                run.agents.pop(agent, None)
                run.last = heard.said
                return
            self._close(run, heard.said, may_close_again=True)
        elif self._open and run_id is None:
            for run in self._open.values():
                run.excused = True
        elif run_id not in self._ended:
            self._answered(heard.said, notes)

    def _late(self, heard: Heard, run_id: str, notes: Notes) -> None:
        if self._ended[run_id] and heard.name == self._rules.closes:
            self._ended[run_id] = False
            return
        again = heard.name == self._rules.opens
        notes.find(
            heard.said,
            "run.end",
            expected="an id of its own for each run" if again else f"nothing of run {run_id} after it ended",
            came=f"{heard.name} of run {run_id}",
            fix="make a new id for each run" if again else f"send {self._rules.closes} of the run last",
        )

    def _unfinished(self, run: _Run, notes: Notes, level: Level) -> None:
        who = run.opener or "the agent that opened it"
        notes.find(
            run.last,
            "run.end",
            level=level,
            expected=f"{self._rules.closes} of {who}, or an error, for {run.label}",
            came=f"nothing after this message (agents that did not complete: {', '.join(run.agents) or who})",
            fix="end every run, with an error if it fails",
        )

    def _never_completed(self, run: _Run, agent: str, said: Said, notes: Notes) -> None:
        notes.find(
            said,
            "run.agents",
            expected=f"{self._rules.closes} of {agent} before {run.label} ended",
            came="none",
            fix=f"send {self._rules.closes} for every agent that sent {self._rules.opens}",
        )


def break_rule(broken: Broken, said: Said, notes: Notes, *, what: str) -> None:
    """Says that a rule of the grammar does not hold."""
    notes.find(
        said,
        f"{broken.rule.event}.{broken.which}",
        level=broken.rule.level,
        expected=f"{broken.expected} ({what})",
        came=broken.came,
        fix=broken.fix,
    )
