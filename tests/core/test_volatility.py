"""Values that no person would say, and those that one might."""

from __future__ import annotations

import random

import pytest

from gp_replay.core.volatility import are_mostly_volatile, differ_as_volatile, is_number, is_volatile

WORDS = """
Rome hello getUserById camelCaseWord gpt-4o-mini-2024-07-18 claude-3-5-sonnet-20241022 v1.2.3 2026-07-01 step-1 17 0.7
41.902782 1500 true application/json https://example.org/docs/page en-US SMOLLM2 QxTmPaLkZb utf-8 deadbeef a1
"""
RANDOM = "Pc3hZ9kQ 3fa91c b0c27e aB3-x9_Qz7 1758100000 1758100000123 0.8437592837465 run-Pc3hZ9kQ <id> <time>"


@pytest.mark.parametrize("text", [*WORDS.split(), "", "two words", "at Pc3hZ9kQ", "Pc3hZ9kQ\n", "é3hZ9kQa8"])
def test_what_a_person_says_is_not_volatile(text: str) -> None:
    assert not is_volatile(text)


@pytest.mark.parametrize("text", RANDOM.split())
def test_random_text_times_and_long_numbers_are(text: str) -> None:
    assert is_volatile(text)


@pytest.mark.parametrize(
    ("old", "new", "volatile"),
    [
        ("run-Pc3hZ9kQ-eu", "run-x81TmA0v-eu", True),
        ("run-Pc3hZ9kQ-eu", "run-x81TmA0v-us", False),
        ("https://h/a?n=Pc3hZ9kQ", "https://h/a?n=x81TmA0v", True),
        ("https://h/a?n=Pc3hZ9kQ", "https://h/b/c?n=x81TmA0v", False),
        ("x-1758100000-y", "x-1758100001-y", True),
        ("aB3-x9_Qz7", "q8W_Zk29Lm", True),
        ("<id>", "Pc3hZ9kQ", True),
        ("<id>", "Rome", False),
    ],
)
def test_a_word_that_differs_beside_random_text_counts(old: str, new: str, volatile: bool) -> None:
    assert differ_as_volatile(old, new) is volatile
    assert differ_as_volatile(new, old) is volatile


@pytest.mark.parametrize(
    ("text", "number"), [("17", True), ("-1.5e-7", True), ("1.", False), ("", False), ("٣", False)]
)
def test_numbers_are_decimal(text: str, number: bool) -> None:
    assert is_number(text) is number


def test_among_enough_random_texts_one_that_looks_like_a_word_is_their_like() -> None:
    drawn = random.Random(1)
    marks = [f"{drawn.getrandbits(32):08x}" for _ in range(1000)]
    assert not all(map(is_volatile, marks))
    assert are_mostly_volatile(marks)
    assert not are_mostly_volatile([*marks, "Rome"])
    assert not are_mostly_volatile([*marks, "hello you"])
    assert not are_mostly_volatile([*marks, True])
    assert not are_mostly_volatile([*marks, None])
    assert not are_mostly_volatile(["Pc3hZ9kQ", "x81TmA0v", "Rosewood"])
    assert are_mostly_volatile([])
