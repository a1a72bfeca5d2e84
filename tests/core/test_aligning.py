import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.aligning import Pair, align


def aligned(a: str, b: str) -> list[Pair]:
    """Items are like by letter, whatever its case, and the same by both."""
    return align(a, b, same=lambda item: item, like=lambda item: item.lower())


@pytest.mark.parametrize(
    ("a", "b", "pairs"),
    [
        ("", "", []),
        ("a", "", [(0, None)]),
        ("", "a", [(None, 0)]),
        ("abc", "abc", [(0, 0), (1, 1), (2, 2)]),
        ("abc", "ac", [(0, 0), (1, None), (2, 1)]),
        ("ac", "abc", [(0, 0), (None, 1), (1, 2)]),
        ("abc", "aBc", [(0, 0), (1, 1), (2, 2)]),
        ("abc", "axc", [(0, 0), (1, 1), (2, 2)]),
        ("aaaaa", "aabaa", [(n, n) for n in range(5)]),
        ("abcd", "aCBd", [(0, 0), (None, 1), (1, 2), (2, None), (3, 3)]),
        ("abc", "axyc", [(0, 0), (1, None), (None, 1), (None, 2), (2, 3)]),
    ],
)
def test_equal_items_are_anchors_and_alike_ones_are_paired_between_them(a: str, b: str, pairs: list[Pair]) -> None:
    assert aligned(a, b) == pairs


ITEMS = st.text("abAB", max_size=12)


@given(ITEMS, ITEMS)
def test_every_item_stands_exactly_once_and_in_order(a: str, b: str) -> None:
    pairs = aligned(a, b)
    assert [i for i, _ in pairs if i is not None] == list(range(len(a)))
    assert [j for _, j in pairs if j is not None] == list(range(len(b)))


@given(ITEMS.filter(bool), st.data())
def test_one_changed_item_is_paired_with_its_original(a: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(a) - 1))
    b = a[:at] + data.draw(st.sampled_from("abABx")) + a[at + 1 :]
    assert aligned(a, b) == [(n, n) for n in range(len(a))]


def test_long_repetitive_sequences_are_paired_by_order() -> None:
    pairs = aligned("ab" * 5_000 + "x", "ba" * 5_000 + "y")
    assert pairs == [(n, n) for n in range(10_001)]
