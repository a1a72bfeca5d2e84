"""A client of the OpenAI chat completions API: one streamed answer per connection, on the standard library alone.

It knows what it needs of HTTP/1.1 (RFC 9112): a status line, headers, a body that is chunked, counted, or ends with the
connection; and of server-sent events: ``data:`` lines.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from gp_replay.demo.prompt import ChatMessage
from gp_replay.errors import GpReplayError

__all__ = ["LlmClient", "LlmFailed", "Reply", "ToolCall"]

_MAX_LINE = 1 << 20
_SEED = 7
_PARTING_S = 0.2
"""Time for what follows ``[DONE]``: by then the answer is whole, so nobody is kept waiting for long."""


class LlmFailed(GpReplayError):
    """The model gave no answer.

    Attributes:
        problem: what happened.
        status: the HTTP status, or None when there was none to read.
    """

    def __init__(self, problem: str, *, status: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.status = status

    def __str__(self) -> str:
        return self.problem


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call the model asks for: its id, the tool, and the arguments as the model spelled them."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer: its text, which may be empty, and the tool calls in the model's order."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(slots=True)
class _Growing:
    """An answer while it streams."""

    text: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    finished: bool = False

    def take(self, chunk: object) -> str:
        """Take one chunk of the stream; returns the text it adds, "" for none."""
        added = ""
        for choice in _dicts(_get(chunk, "choices")):
            self.finished = self.finished or _get(choice, "finish_reason") is not None
            delta = _get(choice, "delta")
            added += _string(delta, "content")
            for position, call in enumerate(_dicts(_get(delta, "tool_calls"))):
                self._take_call(call, position)
        if added:
            self.text.append(added)
        return added

    def _take_call(self, call: dict[str, object], position: int) -> None:
        index = call.get("index")
        growing = self.calls.setdefault(index if isinstance(index, int) else position, {})
        function = call.get("function")
        growing["id"] = growing.get("id", "") or _string(call, "id")
        growing["name"] = growing.get("name", "") + _string(function, "name")
        growing["arguments"] = growing.get("arguments", "") + _string(function, "arguments")

    def reply(self) -> Reply:
        calls = (ToolCall(**call) for _, call in sorted(self.calls.items()))
        return Reply(text="".join(self.text), tool_calls=tuple(calls))


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmClient:
    """Asks one model.

    Attributes:
        url: base, for example ``http://127.0.0.1:8080``; ``/v1/chat/completions`` is added.
        model: its name.
        timeout_s: for a whole answer.
    """

    url: str
    model: str
    timeout_s: float = 60.0

    async def chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        tools: Sequence[dict[str, object]] = (),
        on_text: Callable[[str], Awaitable[None]] | None = None,
    ) -> Reply:
        """Ask for the next message, at temperature 0. Equal arguments give equal bytes on the wire.

        Args:
            messages: the conversation so far.
            max_tokens: where the answer is cut off.
            tools: what may be called; none, and the request does not mention tools.
            on_text: awaited with each piece of text as it arrives, never with "".

        Raises:
            LlmFailed: unreachable, an error status, an error in the stream, or a stream that broke off.
        """
        body: dict[str, object] = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": 0,
            "seed": _SEED,
            "stream": True,
        }
        if tools:
            body["tools"] = list(tools)
        growing = _Growing()
        try:
            async with asyncio.timeout(self.timeout_s), aclosing(_events(self.url, body)) as events:
                async for data in events:
                    added = growing.take(_chunk(data))
                    if added and on_text is not None:
                        await on_text(added)
        except TimeoutError:
            raise LlmFailed(f"the LLM did not answer within {self.timeout_s:g} s") from None
        if not growing.finished:
            raise LlmFailed("the LLM's answer broke off")
        return growing.reply()


def _chunk(data: str) -> object:
    try:
        chunk: object = json.loads(data)
    except (ValueError, RecursionError):
        raise LlmFailed("the LLM's stream is not JSON") from None
    error = _get(chunk, "error")
    if error is not None:
        raise LlmFailed(f"the LLM reported an error: {_string(error, 'message') or 'without a message'}")
    return chunk


async def _events(base: str, body: dict[str, object]) -> AsyncGenerator[str]:
    """The ``data:`` of each event of one answer, up to ``[DONE]``."""
    url = urlsplit(base)
    try:
        async with aclosing(_lines(url, json.dumps(body, separators=(",", ":")).encode())) as lines:
            async for line in lines:
                name, _, value = line.partition(":")
                if name == "error":
                    raise LlmFailed("the LLM reported an error in its stream")
                value = value.strip()
                if name == "data" and value == "[DONE]":
                    await _part(lines)
                    return
                if name == "data":
                    yield value
    except (OSError, EOFError, ValueError) as problem:
        raise LlmFailed(f"the LLM cannot be reached or broke off: {problem or type(problem).__name__}") from None


async def _part(lines: AsyncGenerator[str]) -> None:
    """Hear the end of the body out: who hangs up before the last chunk breaks the exchange off for a recorder."""
    with suppress(OSError, EOFError, ValueError):  # among them: time is up
        async with asyncio.timeout(_PARTING_S):
            async for _ in lines:
                pass


async def _lines(url: SplitResult, body: bytes) -> AsyncGenerator[str]:
    if not url.hostname:
        raise LlmFailed("the LLM's URL names no host")
    port = url.port or (443 if url.scheme == "https" else 80)
    reader, writer = await asyncio.open_connection(
        url.hostname, port, ssl=True if url.scheme == "https" else None, limit=_MAX_LINE
    )
    try:
        writer.write(_request_head(url, len(body)) + body)
        await writer.drain()
        status, headers = await _response_head(reader)
        pieces = _pieces(reader, headers)
        if status != 200:
            raise LlmFailed(f"the LLM answered {status}: {await _beginning(pieces)}", status=status)
        rest = b""
        async for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace").rstrip("\r")
    finally:
        writer.close()


def _request_head(url: SplitResult, length: int) -> bytes:
    return (
        f"POST {url.path.rstrip('/')}/v1/chat/completions HTTP/1.1\r\n"
        f"Host: {url.netloc.rpartition('@')[2]}\r\n"
        "User-Agent: gp-replay-demo\r\n"
        "Accept: text/event-stream\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {length}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()


async def _response_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    status = 100
    headers: dict[str, str] = {}
    while status < 200:
        line = await _line(reader)
        protocol, _, after = line.partition(" ")
        if not protocol.startswith("HTTP/1.") or not after[:3].isdigit():
            raise LlmFailed("the LLM does not speak HTTP/1.1")
        status, headers = int(after[:3]), {}
        while line := await _line(reader):
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
    return status, headers


async def _pieces(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncGenerator[bytes]:
    """The body as it arrives, transfer coding removed."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await _line(reader)).partition(";")[0], 16):
            yield await reader.readexactly(size)
            await _line(reader)
        return
    left = int(headers["content-length"]) if "content-length" in headers else None
    while left != 0:
        piece = await reader.read(_MAX_LINE if left is None else min(left, _MAX_LINE))
        if not piece and left is not None:
            raise EOFError("the body is shorter than announced")
        if not piece:
            return
        left = None if left is None else left - len(piece)
        yield piece


async def _beginning(pieces: AsyncGenerator[bytes]) -> str:
    """The first 300 characters of a body, on one line."""
    body = b""
    async with aclosing(pieces):
        async for piece in pieces:
            body += piece
            if len(body) > 1200:
                break
    return " ".join(body.decode(errors="replace").split())[:300] or "no body"


async def _line(reader: asyncio.StreamReader) -> str:
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise LlmFailed("the LLM sent a line that is too long") from None
    return line.decode("latin-1").rstrip("\r\n")


def _get(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _string(value: object, name: str) -> str:
    found = _get(value, name)
    return found if isinstance(found, str) else ""


def _dicts(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
