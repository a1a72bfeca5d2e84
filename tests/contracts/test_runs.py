"""Runs: how they begin, who ends them, and what comes too late."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conversations import CLIENT, GOLDEN, RUN, SERVER, WELCOME, Talk, check, findings, rules, spoken

from gp_replay.contracts.findings import Level
from gp_replay.contracts.said import What
from gp_replay.core.model import How

ASK, STARTED, THINKING, COMPLETED = RUN


def of_run(*between: str) -> list[str]:
    """The rules broken by a run with this between its thought and its completion."""
    return rules(spoken(WELCOME, *RUN[:3], *between, COMPLETED))


def after_run(*lines: str) -> list[str]:
    return rules(spoken(WELCOME, *RUN, *lines))


@pytest.mark.parametrize(
    "between",
    [
        (),
        ("40 < agent_started run_id=r1 agent=data", "50 < agent_completed run_id=r1 agent=data result=1"),
        ("40 < agent_completed run_id=r1 agent_name=data result=1",),
        (
            "40 < agent_completed run_id=r1 agent_name=d result=1",
            "41 < agent_completed run_id=r1 agent_name=d result=2",
        ),
        ("40 < agent_error run_id=r1 agent_name=data",),
        ("40 < error_message error_code=JSON_PARSE_ERROR",),
        ("40 < agent_update run_id=r1",),
    ],
)
def test_what_a_run_may_hold(between: tuple[str, ...]) -> None:
    named = [line.replace(" agent=", " agent_name=") for line in between]
    assert of_run(*named) == []


def test_a_run_begins_with_its_first_event() -> None:
    early = THINKING.replace("30", "15")
    for talk in (spoken(WELCOME, ASK, early, STARTED, COMPLETED), spoken(WELCOME, ASK, THINKING, COMPLETED)):
        assert rules(talk, contract=replace(GOLDEN, isolation=None)) == ["agent_started.first"]


def test_a_run_needs_a_thought() -> None:
    assert rules(spoken(WELCOME, ASK, STARTED, COMPLETED)) == ["agent_thinking.missing"]


def test_every_agent_that_started_completes_before_the_run_ends() -> None:
    assert of_run("40 < agent_started run_id=r1 agent_name=data") == ["run.agents"]


def test_an_agent_starts_once_until_it_completes() -> None:
    start, stop = "40 < agent_started run_id=r1 agent_name=d", "42 < agent_completed run_id=r1 agent_name=d result=1"
    assert of_run(start, start.replace("40", "41"), stop) == ["run.agents"]
    assert of_run(start, stop, start.replace("40", "43"), stop.replace("42", "44")) == []


def test_an_event_without_an_agent_belongs_to_its_run_and_one_without_a_run_to_the_last() -> None:
    assert rules(spoken(WELCOME, *RUN[:3], "90 < agent_completed run_id=r1 result=1")) == ["agent_completed.fields"]
    assert of_run("40 < agent_thinking reasoning=Hm") == ["agent_thinking.fields"]


def test_runs_at_once_are_told_apart() -> None:
    other = [line.replace("r1", "r2") for line in RUN]
    woven = [line for pair in zip(RUN, other, strict=True) for line in pair]
    assert rules(spoken(WELCOME, *woven)) == []


@pytest.mark.parametrize("error", ["90 < agent_error run_id=r1", "90 < agent_error", "90 < error details.run_id=r1"])
def test_a_run_may_end_with_an_error(error: str) -> None:
    talk = spoken(WELCOME, *RUN[:2], "40 < tool_executing run_id=r1 tool=t", error)
    assert rules(talk) == []
    assert rules(spoken(WELCOME, *RUN[:3], error, COMPLETED.replace("90", "91"))) == (
        [] if "run_id" in error or "agent_error" in error else ["run.end"]
    )


def test_an_error_that_names_no_run_ends_none_and_excuses_those_that_are_open() -> None:
    assert rules(spoken(WELCOME, *RUN[:3], "40 < error_message error_code=LLM_ERROR")) == []
    assert of_run("40 < error_message error_code=LLM_ERROR", "50 < agent_thinking run_id=r1 reasoning=On") == []


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        ("95 < agent_thinking run_id=r1 reasoning=More", ["run.end"]),
        ("95 < agent_completed run_id=r1 agent_name=boss result=Done", ["run.end"]),
        ("95 < agent_started run_id=r1 agent_name=boss", ["run.end"]),
        ("95 < agent_thinking reasoning=More", ["agent_thinking.fields", "agent_started.first"]),
        ("95 < heartbeat timestamp=1", []),
        ("95 < error_message details.run_id=r1", []),
    ],
)
def test_what_comes_after_the_end_is_late(late: str, expected: list[str]) -> None:
    assert after_run(late) == expected


def test_a_message_that_came_twice_is_told_by_its_stamp() -> None:
    stamped = "40 < agent_thinking run_id=r1 reasoning=Hm timestamp=1.25"
    assert of_run(stamped, stamped) == ["run.once"]
    assert of_run(stamped, stamped.replace("1.25", "1.5")) == []
    assert of_run("40 < agent_thinking run_id=r1 reasoning=Hm", "41 < agent_thinking run_id=r1 reasoning=Hm") == []


def test_a_run_keeps_its_thread() -> None:
    first, other = (f"{at} < agent_thinking run_id=r1 reasoning=Hm thread_id=t{at}" for at in (40, 41))
    (found,) = findings([spoken(WELCOME, *RUN[:3], first, other, COMPLETED)])
    assert (found.rule, found.place, found.came) == ("run.thread", "thread_id", "'t41'")


def ended(talk: Talk, what: What, how: How | None = None) -> list[tuple[str, Level]]:
    talk.end = ()
    everything = talk.said()
    about = replace(everything[-1], what=what, message=None, raw=b"", at_us=99_000, how=how, code=1000)
    return [(found.rule, found.level) for found in check([*everything, replace(about, side=CLIENT)])]


def test_a_run_that_never_ends_is_an_error_unless_the_client_vanished() -> None:
    talk = spoken(WELCOME, *RUN[:3])
    assert ended(talk, What.CLOSED) == [("run.end", Level.ERROR)]
    assert ended(talk, What.GONE, How.RESET) == [("run.end", Level.WARNING)]
    assert ended(talk, What.GONE, How.CUT) == [("run.end", Level.WARNING)]
    talk.end = ((SERVER, 1011),)
    assert ("run.end", Level.ERROR) in [(found.rule, found.level) for found in findings([talk])]


def test_a_request_wants_an_answer() -> None:
    assert rules(spoken(WELCOME, ASK)) == ["request.answered"]
    assert rules(spoken(WELCOME, ASK, "20 < error_message error_code=BAD")) == []
    assert rules(spoken(WELCOME, "10 > ping", "20 < pong")) == []
    assert after_run("100 > chat payload.content=And_now") == ["request.answered"]


def test_thousands_of_runs_are_forgotten_when_they_end() -> None:
    lines = []
    for number in range(1_200):
        lines += [f"{100 * number + int(line.split()[0])} {line.split(maxsplit=1)[1]}" for line in RUN]
        lines[-4:] = [line.replace("r1", f"r{number}_") for line in lines[-4:]]
    assert rules(spoken(WELCOME, *lines)) == []
