"""The fields of events: those that are missing, and shapes that change between messages of one type."""

from __future__ import annotations

from gp_replay.contracts.contract import Contract, Path, Wanted
from gp_replay.contracts.findings import Level, Notes
from gp_replay.contracts.recognising import Heard, places_of, text_of

__all__ = ["Envelopes", "missing_field"]

_MAX_SHAPES = 1_000


class Envelopes:
    """Watches the fields of a contract's events on one connection: a client reads one way to say each.

    Args:
        contract: whose events.
    """

    def __init__(self, contract: Contract) -> None:
        self._envelope_level = contract.envelope_level
        self._alias_level = contract.alias_level
        # First place of each field by event, and the changes that have been reported.
        self._spelled: dict[tuple[str, str], tuple[Path, Path]] = {}
        self._told: set[tuple[str, str, Path, Path]] = set()

    def hear(self, heard: Heard, notes: Notes) -> None:
        """Checks the fields of one event."""
        event = heard.event
        if event is None:
            return
        told_envelope = False
        for wanted in event.wanted:
            found = heard.find(wanted.field)
            if found is None:
                if wanted.level is not None:
                    missing_field(heard, wanted, notes, rule=f"{event.name}.fields", level=wanted.level)
                continue
            place = found[0], found[1]
            first = self._spelled.setdefault((event.name, wanted.field.name), place)
            if first is not place and first != place:
                told_envelope = self._changed(heard, wanted, first, place, notes, told_envelope=told_envelope)

    def _changed(
        self,
        heard: Heard,
        wanted: Wanted,
        first: tuple[Path, Path],
        now: tuple[Path, Path],
        notes: Notes,
        *,
        told_envelope: bool,
    ) -> bool:
        """Says what changed, each change of an event once. True if the envelope of this message has been told of."""
        is_envelope = first[0] != now[0]
        name = "" if is_envelope else wanted.field.name
        key = (heard.name, name, *(now if not is_envelope else (now[0], ())))
        if key in self._told or (is_envelope and told_envelope) or len(self._told) >= _MAX_SHAPES:
            return told_envelope or is_envelope
        self._told.add(key)
        notes.find(
            heard.said,
            f"{heard.name}.{'envelope' if is_envelope else 'alias'}",
            level=self._envelope_level if is_envelope else self._alias_level,
            place=_dotted(now),
            expected=f"{_dotted(first)}, as in the first {heard.name}",
            came=_dotted(now),
            fix="send every message of one type in one shape; a client that reads one of them misses the other",
        )
        return told_envelope or is_envelope


def missing_field(heard: Heard, wanted: Wanted, notes: Notes, *, rule: str, level: Level) -> None:
    """Says that a field is missing, and where something of its name stands instead. An excuse is taken."""
    if any(heard.has(path) for path in wanted.unless):
        return
    field = wanted.field
    elsewhere = next((place for path in field.paths for place in places_of(heard.said.message, path[-1])), None)
    members = ", ".join(list(heard.said.message or {})[:12])
    notes.find(
        heard.said,
        rule,
        level=level,
        place=".".join(field.paths[0]),
        expected=" or ".join(".".join(path) for path in field.paths),
        came=f"{elsewhere}, where no client looks" if elsewhere else f"none of them ({text_of(members)})",
        fix=f"send {'.'.join(field.paths[0])} beside type" if elsewhere else f"add {'.'.join(field.paths[0])}",
    )


def _dotted(place: tuple[Path, Path]) -> str:
    return ".".join(place[0] + place[1])
