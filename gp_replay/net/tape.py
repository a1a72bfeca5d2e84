"""Where a recording goes: redacted stream by stream, then handed to whoever writes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gp_replay.core.model import Event, Gone, How, Opened, ResponseHead, Side, header_value
from gp_replay.core.redaction import Redactor, StreamRedactor

__all__ = ["Tape"]

_MAX_BYPASSED = 20


@dataclass(slots=True)
class Tape:
    """Where a recording goes: redacted, then written.

    Attributes:
        write: takes the events to keep.
        redactor: of this recording.
        streams: opened so far.
        answered: final response heads so far.
        unreachable: messages of upstreams that could not be reached, without repetition.
        broken: connections whose tap failed; a bug, and said at the end.
        authorities: of the upstreams; an answer that sends a client there sends it past the recorder.
        bypassed: where such answers pointed, without repetition.
    """

    write: Callable[[Event], None]
    redactor: Redactor
    streams: int = 0
    answered: int = 0
    unreachable: dict[str, None] = field(default_factory=dict)
    broken: int = 0
    authorities: frozenset[bytes] = frozenset()
    bypassed: dict[str, None] = field(default_factory=dict)
    _open: dict[int, StreamRedactor] = field(default_factory=dict)

    def number(self) -> int:
        """The next stream number."""
        self.streams += 1
        return self.streams

    def take(self, event: Event) -> None:
        """See `gp_replay.core.recorder.Sink`."""
        if isinstance(event, Opened):
            self._open[event.stream] = self.redactor.stream()
        if isinstance(event, ResponseHead) and event.status >= 101:
            self.answered += 1
            self._look_for_bypass(event)
        for kept in self._open[event.stream].feed(event):
            self.write(kept)

    def _look_for_bypass(self, head: ResponseHead) -> None:
        location = header_value(head.headers, b"location") or b""
        authority = location.partition(b"://")[2].partition(b"/")[0].lower()
        if authority in self.authorities and len(self.bypassed) < _MAX_BYPASSED:
            self.bypassed.setdefault(authority.decode("latin-1"))

    def done(self, stream: int) -> None:
        """See `gp_replay.core.recorder.Sink`."""
        redactor = self._open.pop(stream, None)
        if redactor is not None:
            for kept in redactor.finish():
                self.write(kept)

    def finish(self, at_us: int) -> None:
        """The recording stops: streams still open are cut."""
        for stream in sorted(self._open):
            self.take(Gone(at_us=at_us, stream=stream, side=Side.SERVER, how=How.CUT))
            self.done(stream)
