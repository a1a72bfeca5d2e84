"""Ids that stand for recorded ones in one live conversation.

While several recordings are left, a client is told what they share, with the ids of the first of them. If another one
turns out to be its own, that one's ids must give way to those the client was told, in everything that is said from
then on.
"""

from __future__ import annotations

import re
from dataclasses import replace

from gp_replay.core.json_strings import json_strings
from gp_replay.core.model import Event, Message, Piece
from gp_replay.core.shapes import is_id

__all__ = ["Bindings"]


class Bindings:
    """A table from recorded ids to the ids that were said instead of them."""

    def __init__(self) -> None:
        self._table: dict[bytes, bytes] = {}
        self._pattern: re.Pattern[bytes] | None = None

    def __len__(self) -> int:
        return len(self._table)

    def learn(self, *, recorded: Event, said: Event) -> None:
        """The conversation's own event, and the canonically equal one that was said in its place."""
        if not isinstance(recorded, Message) or not isinstance(said, Message):
            return
        for one, other in zip(json_strings(recorded.data), json_strings(said.data), strict=False):
            own, told = recorded.data[one.start : one.end], said.data[other.start : other.end]
            if one.path == other.path and own != told and is_id(own.decode("utf-8", "replace")):
                self._table.setdefault(own, told)
        if self._table:
            longest_first = sorted(self._table, key=lambda own: (-len(own), own))
            self._pattern = re.compile(b"|".join(map(re.escape, longest_first)))

    def apply(self, event: Event) -> Event:
        """The event as this client must hear it."""
        if self._pattern is None or not isinstance(event, Message | Piece):
            return event
        data = self._pattern.sub(lambda found: self._table[found[0]], event.data)
        if data == event.data:
            return event
        if isinstance(event, Message) and len(data) != len(event.data):
            # The recorded fragments no longer add up; the message is what counts.
            return replace(event, data=data, fragments=())
        return replace(event, data=data)
