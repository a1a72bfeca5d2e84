"""Values that no person would say, which may differ from run to run: random text, times, long numbers.

`gp_replay.core.shapes` tells the ids and times that never count. Here is what may be taken for volatile only once it
was seen to differ: a shape alone would say it of too much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gp_replay.core.shapes import is_time_number

__all__ = ["are_mostly_volatile", "differ_as_volatile", "is_number", "is_volatile"]

_CLASSES = frozenset({"<id>", "<time>"})
_MAX_RANDOM = 512
_RUNS = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_SEPARATOR = re.compile(r"[^A-Za-z0-9]+")
_DECIMAL = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")
_DIGITS_OF_A_CLOCK = 12
"""A number that a person means has fewer: coordinates, prices and amounts do."""


def is_number(text: str) -> bool:
    """Whether a text is a decimal number."""
    return len(text) <= _MAX_RANDOM and text.isascii() and _DECIMAL.fullmatch(text) is not None


def differ_as_volatile(old: str, new: str) -> bool:
    """Whether all that differs between two texts is volatile: not so where a word beside it differs too."""
    if not (is_volatile(old) and is_volatile(new)):
        return False
    if {old, new} & _CLASSES or is_number(old) or is_number(new):
        return True
    ones, others = _SEPARATOR.split(old), _SEPARATOR.split(new)
    if len(ones) == len(others):
        return all(
            one == other or (_is_random(one) and _is_random(other)) or (_is_long(one) and _is_long(other))
            for one, other in zip(ones, others, strict=True)
        )
    # Random text of an alphabet that has separators in it.
    return all(len(text) >= 6 and len(_RUNS.findall(text)) * 2.2 >= len(text) for text in map("".join, (ones, others)))


def is_volatile(text: str) -> bool:
    """Whether there is something in a text without spaces that no person says: random text, a time, a long number."""
    if text in _CLASSES:
        return True
    if len(text) > _MAX_RANDOM or not text.isascii() or not text.isprintable() or " " in text:
        return False
    if is_number(text):
        return _is_long(text)
    return any(_is_random(part) or _is_long(part) for part in _SEPARATOR.split(text)) or _is_random(
        "".join(_SEPARATOR.split(text))
    )


def _is_long(number: str) -> bool:
    """Whether it is a number of a clock or a generator."""
    if not is_number(number):
        return False
    digits = re.sub(r"[eE].*|[-.]", "", number).strip("0")
    return len(digits) >= _DIGITS_OF_A_CLOCK or is_time_number(float(number), "time")


def _is_random(word: str) -> bool:
    """Random text changes its kind of character all the time; words, versions and model names do so at their seams."""
    if len(word) < 6 or word.isdigit() or not any(character.isdigit() for character in word):
        return False
    runs = len(_RUNS.findall(word))
    return runs >= 3 and runs * 3.5 >= len(word)


_ENOUGH = 4
"""Volatile values that must be there before others are taken for their like."""


def are_mostly_volatile(values: Iterable[object]) -> bool:
    """Whether values that stand at one place are of a kind that no person says.

    All are volatile; or most are, and the others are single words of just their lengths: among many random texts of
    eight digits or letters there is one like ``12345678`` or ``abcdefab``.
    """
    lengths: set[int] = set()
    odd: list[str] = []
    volatile = 0
    for value in values:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return False
        text = value if isinstance(value, str) else repr(value)
        if is_volatile(text):
            volatile += 1
            lengths.add(len(text))
        elif text.isascii() and text.isprintable() and " " not in text:
            odd.append(text)
        else:
            return False
    if not odd:
        return True
    return volatile >= max(_ENOUGH, len(odd)) and all(len(text) in lengths for text in odd)
