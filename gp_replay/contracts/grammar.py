"""Grammar: how often, first, last, before and after what, in a connection, a run, or all that shares a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gp_replay.contracts.contract import Rule
from gp_replay.core.model import Side

__all__ = ["Broken", "Grammar", "Scope"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A rule that does not hold: what it expects, what came, and what to do."""

    rule: Rule
    which: str
    expected: str
    came: str
    fix: str


class Grammar:
    """The rules of one kind of scope, arranged by what they wait for.

    Args:
        rules: all with the same `per`.
        sides: who says each event: what stands first and last is judged among the messages of that side.
    """

    def __init__(self, rules: tuple[Rule, ...], sides: Mapping[str, Side]) -> None:
        self.sides = sides
        self.first = tuple(rule for rule in rules if rule.first)
        self.last = tuple(rule for rule in rules if rule.last)
        self.at_least = tuple(rule for rule in rules if rule.at_least)
        self.about: dict[str, tuple[Rule, ...]] = {}
        for rule in rules:
            if rule.at_most is not None or rule.after or rule.before:
                self.about[rule.event] = (*self.about.get(rule.event, ()), rule)
        # Only these are counted.
        self.watched = {rule.event for rule in rules} | {name for rule in rules for name in (*rule.after, *rule.before)}


class Scope:
    """What one scope has heard so far.

    Args:
        grammar: its rules.

    Attributes:
        astray: it did not begin as it should; what is missing at its end follows from that.
    """

    __slots__ = ("_begun", "_counts", "_ended", "_grammar", "_over", "astray")

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._counts: dict[str, int] = {}
        self._begun: set[int] | None = set(range(len(grammar.first))) if grammar.first else None
        self._ended: set[int] = set()
        self._over: set[int] = set()
        self.astray = False

    def hear(self, name: str, side: Side) -> Iterator[Broken]:
        """Takes the next event of the scope ("" is one that the contract does not know)."""
        grammar = self._grammar
        if self._begun:
            yield from self._first(name, side)
        if grammar.last:
            yield from self._last(name, side)
        if name not in grammar.watched:
            return
        count = self._counts[name] = self._counts.get(name, 0) + 1
        for rule in grammar.about.get(name, ()):
            if rule.at_most is not None and count == rule.at_most + 1:
                expected = f"no {name}" if rule.at_most == 0 else f"at most {rule.at_most} {name} per {rule.per}"
                yield Broken(rule=rule, which="count", expected=expected, came=f"another {name}", fix="send it once")
            missing = [other for other in rule.after if not self._counts.get(other)]
            if missing:
                yield self._order(rule, expected=f"{missing[0]} before {name}", came=f"{name} without it")
            early = [other for other in rule.before if self._counts.get(other)]
            if early:
                yield self._order(rule, expected=f"{name} before {early[0]}", came=f"{name} after it")

    def end(self) -> Iterator[Broken]:
        """The scope is over: what is missing."""
        for rule in self._grammar.at_least:
            count = self._counts.get(rule.event, 0)
            if count < rule.at_least:
                yield Broken(
                    rule=rule,
                    which="missing",
                    expected=f"at least {rule.at_least} {rule.event} per {rule.per}",
                    came=f"{count}",
                    fix=f"send {rule.event}",
                )

    def _first(self, name: str, side: Side) -> Iterator[Broken]:
        for number in sorted(self._begun or ()):
            rule = self._grammar.first[number]
            if name in rule.around or self._grammar.sides[rule.event] is not side:
                continue
            if self._begun is not None:
                self._begun.discard(number)
            if name != rule.event:
                self.astray = True
                yield Broken(
                    rule=rule,
                    which="first",
                    expected=f"{rule.event} first per {rule.per}",
                    came=name or "a message the contract does not know",
                    fix=f"send {rule.event} before anything else",
                )

    def _last(self, name: str, side: Side) -> Iterator[Broken]:
        for number, rule in enumerate(self._grammar.last):
            if self._grammar.sides[rule.event] is not side:
                continue
            if name == rule.event:
                self._ended.add(number)
            elif number in self._ended and number not in self._over and name not in rule.around:
                self._over.add(number)
                came = f"{name or 'a message the contract does not know'} after it"
                yield Broken(
                    rule=rule,
                    which="last",
                    expected=f"{rule.event} last per {rule.per}",
                    came=came,
                    fix=f"send nothing after {rule.event}",
                )

    def _order(self, rule: Rule, *, expected: str, came: str) -> Broken:
        return Broken(rule=rule, which="order", expected=expected, came=came, fix="send them in that order")
