"""Recording only what is new: the cassette answers what it can, the upstream the rest, and that is added."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest
from dialogue import ask, cassette, chat
from filed import write
from scripted_llm import scripted_llm, text
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from wire import Script, answering, dial, exchange, raw_server, read_head, recorded, run

from gp_replay import api
from gp_replay.core.model import Gone, How, Piece, Side
from gp_replay.errors import CassetteCorrupt, CassetteUnfinished, DiskFailure, NothingHappened, UsageError
from gp_replay.store import CassetteFile

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlive"


def get(path: str, *more: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: me", "Connection: close", *more, "", ""]
    return "\r\n".join(lines).encode()


def quiet(text: str) -> None:
    """A log nobody reads."""


def episodes(upstream: str | list[str], path: Path, **options: object) -> api.Recording:
    return api.record(upstream, out=path, mode="new-episodes", **{"log": quiet, **options})  # type: ignore[arg-type]


def visit(path: Path, *requests: bytes, script: Script | None = None, **options: object) -> api.Recorded:
    """One run: each request on a connection of its own."""

    async def main() -> api.Recorded:
        async with raw_server(script or answering(ANSWER)) as url:
            recording = episodes(url, path, **options)
            async with recording:
                for request in requests:
                    await exchange(recording.url, request)
        assert recording.result is not None
        recording.check()
        return recording.result

    return run(main())


def targets(path: Path) -> list[bytes]:
    with CassetteFile.open(path) as tape:
        return [entry.target for entry in tape.footer.entries]


def test_without_a_file_it_is_a_first_recording(tmp_path: Path) -> None:
    path = tmp_path / "a.gpr"
    result = visit(path, get("/x"))
    assert (result.path, result.streams, result.served, result.source) == (path, 1, 0, "live")
    assert list(tmp_path.iterdir()) == [path]
    with CassetteFile.open(path) as tape:
        assert (tape.header.revision, tape.header.epochs) == (1, ())


def test_what_the_file_holds_is_served_and_the_rest_is_added_as_a_revision(tmp_path: Path) -> None:
    path, said = tmp_path / "a.gpr", []
    visit(path, get("/x"))
    old = path.read_bytes()
    asked: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await read_head(reader))
        writer.write(ANSWER)

    result = visit(path, get("/x"), get("/new"), get("/x"), script=script, log=said.append)
    assert (result.served, result.streams, result.source) == (1, 2, "mixed")
    assert result.summary == f"served 1, recorded 2 exchanges and connections into {path} (source: mixed)"
    assert [head.split(b" ")[1] for head in asked] == [b"/new", b"/x"]  # the one recording of /x was used by then
    assert [text.partition(" went")[0] for text in said] == ["live: GET /new", "live: GET /x"]
    assert targets(path) == [b"/x", b"/new", b"/x"]
    with CassetteFile.open(path) as tape:
        assert (tape.header.revision, [epoch.first_stream for epoch in tape.header.epochs]) == (2, [2])
    (kept,) = (tmp_path / ".revisions" / "a").iterdir()
    assert kept.read_bytes() == old
    assert sorted(item.name for item in tmp_path.iterdir()) == [".revisions", "a.gpr"]


def test_once_all_is_recorded_the_upstream_is_not_asked_and_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.gpr"
    visit(path, get("/x"))
    visit(path, get("/x"), get("/y"))
    before = path.read_bytes()

    async def nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("asked")

    result = visit(path, get("/y"), get("/x"), script=nobody)
    assert (result.served, result.streams, result.source, result.path) == (2, 0, "cassette", path)
    assert result.summary == f"served 2, recorded nothing new, {path} is as it was (source: cassette)"
    assert path.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == [".revisions", "a.gpr"]


def test_a_run_in_which_nobody_came_is_no_success_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.gpr"
    visit(path, get("/x"))
    before = path.read_bytes()
    with pytest.raises(NothingHappened):
        visit(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_stream_of_an_llm_is_recorded_live_and_replayed_from_the_new_revision(tmp_path: Path) -> None:
    path = tmp_path / "llm.gpr"

    def request(word: str) -> bytes:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": word}]}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: me\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    async def main() -> None:
        async with scripted_llm(lambda body: text("you", " said ", body["messages"][0]["content"])) as llm:
            for words in (["one"], ["one", "two"], ["one", "two", "three"]):
                async with episodes(f"llm={llm.url}", path) as recording:
                    for word in words:
                        assert word.encode() in await exchange(recording.urls["llm"], request(word))
            assert len(llm.bodies) == 3
        async with api.replay(path, timing="instant", log=quiet) as replay:
            for word in ("three", "one", "two"):
                assert word.encode() in await exchange(replay.url, request(word))

    run(main())
    pieces = [event for event in recorded(path, 3) if isinstance(event, Piece) and event.side is Side.SERVER]
    assert len(pieces) > 4


def test_connections_are_served_or_relayed_and_recorded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(chat(1, "5 < hello", close=None)))

    async def echo(socket: ServerConnection) -> None:
        async for message in socket:
            await socket.send(f"live {message}")

    async def main() -> tuple[list[object], api.Recording]:
        async with serve(echo, "127.0.0.1", 0) as server:
            recording = episodes(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", path)
            async with recording:
                url = recording.url.replace("http", "ws")
                async with connect(url + "/ws") as old, connect(url + "/other") as new:
                    await new.send("one")
                    got: list[object] = [await old.recv(), await new.recv()]
                return got, recording

    got, recording = run(main())
    assert got == ["hello", "live one"]
    assert recording.result is not None
    assert (recording.result.served, recording.result.streams) == (1, 1)

    async def again() -> object:
        async with (
            api.replay(path, timing="instant", log=quiet) as replay,
            connect(replay.url.replace("http", "ws") + "/other") as socket,
        ):
            await socket.send("one")
            return await socket.recv()

    assert run(again()) == "live one"


def test_a_secret_gets_the_same_pseudonym_in_both_epochs(tmp_path: Path) -> None:
    path = tmp_path / "a.gpr"
    key = "Authorization: Bearer sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"
    visit(path, get("/x", key))
    visit(path, get("/y", key))
    heads = [dict(recorded(path, stream)[1].headers)[b"Authorization"] for stream in (1, 2)]  # type: ignore[union-attr]
    assert heads[0] == heads[1]
    assert b"abcdefghij" not in path.read_bytes()


def test_a_new_role_joins_and_a_role_without_upstream_is_served_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", role="llm")))

    async def main() -> tuple[list[bytes], api.Recording]:
        async with raw_server(answering(ANSWER)) as url:
            recording = episodes(f"chat={url}", path)
            async with recording:
                assert set(recording.urls) == {"chat", "llm"}
                asked = ("/llm/x", "/chat/new", "/llm/new", "/neither")
                return [await exchange(recording.url, get(target)) for target in asked], recording

    got, recording = run(main())
    assert [answer.split(b" ")[1] for answer in got] == [b"200", b"200", b"424", b"424"]
    with CassetteFile.open(path) as tape:
        assert [role.name for role in tape.header.roles] == ["llm", "chat"]
        assert [entry.role for entry in tape.footer.entries] == ["llm", "chat"]
    assert recording.result is not None
    assert (recording.result.missed, recording.result.served, recording.result.streams) == (2, 1, 1)
    assert recording.result.summary.endswith(", missed 2")


def test_each_role_may_have_an_address_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", role="llm")))

    async def main() -> list[bytes]:
        async with raw_server(answering(ANSWER)) as url:
            listen = ["chat=127.0.0.1:0", "llm=127.0.0.1:0"]
            async with episodes(f"chat={url}", path, listen=listen) as recording:
                return [await exchange(recording.urls[role], get("/x")) for role in ("llm", "chat")]

    got = run(main())
    assert b"x-gp-replay: a#1" in got[0]
    assert got[1] == ANSWER
    with pytest.raises(UsageError, match="nobody"), episodes("http://a", path, listen="nobody=127.0.0.1:0"):
        pass
    assert not path.with_name("a.gpr.part").exists()


def test_another_owners_recording_is_neither_served_nor_fetched(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", owner="alice")))
    before = path.read_bytes()
    result = visit(path, get("/x"))
    assert (result.served, result.streams, result.missed) == (0, 0, 1)
    assert path.read_bytes() == before


def test_an_upstream_that_cannot_be_reached_leaves_nothing_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    before = path.read_bytes()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        upstream = f"http://127.0.0.1:{free.getsockname()[1]}"

    async def main(*wanted: str) -> tuple[list[bytes], api.Recording]:
        recording = episodes(upstream, path)
        async with recording:
            return [await exchange(recording.url, get(target)) for target in wanted], recording

    got, recording = run(main("/x", "/new"))
    assert got[1].startswith(b"HTTP/1.1 502 ")
    assert recording.result is not None
    assert (recording.result.served, recording.result.streams, recording.result.missed) == (1, 0, 1)
    assert recording.result.unreachable == (f"{upstream}: connection refused",)
    _, recording = run(main("/new"))
    with pytest.raises(NothingHappened, match="connection refused"):
        recording.check()
    assert path.read_bytes() == before


CUTS = {
    "in a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", How.EOF),
    "in a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf", How.EOF),
}


@pytest.mark.parametrize("name", CUTS)
def test_an_answer_that_is_cut_off_is_recorded_as_that(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    answer, how = CUTS[name]
    visit(path, get("/new"), script=answering(answer))
    assert [event.how for event in recorded(path, 2) if isinstance(event, Gone)] == [how]


def test_an_upstream_that_hangs_is_cut_when_the_recording_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(ANSWER[:-2])
        await reader.read()

    async def main() -> None:
        async with raw_server(hangs) as url, episodes(url, path) as recording:
            reader, writer = await dial(recording.url)
            writer.write(get("/new"))
            await reader.readuntil(b"li")
            assert b"a#1" in await exchange(recording.url, get("/x"))
            writer.close()
            await writer.wait_closed()
            reader, writer = await dial(recording.url)
            writer.write(get("/other"))
            await reader.readuntil(b"li")
        writer.close()

    run(main())
    assert [event.how for event in recorded(path, 3) if isinstance(event, Gone)] == [How.CUT]


def test_skipped_paths_are_relayed_and_not_added(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    before = path.read_bytes()
    result = visit(path, get("/x"), get("/health"), skip=["/health*"])
    assert (result.served, result.streams) == (1, 0)
    assert path.read_bytes() == before


def test_a_file_that_is_no_cassette_or_is_being_added_to_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.gpr"
    path.write_bytes(b"no cassette")
    with pytest.raises(CassetteCorrupt), episodes("http://a", path):
        pass
    assert list(tmp_path.iterdir()) == [path]
    path.unlink()
    visit(path, get("/x"))
    with episodes("http://a", path), pytest.raises(CassetteUnfinished), episodes("http://a", path):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_when_the_disk_fails_clients_are_served_and_relayed_and_the_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    before, real, said = path.read_bytes(), os.write, []

    def full(descriptor: int, data: bytes) -> int:
        if said and Path(f"/proc/self/fd/{descriptor}").resolve().suffix == ".part":
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    async def main() -> list[bytes]:
        async with raw_server(answering(ANSWER)) as url, episodes(url, path, log=said.append) as recording:
            monkeypatch.setattr(os, "write", full)
            for _ in range(200):
                got = [await exchange(recording.url, get(f"/{recording.failure is None}"))]
                if any("the relay goes on" in text for text in said):
                    break
            return [*got, await exchange(recording.url, get("/x"))]

    with pytest.raises(DiskFailure, match="No space left"):
        run(main())
    assert any("the relay goes on" in text for text in said)
    assert path.read_bytes() == before


def test_what_is_recorded_keeps_its_distances_and_starts_a_clock_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", at=3_600_000)))
    visit(path, get("/new"))
    with CassetteFile.open(path) as tape:
        first, second = tape.footer.entries
        assert first.opened_us == 3_600_000_000
        assert second.opened_us < 60_000_000
        assert second.ended_us >= second.opened_us
