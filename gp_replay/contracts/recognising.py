"""Which event of a contract a message is, and what it carries, in whatever envelope and by whatever name."""

from __future__ import annotations

from collections.abc import Iterator

from gp_replay.contracts.contract import Contract, EventType, Field, Path
from gp_replay.contracts.said import Said
from gp_replay.core.model import Side

__all__ = ["Heard", "Recogniser", "look", "places_of", "text_of"]

_MISSING = object()
_MAX_DEPTH = 6
_MAX_TEXT = 60


class Heard:
    """A message as a contract sees it.

    Attributes:
        said: the message.
        event: which event it is, or None for one the contract does not know.
        kind: the value that said so, or None where it does not say what it is.
    """

    __slots__ = ("_envelopes", "event", "kind", "said")

    def __init__(
        self, said: Said, event: EventType | None, kind: str | None, envelopes: tuple[tuple[Path, object], ...]
    ) -> None:
        self.said = said
        self.event = event
        self.kind = kind
        self._envelopes = envelopes

    @property
    def name(self) -> str:
        """Of the event, or "" where it is none."""
        return "" if self.event is None else self.event.name

    def find(self, field: Field) -> tuple[Path, Path, object] | None:
        """The envelope and the path within it where a field stands, and its value; None where it is absent or null."""
        for envelope, body in self._envelopes:
            for path in field.paths:
                value = look(body, path)
                if value is not None:
                    return envelope, path, value
        return None

    def get(self, field: Field) -> object:
        """The value of a field; None where it is absent or null."""
        for _, body in self._envelopes:
            for path in field.paths:
                value = look(body, path)
                if value is not None:
                    return value
        return None

    def has(self, path: Path) -> bool:
        """Whether something other than null stands at a path, in any envelope."""
        return any(look(body, path) is not None for _, body in self._envelopes)

    def text(self, field: Field) -> str | None:
        """The value of a field as text; None where it is absent, null, or no string or number."""
        value = self.get(field)
        if isinstance(value, str):
            return value
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


class Recogniser:
    """Finds the events of a contract.

    Args:
        contract: whose.
    """

    def __init__(self, contract: Contract) -> None:
        self._by_type = {(event.side, kind): event for event in contract.events for kind in event.types}
        self._names = contract.type_names
        self._envelopes = contract.envelopes
        self._signs = contract.signs

    def recognise(self, said: Said) -> Heard:
        """A message, as the contract sees it."""
        message = said.message
        if message is None:
            return Heard(said, None, None, ())
        kind = None
        for name in self._names:
            value = message.get(name)
            if isinstance(value, str):
                kind = value
                break
        event = None if kind is None else self._by_type.get((said.side, kind))
        envelopes: list[tuple[Path, object]] = []
        for path in self._envelopes:
            body = look(message, path)
            if isinstance(body, dict):
                envelopes.append((path, body))
        return Heard(said, event, kind, tuple(envelopes))

    def was_overwritten(self, heard: Heard) -> bool:
        """Whether a server's message of no known type carries what only events carry."""
        if heard.event is not None or heard.said.side is not Side.SERVER or not self._signs:
            return False
        first, *others = self._signs
        return heard.get(first) is not None or sum(heard.get(sign) is not None for sign in others) >= 2


def look(value: object, path: Path) -> object:
    """What stands at a path; None where nothing or null does."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name, _MISSING)
        if value is _MISSING:
            return None
    return value


def places_of(value: object, name: str, *, depth: int = 0, at: str = "") -> Iterator[str]:
    """Where members of this name stand, dotted, nearest first within each object."""
    if depth > _MAX_DEPTH or not isinstance(value, dict):
        return
    if value.get(name) is not None:
        yield f"{at}{name}"
    for key, inner in value.items():
        yield from places_of(inner, name, depth=depth + 1, at=f"{at}{key}.")


def text_of(value: object) -> str:
    """A value for a person: on one line, cut."""
    text = value if isinstance(value, str) else repr(value)
    return repr(text) if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]!r}… ({len(text)} characters)"
