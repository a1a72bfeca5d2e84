"""How long a cassette of 10 000 exchanges takes to open, against a plain MessagePack unpack of as much in the same run.

Run: ``python tests/benchmarks/bench_load.py [EXCHANGES]``. Times differ between machines, ratios hardly do.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgpack

from gp_replay.core.model import (
    End,
    Event,
    Header,
    Opened,
    Origin,
    Piece,
    Protocol,
    RequestHead,
    ResponseHead,
    Role,
    Side,
)
from gp_replay.store import CassetteFile, CassetteWriter

BODY = b'{"model":"m","messages":[{"role":"user","content":"%06d"}]}' + b" " * 700
ROW_FIELDS = 14


def exchange(stream: int) -> Iterator[Event]:
    """Seven events, about 1.5 kB of bodies."""
    us, client, server = stream * 1000, Side.CLIENT, Side.SERVER
    headers = ((b"Content-Type", b"application/json"), (b"Content-Length", b"760"))
    yield Opened(at_us=us, stream=stream, side=client, protocol=Protocol.HTTP, role="llm")
    yield RequestHead(
        at_us=us, stream=stream, side=client, method=b"POST", target=b"/v1/chat", version=b"HTTP/1.1", headers=headers
    )
    yield Piece(at_us=us + 1, stream=stream, side=client, data=BODY % stream)
    yield End(at_us=us + 1, stream=stream, side=client)
    yield ResponseHead(
        at_us=us + 500, stream=stream, side=server, version=b"HTTP/1.1", status=200, reason=b"OK", headers=headers
    )
    yield Piece(at_us=us + 501, stream=stream, side=server, data=BODY % stream)
    yield End(at_us=us + 501, stream=stream, side=server)


def milliseconds(work: Callable[[], object], *, rounds: int = 5) -> float:
    """The best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best * 1e3


def record(path: Path, exchanges: int) -> None:
    header = Header(
        name="bench",
        recorded_at="2026-11-25T10:00:00Z",
        tool="bench",
        origin=Origin.SYNTHETIC,
        roles=(Role(name="llm", url="http://llm.test"),),
        salt=b"0123456789abcdef",
        redaction=(),
    )
    writer = CassetteWriter(path, header)
    for stream in range(1, exchanges + 1):
        for event in exchange(stream):
            writer.write(event)
        writer.drain()
    writer.close()


def main() -> None:
    exchanges = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bench.gpr")
        began = time.perf_counter()
        record(path, exchanges)
        recorded = (time.perf_counter() - began) * 1e3
        rows = [
            [event.data if isinstance(event, Piece) else 1 for event in exchange(n)] for n in range(1, exchanges + 1)
        ]
        packed = msgpack.packb(rows)
        index = msgpack.packb([[n, "llm", b"/v1/chat"] + [n] * ROW_FIELDS for n in range(exchanges)])

        def everything() -> None:
            with CassetteFile.open(path) as tape:
                for entry in tape.footer.entries:
                    tape.events(entry.stream)

        plain = milliseconds(lambda: msgpack.unpackb(packed))
        cases = {
            "plain unpack of the bodies": plain,
            "plain unpack of an index": milliseconds(lambda: msgpack.unpackb(index)),
            "open, digest verified": milliseconds(lambda: CassetteFile.open(path).close()),
            "open, not verified": milliseconds(lambda: CassetteFile.open(path, verify=False).close()),
            "open and read every event": milliseconds(everything, rounds=2),
            "record": recorded,
        }
        print(f"{exchanges} exchanges, {path.stat().st_size / 1e6:.1f} MB")
        for name, spent in cases.items():
            print(f"{name:28} {spent:9.1f} ms  {spent / plain:6.1f} x")


if __name__ == "__main__":
    main()
