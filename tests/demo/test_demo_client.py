from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from scripted_llm import scripted_llm, sensible, status
from websockets.asyncio.server import ServerConnection, serve

from gp_replay.demo.agent import serve_agent
from gp_replay.demo.client import TURNS, ConversationFailed, Seen, converse
from gp_replay.demo.tokens import make_token

NOW = 1_758_100_000
SECRET = "secret of the test"
TOKEN = make_token("alice", SECRET, now=NOW)

WELCOME = '{"type":"connection_established"}'
DONE = '{"type":"agent_completed"}'


async def with_agent(*, subprotocol: bool) -> Seen:
    async with (
        scripted_llm(sensible) as llm,
        serve_agent(llm_url=llm.url, secret=SECRET, clock=lambda: NOW) as agent,
    ):
        return await converse(agent.url, token=TOKEN, subprotocol=subprotocol)


def with_server(
    behave: Callable[[ServerConnection], Awaitable[None]], *, timeout_s: float = 10.0, path: str = ""
) -> Seen:
    """A conversation with a server that behaves as told."""

    async def talk() -> Seen:
        async with serve(behave, "127.0.0.1", 0) as server:
            host, port = next(iter(server.sockets)).getsockname()
            url = f"http://{host}:{port}{path}"
            return await converse(url, token=TOKEN, subprotocol=False, timeout_s=timeout_s)

    return asyncio.run(talk())


@pytest.mark.parametrize(("subprotocol", "agreed"), [(False, None), (True, "jwt-auth")])
def test_conversation_with_the_agent_is_seen_whole(subprotocol: bool, agreed: str | None) -> None:
    seen = asyncio.run(with_agent(subprotocol=subprotocol))
    counts = Counter(message.type for message in seen.messages)
    assert counts["agent_started"] == counts["agent_completed"] == len(TURNS) == 3
    assert counts["tool_executing"] == counts["tool_completed"] == 2
    assert (seen.subprotocol, seen.close_code, seen.close_reason) == (agreed, 1000, "")
    assert seen.messages[0].type == "connection_established"
    offsets = [message.at_us for message in seen.messages]
    assert offsets == sorted(offsets)
    assert offsets[0] >= 0


def test_client_says_the_same_bytes_every_time_and_waits_for_each_answer() -> None:
    heard: list[list[str]] = []
    heads: list[list[tuple[str, str]]] = []

    async def patient(connection: ServerConnection) -> None:
        assert connection.request is not None
        heads.append(
            [pair for pair in connection.request.headers.raw_items() if pair[0] not in ("Host", "Sec-WebSocket-Key")]
        )
        heard.append([])
        await connection.send(WELCOME)
        for _ in TURNS:
            heard[-1].append(str(await connection.recv()))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.recv(), 0.01)
            await connection.send(DONE)
        await connection.wait_closed()

    for _ in range(2):
        with_server(patient)
    assert heard == [list(TURNS)] * 2
    assert heads[0] == heads[1]


def test_url_may_have_a_path_before_the_endpoint() -> None:
    paths: list[str] = []

    async def note(connection: ServerConnection) -> None:
        assert connection.request is not None
        paths.append(connection.request.path)
        await connection.close(4404, "gp-replay: no recording")

    with pytest.raises(ConversationFailed, match=r"4404 gp-replay: no recording.*0 messages"):
        with_server(note, path="/chat/")
    assert paths == ["/chat/ws"]


def test_early_close_names_code_reason_and_place() -> None:
    async def rude(connection: ServerConnection) -> None:
        await connection.send(WELCOME)
        await connection.recv()
        await connection.send("not JSON")
        await connection.close(1011, "oops")

    with pytest.raises(ConversationFailed, match=r"1011 oops.*2 messages had come, the last one without a type"):
        with_server(rude)


def test_connection_that_breaks_is_told_from_one_that_closes() -> None:
    async def vanish(connection: ServerConnection) -> None:
        await connection.send(WELCOME)
        connection.transport.abort()

    with pytest.raises(ConversationFailed, match="without a close frame"):
        with_server(vanish)


def test_silence_ends_in_a_clear_error() -> None:
    async def silent(connection: ServerConnection) -> None:
        await connection.send(WELCOME)
        await connection.wait_closed()

    with pytest.raises(ConversationFailed, match=r"no end within 0\.1 s, 1 messages.*connection_established"):
        with_server(silent, timeout_s=0.1)


def test_error_of_the_agent_ends_the_conversation() -> None:
    async def talk() -> None:
        async with (
            scripted_llm(lambda _: status(424, b"gp-replay: miss")) as llm,
            serve_agent(llm_url=llm.url, secret=SECRET, clock=lambda: NOW) as agent,
        ):
            await converse(agent.url, token=TOKEN, subprotocol=True)

    with pytest.raises(ConversationFailed, match="the LLM answered 424: gp-replay: miss"):
        asyncio.run(talk())


def test_refusal_names_the_status_and_what_the_server_said() -> None:
    async def knock() -> None:
        async with serve_agent(llm_url="http://127.0.0.1:1", secret="another", clock=lambda: NOW) as agent:
            await converse(agent.url, token=TOKEN, subprotocol=True)

    with pytest.raises(ConversationFailed, match="HTTP 401: the token's signature is wrong"):
        asyncio.run(knock())


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://127.0.0.1:1", "nonsense"])
def test_server_that_is_not_there_is_a_failure(url: str) -> None:
    with pytest.raises(ConversationFailed, match="cannot connect"):
        asyncio.run(converse(url, token=TOKEN, subprotocol=False))


def test_turns_are_the_json_the_agent_knows() -> None:
    assert [json.loads(turn)["type"] for turn in TURNS] == ["user_message", "chat", "start_agent"]
