"""Which item of one sequence stands for which of another: streams, messages, events, elements of an array."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TypeAlias, TypeVar

__all__ = ["Pair", "align"]

Pair: TypeAlias = "tuple[int, None] | tuple[None, int] | tuple[int, int]"
"""Indices in the first and the second sequence; None where the item has no counterpart."""

T = TypeVar("T")

# difflib is quadratic where much repeats; beyond this, items without an equal counterpart are paired by order.
_MAX_CELLS = 2_000_000


def align(
    a: Sequence[T], b: Sequence[T], *, same: Callable[[T], Hashable], like: Callable[[T], Hashable]
) -> list[Pair]:
    """Pairs the items of two sequences, both in order.

    Items with equal ``same`` keys are anchors; between two anchors, those with equal ``like`` keys; between those, all
    where there are as many on both sides. The rest is alone. One changed item is always paired with its original.

    Args:
        a, b: any length.
        same: equal for items that hold the same.
        like: equal for items that have the same purpose.

    Returns:
        Every index of ``a`` and of ``b`` exactly once, both rising.
    """
    pairs: list[Pair] = []
    start_a = start_b = 0
    for i, j in [*_anchors([same(item) for item in a], [same(item) for item in b]), (len(a), len(b))]:
        gap_a, gap_b = range(start_a, i), range(start_b, j)
        pairs += _within_gap(gap_a, gap_b, _anchors([like(a[n]) for n in gap_a], [like(b[n]) for n in gap_b]))
        if i < len(a):
            pairs.append((i, j))
        start_a, start_b = i + 1, j + 1
    return pairs


def _within_gap(gap_a: range, gap_b: range, anchors: list[tuple[int, int]]) -> Iterator[Pair]:
    start_a = start_b = 0
    for i, j in [*anchors, (len(gap_a), len(gap_b))]:
        alone_a, alone_b = gap_a[start_a:i], gap_b[start_b:j]
        if len(alone_a) == len(alone_b):
            yield from zip(alone_a, alone_b, strict=True)
        else:
            yield from ((n, None) for n in alone_a)
            yield from ((None, n) for n in alone_b)
        if i < len(gap_a):
            yield gap_a[i], gap_b[j]
        start_a, start_b = i + 1, j + 1


def _anchors(a: list[Hashable], b: list[Hashable]) -> list[tuple[int, int]]:
    # Common ends first: it is cheap, and difflib may pair the items around one changed item with the wrong ones.
    shorter = min(len(a), len(b))
    head = next((n for n in range(shorter) if a[n] != b[n]), shorter)
    tail = next((n for n in range(shorter - head) if a[-1 - n] != b[-1 - n]), shorter - head)
    middle_a, middle_b = a[head : len(a) - tail], b[head : len(b) - tail]
    found = [(n, n) for n in range(head)]
    if middle_a and middle_b and len(middle_a) * len(middle_b) <= _MAX_CELLS:
        matcher = SequenceMatcher(a=middle_a, b=middle_b, autojunk=False)
        for i, j, size in matcher.get_matching_blocks():
            found += [(head + i + n, head + j + n) for n in range(size)]
    return found + [(len(a) - n, len(b) - n) for n in range(tail, 0, -1)]
