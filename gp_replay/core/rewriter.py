"""One streaming mechanism to change bytes in flight: pieces in, the same number of pieces out, by span in the raw
text.

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


class Rewriter:
    """Rewrites one text that comes in pieces.

    Args:
        finder: what to change.
        max_withheld: how long an undecided tail may get; then it is decided as if nothing followed. 4 KiB is more
        than any
            known secret and little to lose with a recorder that is killed.
    """

    def __init__(self, finder: Finder, *, max_withheld: int = 4096) -> None:
        self._finder = finder
        self._max_withheld = max_withheld
        self._context = b""
        self._held: list[bytes] = []

    @property
    def withholds(self) -> bool:
        """Whether a piece is withheld."""
        return bool(self._held)

    def feed(self, piece: bytes) -> list[bytes]:
        """Takes a piece; returns the pieces that are decided now, in order, perhaps none, perhaps several."""
        self._held.append(piece)
        return self._release(final=False)

    def finish(self) -> list[bytes]:
        """Nothing will follow: returns what was withheld. The next piece begins a new text."""
        released = self._release(final=True) if self._held else []
        self._context = b""
        return released

    def _release(self, *, final: bool) -> list[bytes]:
        start = len(self._context)
        text = self._context + (self._held[0] if len(self._held) == 1 else b"".join(self._held))
        edits, undecided = self._finder.find(text, start=start, final=final)
        if not final and len(text) - undecided > self._max_withheld:
            edits, undecided = self._finder.find(text, start=start, final=True)
        released: list[bytes] = []
        end = start
        for piece in self._held:
            if end + len(piece) > undecided:
                break
            end += len(piece)
            released.append(piece)
        if not released:
            return []
        del self._held[: len(released)]
        inside = [edit for edit in edits if edit.start < end]
        self._context = text[max(0, end - _CONTEXT) : end]
        return apply_edits(released, inside, start=start) if inside else released


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
