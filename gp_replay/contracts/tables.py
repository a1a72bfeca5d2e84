"""Tables of a TOML file, read member by member: each error names the member and says what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn, TypeVar

from gp_replay.contracts.findings import Level
from gp_replay.errors import UsageError

__all__ = ["LEVELS", "Table"]

T = TypeVar("T")

LEVELS = {level.value: level for level in Level}
"""Levels by the names they have in contracts."""


class Table:
    """One table of the file.

    Args:
        plain: what was parsed.
        where: the file, and where in it the table stands.

    Raises:
        UsageError: ``plain`` is no table. So do all methods that read a member of another type than they give.
    """

    def __init__(self, plain: object, where: str) -> None:
        if not isinstance(plain, Mapping):
            raise UsageError(f"{where} is no table", hint=f"write it as [{where.rpartition(': ')[2]}]")
        self._plain = {str(key): value for key, value in plain.items()}
        self.where = where

    def only(self, *known: str) -> None:
        """Refuses members that are not known."""
        for name in self._plain:
            if name not in known:
                self.wrong(name, "is not known", hint=f"known are {', '.join(known)}")

    def wrong(self, name: str, problem: str, *, hint: str) -> NoReturn:
        """Refuses a member."""
        raise UsageError(f"{self.at(name)} {problem}", hint=hint)

    def at(self, name: str) -> str:
        """Where a member stands, for people."""
        return f"{self.where}.{name}" if ": " in self.where else f"{self.where}: {name}"

    def has(self, name: str) -> bool:
        """Whether there is such a member."""
        return name in self._plain

    def names(self) -> list[str]:
        """Of all members, in order."""
        return list(self._plain)

    def _get(self, name: str, kind: type[T], default: T | None, what: str) -> T:
        value = self._plain.get(name, default)
        if value is None:
            self.wrong(name, "is missing", hint=f"it is {what}")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.wrong(name, f"is {value!r}", hint=f"it is {what}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """A string; required without a default."""
        return self._get(name, str, default, "a string")

    def flag(self, name: str) -> bool:
        """True or false; false where it is absent."""
        return self._get(name, bool, False, "true or false")

    def count(self, name: str, default: int) -> int:
        """A whole number, 0 or more."""
        value = self._get(name, int, default, "a whole number, 0 or more")
        if value < 0:
            self.wrong(name, f"is {value}", hint="it is a whole number, 0 or more")
        return value

    def seconds(self, name: str) -> float:
        """Seconds, 0 or more; required."""
        value = self._plain.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            self.wrong(name, "is missing" if value is None else f"is {value!r}", hint="seconds, 0 or more")
        return float(value)

    def texts(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of strings, none of them empty."""
        value: object = self._plain.get(name, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.wrong(name, f"is {value!r}", hint="it is a list of strings")
        return tuple(value)

    def level(self, name: str, default: Level) -> Level:
        """A level by its name."""
        text = self.text(name, default.value)
        if text not in LEVELS:
            self.wrong(name, f"is {text!r}", hint="it is error, warning or note")
        return LEVELS[text]

    def table(self, name: str) -> Table:
        """A table within; an empty one where it is absent."""
        return Table(self._plain.get(name, {}), self.at(name))

    def tables(self, name: str) -> list[Table]:
        """A list of tables."""
        value = self._plain.get(name, [])
        if not isinstance(value, list):
            self.wrong(name, "is no list of tables", hint=f"write each as [[{name}]]")
        return [Table(item, f"{self.at(name)}[{number}]") for number, item in enumerate(value)]
