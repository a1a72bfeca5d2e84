"""Fields that are missing, and shapes that change between messages of one type."""

from __future__ import annotations

from conversations import RUN, WELCOME, findings, rules, spoken

from gp_replay.contracts.findings import Level


def test_a_missing_field_is_an_error_and_says_where_something_of_its_name_stands() -> None:
    talk = spoken(WELCOME, RUN[0], "20 < agent_started run_id=r1 meta.agent_name=boss", *RUN[2:])
    (found,) = findings([talk])
    assert (found.rule, found.level, found.place) == ("agent_started.fields", Level.ERROR, "agent_name")
    assert found.expected == "agent_name or agent"
    assert found.came == "meta.agent_name, where no client looks"
    assert found.fix == "send agent_name beside type"


def test_a_tool_that_failed_needs_no_result() -> None:
    def tool(about: str) -> list[str]:
        lines = ("40 < tool_executing run_id=r1 tool=t", f"50 < tool_completed run_id=r1 tool=t {about}")
        return rules(spoken(WELCOME, *RUN[:3], *lines, RUN[3]))

    assert tool("error=down success=false") == []
    assert tool("result=1") == []
    assert tool("metadata.result=1") == []
    assert tool("success=true") == ["tool_completed.fields"]
    assert tool("results=null") == ["tool_completed.fields"]


def test_an_envelope_that_changes_within_one_type_is_told_once() -> None:
    thoughts = [f"{at} < agent_thinking data.run_id=r1 data.reasoning=More" for at in (40, 50, 60)]
    (found,) = findings([spoken(WELCOME, *RUN[:3], *thoughts, RUN[3])])
    assert (found.rule, found.level, found.message) == ("agent_thinking.envelope", Level.ERROR, 4)
    assert (found.expected, found.came) == ("run_id, as in the first agent_thinking", "data.run_id")


def test_an_alias_that_changes_within_one_type_is_a_warning() -> None:
    (found,) = findings([spoken(WELCOME, *RUN[:3], "40 < agent_thinking run_id=r1 thought=More", RUN[3])])
    assert (found.rule, found.level, found.place) == ("agent_thinking.alias", Level.WARNING, "thought")


def test_types_may_differ_from_each_other_and_connections_too() -> None:
    nested = (
        "10 > chat payload.content=Another_question",
        "20 < agent_started data.run_id=r2 data.agent=boss",
        "30 < agent_thinking payload.run_id=r2",
        "90 < agent_completed run_id=r2 agent=boss summary=Done",
    )
    other = spoken(WELCOME.replace("main_1", "main_2").replace("alice", "bob"), *nested, owner="bob", connection=2)
    assert rules(spoken(WELCOME, *RUN), other) == []
