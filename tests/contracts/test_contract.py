"""A contract as values."""

from __future__ import annotations

import pytest
from conversations import GOLDEN

from gp_replay.core.model import Side


def test_limits_can_be_set() -> None:
    other = GOLDEN.with_limits({"gap": 1.5})
    assert {limit.name: limit.max_us for limit in other.limits} == {
        **{limit.name: limit.max_us for limit in GOLDEN.limits},
        "gap": 1_500_000,
    }
    assert GOLDEN.with_limits({}) == GOLDEN


def test_a_limit_must_be_there_and_not_negative() -> None:
    with pytest.raises(KeyError, match="gpa"):
        GOLDEN.with_limits({"gpa": 1})
    with pytest.raises(ValueError, match="gap"):
        GOLDEN.with_limits({"gap": -1})


def test_the_golden_path_is_what_it_says() -> None:
    seconds = {limit.name: limit.max_us / 1e6 for limit in GOLDEN.limits}
    assert seconds == {"connect": 2, "first_event": 5, "gap": 15, "run": 60}
    in_run = [event.name for event in GOLDEN.events if event.in_run and not event.is_error]
    assert in_run == ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]
    assert [event.name for event in GOLDEN.events if event.side is Side.CLIENT] == ["request", "keep_alive"]
    wanted = {event.name: [want.field.name for want in event.wanted if want.level] for event in GOLDEN.events}
    assert wanted["tool_completed"] == ["run_id", "tool_name|tool", "results|result|metadata.result"]
    assert wanted["agent_completed"] == ["run_id", "agent_name|agent", "final_response|result|summary"]
