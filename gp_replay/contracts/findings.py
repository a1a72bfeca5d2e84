"""What a contract has to say about a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gp_replay.contracts.said import Said

__all__ = ["Finding", "Level", "Notes"]

_MAX_FINDINGS = 200
"""Of one connection at a time: a stream that breaks every rule with every message must not fill the memory."""


class Level(Enum):
    """How bad it is. Only errors break a contract."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as the contract has it.

    Attributes:
        rule: which rule, like ``HS-2`` or ``agent_completed.fields``.
        level: how bad.
        source: label of the cassette or stream.
        connection: its number there.
        message: index of the message among all of its connection, from 0; None where no message is meant.
        at_us: offset.
        place: within the message, dotted, or "".
        expected: what the contract says.
        came: what came instead.
        fix: the nearest thing to do about it.
    """

    rule: str
    level: Level
    source: str
    connection: int
    message: int | None
    at_us: int
    place: str
    expected: str
    came: str
    fix: str

    def plain(self) -> dict[str, object]:
        """As JSON-safe data."""
        return {
            "rule": self.rule,
            "level": self.level.value,
            "cassette": self.source,
            "connection": self.connection,
            "message": self.message,
            "offset_us": self.at_us,
            "place": self.place,
            "expected": self.expected,
            "came": self.came,
            "fix": self.fix,
        }


class Notes:
    """Where the checks of one connection put what they find, until it is taken.

    Args:
        source: label of the cassette or stream.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: list[Finding] = []

    def __len__(self) -> int:
        return len(self._found)

    def find(
        self,
        said: Said,
        rule: str,
        *,
        expected: str,
        came: str,
        fix: str,
        place: str = "",
        level: Level = Level.ERROR,
    ) -> None:
        """Adds a finding about what was said."""
        if len(self._found) >= _MAX_FINDINGS:
            return
        self._found.append(
            Finding(
                rule=rule,
                level=level,
                source=self._source,
                connection=said.connection,
                message=said.index if said.is_message else None,
                at_us=said.at_us,
                place=place,
                expected=expected,
                came=came,
                fix=fix,
            )
        )

    def take(self) -> list[Finding]:
        """What was found since the last time."""
        found, self._found = self._found, []
        return found
