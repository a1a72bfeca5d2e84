"""What the recorder costs a chunk: SSE events and WebSocket messages, direct, through a bare splice, and recorded.

Run it: ``python tests/benchmarks/bench_relay.py``. It prints arrival times and their ratios, all taken in one run, in
interleaved rounds. The promise is the bare splice's median + 0.3 ms.

Sender and receiver read the same monotonic clock; each event carries the time it was written.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

EVENTS = 150
ROUNDS = 6
GAP_SECONDS = 0.004
PADDING = '"model":"smollm2-135m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" word"}}]'


def payload() -> str:
    return f'{{"sent":{time.monotonic_ns()},{PADDING}}}'


async def upstream() -> None:
    """The service: SSE at /sse, WebSocket at /ws, on two ports."""

    async def sse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(EVENTS):
            event = f"data: {payload()}\n\n".encode()
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await asyncio.sleep(GAP_SECONDS)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def chat(socket: websockets.ServerConnection) -> None:
        for _ in range(EVENTS):
            await socket.send(payload())
            await asyncio.sleep(GAP_SECONDS)

    http = await asyncio.start_server(sse, "127.0.0.1", 0)
    async with serve(chat, "127.0.0.1", 0, compression=None) as ws:
        print(http.sockets[0].getsockname()[1], ws.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


class Splice(asyncio.Protocol):
    """The floor: one process between, that does nothing but pass bytes on."""

    def __init__(self, port: int, peer: Splice | None = None) -> None:
        self.port, self.peer, self.held = port, peer, b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.peer is None:
            loop = asyncio.get_running_loop()
            self.peer = Splice(self.port, self)
            self.dial = loop.create_task(loop.create_connection(lambda: self.peer, "127.0.0.1", self.port))
        elif self.peer.held:
            transport.write(self.peer.held)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)
        else:
            self.held += data

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()


async def splice(ports: list[int]) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda port=port: Splice(port), "127.0.0.1", 0) for port in ports]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


async def sse_delays(url: str) -> list[float]:
    host, _, port = url.partition("://")[2].partition("/")[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    path = "/" + url.partition("://")[2].partition("/")[2]
    writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    delays: list[float] = []
    while len(delays) < EVENTS:
        line = await reader.readline()
        if line.startswith(b'data: {"sent":'):
            delays.append((time.monotonic_ns() - int(line[14:].split(b",")[0])) / 1000)
    writer.close()
    return delays[5:]


async def ws_delays(url: str) -> list[float]:
    delays: list[float] = []
    async with connect(url.replace("http", "ws"), compression=None) as socket:
        async for message in socket:
            delays.append((time.monotonic_ns() - int(str(message)[8:].split(",")[0])) / 1000)
    return delays[5:]


async def measure() -> None:
    me = [sys.executable, __file__]
    with tempfile.TemporaryDirectory() as folder:
        service = subprocess.Popen([*me, "upstream"], stdout=subprocess.PIPE, text=True)
        assert service.stdout is not None
        sse_port, ws_port = map(int, service.stdout.readline().split())
        floor = subprocess.Popen([*me, "splice", str(sse_port), str(ws_port)], stdout=subprocess.PIPE, text=True)
        assert floor.stdout is not None
        floor_sse, floor_ws = map(int, floor.stdout.readline().split())
        command = [sys.executable, "-m", "gp_replay", "record", "--out", str(Path(folder) / "bench.gpr")]
        command += ["--upstream", f"sse=http://127.0.0.1:{sse_port}", "--upstream", f"ws=http://127.0.0.1:{ws_port}"]
        recorder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert recorder.stdout is not None
        root = recorder.stdout.readline().strip()
        routes = {
            "SSE": {
                "direct": f"http://127.0.0.1:{sse_port}/",
                "splice": f"http://127.0.0.1:{floor_sse}/",
                "recorder": f"{root}/sse/",
            },
            "WebSocket": {
                "direct": f"http://127.0.0.1:{ws_port}/",
                "splice": f"http://127.0.0.1:{floor_ws}/",
                "recorder": f"{root}/ws/",
            },
        }
        try:
            for kind, urls in routes.items():
                delays: dict[str, list[float]] = {name: [] for name in urls}
                for _ in range(ROUNDS):
                    for name, url in urls.items():
                        delays[name] += await (sse_delays(url) if kind == "SSE" else ws_delays(url))
                report(kind, delays)
        finally:
            for process in (recorder, floor, service):
                process.terminate()
                process.wait()


def report(kind: str, delays: dict[str, list[float]]) -> None:
    floor = statistics.median(delays["splice"])
    print(f"\n{kind}, arrival of an event in µs")
    print(f"{'':<12}{'p50':>8}{'p95':>8}{'over splice':>13}{'ratio':>7}")
    for name, values in delays.items():
        p50 = statistics.median(values)
        p95 = statistics.quantiles(values, n=20)[-1]
        print(f"{name:<12}{p50:>8.0f}{p95:>8.0f}{p50 - floor:>+13.0f}{p50 / floor:>7.2f}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["upstream"]:
            asyncio.run(upstream())
        case ["splice", *ports]:
            asyncio.run(splice([int(port) for port in ports]))
        case _:
            asyncio.run(measure())
