"""Clients that mean harm, or are merely broken: they are told so, they end, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from pathlib import Path

import pytest
from dialogue import ask, cassette, chat
from filed import write
from wire import dial, exchange, raw_server, read_head, run

from gp_replay import api
from gp_replay.store import CassetteFile

GET = b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n"
CLOSE = b"GET /x HTTP/1.1\r\nHost: me\r\nConnection: close\r\n\r\n"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: me\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def quiet(line: str) -> None:
    """A log nobody reads."""


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, rsv: int = 0, length: int | None = None) -> bytes:
    """A masked frame, with whatever one may not say."""
    size = len(data) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if size > 65535:
        head += b"\xff" + struct.pack(">Q", size)
    elif size > 125:
        head += b"\xfe" + struct.pack(">H", size)
    else:
        head += bytes([0x80 | size])
    return head + bytes(4) + data


def close_of(data: bytes) -> int:
    """The code of the close frame behind the server's ``hello``."""
    assert data.startswith(b"\x81\x05hello\x88"), data
    return int.from_bytes(data[9:11], "big")


ILLEGAL = {
    "not masked": (b"\x81\x02hi", 4400),
    "reserved bit": (frame(1, b"hi", rsv=4), 4400),
    "unknown opcode": (frame(3), 4400),
    "unknown control opcode": (frame(11), 4400),
    "control frame in fragments": (frame(9, b"x", fin=False), 4400),
    "control frame too long": (frame(9, b"x" * 126), 4400),
    "continuation of nothing": (frame(0, b"x"), 4400),
    "message within a message": (frame(1, b"a", fin=False) + frame(1, b"b"), 4400),
    "close with one byte": (frame(8, b"\x03"), 4400),
    "close with a code nobody may send": (frame(8, struct.pack(">H", 1005)), 4400),
    "close with a reason that is no text": (frame(8, b"\x03\xe8\xff"), 4400),
    "a length of 2**62": (frame(1, length=2**62), 4413),
    "a length with its sign set": (frame(1, length=2**63 + 5), 4413),
    "text that is none": (frame(1, b"\xff\xfe"), 4400),
    "brackets without end": (frame(1, b"[" * 100_000), 4409),
    "a number without end": (frame(1, b'{"a":' + b"9" * 100_000 + b"}"), 4409),
    "HTTP": (GET, 4400),
    "zeros": (bytes(5000), 4400),
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_frame_is_closed_with_its_code_and_the_next_client_is_served(name: str, tmp_path: Path) -> None:
    data, code = ILLEGAL[name]
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x"), chat(2, "5 < hello", "6 > hi", "7 < bye")))

    async def main() -> tuple[bytes, bytes]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=quiet) as replay:
            return await exchange(replay.url, UPGRADE + data), await exchange(replay.url, CLOSE)

    answer, other = run(main())
    assert close_of(answer.partition(b"\r\n\r\n")[2]) == code
    assert other.startswith(b"HTTP/1.1 200 ")


ODD_TARGETS = [
    *(b"/../../etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"/llm/../../x", b"/x/../_gp_replay/namespaces"),
    *(b"//_gp_replay/namespaces", b"/%5fgp_replay/namespaces", b"/~/x", b"/~../x", b"/~a%2f/x", b"/~nobody/x"),
    *(b"*", b"x", b"://", b"//[", b"http://[::1", b"/%00", b"/\xff\xfe"),
    *(b"/?" + b"a=&" * 5000, b"/" * 5000, b"/x?" + b"%" * 999),
]


@pytest.mark.parametrize("target", ODD_TARGETS)
def test_an_odd_target_is_a_miss_and_nothing_else(target: bytes, tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/y", role="llm"), ask(2, "GET", "/x", role="llm")))

    async def main() -> bytes:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=quiet) as replay:
            return await exchange(replay.url, b"GET " + target + b" HTTP/1.1\r\nConnection: close\r\n\r\n")

    assert run(main()).startswith(b"HTTP/1.1 424 ")


@pytest.mark.slow
def test_a_storm_of_requests_on_one_connection_lets_others_have_their_turn(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    storm = b"GET /none HTTP/1.1\r\n\r\n" * 3000

    async def main() -> tuple[bytes, int, int]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=quiet) as replay:
            reader, writer = await dial(replay.url)
            writer.write(storm)
            await read_head(reader)
            answer = await exchange(replay.url, CLOSE)
            meanwhile = len(replay.receipt.missed)
            writer.write_eof()
            answers = (await reader.read()).count(b"HTTP/1.1 424 ")
            writer.close()
            return answer, meanwhile, answers

    answer, meanwhile, answers = run(main())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert meanwhile < 1000
    assert answers == 2999


@pytest.mark.parametrize("timing", ["instant", "recorded"])
def test_half_a_connection_gets_all_its_answers(timing: str, tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(*(ask(n, "GET", "/x", answer=[(2, f"<{n}>")], at=n) for n in range(1, 9))))
    requests = GET * 4 + GET.replace(b"/x", b"/none") + GET * 4 + b"GET /x HT"

    async def main() -> bytes:
        async with api.replay(tmp_path / "a.gpr", timing=timing, log=quiet) as replay:
            return await exchange(replay.url, requests, half_close=True)

    answers = run(main())
    assert [answers.count(b"<%d>" % n) for n in range(1, 9)] == [1] * 8
    assert answers.count(b"HTTP/1.1 424 ") == 1


@pytest.mark.slow
def test_a_client_that_does_not_read_is_not_read_from_and_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(chat(1, "5 < hello", "6 > hi")))
    pings = frame(9, b"p" * 125) * 1000

    async def main() -> tuple[int, int]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=quiet) as replay:
            raw = socket.socket()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.connect(("127.0.0.1", int(replay.url.rpartition(":")[2])))
            raw.setblocking(False)
            reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
            writer.write(UPGRADE)
            await read_head(reader)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 300_000:
                    writer.write(pings)
                    sent += 1000
                    async with asyncio.timeout(0.5):
                        await writer.drain()
            pongs, kept = 0, b""
            async with asyncio.timeout(5):
                while pongs < sent:
                    data = kept + await reader.read(65536)
                    pongs += data.count(b"\x8a\x7d")
                    kept = data[-1:] if data.endswith(b"\x8a") else b""
            writer.close()
            return sent, pongs

    sent, pongs = run(main(), seconds=20)
    assert sent < 300_000
    assert pongs == sent


def test_many_idle_half_said_and_half_closed_connections_cost_nobody_anything(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))

    async def main() -> tuple[list[bytes], bytes]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=quiet) as replay:
            idle = [await dial(replay.url) for _ in range(200)]
            for number, (_, writer) in enumerate(idle):
                writer.write(UPGRADE[:number])
            ended = [await exchange(replay.url, UPGRADE[:number], half_close=True) for number in range(0, 100, 9)]
            answer = await exchange(replay.url, CLOSE)
            for _, writer in idle:
                writer.transport.abort()
            return ended, answer

    ended, answer = run(main())
    assert set(ended) == {b""}
    assert answer.startswith(b"HTTP/1.1 200 ")


async def ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream that answers every request with its number, until the client ends."""
    number = 0
    with contextlib.suppress(asyncio.IncompleteReadError):
        while await read_head(reader):
            number += 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d;" % (len(str(number)) + 1, number))
            await writer.drain()


def test_half_a_connection_gets_all_its_answers_from_the_upstream(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with raw_server(ok) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            return await exchange(recording.url, GET * 200, half_close=True)

    answers = run(main())
    assert [answers.count(b"\r\n\r\n%d;" % number) for number in range(1, 201)] == [1] * 200
    with CassetteFile.open(tmp_path / "a.gpr") as file:
        assert [entry.complete for entry in file.footer.entries] == [True] * 200


@pytest.mark.slow
def test_a_storm_of_requests_through_the_relay_lets_others_have_their_turn(tmp_path: Path) -> None:
    async def main() -> tuple[bytes, int, int]:
        async with raw_server(ok) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            reader, writer = await dial(recording.url)
            writer.write(GET * 1500)
            await read_head(reader)
            answer = await exchange(recording.url, GET, half_close=True)
            meanwhile = recording._tape.streams
            writer.write_eof()
            rest = (await reader.read()).count(b"HTTP/1.1 200 ")
            writer.close()
            return answer, meanwhile, rest

    answer, meanwhile, rest = run(main())
    assert answer.endswith(b"1;")
    assert meanwhile < 1000, meanwhile
    assert rest == 1499
