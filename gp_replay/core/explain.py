"""Why something was refused, in words a person can act on: the nearest recording, what differs, the rule to paste."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gp_replay.core.canonical import Form, path_of, request_form
from gp_replay.core.matching import Difference, Refusal, differences
from gp_replay.core.model import Piece, Protocol, RequestHead, Side, StreamEntry
from gp_replay.core.script import Cue, Script
from gp_replay.errors import CassetteCorrupt

__all__ = ["Recorded", "Request", "beyond", "mismatch", "no_match", "rule_for"]

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
    """

    protocol: Protocol
    role: str | None
    head: RequestHead
    body: bytes = b""
    owner: str | None = None
    hosts: tuple[str, ...] = ()


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


def no_match(request: Request, recorded: Sequence[Recorded]) -> Refusal:
    """Nothing recorded has this form: names the nearest recording."""
    what = f"{request.head.method.decode('latin-1')} {path_of(request.head.target)}"
    same = [item for item in recorded if item.entry.protocol is request.protocol and item.entry.method]
    if request.role is not None:
        same = [item for item in same if item.entry.role == request.role]
    if not same:
        kind = "WebSocket connections" if request.protocol is Protocol.WEBSOCKET else "HTTP exchanges"
        whose = f" of role {request.role}" if request.role else ""
        return _refusal("no-match", f"{what}: no {kind}{whose} were recorded", hint=_seen(recorded))
    path, method = path_of(request.head.target), request.head.method
    close = [item for item in same if path_of(item.entry.target) == path]
    close = [item for item in close if item.entry.method == method] or close
    if not close:
        return _refusal("no-match", f"{what}: nothing was recorded at this path", hint=_seen(same))
    nearest, found = _nearest(request, close)
    return _refusal(
        "no-match",
        f"{what}: no recording has this {'handshake' if request.protocol is Protocol.WEBSOCKET else 'request'}",
        nearest=nearest.label,
        differences=found[:5],
        rule=rule_for(found, role=nearest.entry.role, path=path),
        hint="if the difference does not matter, put the rule into the cassette's .toml; else record this request",
    )


def mismatch(cue: Cue, live: Form, *, label: str, role: str, path: str) -> Refusal:
    """A client message is not what the recording has next."""
    found = differences(cue.form, live) if cue.form else ()
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
    best: tuple[int, Recorded, tuple[Difference, ...]] | None = None
    for item in close[:_COMPARED]:
        live = request_form(request.head, request.body, role=item.entry.role, rules=item.script.rules)
        found = differences(item.form(), live, most=_COUNTED)
        if best is None or len(found) < best[0]:
            best = (len(found), item, found)
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
