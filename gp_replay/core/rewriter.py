"""One streaming mechanism to change bytes in flight: pieces in, as many pieces out, by span in the raw text.

Redaction uses it when recording; ids and times will when replaying. What is to be changed may be cut by a boundary,
so a piece is withheld while its tail may be the beginning of something; it is released whole, with its share of every
edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Edit", "Finder", "Rewriter", "apply_edits"]

_CONTEXT = 64


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces ``[start, end)`` of a text by ``data``, of whatever length."""

    start: int
    end: int
    data: bytes


class Finder(Protocol):
    """Knows what to change."""

    def find(self, text: bytes, *, start: int, final: bool) -> tuple[list[Edit], int]:
        """Looks at ``text`` from ``start`` on; what stands before is context.

        Args:
            text: what is there so far.
            start: where the undecided part begins.
            final: nothing will follow.

        Returns:
            Edits in order and apart, and from where on the text is undecided (``len(text)`` when it is not, always if
            final). Edits end before that.
        """

    def suspects(self, text: bytes) -> bool:
        """Whether a JSON string in ``text`` may end in the beginning of something. A wrong yes only costs time."""

    def rest(self, text: bytes, *, start: int) -> Edit | None:
        """The rest at ``start`` of something too long to withhold, of which the beginning is changed already."""


class Rewriter:
    """Rewrites one text that comes in pieces.

    Args:
        finder: what to change.
        max_withheld: how long an undecided tail may get; then it is decided as if nothing followed. 4 KiB is more
            than nearly all secrets and little to lose with a recorder that is killed.
    """

    # What is decided is never looked at again, except as context: hostile pieces cost no more than others.

    def __init__(self, finder: Finder, *, max_withheld: int = 4096) -> None:
        self._finder = finder
        self._max_withheld = max_withheld
        self._begin()

    def _begin(self) -> None:
        self._text = b""  # context and, from _start on, what is undecided
        self._start = 0
        self._offset = 0  # of _text in the whole text
        self._held: list[bytes] = []
        self._held_from = 0
        self._edits: list[Edit] = []  # by offset in the whole text, those that reach into held pieces
        self._inside = False

    @property
    def withholds(self) -> bool:
        """Whether a piece is withheld."""
        return bool(self._held)

    def feed(self, piece: bytes) -> list[bytes]:
        """Takes a piece; returns the pieces that are decided now, in order, perhaps none, perhaps several."""
        self._held.append(piece)
        self._text += piece
        self._decide(final=False)
        return self._released()

    def finish(self) -> list[bytes]:
        """Nothing will follow: returns what was withheld. The next piece begins a new text."""
        self._decide(final=True)
        released = self._released()
        self._begin()
        return released

    def _decide(self, *, final: bool) -> None:
        if self._inside and not self._is_past_rest():
            return
        text = self._text
        edits, undecided = self._finder.find(text, start=self._start, final=final)
        if not final and len(text) - undecided > self._max_withheld:
            edits, undecided = self._finder.find(text, start=self._start, final=True)
            self._inside = bool(edits) and edits[-1].end == len(text)
        for edit in edits:
            self._edits.append(Edit(edit.start + self._offset, edit.end + self._offset, edit.data))
        self._forget_before(undecided)

    def _is_past_rest(self) -> bool:
        edit = self._finder.rest(self._text, start=self._start)
        if edit is not None:
            self._edits.append(Edit(edit.start + self._offset, edit.end + self._offset, edit.data))
            self._forget_before(edit.end)
        self._inside = self._start == len(self._text)
        return not self._inside

    def _forget_before(self, undecided: int) -> None:
        forgotten = max(0, undecided - _CONTEXT)
        self._text = self._text[forgotten:]
        self._offset += forgotten
        self._start = undecided - forgotten

    def _released(self) -> list[bytes]:
        decided = self._offset + self._start
        start = end = self._held_from
        count = 0
        for piece in self._held:
            if end + len(piece) > decided:
                break
            end += len(piece)
            count += 1
        released = self._held[:count]
        del self._held[:count]
        self._held_from = end
        if not self._edits or not released:
            return released
        inside = [edit for edit in self._edits if edit.start < end]
        self._edits = [edit for edit in self._edits if edit.end > end]
        return apply_edits(released, inside, start=start)


def apply_edits(pieces: list[bytes], edits: list[Edit], *, start: int = 0) -> list[bytes]:
    """Applies edits to a text in pieces, of which the first begins at offset ``start``.

    An edit that is cut by boundaries gives each piece as many bytes as it had there, and the last one the rest.
    """
    out: list[bytes] = []
    offset = start
    for piece in pieces:
        end = offset + len(piece)
        parts: list[bytes] = []
        position = offset
        for edit in edits:
            if edit.end <= offset or edit.start >= end:
                continue
            low, high = max(edit.start, offset), min(edit.end, end)
            parts.append(piece[position - offset : low - offset])
            taken = low - edit.start
            parts.append(edit.data[taken:] if high == edit.end else edit.data[taken : high - edit.start])
            position = high
        parts.append(piece[position - offset :])
        out.append(b"".join(parts))
        offset = end
    return out
