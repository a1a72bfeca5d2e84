"""Pairs: each opening event has its closing one, by key, or by name in order where one of the two has no key."""

from __future__ import annotations

from dataclasses import dataclass

from gp_replay.contracts.contract import Pairing
from gp_replay.contracts.findings import Notes
from gp_replay.contracts.recognising import Heard, text_of
from gp_replay.contracts.said import Said

__all__ = ["Pairs"]

_MAX_OPEN = 256
"""Open ones of a run; the oldest is given up when there are more."""
_MAX_KEYS = 4096


@dataclass(slots=True)
class _Open:
    said: Said
    key: str | None
    name: str | None


class Pairs:
    """The pairs of one run.

    Args:
        pairing: which events.
    """

    __slots__ = ("_open", "_pairing", "_used")

    def __init__(self, pairing: Pairing) -> None:
        self._pairing = pairing
        self._open: list[_Open] = []
        self._used: dict[str, None] = {}

    def hear(self, heard: Heard, notes: Notes) -> None:
        """Takes the next event of the run; only those of the pairing count."""
        pairing = self._pairing
        if heard.name == pairing.opens:
            self._opens(heard, notes)
        elif heard.name == pairing.closes:
            self._closes(heard, notes)

    def end(self, notes: Notes) -> None:
        """The run is over: what is open stays open."""
        for item in self._open:
            self._unpaired(item, notes)
        self._open = []

    def _opens(self, heard: Heard, notes: Notes) -> None:
        key = heard.text(self._pairing.key)
        if key is not None:
            if key in self._used:
                self._find(
                    heard.said,
                    notes,
                    expected=f"a {self._key} of its own for each {self._pairing.opens}",
                    came=f"{text_of(key)} again",
                    fix="send each once, with an id of its own",
                )
                return
            if len(self._used) >= _MAX_KEYS:
                del self._used[next(iter(self._used))]
            self._used[key] = None
        if len(self._open) >= _MAX_OPEN:
            self._unpaired(self._open.pop(0), notes)
        self._open.append(_Open(said=heard.said, key=key, name=heard.text(self._pairing.name)))

    def _closes(self, heard: Heard, notes: Notes) -> None:
        key, name = heard.text(self._pairing.key), heard.text(self._pairing.name)
        number = self._match(key, name)
        if number is None:
            waiting = ", ".join(f"{item.name} {item.key or 'without an id'}" for item in self._open[:4])
            self._find(
                heard.said,
                notes,
                expected=f"{self._pairing.opens} before its {self._pairing.closes}",
                came=f"{self._pairing.closes} of {name} {key or 'without an id'}; open: {waiting or 'none'}",
                fix=f"send {self._pairing.opens} first, with the same {self._key}",
            )
            return
        opened = self._open.pop(number)
        if name is not None and opened.name is not None and name != opened.name:
            self._find(
                heard.said,
                notes,
                expected=f"{text_of(opened.name)}, as message {opened.said.index} says",
                came=text_of(name),
                fix="say the same name in both",
            )

    def _match(self, key: str | None, name: str | None) -> int | None:
        if key is not None:
            for number, item in enumerate(self._open):
                if item.key == key:
                    return number
        for number, item in enumerate(self._open):
            if (key is None or item.key is None) and (name is None or item.name is None or item.name == name):
                return number
        return None

    def _unpaired(self, item: _Open, notes: Notes) -> None:
        self._find(
            item.said,
            notes,
            expected=f"{self._pairing.closes} for {item.name} {item.key or 'without an id'}",
            came=f"none with that {self._key if item.key else 'name'} before the run ended",
            fix=f"send {self._pairing.closes} for every {self._pairing.opens}, failed ones too",
        )

    @property
    def _key(self) -> str:
        return ".".join(self._pairing.key.paths[0])

    def _find(self, said: Said, notes: Notes, *, expected: str, came: str, fix: str) -> None:
        rule = f"{self._pairing.opens}.paired"
        notes.find(said, rule, level=self._pairing.level, place=self._key, expected=expected, came=came, fix=fix)
