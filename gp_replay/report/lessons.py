"""What two takes taught, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gp_replay.core.learning import Lesson, Reason
from gp_replay.core.places import format_place
from gp_replay.core.profile import Learned, Profile
from gp_replay.report.plain_text import printable, quoted

__all__ = ["Taught"]

_WHY = {
    Reason.CONTENT: "content: words may decide what is answered",
    Reason.NUMBER: "number: a plain number may decide what is answered",
    Reason.STRUCTURE: "structure: there in one take only, or of another type",
    Reason.LITERAL: "literal: the rules say that it counts",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A lesson and what became of it.

    Attributes:
        lesson: what the takes taught.
        profile: with it.
        new: places that the profile did not have before.
        path: of the profile.
        written: whether it is there now.
    """

    lesson: Lesson
    profile: Profile
    new: tuple[Learned, ...]
    path: str
    written: bool

    @property
    def summary(self) -> str:
        """One line for people."""
        only_a, only_b = self.lesson.alone
        alone = f"; only in A: {only_a}, only in B: {only_b}" if only_a or only_b else ""
        kept = f"{self.path} holds {len(self.profile.volatile)}" if self.written else "nothing was written"
        return (
            f"compared {self.lesson.pairs} requests and messages{alone}\n"
            f"learned {len(self.lesson.learned)} volatile places, {len(self.new)} of them new; {printable(kept)}"
        )

    def lines(self) -> Iterator[str]:
        """What was learned, and what was not and why."""
        for place in self.lesson.learned:
            yield from _place(place, "learned" if place in self.new else "known")
        for left in self.lesson.left:
            yield from _place(left.place, "not learned", f" ({_WHY[left.reason]})")

    def plain(self) -> dict[str, object]:
        """As JSON-safe data."""
        return {
            "profile": self.path,
            "written": self.written,
            "pairs": self.lesson.pairs,
            "alone": list(self.lesson.alone),
            "learned": [{**_plain(place), "new": place in self.new} for place in self.lesson.learned],
            "left": [{**_plain(left.place), "reason": left.reason.value} for left in self.lesson.left],
        }


def _plain(place: Learned) -> dict[str, object]:
    return {
        "at": format_place(place.at),
        "role": place.role,
        "path": place.path,
        "seen": place.seen,
        "examples": list(place.examples),
    }


def _place(place: Learned, what: str, why: str = "") -> Iterator[str]:
    one, other = (quoted(example) for example in place.examples)
    times = f", {place.seen} times" if place.seen > 1 else ""
    yield printable(f"{format_place(place.at)}  {place.role} {place.path}")
    yield f"  {what}: {one} and {other}{times}{why}"
