"""The conversation without a socket and without a model; what it does with both is in the agent's tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.demo.conversation import AGENT_EVENTS, Conversation
from gp_replay.demo.llm import LlmFailed, Reply

PING = '{"type":"ping"}'


class FakeLlm:
    """Says the replies it was given, then fails."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.asked: list[Sequence[dict[str, object]]] = []

    async def chat(self, messages, *, max_tokens, tools=(), on_text=None) -> Reply:
        self.asked.append(messages)
        if not self.replies:
            raise LlmFailed("nothing left to say", status=500)
        reply = self.replies.pop(0)
        if on_text is not None and reply.text:
            await on_text(reply.text)
        return reply


def hold(llm: FakeLlm, *messages: str | bytes) -> list[dict]:
    """All events of one conversation."""
    events: list[dict] = []

    async def send(event: dict[str, object]) -> None:
        events.append(json.loads(json.dumps(event)))

    async def talk() -> None:
        conversation = Conversation(user_id="alice", llm=llm, send=send)
        await conversation.welcome()
        for message in messages:
            await conversation.receive(message)

    asyncio.run(talk())
    return events


def ask(text: str) -> str:
    return json.dumps({"type": "chat", "payload": {"text": text}})


def test_welcome_names_the_five_events() -> None:
    (welcome,) = hold(FakeLlm())
    assert welcome["type"] == "connection_established"
    assert welcome["golden_path_events"] == list(AGENT_EVENTS)


def test_turn_is_remembered_for_the_next_one() -> None:
    llm = FakeLlm(Reply(text=""), Reply(text="first answer"), Reply(text=""), Reply(text="second"))
    hold(llm, ask("first"), ask("second"))
    assert [message["content"] for message in llm.asked[-1][-3:]] == ["first", "first answer", "second"]


def test_turn_the_model_failed_in_is_forgotten() -> None:
    llm = FakeLlm(Reply(text=""))
    events = hold(llm, ask("first"), ask("second"))
    assert [event["type"] for event in events].count("error_message") == 2
    assert events[-1]["details"]["status"] == 500
    assert "first" not in [message["content"] for message in llm.asked[-1]]


def test_text_of_the_plan_is_not_shown() -> None:
    events = hold(FakeLlm(Reply(text="raw plan"), Reply(text="answer")), ask("first"))
    assert "raw plan" not in json.dumps(events)
    assert events[-1]["final_response"] == "answer"


def test_bytes_are_read_like_text() -> None:
    assert hold(FakeLlm(), PING.encode())[-1]["type"] == "pong"
    assert hold(FakeLlm(), b"\xff")[-1]["error_code"] == "JSON_PARSE_ERROR"


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(
    st.text()
    | st.binary()
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["chat", "start_agent", "user_message", "ping"]) | JSON},
        optional={"payload": JSON | st.dictionaries(st.sampled_from(["content", "thread_id", "run_id"]), JSON)},
    ).map(json.dumps)
)
def test_every_message_is_answered_and_none_is_an_exception(message: str | bytes) -> None:
    answers = hold(FakeLlm(), message, PING)[1:]
    assert len(answers) >= 2
    assert answers[-1]["type"] == "pong"
    assert answers[-2]["type"] in ("error_message", "pong")


@pytest.mark.parametrize("payload", [{"text": "a", "run_id": 7}, {"text": "a", "run_id": ""}])
def test_id_that_is_no_id_is_replaced(payload: dict[str, object]) -> None:
    events = hold(FakeLlm(), json.dumps({"type": "chat", "payload": payload}))
    assert len(events[1]["run_id"]) == 36
