"""Why something was refused, in words a person can act on: the nearest recording, what differs, the rule to paste."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gp_replay.core.canonical import Form, differing_ids, path_of, request_form
from gp_replay.core.matching import Difference, Refusal, differences
from gp_replay.core.model import Piece, Protocol, RequestHead, Side, StreamEntry
from gp_replay.core.places import format_place
from gp_replay.core.script import Script
from gp_replay.errors import CassetteCorrupt

__all__ = [
    "Recorded",
    "Request",
    "ambiguous",
    "beyond",
    "mismatch",
    "no_match",
    "other_ids",
    "other_owner",
    "rule_for",
    "stall",
    "taken",
    "unanswered",
    "unknown_id",
]

_COMPARED = 50
"""Recordings compared for the nearest one; a miss is answered in milliseconds even from a huge cassette."""
_COUNTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A live request, whole, or the handshake of a connection.

    Attributes:
        protocol: HTTP or WEBSOCKET.
        role: named by the path, or None when it named none.
        head: with the target as the role sees it.
        body: joined.
        owner: read from its token, or None.
        hosts: ``X-Forwarded-Host`` and ``Host``, lower case, the stronger first.
        base: what this client puts before the role's paths, without a scheme: ``127.0.0.1:8080/llm``; "" not known.
    """

    protocol: Protocol
    role: str | None
    head: RequestHead
    body: bytes = b""
    owner: str | None = None
    hosts: tuple[str, ...] = ()
    base: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One recording of a play state: its number is recorded order over all cassettes."""

    number: int
    cassette: str
    script: Script
    entry: StreamEntry

    @property
    def label(self) -> str:
        """What people call it: ``NAME#3``."""
        return f"{self.cassette}#{self.entry.stream}"

    def form(self) -> Form:
        """Canonical form of its request, read anew."""
        events = self.script.cassette.events(self.entry.stream)
        head = next((event for event in events if isinstance(event, RequestHead)), None)
        if head is None:
            raise CassetteCorrupt(self.cassette, f"stream {self.entry.stream} has no request head")
        body = b"".join(event.data for event in events if isinstance(event, Piece) and event.side is Side.CLIENT)
        return request_form(head, body, role=self.entry.role, rules=self.script.rules)


def no_match(request: Request, near: Sequence[Recorded], recorded: Sequence[Recorded]) -> Refusal:
    """Nothing recorded has this form: names the nearest recording.

    Args:
        request: what was asked.
        near: the recordings of its path and protocol.
        recorded: all there are, in case none is near.
    """
    what = f"{request.head.method.decode('latin-1')} {path_of(request.head.target)}"
    close = [item for item in near if item.entry.method == request.head.method] or list(near)
    if not close:
        same = [item for item in recorded if item.entry.protocol is request.protocol and item.entry.method]
        if request.role is not None:
            same = [item for item in same if item.entry.role == request.role]
        if not same:
            kind = "WebSocket connections" if request.protocol is Protocol.WEBSOCKET else "HTTP exchanges"
            whose = f" of role {request.role}" if request.role else ""
            return _refusal("no-match", f"{what}: no {kind}{whose} were recorded", hint=_seen(recorded))
        return _refusal("no-match", f"{what}: nothing was recorded at this path", hint=_seen(same))
    nearest, found = _nearest(request, close)
    return _refusal(
        "no-match",
        f"{what}: no recording has this {'handshake' if request.protocol is Protocol.WEBSOCKET else 'request'}",
        nearest=nearest.label,
        differences=found[:5],
        rule=rule_for(found, role=nearest.entry.role, path=path_of(request.head.target)),
        hint="if the difference does not matter, put the rule into the cassette's .toml; else record this request",
    )


def other_owner(what: str, owners: Sequence[str | None], owner: str | None) -> Refusal:
    """It was recorded, for somebody else."""
    names = ", ".join(name or "(nobody)" for name in owners)
    return _refusal(
        "owner",
        f"{what}: recorded for {names}, asked for by {owner or 'a client without a token that names it'}",
        hint="send a token whose sub is a recorded owner; or --owners bind, for users nobody recorded",
    )


def other_ids(what: str, recorded: Recorded, live: Form) -> Refusal:
    """Only ids differ: those that it was given before are not the ones it says now."""
    found = _other_ids(recorded.form(), live)
    return _refusal(
        "ids",
        f"{what}: says other ids than it was given",
        nearest=recorded.label,
        differences=found[:5],
        hint="ids that the replay gave this client must come back as they were given",
    )


def ambiguous(
    labels: Sequence[str], heads: Sequence[RequestHead], names: Sequence[bytes], cues: Sequence[Sequence[Form]]
) -> Refusal:
    """Several recordings part before the client has said which is its own: names what would decide.

    Args:
        labels: of the recordings.
        heads: their handshakes.
        names: headers that differ among them.
        cues: the first client messages of each.
    """
    found: tuple[Difference, ...] = ()
    if names:
        values = [
            ", ".join(f"{value.decode('latin-1')}" for key, value in head.headers if key.lower() == names[0])
            for head in heads
        ]
        name = names[0].decode("latin-1")
        found = (
            Difference(place=f"header {name}", recorded=" or ".join(map(repr, values[:3])), live="(something else)"),
        )
        hint = f"send the header {name} as the recorded client did; or record with a token per user"
    elif (parted := _parting(cues)) is not None:
        found = (Difference(place=parted.place, recorded=f"{parted.recorded} or {parted.live}", live="(not said yet)"),)
        hint = f"let the client speak first: {parted.place} decides; or record with a token per user"
    else:
        hint = "record with a token per user, another path or subprotocol, or let the client speak first"
    return Refusal(
        kind="ambiguous",
        reason=f"{' and '.join(labels[:3])} part before the client has said which",
        close_code=4404,
        nearest=labels[0],
        differences=found,
        hint=hint,
    )


def _parting(cues: Sequence[Sequence[Form]]) -> Difference | None:
    """The first place where what the clients of several recordings said differs."""
    for number in range(min(map(len, cues), default=0)):
        for other in cues[1:]:
            parted = differences(cues[0][number], other[number], most=1)
            if parted:
                return parted[0]
    return None


def mismatch(recorded: Form, live: Form, *, label: str, role: str, path: str) -> Refusal:
    """A client message is not what the recording has next."""
    found = differences(recorded, live)
    if not found and recorded.ids != live.ids:
        found = _other_ids(recorded, live)
        return Refusal(
            kind="mismatch",
            reason=f"message says other ids than {label} was given",
            close_code=4409,
            nearest=label,
            differences=found,
            hint="ids that the replay gave this client must come back as they were given",
        )
    where = f" at {found[0].place}" if found else ""
    return Refusal(
        kind="mismatch",
        reason=f"message differs from {label}{where}",
        close_code=4409,
        nearest=label,
        differences=found,
        rule=rule_for(found, role=role, path=path),
        hint="if the difference does not matter, put the rule into the cassette's .toml; else record this conversation",
    )


def beyond(label: str) -> Refusal:
    """A client says more than the recorded one did."""
    return Refusal(
        kind="beyond",
        reason=f"message beyond the end of {label}",
        close_code=4404,
        nearest=label,
        hint="record the longer conversation",
    )


def _other_ids(recorded: Form, live: Form) -> tuple[Difference, ...]:
    return tuple(
        Difference(place=format_place(place), recorded=old, live=new)
        for place, old, new in differing_ids(recorded, live)[:5]
    )


def stall(label: str, *, whose: str, patience_us: int) -> Refusal:
    """What the recording has next was not said, for too long. ``whose`` is client or server."""
    return Refusal(
        kind="stall",
        reason=f"waited {patience_us / 1_000_000:g} s for the {whose}'s message, as in {label}",
        close_code=4408,
        nearest=label,
        hint=f"the recorded {whose} said something here that this one does not",
    )


def unknown_id(label: str, found: str, given_by: str) -> Refusal:
    """A request of ours would say an id that the live server has never given."""
    return Refusal(
        kind="unknown-id",
        reason=f"{label} says {found}, which the recorded server gave in {given_by}; the live one gave none for it",
        close_code=4404,
        nearest=label,
        hint=f"see what the live service answered where {given_by} was recorded",
    )


def unanswered(label: str) -> Refusal:
    """The recorded client gave up before anything was answered."""
    return Refusal(
        kind="unanswered",
        reason=f"{label} has no answer: its client gave up waiting for one",
        close_code=4408,
        nearest=label,
        hint="record it again with a client that waits",
    )


def taken(label: str) -> Refusal:
    """The only recording left was claimed by another client."""
    return Refusal(
        kind="used-up",
        reason=f"{label} was taken by another client meanwhile",
        close_code=4410,
        nearest=label,
        hint="record as many connections as there are clients",
    )


def rule_for(found: Iterable[Difference], *, role: str, path: str) -> str:
    """Rules that take every place in ``found`` for volatile; "" where one of them can never be (method, path)."""
    places = [item.place for item in found]
    if not places or any(place in ("method", "path", "media_type", "opcode") for place in places):
        return ""
    return "\n".join(
        f"[[volatile]]\nat = {_toml(place)}\nrole = {_toml(role)}\npath = {_toml(path)}\n" for place in places[:5]
    )


def _toml(text: str) -> str:
    if "'" not in text and text.isprintable():
        return f"'{text}'" if '"' in text or "\\" in text else f'"{text}"'
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text) + '"'


def _nearest(request: Request, close: Sequence[Recorded]) -> tuple[Recorded, tuple[Difference, ...]]:
    best: tuple[tuple[int, int], Recorded, tuple[Difference, ...]] | None = None
    for item in close[:_COMPARED]:
        live = request_form(request.head, request.body, role=item.entry.role, rules=item.script.rules)
        found = differences(item.form(), live, most=_COUNTED)
        # Of two with as many differences the one of the same structure is nearer: a missing message is much.
        lacking = sum("(absent)" in (difference.recorded, difference.live) for difference in found)
        if best is None or (len(found), lacking) < best[0]:
            best = ((len(found), lacking), item, found)
    assert best is not None
    return best[1], best[2]


def _seen(recorded: Sequence[Recorded]) -> str:
    paths = dict.fromkeys(
        f"{item.entry.method.decode('latin-1')} {path_of(item.entry.target)}" for item in recorded[:1000]
    )
    shown = ", ".join(list(paths)[:5])
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return f"recorded: {shown}{more}" if shown else "the cassettes hold nothing for these roles"


def _refusal(
    kind: str,
    reason: str,
    *,
    nearest: str = "",
    differences: tuple[Difference, ...] = (),
    rule: str = "",
    hint: str = "",
) -> Refusal:
    return Refusal(
        kind=kind, reason=reason, close_code=4404, nearest=nearest, differences=differences, rule=rule, hint=hint
    )
