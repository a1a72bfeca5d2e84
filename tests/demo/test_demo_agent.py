from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from scripted_llm import Answer, ScriptedLlm, calls, question, scripted_llm, sensible, status, text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from gp_replay.demo.agent import main, serve_agent
from gp_replay.demo.client import converse
from gp_replay.demo.tokens import LIFETIME_S, make_token, subprotocols_with
from gp_replay.errors import ListenError

NOW = 1_758_100_000
SECRET = "secret of the test"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

COST = '{"type":"user_message","payload":{"content":"What did compute cost in 2025-08?"}}'
SUM = '{"type":"chat","payload":{"message":"Calculate 4120 * 12."}}'
TALK = '{"type":"start_agent","payload":{"user_request":"How can I save?"}}'


def token(user: str = "alice", secret: str = SECRET) -> str:
    return make_token(user, secret, now=NOW)


@asynccontextmanager
async def agent(
    answer: Callable[[dict], Answer] = sensible, *, now: float = NOW
) -> AsyncIterator[tuple[str, ScriptedLlm]]:
    async with (
        scripted_llm(answer) as llm,
        serve_agent(llm_url=llm.url, secret=SECRET, clock=lambda: now) as running,
    ):
        yield running.url.replace("http", "ws") + "/ws", llm


def bearer(user: str = "alice") -> dict[str, str]:
    return {"Authorization": f"Bearer {token(user)}"}


async def run(connection: ClientConnection, message: str) -> list[dict]:
    """Send one message; what is said up to the end of the run."""
    await connection.send(message)
    said: list[dict] = []
    while not said or said[-1]["type"] not in ("agent_completed", "error_message", "pong"):
        said.append(json.loads(await connection.recv()))
    return said


def dialogue(answer: Callable[[dict], Answer], *messages: str) -> tuple[list[list[dict]], ScriptedLlm]:
    """One conversation; returns the welcome and what each message brought."""

    async def talk() -> tuple[list[list[dict]], ScriptedLlm]:
        async with agent(answer) as (url, llm), connect(url, additional_headers=bearer()) as connection:
            welcome = [json.loads(await connection.recv())]
            return [welcome, *[await run(connection, message) for message in messages]], llm

    return asyncio.run(talk())


def kinds(events: list[dict]) -> str:
    """The types, ``agent_`` left out, repeated ones once."""
    names = [event["type"].removeprefix("agent_") for event in events]
    return " ".join(name for name, before in zip(names, ["", *names], strict=False) if name != before)


def test_conversation_runs_both_tools_and_then_talks() -> None:
    (welcome, cost, total, talk), llm = dialogue(sensible, COST, SUM, TALK)
    assert kinds(welcome) == "connection_established"
    assert kinds(cost) == "started thinking tool_executing tool_completed thinking completed"
    assert [event["results"] for event in cost if "results" in event] == [{"usd": 4120}]
    assert [event["results"] for event in total if "results" in event] == [{"value": 49440}]
    assert kinds(talk) == "started thinking completed"
    assert [run[-1]["final_response"] for run in (cost, total, talk)] == [
        'The answer is {"usd": 4120}',
        'The answer is {"value": 49440}',
        "The answer is advice",
    ]
    assert len(llm.bodies) == 6


def test_answer_is_thought_aloud_a_few_pieces_at_a_time() -> None:
    (_, said), _ = dialogue(lambda body: text("" if "tools" in body else "a", "b", "c", "d", "e", "f", "g"), TALK)
    assert [event["reasoning"] for event in said if event["type"] == "agent_thinking"][1:] == ["abc", "def", "g"]
    assert said[-1]["final_response"] == "abcdefg"


def test_events_are_flat_and_carry_their_ids() -> None:
    (welcome, cost, total), _ = dialogue(sensible, COST, SUM)
    assert welcome[0]["user_id"] == "alice"
    for events in (cost, total):
        assert len({event["run_id"] for event in events}) == len({event["request_id"] for event in events}) == 1
        for event in events:
            assert event["critical"] is True
            assert event["agent_name"]
            assert event["user_id"] == "alice"
            assert isinstance(event["timestamp"], float)
            assert event["thread_id"] == welcome[0]["thread_id"]
            assert UUID.fullmatch(event["run_id"])
            assert "data" not in event
            assert "payload" not in event
        executing, completed = (event for event in events if event["type"].startswith("tool_"))
        assert executing["execution_id"] == completed["execution_id"]
        assert executing["tool_name"] == completed["tool_name"]
        assert executing["parameters"] == completed["parameters"]
        assert completed["duration_ms"] >= 0
        assert events[-1]["duration_ms"] >= completed["duration_ms"]
    assert cost[0]["run_id"] != total[0]["run_id"]


def test_ids_the_client_names_are_used_and_another_thread_starts_anew() -> None:
    named = {"user_request": "How can I save?", "thread_id": "th_7a", "run_id": "run_19", "request_id": "req_3"}
    (_, _, said), llm = dialogue(sensible, COST, json.dumps({"type": "start_agent", "payload": named}))
    assert {(event["thread_id"], event["run_id"], event["request_id"]) for event in said} == {
        ("th_7a", "run_19", "req_3")
    }
    assert "What did compute cost in 2025-08?" not in json.dumps(llm.bodies[-1])


def test_call_id_of_the_model_goes_back_to_it() -> None:
    _, llm = dialogue(sensible, COST)
    call, result = llm.bodies[1]["messages"][-2:]
    assert call["tool_calls"][0]["id"] == result["tool_call_id"] == "id-of-cost"
    assert json.loads(result["content"]) == {"usd": 4120}


def test_questions_to_the_model_are_the_same_bytes_for_every_user_and_time() -> None:
    async def bodies(user: str) -> list[bytes]:
        async with agent() as (url, llm), connect(url, additional_headers=bearer(user)) as connection:
            await connection.recv()
            for message in (COST, SUM, TALK):
                await run(connection, message)
            return llm.raw_bodies

    assert asyncio.run(bodies("alice")) == asyncio.run(bodies("bob"))


def test_failed_tool_is_told_and_planned_once_more() -> None:
    def stubborn(body: dict) -> Answer:
        return calls(("x", "calculator", '{"expression": "compute"}')) if "tools" in body else text("Sorry")

    (_, said), llm = dialogue(stubborn, COST)
    assert kinds(said) == (
        "started thinking tool_executing tool_completed thinking tool_executing tool_completed thinking completed"
    )
    failed = [event for event in said if event["type"] == "tool_completed"]
    assert [(event["success"], event["status"]) for event in failed] == [(False, "failed")] * 2
    assert said[-1]["final_response"] == "Sorry"
    assert len(llm.bodies) == 3


@pytest.mark.parametrize("arguments", ['{"expression": ', "[1]", "", "null"])
def test_arguments_that_are_no_object_fail_the_tool_and_go_back_as_an_empty_one(arguments: str) -> None:
    (_, said), llm = dialogue(lambda body: calls(("x", "calculator", arguments)) if "tools" in body else text("a"), SUM)
    assert [event["parameters"] for event in said if event["type"] == "tool_completed"] == [{}, {}]
    assert llm.bodies[-1]["messages"][-2]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_calls_of_one_answer_are_limited() -> None:
    many = [(f"id{n}", "calculator", '{"expression": "1"}') for n in range(9)]
    (_, said), _ = dialogue(lambda body: calls(*many) if "tools" in body else text("a"), SUM)
    assert len([event for event in said if event["type"] == "tool_executing"]) == 3


def test_empty_answer_completes_without_success_and_is_not_remembered_as_said() -> None:
    (_, said, _), llm = dialogue(lambda _: text(), TALK, TALK)
    assert (said[-1]["final_response"], said[-1]["success"]) == ("", False)
    assert {"role": "assistant", "content": ""} not in llm.bodies[-1]["messages"]


@pytest.mark.parametrize("answer", [status(424, b"no recording"), status(500), Answer([])])
def test_failing_model_is_told_and_the_next_turn_may_succeed(answer: Answer) -> None:
    def recovering(body: dict) -> Answer:
        return answer if question(body).startswith("What did") else sensible(body)

    (_, failed, said), llm = dialogue(recovering, COST, SUM)
    assert kinds(failed) == "started thinking error_message"
    assert failed[-1]["error_code"] == "LLM_ERROR"
    assert failed[-1]["details"]["run_id"] == failed[0]["run_id"]
    assert said[-1]["final_response"] == 'The answer is {"value": 49440}'
    assert "What did compute cost" not in json.dumps(llm.bodies[-1])


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "JSON_PARSE_ERROR"),
        ("[" * 100_000, "JSON_PARSE_ERROR"),
        ("[]", "BAD_MESSAGE"),
        ("{}", "UNKNOWN_MESSAGE_TYPE"),
        ('{"type":"dance"}', "UNKNOWN_MESSAGE_TYPE"),
        ('{"type":["chat"]}', "UNKNOWN_MESSAGE_TYPE"),
        ('{"type":"chat","payload":"hello"}', "BAD_MESSAGE"),
        ('{"type":"chat","payload":{}}', "BAD_MESSAGE"),
        ('{"type":"chat","payload":{"content":" "}}', "BAD_MESSAGE"),
        ('{"type":"start_agent","payload":{"content":"hello"}}', "BAD_MESSAGE"),
    ],
)
def test_message_nobody_understands_is_answered_and_the_socket_stays(message: str, code: str) -> None:
    (_, refused, pong), llm = dialogue(sensible, message, '{"type":"ping"}')
    assert [event["type"] for event in refused] == ["error_message"]
    assert refused[0]["error_code"] == code
    assert pong[0]["type"] == "pong"
    assert llm.bodies == []


@pytest.mark.parametrize("field", ["content", "message", "text"])
def test_any_of_the_text_fields_carries_the_question(field: str) -> None:
    _, llm = dialogue(
        sensible, json.dumps({"type": "user_message", "payload": {"content": "", field: "Calculate 1 + 1."}})
    )
    assert question(llm.bodies[0]) == "Calculate 1 + 1."


def test_two_users_at_once_share_nothing() -> None:
    async def talk() -> tuple[ScriptedLlm, list[list[dict]]]:
        both_asked = asyncio.Barrier(2)

        async def user(url: str, name: str, total: str) -> list[dict]:
            async with connect(url, additional_headers=bearer(name)) as connection:
                welcome = json.loads(await connection.recv())
                await both_asked.wait()
                said = [event for _ in range(3) for event in await run(connection, total)]
                return [welcome, *said]

        async with agent() as (url, llm):
            said = await asyncio.gather(
                user(url, "alice", '{"type":"chat","payload":{"text":"Calculate 1 + 1."}}'),
                user(url, "bob", '{"type":"chat","payload":{"text":"Calculate 40 + 2."}}'),
            )
            return llm, said

    llm, (alice, bob) = asyncio.run(talk())
    for said, name, value in ((alice, "alice", 2), (bob, "bob", 42)):
        assert {event["user_id"] for event in said} == {name}
        assert {event["results"]["value"] for event in said if "results" in event} == {value}
    assert {event["thread_id"] for event in alice}.isdisjoint(event["thread_id"] for event in bob)
    for body in llm.bodies:
        assert ("1 + 1" in json.dumps(body)) != ("40 + 2" in json.dumps(body))


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/ws", {}, 401),
        ("/ws", {"Authorization": "Bearer nonsense"}, 401),
        ("/ws", {"Authorization": f"Bearer {token(secret='another')}"}, 401),
        ("/ws?token=x", {"Authorization": "Basic YTpi"}, 401),
        ("/ws", [*bearer().items(), *bearer().items()], 401),
        ("//[/ws", bearer(), 404),
        ("/", bearer(), 404),
        ("/ws/other", bearer(), 404),
    ],
)
def test_stranger_and_unknown_path_are_refused_before_the_upgrade(
    path: str, headers: dict[str, str] | list[tuple[str, str]], code: int
) -> None:
    async def knock() -> InvalidStatus:
        async with agent() as (url, _):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url.removesuffix("/ws") + path, additional_headers=headers)
            return refused.value

    response = asyncio.run(knock()).response
    assert response.status_code == code
    assert response.headers.get("WWW-Authenticate") == ("Bearer" if code == 401 else None)


def test_expired_token_is_refused() -> None:
    async def knock() -> None:
        async with agent(now=NOW + LIFETIME_S) as (url, _):
            with pytest.raises(InvalidStatus, match="401"):
                await connect(url, additional_headers=bearer())

    asyncio.run(knock())


SCHEME, ITEM = subprotocols_with(token("bob"))


@pytest.mark.parametrize(
    ("headers", "offered", "chosen"),
    [
        ({}, [SCHEME, ITEM], SCHEME),
        ({}, [ITEM, "other", SCHEME], SCHEME),
        ({}, [ITEM], None),
        (bearer("bob"), ["other"], None),
        (bearer("bob"), [SCHEME], SCHEME),
        (bearer("bob"), [], None),
    ],
)
def test_only_the_scheme_is_chosen_and_only_if_offered(
    headers: dict[str, str], offered: list[str], chosen: str | None
) -> None:
    async def knock() -> tuple[str | None, str]:
        async with agent() as (url, _):
            items = [Subprotocol(item) for item in offered] or None
            async with connect(url, additional_headers=headers, subprotocols=items) as connection:
                return connection.subprotocol, json.loads(await connection.recv())["user_id"]

    assert asyncio.run(knock()) == (chosen, "bob")


def test_model_is_not_waited_for_when_the_client_has_left() -> None:
    async def leave() -> None:
        async with agent(lambda _: Answer([], hang=True)) as (url, llm):
            async with connect(url, additional_headers=bearer()) as connection:
                await connection.send(TALK)
                while json.loads(await connection.recv())["type"] != "agent_thinking":
                    pass
            await asyncio.wait_for(llm.left.wait(), 5)

    asyncio.run(leave())


def test_stopping_closes_connections_in_the_middle_of_a_run() -> None:
    async def stop() -> ConnectionClosed:
        async with scripted_llm(lambda _: Answer([], hang=True)) as llm:
            async with serve_agent(llm_url=llm.url, secret=SECRET, clock=lambda: NOW) as running:
                url = running.url.replace("http", "ws") + "/ws"
                connection = await connect(url, additional_headers=bearer())
                await connection.send(TALK)
                while json.loads(await connection.recv())["type"] != "agent_thinking":
                    pass
            with pytest.raises(ConnectionClosed) as closed:
                await connection.recv()
            return closed.value

    closed = asyncio.run(stop())
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1001


def test_address_in_use_is_a_listen_error() -> None:
    async def twice(port: int) -> None:
        async with serve_agent(llm_url="http://127.0.0.1:1", port=port):
            pass

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ListenError, match="cannot listen"):
            asyncio.run(twice(taken.getsockname()[1]))


def test_command_refuses_an_address_it_cannot_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--llm", "http://127.0.0.1:1", "--listen", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.slow
def test_command_prints_its_url_serves_and_stops_on_a_signal() -> None:
    command = [sys.executable, "-m", "gp_replay.demo.agent", "--llm", "http://127.0.0.1:1", "--secret", SECRET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            url = process.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
            fresh = make_token("alice", SECRET, now=int(time.time()))
            seen = asyncio.run(converse(url, token=fresh, subprotocol=False, turns=[]))
            assert [message.type for message in seen.messages] == ["connection_established"]
        finally:
            os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
