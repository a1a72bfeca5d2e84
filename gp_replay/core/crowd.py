"""The recordings of one handshake, and which of them a live client may be.

All of them count, also those that others have: a client is not taken for somebody because nobody else is left. Of
recordings that are canonically equal one stands for all, the first that is free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gp_replay.core.evidence import Values, differing_headers, values_of
from gp_replay.core.explain import Recorded
from gp_replay.core.script import StreamScript

__all__ = ["Crowd", "Member"]

Member = tuple[Recorded, StreamScript]


class Crowd:
    """See the module.

    Args:
        members: in the order in which they are to be used; all playable.

    Attributes:
        salts: of their cassettes.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        self.salts = {recorded.script.cassette.header.salt for recorded, _ in members}
        self._names = differing_headers([script.head for _, script in members])
        self._said: dict[tuple[tuple[bytes, ...] | None, ...], list[Member]] = {}
        for member in members:
            self._said.setdefault(self._evidence(values_of(member[1].head.headers)), []).append(member)

    def _evidence(self, values: Values) -> tuple[tuple[bytes, ...] | None, ...]:
        return tuple(values.get(name) for name in self._names)

    def candidates(self, live: Mapping[bytes, Values], is_free: Callable[[int], bool]) -> list[Member]:
        """Who a client may be, best first.

        Args:
            live: its handshake as each recording would have kept it, by the salt of its cassette.
            is_free: whether nobody has a recording.

        Returns:
            The one that alone has everything for it (free or not); else one for each different conversation, those
            with more for them first.
        """
        if self._names:
            agreeing = [
                member
                for salt, values in live.items()
                for member in self._said.get(self._evidence(values), ())
                if member[0].script.cassette.header.salt == salt
            ]
            if len(agreeing) == 1:
                return agreeing
        standing: dict[bytes, Member] = {}
        for member in self._ranked(live):
            known = standing.get(member[1].digest)
            if known is None or (not is_free(known[0].number) and is_free(member[0].number)):
                standing[member[1].digest] = member
        return list(standing.values())

    def _ranked(self, live: Mapping[bytes, Values]) -> Sequence[Member]:
        if not self._names:
            return self._members
        return sorted(self._members, key=lambda member: -self._agreement(member, live))

    def _agreement(self, member: Member, live: Mapping[bytes, Values]) -> int:
        recorded, script = member
        said, kept = live[recorded.script.cassette.header.salt], values_of(script.head.headers)
        return sum(said.get(name) == kept.get(name) for name in self._names)
