"""The recording proxy: listens, relays, and leaves what passed on a tape."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence

from gp_replay.core.routing import Upstream
from gp_replay.net.clock import Clock
from gp_replay.net.relay import ClientSide, Relay
from gp_replay.net.sockets import Address, listen, url_of
from gp_replay.net.tape import Tape

__all__ = ["RecordingProxy"]


class RecordingProxy:
    """Relays clients to upstreams and records what passes.

    Args:
        upstreams: by role, in order.
        tape: gets the events.
        clock: of the recording.
        skip: path patterns (``*`` and ``?``) that are relayed and not recorded.
        keep_host: leave ``Host`` as clients send it.
        tls: context for https and wss; None makes the default one when needed.
    """

    def __init__(
        self,
        *,
        upstreams: Mapping[str, Upstream],
        tape: Tape,
        clock: Clock,
        skip: Sequence[str] = (),
        keep_host: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._relay = Relay(
            upstreams=dict(upstreams), tape=tape, clock=clock, skip=tuple(skip), keep_host=keep_host, tls=tls
        )
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
