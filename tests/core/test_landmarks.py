"""Kinds of messages, and which message of a turn our client waits for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.landmarks import kind_of, landmark_of
from gp_replay.core.model import Message, Opcode, Side


def kind(data: str, opcode: Opcode = Opcode.TEXT) -> str:
    return kind_of(Message(at_us=0, stream=1, side=Side.SERVER, opcode=opcode, data=data.encode()))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"type":"delta","text":"a"}', '{"text":"quite another","type":"delta"}'),
        ('{"event":"done","id":1}', '{"event":"done","id":2,"more":[1]}'),
        ('{"data":{"type":"run"}}', '{"data":{"type":"run","id":7}}'),
        ('42["started",{"a":1}]', '42["started",{"a":2}]'),
        ('42/chat,5["x"]', '42/chat,6["y"]'),
        ('{"answer":1,"question":2}', '{"question":"x","answer":null}'),
        ("hello", "bye"),
    ],
)
def test_content_does_not_make_another_kind(one: str, other: str) -> None:
    assert kind(one) == kind(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"type":"delta"}', '{"type":"done"}'),
        ('{"type":"tool","status":"running"}', '{"type":"tool","status":"finished"}'),
        ('{"data":{"type":"run"}}', '{"data":{"type":"stop"}}'),
        ('42["started"]', '42["stopped"]'),
        ('42["x"]', '43["x"]'),
        ('{"a":1}', '{"b":1}'),
        ("[1]", "{}"),
        ("hello", '"hello"'),
    ],
)
def test_what_a_message_calls_itself_makes_its_kind(one: str, other: str) -> None:
    assert kind(one) != kind(other)


def test_a_binary_message_is_of_one_kind_whatever_it_holds() -> None:
    assert kind('{"type":"a"}', Opcode.BINARY) == kind("{", Opcode.BINARY) != kind("{")


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([], None),
        (["done"], 0),
        (["start", "delta", "delta", "done"], 3),
        (["start", "delta", "delta"], 0),
        (["delta", "delta"], 1),
        (["a", "b", "a"], 1),
    ],
)
def test_the_landmark_is_the_last_of_its_own_kind_else_the_last(kinds: list[str], expected: int | None) -> None:
    assert landmark_of(kinds) == expected


@given(st.integers(2, 30), st.integers(2, 30))
def test_the_number_of_deltas_does_not_matter(recorded: int, live: int) -> None:
    turns = [["start", *["delta"] * count, "done", "usage"] for count in (recorded, live)]
    landmarks = [turn[at] for turn in turns if (at := landmark_of(turn)) is not None]
    assert landmarks == ["usage", "usage"]
