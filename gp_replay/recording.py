"""A running recorder: the proxy, its redactor and the file it writes.

With mode ``new-episodes`` and a file there, a replay server stands in front: what the file answers is served, what it
does not is relayed (`gp_replay.net.passing`) and recorded.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gp_replay import __version__
from gp_replay.core.canonical import fingerprint, request_key
from gp_replay.core.model import Event, Header, Origin, Role
from gp_replay.core.redaction import RedactionRules, Redactor
from gp_replay.core.routing import Upstream
from gp_replay.core.script import compile, server_cast
from gp_replay.errors import DiskFailure, GpReplayError, NothingHappened
from gp_replay.net.clock import Clock, utc_now
from gp_replay.net.passing import Passing, hosts_of
from gp_replay.net.record import RecordingProxy
from gp_replay.net.relay import Relay
from gp_replay.net.replay import ReplayServer
from gp_replay.net.tape import Tape
from gp_replay.service import LOOPBACK, Service, addresses, recorded_upstreams, unique_names
from gp_replay.settings import command_variables, load_rules
from gp_replay.store import CassetteFile, CassetteWriter, next_epoch, next_revision

__all__ = ["Recorded", "Recording", "new_header"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a recording came to.

    Attributes:
        path: of the cassette, or None when nothing was recorded (and no file is left). With mode ``new-episodes`` and
            nothing new it is the file as it was.
        streams: recorded exchanges and connections.
        unreachable: what upstreams that could not be reached said.
        bypassed: upstream addresses that redirects named to clients, which then went past the recorder.
        broken: connections whose recording failed inside while the relay went on: a bug worth a report.
        served: exchanges and connections the cassette had already answers for.
        missed: requests that got no answer: refused (another owner's recording), or no upstream was there.
    """

    path: Path | None
    streams: int
    unreachable: tuple[str, ...]
    bypassed: tuple[str, ...]
    broken: int
    served: int = 0
    missed: int = 0

    @property
    def source(self) -> str:
        """Who answered: ``live``, ``cassette`` or, when both did, ``mixed``."""
        if not self.served:
            return "live"
        return "mixed" if self.streams else "cassette"

    @property
    def summary(self) -> str:
        """One line for people."""
        what = f"recorded {self.streams} exchanges and connections into {self.path}"
        if self.served or self.missed:
            what = what if self.streams else f"recorded nothing new, {self.path} is as it was"
            what = f"served {self.served}, {what} (source: {self.source})"
        return what + (f", missed {self.missed}" if self.missed else "")


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
        mode: str,
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
        self._listen = listen
        if mode != "new-episodes":  # else the cassette's roles have addresses too
            addresses(listen, self.upstreams)
        self._mode = mode
        self._old: CassetteFile | None = None
        self._inherited = 0
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
        with ExitStack() as undo:
            header = self._open(undo)
            matching = load_rules(self.out)
            self._writer = CassetteWriter(
                self.out,
                header,
                replace=self._mode != "once",
                key=lambda role, request: request_key(matching, role, request),
                fingerprint=fingerprint(matching),
            )
            undo.callback(self._writer.abandon)
            if self._old is not None:
                self._writer.inherit(self._old)
                self._inherited = header.epochs[-1].first_stream - 1
            authorities = frozenset(upstream.authority.lower().encode() for upstream in self.upstreams.values())
            self._tape = Tape(
                write=self._write,
                redactor=Redactor(self._redaction, salt=header.salt),
                authorities=authorities,
                streams=self._inherited,
            )
            relay = Relay(
                upstreams=self.upstreams, tape=self._tape, clock=Clock(), skip=self._skip, keep_host=self._keep_host
            )
            self._front = RecordingProxy(relay) if self._old is None else self._serve_first(self._old, relay)
            await self._listen_for(list(dict.fromkeys((*self.upstreams, *(role.name for role in header.roles)))))
            undo.pop_all()

    def _open(self, undo: ExitStack) -> Header:
        """The header of what will be recorded."""
        header = new_header(self.out, tuple(self.upstreams.values()), self._redaction)
        if self._mode == "once" or not self.out.exists():
            return header
        old = CassetteFile.open(self.out)
        undo.callback(old.close)
        if self._mode == "new-episodes":
            self._old = old
            return next_epoch(header, old)
        with old:
            return next_revision(header, old)

    def _serve_first(self, old: CassetteFile, relay: Relay) -> ReplayServer:
        """What serves ``old`` and passes the rest on."""
        hosts = {role.name: hosts_of(role.url) for role in old.header.roles}
        for upstream in (*recorded_upstreams([old]).values(), *self.upstreams.values()):
            hosts[upstream.role] = hosts.get(upstream.role, frozenset()) | hosts_of(upstream.authority)
        script = compile(old, server_cast(old), load_rules(self.out))
        (name,) = unique_names([self.out])
        return ReplayServer([(name, script)], log=self._log, passing=Passing(relay=relay, hosts=hosts, log=self._log))

    async def _listen_for(self, roles: Sequence[str]) -> None:
        shared, by_role = addresses(self._listen, roles)
        try:
            own = {role: await self._front.start(address, role=role) for role, address in by_role.items()}
            roots = [await self._front.start(address) for address in shared or ([] if own else [LOOPBACK])]
        except GpReplayError:
            await self._front.close()
            raise
        self._serve_roles(roles, own, roots[0] if roots else "")

    def _write(self, event: Event) -> None:
        self._writer.write(event)
        if self._writer.failure is not None and not self._told:
            self._told = True
            self._log(f"the recording stops, the relay goes on: {self._writer.failure}")

    async def _stop(self) -> None:
        await self._front.close()

    def _finish(self, *, failed: bool) -> None:
        tape = self._tape
        tally = self._front.tally if isinstance(self._front, ReplayServer) else None
        nothing = tape.streams == self._inherited and self._writer.failure is None
        self.result = Recorded(
            path=None if nothing and self._old is None else self.out,
            streams=tape.streams - self._inherited,
            unreachable=tuple(tape.unreachable),
            bypassed=tuple(tape.bypassed),
            broken=tape.broken,
            served=len(tally.served) if tally else 0,
            missed=len(tally.missed) if tally else 0,
        )
        if self._old is not None:
            self._old.close()
        if nothing:
            self._writer.abandon()
            return
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
        result = self.result
        if result is None or not (result.streams or result.served or result.missed):
            raise NothingHappened(
                "nothing was recorded: no client came", hint=f"point the client at {self.url or 'the recorder'}"
            )
        if result.unreachable and self._tape.answered == 0 and not result.served:
            raise NothingHappened(
                f"nothing was answered: {result.unreachable[0]}", hint="is the service up and the port right?"
            )

    def variables(self, extra: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
        """The environment for a command that is to be recorded."""
        return command_variables(self.urls, root=self.url, upstreams=tuple(self.upstreams.values()), extra=extra)


def new_header(path: Path, upstreams: Sequence[Upstream], rules: RedactionRules) -> Header:
    """The header of a recording that begins now."""
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
