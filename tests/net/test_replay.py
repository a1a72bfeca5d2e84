"""The replay server as a whole: roles, ports, many clients, receipts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from dialogue import ask, cassette, chat
from websockets.asyncio.client import connect
from wire import exchange, run

from gp_replay import api
from gp_replay.core.index import MemoryCassette
from gp_replay.errors import CassetteMissing, ListenError, UsageError
from gp_replay.store import CassetteWriter

GET = b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n"
CLOSE = b"GET /x HTTP/1.1\r\nHost: me\r\nConnection: close\r\n\r\n"


def save(tape: MemoryCassette, path: Path) -> Path:
    """Writes a cassette in memory to a file."""
    writer = CassetteWriter(path, tape.header)
    for entry in tape.footer.entries:
        for event in tape.events(entry.stream):
            writer.write(event)
    writer.close()
    return path


def quiet(line: str) -> None:
    """A log nobody reads."""


def test_sixty_clients_of_as_many_owners_each_get_their_own_tape(tmp_path: Path) -> None:
    from gp_replay.demo.tokens import make_token

    users = 60
    streams = [
        chat(n, f"5 < hello user{n}", "6 > go", f"7 < secret of user{n}", owner=f"user{n}") for n in range(1, users + 1)
    ]
    save(cassette(*streams), tmp_path / "a.gpr")

    async def one(url: str, number: int) -> list[object]:
        token = make_token(f"user{number}", "secret", now=0)
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(url.replace("http", "ws") + "/ws", additional_headers=headers) as socket:
            first = await socket.recv()
            await socket.send("go")
            return [first, await socket.recv()]

    async def main() -> list[list[object]]:
        async with api.replay(tmp_path / "a.gpr", timing="instant") as replay:
            return await asyncio.gather(*(one(replay.url, number) for number in range(1, users + 1)))

    assert run(main()) == [[f"hello user{n}", f"secret of user{n}"] for n in range(1, users + 1)]


def test_only_serves_only_those_roles(tmp_path: Path) -> None:
    tape = cassette(ask(1, "GET", "/x", role="a"), ask(2, "GET", "/y", role="b"))
    save(tape, tmp_path / "a.gpr")

    async def main() -> tuple[bytes, bytes, api.Replay]:
        replay = api.replay(tmp_path / "a.gpr", only=["a"], log=quiet)
        async with replay:
            good = await exchange(replay.url, CLOSE)
            return good, await exchange(replay.url, CLOSE.replace(b"/x", b"/y")), replay

    good, bad, replay = run(main())
    assert b"200 OK" in good
    assert b"424" in bad
    assert replay.receipt.unplayed == ()


def test_missing_cassettes_and_unknown_roles_and_taken_ports_are_named(tmp_path: Path) -> None:
    save(cassette(ask(1, "GET", "/x")), tmp_path / "a.gpr")
    with pytest.raises(CassetteMissing), api.replay(tmp_path / "none.gpr"):
        pass
    with pytest.raises(UsageError, match="nobody"), api.replay(tmp_path / "a.gpr", only=["nobody"]):
        pass
    with api.replay(tmp_path / "a.gpr", log=quiet) as replay:
        address = replay.url.removeprefix("http://")
        with pytest.raises(ListenError, match="in use"), api.replay(tmp_path / "a.gpr", listen=address):
            pass


def test_a_replay_that_served_nothing_is_no_success(tmp_path: Path) -> None:
    save(cassette(ask(1, "GET", "/x")), tmp_path / "a.gpr")
    with api.replay(tmp_path / "a.gpr", receipt=tmp_path / "receipt.json") as replay:
        pass
    assert replay.receipt.exit_code == 4
    assert json.loads((tmp_path / "receipt.json").read_text())["unplayed"] == ["a#1"]
