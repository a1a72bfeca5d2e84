"""Replays that go wrong on purpose, as real clients live them: what they raise, and that a retry gets the recorded answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import pytest
import websockets
from command_line import cli
from dialogue import ask, cassette, chat
from test_live import quiet, save
from websockets.asyncio.client import connect
from wire import run

from gp_replay import api
from gp_replay.errors import UsageError

CASSETTES = Path(__file__).parents[2] / "cassettes"
WELCOME = '{"type":"connection_established","data":{"connection_id":"main_1b2c3d4e"}}'
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
    }
)
MESSAGE = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
)
JSON = ((b"Content-Type", b"application/json"), (b"Transfer-Encoding", b"chunked"))


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """A chat of role ``chat`` and two LLM calls of role ``llm``."""
    asked = json.dumps(ASKED)
    events = [f"data: {number}\n\n" for number in range(4)]
    return save(
        cassette(
            chat(1, f"5 < {WELCOME}", "10 > go", '20 < {"type":"agent_started"}', "30 < done", role="chat"),
            ask(2, "POST", "/v1/chat/completions", asked, answer=[(9, ANSWER)], answer_headers=JSON, role="llm"),
            ask(
                3,
                "POST",
                "/v1/messages",
                json.dumps({"max_tokens": 9, **ASKED}),
                answer=[(9, MESSAGE)],
                answer_headers=JSON,
                role="llm",
            ),
            ask(4, "GET", "/stream", answer=[(n, text) for n, text in enumerate(events)], role="llm"),
        ),
        tmp_path / "a.gpr",
    )


def replaying(tape: Path, *faults: str, edge: str | None = None) -> api.Replay:
    return api.replay(tape, timing="instant", faults=faults, edge=edge, log=quiet)


async def talk(replay: api.Replay) -> list[object]:
    """What a client that waits for its welcome hears, until the end of the run or of the connection."""
    heard: list[object] = []
    try:
        async with connect(replay.urls["chat"].replace("http", "ws") + "/ws") as socket:
            heard.append(await socket.recv())
            await socket.send("go")
            while heard[-1] != "done":
                heard.append(await socket.recv())
    except websockets.ConnectionClosed as closed:
        heard.append(closed.rcvd.code if closed.rcvd else 1006)
    return heard


WHOLE = [WELCOME, '{"type":"agent_started"}', "done"]


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        ("no-welcome-1011", [1011]),
        ("close-1011-mid-run", [*WHOLE[:2], 1011]),
        ("cut=2", [*WHOLE[:2], 1006]),
        ("cut=0", [1006]),
        ("double-welcome", [WELCOME, *WHOLE]),
        ("events-before-welcome", [WHOLE[1], WELCOME, "done"]),
        ("welcome-late=0.05", WHOLE),
        ("chat:delay=0.05", WHOLE),
        ("age-cut=0", [WELCOME, 1006]),
    ],
)
def test_a_websocket_client_lives_through_the_fault_and_reconnects_to_the_recording(
    fault: str, heard: list[object], tape: Path
) -> None:
    async def main() -> tuple[list[object], api.Replay]:
        replay = replaying(tape, fault)
        async with replay:
            return await talk(replay), replay

    said, replay = run(main())
    assert said == heard
    assert replay.receipt.exit_code == 0
    assert [item[:2] for item in replay.receipt.faults] == [(fault, "a#1")]
    ended = heard[-1] != "done"
    assert ("a#1" in replay.receipt.unplayed) == ended


def test_after_a_first_connection_without_a_welcome_the_second_is_whole(tape: Path) -> None:
    async def main() -> tuple[list[object], list[object], api.Replay]:
        replay = replaying(tape, "no-welcome-1011#1")
        async with replay:
            return await talk(replay), await talk(replay), replay

    first, second, replay = run(main())
    assert (first, second) == ([1011], WHOLE)
    assert replay.receipt.served == ("a#1",)
    assert replay.receipt.exit_code == 0


@pytest.mark.parametrize("status", [403, 503])
def test_a_refused_upgrade_is_an_http_answer_that_names_its_fault(status: int, tape: Path) -> None:
    async def main() -> httpx.Headers | websockets.Headers:
        async with replaying(tape, f"refused-upgrade={status}") as replay:
            with pytest.raises(websockets.InvalidStatus) as refused:
                await connect(replay.urls["chat"].replace("http", "ws") + "/ws")
            assert refused.value.response.status_code == status
            return refused.value.response.headers

    assert run(main())["x-gp-replay"] == f"a#1 fault=refused-upgrade={status}"


def test_a_client_breaks_off_when_a_subprotocol_was_not_offered(tape: Path) -> None:
    async def main() -> None:
        async with replaying(tape, "subprotocol-not-offered") as replay:
            url = replay.urls["chat"].replace("http", "ws") + "/ws"
            with pytest.raises(websockets.InvalidHandshake, match="subprotocol"):
                await connect(url)

    run(main())


def test_a_silent_server_is_silent_while_the_socket_stays_open(tape: Path) -> None:
    async def main() -> None:
        async with (
            replaying(tape, "silence") as replay,
            connect(replay.urls["chat"].replace("http", "ws") + "/ws") as socket,
        ):
            assert await socket.recv() == WELCOME
            await socket.send("go")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.05)
            await (await socket.ping())

    run(main())


def test_a_client_that_does_not_wait_for_its_welcome_is_noted(tape: Path) -> None:
    async def main() -> api.Replay:
        replay = replaying(tape, "welcome-held")
        async with replay, connect(replay.urls["chat"].replace("http", "ws") + "/ws") as socket:
            await socket.send("go")
            assert [await socket.recv() for _ in range(3)] == WHOLE
        return replay

    receipt = run(main()).receipt
    assert receipt.plain()["notes"] == ["a#1: the client said text before the welcome"]
    assert receipt.exit_code == 0


@pytest.mark.slow
def test_the_openai_sdk_retries_a_429_and_gets_the_recorded_answer(tape: Path) -> None:
    import openai

    with replaying(tape, "llm:http=429#1") as replay:
        client = openai.OpenAI(base_url=replay.urls["llm"] + "/v1", api_key="k", max_retries=1)
        answer = client.chat.completions.create(**ASKED)  # type: ignore[call-overload]
    assert answer.choices[0].message.content == "hello"
    receipt = replay.receipt
    assert (receipt.exit_code, receipt.served) == (0, ("a#2",))
    assert receipt.plain()["faults"] == [{"fault": "llm:http=429#1", "recording": "a#2", "times": 1}]


@pytest.mark.parametrize(("status", "error"), [(429, "RateLimitError"), (500, "InternalServerError")])
def test_the_openai_sdk_raises_what_the_outage_is(status: int, error: str, tape: Path) -> None:
    import openai

    with replaying(tape, f"http={status}") as replay:
        client = openai.OpenAI(base_url=replay.urls["llm"] + "/v1", api_key="k", max_retries=0)
        with pytest.raises(getattr(openai, error)) as raised:
            client.chat.completions.create(**ASKED)  # type: ignore[call-overload]
    assert raised.value.response.headers["x-gp-replay"] == f"a#2 fault=http={status}"
    assert replay.receipt.exit_code == 0


@pytest.mark.slow
def test_the_anthropic_sdk_retries_an_overloaded_api_and_gets_the_recorded_answer(tape: Path) -> None:
    import anthropic

    with replaying(tape, "llm:http=500#1") as replay:
        client = anthropic.Anthropic(base_url=replay.urls["llm"], api_key="k", max_retries=0)
        with pytest.raises(anthropic.InternalServerError) as raised:
            client.messages.create(max_tokens=9, **ASKED)  # type: ignore[call-overload]
        assert raised.value.response.json()["error"]["type"] == "api_error"
        answer = client.messages.create(max_tokens=9, **ASKED)  # type: ignore[call-overload]
    assert answer.content[0].text == "hello"
    assert replay.receipt.exit_code == 0


@pytest.mark.parametrize("fault", ["cut=2", "cut=0"])
def test_a_stream_that_is_cut_raises_and_the_next_is_whole(fault: str, tape: Path) -> None:
    with replaying(tape, f"llm:{fault}#1") as replay, httpx.Client() as client:
        got = b""
        with pytest.raises(httpx.TransportError), client.stream("GET", replay.urls["llm"] + "/stream") as answer:
            for data in answer.iter_bytes():
                got += data
        assert got.count(b"data:") == int(fault.removeprefix("cut="))
        assert client.get(replay.urls["llm"] + "/stream").text.count("data:") == 4
    assert replay.receipt.served == ("a#4",)


@pytest.mark.parametrize("fault", ["stall=0", "stall=1", "delay=60"])
def test_a_client_that_gives_up_waiting_gets_the_recorded_answer_when_it_asks_again(fault: str, tape: Path) -> None:
    with replaying(tape, f"llm:{fault}#1") as replay, httpx.Client() as client:
        url = replay.urls["llm"] + "/stream"
        with pytest.raises(httpx.ReadTimeout):
            client.get(url, timeout=0.1)
        assert client.get(url).text.count("data:") == 4
    assert replay.receipt.served == ("a#4",)
    assert replay.receipt.exit_code == 0


def test_a_fault_that_never_happened_is_no_green_replay(tape: Path) -> None:
    with replaying(tape, "llm:http=429#2", "chat:silence") as replay:
        assert httpx.get(replay.urls["llm"] + "/stream").status_code == 200
    receipt = replay.receipt
    assert receipt.exit_code == 4
    assert receipt.verdict.endswith("never happened: llm:http=429#2, chat:silence")


def test_the_edge_of_a_place_needs_not_happen_and_strips_what_only_a_header_authorizes(tape: Path) -> None:
    async def main() -> tuple[list[object], api.Replay]:
        replay = replaying(tape, edge="cloud-run")
        async with replay:
            url = replay.urls["chat"].replace("http", "ws") + "/ws"
            with pytest.raises(websockets.InvalidStatus) as refused:
                await connect(url, additional_headers={"Authorization": "Bearer abcdefghijkl"})
            assert refused.value.response.status_code == 403
            return await talk(replay), replay

    said, replay = run(main())
    assert said == WHOLE
    assert replay.receipt.exit_code == 0
    assert [item[0] for item in replay.receipt.faults] == ["authorization-stripped"]


def test_a_recorded_llm_fails_as_itself_and_then_answers() -> None:
    import openai

    with api.replay(CASSETTES / "openai-chat.gpr", timing="instant", faults=["http=503#1"], log=quiet) as replay:
        client = openai.OpenAI(base_url=replay.urls["llm"] + "/v1", api_key="k", max_retries=0)
        asked = {"model": "smollm2-135m", "temperature": 0, "max_tokens": 40}
        question = [{"role": "user", "content": "Name three colours of the rainbow."}]
        with pytest.raises(openai.InternalServerError, match="overloaded"):
            client.chat.completions.create(messages=question, **asked)  # type: ignore[call-overload]
        assert client.chat.completions.create(messages=question, **asked).choices  # type: ignore[call-overload]
    assert replay.receipt.exit_code == 0


@pytest.mark.parametrize(
    ("faults", "edge", "words"),
    [
        (["nonsense"], None, "fault 'nonsense'"),
        (["http"], None, "fault 'http'"),
        ([], "moon", "edge 'moon'"),
        (["lm:http=429"], None, "no role 'lm' is served"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_served(
    faults: list[str], edge: str | None, words: str, tape: Path
) -> None:
    with pytest.raises(UsageError, match=words), replaying(tape, *faults, edge=edge):
        pass


def test_each_namespace_has_the_fault_and_the_receipt_of_all_sums_up(tape: Path) -> None:
    with replaying(tape, "llm:http=429#1") as replay:
        for name in ("one", "two"):
            url = replay.create(name).urls["llm"] + "/stream"
            assert [httpx.get(url).status_code for _ in range(2)] == [429, 200]
        assert replay.create("three").receipt.exit_code == 4
        assert replay.remove("one").exit_code == 0
        assert httpx.get(replay.create("one").urls["llm"] + "/stream").status_code == 429
    receipt = replay.receipt
    assert receipt.exit_code == 0
    assert receipt.namespaces["one"].faults == (("llm:http=429#1", "a#4", 2),)
    assert "faults 3" in receipt.verdict


def test_the_command_line_names_the_faults_there_are(tape: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, said = cli(capfd, "replay", tape, "--fault", "welcome")
    assert code == 2
    assert "hint: [ROLE:]NAME[=VALUE][#N] with a name of: welcome-late[=SECONDS], " in said


def test_the_command_line_exits_4_when_a_fault_never_happened(tape: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, _, said = cli(capfd, "replay", tape, "--fault", "silence", "--edge", "cloud-run", "--", "true")
    assert code == 4
    assert "never happened: silence" in said
