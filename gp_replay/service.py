"""Something that listens while a ``with`` or ``async with`` block runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from gp_replay.core.routing import Upstream, parse_upstream
from gp_replay.errors import CassetteCorrupt, UsageError
from gp_replay.net.background import BackgroundLoop
from gp_replay.net.sockets import Address, parse_address
from gp_replay.store import CassetteFile

__all__ = ["LOOPBACK", "Service", "addresses", "recorded_upstreams", "unique_names"]

LOOPBACK: Address = ("127.0.0.1", 0)

T = TypeVar("T")


class Service:
    """What recorder and replay share.

    Attributes:
        url: serves all roles under ``/<role>/…``; with one role, that role at the root.
        urls: role to URL.
    """

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
            self._loop = None
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
            self._loop = None
        self._finish(failed=error is not None)

    def _in_loop(self, work: Callable[[], T]) -> T:
        """Calls ``work`` where the service runs: in its thread, where it has one."""
        loop = self._loop
        return work() if loop is None else loop.call(work)

    def _serve_roles(self, roles: Sequence[str], own: Mapping[str, str], root: str) -> None:
        self.url = root or next(iter(own.values()))
        for role in roles:
            self.urls[role] = own.get(role) or (self.url if len(roles) == 1 else f"{self.url}/{role}")


def addresses(
    texts: Sequence[str], roles: Sequence[str] | Mapping[str, object]
) -> tuple[list[Address], dict[str, Address]]:
    """Reads ``[ROLE=]HOST:PORT`` texts: addresses for all roles, and those for one.

    Raises:
        UsageError: not an address, or a role that is not there.
    """
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


def recorded_upstreams(cassettes: Iterable[CassetteFile]) -> dict[str, Upstream]:
    """Role to where it was recorded from, where that is known.

    Raises:
        CassetteCorrupt: a cassette holds a name that is none for a role, or a URL that is none.
    """
    upstreams = {}
    for cassette in cassettes:
        for role in cassette.header.roles:
            if "://" in role.url:
                try:
                    upstreams[role.name] = parse_upstream(f"{role.name}={role.url}")
                except UsageError as error:
                    raise CassetteCorrupt(str(cassette.path), str(error)) from error
    return upstreams


def unique_names(paths: Sequence[Path]) -> list[str]:
    """Names to call cassettes by: the file's, with its folder where two files share one; fit for a header."""
    stems = [path.name.removesuffix(".gpr") for path in paths]
    names = [
        stem if stems.count(stem) == 1 else f"{path.parent.name}/{stem}"
        for stem, path in zip(stems, paths, strict=True)
    ]
    return [re.sub(r"[^\x21-\x7e]", "_", name) for name in names]
