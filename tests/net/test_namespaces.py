"""Namespaces: each its own play state over one cassette, by the prefix of the path."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import weakref
from pathlib import Path

import pytest
from dialogue import SERVER, ask, cassette, chat
from filed import write
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from wire import dial, exchange, read_head, run

from gp_replay import api
from gp_replay.core.acts import Tally
from gp_replay.core.http1 import RequestLine
from gp_replay.core.rules import Rules
from gp_replay.core.script import Script, compile
from gp_replay.errors import UsageError
from gp_replay.net import namespaces as module
from gp_replay.net.namespaces import EARLIER, Namespaces, merged
from gp_replay.net.stage import Stage

LINE = RequestLine(method=b"GET", target=b"/~a/x?token=secret", version=b"HTTP/1.1", headers=())


def script() -> Script:
    return compile(cassette(ask(1, "GET", "/x"), ask(2, "GET", "/y", at=5)), {"default": SERVER}, Rules())


class Stages:
    """A factory of stages that says which it made."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.played = script()

    def __call__(self, name: str) -> Stage:
        self.made.append(name)
        return Stage([("tape", self.played)], log=lambda text: None)


def names_of() -> tuple[Namespaces, Stages]:
    stages = Stages()
    return Namespaces(stages, default=stages("")), stages


def get(path: str, *, close: bool = True) -> bytes:
    end = "Connection: close\r\n\r\n" if close else "\r\n"
    return f"GET {path} HTTP/1.1\r\nHost: me\r\n{end}".encode()


def heads(answers: bytes) -> list[tuple[int, str]]:
    """Status and what served it, of each answer."""
    found = re.findall(rb"HTTP/1\.1 (\d{3}) .*?x-gp-replay: ([^\r]+)\r\n", answers, re.DOTALL)
    return [(int(status), served.decode()) for status, served in found]


# The play states


def test_a_stage_is_made_when_it_is_first_needed_and_only_once() -> None:
    names, stages = names_of()
    names.create("a")
    names.create("b")
    assert stages.made == [""]
    assert names.stage("a") is names.stage("a")
    assert names.stage("a") is not names.stage(None)
    assert stages.made == ["", "a"]
    assert names.names == ("a", "b")


def test_what_nobody_used_is_unplayed_and_that_costs_no_stage() -> None:
    names, stages = names_of()
    for number in range(100):
        names.create(f"n{number}")
    names.default.player.refuse(names.unknown("x", LINE))
    assert {tally.unplayed for tally in names.tallies().values()} == {("tape#1", "tape#2")}
    assert stages.made == [""]
    assert {tally.missed for name, tally in names.tallies().items() if name} == {()}


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a/b", "a b", "a%20", "a\n", "a\0", "ä", "a" * 64, "(earlier)", "~a", "a?b", "a#b"]
)
def test_an_impossible_name_is_refused(name: str) -> None:
    names, _ = names_of()
    with pytest.raises(UsageError, match="no name for a namespace"):
        names.create(name)
    assert names.names == ()


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "-", "_", "0", "a" * 63, "a..", "__proto__"])
def test_a_possible_name_is_reached_by_its_prefix(name: str) -> None:
    names, _ = names_of()
    names.create(name)
    assert names.route(f"/~{name}/x".encode()) == (name, b"/x")


def test_a_name_is_taken_until_it_is_removed_and_then_begins_anew() -> None:
    names, stages = names_of()
    names.create("a")
    names.stage("a")
    with pytest.raises(UsageError, match="there already"):
        names.create("a")
    names.remove("a")
    with pytest.raises(UsageError, match="no namespace 'a'"):
        names.remove("a")
    with pytest.raises(UsageError, match="no namespace 'a'"):
        names["a"]
    assert names.stage("a") is None
    names.create("a")
    assert names.stage("a") is not None
    assert stages.made == ["", "a", "a"]


def test_ten_thousand_unused_ones_cost_next_to_nothing() -> None:
    names, stages = names_of()
    for number in range(10_000):
        names.create(f"n{number}")
    with pytest.raises(UsageError, match="10000 namespaces already"):
        names.create("one-more")
    assert stages.made == [""]


def test_there_are_so_many_at_most_and_room_again_when_one_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMESPACES", 3)
    names, _ = names_of()
    for name in "abc":
        names.create(name)
    with pytest.raises(UsageError, match="3 namespaces already"):
        names.create("d")
    names.remove("b")
    names.create("d")
    assert names.names == ("a", "c", "d")


def test_removed_ones_beyond_count_are_remembered_together_and_no_miss_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMESPACES", 3)
    names, _ = names_of()
    refusal = names.unknown("x", LINE)
    for number in range(20):
        names.create(f"n{number}")
        stage = names.stage(f"n{number}")
        assert stage is not None
        stage.player.refuse(refusal)
        names.remove(f"n{number}")
    tallies = names.tallies()
    assert set(tallies) == {"", EARLIER, "n17", "n18", "n19"}
    assert len(tallies[EARLIER].missed) == 17


def test_a_removed_stage_is_let_go() -> None:
    names, _ = names_of()
    names.create("a")
    stage = weakref.ref(names.stage("a"))  # type: ignore[arg-type]
    names.remove("a")
    gc.collect()
    assert stage() is None
    assert names.tallies()["a"].unplayed == ("tape#1", "tape#2")


def test_a_server_without_namespaces_takes_the_prefix_for_a_path() -> None:
    names = Namespaces(None, default=Stage([("tape", script())]))
    assert names.route(b"/~a/x") == (None, b"/~a/x")
    with pytest.raises(UsageError, match="only a replay"):
        names.create("a")


def test_an_unknown_one_is_refused_with_what_to_do_and_without_the_query() -> None:
    names, _ = names_of()
    refusal = names.unknown("a", LINE)
    assert refusal.kind == "namespace"
    assert "nobody created it" in refusal.reason
    assert "secret" not in refusal.reason
    assert "POST /_gp_replay/namespaces/a" in refusal.hint
    assert names.default.player.tally.missed == (refusal,)
    names.create("a")
    names.remove("a")
    assert "it was removed" in names.unknown("a", LINE).reason


def test_two_plays_of_one_name_are_one_line() -> None:
    names, _ = names_of()
    first = names.unknown("x", LINE)
    one = Tally(
        served=("a#1", "a#2"), unfinished=("a#2",), missed=(first,), unplayed=("a#3", "a#4"), repeated=(("a#1", 2),)
    )
    two = Tally(served=("a#2", "a#3"), unfinished=(), missed=(first,), unplayed=("a#1", "a#4"), repeated=(("a#1", 1),))
    both = merged(one, two)
    assert both.served == ("a#1", "a#2", "a#3")
    assert both.unplayed == ("a#4",)
    assert both.unfinished == ("a#2",)
    assert len(both.missed) == 2
    assert both.repeated == (("a#1", 3),)
    assert merged(None, two) is two


# On the wire


def test_each_namespace_plays_the_whole_cassette_for_itself(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", role="llm"), ask(2, "GET", "/y", role="chat")))

    async def main() -> tuple[list[list[tuple[int, str]]], api.Replay]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=lambda text: None) as replay:
            for name in ("one", "two"):
                replay.create(name)
            paths = ["/x", "/llm/x", "/~one/llm/x", "/~one/x", "/~two/x", "/%7Etwo/llm/x", "/~two/chat/y", "/~two/y"]
            asked = [get(path) for path in paths]
            asked.append(get(f"{replay.url}/~one/chat/y"))
            return [heads(await exchange(replay.url, request)) for request in asked], replay

    answers, replay = run(main())
    played, missed = (200, "a#1"), (424, "miss")
    assert [item for (item,) in answers] == [
        *(played, missed, played, missed, played, missed),
        *((200, "a#2"), missed, (200, "a#2")),
    ]
    receipt = replay.receipt
    assert receipt.served == ("a#1",)
    assert list(receipt.never_asked) == []
    assert {name: list(item.served) for name, item in receipt.namespaces.items()} == {
        "one": ["a#1", "a#2"],
        "two": ["a#1", "a#2"],
    }


def test_one_connection_may_speak_to_many_namespaces(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", answer=[(1, "<one>")])))
    names = [f"n{number}" for number in range(100)]

    async def main() -> bytes:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=lambda text: None) as replay:
            for name in names:
                replay.create(name)
            requests = b"".join(get(f"/~{name}/x", close=False) for name in names)
            return await exchange(replay.url, requests + get("/x"))

    assert heads(run(main())) == [(200, "a#1")] * 101


def test_websockets_are_routed_alike_and_an_unknown_namespace_is_refused_before_101(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(chat(1, "5 < hello", "6 > hi", "7 < bye")))

    async def talk(url: str) -> list[object]:
        async with connect(url.replace("http", "ws") + "/ws") as socket:
            said = [await socket.recv()]
            await socket.send("hi")
            return [*said, await socket.recv()]

    async def main() -> tuple[list[list[object]], dict[str, object], api.Replay]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=lambda text: None) as replay:
            urls = [replay.create(f"n{number}").urls["default"] for number in range(5)]
            said = await asyncio.gather(*map(talk, [*urls, replay.url]))
            with pytest.raises(InvalidStatus) as refused:
                await talk(f"{replay.url}/~nobody")
            assert refused.value.response.status_code == 424
            return said, json.loads(refused.value.response.body or b""), replay

    said, problem, replay = run(main())
    assert said == [["hello", "bye"]] * 6
    assert problem["error"]["kind"] == "namespace"  # type: ignore[index]
    assert [item.kind for item in replay.receipt.missed] == ["namespace"]
    assert replay.receipt.exit_code == 1


def test_a_miss_in_a_namespace_is_logged_with_its_name(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    said: list[str] = []

    async def main() -> None:
        async with api.replay(tmp_path / "a.gpr", log=said.append) as replay:
            replay.create("login")
            await exchange(replay.url, get("/~login/none"))

    run(main())
    assert said[0].startswith("~login: miss: GET /none")


def test_our_own_address_in_an_answer_leads_into_the_namespace(tmp_path: Path) -> None:
    moved = (b"Location", b"http://llm.test/next"), (b"Content-Length", b"0")
    write(
        tmp_path / "a.gpr",
        cassette(
            ask(1, "GET", "/x", role="llm", status=307, answer=[(1, "")], answer_headers=moved),
            ask(2, "GET", "/x", role="chat"),
        ),
    )

    async def main() -> tuple[bytes, str]:
        async with api.replay(tmp_path / "a.gpr", timing="instant") as replay:
            url = replay.create("n").urls["llm"]
            authority = replay.url.removeprefix("http://")
            return await exchange(replay.url, get("/~n/llm/x").replace(b" me", f" {authority}".encode())), url

    answer, url = run(main())
    assert f"Location: {url}/next\r\n".encode() in answer


def test_a_listener_of_one_role_has_the_same_namespaces(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", role="llm"), ask(2, "GET", "/x", role="chat")))

    async def main() -> tuple[list[tuple[int, str]], api.ReplayNamespace, api.Replay]:
        listen = ["llm=127.0.0.1:0", "chat=127.0.0.1:0"]
        async with api.replay(tmp_path / "a.gpr", timing="instant", listen=listen) as replay:
            there = replay.create("n")
            found = []
            for role in ("llm", "chat"):
                path = "/" + there.urls[role].partition("://")[2].partition("/")[2] + "/x"
                found += heads(await exchange(there.urls[role], get(path)))
            return found, there, replay

    found, there, replay = run(main())
    assert found == [(200, "a#1"), (200, "a#2")]
    assert there.urls == {role: f"{url}/~n" for role, url in replay.urls.items()}


def test_removing_one_ends_its_connections_and_nobody_elses(tmp_path: Path) -> None:
    streams = [
        chat(1, "5 < hello", "6 > hi", close=(SERVER, 1000)),
        ask(2, "GET", "/slow", answer=[(1, "a"), (60_000, "b")]),
    ]
    write(tmp_path / "a.gpr", cassette(*streams))

    async def main() -> tuple[bytes, api.Replay, api.ReplayNamespace]:
        async with api.replay(tmp_path / "a.gpr", log=lambda text: None) as replay:
            there = replay.create("n")
            url = replay.url.replace("http", "ws")
            async with connect(f"{url}/~n/ws") as mine, connect(f"{url}/ws") as other:
                reader, writer = await dial(replay.url)
                writer.write(get("/~n/slow", close=False))
                await read_head(reader)
                await mine.recv()
                await other.recv()
                final = replay.remove("n")
                with pytest.raises(ConnectionClosedError):
                    await mine.recv()
                with pytest.raises(ConnectionResetError):
                    while await reader.read(100):
                        pass
                writer.close()
                assert list(final.unfinished) == ["a#1", "a#2"]
                assert list(final.unplayed) == []
                await other.send("hi")
                await other.wait_closed()
                assert other.close_code == 1000
            return await exchange(replay.url, get("/~n/slow")), replay, there

    late, replay, there = run(main())
    assert heads(late) == [(424, "miss")]
    assert b"it was removed" in late
    assert list(there.receipt.unfinished) == ["a#1", "a#2"]
    assert list(replay.receipt.namespaces["n"].unfinished) == ["a#1", "a#2"]


def test_a_namespace_that_is_open_at_the_end_counts_who_left_early(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/slow", answer=[(1, "a"), (60_000, "b")])))

    async def main() -> tuple[api.Replay, api.ReplayNamespace]:
        async with api.replay(tmp_path / "a.gpr") as replay:
            there = replay.create("n")
            reader, writer = await dial(replay.url)
            writer.write(get("/~n/slow", close=False))
            await read_head(reader)
        writer.close()
        return replay, there

    replay, there = run(main())
    assert list(there.receipt.unfinished) == list(replay.receipt.namespaces["n"].unfinished) == ["a#1"]
    assert replay.receipt.exit_code == 0


def test_fresh_ids_differ_between_namespaces_and_are_the_same_in_each_play(tmp_path: Path) -> None:
    recorded = "3f2a9c1e-58b4-4d0a-9e77-1c6b2f8d4a55"
    answer = [(1, json.dumps({"id": recorded}))]
    write(tmp_path / "a.gpr", cassette(ask(1, "POST", "/new", "{}", answer=answer)))
    post = (
        b"POST /~%s/new HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    )

    async def main() -> list[bytes]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", ids="fresh") as replay:
            for name in ("a", "b"):
                replay.create(name)
            return [await exchange(replay.url, post % name) for name in (b"a", b"b")]

    first, again = run(main()), run(main())
    ids = [re.findall(rb'"id": ?"([^"]+)"', answer) for answer in first]
    assert ids == [re.findall(rb'"id": ?"([^"]+)"', answer) for answer in again]
    assert len({found[0] for found in ids} | {recorded.encode()}) == 3
