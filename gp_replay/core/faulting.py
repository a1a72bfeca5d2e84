"""What a fault does to a conversation: from the script of a stream to one in which it goes wrong.

Pure. A fault that does not fit a script (no welcome, too few chunks, another protocol) leaves it as it is. Its seconds
are real ones, whatever the pace. Of faults that spoil a conversation the first one counts, numbered ones before others.

The *welcome* is the first message of ours whose type is ``connection_established`` or ends in
``_connection_established``; without one, the first that we say before our client has said anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import orjson

from gp_replay.core.faults import Fault
from gp_replay.core.identity import owner_of, subprotocol_token
from gp_replay.core.model import (
    Close,
    End,
    Event,
    Gone,
    Headers,
    How,
    Message,
    Opcode,
    Piece,
    Protocol,
    RequestHead,
    ResponseHead,
    Side,
    header_values,
)
from gp_replay.core.outages import Outage, outage, refused_upgrade
from gp_replay.core.script import Step, StreamScript

__all__ = ["TRANSFORMS", "faulted"]

Transform: TypeAlias = Callable[[StreamScript, Fault, RequestHead], StreamScript | None]
"""The script with the fault, for a live request; None where it does not fit."""

_WELCOME = "connection_established"
_INSIDE = ("data", "payload")
_PROTOCOLS = (b"jwt-auth", b"jwt", b"bearer", b"not-offered.v1")
_ACCEPT_FIRST = (
    b'{"type":"error_message","error_code":"CONNECTION_ERROR",'
    b'"error_message":"WebSocket is not connected. Need to call \\"accept\\" first.",'
    b'"details":{},"recovery_suggestions":null}'
)
_CLOSE_REASON = b"Internal error"
_FOR_EVER_US = 86_400_000_000


def faulted(script: StreamScript, faults: Iterable[Fault], *, live: RequestHead | None = None) -> StreamScript:
    """The script in which these faults happen.

    Args:
        script: of a stream whose server we play; another one is given back.
        faults: in the order they are to happen; those of other roles and those that do not fit change nothing.
        live: what the live client asks with; default what the recorded one did.

    Returns:
        A new script whose ``faults`` names those that do happen, or the same one.
    """
    if script.part is not Side.SERVER or script.problem:
        return script
    for fault in sorted(faults, key=lambda item: item.nth is None):
        if not _befalls(fault, script) or (fault.kind.spoils and script.spoiled):
            continue
        changed = TRANSFORMS[fault.kind.name](script, fault, live or script.head)
        if changed is not None:
            # An age cut has not happened yet, and may never.
            named = () if fault.kind.name == "age-cut" else (fault.text,)
            script = replace(changed, faults=(*script.faults, *named), spoiled=script.spoiled or fault.kind.spoils)
    return script


def _befalls(fault: Fault, script: StreamScript) -> bool:
    return fault.role in (None, script.entry.role) and script.entry.protocol in fault.kind.protocols


# Parts of a script


def _accept(script: StreamScript) -> int | None:
    """The step that says 101."""
    return next((at for at, step in enumerate(script.steps) if _status(step.event) == 101), None)


def _status(event: Event) -> int:
    return event.status if isinstance(event, ResponseHead) else 0


def _welcome(script: StreamScript) -> int | None:
    messages = [at for at, step in enumerate(script.steps) if isinstance(step.event, Message)]
    named = (at for at in messages if _type_of(script.steps[at].event).endswith(_WELCOME))
    before = (at for at in messages if script.steps[at].cues <= 1 and not script.steps[at].number)
    return next(named, next(before, None))


def _object(event: Event) -> dict[str, object]:
    """A text message that is a JSON object, else nothing."""
    if not isinstance(event, Message) or event.opcode is not Opcode.TEXT:
        return {}
    try:
        value = orjson.loads(event.data)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _type_of(event: Event) -> str:
    kind = _object(event).get("type")
    if not isinstance(kind, str):
        return ""
    return kind if kind == _WELCOME or not kind.endswith(_WELCOME) or kind.endswith(f"_{_WELCOME}") else ""


def _said(script: StreamScript, steps: Sequence[Step], *, whole: bool = False) -> StreamScript:
    """The script with other steps. ``whole``: what they say has an end, even where the recording had none."""
    lanes = range(max(1, len(script.lanes)))
    entry = replace(script.entry, complete=True) if whole else script.entry
    return replace(
        script,
        entry=entry,
        steps=tuple(steps),
        lanes=tuple(tuple(at for at, step in enumerate(steps) if step.lane == lane) for lane in lanes),
    )


def _after(steps: Sequence[Step], event: Event, *, held_us: int = 0) -> Step:
    """A step right after all others, whichever of their lanes is the last."""
    cues = max((step.cues if step.only is None else max(step.only, default=0) + 1 for step in steps), default=0)
    single = all(step.lane == 0 for step in steps)
    return Step(
        event=event,
        cues=cues,
        # Other lanes have their own distances: none of them is longer than this.
        after_us=0 if single else max(step.after_us for step in steps),
        follows_step=single and bool(steps),
        digest=_digest(event),
        held_us=held_us,
    )


def _digest(event: Event) -> bytes:
    match event:
        case Message() | Piece():
            return b"fault " + event.data
        case Close():
            return b"close %d" % (event.code or 0)
        case ResponseHead():
            return b"status %d " % event.status + b",".join(value for _, value in event.headers)
        case _:
            return b"fault " + type(event).__name__.encode()


def _ending(script: StreamScript, kept: int, *events: Event, held_us: int = 0) -> StreamScript:
    """The first ``kept`` steps, then these events; no heartbeat outlives them."""
    steps = list(script.steps[:kept])
    for event in events:
        steps.append(_after(steps, event, held_us=held_us))
        held_us = 0
    return replace(_said(script, steps), beat=None)


def _close(script: StreamScript) -> Close:
    return Close(at_us=script.head.at_us, stream=script.entry.stream, side=Side.SERVER, code=1011, reason=_CLOSE_REASON)


def _text(script: StreamScript, data: bytes) -> Message:
    at_us, stream = script.head.at_us, script.entry.stream
    return Message(at_us=at_us, stream=stream, side=Side.SERVER, opcode=Opcode.TEXT, data=data)


def _holding(script: StreamScript, at: int | None, fault: Fault, *, yields: bool = False) -> StreamScript | None:
    if at is None:
        return None
    steps = list(script.steps)
    held = steps[at]
    steps[at] = replace(held, held_us=held.held_us + (fault.amount or 0), yields=yields)
    return _said(script, steps)


# The welcome


def _welcome_late(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    return _holding(script, _welcome(script), fault)


def _welcome_held(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    return _holding(script, _welcome(script), fault, yields=True)


def _events_before_welcome(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    """The event is moved, not doubled, so that nothing but the order is wrong."""
    steps, at = list(script.steps), _welcome(script)
    if at is None:
        return None
    lane = [number for number in range(at + 1, len(steps)) if steps[number].lane == steps[at].lane]
    messages = [number for number in lane if isinstance(steps[number].event, Message)]
    events = [number for number in messages if _type_of(steps[number].event).startswith(("agent_", "tool_"))]
    if not messages:
        return None
    number = (events or messages)[0]
    welcome, event = steps[at], steps[number]
    following = next((later for later in lane if later > number), None)
    if following is not None and steps[following].follows_step:
        late = steps[following]
        steps[following] = replace(late, after_us=late.after_us + event.after_us, follows_step=event.follows_step)
    del steps[number]
    steps[at] = replace(welcome, after_us=0, follows_step=True)
    steps.insert(at, replace(welcome, event=event.event, digest=event.digest, held_us=0, yields=False))
    return _said(script, steps)


def _double_welcome(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    steps, at = list(script.steps), _welcome(script)
    if at is None:
        return None
    steps.insert(at + 1, replace(steps[at], after_us=0, follows_step=True, held_us=0))
    return _said(script, steps)


def _welcome_without(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    steps, at = list(script.steps), _welcome(script)
    if at is None or not isinstance(event := steps[at].event, Message):
        return None
    said = _object(event)
    inside = [inner for name in _INSIDE if isinstance(inner := said.get(name), dict)]
    holders = [holder for holder in (said, *inside) if fault.word in holder]
    for holder in holders:
        del holder[fault.word]
    if not holders:
        return None
    steps[at] = replace(steps[at], event=replace(event, data=orjson.dumps(said), fragments=()))
    return _said(script, steps)


def _connection_id_changes(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    at = _welcome(script)
    said = _object(script.steps[at].event) if at is not None else {}
    found = [holder.get("connection_id") for holder in (said, *map(said.get, _INSIDE)) if isinstance(holder, dict)]
    old = next((value.encode() for value in found if isinstance(value, str) and value), None)
    if at is None or old is None:
        return None
    new = old[:-1] + (b"1" if old.endswith(b"0") else b"0")

    def other(event: Event) -> Event:
        if not isinstance(event, Message) or old not in event.data:
            return event
        return replace(event, data=event.data.replace(old, new))

    steps = [step if n <= at else replace(step, event=other(step.event)) for n, step in enumerate(script.steps)]
    beat = script.beat and replace(script.beat, event=other(script.beat.event))
    pong = script.pong and other(script.pong)
    if tuple(steps) == script.steps and beat == script.beat and pong == script.pong:
        # Nothing that was recorded would say it, so a heartbeat does.
        data = b'{"type":"heartbeat","data":{"connection_id":"%s"}}' % new
        said_by = replace(steps[at], after_us=0, follows_step=True, held_us=0)
        event = _text(script, data)
        steps.insert(at + 1, replace(said_by, event=event, digest=_digest(event)))
    return replace(_said(script, steps), beat=beat, pong=pong)


# The handshake


def _no_welcome_1011(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    at = _accept(script)
    return None if at is None else _ending(script, at + 1, _close(script), held_us=fault.amount or 0)


def _accept_error_1011(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    at = _accept(script)
    if at is None:
        return None
    return _ending(script, at + 1, _text(script, _ACCEPT_FIRST), _close(script))


def _offered(live: RequestHead) -> list[bytes]:
    values = header_values(live.headers, b"sec-websocket-protocol")
    return [item.strip() for value in values for item in value.split(b",") if item.strip()]


def _selecting(script: StreamScript, chosen: bytes) -> StreamScript | None:
    steps, at = list(script.steps), _accept(script)
    if at is None or not isinstance(head := steps[at].event, ResponseHead):
        return None
    others = tuple(pair for pair in head.headers if pair[0].lower() != b"sec-websocket-protocol")
    headers: Headers = (*others, (b"Sec-WebSocket-Protocol", chosen))
    steps[at] = replace(steps[at], event=replace(head, headers=headers), digest=b"status 101 " + chosen)
    return _said(script, steps)


def _subprotocol_not_offered(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    offered = _offered(live)
    names = (fault.word.encode(),) if fault.word else _PROTOCOLS
    chosen = next((name for name in names if name not in offered), None)
    return None if chosen is None else _selecting(script, chosen)


def _token_echoed(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    token = next((item for item in _offered(live) if subprotocol_token(item) is not None), None)
    return None if token is None else _selecting(script, token)


def _refused_upgrade(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    return _answering(script, refused_upgrade(fault.amount or 403))


def _authorization_stripped(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    rest = tuple(pair for pair in live.headers if pair[0].lower() != b"authorization")
    left = replace(live, headers=rest)
    known = owner_of(left) is not None or any(subprotocol_token(item) is not None for item in _offered(left))
    return None if len(rest) == len(live.headers) or known else _answering(script, refused_upgrade(403))


# The middle and the end


def _close_mid_run(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    messages = [at for at, step in enumerate(script.steps) if isinstance(step.event, Message)]
    if fault.amount is None:
        run = [at for at in messages if script.steps[at].cues > 1 or script.steps[at].number]
        kept = run[(len(run) - 1) // 2] if run else None
    else:
        kept = _nth(script, messages, fault.amount)
    return None if kept is None else _ending(script, kept + 1, _close(script))


def _nth(script: StreamScript, messages: Sequence[int], number: int) -> int | None:
    if number > len(messages):
        return None
    return messages[number - 1] if number else _accept(script)


def _silence(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    at = _welcome(script)
    at = _accept(script) if at is None else at
    return None if at is None else replace(_ending(script, at + 1), pong=None)


def _cut(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    return _breaking_off(script, fault.amount or 0)


def _stall(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    return _breaking_off(script, fault.amount or 0, held_us=_FOR_EVER_US)


def _breaking_off(script: StreamScript, number: int, *, held_us: int = 0) -> StreamScript | None:
    gone = Gone(at_us=script.head.at_us, stream=script.entry.stream, side=Side.SERVER, how=How.RESET)
    if script.entry.protocol is Protocol.WEBSOCKET:
        messages = [at for at, step in enumerate(script.steps) if isinstance(step.event, Message)]
        kept = _nth(script, messages, number)
        return None if kept is None else _ending(script, kept + 1, gone, held_us=held_us)
    pieces = [at for at, step in enumerate(script.steps) if isinstance(step.event, Piece)]
    head = next((step.event for step in script.steps if _status(step.event) >= 200), None)
    if number == 0:
        return _said(script, [replace(_first(script, gone), held_us=held_us)])
    sized = isinstance(head, ResponseHead) and bool(header_values(head.headers, b"content-length"))
    if number > len(pieces) - sized:  # after its last byte nobody would notice
        return None
    return _ending(script, pieces[number - 1] + 1, gone, held_us=held_us)


def _delay(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    return _holding(script, 0 if script.steps else None, fault)


def _age_cut(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    return None if _accept(script) is None else replace(script, age_cut=(fault.amount or 0, fault.text))


def _http(script: StreamScript, fault: Fault, live: RequestHead) -> StreamScript | None:
    return _answering(script, outage(live, fault.amount or 500))


def _first(script: StreamScript, event: Event) -> Step:
    """The first thing to be said, at once."""
    return Step(event=event, cues=min(1, len(script.cues)), after_us=0, follows_step=False, digest=_digest(event))


def _answering(script: StreamScript, answer: Outage) -> StreamScript:
    """Another answer instead of the recorded one, at once."""
    at_us, stream = script.head.at_us, script.entry.stream
    head = ResponseHead(
        at_us=at_us,
        stream=stream,
        side=Side.SERVER,
        version=b"HTTP/1.1",
        status=answer.status,
        reason=answer.reason,
        headers=answer.headers,
    )
    steps = [_first(script, head)]
    if answer.body:
        steps.append(_after(steps, Piece(at_us=at_us, stream=stream, side=Side.SERVER, data=answer.body)))
    steps.append(_after(steps, End(at_us=at_us, stream=stream, side=Side.SERVER)))
    return replace(_said(script, steps, whole=True), beat=None)


TRANSFORMS: Mapping[str, Transform] = {
    "welcome-late": _welcome_late,
    "welcome-held": _welcome_held,
    "events-before-welcome": _events_before_welcome,
    "double-welcome": _double_welcome,
    "welcome-without": _welcome_without,
    "connection-id-changes": _connection_id_changes,
    "no-welcome-1011": _no_welcome_1011,
    "accept-error-1011": _accept_error_1011,
    "close-1011-mid-run": _close_mid_run,
    "subprotocol-not-offered": _subprotocol_not_offered,
    "token-echoed": _token_echoed,
    "refused-upgrade": _refused_upgrade,
    "authorization-stripped": _authorization_stripped,
    "silence": _silence,
    "http": _http,
    "cut": _cut,
    "stall": _stall,
    "delay": _delay,
    "age-cut": _age_cut,
}
"""What each fault does, by its name."""
