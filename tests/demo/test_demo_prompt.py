from __future__ import annotations

import json

import pytest

from gp_replay.demo.prompt import ChatMessage, answering, planning, said, tool_call, tool_result
from gp_replay.demo.tools import run_tool


def roles(messages: list[ChatMessage]) -> str:
    """Roles by first letter; an assistant's call is c, its answer A."""
    letters = {"system": "S", "user": "u", "tool": "t"}
    return "".join(
        letters.get(str(message["role"]), "A" if message["content"] is not None else "c") for message in messages
    )


CALLED = [said("user", "q1"), tool_call("id1", "calculator", '{"expression": "1"}'), tool_result("id1", {"value": 1})]
TALKED = [said("user", "q2"), said("assistant", "a2")]
ASKED = [said("user", "q3")]
EXAMPLES = len(planning([[]])[1:]) // 3


def test_planning_shows_calls_and_no_answers() -> None:
    assert roles(planning([[*CALLED, said("assistant", "a1")], TALKED, ASKED])) == "S" + "uct" * EXAMPLES + "uct" + "uu"


def test_answering_after_a_call_shows_everything() -> None:
    assert roles(answering([TALKED, CALLED])) == "S" + "uctA" * EXAMPLES + "uA" + "uct"


def test_answering_without_a_call_shows_texts_alone() -> None:
    assert roles(answering([[*CALLED, said("assistant", "a1")], ASKED])) == "S" + "uA" * EXAMPLES + "uA" + "u"


def test_long_conversation_keeps_its_last_turns() -> None:
    turns = [[said("user", f"q{number}")] for number in range(50)]
    for view in (planning(turns), answering(turns)):
        assert [message["content"] for message in view[-6:]] == [f"q{number}" for number in range(44, 50)]
        assert "q43" not in json.dumps(view)


def test_examples_are_what_the_tools_really_say() -> None:
    messages = answering([CALLED])[1:-3]
    for call, result in zip(messages[1::4], messages[2::4], strict=True):
        wanted = json.loads(json.dumps(call["tool_calls"]))[0]
        assert wanted["id"] == result["tool_call_id"]
        told = run_tool(wanted["function"]["name"], wanted["function"]["arguments"])
        assert told.success
        assert json.loads(str(result["content"])) == told.results


def test_example_ids_are_unique() -> None:
    ids = [message["tool_call_id"] for message in planning([[]]) if message["role"] == "tool"]
    assert len(set(ids)) == len(ids) == EXAMPLES


@pytest.mark.parametrize(
    ("arguments", "told"), [('{"a":  1}', '{"a":  1}'), ("{}", "{}"), ("{", "{}"), ("7", "{}"), ("", "{}")]
)
def test_arguments_go_back_as_spelled_if_they_are_an_object(arguments: str, told: str) -> None:
    call = json.loads(json.dumps(tool_call("x", "calculator", arguments)))["tool_calls"][0]
    assert call == {"id": "x", "type": "function", "function": {"name": "calculator", "arguments": told}}
