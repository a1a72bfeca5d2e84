"""Driving: our clients against live services, with the real demo agent and with servers that differ on purpose."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path

import pytest
from dialogue import CLIENT, SERVER, ask, cassette, chat
from filed import write
from wire import raw_server, run

import gp_replay
from gp_replay import api
from gp_replay.core.credentials import Credentials
from gp_replay.core.model import Event, Message, Piece, RequestHead
from gp_replay.demo.agent import serve_agent
from gp_replay.demo.tokens import DEMO_SECRET, make_token
from gp_replay.errors import CassetteExists, CouldNotCheck, UsageError
from gp_replay.store import CassetteFile

CASSETTES = Path(__file__).parent.parent / "cassettes"


def tape(path: Path, *streams: list[Event], roles: tuple[str, ...] = ("llm",)) -> Path:
    return write(path, cassette(*streams, roles=roles))


def tokens(*users: str) -> Credentials:
    now = int(time.time())
    return Credentials(by_owner={("chat", user): make_token(user, DEMO_SECRET, now=now) for user in users})


async def driven(driving: api.Driving) -> api.Driven:
    async with driving:
        await driving.drive()
    assert driving.result is not None
    return driving.result


@pytest.mark.slow
def test_the_demo_agent_is_driven_by_two_users_on_a_replayed_llm(tmp_path: Path) -> None:
    """The cast {chat: client, llm: server}: a backend test with nobody's model and nobody's browser."""

    async def main() -> api.Driven:
        driving = api.drive(
            CASSETTES / "agent-two-users.gpr",
            against="chat=http://127.0.0.1:18631",
            servers=["llm"],
            out=tmp_path / "take",
            timing="instant",
            credentials=tokens("alice", "bob"),
        )
        async with driving, serve_agent(llm_url=driving.urls["llm"], port=18631):
            await driving.drive()
        assert driving.result is not None
        return driving.result

    result = run(main(), seconds=30)
    assert result.exit_code == 0, result
    assert not result.unproven
    assert result.take is not None
    with CassetteFile.open(CASSETTES / "agent-two-users.gpr") as before, CassetteFile.open(result.take) as take:
        chats = {entry.owner: entry.stream for entry in before.footer.entries if entry.role == "chat"}
        again = {entry.owner: entry.stream for entry in take.footer.entries}
        assert sorted(again) == sorted(chats) == ["alice", "bob"]
        for owner, stream in chats.items():
            assert kinds(take, again[owner]) == kinds(before, stream)


def kinds(cassette: CassetteFile, stream: int) -> list[str]:
    return [json.loads(e.data)["type"] for e in cassette.events(stream) if isinstance(e, Message)]


@pytest.mark.slow
def test_everything_is_driven_at_once_under_the_cast_of_two_clients(tmp_path: Path) -> None:
    """{chat: client, llm: client}: here the live LLM is a replay of the same cassette, behind a live agent."""

    async def main() -> api.Driven:
        path = CASSETTES / "agent-one-user.gpr"
        served = api.replay(path, timing="instant", only=["llm"], on_repeat="cycle")
        async with served, serve_agent(llm_url=served.urls["llm"]) as agent:
            return await driven(
                api.drive(
                    path,
                    against=[f"chat={agent.url}", f"llm={served.urls['llm']}"],
                    out=tmp_path / "take",
                    timing="instant",
                    credentials=tokens("alice"),
                )
            )

    result = run(main(), seconds=30)
    assert not result.missed
    assert not result.unfinished
    assert not result.unplayed


ONE, TWO = "chatcmpl-0ZkQ9sHk2mVx81Lq", "chatcmpl-7YpW3aLt5nBc46Rd"


def test_ids_and_texts_of_the_live_server_come_back_in_the_next_request(tmp_path: Path) -> None:
    """A tool loop over HTTP: the live call has another id and other arguments, and both must be echoed."""

    def answer(call: str, city: str) -> str:
        function = {"name": "weather", "arguments": json.dumps({"city": city})}
        return json.dumps({"id": call, "object": "x", "tool_calls": [{"id": call, "function": function}]})

    second = json.dumps({"call": ONE, "history": [json.dumps({"city": "Rome"}), "my own words"]})
    path = tape(
        tmp_path / "loop.gpr",
        ask(1, "POST", "/chat", '{"q":"weather?"}', answer=[(5, answer(ONE, "Rome"))], role="llm"),
        ask(2, "POST", "/chat", second, answer=[(5, "{}")], role="llm", at=50),
    )
    heard: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        heard.append(await (reader.readexactly(int(length[1])) if length else read_chunked(reader)))
        body = answer(TWO, "Oslo").encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async def main() -> api.Driven:
        async with raw_server(script) as url:
            return await driven(api.drive(path, against=f"llm={url}", out=tmp_path / "take", timing="instant"))

    result = run(main())
    assert result.exit_code == 0, result
    assert json.loads(heard[1]) == {"call": TWO, "history": ['{"city": "Oslo"}', "my own words"]}
    assert result.take is not None
    with CassetteFile.open(result.take) as take:
        sent = b"".join(e.data for e in take.events(2) if isinstance(e, Piece) and e.side is CLIENT)
        assert sent == heard[1]


async def read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def test_a_service_that_is_not_there_is_said_and_leaves_no_file(tmp_path: Path) -> None:
    path = tape(tmp_path / "one.gpr", ask(1, "GET", "/x", role="llm"))
    result = run(driven(api.drive(path, against="llm=http://127.0.0.1:1", out=tmp_path / "take.gpr", timing="instant")))
    assert result.exit_code == 4
    assert result.take is None
    assert result.unfinished == ("one#1",)
    assert "connection refused" in result.unreachable[0]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["one.gpr"]


def test_a_service_that_hangs_ends_with_the_timeout_and_the_take_is_kept(tmp_path: Path) -> None:
    path = tape(tmp_path / "one.gpr", ask(1, "GET", "/x", role="llm"))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        await reader.read()

    async def main() -> None:
        async with raw_server(script) as url:
            driving = api.drive(path, against=f"llm={url}", out=tmp_path / "take.gpr", timeout=0.2, patience=0)
            with pytest.raises(CouldNotCheck, match="took longer"):
                await driven(driving)

    run(main())
    with CassetteFile.open(tmp_path / "take.gpr") as take:
        assert not take.footer.entries[0].complete


def test_a_recorded_pseudonym_that_is_sent_for_want_of_a_credential_is_said(tmp_path: Path) -> None:
    path = tape(tmp_path / "one.gpr", ask(1, "GET", "/x", role="llm", headers=((b"Authorization", b"Bearer sk-x"),)))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"Bearer sk-live" in await reader.readuntil(b"\r\n\r\n") or not proven
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async def main(credentials: Credentials, out: str) -> api.Driven:
        async with raw_server(script) as url:
            return await driven(
                api.drive(path, against=f"llm={url}", out=tmp_path / out, timing="instant", credentials=credentials)
            )

    proven = False
    assert run(main(Credentials(), "a")).unproven == ("llm",)
    proven = True
    assert run(main(Credentials(by_role={"llm": "sk-live"}), "b")).unproven == ()


def test_run_drives_from_a_plain_with_block(tmp_path: Path) -> None:
    path = tape(
        tmp_path / "chat.gpr",
        chat(1, "5 < hello", '9 > {"a":1}', "12 < bye", headers=((b"Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA=="),)),
        roles=("default",),
    )
    with (
        gp_replay.replay(path, timing="instant") as served,
        gp_replay.drive(path, against=f"default={served.url}", out=tmp_path / "take", timing="instant") as driving,
    ):
        driving.run()
    assert driving.result is not None
    assert driving.result.exit_code == 0
    with CassetteFile.open(tmp_path / "take.gpr") as take:
        said = [(e.side, e.data) for e in take.events(1) if isinstance(e, Message)]
        assert said == [(SERVER, b"hello"), (CLIENT, b'{"a":1}'), (SERVER, b"bye")]
        assert any(isinstance(e, RequestHead) for e in take.events(1))


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    path = tape(tmp_path / "one.gpr", ask(1, "GET", "/x", role="llm"))
    with pytest.raises(UsageError, match="nothing to drive"):
        api.drive(path, against=[], out=tmp_path / "t")
    with pytest.raises(UsageError, match="live and replayed"):
        api.drive(path, against="llm=http://x.test", servers=["llm"], out=tmp_path / "t")
    with pytest.raises(CassetteExists):
        api.drive(path, against="llm=http://x.test", out=path)
    with (
        pytest.raises(UsageError, match="no role 'chat'"),
        api.drive(path, against="chat=http://x.test", out=tmp_path / "t"),
    ):
        pass
    with pytest.raises(UsageError, match="ids 'new'"):
        api.drive(path, against="llm=http://x.test", ids="new", out=tmp_path / "t")


def test_an_id_the_live_service_never_gave_stops_with_a_finding(tmp_path: Path) -> None:
    path = tape(
        tmp_path / "loop.gpr",
        ask(1, "POST", "/threads", "{}", answer=[(5, json.dumps({"id": ONE}))], role="llm"),
        ask(2, "GET", f"/threads/{ONE}", answer=[(5, "{}")], role="llm", at=50),
    )

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    async def main() -> api.Driven:
        async with raw_server(script) as url:
            return await driven(
                api.drive(path, against=f"llm={url}", out=tmp_path / "take", timing="instant", log=print)
            )

    result = run(main())
    assert result.exit_code == 1
    assert [refusal.kind for refusal in result.missed] == ["unknown-id"]
    assert ONE in result.missed[0].reason
    assert "loop#1" in result.missed[0].reason
