"""The replay server on real sockets: what was recorded is what a client sees, and nobody sees anything else."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
import websockets
from dialogue import CLIENT, SERVER, ask, cassette, chat
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from wire import answering, dial, exchange, raw_server, read_head, run

from gp_replay import api
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Gone, How, ResponseHead
from gp_replay.store import CassetteWriter

GET = b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n"
CLOSE = b"GET /x HTTP/1.1\r\nHost: me\r\nConnection: close\r\n\r\n"


def save(tape: MemoryCassette, path: Path) -> Path:
    """Writes a cassette in memory to a file."""
    writer = CassetteWriter(path, tape.header)
    for entry in tape.footer.entries:
        for event in tape.events(entry.stream):
            writer.write(event)
    writer.close()
    return path


def quiet(line: str) -> None:
    """A log nobody reads."""


ANSWERS = {
    "length": b"HTTP/1.1 200 Fine  words\r\nX-ODD-Case: 1\r\nset-cookie2: a\r\nX-odd-case: 2\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na\r\n0123456789\r\n0\r\nX-Sum: 9\r\n\r\n",
    "until close": b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nall the rest",
    "no content": b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 12\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "redirect": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n",
    "error": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad",
    "cut length": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
    "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("timing", ["recorded", "instant"])
@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_the_recorded_one_byte_for_byte(name: str, timing: str, tmp_path: Path) -> None:
    async def main() -> tuple[bytes, bytes]:
        async with raw_server(answering(ANSWERS[name])) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            live = await exchange(recording.url, CLOSE)
        async with api.replay(tmp_path / "a.gpr", timing=timing, log=quiet) as replay:
            return live, await exchange(replay.url, CLOSE)

    live, replayed = run(main())
    assert live == ANSWERS[name]
    lines = [line for line in replayed.split(b"\r\n") if not line.startswith(b"x-gp-replay:")]
    assert b"\r\n".join(lines) == live
    assert (b"x-gp-replay: a#1" in replayed) == bool(live)


def test_an_unpaced_stream_leaves_in_one_write_with_its_chunk_framing(tmp_path: Path) -> None:
    save(cassette(ask(1, "GET", "/x", answer=[(5 * n, f"data: {n}\n\n") for n in range(60)])), tmp_path / "a.gpr")

    async def main() -> bytes:
        async with api.replay(tmp_path / "a.gpr", timing="instant") as replay:
            reader, writer = await dial(replay.url)
            writer.write(GET)
            await read_head(reader)
            data = await reader.read(1 << 20)
            writer.close()
            return data

    assert run(main()) == b"".join(b"%x\r\ndata: %d\n\n\r\n" % (len(f"data: {n}\n\n"), n) for n in range(60)) + (
        b"0\r\n\r\n"
    )


def test_a_miss_is_a_424_that_says_what_differs_and_how_to_heal_it(tmp_path: Path) -> None:
    save(cassette(ask(1, "POST", "/v1", '{"city":"Rome"}')), tmp_path / "a.gpr")
    lines: list[str] = []

    async def main() -> tuple[bytes, api.Replay]:
        replay = api.replay(tmp_path / "a.gpr", log=lines.append)
        async with replay:
            body = b'{"city":"Oslo"}'
            request = (
                b"POST /v1 HTTP/1.1\r\nHost: me\r\nConnection: close\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body)
            )
            return await exchange(replay.url, request, body), replay

    answer, replay = run(main())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 424 ")
    assert b"x-gp-replay: miss" in head
    assert b"x-should-retry: false" in head
    problem = json.loads(body)["error"]
    assert problem["nearest"] == "a#1"
    assert problem["differences"] == [{"at": "body.city", "recorded": "Rome", "live": "Oslo"}]
    assert 'at = "body.city"' in problem["rule"]
    assert "nearest: a#1" in lines[0]
    assert replay.receipt.exit_code == 1


def test_a_pasted_rule_heals_the_miss(tmp_path: Path) -> None:
    save(cassette(ask(1, "POST", "/v1", '{"city":"Rome"}', answer=[(1, "sunny")])), tmp_path / "a.gpr")
    (tmp_path / "a.toml").write_text('[[volatile]]\nat = "body.city"\n')

    async def main() -> bytes:
        async with api.replay(tmp_path / "a.gpr") as replay:
            request = b"POST /v1 HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 15\r\n\r\n"
            return await exchange(replay.url, request + b'{"city":"Oslo"}')

    assert b"sunny" in run(main())


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    streams = [ask(n, "GET", "/x", answer=[(1, f"<{n}>")], at=n) for n in range(1, 400)]
    save(cassette(*streams), tmp_path / "a.gpr")

    async def main() -> bytes:
        async with api.replay(tmp_path / "a.gpr", timing="instant") as replay:
            return await exchange(replay.url, GET * 398 + CLOSE)

    answer = run(main())
    assert [answer.find(b"<%d>" % n) for n in range(1, 400)] == sorted(answer.find(b"<%d>" % n) for n in range(1, 400))


def test_a_coding_is_applied_again_for_a_client_that_takes_it_and_left_off_for_one_that_does_not(
    tmp_path: Path,
) -> None:
    body = gzip.compress(b"hello " * 50)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    ask_gzip = b"GET /x HTTP/1.1\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"

    async def main() -> tuple[bytes, bytes]:
        async with raw_server(answering(answer)) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            await exchange(recording.url, ask_gzip)
        async with api.replay(tmp_path / "a.gpr") as replay:
            coded = await exchange(replay.url, ask_gzip)
        async with api.replay(tmp_path / "a.gpr") as replay:
            return coded, await exchange(replay.url, CLOSE)

    coded, plain = run(main())
    head, _, data = coded.partition(b"\r\n\r\n")
    assert b"Content-Encoding: gzip" in head
    assert gzip.decompress(data) == b"hello " * 50
    assert b"Content-Length: %d\r\n" % len(data) in head
    head, _, data = plain.partition(b"\r\n\r\n")
    assert b"Content-Encoding" not in head
    assert data == b"hello " * 50


def test_a_client_that_expects_100_gets_it(tmp_path: Path) -> None:
    save(cassette(ask(1, "POST", "/v1", '{"a":1}')), tmp_path / "a.gpr")

    async def main() -> bytes:
        async with api.replay(tmp_path / "a.gpr") as replay:
            reader, writer = await dial(replay.url)
            writer.write(
                b"POST /v1 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n"
            )
            first = await read_head(reader)
            writer.write(b'{"a":1}')
            second = await read_head(reader)
            writer.close()
            return first + second

    assert run(main()).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x00\xc8\x01", b"400"),
        (b"\x00\x01", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", b"431"),
        (b"PRI * HTTP/2.0\r\n\r\n", b"505"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", b"400"),
    ],
)
def test_garbage_is_refused_and_others_go_on(garbage: bytes, status: bytes, tmp_path: Path) -> None:
    save(cassette(ask(1, "GET", "/x")), tmp_path / "a.gpr")

    async def main() -> tuple[bytes, bytes]:
        async with api.replay(tmp_path / "a.gpr", log=quiet) as replay:
            bad = await exchange(replay.url, garbage)
            return bad, await exchange(replay.url, CLOSE)

    bad, good = run(main())
    assert bad.split(b" ")[1] == status
    assert b"200 OK" in good


def test_a_websocket_conversation_is_replayed_as_it_was(tmp_path: Path) -> None:
    async def handler(socket: websockets.ServerConnection) -> None:
        await socket.send("welcome")
        await socket.send(["frag", "mented"])
        assert await socket.recv() == "question"
        await socket.send(b"\x01" * 2000)
        await socket.close(4001, "enough")

    async def talk(url: str) -> tuple[list[object], str | None, int | None, str | None]:
        got: list[object] = []
        protocols = ["other", "chat.v1"]
        async with connect(url.replace("http", "ws") + "/ws?x=1", subprotocols=protocols) as socket:  # type: ignore[arg-type]
            got.append(await socket.recv())
            got.append([part async for part in socket.recv_streaming()])
            await socket.send("question")
            got.append(await socket.recv())
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
        return got, socket.subprotocol, socket.close_code, socket.close_reason

    async def main() -> tuple[object, object, api.Replay]:
        async with (
            serve(handler, "127.0.0.1", 0, subprotocols=["chat.v1"]) as server,  # type: ignore[list-item]
            api.record(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", out=tmp_path / "a.gpr") as recording,
        ):
            live = await talk(recording.url)
        replay = api.replay(tmp_path / "a.gpr")
        async with replay:
            return live, await talk(replay.url), replay

    live, replayed, replay = run(main())
    assert replayed == live
    assert replay.receipt.exit_code == 0
    assert not replay.receipt.unfinished


@pytest.mark.parametrize("compression", ["deflate", None])
def test_compression_is_negotiated_only_where_both_have_it(compression: str | None, tmp_path: Path) -> None:
    async def handler(socket: websockets.ServerConnection) -> None:
        await socket.send("a" * 1000)
        await socket.wait_closed()

    async def main() -> tuple[str, bool]:
        async with (
            serve(handler, "127.0.0.1", 0) as server,
            api.record(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", out=tmp_path / "a.gpr") as recording,
            connect(recording.url.replace("http", "ws")) as socket,
        ):
            await socket.recv()
        async with (
            api.replay(tmp_path / "a.gpr") as replay,
            connect(replay.url.replace("http", "ws"), compression=compression) as socket,
        ):
            return str(await socket.recv()), bool(socket.protocol.extensions)

    assert run(main()) == ("a" * 1000, compression == "deflate")


@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_a_refused_upgrade_is_refused_again(status: int, tmp_path: Path) -> None:
    answer = b"HTTP/1.1 %d No\r\nContent-Length: 4\r\nX-Why: token\r\n\r\nnope" % status

    async def knock(url: str) -> tuple[int, bytes | None, str | None]:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(url.replace("http", "ws"))
        response = refused.value.response
        return response.status_code, response.body, response.headers["X-Why"]

    async def main() -> tuple[object, object]:
        async with raw_server(answering(answer)) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            live = await knock(recording.url)
        async with api.replay(tmp_path / "a.gpr") as replay:
            return live, await knock(replay.url)

    live, replayed = run(main())
    assert live == replayed


async def _closed(url: str, *messages: str | bytes) -> tuple[int | None, str | None]:
    async with connect(url.replace("http", "ws") + "/ws") as socket:
        for message in messages:
            await socket.send(message)
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code, socket.close_reason


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        (['{"city":"Oslo"}'], 4409, "gp-replay: message differs from a#1 at message.city"),
        (['{"city":"Rome"}', "more"], 4404, "gp-replay: message beyond the end of a#1"),
        ([b"\x00"], 4409, "gp-replay: message differs from a#1"),
        (["{"], 4409, "gp-replay: message differs from a#1"),
    ],
)
def test_what_the_recorded_client_did_not_say_is_refused_with_its_reason(
    messages: list[str | bytes], code: int, reason: str, tmp_path: Path
) -> None:
    save(cassette(chat(1, '5 > {"city":"Rome"}', "6 < sunny", close=None)), tmp_path / "a.gpr")

    async def main() -> tuple[tuple[int | None, str | None], api.Replay]:
        replay = api.replay(tmp_path / "a.gpr", timing="instant", log=quiet)
        async with replay:
            return await _closed(replay.url, *messages), replay

    (got_code, got_reason), replay = run(main())
    assert got_code == code
    assert (got_reason or "").startswith(reason)
    assert replay.receipt.exit_code == 1


def test_a_stalled_client_is_closed_with_4408(tmp_path: Path) -> None:
    save(cassette(chat(1, "5 > go", "6 < done")), tmp_path / "a.gpr")

    async def main() -> tuple[int | None, str | None]:
        async with api.replay(tmp_path / "a.gpr", patience=0.05, log=quiet) as replay:
            return await _closed(replay.url)

    assert run(main())[0] == 4408


def test_a_frame_that_is_none_is_closed_with_4400_and_others_go_on(tmp_path: Path) -> None:
    save(cassette(chat(1, "5 > go", "6 < done"), chat(2, "5 > go", "6 < done")), tmp_path / "a.gpr")

    async def main() -> tuple[bytes, str]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=quiet) as replay:
            handshake = (
                b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            reader, writer = await dial(replay.url)
            writer.write(handshake + b"\xff\xff\xff\xff\xff\xff")
            bad = await reader.read()
            writer.close()
            async with connect(replay.url.replace("http", "ws") + "/ws") as socket:
                await socket.send("go")
                return bad, str(await socket.recv())

    bad, good = run(main())
    assert (4400).to_bytes(2, "big") in bad
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in bad
    assert good == "done"


def test_an_abnormal_end_is_abnormal_again(tmp_path: Path) -> None:
    events = chat(1, "5 < bye", close=None)
    events.append(Gone(at_us=6_000, stream=1, side=SERVER, how=How.RESET))
    save(cassette(events), tmp_path / "a.gpr")

    async def main() -> tuple[int | None, str | None]:
        async with api.replay(tmp_path / "a.gpr") as replay:
            return await _closed(replay.url)

    assert run(main())[0] == 1006


def test_the_socket_stays_open_until_a_client_leaves_that_ended_the_recorded_conversation(tmp_path: Path) -> None:
    save(cassette(chat(1, "5 < bye", close=(CLIENT, 1000))), tmp_path / "a.gpr")

    async def main() -> int | None:
        async with api.replay(tmp_path / "a.gpr", timing="instant") as replay:
            async with connect(replay.url.replace("http", "ws") + "/ws") as socket:
                assert await socket.recv() == "bye"
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(socket.recv(), 0.1)
            return socket.close_code

    assert run(main()) == 1000


def test_live_pings_are_answered(tmp_path: Path) -> None:
    save(cassette(chat(1, "5 < bye")), tmp_path / "a.gpr")

    async def main() -> None:
        async with (
            api.replay(tmp_path / "a.gpr", timing="instant") as replay,
            connect(replay.url.replace("http", "ws") + "/ws") as socket,
        ):
            await (await socket.ping(b"here"))

    run(main())


def test_a_recording_that_cannot_be_rendered_drops_its_client_and_no_other(tmp_path: Path) -> None:
    broken = chat(1, "5 < hi", path="/broken")
    head = broken[2]
    assert isinstance(head, ResponseHead)
    broken[2] = replace(head, headers=(*head.headers, (b"Sec-WebSocket-Extensions", b"x-unheard-of")))
    save(cassette(broken, ask(2, "GET", "/x", answer=[(1, "fine")])), tmp_path / "a.gpr")
    said: list[str] = []

    async def main() -> bytes:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=said.append) as replay:
            with pytest.raises((websockets.InvalidMessage, OSError, EOFError)):
                await connect(replay.url.replace("http", "ws") + "/broken")
            return await exchange(replay.url, CLOSE)

    assert b"fine" in run(main())
    assert "cannot be rendered" in said[0]


def test_what_a_client_sends_cannot_drive_the_terminal(tmp_path: Path) -> None:
    save(cassette(ask(1, "GET", "/x")), tmp_path / "a.gpr")
    said: list[str] = []

    async def main() -> None:
        async with api.replay(tmp_path / "a.gpr", log=said.append) as replay:
            await exchange(replay.url, b"GET /%1b[2J%0aerror HTTP/1.1\r\nConnection: close\r\n\r\n")

    run(main())
    assert "\x1b" not in said[0]
    assert said[0].count("\n") <= 3
