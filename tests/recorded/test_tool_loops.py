"""Clients with a tool loop, as the SDKs write them: what they send back must be what the replay gave them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from recorded.clients import Answer, anthropic_retry, anthropic_tools, as_asked, openai_retry, openai_tool_loop

from gp_replay import api

CASSETTES = Path(__file__).resolve().parents[2] / "cassettes"
Loop = Callable[[dict[str, str], Answer], list[Any]]

LOOPS = pytest.mark.parametrize(
    ("name", "loop"),
    [("openai-tool-loop", openai_tool_loop), ("anthropic-tools", anthropic_tools)],
    ids=["openai", "anthropic"],
)


def open_replay(name: str, *, ids: str = "recorded") -> api.Replay:
    return api.replay(CASSETTES / f"{name}.gpr", timing="instant", ids=ids, log=lambda text: None)


def refused(loop: Loop, urls: dict[str, str], answer: Answer) -> dict[str, Any]:
    """The miss that ends this loop."""
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as caught:
        loop(urls, answer)
    error: Any = caught.value
    assert error.status_code == 424
    assert error.response.headers["x-gp-replay"] == "miss"
    miss: dict[str, Any] = error.response.json()["error"]
    return miss


class Notes:
    """Answers as it was asked, and notes the ids it was given."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, call_id: str, name: str, arguments: str) -> tuple[str, str]:
        self.ids.append(call_id)
        return as_asked(call_id, name, arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "loop", "place"),
    [
        ("openai-tool-loop", openai_tool_loop, "body.messages[23].content{}.usd"),
        ("anthropic-tools", anthropic_tools, "body.messages[22].content[0].content{}.usd"),
    ],
    ids=["openai", "anthropic"],
)
def test_another_tool_result_is_refused_and_the_miss_names_its_place(name: str, loop: Loop, place: str) -> None:
    with open_replay(name) as replay:
        miss = refused(loop, replay.urls, lambda call_id, tool, arguments: (call_id, '{"usd": "cheap"}'))
    assert miss["nearest"] == f"{name}#2"
    assert miss["differences"] == [{"at": place, "recorded": "325", "live": "cheap"}]
    assert f'at = "{place}"' in miss["rule"]
    assert len(replay.receipt.served) == 1
    assert len(replay.receipt.missed) == 1
    assert replay.receipt.exit_code == 1


@pytest.mark.slow
@LOOPS
@pytest.mark.parametrize("ids", ["recorded", "fresh"])
def test_ids_of_calls_that_come_back_as_given_match_to_the_end(name: str, loop: Loop, ids: str) -> None:
    recorded, given = Notes(), Notes()
    with open_replay(name) as replay:
        before = loop(replay.urls, recorded)
    with open_replay(name, ids=ids) as replay:
        again = loop(replay.urls, given)
    assert replay.receipt.exit_code == 0
    assert not replay.receipt.unplayed
    assert len(again) == len(before)
    assert len(set(given.ids)) == len(recorded.ids)
    if ids == "fresh":
        assert set(given.ids).isdisjoint(recorded.ids)
    else:
        assert given.ids == recorded.ids


@pytest.mark.slow
@LOOPS
@pytest.mark.parametrize("ids", ["recorded", "fresh"])
def test_a_made_up_id_of_the_same_shape_is_refused(name: str, loop: Loop, ids: str) -> None:
    def made_up(call_id: str, tool: str, arguments: str) -> tuple[str, str]:
        return call_id[::-1], as_asked(call_id, tool, arguments)[1]

    with open_replay(name, ids=ids) as replay:
        miss = refused(loop, replay.urls, made_up)
    assert miss["kind"] == "ids"
    assert miss["nearest"] == f"{name}#2"
    assert len(replay.receipt.served) == 1
    assert replay.receipt.exit_code == 1


@pytest.mark.slow
@pytest.mark.parametrize("ids", ["recorded", "fresh"])
def test_an_id_that_another_conversation_was_given_is_refused(ids: str) -> None:
    """The second conversation asks the same; under the first one's ids its results belong to nobody."""
    given: list[str] = []

    def under_the_first(call_id: str, tool: str, arguments: str) -> tuple[str, str]:
        given.append(call_id)
        return given[0] if len(given) == 4 else call_id, as_asked(call_id, tool, arguments)[1]

    with open_replay("openai-tool-loop", ids=ids) as replay:
        miss = refused(openai_tool_loop, replay.urls, under_the_first)
    assert miss["kind"] == "ids", miss
    assert len(given) == 4
    assert list(replay.receipt.served) == [f"openai-tool-loop#{n}" for n in range(1, 8)]


@pytest.mark.slow
def test_the_same_prompt_twice_gets_its_answers_in_recorded_order() -> None:
    """The first requests of both conversations are the same bytes; the answers are told apart by their ids alone."""
    with open_replay("openai-tool-loop") as replay:
        seen = openai_tool_loop(replay.urls)
    first, second = seen[:6], seen[6:]
    texts = [[answer["choices"][0]["message"]["content"] for answer in half] for half in (first, second)]
    assert texts[0] == texts[1]
    assert len({answer["id"] for answer in seen}) == len(seen)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "scene"),
    [("openai-retry", openai_retry), ("anthropic-retry", anthropic_retry)],
    ids=["openai", "anthropic"],
)
def test_a_client_that_gives_up_at_the_429_gets_it_and_leaves_the_answer_unplayed(
    name: str, scene: Callable[[dict[str, str], int], list[Any]]
) -> None:
    with open_replay(name) as replay, pytest.raises((openai.RateLimitError, anthropic.RateLimitError)) as caught:
        scene(replay.urls, 0)
    error: Any = caught.value
    assert error.response.headers["x-gp-replay"] == f"{name}#1"
    assert error.response.headers["retry-after-ms"] == "50"
    assert list(replay.receipt.served) == [f"{name}#1"]
    assert list(replay.receipt.unplayed) == [f"{name}#2"]
