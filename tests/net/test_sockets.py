"""Addresses, and errors of the operating system in our words."""

from __future__ import annotations

import asyncio

import pytest
from wire import dial, raw_server, run

from gp_replay.core.routing import parse_upstream
from gp_replay.errors import ListenError, UpstreamUnreachable, UsageError
from gp_replay.net.sockets import connect, listen, parse_address, reset, url_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        (":0", ("127.0.0.1", 0)),
        ("[::1]:9", ("::1", 9)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "80", "host", "host:", "host:x", "host:70000", "host:-1", "host:٣"])
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        parse_address(text)


def test_a_taken_port_and_a_foreign_address_are_listen_errors() -> None:
    async def main() -> None:
        first = await listen(asyncio.Protocol, ("127.0.0.1", 0))
        port = first.sockets[0].getsockname()[1]
        assert url_of(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(ListenError, match="in use"):
            await listen(asyncio.Protocol, ("127.0.0.1", port))
        first.close()
        with pytest.raises(ListenError, match="cannot listen"):
            await listen(asyncio.Protocol, ("192.0.2.1", 0))

    run(main())


def test_an_upstream_that_is_not_there_is_unreachable() -> None:
    async def main() -> None:
        with pytest.raises(UpstreamUnreachable, match="connection refused"):
            await connect(asyncio.Protocol, parse_upstream("http://127.0.0.1:9"), None)

    run(main())


def test_a_reset_is_seen_as_one() -> None:
    async def main() -> None:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            reset(writer.transport)

        async with raw_server(script) as url:
            reader, writer = await dial(url)
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    run(main())
