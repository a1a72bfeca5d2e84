"""How a recorded event is said live: with this client's ids, at its address, in its time, under its numbers.

Everything else is said as it was recorded, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from gp_replay.core.authority import OwnAddress
from gp_replay.core.bindings import Bindings
from gp_replay.core.canonical import message_form
from gp_replay.core.copies import Copies
from gp_replay.core.correlation import with_number
from gp_replay.core.cuts import cut_edits
from gp_replay.core.explain import Recorded
from gp_replay.core.model import (
    Event,
    Fragment,
    Headers,
    Message,
    Opcode,
    Piece,
    RequestHead,
    ResponseHead,
    Side,
)
from gp_replay.core.playing import Candidate
from gp_replay.core.rebasing import Rebase, unix_us
from gp_replay.core.rewriter import apply_edits
from gp_replay.core.script import Step, StreamScript

__all__ = ["Speaker"]

Rewrite: TypeAlias = Callable[[bytes], bytes]


class Speaker:
    """Says the events of one play state.

    Args:
        started_us: microseconds since 1970 that the play's time 0 is; None leaves recorded times as they are.
        copies: of the play state.
    """

    def __init__(self, started_us: int | None, copies: Copies) -> None:
        self._started_us = started_us
        self._copies = copies
        self._rebase: Rebase | None = None
        self._back: Rebase | None = None

    def begin(self, recorded: Recorded, now_us: int) -> None:
        """The first recording was chosen: how far its time is from now counts for the whole play."""
        if self._started_us is None or self._rebase is not None:
            return
        header, entry = recorded.script.cassette.header, recorded.entry
        at = header.recorded_at
        for epoch in header.epochs:
            if epoch.first_stream <= entry.stream:
                at = epoch.recorded_at
        began_us = unix_us(at)
        shift_us = 0 if began_us is None else self._started_us + now_us - began_us - entry.opened_us
        whole = shift_us // 1_000_000 * 1_000_000  # so that a time that came back is turned back exactly
        self._rebase, self._back = Rebase(whole), Rebase(-whole)

    def restored(self, raw: bytes) -> bytes:
        """What was said to us, with times that we had moved moved back."""
        return raw if self._back is None else self._back.rewrite(raw)

    def _moved(self, raw: bytes) -> bytes:
        return raw if self._rebase is None else self._rebase.rewrite(raw)

    def message(self, candidate: Candidate, step: Step, *, address: OwnAddress | None) -> Event:
        """A step of a connection as this client must hear it."""
        event, bindings = step.event, candidate.bindings
        match event:
            case Message():
                if event.opcode is Opcode.BINARY:
                    return event  # offsets in it would no longer be right
                bindings.make(event.data)
                said = self._message(candidate, step, event)
                data = self._moved(address.rewrite(said) if address else said)
                if data == event.data:
                    return event
                return replace(event, data=data, fragments=_fitted(event.fragments, len(data) - len(event.data)))
            case RequestHead():
                return replace(event, target=bindings.say(event.target), headers=bindings.say_headers(event.headers))
            case ResponseHead():
                return self._head(event, bindings, address)
            case _:
                return event

    def _message(self, candidate: Candidate, step: Step, event: Message) -> bytes:
        data = event.data
        live = candidate.numbers.get(step.number) if step.number else None
        if live is not None and live != step.number:
            entry = candidate.recorded.entry
            form = message_form(event, role=entry.role, path="", rules=candidate.recorded.script.rules)
            if form.correlated is not None:
                data = with_number(data, form.correlated, live)
        if candidate.script.part is Side.CLIENT:
            data = self._copies.say(data)
        if not candidate.bindings.changed:
            return data
        cuts = candidate.cuts()
        at = candidate.script.steps.index(step) if cuts else 0
        edits = cut_edits(cuts.get(at, ()), candidate.bindings.live) if at in cuts and data == event.data else []
        if edits:
            data = apply_edits([data], edits)[0]
        return candidate.bindings.say(data)

    def _head(self, head: ResponseHead, bindings: Bindings, address: OwnAddress | None) -> ResponseHead:
        for _, value in head.headers:
            bindings.make(b'"%s"' % value)
        headers: Headers = tuple(
            (name, self._moved(address.rewrite(value) if address else value))
            for name, value in bindings.say_headers(head.headers)
        )
        return head if headers == head.headers else replace(head, headers=headers)

    def answer(self, candidate: Candidate, *, address: OwnAddress | None) -> StreamScript:
        """The script of a chosen exchange with its whole answer as this client must get it.

        Pieces stay as many as they were; what an id, a time or an address is in them may be cut by their boundaries.
        """
        script, bindings = candidate.script, candidate.bindings
        pieces = [step.event for step in script.steps if isinstance(step.event, Piece)]
        whole = b"".join(piece.data for piece in pieces)
        bindings.make(whole)
        parts = bindings.say_parts([piece.data for piece in pieces], candidate.cuts() if bindings.changed else {})
        if script.part is Side.CLIENT:
            parts = self._copies.say_parts(parts)
        if address is not None:
            parts = _joined(parts, address.rewrite)
        if self._rebase is not None:
            parts = _joined(parts, self._rebase.rewrite)
        longer = sum(map(len, parts)) - len(whole)
        said = iter(parts)
        steps: list[Step] = []
        for step in script.steps:
            event = step.event
            match event:
                case Piece():
                    data = next(said)
                    event = event if data == event.data else replace(event, data=data)
                case ResponseHead():
                    head = self._head(event, bindings, address)
                    event = replace(head, headers=_longer(head.headers, longer))
                case RequestHead():
                    headers = _longer(bindings.say_headers(event.headers), longer)
                    event = replace(event, target=bindings.say(event.target), headers=headers)
                case _:
                    pass
            steps.append(step if event is step.event else replace(step, event=event))
        return replace(script, steps=tuple(steps))


def _fitted(fragments: Sequence[Fragment], longer: int) -> tuple[Fragment, ...]:
    """The fragments of a message that became longer or shorter: the last one has the rest, if it can."""
    if not fragments or fragments[-1].length + longer < 0:
        return ()
    return (*fragments[:-1], replace(fragments[-1], length=fragments[-1].length + longer))


def _joined(parts: Sequence[bytes], rewrite: Rewrite) -> list[bytes]:
    """Rewrites parts one by one, or, where something is cut by a boundary, with what follows; as many as there were."""
    whole = b"".join(parts)
    changed = rewrite(whole)
    if changed == whole:
        return list(parts)
    single = [rewrite(part) for part in parts]
    return single if b"".join(single) == changed else _dealt(parts, changed)


def _dealt(parts: Sequence[bytes], changed: bytes) -> list[bytes]:
    out, position = [], 0
    for part in parts[:-1]:
        out.append(changed[position : position + len(part)])
        position += len(part)
    return [*out, changed[position:]]


def _longer(headers: Headers, by: int) -> Headers:
    if not by:
        return headers
    return tuple(
        (name, b"%d" % (int(value) + by) if name.lower() == b"content-length" and value.isdigit() else value)
        for name, value in headers
    )
