"""What no recording answers goes live, when asked: the same splice as a recording, and then the cassette again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dialogue import ask, cassette, chat
from filed import write
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from wire import Script, answering, dial, exchange, raw_server, read_head, run

from gp_replay import api
from gp_replay.demo.tokens import make_token
from gp_replay.errors import UsageError

KNOWN = b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n"
NEW = b"GET /new HTTP/1.1\r\nHost: me\r\nX-ODD-case: 1\r\n\r\n"
LIVE = b"HTTP/1.1 200 Live  words\r\nX-oDD: 1\r\nContent-Length: 4\r\n\r\nlive"


def closing(request: bytes) -> bytes:
    return request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def tape(tmp_path: Path, *more: list) -> Path:
    """One exchange GET /x and what else is given."""
    return write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x"), *more))


@contextlib.asynccontextmanager
async def live_replay(
    path: Path, script: Script, said: list[str] | None = None, **options: object
) -> AsyncIterator[tuple[api.Replay, str]]:
    """A replay whose misses go to a server that runs ``script``. Gives both."""
    log = [] if said is None else said
    options = {"timing": "instant", "log": log.append, **options}
    async with (
        raw_server(script) as url,
        api.replay(path, on_miss="live", upstreams={"default": url}, **options) as replay,  # type: ignore[arg-type]
    ):
        yield replay, url


ANSWERS = {
    "length": LIVE,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 9\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
}
LAST_ANSWERS = {
    "until close": b"HTTP/1.0 200 OK\r\n\r\nall the rest",
    "says close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    "cut": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf",
    "nothing": b"",
    "no HTTP": b"\x00\x01 this is no HTTP at all \xff\xfe",
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("cut", [10_000, 1, 7])
def test_a_miss_is_answered_by_the_upstream_byte_for_byte_and_then_the_cassette_goes_on(
    name: str, cut: int, tmp_path: Path
) -> None:
    answer = ANSWERS[name]
    writes = [answer[i : i + cut] for i in range(0, len(answer), cut)]

    async def main() -> tuple[bytes, api.Replay]:
        async with live_replay(tape(tmp_path), answering(*writes)) as (replay, _):
            return await exchange(replay.url, NEW, closing(KNOWN)), replay

    got, replay = run(main())
    assert got.startswith(answer)
    assert b"x-gp-replay: a#1" in got[len(answer) :]
    assert replay.receipt.missed == ()


@pytest.mark.parametrize("name", LAST_ANSWERS)
def test_an_answer_that_ends_the_connection_upstream_ends_it_here(name: str, tmp_path: Path) -> None:
    async def main() -> bytes:
        async with live_replay(tape(tmp_path), answering(LAST_ANSWERS[name])) as (replay, _):
            return await exchange(replay.url, NEW)

    assert run(main()) == LAST_ANSWERS[name]


def test_the_upstream_gets_what_the_client_sent_and_its_own_host(tmp_path: Path) -> None:
    heads: list[bytes] = []
    body = b"3;why=not\r\nabc\r\n02\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        heads.append(await reader.readexactly(len(body)))
        writer.write(LIVE)
        heads.append(await reader.read())

    async def main() -> str:
        request = b"POST /new?a=1 HTTP/1.1\r\nhOST: me\r\nTransfer-Encoding: chunked\r\nX-ODD: 1\r\n\r\n"
        async with live_replay(tape(tmp_path), script) as (replay, url):
            got = await exchange(replay.url + "/", request, body[:5], body[5:], closing(KNOWN))
            assert got.startswith(LIVE)
            return url.removeprefix("http://")

    authority = run(main()).encode()
    assert heads == [
        b"POST /new?a=1 HTTP/1.1\r\nhOST: " + authority + b"\r\nTransfer-Encoding: chunked\r\nX-ODD: 1\r\n\r\n",
        body,
        b"",
    ]


def test_requests_sent_ahead_are_answered_in_order_live_or_from_the_cassette(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with live_replay(tape(tmp_path, ask(2, "GET", "/y")), answering(LIVE)) as (replay, _):
            last = closing(KNOWN.replace(b"/x", b"/y"))
            return await exchange(replay.url, KNOWN + NEW + NEW + last)

    got = run(main())
    places = [got.index(b"a#1"), got.index(LIVE), got.rindex(LIVE), got.index(b"a#2")]
    assert places == sorted(places)
    assert got.count(LIVE) == 2


def test_an_event_arrives_while_the_stream_is_open(tmp_path: Path) -> None:
    async def main() -> None:
        heard = asyncio.Event()

        async def patient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: 1\n\r\n")
            await heard.wait()
            writer.write(b"8\r\ndata: 2\n\r\n0\r\n\r\n")

        async with live_replay(tape(tmp_path), patient) as (replay, _):
            reader, writer = await dial(replay.url)
            writer.write(NEW)
            await reader.readuntil(b"data: 1\n\r\n")
            heard.set()
            await reader.readuntil(b"0\r\n\r\n")
            writer.write(closing(KNOWN))
            assert b"a#1" in await reader.read()
            writer.close()

    run(main())


@pytest.mark.slow
def test_a_client_that_does_not_read_holds_the_upstream_back(tmp_path: Path) -> None:
    size = 64 * 1024 * 1024
    sent = 0

    async def main() -> None:
        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            while sent < size:
                writer.write(bytes(65536))
                sent += 65536
                await writer.drain()

        async with live_replay(tape(tmp_path), flood) as (replay, _):
            reader, writer = await dial(replay.url)
            writer.write(NEW)
            await read_head(reader)
            held = -1
            while held != sent:
                held = sent
                await asyncio.sleep(0.05)
            assert held < size // 2
            assert len(await reader.readexactly(size)) == size
            writer.write(closing(KNOWN))
            assert b"a#1" in await reader.read()
            writer.close()

    run(main(), seconds=30)


def test_a_client_that_leaves_takes_the_upstream_along(tmp_path: Path) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
            with contextlib.suppress(ConnectionError):
                await reader.read()
            gone.set()

        async with live_replay(tape(tmp_path), hangs) as (replay, _):
            reader, writer = await dial(replay.url)
            writer.write(NEW)
            await reader.readuntil(b"hi\r\n")
            writer.transport.abort()
            await gone.wait()

    run(main())


def test_an_upstream_that_hangs_is_let_go_when_the_replay_ends_and_nobody_else_waits(tmp_path: Path) -> None:
    async def main() -> bytes:
        asked = asyncio.Event()

        async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            asked.set()
            await reader.read()

        async with live_replay(tape(tmp_path), hangs) as (replay, _):
            _, writer = await dial(replay.url)
            writer.write(NEW)
            await asked.wait()
            got = await exchange(replay.url, closing(KNOWN))
            writer.close()
        return got

    assert b"a#1" in run(main())


def test_an_upstream_that_cannot_be_reached_is_a_502_a_miss_and_named(tmp_path: Path) -> None:
    said: list[str] = []
    upstream = f"http://127.0.0.1:{free_port()}"

    async def main() -> tuple[bytes, api.Replay]:
        async with api.replay(
            tape(tmp_path), on_miss="live", upstreams={"default": upstream}, log=said.append
        ) as replay:
            await exchange(replay.url, closing(KNOWN))
            return await exchange(replay.url, NEW), replay

    got, replay = run(main())
    assert got.startswith(b"HTTP/1.1 502 ")
    receipt = replay.receipt
    assert receipt.unreachable == (f"{upstream}: connection refused",)
    assert (receipt.live, len(receipt.missed), receipt.exit_code) == ((), 1, 1)
    assert upstream in receipt.verdict
    assert f"live: GET /new could not go to {upstream}: not reachable" in said


def test_what_went_live_is_printed_counted_and_makes_the_source_mixed(tmp_path: Path) -> None:
    said: list[str] = []

    async def main() -> tuple[api.Replay, str]:
        async with live_replay(tape(tmp_path), answering(LIVE), said, receipt=tmp_path / "r.json") as (replay, url):
            await exchange(replay.url, KNOWN, closing(NEW.replace(b"/new", b"/new?key=secret")))
            return replay, url

    _, url = run(main())
    assert said == [f"live: what no recording of default answers goes to {url}", f"live: GET /new went to {url}"]
    receipt = json.loads((tmp_path / "r.json").read_text())
    assert receipt["live"] == [f"GET /new -> default {url}"]
    assert (receipt["source"], receipt["exit_code"], receipt["missed"]) == ("mixed", 0, [])
    assert receipt["verdict"] == "served 1, missed 0, unplayed 0, answered live 1"


def test_a_replay_that_served_nothing_from_its_cassette_is_no_success(tmp_path: Path) -> None:
    async def main() -> api.Replay:
        async with live_replay(tape(tmp_path), answering(LIVE)) as (replay, _):
            await exchange(replay.url, closing(NEW))
            return replay

    receipt = run(main()).receipt
    assert receipt.exit_code == 4
    assert "no cassette had what was asked" in receipt.verdict


def test_a_recording_that_is_used_up_goes_live(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with live_replay(tape(tmp_path), answering(LIVE)) as (replay, _):
            return await exchange(replay.url, KNOWN + closing(KNOWN))

    assert run(main()).endswith(LIVE)


def test_another_owners_recording_and_two_roles_that_could_answer_never_go_live(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_head(reader))

    owned = cassette(
        ask(1, "GET", "/x", owner="alice", role="a"), ask(2, "GET", "/y", role="a"), ask(3, "GET", "/y", role="b")
    )
    write(tmp_path / "a.gpr", owned)
    token = make_token("mallory", "secret", now=0).encode()

    async def main() -> tuple[list[bytes], api.Replay]:
        async with raw_server(script) as url:
            replay = api.replay(
                tmp_path / "a.gpr", on_miss="live", upstreams={"a": url, "b": url}, log=[].append, timing="instant"
            )
            async with replay:
                theirs = b"GET /a/x HTTP/1.1\r\nHost: me\r\nAuthorization: Bearer " + token + b"\r\n\r\n"
                either = b"GET /y HTTP/1.1\r\nHost: me\r\n\r\n"
                return [await exchange(replay.url, closing(request)) for request in (theirs, either)], replay

    got, replay = run(main())
    assert [answer.split(b" ")[1] for answer in got] == [b"424", b"424"]
    assert [item.kind for item in replay.receipt.missed] == ["owner", "ambiguous"]
    assert asked == []


def test_a_request_that_names_no_role_goes_by_its_host_or_stays(tmp_path: Path) -> None:
    said: list[str] = []
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", role="a"), ask(2, "GET", "/x", role="b")))

    async def main() -> list[bytes]:
        async with raw_server(answering(LIVE)) as a, raw_server(answering(LIVE.replace(b"live", b"else"))) as b:
            replay = api.replay(
                tmp_path / "a.gpr", on_miss="live", upstreams={"a": a, "b": b}, log=said.append, timing="instant"
            )
            async with replay:
                hosts = (b"b.test", a.removeprefix("http://").encode(), b"c.test")
                requests = [closing(b"GET /new HTTP/1.1\r\nHost: " + host + b"\r\n\r\n") for host in hosts]
                requests += [closing(b"GET /b/new HTTP/1.1\r\nHost: me\r\n\r\n")]
                return [await exchange(replay.url, request) for request in requests]

    got = run(main())
    assert [answer[-4:] for answer in (got[0], got[1], got[3])] == [b"else", b"live", b"else"]
    assert got[2].startswith(b"HTTP/1.1 424 ")
    assert "live: GET /new stays here: its path names no role" in said


def test_a_role_goes_to_where_it_was_recorded_unless_told_otherwise(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with raw_server(answering(LIVE)) as url:
            async with api.record(f"llm={url}", out=tmp_path / "a.gpr") as recording:
                await exchange(recording.url, closing(KNOWN))
            async with api.replay(tmp_path / "a.gpr", on_miss="live", log=[].append) as replay:
                return await exchange(replay.url, closing(NEW))

    assert run(main()) == LIVE


def test_a_connection_nobody_recorded_is_relayed_with_what_was_sent_ahead(tmp_path: Path) -> None:
    async def echo(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(f"live {message}")
        assert socket.close_code == 3000

    async def main() -> tuple[list[object], api.Replay]:
        path = tape(tmp_path, chat(2, "5 < hello", close=None))
        async with serve(echo, "127.0.0.1", 0, subprotocols=["chat"]) as server:  # type: ignore[list-item]
            port = server.sockets[0].getsockname()[1]
            said: list[str] = []
            upstream = {"default": f"ws://127.0.0.1:{port}"}
            async with api.replay(
                path, on_miss="live", upstreams=upstream, timing="instant", log=said.append
            ) as replay:
                url = replay.url.replace("http", "ws")
                async with connect(url + "/ws") as known, connect(url + "/other", subprotocols=["chat"]) as new:  # type: ignore[list-item]
                    await new.send("one" * 100_000)
                    got: list[object] = [await known.recv(), new.subprotocol, await new.recv()]
                    await new.close(3000, "enough")
                return got, replay

    got, replay = run(main())
    assert got == ["hello", "chat", "live " + "one" * 100_000]
    assert len(replay.receipt.live) == 1


def test_frames_sent_behind_a_handshake_wait_for_its_answer(tmp_path: Path) -> None:
    frame = b"\x81\x82\0\0\0\0hi"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        writer.write(b"\x81\x03" + b"got" + await reader.readexactly(2 * len(frame)))

    async def main() -> bytes:
        upgrade = b"GET /ws HTTP/1.1\r\nHost: me\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        async with live_replay(tape(tmp_path), script) as (replay, _):
            return await exchange(replay.url, upgrade + frame, frame)

    assert run(main()).endswith(b"\r\n\r\n\x81\x03got" + frame + frame)


def test_a_handshake_refused_upstream_leaves_the_connection_to_the_cassette(tmp_path: Path) -> None:
    refused = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"

    async def main() -> bytes:
        upgrade = b"GET /ws HTTP/1.1\r\nHost: me\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        async with live_replay(tape(tmp_path), answering(refused)) as (replay, _):
            return await exchange(replay.url, upgrade + closing(KNOWN))

    got = run(main())
    assert got.startswith(refused)
    assert b"a#1" in got


def test_a_client_that_says_it_is_done_still_gets_its_live_answer(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with live_replay(tape(tmp_path), answering(LIVE)) as (replay, _):
            return await exchange(replay.url, NEW, half_close=True)

    assert run(main()) == LIVE


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"on_miss": "perhaps"}, "perhaps"),
        ({"upstreams": {"default": "http://127.0.0.1:9"}}, "on-miss live"),
        ({"on_miss": "live", "upstreams": {"default": "no url"}}, "not a URL"),
        ({"on_miss": "live", "upstreams": {"nobody": "http://127.0.0.1:9"}}, "nobody"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words), api.replay(tape(tmp_path), **options):
        pass


def test_without_being_asked_nothing_goes_live(tmp_path: Path) -> None:
    async def main() -> bytes:
        async with raw_server(answering(LIVE)) as url:
            async with api.record(url, out=tmp_path / "a.gpr") as recording:
                await exchange(recording.url, closing(KNOWN))
            async with api.replay(tmp_path / "a.gpr", log=[].append) as replay:
                return await exchange(replay.url, closing(NEW))

    assert run(main()).startswith(b"HTTP/1.1 424 ")
