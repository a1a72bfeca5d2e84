"""Everything gp-replay does, for programs. The command line and the pytest plugin only call this.

::

    with gp_replay.record("llm=http://127.0.0.1:8080", out="chat.gpr") as recording:
        run_my_client(recording.urls["llm"])

    async with gp_replay.replay("cassettes/chat.gpr") as replay:
        await run_my_client(replay.urls["llm"])
    assert replay.receipt.exit_code == 0
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from gp_replay import __version__
from gp_replay.core.canonical import fingerprint, request_key
from gp_replay.core.model import Event, Header, Origin, Role
from gp_replay.core.redaction import RedactionRules, Redactor, secret_literals
from gp_replay.core.routing import Upstream, parse_upstream
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast
from gp_replay.core.timing import Pace
from gp_replay.errors import CassetteExists, DiskFailure, GpReplayError, NothingHappened, UsageError
from gp_replay.net.background import BackgroundLoop
from gp_replay.net.clock import Clock, utc_now
from gp_replay.net.record import RecordingProxy
from gp_replay.net.replay import ReplayServer
from gp_replay.net.sockets import Address, parse_address
from gp_replay.net.tape import Tape
from gp_replay.report.receipt import CassetteUsed, Receipt
from gp_replay.settings import command_variables, load_rules
from gp_replay.store import CassetteFile, CassetteWriter, find_cassettes, next_revision

__all__ = ["Recorded", "Recording", "Replay", "default_redaction", "record", "replay"]

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Listen: TypeAlias = str | Sequence[str]

LOOPBACK: Address = ("127.0.0.1", 0)


class _Service:
    """Something that listens while a ``with`` or ``async with`` block runs."""

    def __init__(self) -> None:
        self._loop: BackgroundLoop | None = None
        self.url = ""
        self.urls: dict[str, str] = {}

    async def _start(self) -> None:
        raise AssertionError("a service starts in its own way")

    async def _stop(self) -> None:
        raise AssertionError("a service stops in its own way")

    def _finish(self, *, failed: bool) -> None:
        raise AssertionError("a service finishes in its own way")

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()
        self._finish(failed=error is not None)

    def __enter__(self) -> Self:
        self._loop = BackgroundLoop()
        try:
            self._loop.run(self._start())
        except BaseException:
            self._loop.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        try:
            self._loop.run(self._stop())
        finally:
            self._loop.close()
        self._finish(failed=error is not None)

    def _serve_roles(self, roles: Sequence[str], own: Mapping[str, str], root: str) -> None:
        self.url = root or next(iter(own.values()))
        for role in roles:
            self.urls[role] = own.get(role) or (self.url if len(roles) == 1 else f"{self.url}/{role}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a recording came to.

    Attributes:
        path: of the cassette, or None when nothing was recorded (and no file is left).
        streams: recorded exchanges and connections.
        unreachable: what upstreams that could not be reached said.
        broken: connections whose recording failed inside while the relay went on: a bug worth a report.
    """

    path: Path | None
    streams: int
    unreachable: tuple[str, ...]
    broken: int


class Recording(_Service):
    """A running recorder; see `record`. ``result`` is set when the block has ended.

    Attributes:
        url: serves all roles under ``/<role>/…``; with one role, that role at the root.
        urls: role to URL.
        upstreams: role to upstream.
        result: a `Recorded`, after the block.
    """

    def __init__(self, upstreams: Sequence[Upstream], out: Path, listen: Sequence[str], **options: object) -> None:
        super().__init__()
        self.upstreams = {upstream.role: upstream for upstream in upstreams}
        self.out = out
        self.result: Recorded | None = None
        self.exit_code: int | None = None
        self._addresses = _addresses(listen, self.upstreams)
        self._options = options

    @property
    def failure(self) -> DiskFailure | None:
        """What the disk said, once it failed. The relay goes on."""
        return self._writer.failure

    async def _start(self) -> None:
        rules = self._options["redaction"]
        assert isinstance(rules, RedactionRules)
        replacing = self._options["mode"] == "all"
        header = _new_header(self.out, tuple(self.upstreams.values()), rules)
        if replacing and self.out.exists():
            with CassetteFile.open(self.out) as old:
                header = next_revision(header, old)
        matching = load_rules(self.out)
        self._writer = CassetteWriter(
            self.out,
            header,
            replace=replacing,
            key=lambda role, request: request_key(matching, role, request),
            fingerprint=fingerprint(matching),
        )
        self._tape = Tape(write=self._write, redactor=Redactor(rules, salt=header.salt))
        skip = self._options["skip"]
        assert isinstance(skip, tuple)
        self._proxy = RecordingProxy(
            upstreams=self.upstreams,
            tape=self._tape,
            clock=Clock(),
            skip=skip,
            keep_host=bool(self._options["keep_host"]),
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

    async def _stop(self) -> None:
        await self._proxy.close()

    def _finish(self, *, failed: bool) -> None:
        tape = self._tape
        unreachable, streams = tuple(tape.unreachable), tape.streams
        if streams == 0 and self._writer.failure is None:
            self._writer.abandon()
            self.result = Recorded(path=None, streams=0, unreachable=unreachable, broken=tape.broken)
            return
        self.result = Recorded(path=self.out, streams=streams, unreachable=unreachable, broken=tape.broken)
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


def record(
    upstream: str | Sequence[str],
    *,
    out: str | os.PathLike[str],
    mode: str = "once",
    listen: Listen = (),
    skip: Sequence[str] = (),
    keep_host: bool = False,
    redaction: RedactionRules | None = None,
) -> Recording:
    """Records what passes between clients and upstreams, as a context manager (``with`` or ``async with``).

    Args:
        upstream: ``[ROLE=]URL``, or several; http, https, ws, wss, with a base path if need be.
        out: the cassette to write; ``.gpr`` is added if it has no suffix.
        mode: ``once`` refuses an existing file; ``all`` makes a new revision of it.
        listen: ``[ROLE=]HOST:PORT``, or several; default a free port on loopback.
        skip: path patterns that are relayed and not recorded.
        keep_host: leave ``Host`` as the client sends it.
        redaction: default the built-in rules with the secrets of this environment.

    Returns:
        A `Recording`. Entering it listens; leaving it saves the cassette.

    Raises:
        UsageError: an argument that cannot be meant; at once.
        CassetteExists, CassetteUnfinished: on entering, mode ``once`` with a file there, or a left-over ``.part``.
        ListenError: on entering.
        DiskFailure: on entering, or on leaving when the disk failed meanwhile.
    """
    texts = [upstream] if isinstance(upstream, str) else list(upstream)
    upstreams = [parse_upstream(text) for text in texts]
    names = [item.role for item in upstreams]
    if not names:
        raise UsageError("no upstream to record from", hint="--upstream http://127.0.0.1:8080")
    if len(set(names)) < len(names):
        raise UsageError(f"two upstreams for role {names[0]}", hint="name them: --upstream llm=URL --upstream chat=URL")
    if mode not in ("once", "all"):
        raise UsageError(f"mode {mode!r}", hint="once refuses an existing file, all makes a new revision")
    path = Path(out)
    path = path if path.suffix else path.with_suffix(".gpr")
    if mode == "once" and path.exists():
        raise CassetteExists(str(path))
    return Recording(
        upstreams,
        path,
        [listen] if isinstance(listen, str) else list(listen),
        mode=mode,
        skip=tuple(skip),
        keep_host=keep_host,
        redaction=redaction if redaction is not None else default_redaction(),
    )


def default_redaction() -> RedactionRules:
    """The built-in rules, and the values of this process's environment variables whose names say secret."""
    return RedactionRules(literals=secret_literals(os.environ))


class Replay(_Service):
    """A running replay server; see `replay`.

    Attributes:
        url: serves all roles, under ``/<role>/…`` and, where the path names none, at the root.
        urls: role to URL.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        only: tuple[str, ...],
        listen: Sequence[str],
        pace: Pace,
        patience_us: int,
        receipt_path: Path | None,
        verify: bool,
        log: object,
    ) -> None:
        super().__init__()
        self._paths = paths
        self._only = only
        self._listen = listen
        self._pace = pace
        self._patience_us = patience_us
        self._receipt_path = receipt_path
        self._verify = verify
        self._log = log
        self._cassettes: list[CassetteFile] = []
        self.command_exit: int | None = None
        self.warnings: list[str] = []

    @property
    def receipt(self) -> Receipt:
        """What was served, missed and left unplayed up to now."""
        tally = self._server.tally
        return Receipt(
            cassettes=self._used,
            cast=[(role, "server") for role in self.urls],
            timing=str(self._pace),
            served=tally.served,
            unfinished=tally.unfinished,
            missed=tally.missed,
            unplayed=tally.unplayed,
            command_exit=self.command_exit,
        )

    async def _start(self) -> None:
        try:
            for path in find_cassettes(self._paths):
                self._cassettes.append(CassetteFile.open(path, verify=self._verify))
            await self._listen_for(self._compile())
        except BaseException:
            self._close_cassettes()
            raise

    def _compile(self) -> list[tuple[str, CassetteFile]]:
        names = _unique_names([cassette.path for cassette in self._cassettes])
        known = {role.name for cassette in self._cassettes for role in cassette.header.roles}
        missing = [role for role in self._only if role not in known]
        if missing:
            raise UsageError(f"no cassette has a role {missing[0]!r}", hint=f"roles: {', '.join(sorted(known))}")
        self._used = [
            CassetteUsed(
                name=name,
                path=str(cassette.path),
                digest=cassette.digest,
                recorded_at=cassette.header.recorded_at,
            )
            for name, cassette in zip(names, self._cassettes, strict=True)
        ]
        self.warnings = [
            f"{name}: recorded with redaction off; it may hold secrets"
            for name, cassette in zip(names, self._cassettes, strict=True)
            if "off" in cassette.header.redaction
        ]
        return list(zip(names, self._cassettes, strict=True))

    async def _listen_for(self, named: list[tuple[str, CassetteFile]]) -> None:
        rules = sum((load_rules(cassette.path) for _, cassette in named), Rules())
        scripts = [(name, compile(cassette, server_cast(cassette, self._only), rules)) for name, cassette in named]
        roles = list(dict.fromkeys(role for _, script in scripts for role in script.cast))
        self._server = ReplayServer(
            scripts,
            pace=self._pace,
            patience_us=self._patience_us,
            log=self._log if callable(self._log) else None,
        )
        shared, by_role = _addresses(self._listen, roles)
        try:
            own = {role: await self._server.start(address, role=role) for role, address in by_role.items()}
            roots = [await self._server.start(address) for address in shared or ([] if own else [LOOPBACK])]
        except GpReplayError:
            await self._server.close()
            raise
        self._serve_roles(roles, own, roots[0] if roots else "")

    async def _stop(self) -> None:
        await self._server.close()

    def _finish(self, *, failed: bool) -> None:
        self._close_cassettes()
        if self._receipt_path is not None:
            self.write_receipt(self._receipt_path)

    def write_receipt(self, path: Path) -> None:
        """Writes the receipt as JSON, whole or not at all.

        Raises:
            DiskFailure: it cannot be written.
        """
        text = json.dumps(self.receipt.plain(), indent=2) + "\n"
        scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            scratch.write_text(text)
            scratch.replace(path)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise DiskFailure(f"{path}: the receipt cannot be written: {error.strerror}") from error

    def _close_cassettes(self) -> None:
        for cassette in self._cassettes:
            cassette.close()

    def variables(self, extra: Sequence[tuple[str, str]] = ()) -> dict[str, str]:
        """The environment for a command that is to be served."""
        hosts = {role.name: role.url for cassette in self._cassettes for role in cassette.header.roles}
        upstreams = [parse_upstream(f"{role}={url}") for role, url in hosts.items() if "://" in url]
        return command_variables(self.urls, root=self.url, upstreams=upstreams, extra=extra)


def replay(
    cassettes: Paths,
    *,
    only: Sequence[str] = (),
    listen: Listen = (),
    timing: str = "recorded",
    patience: float = 10.0,
    receipt: str | os.PathLike[str] | None = None,
    verify: bool = True,
    log: object = None,
) -> Replay:
    """Serves cassettes, as a context manager (``with`` or ``async with``). No network but the listening port is used.

    Args:
        cassettes: a file or folder, or several.
        only: roles to serve; default all.
        listen: ``[ROLE=]HOST:PORT``, or several; default a free port on loopback.
        timing: ``recorded``, ``instant``, ``scale:N`` or ``cap:SECONDS``.
        patience: seconds a conversation waits for its client beyond what was recorded.
        receipt: where to write the receipt on leaving, or None.
        verify: check the digest of each file on opening.
        log: called with a text for every refusal; default prints it to stderr.

    Returns:
        A `Replay`. Entering it listens; after leaving it ``receipt`` is final.

    Raises:
        UsageError: an argument that cannot be meant.
        CassetteError: on entering; missing, corrupt, too new and unfinished are four leaves of it.
        ListenError: on entering.
        DiskFailure: on leaving, when the receipt cannot be written.
    """
    given = [cassettes] if isinstance(cassettes, str | os.PathLike) else list(cassettes)
    return Replay(
        [Path(path) for path in given],
        only=tuple(only),
        listen=[listen] if isinstance(listen, str) else list(listen),
        pace=Pace.parse(timing),
        patience_us=int(patience * 1_000_000),
        receipt_path=None if receipt is None else Path(receipt),
        verify=verify,
        log=log,
    )


def _addresses(
    texts: Sequence[str], roles: Sequence[str] | Mapping[str, object]
) -> tuple[list[Address], dict[str, Address]]:
    shared: list[Address] = []
    own: dict[str, Address] = {}
    for text in texts:
        role, equals, address = text.rpartition("=")
        if not equals:
            shared.append(parse_address(text))
        elif role in roles:
            own[role] = parse_address(address)
        else:
            raise UsageError(f"--listen {text}: there is no role {role!r}", hint=f"roles: {', '.join(roles)}")
    return shared, own


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Names to call cassettes by: the file's, with its folder where two files share one."""
    stems = [path.name.removesuffix(".gpr") for path in paths]
    return [
        stem if stems.count(stem) == 1 else f"{path.parent.name}/{stem}"
        for stem, path in zip(stems, paths, strict=True)
    ]


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
