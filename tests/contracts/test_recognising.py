"""Messages as events, in any envelope and by any name."""

from __future__ import annotations

import pytest
from conversations import GOLDEN, Plain

from gp_replay.contracts.recognising import Heard, Recogniser, look, places_of, text_of
from gp_replay.contracts.said import Said, What
from gp_replay.core.model import Side

AGENT, RUN = GOLDEN.fields["agent"], GOLDEN.fields["run"]


def heard(message: Plain | None, side: Side = Side.SERVER) -> Heard:
    said = Said(what=What.MESSAGE, connection=1, index=0, at_us=0, side=side, message=message)
    return Recogniser(GOLDEN).recognise(said)


@pytest.mark.parametrize(
    ("message", "side", "name"),
    [
        ({"type": "agent_started"}, Side.SERVER, "agent_started"),
        ({"type": "factory_connection_established"}, Side.SERVER, "connection_established"),
        ({"type": "agent_failed"}, Side.SERVER, "agent_error"),
        ({"type": "ping"}, Side.CLIENT, "keep_alive"),
        ({"type": "ping"}, Side.SERVER, "heartbeat"),
        ({"type": "execute_agent"}, Side.CLIENT, "request"),
        ({"type": "agent_started"}, Side.CLIENT, ""),
        ({"type": "reasoning"}, Side.SERVER, ""),
        ({"type": 1}, Side.SERVER, ""),
        ({}, Side.SERVER, ""),
        (None, Side.SERVER, ""),
    ],
)
def test_a_type_and_who_says_it_make_an_event(message: Plain | None, side: Side, name: str) -> None:
    assert heard(message, side).name == name


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ({"agent_name": "a"}, ((), ("agent_name",), "a")),
        ({"agent": "a"}, ((), ("agent",), "a")),
        ({"data": {"agent": "a"}}, (("data",), ("agent",), "a")),
        ({"payload": {"metadata": {"agent_name": "a"}}}, (("payload",), ("metadata", "agent_name"), "a")),
        ({"agent_name": None, "agent": "a"}, ((), ("agent",), "a")),
        ({"agent_name": None}, None),
        ({"body": {"agent_name": "a"}}, None),
        ({"data": ["agent_name"]}, None),
    ],
)
def test_a_field_is_found_in_its_envelope_and_by_its_alias(message: Plain, found: object) -> None:
    one = heard({"type": "agent_started", **message})
    assert one.find(AGENT) == found
    assert one.get(AGENT) == (None if found is None else "a")


def test_ids_that_are_numbers_are_text_and_others_are_none() -> None:
    assert heard({"type": "x", "run_id": 7}).text(RUN) == "7"
    assert heard({"type": "x", "run_id": True}).text(RUN) is None
    assert heard({"type": "x", "run_id": {}}).text(RUN) is None


@pytest.mark.parametrize(
    ("message", "was"),
    [
        ({"type": "reasoning", "critical": True}, True),
        ({"type": "reasoning", "run_id": "r", "agent_name": "a"}, True),
        ({"run_id": "r", "data": {"tool": "t"}}, True),
        ({"type": "thread_renamed", "thread_id": "t"}, False),
        ({"type": "agent_started", "critical": True}, False),
        ({"type": "weather"}, False),
    ],
)
def test_an_event_whose_type_was_overwritten_is_told_by_what_it_carries(message: Plain, was: bool) -> None:
    assert Recogniser(GOLDEN).was_overwritten(heard(message)) is was
    assert not Recogniser(GOLDEN).was_overwritten(heard(message, Side.CLIENT))


def test_looking_into_a_message() -> None:
    message: Plain = {"a": {"b": 1, "c": {"b": 2}}, "b": None}
    assert look(message, ("a", "b")) == 1
    assert look(message, ("a", "b", "c")) is None
    assert look(message, ()) is message
    assert list(places_of(message, "b")) == ["a.b", "a.c.b"]
    deep: Plain = {}
    for _ in range(100):
        deep = {"x": deep}
    assert list(places_of(deep, "b")) == []


def test_long_values_are_cut_for_people() -> None:
    assert text_of("x" * 100).endswith("(100 characters)")
    assert text_of(1) == "'1'"
