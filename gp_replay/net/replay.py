"""The replay server: listens, and puts each client on the stage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gp_replay.core.acts import Tally
from gp_replay.core.script import Script
from gp_replay.core.terms import Terms
from gp_replay.net.live import LiveClient
from gp_replay.net.passing import Passing
from gp_replay.net.sockets import Address, listen, url_of
from gp_replay.net.stage import Stage

__all__ = ["ReplayServer"]


class ReplayServer:
    """Serves compiled cassettes to any number of clients. Arguments as for `Stage` and `LiveClient`."""

    def __init__(
        self,
        scripts: Sequence[tuple[str, Script]],
        *,
        terms: Terms | None = None,
        log: Callable[[str], None] | None = None,
        passing: Passing | None = None,
        stage: Stage | None = None,
    ) -> None:
        self._stage = stage or Stage(scripts, terms=terms, log=log)
        self._servers: list[asyncio.Server] = []
        self._clients: set[LiveClient] = set()
        self._passing = passing
        if passing is not None:
            self._stage.roles.update(passing.relay.upstreams)

    @property
    def tally(self) -> Tally:
        """What was served, missed and left unplayed so far. What was answered live was not missed."""
        tally = self._stage.player.tally
        return tally if self._passing is None else self._passing.settle(tally)[0]

    @property
    def live(self) -> tuple[str, ...]:
        """What was answered live so far."""
        return () if self._passing is None else self._passing.settle(self._stage.player.tally)[1]

    async def start(self, address: Address = ("127.0.0.1", 0), *, role: str | None = None) -> str:
        """Listens on one more address, for all roles or for one.

        Returns:
            Its URL.

        Raises:
            ListenError: the address cannot be had.
        """
        server = await listen(lambda: LiveClient(self._stage, self._clients, role, self._passing), address)
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
        self._stage.close()
        await asyncio.sleep(0)
