"""Old cassettes, read as if they were of today's format: single steps on plain data, applied when reading.

A new field with a default needs nothing here (`gp_replay.core.codec`). A new kind, type or meaning is a new format
version: it gets one entry in `MIGRATIONS`, from the version before, and one golden file of its own. Files are never
rewritten. A record stays one record, so that the offsets in an old file's index hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import TypeAlias

from gp_replay.core.records import Plain

__all__ = ["MIGRATIONS", "Part", "Step", "migrate"]


class Part(Enum):
    """Which record of a cassette a step is given."""

    HEADER = "header"
    EVENT = "event"
    FOOTER = "footer"


Step: TypeAlias = Callable[[Part, list[Plain]], list[Plain]]
"""Turns a record of one format version into the same record of the next.

It sees what MessagePack decoded, before any check, and may change the list it is given. What it cannot make sense of
it leaves alone or answers with LookupError, TypeError or ValueError.
"""

MIGRATIONS: Mapping[int, Step] = {}
"""By the version a step reads: one for each version below today's."""


def migrate(
    version: int, part: Part, record: list[Plain], *, to: int, table: Mapping[int, Step] = MIGRATIONS
) -> list[Plain]:
    """One record of an old cassette as a record of version ``to``.

    Args:
        version: of the cassette, 1 to ``to``.
        part: which record it is.
        record: as decoded; not to be used afterwards.
        to: the version wanted.
        table: the steps.

    Returns:
        The record after every step from ``version`` up to ``to``; itself where they are equal.

    Raises:
        ValueError: a step is missing, the version is out of range, or a step found nothing it could turn.
    """
    if not 1 <= version <= to:
        raise ValueError(f"format {version} cannot be migrated to {to}")
    for number in range(version, to):
        step = table.get(number)
        if step is None:
            raise ValueError(f"no migration from format {number} to {number + 1}")
        try:
            record = step(part, record)
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"it is none of format {number}") from error
    return record
