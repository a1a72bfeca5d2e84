"""The recording proxy on real sockets: what is relayed is what was sent, and the cassette says the same."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from wire import answering, dial, exchange, raw_server, read_head, recorded, run

from gp_replay import api
from gp_replay.core.model import (
    Close,
    End,
    Gone,
    How,
    Message,
    Opaque,
    Opcode,
    Piece,
    Ping,
    Protocol,
    RequestHead,
    ResponseHead,
    Side,
)
from gp_replay.store import CassetteFile

GET = b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n"


def bodies(events: list[object], side: Side) -> list[tuple[bytes, bool]]:
    return [(event.data, event.ends_chunk) for event in events if isinstance(event, Piece) and event.side is side]


ANSWERS = {
    "length": b"HTTP/1.1 200 Fine  words\r\nX-ODD-Case: 1\r\nset-cookie: a\r\nX-odd-case: 2\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;ext=1\r\n0123456789\r\n0\r\nX-Sum: 9\r\n\r\n",
    "until close": b"HTTP/1.0 200 OK\r\n\r\nall the rest",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "garbage": b"\x00\x01 this is no HTTP at all \xff\xfe",
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("cut", [10_000, 1, 7])
def test_the_client_gets_exactly_what_the_upstream_sent(name: str, cut: int, tmp_path: Path) -> None:
    answer = ANSWERS[name]
    writes = [answer[i : i + cut] for i in range(0, len(answer), cut)]

    async def main() -> bytes:
        async with raw_server(answering(*writes)) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            return await exchange(recording.url, GET)

    assert run(main()) == answer


def test_chunks_trailers_and_spelling_are_recorded_as_they_were(tmp_path: Path) -> None:
    async def main() -> None:
        async with raw_server(answering(ANSWERS["chunked"])) as url, api.record(url, out=tmp_path / "a") as recording:
            await exchange(recording.url, b"GET /x?A=1 HTTP/1.1\r\nhOST: me\r\nX-Two: 1\r\nx-two: 2\r\n\r\n")

    run(main())
    events = recorded(tmp_path / "a.gpr")
    head = next(event for event in events if isinstance(event, RequestHead))
    assert head.headers == ((b"hOST", b"me"), (b"X-Two", b"1"), (b"x-two", b"2"))
    assert head.target == b"/x?A=1"
    assert bodies(events, Side.SERVER) == [(b"hello", True), (b"0123456789", True)]
    (end,) = (event for event in events if isinstance(event, End) and event.side is Side.SERVER)
    assert end.trailers == ((b"X-Sum", b"9"),)


def test_interim_answers_and_head_are_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            raw_server(answering(ANSWERS["early hints"])) as url,
            api.record(url, out=tmp_path / "a.gpr") as recording,
        ):
            await exchange(recording.url, GET)
        async with (
            raw_server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")) as url,
            api.record(url, out=tmp_path / "b.gpr") as recording,
        ):
            await exchange(recording.url, b"HEAD /x HTTP/1.1\r\nHost: me\r\n\r\n")

    run(main())
    assert [event.status for event in recorded(tmp_path / "a.gpr") if isinstance(event, ResponseHead)] == [103, 200]
    with CassetteFile.open(tmp_path / "b.gpr") as cassette:
        assert cassette.footer.entries[0].complete


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", How.EOF),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf", How.EOF),
        (b"", How.EOF),
    ],
)
def test_a_truncated_answer_is_recorded_as_broken_off(answer: bytes, how: How, tmp_path: Path) -> None:
    async def main() -> bytes:
        async with raw_server(answering(answer)) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            return await exchange(recording.url, GET)

    assert run(main()) == answer
    assert [(event.side, event.how) for event in recorded(tmp_path / "a.gpr") if isinstance(event, Gone)] == [
        (Side.SERVER, how)
    ]


def test_a_client_that_leaves_in_the_middle_is_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
            await reader.read()
            gone.set()

        async with raw_server(endless) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            reader, writer = await dial(recording.url)
            writer.write(GET)
            await reader.readuntil(b"hi\r\n")
            writer.transport.abort()
            await gone.wait()

    run(main())
    assert Side.CLIENT in [event.side for event in recorded(tmp_path / "a.gpr") if isinstance(event, Gone)]


def test_an_event_arrives_while_the_stream_is_open_and_bytes_are_relayed_before_they_are_recorded(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        heard = asyncio.Event()

        async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: first\n\n")
            await heard.wait()
            writer.write(b"data: second\n\n")

        async with raw_server(patient) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            reader, writer = await dial(recording.url)
            writer.write(GET)
            await reader.readuntil(b"first\n\n")
            heard.set()
            assert await reader.read() == b"data: second\n\n"
            writer.close()

    run(main())


def test_several_requests_on_one_connection_and_pipelined_ones(tmp_path: Path) -> None:
    async def keep_alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(3):
            head = await read_head(reader)
            assert b"Host: 127.0.0.1" in head
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)

    async def main() -> bytes:
        async with raw_server(keep_alive) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            return await exchange(recording.url, GET + GET + GET)

    assert [part[-1:] for part in run(main()).split(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")[1:]] == [
        b"0",
        b"1",
        b"2",
    ]
    with CassetteFile.open(tmp_path / "a.gpr") as cassette:
        assert len(cassette.footer.entries) == 3


def test_a_compressed_answer_is_relayed_as_it_is_and_stored_decoded(tmp_path: Path) -> None:
    body = gzip.compress(b"hello " * 50)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(answer)

    async def main() -> bytes:
        async with raw_server(script) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            return await exchange(
                recording.url, b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br, gzip;q=1.0\r\n\r\n"
            )

    assert run(main()) == answer
    assert b"Accept-Encoding: gzip;q=1.0\r\n" in heads[0]
    events = recorded(tmp_path / "a.gpr")
    assert b"".join(data for data, _ in bodies(events, Side.SERVER)) == b"hello " * 50
    assert next(event for event in events if isinstance(event, ResponseHead)).coding == "gzip"


def test_what_is_not_understood_is_relayed_and_only_counted(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with raw_server(answering(ANSWERS["garbage"])) as url, api.record(url, out=tmp_path / "a.gpr") as rec:
            return await exchange(rec.url, GET)

    assert run(main()) == ANSWERS["garbage"]
    sizes = [event.size for event in recorded(tmp_path / "a.gpr") if isinstance(event, Opaque)]
    assert sum(sizes) == len(ANSWERS["garbage"])


def test_skipped_paths_are_relayed_and_not_recorded(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with (
            raw_server(answering(ANSWERS["length"])) as url,
            api.record(url, out=tmp_path / "a.gpr", skip=["/health*"]) as recording,
        ):
            await exchange(recording.url, GET)
            return await exchange(recording.url, b"GET /healthz HTTP/1.1\r\nHost: me\r\n\r\n")

    assert run(main()) == ANSWERS["length"]
    with CassetteFile.open(tmp_path / "a.gpr") as cassette:
        assert [entry.target for entry in cassette.footer.entries] == [b"/x"]


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
        (b"PRI * HTTP/2.0\r\n\r\n", b"505"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
    ],
)
def test_a_client_that_speaks_garbage_is_told_so_and_others_go_on(
    garbage: bytes, status: bytes, tmp_path: Path
) -> None:
    async def main() -> tuple[bytes, bytes]:
        async with (
            raw_server(answering(ANSWERS["length"])) as url,
            api.record(url, out=tmp_path / "a.gpr") as recording,
        ):
            bad = await exchange(recording.url, garbage)
            return bad, await exchange(recording.url, GET)

    bad, good = run(main())
    assert bad.split(b" ")[1] == status
    assert good == ANSWERS["length"]


def test_a_failing_tap_never_touches_the_relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gp_replay.core.recorder import Tap

    def broken(self: Tap, data: bytes, *, at_us: int) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Tap, "server_bytes", broken)

    async def main() -> tuple[bytes, api.Recording]:
        async with raw_server(answering(ANSWERS["chunked"])) as url:
            recording = api.record(url, out=tmp_path / "a.gpr")
            async with recording:
                return await exchange(recording.url, GET), recording

    answer, recording = run(main())
    assert answer == ANSWERS["chunked"]
    assert recording.result is not None
    assert recording.result.broken == 1


# WebSocket


def test_messages_fragments_pings_subprotocol_compression_and_close_are_recorded(tmp_path: Path) -> None:
    async def handler(socket: websockets.ServerConnection) -> None:
        await socket.send("welcome")
        await socket.ping(b"are you there")
        await socket.send(["frag", "mented", ""])
        assert await socket.recv() == "question"
        assert await socket.recv() == b"\x00\xff"
        await socket.send(b"\x01" * 2000)
        await socket.close(4001, "enough")

    async def main() -> tuple[list[object], str | None, tuple[int | None, str | None]]:
        async with (
            serve(handler, "127.0.0.1", 0, subprotocols=["chat.v1"]) as server,  # type: ignore[list-item]
            api.record(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", out=tmp_path / "a.gpr") as recording,
        ):
            got: list[object] = []
            async with connect(
                recording.url.replace("http", "ws") + "/ws?x=1",
                subprotocols=["other", "chat.v1"],  # type: ignore[list-item]
            ) as socket:
                got.append(await socket.recv())
                got.append(await socket.recv())
                await socket.send("question")
                await socket.send(b"\x00\xff")
                got.append(await socket.recv())
                with pytest.raises(websockets.ConnectionClosed):
                    await socket.recv()
            return got, socket.subprotocol, (socket.close_code, socket.close_reason)

    got, subprotocol, close = run(main())
    assert got == ["welcome", "fragmented", b"\x01" * 2000]
    assert (subprotocol, close) == ("chat.v1", (4001, "enough"))
    events = recorded(tmp_path / "a.gpr")
    messages = [event for event in events if isinstance(event, Message)]
    assert [(event.side, event.opcode, event.data) for event in messages] == [
        (Side.SERVER, Opcode.TEXT, b"welcome"),
        (Side.SERVER, Opcode.TEXT, b"fragmented"),
        (Side.CLIENT, Opcode.TEXT, b"question"),
        (Side.CLIENT, Opcode.BINARY, b"\x00\xff"),
        (Side.SERVER, Opcode.BINARY, b"\x01" * 2000),
    ]
    assert [fragment.length for fragment in messages[1].fragments] == [
        4,
        6,
        0,
        0,
    ]  # the library ends with an empty frame
    assert messages[0].deflated
    assert [event.data for event in events if isinstance(event, Ping)] == [b"are you there"]
    closes = [(event.side, event.code, event.reason) for event in events if isinstance(event, Close)]
    assert closes == [(Side.SERVER, 4001, b"enough"), (Side.CLIENT, 4001, b"enough")]


@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_a_refused_upgrade_is_recorded_with_its_status_and_body(status: int, tmp_path: Path) -> None:
    answer = b"HTTP/1.1 %d No\r\nContent-Length: 4\r\nX-Why: token\r\n\r\nnope" % status

    async def main() -> None:
        async with raw_server(answering(answer)) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            with pytest.raises(websockets.InvalidStatus) as refused:
                await connect(recording.url.replace("http", "ws"))
            assert refused.value.response.status_code == status

    run(main())
    with CassetteFile.open(tmp_path / "a.gpr") as cassette:
        (entry,) = cassette.footer.entries
        assert (entry.protocol, entry.status, entry.complete) == (Protocol.WEBSOCKET, status, True)


def test_an_abnormal_end_of_a_connection_is_recorded(tmp_path: Path) -> None:
    async def handler(socket: websockets.ServerConnection) -> None:
        await socket.send("bye")
        socket.transport.abort()

    async def main() -> None:
        async with (
            serve(handler, "127.0.0.1", 0) as server,
            api.record(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", out=tmp_path / "a.gpr") as recording,
        ):
            async with connect(recording.url.replace("http", "ws")) as socket:
                with pytest.raises(websockets.ConnectionClosedError):
                    while True:
                        await socket.recv()
            assert socket.close_code == 1006

    run(main())
    events = recorded(tmp_path / "a.gpr")
    assert not [event for event in events if isinstance(event, Close) and event.side is Side.SERVER]
    assert Side.SERVER in [event.side for event in events if isinstance(event, Gone)]


def test_a_client_that_does_not_read_holds_the_upstream_back(tmp_path: Path) -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 262_144)
            await writer.drain()
            sent += 262_144

    async def main() -> None:
        async with raw_server(flood) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            reader, writer = await dial(recording.url)
            writer.write(GET)
            await read_head(reader)
            before = -1
            while sent != before:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 50_000_000
            writer.transport.abort()

    run(main())


def test_a_request_that_waits_for_100_gets_it_from_the_upstream(tmp_path: Path) -> None:
    async def careful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await reader.readexactly(4) == b"body"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def main() -> bytes:
        async with raw_server(careful) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            reader, writer = await dial(recording.url)
            writer.write(b"PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            got = await read_head(reader)
            writer.write(b"body")
            got += await read_head(reader)
            writer.close()
            return got

    assert run(main()) == b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert [event.status for event in recorded(tmp_path / "a.gpr") if isinstance(event, ResponseHead)] == [100, 200]


def test_a_client_that_asks_several_roles_one_after_the_other_waits_for_each(tmp_path: Path) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")

    async def quick(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nquick")

    async def main() -> bytes:
        async with (
            raw_server(slow) as one,
            raw_server(quick) as two,
            api.record([f"a={one}", f"b={two}"], out=tmp_path / "a.gpr") as recording,
        ):
            reader, writer = await dial(recording.url)
            writer.write(b"".join(b"GET /%s/x HTTP/1.1\r\n\r\n" % role for role in (b"a", b"b", b"a", b"b")))
            got = b""
            while got.count(b"HTTP/1.1") < 4 or not got.endswith(b"quick"):
                got += await reader.read(65536)
            writer.close()
            return got

    answer = run(main())
    assert [part[-5:].strip() for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"slow",
        b"quick",
        b"slow",
        b"quick",
    ]
