"""The three-valued verdict and the exit code, over everything a run can come to."""

from __future__ import annotations

from typing import Any

import pytest

from gp_replay.runs.verdict import Consumed, RoleOutcome, RunReport, Verdict

PASSED, FAILED, UNKNOWN = Verdict.PASSED, Verdict.FAILED, Verdict.COULD_NOT_CHECK
SOME, NONE, LOST = Consumed(exchanges=2), Consumed(), Consumed(unanswered=3)


def report(consumed: Consumed = SOME, **facts: Any) -> RunReport:
    role = RoleOutcome(role="chat", source="docker", where="http://a", consumed=consumed)
    return RunReport(**{"command": ["x"], "because": "--source auto", "source": "docker", "roles": [role], **facts})


@pytest.mark.parametrize(
    ("consumed", "facts", "verdict", "code", "reason"),
    [
        (SOME, {"command_exit": 0}, PASSED, 0, "2 exchanges, 0 connections, 0 messages"),
        (NONE, {"command_exit": 0}, UNKNOWN, 4, "nothing was consumed: no client asked"),
        (LOST, {"command_exit": 0}, UNKNOWN, 4, "none of 3 requests was answered"),
        (SOME, {"command_exit": 7}, FAILED, 7, "the command exited with 7"),
        (NONE, {"command_exit": 7}, FAILED, 7, "the command exited with 7"),
        (LOST, {"command_exit": 7}, UNKNOWN, 7, "the command exited with 7"),
        (SOME, {"command_exit": 0, "missed": 2}, FAILED, 1, "2 requests that no recording answers"),
        (NONE, {"command_exit": 0, "missed": 2}, FAILED, 1, "2 requests that no recording answers"),
        (SOME, {"command_exit": 5, "missed": 2}, FAILED, 5, "the command exited with 5"),
        (SOME, {"command_exit": None, "problem": "took too long"}, UNKNOWN, 4, "took too long"),
        (SOME, {"command_exit": None, "problem": "took too long", "missed": 1}, FAILED, 1, "took too long"),
        (NONE, {"command_exit": None, "problem": "x: corrupt", "problem_exit": 3}, UNKNOWN, 3, "x: corrupt"),
        (NONE, {"command_exit": None, "problem": "x", "problem_exit": 3, "missed": 1}, UNKNOWN, 3, "x"),
        (SOME, {"command_exit": 0, "problem": "the disk", "problem_exit": 4}, UNKNOWN, 4, "the disk"),
        (SOME, {"command_exit": 0, "interrupted": True}, UNKNOWN, 130, "stopped before its end"),
        (SOME, {"command_exit": None, "interrupted": True}, UNKNOWN, 130, "stopped before its end"),
    ],
)
def test_facts_make_verdict_exit_code_and_reason(
    consumed: Consumed, facts: dict[str, Any], verdict: Verdict, code: int, reason: str
) -> None:
    found = report(consumed, **facts)
    assert (found.verdict, found.exit_code, found.reason) == (verdict, code, reason)


def test_no_facts_make_a_run_green_that_consumed_nothing() -> None:
    for code in (None, 0, 1):
        for missed in (0, 1):
            for problem in ("", "x"):
                found = report(NONE, command_exit=code, missed=missed, problem=problem)
                assert found.exit_code != 0
                assert found.verdict is not PASSED


def test_what_was_consumed_adds_up() -> None:
    both = Consumed(exchanges=1, messages=5) + Consumed(connections=2, messages=7, unanswered=1)
    assert both == Consumed(exchanges=1, connections=2, messages=12, unanswered=1)
    assert str(both) == "1 exchanges, 2 connections, 12 messages, 1 without an answer"
    assert report(roles=[]).consumed.nothing
