"""The recording proxy: listens, relays, and leaves what passed on a tape."""

from __future__ import annotations

import asyncio

from gp_replay.net.relay import ClientSide, Relay
from gp_replay.net.sockets import Address, listen, url_of

__all__ = ["RecordingProxy"]


class RecordingProxy:
    """Relays clients to upstreams and records what passes; ``relay`` says whereto and onto which tape."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._servers: list[asyncio.Server] = []

    async def start(self, address: Address = ("127.0.0.1", 0), *, role: str | None = None) -> str:
        """Listens on one more address, for all roles or for one.

        Returns:
            Its URL.

        Raises:
            ListenError: the address cannot be had.
        """
        server = await listen(lambda: ClientSide(self._relay, role), address)
        self._servers.append(server)
        return url_of(server)

    async def close(self) -> None:
        """Stops listening, breaks off what is open and finishes the tape."""
        for server in self._servers:
            server.close()
        for client in list(self._relay.clients):
            client.stop()
        self._relay.tape.finish(self._relay.clock.stamp_us())
        await asyncio.sleep(0)
