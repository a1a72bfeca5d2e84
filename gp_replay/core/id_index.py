"""The recordings of one form by the ids in their requests.

Nothing is read before it is asked for: requests are looked through in recorded order, as far as need be, and each of
them once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["IdIndex"]


class IdIndex:
    """See the module.

    Args:
        numbers: of the recordings, in recorded order.
        ids_of: the ids in the request of one.
    """

    def __init__(self, numbers: Sequence[int], ids_of: Callable[[int], Iterable[str]]) -> None:
        self._numbers = numbers
        self._ids_of = ids_of
        self._read = 0
        self._having: dict[str, list[int]] = {}

    def having(self, known: Sequence[str]) -> Iterator[int]:
        """The recordings whose requests hold all these ids, in recorded order.

        Args:
            known: at least one.
        """
        rarest = min((self._having.get(found, []) for found in known), key=len)
        sought = set(known)
        for number in list(rarest):
            if all(_holds(self._having[found], number) for found in sought):
                yield number
        while self._read < len(self._numbers):
            number = self._numbers[self._read]
            self._read += 1
            ids = set(self._ids_of(number))
            for found in ids:
                self._having.setdefault(found, []).append(number)
            if sought <= ids:
                yield number


def _holds(numbers: Sequence[int], number: int) -> bool:
    at = bisect_left(numbers, number)
    return at < len(numbers) and numbers[at] == number
