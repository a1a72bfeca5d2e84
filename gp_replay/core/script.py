"""From a cassette to steps: everything that differs between the parts we may play is decided here, not in the player.

A *cast* names the parts we play. Of each stream whose role is in the cast, what our part says becomes *steps*, and
what the other part says becomes *cues* to be heard. A step waits for a gate. A server's step waits for the cues that
came before it in the recording, in whatever order; a reply waits for its request only; a client's step waits for the
last landmarks before it. Its distance is measured from that gate, or from the step before where that came later.
Heartbeats are no part of the script.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import TypeAlias

from gp_replay.core.ambient import Ambient, Beat, ambient_of, beat_of
from gp_replay.core.canonical import Form, fingerprint, message_form, path_of, request_key
from gp_replay.core.correlation import Correlated
from gp_replay.core.landmarks import kind_of, landmark_of
from gp_replay.core.model import (
    Cassette,
    Close,
    End,
    Event,
    Gone,
    How,
    Message,
    Opaque,
    Opened,
    Piece,
    Ping,
    Pong,
    Protocol,
    RequestHead,
    ResponseHead,
    Side,
    StreamEntry,
)
from gp_replay.core.rules import Rules
from gp_replay.core.shapes import ids_in
from gp_replay.errors import CassetteCorrupt

__all__ = ["Cast", "Cue", "Script", "Step", "StreamScript", "compile", "identity", "server_cast"]

Cast: TypeAlias = Mapping[str, Side]
"""Role name to the part we play of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something our part says.

    Attributes:
        event: what, as recorded.
        cues: its gate: it waits until the first so many cues of the stream have been heard.
        only: the cues it waits for instead: those a reply or a client's message depends on. None: `cues` counts.
        lane: steps of one lane keep their order; the replies to one request are a lane, 0 is everything else.
        after_us: recorded distance from the later of its gate and the step before in its lane.
        follows_step: that later one is the step before.
        digest: of its canonical form; equal for steps that no client could tell apart but by ids and times.
        number: of the request it replies to, as recorded; "" for all others.
        held_us: a fault holds it back so long, in real time.
        yields: no longer than until the other part says something.
    """

    event: Event
    cues: int
    after_us: int
    follows_step: bool
    digest: bytes
    only: tuple[int, ...] | None = None
    lane: int = 0
    number: str = ""
    held_us: int = 0
    yields: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Something the other part said.

    Attributes:
        event: what, as recorded; of an HTTP request its `RequestHead`.
        digest: of its canonical form.
        kind: what kind of message it is, where we play a client; "" else.
        after_us: recorded distance from whatever happened before it.
        number: of a message of a request/reply protocol, as recorded; "" for others.
    """

    event: Event
    digest: bytes
    after_us: int
    kind: str = ""
    number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamScript:
    """One stream, ready to be played.

    Attributes:
        entry: from the index.
        part: whose steps these are.
        head: the request that opened it.
        cues, steps: in recorded order.
        problem: why it cannot be played, or "".
        digest: equal for streams whose whole conversation is canonically equal.
        lanes: numbers of the steps of each lane, in order; one lane for nearly all streams.
        beat: the heartbeat we produce, or None.
        pong: what we answer a heartbeat of the live side with, or None.
        faults: texts of those that happen in it.
        spoiled: they keep it from its recorded end, so that the recording stays free.
        age_cut: real microseconds after 101 at which it is cut off, and the text of that fault; or None.
    """

    entry: StreamEntry
    part: Side
    head: RequestHead
    cues: tuple[Cue, ...]
    steps: tuple[Step, ...]
    problem: str
    digest: bytes
    lanes: tuple[tuple[int, ...], ...] = ()
    beat: Beat | None = None
    pong: Event | None = None
    faults: tuple[str, ...] = ()
    spoiled: bool = False
    age_cut: tuple[int, str] | None = None


class Script:
    """A cassette compiled for a cast. Streams are compiled when asked for and not kept.

    Attributes:
        cassette: what it was compiled from.
        cast: the parts we play.
        rules: of the cassette.
        entries: of the streams whose role is in the cast.
    """

    def __init__(self, cassette: Cassette, cast: Cast, rules: Rules) -> None:
        self.cassette = cassette
        self.cast = cast
        self.rules = rules
        self.entries = tuple(entry for entry in cassette.footer.entries if entry.role in cast)
        self._cached = cassette.footer.fingerprint == fingerprint(rules)

    def key(self, entry: StreamEntry) -> bytes:
        """Match key of a stream's request (from the index where that still holds); b"" without a whole request."""
        if self._cached:
            return entry.key
        events = [event for event in self.cassette.events(entry.stream) if event.side is Side.CLIENT]
        whole = any(isinstance(event, End) for event in events) or entry.protocol is Protocol.WEBSOCKET
        request = [event for event in events if isinstance(event, RequestHead | Piece)]
        return request_key(self.rules, entry.role, request) if whole and request else b""

    def stream(self, entry: StreamEntry) -> StreamScript:
        """Compiles one stream.

        Raises:
            CassetteCorrupt: its events cannot be read.
        """
        return _compile_stream(self.cassette.events(entry.stream), entry, self.cast[entry.role], self.rules)


def compile(cassette: Cassette, cast: Cast, rules: Rules) -> Script:
    """What a player plays of ``cassette`` when we play the parts of ``cast``."""
    return Script(cassette, cast, rules)


def server_cast(cassette: Cassette, only: tuple[str, ...] = ()) -> dict[str, Side]:
    """The cast of a replay server: the server's part of every role, or of those named."""
    return {role.name: Side.SERVER for role in cassette.header.roles if not only or role.name in only}


def _compile_stream(events: tuple[Event, ...], entry: StreamEntry, part: Side, rules: Rules) -> StreamScript:
    head = next((event for event in events if isinstance(event, RequestHead)), None)
    if head is None:
        raise CassetteCorrupt("cassette", f"stream {entry.stream} has no request head")
    writing = _Writing(entry=entry, part=part, head=head, rules=rules)
    for event in events:
        if not isinstance(event, Opened | Pong | Opaque):
            writing.take(event)
    return writing.finish(_problem(events, entry))


class _Writing:
    """A script under way."""

    def __init__(self, *, entry: StreamEntry, part: Side, head: RequestHead, rules: Rules) -> None:
        self._entry, self._part, self._head, self._rules = entry, part, head, rules
        self._path = path_of(head.target)
        self._cues: list[Cue] = []
        self._cue_us: list[int] = []
        self._cues_us = head.at_us  # of the latest of them
        self._steps: list[Step] = []
        self._lanes: dict[str, list[int]] = {"": []}
        self._pings: list[Event] = []
        self._pong: Event | None = None
        self._requests: dict[str, int] = {}
        self._whole = blake2b(digest_size=16)
        self._previous_us = head.at_us
        self._opened_us = head.at_us
        self._turn = 0  # cues before it were heard before our client last spoke
        self._landmarks: list[int] = []
        self._defined: dict[bytes, int] = {}  # ids, and the cue that said them first

    def take(self, event: Event) -> None:
        ambient = ambient_of(event, self._head.target) if self._entry.protocol is Protocol.WEBSOCKET else None
        if ambient is not None:
            self._set_aside(event, ambient)
            return
        digest, form = identity(event, self._entry, self._path, self._rules)
        said = form.correlated if form else None
        if event.side is self._part:
            if not _is_step(event):
                return
            self._add_step(event, digest, said)
        elif _is_cue(event, self._entry):
            self._add_cue(event, digest, said)
        else:
            return
        if isinstance(event, ResponseHead):
            self._opened_us = event.at_us
        self._previous_us = event.at_us
        self._whole.update(bytes([event.side.value]) + digest)

    def _set_aside(self, event: Event, ambient: Ambient) -> None:
        if event.side is self._part and ambient is Ambient.PING:
            self._pings.append(event)
        elif event.side is self._part and self._pong is None:
            self._pong = event

    def _add_cue(self, event: Event, digest: bytes, said: Correlated | None) -> None:
        if said is not None and not said.reply:
            self._requests[said.number] = len(self._cues)
        client = self._part is Side.CLIENT
        if client and isinstance(event, Message):
            for found in ids_in(event.data):
                self._defined.setdefault(found, len(self._cues))
        self._cues.append(
            Cue(
                event=event,
                digest=digest,
                after_us=event.at_us - self._previous_us,
                kind=kind_of(event) if client and isinstance(event, Message) else "",
                number=said.number if said else "",
            )
        )
        self._cue_us.append(event.at_us)
        self._cues_us = max(self._cues_us, event.at_us)

    def _add_step(self, event: Event, digest: bytes, said: Correlated | None) -> None:
        number = said.number if said is not None and said.reply and said.number in self._requests else ""
        only: tuple[int, ...] | None = None
        if number:
            only = (self._requests[number],)
        elif self._part is Side.CLIENT and self._entry.protocol is Protocol.WEBSOCKET:
            only = self._heard_before(event)
        gate_us = self._cues_us if only is None else max((self._cue_us[cue] for cue in only), default=self._head.at_us)
        lane = self._lanes.setdefault(number, [])
        last = self._steps[lane[-1]] if lane else None
        follows = last is not None and last.event.at_us >= gate_us
        base_us = last.event.at_us if follows and last is not None else gate_us
        lane.append(len(self._steps))
        self._steps.append(
            Step(
                event=event,
                cues=len(self._cues),
                only=only,
                lane=list(self._lanes).index(number) if number else 0,
                after_us=max(0, event.at_us - base_us),
                follows_step=follows,
                digest=digest,
                number=number,
            )
        )

    def _heard_before(self, event: Event) -> tuple[int, ...]:
        """What our client had to hear: the last landmarks, whatever is no message, and the ids that it says."""
        turn = list(range(self._turn, len(self._cues)))
        messages = [number for number in turn if self._cues[number].kind]
        self._landmarks += [number for number in turn if not self._cues[number].kind]
        last = landmark_of([self._cues[number].kind for number in messages])
        if last is not None:
            self._landmarks.append(messages[last])
        self._turn = len(self._cues)
        said = ids_in(event.data) if isinstance(event, Message) else []
        defining = [self._defined[found] for found in said if found in self._defined]
        return tuple(dict.fromkeys([*self._landmarks[-2:], *defining]))

    def finish(self, problem: str) -> StreamScript:
        steps = self._steps
        if self._entry.protocol is Protocol.HTTP and self._part is Side.SERVER:
            steps = _answer_after_request(steps, self._cues)
        return StreamScript(
            entry=self._entry,
            part=self._part,
            head=self._head,
            cues=tuple(self._cues),
            steps=tuple(steps),
            problem=problem,
            digest=self._whole.digest(),
            lanes=tuple(map(tuple, self._lanes.values())),
            beat=beat_of(self._pings, opened_us=self._opened_us),
            pong=self._pong,
        )


def identity(event: Event, entry: StreamEntry, path: str, rules: Rules) -> tuple[bytes, Form | None]:
    """What an event says, whenever and with whatever ids it says it: a digest, and of a message its canonical form."""
    match event:
        case Message():
            form = message_form(event, role=entry.role, path=path, rules=rules)
            return form.digest, form
        case ResponseHead():
            protocols = b",".join(value for name, value in event.headers if name.lower() == b"sec-websocket-protocol")
            return b"status %d " % event.status + protocols, None
        case RequestHead():
            return b"request", None
        case Piece():
            return b"piece %d" % len(event.data), None
        case Ping():
            return b"ping", None
        case Close():
            return b"close %d" % (event.code or 0), None
        case Gone():
            return b"gone " + event.how.value.encode(), None
        case _:
            return type(event).__name__.encode(), None


def _is_step(event: Event) -> bool:
    match event:
        case ResponseHead():
            # A live client that expects 100-continue gets it from the listener, before there is anything to match.
            return event.status != 100
        case Gone():
            return event.how in (How.EOF, How.RESET)
        case _:
            return True


def _is_cue(event: Event, entry: StreamEntry) -> bool:
    match event:
        case RequestHead():
            return entry.protocol is Protocol.WEBSOCKET
        case ResponseHead():
            return event.status == 101 or event.status >= 200
        case End():
            return True
        case Message() | Close():
            return True
        case _:
            return False


def _answer_after_request(steps: list[Step], cues: list[Cue]) -> list[Step]:
    """An answer that began before its request had ended waits for the end all the same: only then can it be chosen."""
    if not cues:
        return steps
    return [step if step.cues else replace(step, cues=1, follows_step=number > 0) for number, step in enumerate(steps)]


# A folded line is one field still; any other line break would begin another one.
_LINE_BREAK = re.compile(rb"\r?\n(?![ \t])|\r(?!\n)")


def _breaks_lines(head: RequestHead | ResponseHead) -> bool:
    first = head.reason if isinstance(head, ResponseHead) else head.method + head.target
    return any(_LINE_BREAK.search(text) for text in (first, *(part for pair in head.headers for part in pair)))


def _problem(events: tuple[Event, ...], entry: StreamEntry) -> str:
    if any(isinstance(event, RequestHead | ResponseHead) and _breaks_lines(event) for event in events):
        return "a field of its head holds a line break"
    if any(isinstance(event, Gone) and event.how is How.UNREACHABLE for event in events):
        return "the upstream was not reachable when this was recorded"
    if any(isinstance(event, Opaque) for event in events):
        return "recorded as opaque: its bytes were relayed but not understood"
    server = [event for event in events if event.side is Side.SERVER]
    given_up = any(isinstance(event, Gone) and event.side is Side.CLIENT for event in events)
    if not server and not given_up:
        return "nothing was answered before the recording or the client stopped"
    if server and entry.protocol is Protocol.WEBSOCKET and not any(isinstance(event, ResponseHead) for event in server):
        return "it has messages and no answer to its handshake"
    return ""
