"""Looks at what may be there, dead, or worse: there and silent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_life import Lives, program, use_programs
from wire import Script, answering, raw_server, read_head, run

from gp_replay.core.render import accept_key
from gp_replay.core.routing import parse_upstream
from gp_replay.net.probing import probe_docker, probe_http, probe_websocket

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    use_programs(tmp_path / "bin", monkeypatch)
    return tmp_path / "bin"


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    lives = Lives(tmp_path / "lives")
    yield lives
    lives.close()


def test_a_docker_that_answers_is_there(programs: Path) -> None:
    program(programs / "docker", '[ "$1" = info ] && echo 27.1')
    assert run(probe_docker(seconds=5)) == ""


def test_a_docker_that_fails_says_why(programs: Path) -> None:
    program(programs / "docker", "echo 'Cannot connect to the Docker daemon' >&2", "exit 1")
    assert run(probe_docker(seconds=5)) == "docker info: Cannot connect to the Docker daemon"
    program(programs / "docker", "exit 2")
    assert run(probe_docker(seconds=5)) == "docker info: exit code 2"


def test_no_docker_at_all(programs: Path) -> None:
    assert run(probe_docker(seconds=5, command=["docker-is-not-here"])) == "there is no docker command"


def test_a_docker_that_hangs_is_killed_with_all_it_started(programs: Path, lives: Lives) -> None:
    program(programs / "docker", "trap '' TERM", lives.line, "sleep 1000 &", "sleep 1000")
    assert run(probe_docker(seconds=0.2)) == "docker info gave no answer within 0.2 s"
    assert lives.all_ended()
    assert lives.began()


def http(script: Script, *, any_answer: bool = False, seconds: float = 5.0, token: str = "", base: str = "") -> str:
    async def main() -> str:
        async with raw_server(script) as url:
            upstream = parse_upstream(f"chat={url}{base}")
            return await probe_http(upstream, "/health", token=token, seconds=seconds, any_answer=any_answer)

    return run(main())


async def then_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
    await asyncio.Event().wait()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("answer", "strict", "lenient"),
    [
        (OK, "", ""),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "", ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "", ""),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, "", ""),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered 404", ""),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "answered 503", "answered 503"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "answered 200 and broke off", "answered 200 and broke off"),
        (b"", "closed the connection unanswered", "closed the connection unanswered"),
        (b"SSH-2.0-x\r\n", "no HTTP answer: ", "no HTTP answer: "),
    ],
)
def test_http_health_is_a_whole_answer(answer: bytes, strict: str, lenient: str) -> None:
    for any_answer, expected in ((False, strict), (True, lenient)):
        found = http(answering(answer), any_answer=any_answer)
        assert found.startswith(expected)
        assert bool(found) == bool(expected)


def test_a_server_that_says_200_and_then_nothing_is_not_there() -> None:
    assert http(then_nothing, seconds=0.1) == "answered 200, and then nothing more within 0.1 s"
    assert http(silent, seconds=0.1) == "no answer within 0.1 s"


def test_token_and_base_path_are_sent() -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(OK)

    assert http(script, token="t0ken", base="/base") == ""
    assert heads[0].startswith(b"GET /base/health HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nAuthorization: Bearer t0ken\r\n" in heads[0]


def test_nobody_there() -> None:
    async def main() -> list[str]:
        async with raw_server(silent) as url:
            pass
        upstream = parse_upstream(url)
        terms = {"token": "", "seconds": 5.0}
        return [
            await probe_http(upstream, "/", any_answer=True, **terms),  # type: ignore[arg-type]
            await probe_websocket(upstream, "/", **terms),  # type: ignore[arg-type]
        ]

    assert run(main()) == ["connection refused", "connection refused"]


def websocket(script: Script, *, seconds: float = 5.0) -> str:
    async def main() -> str:
        async with raw_server(script) as url:
            return await probe_websocket(parse_upstream(url), "/ws", token="t", seconds=seconds)

    return run(main())


def accepting(goodbyes: list[bytes], *, right: bool) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        key = next(line for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: ")).partition(b": ")[2]
        accept = accept_key(key) if right else b"something"
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n\x81\x02hi")
        goodbyes.append(await reader.read(100))

    return script


def test_a_handshake_that_is_accepted_is_health_and_the_probe_says_goodbye() -> None:
    goodbyes: list[bytes] = []

    async def main() -> str:
        async with raw_server(accepting(goodbyes, right=True)) as url:
            found = await probe_websocket(parse_upstream(url), "/ws", token="t", seconds=5)
            while not goodbyes:
                await asyncio.sleep(0)
            return found

    assert run(main()) == ""
    assert goodbyes == [b"\x88\x82\0\0\0\0\x03\xe8"]


def test_a_handshake_that_is_refused_wrong_or_silent_is_not() -> None:
    assert websocket(answering(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")) == "refused the upgrade with 403"
    assert websocket(answering(OK)) == "refused the upgrade with 200"
    assert websocket(accepting([], right=False)) == "accepted the upgrade with a wrong Sec-WebSocket-Accept"
    assert websocket(silent, seconds=0.1) == "no answer within 0.1 s"
