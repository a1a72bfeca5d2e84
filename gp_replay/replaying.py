"""A running replay: cassettes, the server that plays them, and the receipt."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gp_replay.core.acts import Tally
from gp_replay.core.routing import Upstream, within_namespace
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast
from gp_replay.core.terms import Terms
from gp_replay.errors import DiskFailure, GpReplayError, UsageError
from gp_replay.net.passing import Passing, hosts_of
from gp_replay.net.replay import ReplayServer
from gp_replay.report.plain_text import printable
from gp_replay.report.receipt import CassetteUsed, Receipt
from gp_replay.service import LOOPBACK, Service, addresses, recorded_upstreams, unique_names
from gp_replay.settings import command_variables, load_rules
from gp_replay.store import CassetteFile, find_cassettes

__all__ = ["Replay", "ReplayNamespace", "seed_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayNamespace:
    """A play state of its own in a running replay; see `Replay.create`.

    Attributes:
        name: as in ``/~NAME/…``.
        url: serves all roles, as the replay's does.
        urls: role to URL.
    """

    name: str
    url: str
    urls: Mapping[str, str]
    _look: Callable[[], Receipt] = field(repr=False)

    @property
    def receipt(self) -> Receipt:
        """What was served, missed and left unplayed up to now; final once it was removed or the replay is over."""
        return self._look()


class Replay(Service):
    """A running replay server; see `gp_replay.api.replay`.

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
        terms: Terms,
        receipt_path: Path | None,
        verify: bool,
        live: bool,
        upstreams: Mapping[str, Upstream],
        log: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._paths = paths
        self._only = only
        self._listen = listen
        self._terms = terms
        self._receipt_path = receipt_path
        self._verify = verify
        self._live = live
        self._upstreams = upstreams
        self._log = log
        self._cassettes: list[CassetteFile] = []
        self._running = False
        self.command_exit: int | None = None
        self.warnings: list[str] = []

    @property
    def receipt(self) -> Receipt:
        """What was served, missed and left unplayed up to now, in the default namespace and in all others."""
        return self._in_loop(self._receipt)

    def _receipt(self) -> Receipt:
        receipts = {name: self.receipt_of(tally) for name, tally in self._server.tallies.items()}
        return replace(
            receipts.pop(""),
            command_exit=self.command_exit,
            wanted=[fault.text for fault in self._terms.faults if not fault.edge],
            unreachable=() if self._passing is None else self._passing.unreachable,
            namespaces=receipts,
        )

    def receipt_of(self, tally: Tally) -> Receipt:
        """The receipt of one play state of these cassettes."""
        settled, live = self._server.settle(tally)
        return Receipt(
            cassettes=self._used,
            cast=[(role, "server") for role in self.urls],
            timing=str(self._terms.pace),
            served=settled.served,
            unfinished=settled.unfinished,
            repeated=settled.repeated,
            missed=settled.missed,
            unplayed=settled.unplayed,
            faults=settled.faults,
            notes=settled.notes,
            live=live,
        )

    def create(self, name: str) -> ReplayNamespace:
        """A namespace: a play state of its own over the same cassettes, for clients that are given its URL.

        With ``with`` any thread may call this, with ``async with`` only the event loop's.

        Args:
            name: 1 to 63 letters, digits, ``-``, ``_`` and ``.``, the dot not first.

        Raises:
            UsageError: no such name, it is there already, there are 10 000, or the replay does not run.
        """
        self._needs_to_run()
        namespace = self._in_loop(lambda: self._server.create(name))
        return ReplayNamespace(
            name=name,
            url=within_namespace(self.url, name),
            urls={role: within_namespace(url, name) for role, url in self.urls.items()},
            _look=lambda: self._in_loop(lambda: self.receipt_of(namespace.tally)),
        )

    def remove(self, name: str) -> Receipt:
        """Ends a namespace and its connections. What it missed still counts in the receipt of the replay.

        Returns:
            Its final receipt.

        Raises:
            UsageError: there is none of this name, or the replay does not run.
        """
        self._needs_to_run()
        return self._in_loop(lambda: self.receipt_of(self._server.remove(name)))

    def _needs_to_run(self) -> None:
        if not self._running:
            raise UsageError("namespaces come and go while the replay runs", hint="inside its with block")

    async def _start(self) -> None:
        try:
            for path in find_cassettes(self._paths):
                self._cassettes.append(CassetteFile.open(path, verify=self._verify))
            await self._listen_for(self._compile())
        except BaseException:
            self._close_cassettes()
            raise

    def _compile(self) -> list[tuple[str, CassetteFile]]:
        names = unique_names([cassette.path for cassette in self._cassettes])
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
        for fault in self._terms.faults:
            if fault.role not in (None, *roles):
                hint = f"roles: {', '.join(roles)}"
                raise UsageError(f"fault {fault.text!r}: no role {fault.role!r} is served", hint=hint)
        self._passing = self._pass_to(roles) if self._live else None
        self._server = ReplayServer(
            scripts,
            terms=replace(self._terms, seed=seed_of(cassette for _, cassette in named)),
            log=self._log,
            passing=self._passing,
            account=self,
        )
        shared, by_role = addresses(self._listen, roles)
        try:
            own = {role: await self._server.start(address, role=role) for role, address in by_role.items()}
            roots = [await self._server.start(address) for address in shared or ([] if own else [LOOPBACK])]
        except GpReplayError:
            await self._server.close()
            raise
        self._serve_roles(roles, own, roots[0] if roots else "")
        self._running = True

    def _pass_to(self, roles: Sequence[str]) -> Passing:
        """Where misses go: the upstream given for their role, else the one it was recorded from."""
        strange = [role for role in self._upstreams if role not in roles]
        if strange:
            raise UsageError(f"no role {strange[0]!r} is served", hint=f"roles: {', '.join(roles)}")
        recorded = recorded_upstreams(self._cassettes)
        going = {role: found for role in roles if (found := self._upstreams.get(role) or recorded.get(role))}
        if not going:
            raise UsageError("no role has an upstream that misses could go to", hint="name it: --upstream llm=URL")
        for role, upstream in going.items():
            self._log(printable(f"live: what no recording of {role} answers goes to {upstream.url}"))
        hosts = {
            role: hosts_of(*(item.authority for item in (going.get(role), recorded.get(role)) if item))
            for role in roles
        }
        return Passing.unrecorded(going, hosts=hosts, log=self._log)

    async def _stop(self) -> None:
        self._running = False
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
        """The environment for a command that is to be served.

        Raises:
            CassetteCorrupt: a cassette holds a name that is none for a role, or a URL that is none.
            UsageError: a template names a role that is not there.
        """
        upstreams = tuple(recorded_upstreams(self._cassettes).values())
        return command_variables(self.urls, root=self.url, upstreams=upstreams, extra=extra)


def seed_of(cassettes: Iterable[CassetteFile]) -> bytes:
    """What fresh ids of a play are made from."""
    return "".join(sorted(cassette.digest for cassette in cassettes)).encode()
