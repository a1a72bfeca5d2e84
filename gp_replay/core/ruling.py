"""What volatile and literal places do to a canonical form that is being made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from gp_replay.core.places import Any_, Place, Step

__all__ = ["NESTED", "Plain", "ruled"]

Plain: TypeAlias = "Mapping[str, Plain] | list[Plain] | str | int | float | bool | None"

NESTED = "{}"
"""The member under which a form keeps the JSON that a string held."""

_ANY = "<any>"


class _NotThere(str):
    __slots__ = ()


_NOT_THERE = _NotThere(_ANY)
"""Stands for a volatile member or element until the form is done."""


def ruled(
    plain: dict[str, Plain], *, volatile: Sequence[Place], literal: Sequence[Place], raw: dict[str, Plain]
) -> dict[str, Plain]:
    """A form without what is volatile, and with what is literal as it was; literal places win.

    A volatile member, or element with a number, counts as little as its absence; of ``[*]`` only the count is left.
    What lies within a volatile value is no place any more.

    Args:
        plain: the form, by parts; it is changed.
        volatile: places whose values do not count.
        literal: places whose values count as they are.
        raw: the form with ids and times as they are.
    """
    for place in volatile:
        _blank(plain, place)
    for place in literal:
        _put_back(plain, raw, place)
    return {part: _pruned(value) for part, value in plain.items()} if volatile else plain


def _blank(value: Plain, place: Place) -> None:
    for key in _keys(value, place[0]):
        if len(place) > 1:
            _blank(value[key], place[1:])  # type: ignore[index]
        else:
            value[key] = _ANY if place[0] is Any_.ELEMENT else _NOT_THERE  # type: ignore[index]


def _put_back(value: Plain, raw: Plain, place: Place) -> None:
    known = _keys(raw, place[0])
    for key in _keys(value, place[0]):
        if key not in known:
            continue
        if len(place) > 1:
            _put_back(value[key], raw[key], place[1:])  # type: ignore[index]
        else:
            value[key] = raw[key]  # type: ignore[index]


def _keys(value: Plain, step: Step) -> Sequence[str | int]:
    """What a step means in a value: no, one or many members or elements."""
    if isinstance(value, dict):
        name = NESTED if step is Any_.JSON else step
        return [name] if isinstance(name, str) and name in value else []
    if isinstance(value, list):
        if step is Any_.ELEMENT:
            return range(len(value))
        return [step] if isinstance(step, int) and step < len(value) else []
    return []


def _pruned(value: Plain) -> Plain:
    if isinstance(value, dict):
        return {name: _pruned(item) for name, item in value.items() if item is not _NOT_THERE}
    if isinstance(value, list):
        end = len(value)
        while end and value[end - 1] is _NOT_THERE:
            end -= 1
        return [_pruned(item) for item in value[:end]]
    return value
