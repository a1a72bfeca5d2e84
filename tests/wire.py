"""Real sockets for tests: a server that does what the test says byte by byte, and a client that shows every byte."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from gp_replay.core.model import Event
from gp_replay.store import CassetteFile

T = TypeVar("T")
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(work: Coroutine[Any, Any, T], seconds: float = 10.0) -> T:
    """Runs a test's coroutine; a hang is a failure."""

    async def bounded() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run(bounded())


@contextlib.asynccontextmanager
async def raw_server(script: Script) -> AsyncIterator[str]:
    """A server on a free port; each connection runs ``script``. Gives its URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await script(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def dial(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A plain connection to a URL's host and port."""
    host, _, port = url.partition("://")[2].partition("/")[0].rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def exchange(url: str, *writes: bytes, half_close: bool = False) -> bytes:
    """Sends the writes and reads until the other side closes; a reset ends it too."""
    reader, writer = await dial(url)
    for data in writes:
        writer.write(data)
        await writer.drain()
    if half_close:
        writer.write_eof()
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while data := await reader.read(65536):
            got += data
    writer.close()
    return got


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """One request or response head."""
    return await reader.readuntil(b"\r\n\r\n")


def answering(*writes: bytes) -> Script:
    """A script that reads one head, writes and closes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        for data in writes:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)

    return script


def recorded(path: Path, stream: int = 1) -> list[Event]:
    """The events of one stream of a finished cassette."""
    with CassetteFile.open(path) as cassette:
        return list(cassette.events(stream))
