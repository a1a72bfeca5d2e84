"""An OpenAI-compatible server that says what a test tells it to, over real sockets: chunked, one event a chunk."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


@dataclass
class Answer:
    """Bytes to write, piece by piece; ``hang`` keeps the connection open after them until the client leaves."""

    pieces: list[bytes]
    hang: bool = False


@dataclass
class ScriptedLlm:
    """``url`` to ask, and what was asked: raw heads, raw bodies; ``left`` is set when a hanging client has gone."""

    url: str
    heads: list[bytes] = field(default_factory=list)
    raw_bodies: list[bytes] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def bodies(self) -> list[dict]:
        return [json.loads(body) for body in self.raw_bodies]


@contextlib.asynccontextmanager
async def scripted_llm(answer: Callable[[dict], Answer]) -> AsyncIterator[ScriptedLlm]:
    llm = ScriptedLlm(url="")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(int(length.partition(b":")[2]))
            llm.heads.append(head)
            llm.raw_bodies.append(body)
            told = answer(json.loads(body))
            for piece in told.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if told.hang:
                await reader.read()
                llm.left.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    llm.url = f"http://{host}:{port}"
    async with server:
        yield llm


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(value: object) -> bytes:
    return chunk(b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n")


def delta(value: dict, finish: str | None = None) -> bytes:
    return event({"choices": [{"index": 0, "delta": value, "finish_reason": finish}]})


def text(*parts: str) -> Answer:
    pieces = [delta({"role": "assistant", "content": None}), *(delta({"content": part}) for part in parts)]
    return Answer([OK, *pieces, delta({}, "stop"), event(b"[DONE]"), LAST])


def calls(*wanted: tuple[str, str, str]) -> Answer:
    """Tool calls as (id, name, arguments), the arguments streamed in two pieces."""
    pieces = []
    for index, (call_id, name, arguments) in enumerate(wanted):
        half = len(arguments) // 2
        first = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        pieces.append(delta({"tool_calls": [first]}))
        for part in (arguments[:half], arguments[half:]):
            pieces.append(delta({"tool_calls": [{"index": index, "function": {"arguments": part}}]}))
    return Answer([OK, *pieces, delta({}, "tool_calls"), event(b"[DONE]"), LAST])


def status(code: int, body: bytes = b"") -> Answer:
    return Answer([b"HTTP/1.1 %d Told So\r\nContent-Length: %d\r\n\r\n%b" % (code, len(body), body)])


def question(body: dict) -> str:
    """The last thing the user said in a request."""
    return [message["content"] for message in body["messages"] if message["role"] == "user"][-1]


def sensible(body: dict) -> Answer:
    """A model that does what the demo hopes for: a tool for a number, and then a text that names the tool's result."""
    asked = question(body)
    last = body["messages"][-1]
    if "tools" not in body:
        return text("The", " answer", " is", " ", last["content"] if last["role"] == "tool" else "advice")
    if "cost" in asked:
        return calls(("id-of-cost", "cost_lookup", '{"service": "compute", "month": "2025-08"}'))
    if "Calculate" in asked:
        return calls(("id-of-sum", "calculator", json.dumps({"expression": asked.partition(" ")[2].rstrip(".")})))
    return text("no tool")
