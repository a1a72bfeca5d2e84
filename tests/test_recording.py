"""A running recorder: what it says when the disk fails, and what stands in the header."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from wire import answering, exchange, raw_server, run

from gp_replay import __version__, api
from gp_replay.errors import DiskFailure, ListenError
from gp_replay.store import CassetteFile

GET = b"GET /x HTTP/1.1\r\nHost: me\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def test_when_the_disk_fails_the_relay_goes_on_and_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    write = os.write

    async def main() -> bytes:
        async with raw_server(answering(ANSWER)) as url:
            async with api.record(url, out=tmp_path / "a.gpr", log=said.append) as recording:

                def full(descriptor: int, data: bytes) -> int:
                    if Path(f"/proc/self/fd/{descriptor}").resolve().suffix == ".part":
                        raise OSError(28, "No space left on device")
                    return write(descriptor, data)

                monkeypatch.setattr(os, "write", full)
                for _ in range(200):
                    got = await exchange(recording.url, GET)
                    if recording.failure is not None and said:
                        break
            return got

    with pytest.raises(DiskFailure, match="No space left"):
        run(main())
    assert len(said) == 1
    assert "the relay goes on" in said[0]
    assert not (tmp_path / "a.gpr").exists()


def test_the_header_says_what_was_recorded_by_what(tmp_path: Path) -> None:
    async def main() -> None:
        async with raw_server(answering(ANSWER)) as url, api.record(f"llm={url}", out=tmp_path / "a") as recording:
            assert await exchange(recording.url, GET) == ANSWER

    run(main())
    with CassetteFile.open(tmp_path / "a.gpr") as tape:
        header = tape.header
        assert (header.name, header.tool, header.revision) == ("a", f"gp-replay {__version__}", 1)
        assert header.roles[0].name == "llm"
        assert "built-in" in header.redaction
        assert len(header.salt) == 16


def test_an_address_that_cannot_be_had_leaves_nothing_behind(tmp_path: Path) -> None:
    async def main() -> None:
        async with raw_server(answering(ANSWER)) as url:
            with pytest.raises(ListenError):
                async with api.record(url, out=tmp_path / "a.gpr", listen=url.removeprefix("http://")):
                    pass

    run(main())
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_past_the_recorder_is_noticed(tmp_path: Path) -> None:
    async def main() -> api.Recording:
        target = ""

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            where = target if b"/away" in head else "/here"
            writer.write(f"HTTP/1.1 307 Elsewhere\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())

        async with raw_server(script) as url:
            target = url + "/away"
            recording = api.record(url, out=tmp_path / "a.gpr")
            async with recording:
                for path in (b"/stay", b"/away"):
                    await exchange(recording.url, GET.replace(b"/x", path))
                    bypassed.append(tuple(recording._tape.bypassed))
            return recording

    bypassed: list[tuple[str, ...]] = []
    recording = run(main())
    assert recording.result is not None
    assert bypassed[0] == ()
    assert recording.result.bypassed == bypassed[1]
    assert bypassed[1][0].startswith("127.0.0.1:")
