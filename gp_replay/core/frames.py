"""WebSocket frames (RFC 6455 section 5, RFC 7692): bytes to events when recording and listening, events to bytes when
replaying.

The framing itself is the sans-I/O layer of ``websockets``; here are the values around it: one `FrameReader` for each
direction, which keeps what a library hides (fragments with their lengths and times, what was compressed), and functions
that render events.
"""

from __future__ import annotations

from dataclasses import dataclass

from websockets import frames
from websockets.exceptions import InvalidHeader
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.headers import parse_extension
from websockets.protocol import CLIENT, SERVER, Protocol, State

from gp_replay.core.model import Close, Fragment, Headers, Message, Opcode, Ping, Pong, Side, header_values
from gp_replay.errors import WireError

__all__ = [
    "MAX_MESSAGE_BYTES",
    "DeflateParameters",
    "FrameReader",
    "FrameWriter",
    "deflate_only",
    "negotiated_deflate",
    "render_deflate",
]

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""What one message may hold; CDP and image answers reach a few MB, servers default to 1 to 16 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeflateParameters:
    """What a permessage-deflate negotiation ended in (RFC 7692 section 7.1)."""

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = 15
    client_max_window_bits: int = 15

    def codec(self, side: Side) -> _NotingDeflate:
        """The extension as the endpoint ``side`` holds it: it decodes what the other side sends."""
        server = side is Side.SERVER
        return _NotingDeflate(
            remote_no_context_takeover=self.client_no_context_takeover if server else self.server_no_context_takeover,
            local_no_context_takeover=self.server_no_context_takeover if server else self.client_no_context_takeover,
            remote_max_window_bits=self.client_max_window_bits if server else self.server_max_window_bits,
            local_max_window_bits=max(9, self.server_max_window_bits if server else self.client_max_window_bits),
        )


class _NotingDeflate(PerMessageDeflate):
    """Remembers whether the last data frame that began a message was compressed."""

    noted = False

    def decode(self, frame: frames.Frame, *, max_size: int | None = None) -> frames.Frame:
        if frame.opcode in frames.DATA_OPCODES and frame.opcode is not frames.Opcode.CONT:
            self.noted = frame.rsv1
        return super().decode(frame, max_size=max_size)


def negotiated_deflate(headers: Headers) -> DeflateParameters | None:
    """What the headers of a 101 say about compression; None when nothing was negotiated.

    Raises:
        WireError: an extension other than permessage-deflate, or parameters that make no sense: frames cannot be read.
    """
    found: DeflateParameters | None = None
    for value in header_values(headers, b"sec-websocket-extensions"):
        try:
            extensions = parse_extension(value.decode("latin-1"))
        except InvalidHeader as error:
            raise WireError(f"sec-websocket-extensions: {error}") from error
        for name, parameters in extensions:
            if name != "permessage-deflate" or found is not None:
                raise WireError(f"extension {name} is not understood")
            found = _deflate_parameters(dict(parameters))
    return found


def _deflate_parameters(given: dict[str, str | None]) -> DeflateParameters:
    bits = {}
    for name in ("server_max_window_bits", "client_max_window_bits"):
        value = given.pop(name, "15") or "15"
        if not value.isascii() or not value.isdigit() or not 8 <= int(value) <= 15:
            raise WireError(f"permessage-deflate: {name}={value}")
        bits[name] = int(value)
    parameters = DeflateParameters(
        server_no_context_takeover="server_no_context_takeover" in given,
        client_no_context_takeover="client_no_context_takeover" in given,
        server_max_window_bits=bits["server_max_window_bits"],
        client_max_window_bits=bits["client_max_window_bits"],
    )
    unknown = given.keys() - {"server_no_context_takeover", "client_no_context_takeover"}
    if unknown:
        raise WireError(f"permessage-deflate: unknown parameter {min(unknown)}")
    return parameters


def deflate_only(value: bytes) -> bytes:
    """A ``Sec-WebSocket-Extensions`` offer without what cannot be decoded here; b"" when nothing is left."""
    offers = [offer.strip() for offer in value.split(b",")]
    return b", ".join(offer for offer in offers if offer.partition(b";")[0].strip().lower() == b"permessage-deflate")


def render_deflate(parameters: DeflateParameters, *, offered: bytes) -> bytes | None:
    """The answer that accepts an offer with exactly the recorded parameters, or None when the offer does not allow
    them.

    Args:
        parameters: as recorded.
        offered: the live client's ``Sec-WebSocket-Extensions``.
    """
    needs_bits = parameters.client_max_window_bits < 15
    for offer in deflate_only(offered).split(b","):
        parts = [item.partition(b"=") for item in offer.split(b";")[1:]]
        given = {name.strip().lower(): value.strip(b' "') for name, _, value in parts}
        if not offer.strip() or (needs_bits and b"client_max_window_bits" not in given):
            continue
        # An answer may not ask for a larger window than the offer allows (RFC 7692 section 7.1.2).
        if parameters.server_max_window_bits > _bits(given.get(b"server_max_window_bits")):
            continue
        if needs_bits and parameters.client_max_window_bits > _bits(given.get(b"client_max_window_bits")):
            continue
        answer = ["permessage-deflate"]
        if parameters.server_no_context_takeover or b"server_no_context_takeover" in given:
            answer.append("server_no_context_takeover")
        if parameters.client_no_context_takeover:
            answer.append("client_no_context_takeover")
        if parameters.server_max_window_bits < 15 or b"server_max_window_bits" in given:
            answer.append(f"server_max_window_bits={parameters.server_max_window_bits}")
        if needs_bits:
            answer.append(f"client_max_window_bits={parameters.client_max_window_bits}")
        return "; ".join(answer).encode("ascii")
    return None


def _bits(offered: bytes | None) -> int:
    """The largest window an offer allows; one that makes no sense allows none."""
    if not offered:
        return 15
    return int(offered) if offered.isdigit() and len(offered) <= 2 else 0


class FrameReader:
    """One direction of a WebSocket connection: bytes in, events out.

    Args:
        stream: number its events get.
        side: who sends these bytes.
        deflate: what was negotiated, or None.
        max_message_bytes: inflated size of one message.
    """

    def __init__(
        self,
        *,
        stream: int,
        side: Side,
        deflate: DeflateParameters | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._stream = stream
        self._side = side
        self._protocol = Protocol(
            SERVER if side is Side.CLIENT else CLIENT, state=State.OPEN, max_size=max_message_bytes
        )
        self._deflate = deflate.codec(side.other) if deflate else None
        if self._deflate:
            self._protocol.extensions = [self._deflate]
        self._opcode = Opcode.TEXT
        self._deflated = False
        self._parts: list[bytes] = []
        self._fragments: list[Fragment] = []
        self._failure: WireError | None = None

    @property
    def within_message(self) -> bool:
        """A fragmented message has begun and is not complete."""
        return bool(self._fragments)

    def feed(self, data: bytes, *, at_us: int) -> list[Message | Ping | Pong | Close]:
        """Takes one read.

        Args:
            data: the bytes, any number of frames and parts of frames.
            at_us: when they were read; the time of every event they complete.

        Returns:
            The events completed, in order. Frames that came whole before the bytes turned bad are returned first; the
            next call raises.

        Raises:
            WireError: not RFC 6455 framing, or over a limit (``status`` 413). Every later call raises it again.
        """
        if self._failure is not None:
            raise self._failure
        self._protocol.receive_data(data)
        self._protocol.data_to_send()  # what a lone endpoint would answer is none of ours
        events = [
            event
            for frame in self._protocol.events_received()
            if isinstance(frame, frames.Frame) and (event := self._event(frame, at_us)) is not None
        ]
        broken = self._protocol.parser_exc
        if broken is not None:
            too_big = type(broken).__name__ == "PayloadTooBig"
            self._failure = WireError(f"not a WebSocket frame: {broken}", status=413 if too_big else 400)
            if not events:
                raise self._failure
        return events

    def _event(self, frame: frames.Frame, at_us: int) -> Message | Ping | Pong | Close | None:
        data = bytes(frame.data)
        match frame.opcode:
            case frames.Opcode.PING:
                return Ping(at_us=at_us, stream=self._stream, side=self._side, data=data)
            case frames.Opcode.PONG:
                return Pong(at_us=at_us, stream=self._stream, side=self._side, data=data)
            case frames.Opcode.CLOSE:
                code = int.from_bytes(data[:2], "big") if len(data) >= 2 else None
                return Close(at_us=at_us, stream=self._stream, side=self._side, code=code, reason=data[2:])
            case frames.Opcode.TEXT | frames.Opcode.BINARY:
                self._opcode = Opcode(int(frame.opcode))
                self._deflated = self._deflate is not None and self._deflate.noted
            case _:
                pass
        self._parts.append(data)
        if not frame.fin or self._fragments:
            self._fragments.append(Fragment(length=len(data), at_us=at_us))
        if not frame.fin:
            return None
        message = Message(
            at_us=at_us,
            stream=self._stream,
            side=self._side,
            opcode=self._opcode,
            data=b"".join(self._parts),
            fragments=tuple(self._fragments),
            deflated=self._deflated,
        )
        self._parts, self._fragments = [], []
        return message


class FrameWriter:
    """Renders one direction of a connection.

    Args:
        side: whose frames these are. A client's are masked by ``websockets``.
        deflate: what was negotiated with the live peer, or None.
    """

    def __init__(self, *, side: Side, deflate: DeflateParameters | None = None) -> None:
        self._mask = side is Side.CLIENT
        self._extensions = [deflate.codec(side)] if deflate else []

    def message(self, message: Message) -> list[bytes]:
        """One frame for each recorded fragment (or one in all), compressed where the recorded message was."""
        extensions = self._extensions if message.deflated else []
        lengths = [fragment.length for fragment in message.fragments] or [len(message.data)]
        opcode = frames.Opcode(message.opcode.value)
        rendered, start = [], 0
        for number, length in enumerate(lengths, 1):
            frame = frames.Frame(opcode, message.data[start : start + length], number == len(lengths))
            rendered.append(frame.serialize(mask=self._mask, extensions=extensions))
            start += length
            opcode = frames.Opcode.CONT
        return rendered

    def ping(self, data: bytes) -> bytes:
        """A ping frame; ``data`` up to 125 bytes."""
        return frames.Frame(frames.Opcode.PING, data[:125]).serialize(mask=self._mask)

    def pong(self, data: bytes) -> bytes:
        """A pong frame; ``data`` up to 125 bytes."""
        return frames.Frame(frames.Opcode.PONG, data[:125]).serialize(mask=self._mask)

    def close(self, code: int | None, reason: bytes = b"") -> bytes:
        """A close frame; the reason is cut at 123 bytes, between characters."""
        if len(reason) > 123:
            reason = reason[:123].decode("utf-8", "ignore").encode("utf-8")
        data = b"" if code is None else code.to_bytes(2, "big") + reason
        return frames.Frame(frames.Opcode.CLOSE, data).serialize(mask=self._mask)
