"""The recording proxy as a whole: roles, modes, many clients, and what it says when nothing came of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from wire import answering, dial, exchange, raw_server, read_head, run

from gp_replay import api
from gp_replay.errors import CassetteExists, NothingHappened
from gp_replay.store import CassetteFile

GET = b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n"


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def test_roles_share_one_port_and_one_clock_and_a_base_path(tmp_path: Path) -> None:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await read_head(reader)
            seen.append(head.split(b"\r\n")[0])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def main() -> bytes:
        async with (
            raw_server(answer) as one,
            raw_server(answer) as two,
            api.record([f"llm={one}/base/v1", f"chat={two}"], out=tmp_path / "a.gpr") as recording,
        ):
            reader, writer = await dial(recording.url)
            for target in (b"/llm/models?x=1", b"/chat/ws", b"/llm"):
                writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: me\r\n\r\n")
                await read_head(reader)
            writer.close()
            return await exchange(recording.url, GET)

    lost = run(main())
    assert seen == [b"GET /base/v1/models?x=1 HTTP/1.1", b"GET /ws HTTP/1.1", b"GET /base/v1/ HTTP/1.1"]
    assert lost.startswith(b"HTTP/1.1 421 ")
    with CassetteFile.open(tmp_path / "a.gpr") as cassette:
        entries = cassette.footer.entries
        assert [(entry.role, entry.target) for entry in entries] == [
            ("llm", b"/models?x=1"),
            ("chat", b"/ws"),
            ("llm", b"/"),
        ]
        assert sorted(entry.opened_us for entry in entries) == [entry.opened_us for entry in entries]


def test_an_unreachable_upstream_is_a_502_and_no_success(tmp_path: Path) -> None:
    async def main() -> tuple[bytes, api.Recording]:
        async with raw_server(answering()) as url:
            pass
        recording = api.record(url, out=tmp_path / "a.gpr")
        async with recording:
            return await exchange(recording.url, GET), recording

    answer, recording = run(main())
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"connection refused" in answer
    with pytest.raises(NothingHappened, match="connection refused"):
        recording.check()


def test_no_client_leaves_no_file_and_is_no_success(tmp_path: Path) -> None:
    async def main() -> api.Recording:
        recording = api.record("http://127.0.0.1:1", out=tmp_path / "a.gpr")
        async with recording:
            pass
        return recording

    recording = run(main())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NothingHappened, match="no client came"):
        recording.check()


def test_mode_once_refuses_an_existing_cassette_and_all_keeps_it_as_a_revision(tmp_path: Path) -> None:
    out = tmp_path / "a.gpr"

    async def main(mode: str) -> None:
        async with raw_server(answering(ANSWER)) as url, api.record(url, out=out, mode=mode) as recording:
            await exchange(recording.url, GET)

    run(main("once"))
    with pytest.raises(CassetteExists):
        run(main("once"))
    run(main("all"))
    with CassetteFile.open(out) as cassette:
        assert cassette.header.revision == 2
        (old,) = (tmp_path / ".revisions" / "a").iterdir()
        with CassetteFile.open(old) as before:
            assert cassette.header.salt == before.header.salt
            assert cassette.header.replaces.hex() == before.digest


def test_many_clients_at_once_get_their_own_answers(tmp_path: Path) -> None:
    async def echo(socket: websockets.ServerConnection) -> None:
        async for message in socket:
            await socket.send(message)

    async def main() -> None:
        async with (
            serve(echo, "127.0.0.1", 0) as server,
            api.record(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", out=tmp_path / "a.gpr") as recording,
        ):

            async def one(number: int) -> None:
                async with connect(recording.url.replace("http", "ws")) as socket:
                    for turn in range(5):
                        await socket.send(f"{number}/{turn}")
                        assert await socket.recv() == f"{number}/{turn}"

            await asyncio.gather(*(one(number) for number in range(20)))

    run(main())
    with CassetteFile.open(tmp_path / "a.gpr") as cassette:
        assert len(cassette.footer.entries) == 20
        assert all(entry.complete and entry.messages == 10 for entry in cassette.footer.entries)
