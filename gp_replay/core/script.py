"""From a cassette to steps: everything that differs between the parts we may play is decided here, not in the player.

A *cast* names the parts we play. Of each stream whose role is in the cast, what our part says becomes *steps*, and
what the other part says becomes *cues* to be heard. A step waits for a gate: the cues that came before it in the
recording, by what they are and not by how many they were. Its distance is measured from that gate, or from the step
before where both have the same gate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

from gp_replay.core.canonical import Form, fingerprint, message_form, path_of, request_key
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
        after_us: recorded distance from the later of its gate and the step before.
        follows_step: that later one is the step before.
        digest: of its canonical form; equal for steps that no client could tell apart but by ids and times.
    """

    event: Event
    cues: int
    after_us: int
    follows_step: bool
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Something the other part said.

    Attributes:
        event: what, as recorded; of an HTTP request its `RequestHead`.
        digest: of its canonical form.
        form: the canonical form of a message, else None.
        after_us: recorded distance from whatever happened before it.
    """

    event: Event
    digest: bytes
    form: Form | None
    after_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamScript:
    """One stream, ready to be played.

    Attributes:
        cassette: index of the cassette in its `Script`s' order; set by the player.
        entry: from the index.
        part: whose steps these are.
        head: the request that opened it.
        cues, steps: in recorded order.
        problem: why it cannot be played, or "".
        digest: equal for streams whose whole conversation is canonically equal.
    """

    entry: StreamEntry
    part: Side
    head: RequestHead
    cues: tuple[Cue, ...]
    steps: tuple[Step, ...]
    problem: str
    digest: bytes


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
    path = path_of(head.target)
    cues: list[Cue] = []
    steps: list[Step] = []
    whole = blake2b(digest_size=16)
    gate_us = previous_us = events[0].at_us
    last_step_us: int | None = None
    for event in events:
        if isinstance(event, Opened | Pong | Opaque):
            continue
        digest, form = identity(event, entry, path, rules)
        if event.side is part:
            if not _is_step(event):
                continue
            follows = last_step_us is not None and last_step_us >= gate_us and steps[-1].cues == len(cues)
            base = last_step_us if follows and last_step_us is not None else gate_us
            after_us = max(0, event.at_us - base)
            steps.append(Step(event=event, cues=len(cues), after_us=after_us, follows_step=follows, digest=digest))
            last_step_us = event.at_us
        elif _is_cue(event, entry):
            cues.append(Cue(event=event, digest=digest, form=form, after_us=event.at_us - previous_us))
            gate_us = event.at_us
        else:
            continue
        previous_us = event.at_us
        whole.update(bytes([event.side.value]) + digest)
    if entry.protocol is Protocol.HTTP and part is Side.SERVER:
        steps = _answer_after_request(steps, cues)
    return StreamScript(
        entry=entry,
        part=part,
        head=head,
        cues=tuple(cues),
        steps=tuple(steps),
        problem=_problem(events),
        digest=whole.digest(),
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
    return [
        step
        if step.cues
        else Step(event=step.event, cues=1, after_us=step.after_us, follows_step=number > 0, digest=step.digest)
        for number, step in enumerate(steps)
    ]


def _problem(events: tuple[Event, ...]) -> str:
    if any(isinstance(event, Gone) and event.how is How.UNREACHABLE for event in events):
        return "the upstream was not reachable when this was recorded"
    if any(isinstance(event, Opaque) for event in events):
        return "recorded as opaque: its bytes were relayed but not understood"
    server = [event for event in events if event.side is Side.SERVER]
    if not server:
        return "nothing was answered before the recording or the client stopped"
    return ""
