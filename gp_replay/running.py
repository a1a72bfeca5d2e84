"""One suite against Docker, staging or cassettes, and the proof who answered.

::

    flags ──► plan ──► look at the sources in its order ──► proxies ──► command ──► counts ──► verdict
                           └─ none there: could not check      └───────────┴─ all ended again, whatever happens

Live roles are reached through a recording proxy: its take is the evidence, and what is counted. Cassette roles are
replayed. Both are on loopback, and the command is told where.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from gp_replay.bringing_up import make_ready
from gp_replay.core.redaction import secret_literals
from gp_replay.core.terms import Terms
from gp_replay.core.timing import Pace
from gp_replay.errors import CouldNotCheck, GpReplayError, UsageError
from gp_replay.net.bounded import run_bounded
from gp_replay.net.clock import Clock, utc_now
from gp_replay.net.command import Stopped
from gp_replay.recording import Recording
from gp_replay.replaying import Replay
from gp_replay.run_counts import Played, consumed_from_cassettes, consumed_live, recorded_owners
from gp_replay.run_settings import fetch_tokens, load_run_settings
from gp_replay.runs.environment import Environment, RunSettings
from gp_replay.runs.sources import Ask, Chosen, Nobody, Plan, Probe, Source, Wishes, decide, plan_of
from gp_replay.runs.token_variables import role_variable, stand_ins, token_variables
from gp_replay.runs.verdict import Consumed, RoleOutcome, RunReport
from gp_replay.settings import command_variables, load_redaction

__all__ = ["Surroundings", "run", "run_suite"]

_MIN_LITERAL = 12
"""Shorter credentials would be found in words."""


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """All of a run but its flags about sources.

    Attributes:
        folder: of the project: its settings, and where takes are left.
        cassettes: files or folders; none: what the settings say.
        listen: ``[ROLE=]HOST:PORT``; default a free port on loopback.
        timing: of cassettes: ``recorded``, ``instant``, ``scale:N``, ``cap:SECONDS``; "": what the plan says.
        owners: ``exact`` or ``bind``; see `gp_replay.api.replay`.
        clock: ``recorded`` or ``rebase``; likewise.
        env: a name and a template for the command; see `gp_replay.settings.command_variables`.
        timeout: seconds for the command; None: what the plan says.
        stdout_to: a file descriptor for the command's stdout; None: ours.
        say: takes lines for people; default prints to stderr.
        warn: takes those that must not be overlooked; likewise.
    """

    folder: Path = field(default_factory=Path.cwd)
    cassettes: Sequence[Path] = ()
    listen: Sequence[str] = ()
    timing: str = ""
    owners: str = "exact"
    clock: str = "recorded"
    env: Sequence[tuple[str, str]] = ()
    timeout: float | None = None
    stdout_to: int | None = None
    say: Callable[[str], None] = _to_stderr
    warn: Callable[[str], None] = _to_stderr


def run(command: Sequence[str], wishes: Wishes | None = None, surroundings: Surroundings | None = None) -> RunReport:
    """Runs a command against the source that flags mean, and says who answered.

    ::

        report = gp_replay.run(["pytest", "tests/"], gp_replay.api.Wishes(no_docker=True))
        assert report.exit_code == 0, report.reason

    Arguments, answer and errors are those of `run_suite`, which is for programs with an event loop.
    """
    return asyncio.run(run_suite(command, wishes or Wishes(), surroundings or Surroundings()))


async def run_suite(command: Sequence[str], wishes: Wishes, surroundings: Surroundings) -> RunReport:
    """Runs a command against the source that the flags mean, and says who answered.

    Everything it starts is ended again: also on SIGINT and SIGTERM (in the main thread), on failure, and when it is
    cancelled.

    Args:
        command: what to run; told where the roles are by its environment.
        wishes: which source; see `gp_replay.runs.sources`.
        surroundings: everything else.

    Returns:
        The report. A cassette that cannot be read, a source that is not there and an interruption are in it.

    Raises:
        UsageError: flags or settings that cannot be meant.
    """
    clock = Clock()
    plan = plan_of(wishes)
    suite = _Suite(command, plan, load_run_settings(surroundings.folder), surroundings)
    with Stopped() as stopped:
        playing = asyncio.ensure_future(suite.play())
        told = asyncio.ensure_future(stopped.wait())
        try:
            await asyncio.wait({playing, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
            suite.interrupted = playing.cancel()
            (result,) = await asyncio.gather(playing, return_exceptions=True)
    if isinstance(result, GpReplayError) and not isinstance(result, UsageError):
        suite.fail(result)
    elif isinstance(result, Exception):
        raise result
    return suite.report(seconds=clock.now_us() / 1_000_000)


class _Suite:
    """One run: what it began, and what it found."""

    def __init__(self, command: Sequence[str], plan: Plan, settings: RunSettings, around: Surroundings) -> None:
        self.interrupted = False
        self._command = command
        self._plan = plan
        self._settings = settings
        self._around = around
        self._pace = Pace.parse(around.timing or ("instant" if plan.instant else "recorded"))
        self._source: Source | None = None
        self._passed_over: tuple[Probe, ...] = ()
        self._tokens: dict[str | None, str] = {}
        self._recording: Recording | None = None
        self._replay: Replay | None = None
        self._command_exit: int | None = None
        self._problem: GpReplayError | None = None
        self._notes: list[str] = []
        forbidden = plan.forbidden.get(Source.CASSETTE)
        for source in plan.order:
            environment = settings.environments.get(source)
            if forbidden and environment is not None and environment.replayed:
                raise UsageError(
                    f"environments.{source}.hosts.{environment.replayed[0]} is a cassette, and {forbidden} forbids it"
                )

    # The run

    async def play(self) -> None:
        """All of it; what was begun has ended when this returns or raises."""
        async with AsyncExitStack() as undo:
            self._source = await self._choose(undo)
            environment = self._settings.environments.get(self._source)
            if self._source is Source.CASSETTE or environment is None:
                await self._start_replay(undo, only=())
            else:
                await self._start_recording(undo, environment)
            self._refuse_strange_addresses()
            self._around.say(f"{self._source}: {', '.join(f'{role} {url}' for role, url in self._urls.items())}")
            limit = self._plan.limit_seconds if self._around.timeout is None else self._around.timeout
            ended = await run_bounded(
                self._command,
                seconds=limit,
                variables=self._variables(),
                keep_output=False,
                stdout_to=self._around.stdout_to,
                # As Ctrl-C does in a terminal: a test runner then says what it was doing. A shell may miss the first.
                signals=(signal.SIGINT, signal.SIGTERM),
            )
            self._command_exit = ended.code
            if ended.code is None:
                self._problem = CouldNotCheck(
                    f"the command took more than {limit:g} s and was ended", hint="--timeout SECONDS gives it longer"
                )

    async def _choose(self, undo: AsyncExitStack) -> Source:
        probes: list[Probe] = []
        while True:
            match decide(self._plan, probes):
                case Ask(source=source):
                    probes.append(Probe(source=source, problem=await self._look_at(source, undo)))
                    if probes[-1].problem:
                        self._passed_over = tuple(probes)
                        self._around.warn(f"{source} is not there: {probes[-1].problem}")
                case Chosen(source=source, passed_over=over):
                    if over:
                        self._around.warn(f"falling back to {source}: --fallback allows it")
                    return source
                case Nobody(passed_over=over, hint=hint):
                    raise CouldNotCheck("; ".join(f"no {probe.source}: {probe.problem}" for probe in over), hint=hint)

    async def _look_at(self, source: Source, undo: AsyncExitStack) -> str:
        """Makes an environment ready; "" when it is there, and then ``undo`` ends what was begun."""
        environment = self._settings.environments.get(source)
        if environment is None:
            return f"the settings have no environments.{source}"
        async with AsyncExitStack() as attempt:
            try:
                self._tokens = await fetch_tokens(environment, os.environ)
            except CouldNotCheck as error:
                return str(error)
            if environment.replayed:
                # Before the environment: what it brings up may need to be told where these are.
                await self._start_replay(attempt, only=environment.replayed)
            problem = await make_ready(
                environment,
                needs_docker=source is Source.DOCKER,
                token=self._tokens.get(None) or next(iter(self._tokens.values()), ""),
                variables={} if self._replay is None else self._replay.variables(),
                undo=attempt,
                warn=self._note,
            )
            if not problem:
                undo.push_async_callback(attempt.pop_all().aclose)
                return ""
        self._replay = None
        return problem

    async def _start_replay(self, undo: AsyncExitStack, *, only: tuple[str, ...]) -> None:
        around = self._around
        paths = around.cassettes or [around.folder / path for path in self._settings.cassettes]
        replay = Replay(
            list(paths),
            only=only,
            listen=self._addresses(only, others=not only),
            terms=Terms(pace=self._pace, bind_owners=around.owners == "bind", rebase=around.clock == "rebase"),
            receipt_path=None,
            verify=True,
            live=False,
            upstreams={},
            log=around.say,
        )
        self._replay = await undo.enter_async_context(replay)
        for warning in replay.warnings:
            self._note(warning)

    async def _start_recording(self, undo: AsyncExitStack, environment: Environment) -> None:
        takes = self._around.folder / ".gp-replay" / "takes"
        try:
            takes.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CouldNotCheck(f"{takes}: {error.strerror}", hint="the take is what proves who answered") from error
        stamp = re.sub(r"[^0-9TZ]", "", utc_now())
        tokens = tuple(token.encode() for token in self._tokens.values() if len(token) >= _MIN_LITERAL)
        recording = Recording(
            list(environment.hosts.values()),
            takes / f"run-{stamp}-{os.getpid()}.gpr",
            listen=self._addresses(tuple(environment.hosts), others=True),
            mode="once",
            skip=(),
            keep_host=False,
            redaction=load_redaction(self._around.folder, literals=(*secret_literals(os.environ), *tokens)),
            log=self._around.say,
        )
        self._recording = await undo.enter_async_context(recording)

    def _addresses(self, roles: Sequence[str], *, others: bool) -> list[str]:
        """Of ``--listen``: those of these roles, and with ``others`` those that no other service has."""
        replayed = self._replay.urls if self._replay is not None else {}
        listen = [(text.rpartition("=")[0], text) for text in self._around.listen]
        return [text for role, text in listen if role in roles or (others and role not in replayed)]

    def _refuse_strange_addresses(self) -> None:
        for text in self._around.listen:
            role = text.rpartition("=")[0]
            if role and role not in self._urls:
                raise UsageError(f"--listen {text}: there is no role {role!r}", hint=f"roles: {', '.join(self._urls)}")

    @property
    def _urls(self) -> dict[str, str]:
        services = (self._replay, self._recording)
        return {role: url for service in services if service is not None for role, url in service.urls.items()}

    def _source_of(self, role: str) -> str:
        live = self._recording is not None and role in self._recording.urls
        return str(self._source) if live else Source.CASSETTE

    def _variables(self) -> dict[str, str]:
        variables: dict[str, str] = {"GP_REPLAY_SOURCE": str(self._source)}
        for service in (self._replay, self._recording):
            if service is not None:
                variables |= service.variables()
        if self._around.env:
            variables |= command_variables(self._urls, root=variables["GP_REPLAY_URL"], extra=self._around.env)
        owners = {} if self._replay is None else recorded_owners(used.path for used in self._replay.receipt.cassettes)
        for role in self._urls:
            variables[role_variable(role, "SOURCE")] = self._source_of(role)
            live = self._source_of(role) != Source.CASSETTE
            variables |= token_variables(role, self._tokens if live else stand_ins(owners.get(role, [])))
        return variables

    # What it found

    def fail(self, error: GpReplayError) -> None:
        """The run came to nothing, for this reason."""
        self._problem = error

    def _note(self, text: str) -> None:
        self._notes.append(text)
        self._around.warn(f"warning: {text}")

    def report(self, *, seconds: float) -> RunReport:
        """What the finished run came to."""
        roles: list[RoleOutcome] = []
        evidence: dict[str, str] = {}
        try:
            roles += [*self._live_roles(evidence), *self._replayed_roles(evidence)]
        except GpReplayError as error:
            self._problem = self._problem or error
        missed = 0 if self._replay is None else sum(map(len, _missed(self._replay)))
        problem = self._problem
        return RunReport(
            command=self._command,
            because=self._plan.because,
            source="" if self._source is None else str(self._source),
            roles=roles,
            passed_over=self._passed_over,
            missed=missed,
            evidence=evidence,
            notes=self._notes,
            command_exit=self._command_exit,
            problem="" if problem is None else str(problem),
            problem_exit=4 if problem is None else problem.exit_code,
            hint="" if problem is None else problem.hint,
            interrupted=self.interrupted,
            seconds=seconds,
            nightly=self._plan.nightly,
        )

    def _live_roles(self, evidence: dict[str, str]) -> list[RoleOutcome]:
        recording = self._recording
        if recording is None or recording.result is None:
            return []
        result = recording.result
        self._notes += result.unreachable
        self._notes += [f"a redirect to {name} led clients past the proxy" for name in result.bypassed]
        if result.broken:
            self._notes.append(f"{result.broken} connections were relayed but not recorded to the end")
        consumed: Mapping[str, Consumed] = {}
        if result.path is not None:
            consumed, evidence[str(result.path)] = consumed_live(result.path)
        return [
            RoleOutcome(
                role=role, source=str(self._source), where=upstream.url, consumed=consumed.get(role, Consumed())
            )
            for role, upstream in recording.upstreams.items()
        ]

    def _replayed_roles(self, evidence: dict[str, str]) -> list[RoleOutcome]:
        replay = self._replay
        if replay is None:
            return []
        receipt = replay.receipt
        played = consumed_from_cassettes(receipt)
        found: list[RoleOutcome] = []
        for role in replay.urls:
            answered = played.get(role, Played())
            evidence |= {used.path: used.digest for used in answered.cassettes.values()}
            where = ", ".join(answered.cassettes) or f"none of {len(receipt.cassettes)} cassettes was played"
            found.append(RoleOutcome(role=role, source=Source.CASSETTE, where=where, consumed=answered.consumed))
        if self._source is Source.CASSETTE:
            named = {
                role: None for item in self._settings.environments.values() for role in (*item.hosts, *item.replayed)
            }
            found += [
                RoleOutcome(role=role, source="none", where="no cassette has it", consumed=Consumed())
                for role in named
                if role not in replay.urls
            ]
        return found


def _missed(replay: Replay) -> list[Sequence[object]]:
    receipt = replay.receipt
    return [item.missed for item in (receipt, *receipt.namespaces.values())]
