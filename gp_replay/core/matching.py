"""Choosing what answers: candidates by canonical form, then by owner, by literal equality, by recorded order.

Every lookup costs the same however much was recorded. When nothing answers, `explain` says why, and what was nearest.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gp_replay.core.canonical import Form, Plain
from gp_replay.core.model import Protocol
from gp_replay.core.places import Any_, Place, Step, format_place

__all__ = ["ABSENT", "Difference", "Refusal", "Shelf", "compare", "differences", "shown"]

_DIGEST = 16
_MAX_VALUE = 120
_TRIMMED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where a live request or message is not what was recorded. Values are canonical, so without secrets."""

    place: str
    recorded: str
    live: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the live side gets no recorded answer.

    Attributes:
        kind: ``no-match``, ``used-up``, ``owner``, ``ambiguous``, ``mismatch``, ``beyond``, ``stall``, ``malformed``,
            ``too-large`` or ``unplayable``.
        reason: one line, no full stop.
        close_code: what a WebSocket is closed with; before 101 and for HTTP the status is 424.
        nearest: the recording that comes closest, for people; "" when there is none.
        differences: the first ones, in order.
        rule: a ``[[volatile]]`` rule that would make them equal, ready to paste, or "".
        hint: what to do.
    """

    kind: str
    reason: str
    close_code: int
    nearest: str = ""
    differences: tuple[Difference, ...] = ()
    rule: str = ""
    hint: str = ""

    def plain(self) -> dict[str, object]:
        """As JSON-safe data, for the body of a miss, the receipt and the log."""
        return {
            "kind": self.kind,
            "reason": self.reason,
            "nearest": self.nearest,
            "differences": [
                {"at": item.place, "recorded": item.recorded, "live": item.live} for item in self.differences
            ],
            "rule": self.rule,
            "hint": self.hint,
        }


@dataclass(slots=True)
class _Slot:
    """All recordings with one form, protocol, role and owner, in recorded order; claimed ones leave from the front."""

    waiting: list[int] = field(default_factory=list)
    by_literal: dict[bytes, list[int]] = field(default_factory=dict)
    all: list[int] = field(default_factory=list)


class Shelf:
    """Unclaimed recordings. Finding the one that answers costs the same however many there are.

    A recording is known by its number: recorded order over all cassettes of a play state.
    """

    def __init__(self) -> None:
        self._slots: dict[tuple[Protocol, bytes], dict[tuple[str, str | None], _Slot]] = {}
        self._place: dict[int, tuple[tuple[Protocol, bytes], tuple[str, str | None], bytes]] = {}
        self._claimed: set[int] = set()

    def __len__(self) -> int:
        """Number of unclaimed recordings."""
        return len(self._place) - len(self._claimed)

    @property
    def unclaimed(self) -> list[int]:
        """Numbers of those nobody used, in recorded order."""
        return sorted(self._place.keys() - self._claimed)

    def is_free(self, number: int) -> bool:
        """Whether nobody claimed this recording."""
        return number not in self._claimed

    def put(self, number: int, *, protocol: Protocol, key: bytes, role: str, owner: str | None) -> None:
        """Adds a recording, in recorded order. ``key`` is what `gp_replay.core.canonical.request_key` gives."""
        form, literal = (protocol, key[:_DIGEST]), key[_DIGEST:]
        self._place[number] = (form, (role, owner), literal)
        slot = self._slots.setdefault(form, {}).setdefault((role, owner), _Slot())
        slot.waiting.append(number)
        slot.by_literal.setdefault(literal, []).append(number)
        slot.all.append(number)

    def roles(self, *, protocol: Protocol, key: bytes) -> list[str]:
        """Roles that have this form at all, used or not."""
        return sorted({role for role, _ in self._slots.get((protocol, key[:_DIGEST]), {})})

    def owners(self, *, protocol: Protocol, key: bytes, role: str) -> list[str | None]:
        """Owners among the recordings of this form, used or not."""
        slots = self._slots.get((protocol, key[:_DIGEST]), {})
        return sorted({owner for slot_role, owner in slots if slot_role == role}, key=lambda owner: owner or "")

    def _own(self, protocol: Protocol, key: bytes, role: str, owners: Iterable[str | None]) -> list[_Slot]:
        slots = self._slots.get((protocol, key[:_DIGEST]), {})
        return [slots[role, name] for name in dict.fromkeys(owners) if (role, name) in slots]

    def candidates(
        self, *, protocol: Protocol, key: bytes, role: str, owners: Iterable[str | None]
    ) -> Iterator[tuple[int, bool]]:
        """Unclaimed recordings this client may have, best first, and whether they are literally equal.

        Literally equal before merely canonical, those of the first owner before those of the next, each in recorded
        order. Claim the one you take before asking for another.
        """
        own = self._own(protocol, key, role, owners)
        literal = [slot.by_literal[key[_DIGEST:]] for slot in own if key[_DIGEST:] in slot.by_literal]
        for queue, same in (*((queue, True) for queue in literal), *((slot.waiting, False) for slot in own)):
            self._trim(queue)
            for number in queue:
                if number not in self._claimed:
                    yield number, same

    def _trim(self, queue: list[int]) -> None:
        """Drops claimed numbers from the front, many at a time: so none is looked at often, or moved often."""
        if len(queue) <= _TRIMMED or queue[_TRIMMED - 1] not in self._claimed:
            return
        gone = next((at for at, number in enumerate(queue) if number not in self._claimed), len(queue))
        del queue[:gone]

    def all_of(self, *, protocol: Protocol, key: bytes, role: str, owners: Iterable[str | None]) -> list[int]:
        """The recordings of this form and these owners, claimed or not, in recorded order."""
        return sorted(number for slot in self._own(protocol, key, role, owners) for number in slot.all)

    def claim(self, number: int) -> bool:
        """Claims one recording; False when it was claimed before."""
        if number in self._claimed:
            return False
        self._claimed.add(number)
        return True

    def release(self, number: int) -> None:
        """Gives back a recording that was claimed and not used."""
        if number not in self._claimed:
            return
        self._claimed.discard(number)
        form, key, literal = self._place[number]
        slot = self._slots[form][key]
        for queue in (slot.waiting, slot.by_literal[literal]):
            if number not in queue:
                insort(queue, number)


def differences(recorded: Form, live: Form, *, most: int = 5) -> tuple[Difference, ...]:
    """The first places where two forms differ, in document order."""
    found: list[Difference] = []
    for place, old, new in compare((), recorded.plain, live.plain):
        if len(found) == most:
            break
        found.append(Difference(place=format_place(place), recorded=shown(old), live=shown(new)))
    return tuple(found)


ABSENT = object()
"""Stands for a value that one side lacks."""


def compare(place: Place, old: object, new: object) -> Iterator[tuple[Place, object, object]]:
    """All places below ``place`` where two values of canonical forms differ, in document order, with both values."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            step: Step = Any_.JSON if name == "{}" else name
            yield from compare((*place, step), old.get(name, ABSENT), new.get(name, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for number in range(max(len(old), len(new))):
            yield from compare(
                (*place, number),
                old[number] if number < len(old) else ABSENT,
                new[number] if number < len(new) else ABSENT,
            )
    elif type(old) is not type(new) or old != new:
        yield place, old, new


def shown(value: Plain | object) -> str:
    """A value of a canonical form as short text for people."""
    if value is ABSENT:
        return "(absent)"
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}… ({len(text)} characters)"
