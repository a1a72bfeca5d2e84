"""What a person wrote about a cassette (``NAME.toml``), as values.

::

    [[volatile]]                    # a value that differs from run to run, or is not always there, and does not
                                    # decide what is answered
    at = "body.metadata.trace"      # a place, see `gp_replay.core.places`
    role = "llm"                    # optional: only there
    path = "/v1/chat/*"             # optional: only on these paths; * stands for anything

    [[literal]]                     # a value that does decide, although it looks like an id or a time, or was learned
    at = "body.order"               # to be volatile; keys as above

    [[repeat]]                      # requests whose last answer is given again, however often they come
    role = "llm"                    # both optional, as above
    path = "/v1/models"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypedDict

from gp_replay.core.places import Place, format_place, parse_place
from gp_replay.errors import UsageError

__all__ = ["Literal", "Repeat", "Rules", "Volatile"]

_KEYS = frozenset({"at", "role", "path"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scoped:
    """Where a rule counts: "" is everywhere, and ``*`` in a path stands for anything."""

    role: str = ""
    path: str = ""

    def applies(self, role: str, path: str) -> bool:
        """Whether it counts for a request or connection of this role and path."""
        if self.role and self.role != role:
            return False
        if "*" not in self.path:
            return not self.path or self.path == path
        pattern = "".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", self.path))
        return re.fullmatch(pattern, path, re.DOTALL) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Volatile(_Scoped):
    """One volatile place, and where it counts."""

    at: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(_Scoped):
    """One place that is never volatile, and where it counts."""

    at: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat(_Scoped):
    """Requests that are answered again by their last recording, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules of a cassette. Without any, shapes alone decide what is volatile."""

    volatile: tuple[Volatile, ...] = ()
    repeat: tuple[Repeat, ...] = ()
    literal: tuple[Literal, ...] = ()

    def places(self, role: str, path: str) -> tuple[Place, ...]:
        """Volatile places of a request or connection."""
        return tuple(rule.at for rule in self.volatile if rule.applies(role, path))

    def literals(self, role: str, path: str) -> tuple[Place, ...]:
        """Places of a request or connection that are never volatile, whatever `places` says."""
        return tuple(rule.at for rule in self.literal if rule.applies(role, path))

    def repeats(self, role: str, path: str) -> bool:
        """Whether requests of this role and path are answered again by their last recording."""
        return any(rule.applies(role, path) for rule in self.repeat)

    @property
    def fingerprint(self) -> bytes:
        """Equal for equal rules; 8 bytes."""
        lines = sorted(f"volatile {rule.role} {rule.path} {format_place(rule.at)}" for rule in self.volatile)
        lines += sorted(f"literal {rule.role} {rule.path} {format_place(rule.at)}" for rule in self.literal)
        return blake2b("\n".join(lines).encode(), digest_size=8).digest()

    @classmethod
    def from_plain(cls, plain: Mapping[str, object], *, source: str) -> Rules:
        """Rules from a parsed TOML file.

        Args:
            plain: its top level.
            source: what to call it in errors.

        Raises:
            UsageError: an unknown key, a wrong type, or a text that is not a place.
        """
        unknown = sorted(plain.keys() - {"volatile", "literal", "repeat"})
        if unknown:
            hint = "[[volatile]], [[literal]] and [[repeat]] are what rules hold"
            raise UsageError(f"{source}: unknown key {unknown[0]!r}", hint=hint)
        return cls(
            volatile=tuple(Volatile(**_placed(entry, where)) for entry, where in _tables(plain, "volatile", source)),
            literal=tuple(Literal(**_placed(entry, where)) for entry, where in _tables(plain, "literal", source)),
            repeat=tuple(_repeat(entry, where) for entry, where in _tables(plain, "repeat", source)),
        )

    def __add__(self, other: Rules) -> Rules:
        return Rules(
            volatile=self.volatile + other.volatile,
            repeat=self.repeat + other.repeat,
            literal=self.literal + other.literal,
        )


def _tables(plain: Mapping[str, object], name: str, source: str) -> list[tuple[object, str]]:
    tables = plain.get(name, [])
    if not isinstance(tables, list):
        raise UsageError(f"{source}: {name} is a list of tables, written [[{name}]]")
    return [(entry, f"{source}: {name}[{number}]") for number, entry in enumerate(tables)]


def _texts(entry: object, where: str, keys: frozenset[str], *, hint: str) -> dict[str, str]:
    if not isinstance(entry, Mapping):
        raise UsageError(f"{where} is not a table")
    texts = {str(key): value for key, value in entry.items()}
    wrong = sorted(key for key, value in texts.items() if key not in keys or not isinstance(value, str))
    if wrong:
        raise UsageError(f"{where}: {wrong[0]}", hint=hint)
    return texts


def _repeat(entry: object, where: str) -> Repeat:
    return Repeat(**_texts(entry, where, _KEYS - {"at"}, hint="role and path are strings"))


class _Placed(TypedDict):
    at: Place
    role: str
    path: str


def _placed(entry: object, where: str) -> _Placed:
    hint = "at, role and path are strings, and at is needed"
    texts = _texts(entry, where, _KEYS, hint=hint)
    if "at" not in texts:
        raise UsageError(f"{where}: at", hint=hint)
    try:
        at = parse_place(texts["at"])
    except UsageError as error:
        raise UsageError(f"{where}: {error}", hint=error.hint) from error
    return _Placed(at=at, role=texts.get("role", ""), path=texts.get("path", ""))
