"""Clients in another language, and upstreams behind TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest
import websockets
from dialogue import ask, cassette
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from wire import answering, exchange, raw_server, recorded, run

from gp_replay import api
from gp_replay.core.model import Message, Piece
from gp_replay.store import CassetteWriter

TLS = Path(__file__).resolve().parents[1] / "data" / "tls"


def curl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["curl", "-sS", "-i", "--max-time", "10", *arguments], capture_output=True, check=False)


def test_curl_sees_the_recorded_stream(tmp_path: Path) -> None:
    tape = cassette(ask(1, "POST", "/v1", '{"a":1}', answer=[(1, "data: one\n\n"), (30, "data: two\n\n")]))
    writer = CassetteWriter(tmp_path / "a.gpr", tape.header)
    for event in tape.events(1):
        writer.write(event)
    writer.close()
    with api.replay(tmp_path / "a.gpr") as replay:
        seen = curl("-N", "-H", "Content-Type: application/json", "-d", '{"a": 1}', replay.url + "/v1")
    assert seen.returncode == 0, seen.stderr
    head, _, body = seen.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"x-gp-replay: a#1" in head
    assert body == b"data: one\n\ndata: two\n\n"
    assert replay.receipt.exit_code == 0


def test_curl_notices_an_answer_that_broke_off(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf"

    async def record() -> None:
        async with raw_server(answering(answer)) as url, api.record(url, out=tmp_path / "a.gpr") as recording:
            await exchange(recording.url, b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n")

    run(record())
    with api.replay(tmp_path / "a.gpr") as replay:
        assert curl(replay.url + "/x").returncode == 18  # partial file


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_an_upstream_behind_tls_is_recorded_like_any_other(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "cert.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")

    async def main() -> None:
        if scheme == "https":
            server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=context)
            url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
            async with api.record(url, out=tmp_path / "a.gpr") as recording:
                got = await exchange(recording.url, b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n")
                assert got.endswith(b"secure")
            server.close()
        else:
            async with serve(_echo, "127.0.0.1", 0, ssl=context) as server:
                url = f"wss://localhost:{server.sockets[0].getsockname()[1]}"
                async with (
                    api.record(url, out=tmp_path / "a.gpr") as recording,
                    connect(recording.url.replace("http", "ws")) as socket,
                ):
                    await socket.send("over tls")
                    assert await socket.recv() == "over tls"

    run(main())
    kind = Piece if scheme == "https" else Message
    assert any(isinstance(event, kind) for event in recorded(tmp_path / "a.gpr"))


def test_an_upstream_whose_certificate_nobody_vouches_for_is_a_502_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")

    async def main() -> bytes:
        server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=context)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        async with api.record(url, out=tmp_path / "a.gpr") as recording:
            got = await exchange(recording.url, b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n")
        server.close()
        return got

    answer = run(main())
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"self-signed certificate" in answer or b"self signed certificate" in answer


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\nsecure")
    await writer.drain()
    writer.close()


async def _echo(socket: websockets.ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)
