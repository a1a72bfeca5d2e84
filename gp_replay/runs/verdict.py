"""What a run came to: passed, failed or could not check, who answered for each role, and what was consumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gp_replay.runs.sources import Probe

__all__ = ["Consumed", "RoleOutcome", "RunReport", "Verdict"]

_INTERRUPTED = 130
_ORDER = (3, 1, 4)
"""Of the exit codes that apply the first counts."""


class Verdict(StrEnum):
    """The three things a run can say."""

    PASSED = "passed"
    FAILED = "failed"
    COULD_NOT_CHECK = "could not check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """What a client of ours got.

    Attributes:
        exchanges: answered HTTP requests.
        connections: accepted WebSockets.
        messages: on those; of cassettes only what was played to the end is counted.
        unanswered: requests and handshakes without an answer.
    """

    exchanges: int = 0
    connections: int = 0
    messages: int = 0
    unanswered: int = 0

    def __add__(self, other: Consumed) -> Consumed:
        return Consumed(
            exchanges=self.exchanges + other.exchanges,
            connections=self.connections + other.connections,
            messages=self.messages + other.messages,
            unanswered=self.unanswered + other.unanswered,
        )

    @property
    def nothing(self) -> bool:
        """Whether nobody got an answer."""
        return not (self.exchanges or self.connections)

    def __str__(self) -> str:
        text = f"{self.exchanges} exchanges, {self.connections} connections, {self.messages} messages"
        return text + (f", {self.unanswered} without an answer" if self.unanswered else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleOutcome:
    """One role of a run.

    Attributes:
        role: its name.
        source: docker, staging or cassette; none where nobody could answer.
        where: the URL that answered, or the cassettes.
        consumed: see there.
    """

    role: str
    source: str
    where: str
    consumed: Consumed


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A finished run.

    Attributes:
        command: as it was run.
        because: the flag that decided which source was meant.
        source: what answered, or "" where nothing could.
        roles: in order.
        passed_over: sources that were meant first and were not there.
        missed: requests no recording answered.
        evidence: path to digest, of every cassette played and of the take that was recorded.
        notes: what else to know.
        command_exit: of the command; None where it was not run, or did not end by itself.
        problem: why nothing can be said, or "".
        problem_exit: the exit code of that problem: 3 or 4.
        hint: what to do about it.
        interrupted: somebody stopped the run.
        seconds: from start to end.
        nightly: a run that is to be compared with the cassettes.
    """

    command: Sequence[str]
    because: str
    source: str = ""
    roles: Sequence[RoleOutcome] = ()
    passed_over: Sequence[Probe] = ()
    missed: int = 0
    evidence: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    command_exit: int | None = None
    problem: str = ""
    problem_exit: int = 4
    hint: str = ""
    interrupted: bool = False
    seconds: float = 0.0
    nightly: bool = False

    @property
    def consumed(self) -> Consumed:
        """Of all roles."""
        return sum((role.consumed for role in self.roles), Consumed())

    @property
    def exit_code(self) -> int:
        """The command's own where that is not 0; else 3 before 1 before 4, and 0."""
        if self.interrupted:
            return _INTERRUPTED
        if self.command_exit:
            return self.command_exit
        codes = {self.problem_exit} if self.problem else set()
        if self.missed:
            codes.add(1)
        if self.consumed.nothing:
            codes.add(4)
        return next((code for code in _ORDER if code in codes), 0)

    @property
    def verdict(self) -> Verdict:
        """A command that fails while no live service answered anything says nothing about the product."""
        if self.interrupted or (self.command_exit is None and not self.missed):
            return Verdict.COULD_NOT_CHECK
        if self.command_exit and self.consumed.nothing and self.consumed.unanswered:
            return Verdict.COULD_NOT_CHECK
        if self.exit_code == 0:
            return Verdict.PASSED
        return Verdict.FAILED if self.command_exit or self.exit_code == 1 else Verdict.COULD_NOT_CHECK

    @property
    def reason(self) -> str:
        """One line: why the verdict is what it is."""
        if self.interrupted:
            return "stopped before its end"
        if self.problem:
            return self.problem
        if self.command_exit:
            return f"the command exited with {self.command_exit}"
        if self.missed:
            return f"{self.missed} requests that no recording answers"
        if self.consumed.nothing:
            asked = self.consumed.unanswered
            return f"none of {asked} requests was answered" if asked else "nothing was consumed: no client asked"
        return str(self.consumed)
