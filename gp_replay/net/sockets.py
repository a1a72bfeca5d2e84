"""Listening and dialling: where errors of the operating system become ours."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
from collections.abc import Callable

from gp_replay.core.routing import Upstream
from gp_replay.errors import ListenError, UpstreamUnreachable, UsageError

__all__ = ["Address", "connect", "listen", "parse_address", "reset", "url_of"]

Address = tuple[str, int]

_CONNECT_SECONDS = 10.0
_NO_LINGER = struct.pack("ii", 1, 0)


def parse_address(text: str) -> Address:
    """Reads ``HOST:PORT``, ``[V6]:PORT`` or ``:PORT`` (loopback).

    Raises:
        UsageError: anything else.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(
            f"{text!r} is not an address to listen on", hint="like 127.0.0.1:8080; port 0 takes a free one"
        )
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


async def listen(factory: Callable[[], asyncio.Protocol], address: Address) -> asyncio.Server:
    """Listens on one address.

    Raises:
        ListenError: the address cannot be had; says why and what to do.
    """
    host, port = address
    try:
        return await asyncio.get_running_loop().create_server(factory, host, port, backlog=512)
    except (OSError, OverflowError, ValueError) as error:  # ValueError: a host that IDNA cannot encode
        code = getattr(error, "errno", None)
        hint = "choose another --listen; port 0 takes a free one"
        if code == errno.EADDRINUSE:
            raise ListenError(f"{host}:{port} is in use", hint=hint) from error
        if code == errno.EACCES:
            raise ListenError(f"{host}:{port} needs more rights", hint="ports below 1024 are the system's") from error
        raise ListenError(f"cannot listen on {host}:{port}: {_words(error)}", hint=hint) from error


def url_of(server: asyncio.Server) -> str:
    """``http://host:port`` of a listening server."""
    host, port = server.sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def connect(factory: Callable[[], asyncio.Protocol], upstream: Upstream, tls: ssl.SSLContext | None) -> None:
    """Dials an upstream.

    Raises:
        UpstreamUnreachable: no address, refused, no answer within 10 s, or TLS failed.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await loop.create_connection(
                factory, upstream.host, upstream.port, ssl=tls, server_hostname=upstream.host if tls else None
            )
    except TimeoutError as error:
        raise UpstreamUnreachable(
            f"{upstream.url}: no answer within {_CONNECT_SECONDS:g} s", hint="is the service up and the port right?"
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise UpstreamUnreachable(
            f"{upstream.url}: {error.verify_message}", hint="SSL_CERT_FILE names the authority of a private certificate"
        ) from error
    except (OSError, ValueError) as error:
        raise UpstreamUnreachable(
            f"{upstream.url}: {_words(error)}", hint="is the service up and the port right?"
        ) from error


def _words(error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return "no such host"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def reset(transport: asyncio.BaseTransport) -> None:
    """Breaks a connection off with a TCP reset, as a crashed peer would."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
