"""What repeated takes taught the tool about a cassette (``NAME.profile.json``), as values. It only grows.

::

    {
      "takes": [["<digest of one>", "<digest of the other>"]],
      "version": 1,
      "volatile": [
        {
          "at": "body.metadata.nonce",          # as in the rules
          "examples": ["Pc3hZ9kQ", "x81TmA0v"],
          "path": "/v1/chat/completions",
          "role": "llm",
          "seen": 3                             # how often two requests or messages differed there
        }
      ]
    }
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gp_replay.core.places import Place, covers, format_place, parse_place
from gp_replay.core.rules import Rules, Volatile
from gp_replay.errors import UsageError

__all__ = ["Learned", "Profile"]

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A place whose value differed between takes.

    Attributes:
        at: the place.
        role: of the requests or the connection.
        path: of them; ``*`` stands for anything.
        seen: how often the values differed.
        examples: two values, canonical.
    """

    at: Place
    role: str
    path: str
    seen: int
    examples: tuple[str, str]

    def covers(self, other: Learned) -> bool:
        """Whether taking this place for volatile takes the other one too."""
        return (self.role, self.path) == (other.role, other.path) and covers(self.at, other.at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All that was learned about a cassette.

    Attributes:
        volatile: in order of role, path and place.
        takes: digests of the cassettes that were compared, two and two.
    """

    volatile: tuple[Learned, ...] = ()
    takes: tuple[tuple[str, str], ...] = ()

    @property
    def rules(self) -> Rules:
        """What it means for matching."""
        return Rules(volatile=tuple(Volatile(at=item.at, role=item.role, path=item.path) for item in self.volatile))

    def merged(self, learned: Iterable[Learned], *, takes: tuple[str, str]) -> Profile:
        """With what two more takes taught. Nothing is forgotten; the same two takes are counted once."""
        again = takes in self.takes
        found = list(self.volatile)
        for new in learned:
            known = next((n for n, old in enumerate(found) if old.covers(new)), None)
            if known is None:
                found.append(new)
            elif not again:
                found[known] = replace(found[known], seen=found[known].seen + new.seen)
        found.sort(key=lambda item: (item.role, item.path, format_place(item.at)))
        return Profile(volatile=tuple(found), takes=self.takes if again else (*self.takes, takes))

    def plain(self) -> dict[str, object]:
        """As JSON-safe data."""
        return {
            "version": _VERSION,
            "takes": [list(pair) for pair in self.takes],
            "volatile": [
                {
                    "at": format_place(item.at),
                    "role": item.role,
                    "path": item.path,
                    "seen": item.seen,
                    "examples": list(item.examples),
                }
                for item in self.volatile
            ],
        }

    @classmethod
    def from_plain(cls, plain: object, *, source: str) -> Profile:
        """A profile from parsed JSON.

        Args:
            plain: what the file holds.
            source: what to call it in errors.

        Raises:
            UsageError: it is no profile, or one of a newer version.
        """
        if not isinstance(plain, Mapping):
            raise _wrong(source, "is no JSON object")
        version = plain.get("version")
        if type(version) is int and version > _VERSION:
            hint = "update gp-replay, or delete the file and learn again"
            raise UsageError(f"{source}: profile version {version} is newer than this gp-replay reads", hint=hint)
        if type(version) is not int or version != _VERSION:
            raise _wrong(source, f"version is not {_VERSION}")
        takes, volatile = plain.get("takes"), plain.get("volatile")
        if not isinstance(takes, list) or not all(map(_is_two_texts, takes)):
            raise _wrong(source, "takes is no list of pairs of digests")
        if not isinstance(volatile, list):
            raise _wrong(source, "volatile is no list")
        return cls(
            volatile=tuple(_learned(entry, f"{source}: volatile[{number}]") for number, entry in enumerate(volatile)),
            takes=tuple((one, other) for one, other in takes),
        )


def _learned(entry: object, where: str) -> Learned:
    if not isinstance(entry, Mapping):
        raise _wrong(where, "is no object")
    at, role, path, seen, examples = (entry.get(name) for name in ("at", "role", "path", "seen", "examples"))
    for name, value in (("at", at), ("role", role), ("path", path)):
        if not isinstance(value, str):
            raise _wrong(where, f"{name} is no text")
    if type(seen) is not int or seen < 1:
        raise _wrong(where, "seen is no count")
    if not _is_two_texts(examples):
        raise _wrong(where, "examples are not two texts")
    try:
        place = parse_place(str(at))
    except UsageError as error:
        raise _wrong(where, str(error)) from error
    return Learned(at=place, role=str(role), path=str(path), seen=seen, examples=tuple(examples))  # type: ignore[arg-type]


def _is_two_texts(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(item, str) for item in value)


def _wrong(where: str, problem: str) -> UsageError:
    return UsageError(f"{where}: {problem}", hint="gp-replay learn writes this file; delete it and learn again")
