"""Which ids a recorded server made: a client of ours may say them only once the live server has said its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gp_replay.core.bindings import Bindings
from gp_replay.core.explain import Recorded
from gp_replay.core.model import Event, Message, Piece, RequestHead, ResponseHead, Side
from gp_replay.core.shapes import ids_in

__all__ = ["Defining"]


class Defining:
    """The ids that servers said before our clients did, over all streams of a play.

    Args:
        ours: the recordings of which we play the client. They are read when first asked about.
    """

    def __init__(self, ours: Sequence[Recorded]) -> None:
        self._ours = ours
        self._made: dict[bytes, str] | None = None

    def missing(self, recorded: Recorded, bindings: Bindings) -> tuple[str, str] | None:
        """An id in the request of one recording that the live server never gave, and which recording gave it.

        Args:
            recorded: whose request is about to be made.
            bindings: of the play.
        """
        if self._made is None:
            self._made = dict(self._made_by_servers())
        for side, text in _said(recorded):
            if side is Side.SERVER:
                break
            for found in ids_in(text):
                if found in self._made and bindings.live(found) is None:
                    return found.decode("ascii"), self._made[found]
        return None

    def _made_by_servers(self) -> Iterator[tuple[bytes, str]]:
        known: set[bytes] = set()
        for recorded in sorted(self._ours, key=lambda item: item.entry.opened_us):
            for side, text in _said(recorded):
                for found in ids_in(text):
                    if found not in known and side is Side.SERVER:
                        yield found, recorded.label
                    known.add(found)


def _said(recorded: Recorded) -> Iterable[tuple[Side, bytes]]:
    """What each side said, in order; a body as a whole."""
    events = recorded.script.cassette.events(recorded.entry.stream)
    for side in Side:
        body = b"".join(event.data for event in events if isinstance(event, Piece) and event.side is side)
        heads = b"\n".join(_head(event) for event in events if event.side is side)
        yield side, heads + b"\n" + body
    yield from ((event.side, event.data) for event in events if isinstance(event, Message))


def _head(event: Event) -> bytes:
    match event:
        case RequestHead():
            return event.target
        case ResponseHead():
            return b"\n".join(b'"%s"' % value for _, value in event.headers)
        case _:
            return b""
