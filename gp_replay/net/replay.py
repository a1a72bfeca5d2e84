"""The replay server: listens, and puts each client on the stage of its namespace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gp_replay.core.acts import Tally
from gp_replay.core.script import Script
from gp_replay.core.terms import Terms
from gp_replay.net.control import Account, Control
from gp_replay.net.live import LiveClient
from gp_replay.net.namespaces import Namespace, Namespaces
from gp_replay.net.passing import Passing
from gp_replay.net.sockets import Address, listen, url_of
from gp_replay.net.stage import Stage

__all__ = ["ReplayServer"]


class ReplayServer:
    """Serves compiled cassettes to any number of clients. Arguments as for `Stage` and `LiveClient`.

    Args:
        stage: of the default namespace, instead of one of the scripts.
        account: answers for this server on its control paths; None: it has neither those nor namespaces.
    """

    def __init__(
        self,
        scripts: Sequence[tuple[str, Script]],
        *,
        terms: Terms | None = None,
        log: Callable[[str], None] | None = None,
        passing: Passing | None = None,
        stage: Stage | None = None,
        account: Account | None = None,
    ) -> None:
        def make_stage(name: str) -> Stage:
            own = terms or Terms()
            if name:
                own = replace(own, seed=own.seed + f"/{name}".encode())
            stage = Stage(scripts, terms=own, log=_named(name, log) if log and name else log)
            if passing is not None:
                stage.roles.update(passing.relay.upstreams)
            return stage

        self._servers: list[asyncio.Server] = []
        self._clients: set[LiveClient] = set()
        self._passing = passing
        self._namespaces = Namespaces(
            make_stage if account is not None else None, default=stage if stage is not None else make_stage("")
        )
        self._control = None if account is None else Control(self._namespaces, account)

    @property
    def tally(self) -> Tally:
        """What was served, missed and left unplayed in the default namespace so far. What was answered live was not
        missed."""
        return self.settle(self._namespaces.default.player.tally)[0]

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """By name ("" the default one), what each namespace came to, also those that were removed; not settled."""
        return self._namespaces.tallies()

    def settle(self, tally: Tally) -> tuple[Tally, tuple[str, ...]]:
        """A tally without what was answered live, and the labels of that."""
        return (tally, ()) if self._passing is None else self._passing.settle(tally)

    def namespace(self, name: str) -> Namespace:
        """One that is there. Raises as `Namespaces` does."""
        return self._namespaces[name]

    def create(self, name: str) -> Namespace:
        """A new namespace, at ``/~NAME/``. Raises as `Namespaces.create` does."""
        return self._namespaces.create(name)

    def remove(self, name: str) -> Tally:
        """Ends a namespace and its connections. Returns and raises as `Namespaces.remove` does."""
        return self._namespaces.remove(name)

    async def start(self, address: Address = ("127.0.0.1", 0), *, role: str | None = None) -> str:
        """Listens on one more address, for all roles or for one.

        Returns:
            Its URL.

        Raises:
            ListenError: the address cannot be had.
        """

        def client() -> LiveClient:
            return LiveClient(
                self._namespaces, peers=self._clients, role=role, passing=self._passing, control=self._control
            )

        server = await listen(client, address)
        self._servers.append(server)
        return url_of(server)

    async def close(self) -> None:
        """Stops listening and drops every client."""
        for server in self._servers:
            server.close()
        if self._passing is not None:
            self._passing.close()
        for client in list(self._clients):
            client.transport.abort()
        self._namespaces.close()
        await asyncio.sleep(0)


def _named(name: str, log: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: log(f"~{name}: {text}")
