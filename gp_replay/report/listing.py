"""`list`: one row for each cassette, how old it is first of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from gp_replay.core.model import Cassette, Header, Protocol
from gp_replay.report.plain_text import excerpt, printable

__all__ = ["Listing", "age", "listing", "redaction_is_off", "rows_json", "table", "unreadable"]

_MAX_CELL = 40
_MINUTE, _HOUR, _DAY, _MONTH, _YEAR = 60, 3600, 86_400, 2_629_800, 31_557_600
# A unit is used from twice its size on (months from 60 days): "36 hours" says more than "1 day".
_UNITS = (
    (2 * _YEAR, _YEAR, "year"),
    (60 * _DAY, _MONTH, "month"),
    (2 * _DAY, _DAY, "day"),
    (2 * _HOUR, _HOUR, "hour"),
    (2 * _MINUTE, _MINUTE, "minute"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One row.

    Attributes:
        path: of the file, as the caller found it.
        size: of the file in bytes.
        problem: why it could not be read, or ""; then everything below is empty.
        name: of the cassette.
        revision: 0 when it could not be read.
        recorded_at: as in the header.
        age: since ``recorded_at``, for people; see `age`.
        age_seconds: the same as a number; None when ``recorded_at`` is no time.
        origin: live, imported, synthetic or edited.
        roles: names of its roles.
        exchanges, connections, messages: how many it has.
        models: names of the LLM models seen.
        complete: every stream ended as its protocol wants.
        redaction_off: it was recorded without redaction, so it may hold secrets.
    """

    path: str
    size: int
    problem: str = ""
    name: str = ""
    revision: int = 0
    recorded_at: str = ""
    age: str = ""
    age_seconds: int | None = None
    origin: str = ""
    roles: tuple[str, ...] = ()
    exchanges: int = 0
    connections: int = 0
    messages: int = 0
    models: tuple[str, ...] = ()
    complete: bool = False
    redaction_off: bool = False


def listing(cassette: Cassette, *, path: str, size: int, now: datetime) -> Listing:
    """The row of a cassette; reads header and index only.

    Args:
        cassette: any.
        path, size: see `Listing`.
        now: with a time zone.
    """
    header, entries = cassette.header, cassette.footer.entries
    seconds = _seconds_since(header.recorded_at, now)
    http = sum(entry.protocol is Protocol.HTTP for entry in entries)
    return Listing(
        path=path,
        size=size,
        name=header.name,
        revision=header.revision,
        recorded_at=header.recorded_at,
        age="unknown" if seconds is None else age(seconds),
        age_seconds=seconds,
        origin=header.origin.value,
        roles=tuple(role.name for role in header.roles),
        exchanges=http,
        connections=len(entries) - http,
        messages=sum(entry.messages for entry in entries),
        models=cassette.footer.models,
        complete=all(entry.complete for entry in entries),
        redaction_off=redaction_is_off(header),
    )


def unreadable(*, path: str, size: int, problem: str) -> Listing:
    """The row of a file that could not be read: it is listed all the same, with the reason."""
    return Listing(path=path, size=size, problem=problem)


def redaction_is_off(header: Header) -> bool:
    """Whether the cassette was recorded without redaction."""
    return "off" in header.redaction


def age(seconds: int) -> str:
    """A time span for people, rounded down: "3 days", "90 minutes"; "in the future" where it is negative."""
    if seconds < 0:
        return "in the future"
    for least, size, name in _UNITS:
        if seconds >= least:
            return _count(seconds // size, name)
    return _count(seconds, "second")


def table(rows: Sequence[Listing]) -> str:
    """The rows as a plain text table with a head, safe to print; problems and warnings below their row.

    Returns:
        Lines that each end with a line feed; "" for no rows.
    """
    if not rows:
        return ""
    head = ("NAME", "REVISION", "AGE", "ORIGIN", "ROLES", "HTTP", "WEBSOCKET", "MESSAGES", "SIZE", "MODELS", "FILE")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    lines = [_line(head, widths)]
    for row, line in zip(rows, cells[1:], strict=True):
        lines.append(_line(line, widths))
        lines.extend(f"  {note}" for note in _notes(row))
    return "\n".join(lines) + "\n"


def rows_json(rows: Sequence[Listing]) -> list[dict[str, object]]:
    """The rows as plain data, fields as in `Listing`, in that order."""
    return [
        {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(row).items()} for row in rows
    ]


def _cells(row: Listing) -> tuple[str, ...]:
    path = printable(row.path)
    if row.problem:
        return ("?", "", "", "", "", "", "", "", _size(row.size), "", path)
    return (
        _cell(row.name),
        str(row.revision),
        row.age,
        row.origin,
        _cell(", ".join(row.roles)),
        str(row.exchanges),
        str(row.connections),
        str(row.messages),
        _size(row.size),
        _cell(", ".join(row.models)),
        path,
    )


def _notes(row: Listing) -> list[str]:
    if row.problem:
        return [f"cannot be read: {printable(row.problem)}"]
    notes = []
    if not row.complete:
        notes.append("incomplete: a stream was broken off or cut")
    if row.redaction_off:
        notes.append("warning: recorded with redaction off, it may hold secrets")
    return notes


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cell(text: str) -> str:
    return excerpt(text, max_characters=_MAX_CELL)


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    amount, unit = size / 1000, "kB"
    for larger in ("MB", "GB"):
        if amount < 999.95:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}"


def _seconds_since(recorded_at: str, now: datetime) -> int | None:
    try:
        recorded = datetime.fromisoformat(recorded_at)
    except ValueError:
        return None
    if recorded.tzinfo is None:
        recorded = recorded.replace(tzinfo=UTC)
    return int((now - recorded).total_seconds() // 1)


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
