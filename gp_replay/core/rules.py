"""What a person wrote about a cassette (``NAME.toml``), as values.

::

    [[volatile]]                    # a value that differs from run to run and does not decide what is answered
    at = "body.metadata.trace"      # a place, see `gp_replay.core.places`
    role = "llm"                    # optional: only there
    path = "/v1/chat/*"             # optional: only on these paths; * stands for anything
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from gp_replay.core.places import Place, format_place, parse_place
from gp_replay.errors import UsageError

__all__ = ["Rules", "Volatile"]

_KEYS = frozenset({"at", "role", "path"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Volatile:
    """One volatile place, and where it counts ("" is everywhere)."""

    at: Place
    role: str = ""
    path: str = ""

    def applies(self, role: str, path: str) -> bool:
        """Whether it counts for a request or connection of this role and path."""
        if self.role and self.role != role:
            return False
        pattern = "".join(".*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", self.path))
        return not self.path or re.fullmatch(pattern, path, re.DOTALL) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All rules of a cassette. Without any, shapes alone decide what is volatile."""

    volatile: tuple[Volatile, ...] = ()

    def places(self, role: str, path: str) -> tuple[Place, ...]:
        """Volatile places of a request or connection."""
        return tuple(rule.at for rule in self.volatile if rule.applies(role, path))

    @property
    def fingerprint(self) -> bytes:
        """Equal for equal rules; 8 bytes."""
        text = "\n".join(sorted(f"{rule.role} {rule.path} {format_place(rule.at)}" for rule in self.volatile))
        return blake2b(text.encode(), digest_size=8).digest()

    @classmethod
    def from_plain(cls, plain: Mapping[str, object], *, source: str) -> Rules:
        """Rules from a parsed TOML file.

        Args:
            plain: its top level.
            source: what to call it in errors.

        Raises:
            UsageError: an unknown key, a wrong type, or a text that is not a place.
        """
        unknown = sorted(plain.keys() - {"volatile"})
        if unknown:
            raise UsageError(f"{source}: unknown key {unknown[0]!r}", hint="[[volatile]] is what rules hold")
        entries = plain.get("volatile", [])
        if not isinstance(entries, list):
            raise UsageError(f"{source}: volatile is a list of tables, written [[volatile]]")
        return cls(volatile=tuple(_volatile(entry, f"{source}: volatile[{n}]") for n, entry in enumerate(entries)))

    def __add__(self, other: Rules) -> Rules:
        return Rules(volatile=self.volatile + other.volatile)


def _volatile(entry: object, where: str) -> Volatile:
    if not isinstance(entry, Mapping):
        raise UsageError(f"{where} is not a table")
    texts = {str(key): value for key, value in entry.items()}
    wrong = sorted(key for key, value in texts.items() if key not in _KEYS or not isinstance(value, str))
    if wrong or "at" not in texts:
        hint = "at, role and path are strings, and at is needed"
        raise UsageError(f"{where}: {wrong[0] if wrong else 'at'}", hint=hint)
    try:
        at = parse_place(texts["at"])
    except UsageError as error:
        raise UsageError(f"{where}: {error}", hint=error.hint) from error
    return Volatile(at=at, role=texts.get("role", ""), path=texts.get("path", ""))
