"""What volatile and literal places do to a form."""

from __future__ import annotations

import copy

import pytest

from gp_replay.core.places import parse_place
from gp_replay.core.ruling import Plain, ruled


def form(
    body: Plain, volatile: tuple[str, ...] = (), literal: tuple[str, ...] = (), raw: Plain = None
) -> dict[str, Plain]:
    return ruled(
        {"body": copy.deepcopy(body)},
        volatile=[parse_place(place) for place in volatile],
        literal=[parse_place(place) for place in literal],
        raw={"body": raw},
    )


@pytest.mark.parametrize(
    ("place", "one", "other"),
    [
        ("body.a", {"a": 1, "b": 2}, {"a": "x", "b": 2}),
        ("body.a", {"a": 1, "b": 2}, {"b": 2}),
        ("body.a", {"a": {"c": [1]}}, {"a": None}),
        ("body.a[0]", {"a": [1, 2]}, {"a": [3, 2]}),
        ("body.a[1]", {"a": [1, 2]}, {"a": [1]}),
        ("body.a[*].x", {"a": [{"x": 1}, {"x": 2}]}, {"a": [{"x": 3}, {}]}),
        ("body.a[*]", {"a": [1, 2]}, {"a": ["x", {}]}),
        ("body.a{}.b", {"a": {"{}": {"b": 1}}}, {"a": {"{}": {"b": 2}}}),
        ("body{}[1].t", {"{}": ["e", {"t": 1}], "prefix": "42"}, {"{}": ["e", {"t": 2}], "prefix": "42"}),
        ('body["{}"]', {"{}": 1}, {"{}": 2}),
        ("body", "x", [1]),
    ],
)
def test_what_stands_at_a_volatile_place_does_not_count(place: str, one: Plain, other: Plain) -> None:
    assert form(one) != form(other)
    assert form(one, (place,)) == form(other, (place,))


@pytest.mark.parametrize(
    ("place", "one", "other"),
    [
        ("body.a", {"a": 1, "b": 2}, {"a": 1, "b": 3}),
        ("body.a[0]", {"a": [1, 2]}, {"a": [1, 3]}),
        ("body.a[0]", {"a": [1, 2]}, {"a": [2]}),
        ("body.a[*]", {"a": [1, 2]}, {"a": [1]}),
        ("body.a.b", {"a": 1}, {"a": 2}),
        ("body[0]", {"0": 1}, {"0": 2}),
        ("body.a", {"a": {"x": 1}}, {"b": {"x": 1}}),
    ],
)
def test_everything_else_still_counts(place: str, one: Plain, other: Plain) -> None:
    assert form(one, (place,)) != form(other, (place,))


def test_a_literal_place_wins_over_class_and_volatile() -> None:
    body: Plain = {"id": "<id>", "at": "<time>", "list": ["<id>", "<id>"]}
    raw: Plain = {"id": "u1", "at": 5, "list": ["u2", "u3"]}
    assert form(body, (), ("body.id",), raw)["body"] == {"id": "u1", "at": "<time>", "list": ["<id>", "<id>"]}
    assert form(body, ("body.id", "body.at"), ("body.id",), raw)["body"] == {"id": "u1", "list": ["<id>", "<id>"]}
    assert form(body, (), ("body.list[*]",), raw)["body"] == {"id": "<id>", "at": "<time>", "list": ["u2", "u3"]}
    assert form(body, ("body.list[0]", "body.list[1]"), ("body.list",), raw)["body"] == {**body, "list": ["u2", "u3"]}
    assert form(body, (), ("body",), raw)["body"] == raw


def test_a_literal_place_that_is_not_there_changes_nothing() -> None:
    assert form({"a": 1}, (), ("body.b.c", "body[3]"), {"a": 1}) == {"body": {"a": 1}}
    assert form({"a": 1}, (), ("body.a",), None) == {"body": {"a": 1}}
