"""One client connection of the replay server: bytes to requests and events, the player's actions to bytes.

Requests are answered one after the other; what a client sends ahead is held. All that is due at one moment leaves in
one write. After a 101 the connection is a WebSocket for good. A client that does not read is not read from either, and
between two requests of one client the others have their turn.
"""

from __future__ import annotations

import asyncio
import json

from gp_replay.core.acts import Action, Claim, Over, Pending, Refuse, Send
from gp_replay.core.frames import FrameReader, FrameWriter
from gp_replay.core.http1 import Body, Complete, Item, RequestLine, RequestReader, is_websocket_upgrade, wants_close
from gp_replay.core.matching import Refusal
from gp_replay.core.model import (
    Close,
    Gone,
    How,
    Message,
    Ping,
    Pong,
    ResponseHead,
    Side,
    header_value,
)
from gp_replay.core.render import AnswerRenderer, HandshakeRenderer, problem_answer
from gp_replay.core.routing import control_path, origin_form
from gp_replay.errors import CassetteError, WireError
from gp_replay.net.asking import miss_answer, request_of
from gp_replay.net.control import Control
from gp_replay.net.namespaces import Namespaces
from gp_replay.net.passing import Passage, Passing
from gp_replay.net.sockets import reset
from gp_replay.report.plain_text import printable

__all__ = ["LiveClient"]

_MAX_BODY_BYTES = 64 * 1024 * 1024
_HELD_BYTES = 1_048_576
_UNREAD_BYTES = 1_048_576
_LINGER_SECONDS = 5.0
_HEAD_SECONDS = 60.0


class LiveClient(asyncio.Protocol):
    """One client connection: requests one after the other, or a WebSocket.

    Args:
        namespaces: each request is played on the stage of its own.
        peers: the open connections.
        role: of the listener, or None where the path names it.
        passing: where requests go that no recording answers; None: nowhere.
        control: answers the control paths; None: they are paths like others.
    """

    def __init__(
        self,
        namespaces: Namespaces,
        *,
        peers: set[LiveClient],
        role: str | None,
        passing: Passing | None = None,
        control: Control | None = None,
    ) -> None:
        self._namespaces = namespaces
        self._stage = namespaces.default
        self._control = control
        self._passing = passing
        self._passage: Passage | None = None
        self._peers = peers
        self._role = role
        self._reader = RequestReader()
        self._held = bytearray()
        self._line: RequestLine | None = None
        self._body: list[bytes] = []
        self._body_size = 0
        self._sent = bytearray()
        self._live = 0
        self._answer: AnswerRenderer | None = None
        self._handshake: HandshakeRenderer | None = None
        self._frames: FrameReader | None = None
        self._writer = FrameWriter(side=Side.SERVER)
        self._out: list[bytes] = []
        self._label = ""
        self._faulted = False
        self._closing = False
        self._ended = False
        self._full = False
        self._begun: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._peers.add(self)
        transport.set_write_buffer_limits(high=_UNREAD_BYTES)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._held or (self._live and self._frames is None):
            self._held += data
            if len(self._held) > _HELD_BYTES:
                self.transport.pause_reading()
        else:
            self._read_any(data)

    def eof_received(self) -> bool:
        self._ended = True
        if self._faulted and self._live:
            return False  # a client that gave up on a fault asks again, and must not find its recording taken
        # Half a connection may still want its answer; half a WebSocket has nobody to speak to.
        return (self._live != 0 or bool(self._held)) and self._frames is None and self._handshake is None

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._peers.discard(self)
        if self._begun is not None:
            self._begun.cancel()
        if self._live:
            self._stage.detach(self._live)
            self._stage.act([])

    def pause_writing(self) -> None:
        self._full = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._full = False
        if len(self._held) <= _HELD_BYTES:
            self.transport.resume_reading()
        self._resume_soon()

    # Requests

    def _await_head(self) -> None:
        """Between requests. A connection that never finishes a request head must not stay for ever."""
        self._stage = self._namespaces.default
        if self._begun is not None:
            self._begun.cancel()
        self._begun = asyncio.get_running_loop().call_later(_HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        if self._live or self._closing:
            return
        if self._reader.between_messages and self._line is None:
            self.transport.close()
        else:
            self._problem(408, WireError(f"no whole request within {_HEAD_SECONDS:g} s", status=408))

    def _read(self, data: bytes) -> None:
        while data and not self._live and not self._closing:
            in_body = self._reader.within_body
            try:
                used, items = self._reader.feed(data)
                if in_body and self._passing is not None:
                    self._sent += data[:used]
                self._take(items)
            except WireError as error:
                self._problem(error.status, error)
                return
            data = data[used:]
            if items and isinstance(items[-1], Complete):
                break
        if data and self._passage is not None:
            self._passage.data_received(data)
        elif data and not self._closing:
            self._held += data
            if self._frames is not None or not self._live:
                self._resume_soon()

    def _read_any(self, data: bytes) -> None:
        if self._frames is not None:
            self._read_frames(data)
        else:
            self._read(data)

    def _resume_soon(self) -> None:
        """What was held back is read from the loop, not from here: a thousand pipelined requests are no recursion."""
        if self._held or self._ended:
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if self._closing or self._full or (self._live and self._frames is None):
            return
        held = bytes(self._held)
        self._held.clear()
        self.transport.resume_reading()
        if held:
            self._read_any(held)
        if self._ended and not self._held and not self._live and not self._closing:
            self._close_gently()

    def _take(self, items: list[Item]) -> None:
        for item in items:
            match item:
                case RequestLine():
                    self._line = item
                    if (header_value(item.headers, b"expect") or b"").lower() == b"100-continue":
                        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                case Body():
                    self._body.append(item.data)
                    self._body_size += len(item.data)
                    if max(self._body_size, len(self._sent)) > _MAX_BODY_BYTES:
                        raise WireError(f"body over {_MAX_BODY_BYTES} bytes", status=413)
                case Complete() if self._line is not None:
                    line, self._line = self._line, None
                    body = b"".join(self._body)
                    self._body, self._body_size = [], 0
                    self._ask(line, body)
                case _:
                    pass

    def _ask(self, line: RequestLine, body: bytes) -> None:
        sent, self._sent = self._sent, bytearray()
        keep = not is_websocket_upgrade(line.headers) and not wants_close(line.version, line.headers)
        target = origin_form(line.target)
        if self._control is not None and (path := control_path(target)) is not None:
            peer = self.transport.get_extra_info("peername")
            self._answered(self._control.answer(line, path, peer=peer, close=not keep), keep=keep)
            return
        name, target = self._namespaces.route(target)
        stage = self._namespaces.stage(name)
        if stage is None:
            self._miss(self._namespaces.unknown(name or "", line), line, keep=keep)
            return
        self._stage = stage
        request = request_of(line, body, target=target, namespace=name, role=self._role, stage=stage)
        head = request.head
        handshake = HandshakeRenderer(live=head) if is_websocket_upgrade(line.headers) else None
        live = stage.attach(self)
        try:
            outcome = stage.player.open(stage.clock.now_us(), live, request)
        except CassetteError as error:
            outcome = Refusal(kind="unreadable", reason=str(error), close_code=4404, hint=error.hint)
            stage.player.refuse(outcome)
        match outcome:
            case Refusal():
                if self._passing is not None and (role := self._passing.takes(outcome, request)) is not None:
                    self._live = live
                    self._passage = Passage(self._passing, self, outcome, head, role=role)
                    self._passage.begin(bytes(sent), ended=self._ended)
                    return
                stage.detach(live)
                self._miss(outcome, line, keep=keep)
                return
            case Claim():
                self._label, script = outcome.label, outcome.script
            case Pending():
                self._label, script = f"{outcome.cassette} pending", outcome.lead
        self._faulted = bool(script.faults)
        if self._faulted:
            self._label += f" fault={','.join(script.faults)}"
        self._live = live
        self._handshake = handshake
        self._answer = AnswerRenderer(script, live=head, label=self._label)
        stage.poll()

    def resume(self, held: bytes, *, full: bool, ended: bool, close: bool) -> None:
        """See `gp_replay.net.passing.Passed`."""
        self._stage.detach(self._live)
        self._live, self._passage = 0, None
        self._held += held
        self._full, self._ended = full, ended
        if close:
            self._close_gently()
            return
        self._await_head()
        if len(self._held) <= _HELD_BYTES and not full:
            self.transport.resume_reading()
        self._resume_soon()

    def _miss(self, refusal: Refusal, line: RequestLine, *, keep: bool) -> None:
        self._stage.say(refusal)
        self._answered(miss_answer(refusal, line.method, close=not keep), keep=keep)

    def _answered(self, answer: bytes, *, keep: bool) -> None:
        """An answer of our own."""
        self.transport.write(answer)
        if keep:
            self._await_head()
        else:
            self._close_gently()

    def _problem(self, status: int, error: WireError) -> None:
        """Bytes that are no request: answered and done. No miss, since nothing was asked."""
        body = json.dumps({"error": {"type": "gp_replay", "message": str(error)}}).encode() + b"\n"
        self._stage.log(printable(f"refused a client: {error}"))
        self.transport.write(problem_answer(status, body, served_by="error", close=True))
        self._close_gently()

    def _close_gently(self) -> None:
        """Closes so that a client that is still sending gets to read the answer."""
        self._closing = True
        if self._ended or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.transport.close)

    # Frames

    def _read_frames(self, data: bytes) -> None:
        assert self._frames is not None
        stage = self._stage
        now_us = stage.clock.now_us()
        try:
            events = self._frames.feed(data, at_us=now_us)
        except WireError as error:
            kind, code = ("too-large", 4413) if error.status == 413 else ("malformed", 4400)
            refusal = Refusal(kind=kind, reason=str(error), close_code=code)
            stage.player.refuse(refusal)
            self._refuse(refusal)
            self.flush()
            return
        actions: list[Action] = []
        for event in events:
            match event:
                case Ping():
                    self._out.append(self._writer.pong(event.data))
                case Pong():
                    pass
                case Message() | Close():
                    actions += stage.player.receive(now_us, self._live, event)
        self.flush()
        stage.act(actions)

    # Actions

    def carry_out(self, action: Action) -> None:
        """Turns an action into bytes of this connection; `flush` sends them."""
        if self._closing:
            return
        match action:
            case Send(event=event):
                self._send(event)
            case Refuse(refusal=refusal):
                self._refuse(refusal)
            case Over(whole=whole):
                self._over(whole=whole)
            case _:
                pass

    def drop(self) -> None:
        """Breaks the connection off."""
        self._closing = True
        reset(self.transport)

    def flush(self) -> None:
        """Writes what was rendered, at once."""
        if self._out:
            data = b"".join(self._out)
            self._out.clear()
            self.transport.write(data)

    def _send(self, event: object) -> None:
        match event:
            case ResponseHead(status=101) if self._handshake is not None:
                self._switch(event)
            case Message():
                self._out += self._writer.message(event)
            case Ping():
                self._out.append(self._writer.ping(event.data))
            case Close():
                self._out.append(self._writer.close(event.code, event.reason))
            case Gone(how=how):
                self.flush()
                self._closing = True
                if how is How.RESET:
                    reset(self.transport)
                else:
                    self.transport.close()
            case _ if self._answer is not None:
                self._out.append(self._answer.render(event))  # type: ignore[arg-type]
            case _:
                pass

    def _switch(self, head: ResponseHead) -> None:
        assert self._handshake is not None
        self._out.append(self._handshake.render(head, label=self._label))
        deflate = self._handshake.deflate
        self._writer = FrameWriter(side=Side.SERVER, deflate=deflate)
        self._frames = FrameReader(stream=1, side=Side.CLIENT, deflate=deflate)
        self._answer = None
        self._resume_soon()

    def _refuse(self, refusal: Refusal) -> None:
        self._stage.say(refusal)
        if self._frames is None:
            self.flush()
            self._closing = True
            reset(self.transport)
            return
        reason = f"gp-replay: {refusal.reason}".encode()
        self._out.append(self._writer.close(refusal.close_code, reason))
        self.flush()
        self._close_gently()

    def _over(self, *, whole: bool) -> None:
        self.flush()
        if self._frames is not None:
            self._close_gently()
            return
        answer, live = self._answer, self._live
        if not whole:
            # The recorded answer broke off, so this one does too: to end it would be to invent the rest.
            self._closing = True
            self.transport.abort()
            return
        self._live, self._answer, self._handshake = 0, None, None
        self._stage.detach(live)
        if answer is None or answer.closes:
            self._close_gently()
            return
        self._await_head()
        self._resume_soon()
