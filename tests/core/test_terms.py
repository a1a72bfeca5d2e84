"""The terms of a play: what holds when nobody chooses."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from gp_replay.core.terms import PATIENCE_US, OnRepeat, Terms


def test_by_default_a_replay_is_as_recorded_exact_and_refuses_repeats() -> None:
    terms = Terms()
    assert terms.pace.delay_us(12_345) == 12_345
    assert terms.patience_us == PATIENCE_US == 10_000_000
    assert not terms.fresh_ids
    assert not terms.bind_owners
    assert not terms.rebase
    assert terms.on_repeat is OnRepeat.REFUSE


@pytest.mark.parametrize("word", ["refuse", "last", "cycle"])
def test_repeats_are_named_as_on_the_command_line(word: str) -> None:
    assert OnRepeat(word).value == word


def test_terms_do_not_change_under_a_play() -> None:
    terms = Terms()
    with pytest.raises(FrozenInstanceError):
        terms.fresh_ids = True  # type: ignore[misc]
    other = replace(terms, seed=b"x")
    assert (terms.seed, other.seed) == (b"", b"x")
    assert [field.name for field in fields(Terms) if getattr(other, field.name) != getattr(terms, field.name)] == [
        "seed"
    ]


def test_each_term_is_named() -> None:
    with pytest.raises(TypeError):
        Terms(None)  # type: ignore[call-arg,arg-type]
