"""A running drive: our clients against live services, the servers we play meanwhile, and the take that is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gp_replay.core.canonical import fingerprint, request_key
from gp_replay.core.credentials import Credentials
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Side
from gp_replay.core.redaction import RedactionRules, Redactor
from gp_replay.core.routing import Upstream
from gp_replay.core.script import compile
from gp_replay.core.terms import Terms
from gp_replay.errors import CouldNotCheck, GpReplayError, UsageError
from gp_replay.net.clock import Clock
from gp_replay.net.drive import Driver
from gp_replay.net.replay import ReplayServer
from gp_replay.net.sockets import Address
from gp_replay.net.stage import Stage
from gp_replay.net.tape import Tape
from gp_replay.recording import new_header
from gp_replay.replaying import seed_of
from gp_replay.service import Service
from gp_replay.settings import load_rules
from gp_replay.store import CassetteFile, CassetteWriter

__all__ = ["Driven", "Driving"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """What a drive came to. Labels are ``NAME#stream``.

    Attributes:
        take: the cassette that was recorded, or None when no live service answered.
        played: recordings of which our part was played, to the end or not.
        unfinished: those that the live side ended early, or kept waiting.
        unplayed: those that were never begun, or that nobody asked for.
        missed: requests of the live side that no recording answered, and stalls.
        unreachable: what services that could not be reached said.
        unproven: roles and owners whose recorded pseudonym was sent for want of a credential.
    """

    take: Path | None
    played: tuple[str, ...]
    unfinished: tuple[str, ...]
    unplayed: tuple[str, ...]
    missed: tuple[Refusal, ...]
    unreachable: tuple[str, ...]
    unproven: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """1 with a miss or an unfinished stream, 4 when no live service answered, else 0."""
        if self.take is None:
            return 4
        return 1 if self.missed or self.unfinished or self.unplayed else 0

    def plain(self) -> dict[str, object]:
        """As JSON-safe data."""
        return {
            "exit_code": self.exit_code,
            "take": None if self.take is None else str(self.take),
            "played": list(self.played),
            "unfinished": list(self.unfinished),
            "unplayed": list(self.unplayed),
            "missed": [item.plain() for item in self.missed],
            "unreachable": list(self.unreachable),
            "unproven": list(self.unproven),
        }

    def lines(self) -> list[str]:
        """For people."""
        counts = f"played {len(self.played)}, unfinished {len(self.unfinished)}, unplayed {len(self.unplayed)}"
        return [
            *(f"could not reach {line}" for line in self.unreachable),
            *(f"ended early: {label}" for label in self.unfinished),
            *(f"not played: {label}" for label in self.unplayed),
            *(f"no credential for {who}: its recorded pseudonym was sent" for who in self.unproven),
            f"{counts}, missed {len(self.missed)}" + ("" if self.take is None else f"; the take is {self.take}"),
        ]


class Driving(Service):
    """A running drive; see `gp_replay.api.drive`. Entering it listens for the servers' parts; `run` drives.

    Attributes:
        url, urls: where the parts of servers are served; empty without any.
        result: a `Driven`, after the block.
    """

    def __init__(
        self,
        path: Path,
        *,
        upstreams: Mapping[str, Upstream],
        servers: tuple[str, ...],
        out: Path,
        terms: Terms,
        credentials: Credentials,
        redaction: RedactionRules,
        timeout_seconds: float,
        listen: Address,
        log: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.result: Driven | None = None
        self._path = path
        self._upstreams = upstreams
        self._servers = servers
        self._out = out
        self._terms = terms
        self._credentials = credentials
        self._redaction = redaction
        self._timeout_seconds = timeout_seconds
        self._listen = listen
        self._log = log
        self._server: ReplayServer | None = None

    async def _start(self) -> None:
        self._cassette = CassetteFile.open(self._path)
        try:
            await self._begin()
        except BaseException:
            self._cassette.close()
            raise

    async def _begin(self) -> None:
        known = {role.name for role in self._cassette.header.roles}
        for role in (*self._upstreams, *self._servers):
            if role not in known:
                raise UsageError(f"{self._path} has no role {role!r}", hint=f"roles: {', '.join(sorted(known))}")
        rules = load_rules(self._path)
        cast = {**dict.fromkeys(self._servers, Side.SERVER), **dict.fromkeys(self._upstreams, Side.CLIENT)}
        stage = Stage(
            [(self._path.name.removesuffix(".gpr"), compile(self._cassette, cast, rules))],
            terms=replace(self._terms, seed=seed_of([self._cassette])),
            log=self._log,
        )
        header = new_header(self._out, tuple(self._upstreams.values()), self._redaction)
        self._writer = CassetteWriter(
            self._out,
            header,
            key=lambda role, request: request_key(rules, role, request),
            fingerprint=fingerprint(rules),
        )
        clock = Clock()
        self._tape = Tape(write=self._writer.write, redactor=Redactor(self._redaction, salt=header.salt))
        self._driver = Driver(
            stage=stage, upstreams=self._upstreams, credentials=self._credentials, tape=self._tape, clock=clock
        )
        stage.opener = self._driver.open
        self._stage = stage
        if self._servers:
            self._server = ReplayServer((), stage=stage)
            try:
                self._serve_roles(self._servers, {}, await self._server.start(self._listen))
            except GpReplayError:
                self._writer.abandon()
                raise

    async def drive(self) -> None:
        """Plays our clients to their end, or until nothing happens for too long.

        Raises:
            CouldNotCheck: it takes longer than the timeout; what was recorded so far is kept.
        """
        self._stage.start()
        self._driver.look()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._driver.idle.wait()
        except TimeoutError as error:
            raise CouldNotCheck(
                f"the drive took longer than {self._timeout_seconds:g} s", hint="a service may hang; or give it more"
            ) from error

    def run(self) -> None:
        """`drive`, for the synchronous block. Raises what that raises."""
        if self._loop is None:
            raise UsageError("run() belongs into a with block; in an async with block await drive()")
        self._loop.run(self.drive())

    async def _stop(self) -> None:
        for stream in list(self._driver.streams):
            stream.drop()
        if self._server is not None:
            await self._server.close()
        self._stage.close()
        self._tape.finish(self._driver.clock.stamp_us())
        await asyncio.sleep(0)

    def _finish(self, *, failed: bool) -> None:
        self._cassette.close()
        tally, tape = self._stage.player.tally, self._tape
        take: Path | None = self._out
        if tape.answered == 0:
            self._writer.abandon()
            self._writer.part.unlink(missing_ok=True)
            take = None
        self.result = Driven(
            take=take,
            played=tally.served,
            unfinished=tally.unfinished,
            unplayed=tally.unplayed,
            missed=tally.missed,
            unreachable=tuple(tape.unreachable),
            unproven=tuple(f"{role} ({owner})" if owner else role for role, owner in self._driver.unproven),
        )
        if take is None:
            return
        try:
            self._writer.close()
        except GpReplayError:
            if not failed:
                raise
