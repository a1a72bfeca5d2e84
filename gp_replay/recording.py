"""A running recorder: the proxy, its redactor and the file it writes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gp_replay import __version__
from gp_replay.core.canonical import fingerprint, request_key
from gp_replay.core.model import Event, Header, Origin, Role
from gp_replay.core.redaction import RedactionRules, Redactor
from gp_replay.core.routing import Upstream
from gp_replay.errors import DiskFailure, GpReplayError, NothingHappened
from gp_replay.net.clock import Clock, utc_now
from gp_replay.net.record import RecordingProxy
from gp_replay.net.tape import Tape
from gp_replay.service import LOOPBACK, Service, addresses
from gp_replay.settings import command_variables, load_rules
from gp_replay.store import CassetteFile, CassetteWriter, next_revision

__all__ = ["Recorded", "Recording"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a recording came to.

    Attributes:
        path: of the cassette, or None when nothing was recorded (and no file is left).
        streams: recorded exchanges and connections.
        unreachable: what upstreams that could not be reached said.
        bypassed: upstream addresses that redirects named to clients, which then went past the recorder.
        broken: connections whose recording failed inside while the relay went on: a bug worth a report.
    """

    path: Path | None
    streams: int
    unreachable: tuple[str, ...]
    bypassed: tuple[str, ...]
    broken: int


class Recording(Service):
    """A running recorder; see `gp_replay.api.record`. ``result`` is set when the block has ended.

    Attributes:
        url: serves all roles under ``/<role>/…``; with one role, that role at the root.
        urls: role to URL.
        upstreams: role to upstream.
        result: a `Recorded`, after the block.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        out: Path,
        *,
        listen: Sequence[str],
        replace: bool,
        skip: tuple[str, ...],
        keep_host: bool,
        redaction: RedactionRules,
        log: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.upstreams = {upstream.role: upstream for upstream in upstreams}
        self.out = out
        self.result: Recorded | None = None
        self.exit_code: int | None = None
        self._addresses = addresses(listen, self.upstreams)
        self._replace = replace
        self._skip = skip
        self._keep_host = keep_host
        self._redaction = redaction
        self._log = log
        self._told = False

    @property
    def failure(self) -> DiskFailure | None:
        """What the disk said, once it failed. The relay goes on."""
        return self._writer.failure

    async def _start(self) -> None:
        header = _new_header(self.out, tuple(self.upstreams.values()), self._redaction)
        if self._replace and self.out.exists():
            with CassetteFile.open(self.out) as old:
                header = next_revision(header, old)
        matching = load_rules(self.out)
        self._writer = CassetteWriter(
            self.out,
            header,
            replace=self._replace,
            key=lambda role, request: request_key(matching, role, request),
            fingerprint=fingerprint(matching),
        )
        authorities = frozenset(upstream.authority.lower().encode() for upstream in self.upstreams.values())
        self._tape = Tape(
            write=self._write, redactor=Redactor(self._redaction, salt=header.salt), authorities=authorities
        )
        self._proxy = RecordingProxy(
            upstreams=self.upstreams,
            tape=self._tape,
            clock=Clock(),
            skip=self._skip,
            keep_host=self._keep_host,
        )
        try:
            own = {role: await self._proxy.start(address, role=role) for role, address in self._addresses[1].items()}
            shared = self._addresses[0] or ([] if own else [LOOPBACK])
            roots = [await self._proxy.start(address) for address in shared]
        except GpReplayError:
            await self._proxy.close()
            self._writer.abandon()
            raise
        self._serve_roles(list(self.upstreams), own, roots[0] if roots else "")

    def _write(self, event: Event) -> None:
        self._writer.write(event)
        if self._writer.failure is not None and not self._told:
            self._told = True
            self._log(f"the recording stops, the relay goes on: {self._writer.failure}")

    async def _stop(self) -> None:
        await self._proxy.close()

    def _finish(self, *, failed: bool) -> None:
        tape = self._tape
        unreachable, streams = tuple(tape.unreachable), tape.streams
        if streams == 0 and self._writer.failure is None:
            self._writer.abandon()
            self.result = Recorded(path=None, streams=0, unreachable=unreachable, bypassed=(), broken=tape.broken)
            return
        self.result = Recorded(
            path=self.out,
            streams=streams,
            unreachable=unreachable,
            bypassed=tuple(tape.bypassed),
            broken=tape.broken,
        )
        try:
            self._writer.close(self.exit_code)
        except GpReplayError:
            if not failed:
                raise

    def check(self) -> None:
        """Raises what a recording that came to nothing deserves.

        Raises:
            NothingHappened: nothing was recorded, or only requests that no upstream answered.
        """
        if self.result is None or self.result.path is None:
            raise NothingHappened(
                "nothing was recorded: no client came", hint=f"point the client at {self.url or 'the recorder'}"
            )
        if self.result.unreachable and self._tape.answered == 0:
            raise NothingHappened(
                f"nothing was answered: {self.result.unreachable[0]}", hint="is the service up and the port right?"
            )

    def variables(self, extra: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
        """The environment for a command that is to be recorded."""
        return command_variables(self.urls, root=self.url, upstreams=tuple(self.upstreams.values()), extra=extra)


def _new_header(path: Path, upstreams: Sequence[Upstream], rules: RedactionRules) -> Header:
    return Header(
        name=path.name.removesuffix(".gpr"),
        recorded_at=utc_now(),
        tool=f"gp-replay {__version__}",
        origin=Origin.LIVE,
        roles=tuple(Role(name=upstream.role, url=upstream.url) for upstream in upstreams),
        salt=os.urandom(16),
        redaction=rules.names,
        commit=_git_commit(),
    )


def _git_commit() -> str:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, timeout=2, check=False, text=True)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
