"""How true a replay is to its recording's time, and what it costs.

Run it: ``python tests/benchmarks/bench_replay.py``. All figures of one run; costs as ratios to the smallest case.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgpack

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dialogue import ask, cassette, chat
from websockets.asyncio.client import connect

from gp_replay import api
from gp_replay.core.canonical import fingerprint, request_key
from gp_replay.core.explain import Request
from gp_replay.core.model import Piece, Protocol, RequestHead
from gp_replay.core.player import Player
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast
from gp_replay.store import CassetteFile, CassetteWriter

GAPS_MS = [3, 18, 18, 2, 40, 7, 18, 25, 1, 60] * 12


def save(tape: object, path: Path) -> None:
    writer = CassetteWriter(
        path,
        tape.header,  # type: ignore[attr-defined]
        key=lambda role, request: request_key(Rules(), role, request),
        fingerprint=fingerprint(Rules()),
    )
    for entry in tape.footer.entries:  # type: ignore[attr-defined]
        for event in tape.events(entry.stream):  # type: ignore[attr-defined]
            writer.write(event)
    writer.close()


async def gaps(folder: Path) -> None:
    offsets = [sum(GAPS_MS[: n + 1]) for n in range(len(GAPS_MS))]
    save(
        cassette(ask(1, "GET", "/sse", answer=[(at, f"data: {n}\n\n") for n, at in enumerate(offsets)])),
        folder / "s.gpr",
    )
    save(cassette(chat(1, *(f"{at + 2} < message {n}" for n, at in enumerate(offsets)))), folder / "w.gpr")
    async with api.replay(folder / "s.gpr") as replay:
        host, _, port = replay.url.partition("://")[2].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /sse HTTP/1.1\r\nHost: bench\r\n\r\n")
        seen: list[float] = []
        while len(seen) < len(GAPS_MS):
            if (await reader.readline()).startswith(b"data:"):
                seen.append(time.monotonic())
        writer.close()
    late("SSE", seen)
    async with api.replay(folder / "w.gpr") as replay, connect(replay.url.replace("http", "ws") + "/ws") as socket:
        seen = []
        for _ in GAPS_MS:
            await socket.recv()
            seen.append(time.monotonic())
    late("WebSocket", seen)


def late(kind: str, seen: list[float]) -> None:
    errors = [abs((now - before) * 1000 - gap) for before, now, gap in zip(seen, seen[1:], GAPS_MS[1:], strict=False)]
    within = sum(error <= 5 for error in errors) / len(errors)
    print(
        f"{kind:<10} gaps within 5 ms: {within:.1%}; median error {statistics.median(errors):.2f} ms, max {max(errors):.1f} ms"
    )


async def one_write(folder: Path) -> None:
    save(cassette(ask(1, "GET", "/x", answer=[(5 * n, f"data: {n}\n\n") for n in range(60)])), folder / "i.gpr")
    reads = []

    class Count(asyncio.Protocol):
        def __init__(self) -> None:
            self.done = asyncio.get_running_loop().create_future()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.write(b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n")  # type: ignore[attr-defined]

        def data_received(self, data: bytes) -> None:
            reads.append(len(data))

        def connection_lost(self, exc: Exception | None) -> None:
            self.done.set_result(None)

    async with api.replay(folder / "i.gpr", timing="instant") as replay:
        host, _, port = replay.url.partition("://")[2].rpartition(":")
        _, protocol = await asyncio.get_running_loop().create_connection(Count, host, int(port))
        await protocol.done
    print(f"unpaced, 60 chunks: the client needed {len(reads)} read(s) for {sum(reads)} bytes")


def matching() -> None:
    print("\nmatch and claim one of N recorded exchanges, µs a request")
    base = 0.0
    for count in (10, 1_000, 100_000):
        streams = [
            ask(n, "POST", "/v1", f'{{"q":"question {n}","n":[1,2,{{"a":"b"}}]}}', at=n) for n in range(1, count + 1)
        ]
        tape = cassette(*streams)
        player = Player([("t", compile(tape, server_cast(tape), Rules()))])
        asked = range(1, count + 1, max(1, count // 1_000))
        requests = []
        for n in asked:
            events = tape.events(n)
            head = next(event for event in events if isinstance(event, RequestHead))
            body = next(event.data for event in events if isinstance(event, Piece))
            requests.append(Request(protocol=Protocol.HTTP, role=None, head=head, body=body))
        gc.collect()
        best = []
        for live, request in enumerate(requests, 1):
            began = time.perf_counter()
            player.open(0, live, request)
            best.append(time.perf_counter() - began)
        cost = statistics.median(best) * 1e6
        base = base or cost
        print(f"{count:>8}{cost:>10.1f}{cost / base:>8.2f}")


def loading(folder: Path) -> None:
    path = folder / "many.gpr"
    streams = [
        ask(n, "POST", "/v1", f'{{"q":"question {n}"}}', answer=[(1, "x" * 1500)], at=n) for n in range(1, 10_001)
    ]
    save(cassette(*streams), path)
    data = path.read_bytes()
    began = time.perf_counter()
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    position = 10
    while position + 8 < len(data) - 16:
        size = int.from_bytes(data[position : position + 4], "big")
        unpacker.feed(data[position + 8 : position + 8 + size])
        unpacker.unpack()
        position += 8 + size
    plain = time.perf_counter() - began
    began = time.perf_counter()
    with CassetteFile.open(path) as tape:
        opened = time.perf_counter() - began
        Player([("t", compile(tape, server_cast(tape), Rules()))])
        ready = time.perf_counter() - began
    print(
        f"\n10 000 exchanges, {len(data) / 1e6:.1f} MB: opened and verified in {opened * 1000:.0f} ms, ready to match in "
        f"{ready * 1000:.0f} ms; {ready / plain:.2f} of unpacking every record with msgpack ({plain * 1000:.0f} ms)"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(gaps(folder))
        asyncio.run(one_write(folder))
        matching()
        loading(folder)


if __name__ == "__main__":
    main()
