"""User isolation: what belongs to one owner must not be heard by another.

Three findings: ``isolation.shared_id`` (an id of another owner in a message, ``isolation.foreign_id`` where it is none
of those that no two owners may share), ``isolation.foreign_text`` (text that only another owner's client sent), and
``isolation.no_own_id`` (an event of a run with ids, none of which is the owner's). Ids belong to the owner on whose
connection they are heard first. Welcomes are asked for shared ids only; ambient and error messages for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gp_replay.contracts.contract import Isolation
from gp_replay.contracts.findings import Level, Notes
from gp_replay.contracts.markers import Markers
from gp_replay.contracts.recognising import Heard, text_of
from gp_replay.core.shapes import embedded_ids, ids_in, is_id

__all__ = ["IsolationCheck", "Owner"]

_MAX_IDS = 100_000
_MAX_TOLD = 1_000
_MAX_MEMBERS = 400
_MAX_DEPTH = 8
_MASK = "..."
_MIN_PREFIX = 4
_SHAPED = "a value of an id's shape"
_WORD = re.compile(r"[^\s\"'<>(){}\[\],;]+")
# What anybody may say: a few common words. Longer text, or text with digits or signs in it, is no coincidence.
_COMMON = re.compile(r"[A-Za-z]?[a-z ,.'?!-]{0,22}")


@dataclass(slots=True, eq=False)
class Owner:
    """One user.

    Attributes:
        name: the first that was heard.
        names: all of them.
        prefixes: what masked names begin with.
    """

    name: str
    names: set[str] = field(default_factory=set)
    prefixes: set[str] = field(default_factory=set)

    def is_called(self, value: str) -> bool:
        """Whether a user's id, perhaps masked, is this one's."""
        if value in self.names:
            return True
        if value.endswith(_MASK):
            prefix = value.removesuffix(_MASK)
            return prefix in self.prefixes or (bool(prefix) and any(name.startswith(prefix) for name in self.names))
        return any(value.startswith(prefix) for prefix in self.prefixes)

    def add(self, value: str) -> None:
        """Another name for this one."""
        if not value.endswith(_MASK):
            self.names.add(value)
        elif len(value) >= _MIN_PREFIX + len(_MASK):
            self.prefixes.add(value.removesuffix(_MASK))


class IsolationCheck:
    """The check over all connections of a cassette or a listener.

    Args:
        rules: what belongs to one owner.
    """

    def __init__(self, rules: Isolation) -> None:
        self._rules = rules
        self._user_names = frozenset(path[-1] for path in rules.owner.paths)
        self._owners: list[Owner] = []
        self._holders: dict[str, Owner] = {}
        self._told: set[tuple[str, str, str]] = set()
        self._markers = Markers()

    def owner(self, name: str) -> Owner:
        """Who is called this; a new one if nobody is."""
        for owner in self._owners:
            if owner.is_called(name):
                owner.add(name)
                return owner
        owner = Owner(name=name)
        owner.add(name)
        self._owners.append(owner)
        return owner

    def welcome(self, heard: Heard, owner: Owner | None, notes: Notes) -> Owner | None:
        """Takes a welcome: it says whose the connection is, where nothing did, and brings ids."""
        user = heard.text(self._rules.owner)
        if user is not None:
            if owner is None:
                owner = self.owner(user)
            elif not any(other.is_called(user) for other in self._owners):
                owner.add(user)
        if owner is not None:
            for name, value in self._ids(heard):
                holder = self._holders.get(value)
                if holder is None:
                    self._hold(value, owner)
                elif holder is not owner and name in self._rules.own:
                    self._shared(heard, name, value, holder, owner, notes)
        return owner

    def client(self, heard: Heard, owner: Owner) -> None:
        """Takes what the owner's client said: its ids, and texts that are its own."""
        for _, value in self._ids(heard):
            if value not in self._holders:
                self._hold(value, owner)
        for text in _texts(heard.said.message, self._rules.marker_characters):
            self._markers.add(text, owner)

    def server(self, heard: Heard, owner: Owner, notes: Notes, *, asked: bool) -> None:
        """Takes what the owner's connection heard.

        Args:
            heard: neither welcome, ambient nor error.
            owner: of the connection.
            notes: takes the findings.
            asked: it opens a run that the client asked for, so its ids may all be new.
        """
        ids = list(self._ids(heard))
        users = [value for name, value in ids if name in self._user_names]
        strange = [value for value in users if not owner.is_called(value)]
        if strange:
            self._foreign_user(heard, strange[0], owner, notes)
        mine = len(strange) < len(users)
        new: list[str] = []
        for name, value in ids:
            if name in self._user_names:
                continue
            holder = self._holders.get(value)
            if holder is owner:
                mine = True
            elif holder is not None:
                self._shared(heard, name, value, holder, owner, notes)
            else:
                new.append(value)
        in_run = heard.event is not None and heard.event.in_run
        if in_run and ids and not mine and (strange or not asked):
            self._nothing_own(heard, ids, owner, notes)
        elif not strange:
            for value in new:
                self._hold(value, owner)
        self._foreign_text(heard, owner, notes)

    def _ids(self, heard: Heard) -> Iterator[tuple[str, str]]:
        """Ids of a message with the name of their member: those called so, and values of an id's shape."""
        for name, value in _members(heard.said.message):
            if not _is_id_name(name):
                for shaped in _shaped(value):
                    yield _SHAPED, shaped
            elif name not in self._rules.common:
                yield name, value

    def _hold(self, value: str, owner: Owner) -> None:
        if len(self._holders) >= _MAX_IDS:
            del self._holders[next(iter(self._holders))]
        self._holders[value] = owner

    def _shared(self, heard: Heard, name: str, value: str, holder: Owner, owner: Owner, notes: Notes) -> None:
        rule = "isolation.shared_id" if name in self._rules.own else "isolation.foreign_id"
        if self._is_told(rule, value, owner):
            return
        notes.find(
            heard.said,
            rule,
            place=name,
            expected=f"an id of {owner.name}",
            came=f"{text_of(value)}, which {holder.name} has",
            fix="look for state that connections share: a global manager, bridge, router or cache",
        )

    def _foreign_user(self, heard: Heard, value: str, owner: Owner, notes: Notes) -> None:
        if not self._is_told("user", value, owner):
            notes.find(
                heard.said,
                "isolation.foreign_id",
                place=self._rules.owner.name,
                expected=f"{owner.name}, whose connection it is",
                came=text_of(value),
                fix="send a user's events to that user's connections only",
            )

    def _nothing_own(self, heard: Heard, ids: list[tuple[str, str]], owner: Owner, notes: Notes) -> None:
        # What follows with one of these ids is the same mistake.
        told = [self._is_told("own", value, owner) for _, value in ids]
        if any(told):
            return
        named = ", ".join(f"{name} {value}" for name, value in ids[:4])
        notes.find(
            heard.said,
            "isolation.no_own_id",
            expected=f"at least one id of {owner.name}",
            came=named,
            fix="send events to the connection that asked for the run",
        )

    def _is_told(self, rule: str, value: str, owner: Owner) -> bool:
        """Whether this has been said of this owner; from now on it has."""
        key = (rule, value, owner.name)
        if key in self._told or len(self._told) >= _MAX_TOLD:
            return True
        self._told.add(key)
        return False

    def _foreign_text(self, heard: Heard, owner: Owner, notes: Notes) -> None:
        if len(self._owners) < 2:
            return
        for text, other in self._markers.found_in(heard.said.raw, owner):
            if isinstance(other, Owner) and not self._is_told("text", text, owner):
                notes.find(
                    heard.said,
                    "isolation.foreign_text",
                    level=Level.WARNING if _COMMON.fullmatch(text) else Level.ERROR,
                    expected=f"nothing that only {other.name} said",
                    came=text_of(text),
                    fix="look for state that connections share: history, memory, a cache keyed without the user",
                )


def _shaped(text: str) -> Iterator[str]:
    """Ids by their shape: the whole text, or those within it, in JSON too."""
    if len(text) < 8:
        return
    if '"' in text:
        yield from (raw.decode("ascii") for raw in ids_in(text.encode("utf-8", "replace")))
    elif " " not in text:
        if is_id(text):
            yield text
    elif "-" in text or "_" in text:
        yield from (text[start:end] for start, end in embedded_ids(text))


def _is_id_name(name: str) -> bool:
    return name.endswith(("_id", "Id")) and len(name) > 2


def _members(value: object) -> Iterator[tuple[str, str]]:
    """Members that are strings or whole numbers, with their names, however deep."""
    waiting: list[tuple[str, object, int]] = [("", value, 0)]
    count = 0
    while waiting and count < _MAX_MEMBERS:
        name, item, depth = waiting.pop()
        count += 1
        if isinstance(item, str):
            yield name, item
        elif isinstance(item, dict):
            if depth < _MAX_DEPTH:
                waiting.extend((key, inner, depth + 1) for key, inner in item.items())
        elif isinstance(item, list):
            if depth < _MAX_DEPTH:
                waiting.extend((name, inner, depth + 1) for inner in item)
        elif isinstance(item, int) and not isinstance(item, bool):
            yield name, str(item)


def _texts(message: object, least: int) -> Iterator[str]:
    """Texts of a client's message that may be its own: values, and words with a digit in them."""
    for name, text in _members(message):
        if name == "type" or _is_id_name(name) or len(text) < least or text.isdigit():
            continue
        yield text
        for word in _WORD.findall(text) if " " in text else ():
            if len(word) >= least and any(letter.isdigit() for letter in word):
                yield word
