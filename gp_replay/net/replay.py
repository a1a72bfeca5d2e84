"""The replay server: listens, and puts each client on the stage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gp_replay.core.acts import Tally
from gp_replay.core.player import PATIENCE_US
from gp_replay.core.script import Script
from gp_replay.core.timing import Pace
from gp_replay.net.live import LiveClient
from gp_replay.net.sockets import Address, listen, url_of
from gp_replay.net.stage import Stage

__all__ = ["ReplayServer"]


class ReplayServer:
    """Serves compiled cassettes to any number of clients. Arguments as for `Stage`."""

    def __init__(
        self,
        scripts: Sequence[tuple[str, Script]],
        *,
        pace: Pace | None = None,
        patience_us: int = PATIENCE_US,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self._stage = Stage(scripts, pace=pace, patience_us=patience_us, log=log)
        self._servers: list[asyncio.Server] = []
        self._clients: set[LiveClient] = set()

    @property
    def tally(self) -> Tally:
        """What was served, missed and left unplayed so far."""
        return self._stage.player.tally

    async def start(self, address: Address = ("127.0.0.1", 0), *, role: str | None = None) -> str:
        """Listens on one more address, for all roles or for one.

        Returns:
            Its URL.

        Raises:
            ListenError: the address cannot be had.
        """
        server = await listen(lambda: LiveClient(self._stage, self._clients, role), address)
        self._servers.append(server)
        return url_of(server)

    async def close(self) -> None:
        """Stops listening and drops every client."""
        for server in self._servers:
            server.close()
        for client in list(self._clients):
            client.transport.abort()
        self._stage.close()
        await asyncio.sleep(0)
