"""The demo's client: a scripted user of the agent who says the same bytes every time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from gp_replay.demo.tokens import subprotocols_with
from gp_replay.errors import GpReplayError

__all__ = ["TURNS", "ConversationFailed", "Seen", "SeenMessage", "converse"]

TURNS = (
    '{"type":"user_message","payload":{"content":"What did compute cost in 2025-08?"}}',
    '{"type":"chat","payload":{"message":"Calculate 4120 * 12."}}',
    '{"type":"start_agent","payload":{"user_request":"How can I cut my compute bill? Explain it in a few sentences."}}',
)
"""The user's messages: the first makes the model look up a cost, the second calculate, the third talk."""


class ConversationFailed(GpReplayError):
    """The conversation did not get to its end. ``problem`` says where and why."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMessage:
    """One message of the server: its text as it came, and when, in microseconds since the handshake was done."""

    text: str
    at_us: int

    @property
    def type(self) -> str:
        """The ``type`` of its JSON, "" if it has none."""
        try:
            message = json.loads(self.text)
        except ValueError:
            return ""
        kind = message.get("type") if isinstance(message, dict) else None
        return kind if isinstance(kind, str) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A conversation from the client's side.

    Attributes:
        messages: the server's, in order.
        subprotocol: the one agreed on, or None.
        close_code: of the closing handshake; 1000 after a conversation that ended well.
        close_reason: the server's, may be "".
    """

    messages: tuple[SeenMessage, ...]
    subprotocol: str | None
    close_code: int | None
    close_reason: str


async def converse(
    url: str, *, token: str, subprotocol: bool, turns: Sequence[str] = TURNS, timeout_s: float = 60.0
) -> Seen:
    """Hold one conversation: each turn is said when the one before is complete, then the socket is closed with 1000.

    Args:
        url: ``http://host:port`` of the agent, or of a replay of it, perhaps with a path before ``/ws``.
        token: of the user.
        subprotocol: offer the token as browsers have to, instead of in ``Authorization``.
        turns: the messages to send, byte for byte.
        timeout_s: for the whole conversation.

    Raises:
        ConversationFailed: refused, unreachable, an ``error_message``, closed too early, or too slow.
    """
    seen: list[SeenMessage] = []
    try:
        async with asyncio.timeout(timeout_s):
            return await _converse(_websocket_url(url), token, subprotocol, turns, seen)
    except TimeoutError:
        raise ConversationFailed(f"no end within {timeout_s:g} s, {_progress(seen)}") from None
    except ConnectionClosed as closed:
        frame = closed.rcvd
        said = f"{frame.code} {frame.reason}".strip() if frame else "without a close frame"
        raise ConversationFailed(f"the server closed the connection ({said}), {_progress(seen)}") from None
    except InvalidStatus as refused:
        body = " ".join((refused.response.body or b"").decode(errors="replace").split())
        raise ConversationFailed(f"refused with HTTP {refused.response.status_code}: {body[:2000]}") from None
    except (OSError, WebSocketException) as problem:
        raise ConversationFailed(f"cannot connect to {url}: {problem}") from None


async def _converse(url: str, token: str, subprotocol: bool, turns: Sequence[str], seen: list[SeenMessage]) -> Seen:
    # No pings of our own and no proxy: nothing on the wire but the script. The caller's timeout counts for all of it.
    async with connect(
        url,
        additional_headers=None if subprotocol else {"Authorization": f"Bearer {token}"},
        subprotocols=[Subprotocol(item) for item in subprotocols_with(token)] if subprotocol else None,
        user_agent_header="gp-replay-demo",
        ping_interval=None,
        open_timeout=None,
        proxy=None,
    ) as connection:
        began = time.monotonic_ns()
        await _hear(connection, "connection_established", began, seen)
        for turn in turns:
            await connection.send(turn)
            await _hear(connection, "agent_completed", began, seen)
        await connection.close(1000)
        return Seen(
            messages=tuple(seen),
            subprotocol=connection.subprotocol,
            close_code=connection.close_code,
            close_reason=connection.close_reason or "",
        )


async def _hear(connection: ClientConnection, awaited: str, began: int, seen: list[SeenMessage]) -> None:
    """Take messages until one of the awaited type has come."""
    while True:
        raw = await connection.recv()
        text = raw if isinstance(raw, str) else raw.decode(errors="replace")
        message = SeenMessage(text=text, at_us=(time.monotonic_ns() - began) // 1000)
        seen.append(message)
        if message.type == awaited:
            return
        if message.type == "error_message":
            raise ConversationFailed(f"the agent reported an error: {text}")


def _websocket_url(url: str) -> str:
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return parts._replace(scheme=scheme, path=f"{parts.path.rstrip('/')}/ws").geturl()


def _progress(seen: Sequence[SeenMessage]) -> str:
    last = f", the last one {seen[-1].type or 'without a type'}" if seen else ""
    return f"{len(seen)} messages had come{last}"
