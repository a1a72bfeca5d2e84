"""The report of a run in its three forms."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from gp_replay.runs.run_report import run_junit, run_lines, run_plain
from gp_replay.runs.sources import Probe, Source
from gp_replay.runs.verdict import Consumed, RoleOutcome, RunReport


def report(**facts: Any) -> RunReport:
    return RunReport(
        **{
            "command": ["pytest", "tests dir"],
            "because": "--source auto",
            "source": "staging",
            "roles": [
                RoleOutcome(
                    role="chat", source="staging", where="https://a", consumed=Consumed(connections=1, messages=9)
                ),
                RoleOutcome(role="llm", source="cassette", where="llm.gpr", consumed=Consumed(exchanges=2)),
            ],
            "passed_over": [Probe(source=Source.DOCKER, problem="there is no docker command")],
            "evidence": {"takes/run.gpr": "0123456789abcdef0123"},
            "notes": ["a note\x1b[2J"],
            "command_exit": 0,
            "seconds": 1.25,
            **facts,
        }
    )


def test_lines_say_who_answered_what_was_not_there_and_the_verdict_last() -> None:
    assert list(run_lines(report())) == [
        "chat: staging (https://a): 0 exchanges, 1 connections, 9 messages",
        "llm: cassette (llm.gpr): 2 exchanges, 0 connections, 0 messages",
        "not there: docker: there is no docker command",
        "evidence: takes/run.gpr (0123456789abcdef)",
        "note: a note\\x1b[2J",
        "passed against staging (--source auto): 2 exchanges, 1 connections, 9 messages",
    ]


def test_a_hint_comes_after_an_empty_line() -> None:
    lines = list(run_lines(report(command_exit=None, problem="no docker", hint="--fallback staging", source="")))
    assert lines[-3:] == ["could not check (--source auto): no docker", "", "hint: --fallback staging"]


def test_plain_data_holds_everything() -> None:
    plain = json.loads(json.dumps(run_plain(report())))
    assert (plain["verdict"], plain["exit_code"], plain["source"], plain["command_exit"]) == ("passed", 0, "staging", 0)
    assert plain["roles"]["llm"] == {
        "source": "cassette",
        "where": "llm.gpr",
        "exchanges": 2,
        "connections": 0,
        "messages": 0,
        "unanswered": 0,
    }
    assert plain["consumed"]["messages"] == 9
    assert plain["passed_over"] == [{"source": "docker", "problem": "there is no docker command"}]
    assert plain["command"] == ["pytest", "tests dir"]


@pytest.mark.parametrize(
    ("facts", "kind", "counts"),
    [
        ({}, None, ("0", "0")),
        ({"command_exit": 3}, "failure", ("1", "0")),
        ({"command_exit": None, "problem": "no docker\x00"}, "error", ("0", "1")),
    ],
)
def test_junit_says_failure_or_error_and_names_every_source(
    facts: dict[str, Any], kind: str | None, counts: tuple[str, str]
) -> None:
    suite = ElementTree.fromstring(run_junit(report(**facts)))[0]
    assert (suite.get("failures"), suite.get("errors"), suite.get("tests")) == (*counts, "1")
    properties = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert properties["gp-replay.source"] == "staging"
    assert properties["gp-replay.role.chat"] == "staging (https://a): 0 exchanges, 1 connections, 9 messages"
    assert properties["gp-replay.passed-over.docker"] == "there is no docker command"
    case = suite.find("testcase")
    assert case is not None
    assert case.get("name") == "pytest 'tests dir'"
    assert [item.tag for item in case if item.tag != "system-out"] == ([kind] if kind else [])
