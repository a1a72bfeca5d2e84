"""The driver's streams on the wire: what a live service gets, byte by byte."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from dialogue import ask, cassette, chat
from filed import write
from wire import raw_server, run

from gp_replay import api
from gp_replay.core.model import Event
from gp_replay.core.render import accept_key


async def drive(tmp_path: Path, events: list[Event], url: str, role: str = "default") -> api.Driven:
    path = write(tmp_path / "tape.gpr", cassette(events))
    driving = api.drive(path, against=f"{role}={url}", out=tmp_path / "take", timing="instant")
    async with driving:
        await driving.drive()
    assert driving.result is not None
    return driving.result


def test_a_request_goes_out_as_recorded_but_for_host_and_base_path(tmp_path: Path) -> None:
    events = ask(
        1, "POST", "/v1/x?a=1", '{"b": 2}', headers=((b"X-Odd", b"Kept"), (b"Host", b"old"), (b"Content-Length", b"8"))
    )
    got: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        got.append(await reader.readexactly(8))
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    async def main() -> api.Driven:
        async with raw_server(script) as url:
            return await drive(tmp_path, events, url + "/base")

    assert run(main()).exit_code == 0
    assert got[0].startswith(
        b"POST /base/v1/x?a=1 HTTP/1.1\r\nContent-Type: application/json\r\nX-Odd: Kept\r\nHost: 127."
    )
    assert got[1] == b'{"b": 2}'


@pytest.mark.parametrize("ping", [False, True])
def test_a_handshake_has_a_key_of_its_own_and_pings_are_answered(tmp_path: Path, ping: bool) -> None:
    events = chat(1, "5 > hi", "9 < ho", headers=((b"Sec-WebSocket-Key", b"x" * 24),))
    got: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
        assert found is not None
        assert found[1] != b"x" * 24
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(found[1]) + b"\r\n\r\n" + (b"\x89\x01z" if ping else b"")
        )
        for _ in range(1 + ping):
            frame = await reader.readexactly(2)
            mask = await reader.readexactly(4)
            body = await reader.readexactly(frame[1] & 127)
            got.append(bytes([frame[0]]) + bytes(byte ^ mask[n % 4] for n, byte in enumerate(body)))
        writer.write(b"\x81\x02ho")
        await reader.read(8)
        writer.write(b"\x88\x02\x03\xe8")
        await writer.drain()

    async def main() -> api.Driven:
        async with raw_server(script) as url:
            return await drive(tmp_path, events, url)

    assert run(main()).exit_code == 0
    assert sorted(got) == sorted([b"\x81hi", *([b"\x8az"] if ping else [])])


def test_a_server_that_leaves_early_leaves_the_conversation_unfinished(tmp_path: Path) -> None:
    events = chat(1, "5 > hi", "9 < ho", "12 > more")

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def main() -> api.Driven:
        async with raw_server(script) as url:
            return await drive(tmp_path, events, url)

    result = run(main())
    assert result.exit_code == 1
    assert result.unfinished == ("tape#1",)
