"""Whether something is there: Docker, an HTTP health page, a WebSocket handshake. Each look has a hard deadline.

Every function answers "" for yes, else what is wrong in a few words; none raises for what the other side does.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from gp_replay.core.http1 import Body, Complete, ResponseReader, StatusLine, render_head
from gp_replay.core.model import header_value
from gp_replay.core.render import accept_key
from gp_replay.core.routing import Upstream
from gp_replay.errors import UpstreamUnreachable, UsageError, WireError
from gp_replay.net.bounded import run_bounded
from gp_replay.net.sockets import connect

__all__ = ["probe_docker", "probe_http", "probe_websocket"]

_DOCKER = ("docker", "info", "--format", "{{.ServerVersion}}")
_MAX_BODY_BYTES = 1 << 20
_GOODBYE = b"\x88\x82\0\0\0\0\x03\xe8"
"""A masked close frame with code 1000."""
_WS_KEY = b"Z3AtcmVwbGF5LXByb2JlIQ=="


async def probe_docker(*, seconds: float, command: Sequence[str] = _DOCKER) -> str:
    """Whether a Docker daemon answers ``docker info``. One that hangs is killed with all it started."""
    try:
        ended = await run_bounded(command, seconds=seconds, grace_seconds=0)
    except UsageError:
        return "there is no docker command"
    if ended.code is None:
        return f"docker info gave no answer within {seconds:g} s"
    return f"docker info: {ended.last_line or f'exit code {ended.code}'}" if ended.code else ""


async def probe_http(upstream: Upstream, path: str, *, token: str, seconds: float, any_answer: bool) -> str:
    """Whether a GET is answered, whole.

    Args:
        upstream: where.
        path: request target.
        token: a bearer token, or "".
        seconds: for all of it; a server that says 200 and then nothing is not there.
        any_answer: any status below 500 will do; else 2xx.
    """
    asking = _Asking(_request(upstream, path, token, ((b"Connection", b"close"),)))
    problem = await _ask(asking, upstream, seconds=seconds)
    if problem:
        return problem
    good = asking.status < 500 if any_answer else 200 <= asking.status < 300
    return "" if good else f"answered {asking.status}"


async def probe_websocket(upstream: Upstream, path: str, *, token: str, seconds: float) -> str:
    """Whether a WebSocket handshake is accepted. Arguments as for `probe_http`."""
    upgrade = (
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Key", _WS_KEY),
        (b"Sec-WebSocket-Version", b"13"),
    )
    asking = _Asking(_request(upstream, path, token, upgrade))
    problem = await _ask(asking, upstream, seconds=seconds)
    if problem:
        return problem
    if asking.status != 101:
        return f"refused the upgrade with {asking.status}"
    return "" if asking.accept == accept_key(_WS_KEY) else "accepted the upgrade with a wrong Sec-WebSocket-Accept"


def _request(upstream: Upstream, path: str, token: str, extra: tuple[tuple[bytes, bytes], ...]) -> bytes:
    target = (upstream.base_path + path).encode("latin-1", "replace")
    headers = [(b"Host", upstream.authority.encode("latin-1", "replace")), (b"User-Agent", b"gp-replay"), *extra]
    if token:
        headers.append((b"Authorization", b"Bearer " + token.encode()))
    return render_head(b"GET " + target + b" HTTP/1.1", tuple(headers))


async def _ask(asking: _Asking, upstream: Upstream, *, seconds: float) -> str:
    tls = ssl.create_default_context() if upstream.tls else None
    try:
        async with asyncio.timeout(seconds):
            await connect(lambda: asking, upstream, tls)
            return await asking.answered
    except TimeoutError:
        said = f"answered {asking.status}, and then nothing more" if asking.status else "no answer"
        return f"{said} within {seconds:g} s"
    except UpstreamUnreachable as error:
        return error.problem.removeprefix(f"{upstream.url}: ")
    finally:
        asking.close()


class _Asking(asyncio.Protocol):
    """One request and its answer, up to the end of its body or an upgrade.

    Attributes:
        status: of the final answer; 0 before it came.
        accept: its ``Sec-WebSocket-Accept``.
        answered: done with "", or with what is wrong.
    """

    def __init__(self, request: bytes) -> None:
        self.status = 0
        self.accept = b""
        self.answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._request = request
        self._reader = ResponseReader()
        self._transport: asyncio.Transport | None = None
        self._size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._reader.expect(b"GET")
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        position = 0
        try:
            while position < len(data) and not self.answered.done():
                taken, items = self._reader.feed(data[position:])
                position += taken
                for item in items:
                    self._see(item)
        except WireError as error:
            self._done(f"no HTTP answer: {error}")

    def _see(self, item: object) -> None:
        match item:
            case StatusLine(status=status, headers=headers) if status == 101 or status >= 200:
                self.status = status
                self.accept = header_value(headers, b"sec-websocket-accept") or b""
                if status == 101:
                    self._done("")
            case Body(data=data):
                self._size += len(data)
                if self._size > _MAX_BODY_BYTES:
                    self._done("")
            case Complete():
                self._done("" if self.status else "an interim answer only")
            case _:
                pass

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            for item in self._reader.close():
                self._see(item)
        except WireError as error:
            self._done(f"broke off: {error}")
        self._done(f"answered {self.status} and broke off" if self.status else "closed the connection unanswered")

    def _done(self, problem: str) -> None:
        if not self.answered.done():
            self.answered.set_result(problem)

    def close(self) -> None:
        """Says goodbye where a WebSocket was accepted, and leaves without waiting."""
        if self._transport is not None and not self._transport.is_closing():
            if self.status == 101:
                self._transport.write(_GOODBYE)
            self._transport.close()
