"""Grammar in one scope, as a dialogue: names in, broken rules out."""

from __future__ import annotations

import pytest

from gp_replay.contracts.contract import Rule
from gp_replay.contracts.grammar import Grammar, Scope
from gp_replay.core.model import Side

SIDES = {"a": Side.SERVER, "b": Side.SERVER, "c": Side.SERVER, "ask": Side.CLIENT}


def broken(rule: Rule, names: str) -> list[str]:
    """What breaks when these are said, ``>`` before one that the client says; ``?`` is unknown."""
    scope = Scope(Grammar((rule,), SIDES))
    found: list[str] = []
    for name in names.split():
        side = Side.CLIENT if name.startswith(">") else Side.SERVER
        found += [item.which for item in scope.hear(name.strip(">?"), side)]
    return found + [item.which for item in scope.end()]


@pytest.mark.parametrize(
    ("rule", "names", "found"),
    [
        (Rule(event="a", per="connection", first=True), "a b", []),
        (Rule(event="a", per="connection", first=True), "b a b", ["first"]),
        (Rule(event="a", per="connection", first=True), "? a", ["first"]),
        (Rule(event="a", per="connection", first=True), ">ask a", []),
        (Rule(event="a", per="connection", first=True, around=frozenset({"b"})), "b b a c", []),
        (Rule(event="a", per="connection", last=True), "b a", []),
        (Rule(event="a", per="connection", last=True), "a b b", ["last"]),
        (Rule(event="a", per="connection", last=True), "a >ask", []),
        (Rule(event="a", per="connection", last=True, around=frozenset({"b"})), "a b c", ["last"]),
        (Rule(event="a", per="connection", at_least=2), "a", ["missing"]),
        (Rule(event="a", per="connection", at_least=2), "a b a", []),
        (Rule(event="a", per="connection", at_most=1), "a b a a", ["count"]),
        (Rule(event="a", per="connection", at_most=0), "a", ["count"]),
        (Rule(event="a", per="connection", after=("b",)), "b a", []),
        (Rule(event="a", per="connection", after=("b",)), "a b a", ["order"]),
        (Rule(event="a", per="connection", before=("b",)), "a b", []),
        (Rule(event="a", per="connection", before=("b",)), "b a", ["order"]),
    ],
)
def test_a_rule_says_what_breaks_it(rule: Rule, names: str, found: list[str]) -> None:
    assert broken(rule, names) == found


def test_a_scope_that_began_wrong_knows_it_went_astray() -> None:
    scope = Scope(Grammar((Rule(event="a", per="run", first=True),), SIDES))
    assert not scope.astray
    assert [item.expected for item in scope.hear("b", Side.SERVER)] == ["a first per run"]
    assert scope.astray
