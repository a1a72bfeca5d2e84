"""Texts that only one owner's client sent, and where they turn up.

A message is searched by its words, not by the texts: each text waits under the one of its words that fewest texts wait
under. So the cost does not grow with the number of users. A text that runs into other letters or digits is not seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Markers"]

_MAX_MARKERS = 4_096
_MAX_WORDS = 64
_WORDS = re.compile(rb"[A-Za-z0-9]+|[\x80-\xff]+")
_ESCAPES = re.compile(rb"\\[nrtbf\"\\/]")


@dataclass(slots=True, eq=False)
class _Marker:
    text: str
    owner: object
    spellings: tuple[bytes, ...]
    anchors: tuple[bytes, ...] = ()


class Markers:
    """The texts of all owners; the oldest are forgotten when there are too many."""

    def __init__(self) -> None:
        self._all: dict[str, _Marker] = {}
        self._by_anchor: dict[bytes, dict[str, _Marker]] = {}
        self._by_word: dict[bytes, dict[str, _Marker]] = {}
        # What more than one owner said.
        self._common: dict[str, None] = {}

    def add(self, text: str, owner: object) -> None:
        """An owner's client said this. What another's client said too, or as a part of more, is nobody's marker."""
        if text in self._common:
            return
        known = self._all.get(text)
        if known is not None:
            if known.owner is not owner:
                self._forget(known)
                self._note_common(text)
            return
        spellings = _spellings(text)
        words = dict.fromkeys(word for spelling in spellings for word in _words(spelling)[:_MAX_WORDS])
        within = [
            marker for marker in self._near(_words(spellings[0])) if marker.owner is not owner and text in marker.text
        ]
        for marker in list(self._found(spellings[0])):
            if marker.owner is not owner:
                self._forget(marker)
                self._note_common(marker.text)
        if within or not words:
            return
        if len(self._all) >= _MAX_MARKERS:
            self._forget(next(iter(self._all.values())))
        self._keep(_Marker(text=text, owner=owner, spellings=spellings), words)

    def found_in(self, raw: bytes, owner: object) -> Iterator[tuple[str, object]]:
        """Texts of other owners in a message's bytes, with whose they are."""
        for marker in self._found(raw):
            if marker.owner is not owner:
                yield marker.text, marker.owner

    def _found(self, raw: bytes) -> Iterator[_Marker]:
        if not self._by_anchor:
            return
        words = self._by_anchor.keys() & set(_words(raw))
        near = {marker.text: marker for word in words for marker in self._by_anchor[word].values()}
        for marker in near.values():
            if any(spelling in raw for spelling in marker.spellings):
                yield marker

    def _near(self, words: list[bytes]) -> list[_Marker]:
        """Texts that have the rarest of these words."""
        waiting = [self._by_word.get(word, {}) for word in words]
        return list(min(waiting, key=len).values()) if waiting else []

    def _keep(self, marker: _Marker, words: dict[bytes, None]) -> None:
        self._all[marker.text] = marker
        anchors = {self._anchor_of(spelling) for spelling in marker.spellings}
        marker.anchors = tuple(anchors)
        for anchor in anchors:
            self._by_anchor.setdefault(anchor, {})[marker.text] = marker
        for word in words:
            self._by_word.setdefault(word, {})[marker.text] = marker

    def _anchor_of(self, spelling: bytes) -> bytes:
        words = _words(spelling)[:_MAX_WORDS]
        return min(words, key=lambda word: (len(self._by_anchor.get(word, ())), -len(word)))

    def _forget(self, marker: _Marker) -> None:
        del self._all[marker.text]
        words = {word for spelling in marker.spellings for word in _words(spelling)[:_MAX_WORDS]}
        for index, keys in ((self._by_anchor, set(marker.anchors)), (self._by_word, words)):
            for key in keys:
                waiting = index.get(key)
                if waiting is not None:
                    waiting.pop(marker.text, None)
                    if not waiting:
                        del index[key]

    def _note_common(self, text: str) -> None:
        if len(self._common) >= _MAX_MARKERS:
            del self._common[next(iter(self._common))]
        self._common[text] = None


def _words(raw: bytes) -> list[bytes]:
    return _WORDS.findall(_ESCAPES.sub(b" ", raw) if b"\\" in raw else raw)


def _spellings(text: str) -> tuple[bytes, ...]:
    """How a text may stand in JSON."""
    spelled = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return tuple(sorted(one.encode("utf-8", "replace") for one in spelled))
