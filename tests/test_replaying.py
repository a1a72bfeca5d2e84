"""A running replay: names, warnings, the receipt on disk."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from dialogue import ask, cassette
from filed import TAPE, write

from gp_replay import api
from gp_replay.core.document import ordered_events
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Role
from gp_replay.errors import CassetteCorrupt, DiskFailure, UsageError


def test_files_of_one_name_are_told_apart_by_their_folder(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / "a.gpr", cassette(ask(1, "GET", f"/{folder}")))
    write(tmp_path / "b.gpr", cassette(ask(1, "GET", "/b")))
    with api.replay(tmp_path) as replay:
        pass
    assert sorted(item.name for item in replay.receipt.cassettes) == ["b", "one/a", "two/a"]
    assert sorted(replay.receipt.unplayed) == ["b#1", "one/a#1", "two/a#1"]


def test_redaction_off_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path / "r.gpr", MemoryCassette(replace(TAPE.header, redaction=("off",)), ordered_events(TAPE)))
    with api.replay(tmp_path / "r.gpr") as replay:
        assert "redaction off" in replay.warnings[0]


def test_a_receipt_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr")
    receipt = tmp_path / "receipt.json"
    with api.replay(tmp_path / "a.gpr", receipt=receipt):
        pass
    assert json.loads(receipt.read_text())["cast"] == {"default": "server"}
    with (
        pytest.raises(DiskFailure, match="receipt"),
        api.replay(tmp_path / "a.gpr", receipt=tmp_path / "no" / "r.json"),
    ):
        pass
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.gpr", "receipt.json"]


def test_one_broken_cassette_among_many_is_named_and_nothing_is_served(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr")
    (tmp_path / "b.gpr").write_bytes(b"broken")
    with pytest.raises(CassetteCorrupt, match=r"b\.gpr"), api.replay(tmp_path):
        pass


@pytest.mark.parametrize(
    ("name", "url"),
    [("../../x", "http://a"), ("a\r\nX: y", "http://a"), ("", "http://a"), ("llm", "http://[::1/"), ("llm", "ftp://a")],
)
def test_a_cassette_with_a_role_that_is_none_is_corrupt_and_named(name: str, url: str, tmp_path: Path) -> None:
    header = replace(TAPE.header, roles=(Role(name=name, url=url),))
    write(tmp_path / "a.gpr", MemoryCassette(header, ask(1, "GET", "/x", role=name)))
    with api.replay(tmp_path / "a.gpr") as replay, pytest.raises(CassetteCorrupt, match=r"a\.gpr"):
        replay.variables()


def fetch(url: str) -> str | int:
    """The answer's text, or its status where it is a refusal."""
    try:
        with urllib.request.urlopen(url) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_namespaces_come_and_go_from_any_thread(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", answer=[(1, "played")]), ask(2, "GET", "/y")))

    def one(number: int) -> tuple[str | int, str | int, tuple[int, int, int]]:
        there = replay.create(f"n{number}")
        answers = fetch(f"{there.url}/x"), fetch(f"{there.urls['default']}/x")
        before = there.receipt
        final = replay.remove(there.name)
        assert before == final == there.receipt
        return *answers, (len(final.served), len(final.missed), len(final.unplayed))

    with (
        api.replay(tmp_path / "a.gpr", timing="instant", log=lambda text: None) as replay,
        ThreadPoolExecutor(8) as threads,
    ):
        assert list(threads.map(one, range(40))) == [("played", 424, (1, 1, 1))] * 40
    receipt = replay.receipt
    assert receipt.verdict.startswith("served 40, missed 40, unplayed 1, namespaces 40 (missed in n")
    assert receipt.exit_code == 1
    assert receipt.missed == ()


def test_a_namespace_is_made_in_an_event_loop_too(tmp_path: Path) -> None:
    import asyncio

    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", answer=[(1, "played")])))

    async def main() -> api.Replay:
        async with api.replay(tmp_path / "a.gpr", timing="instant") as replay:
            there = replay.create("n")
            assert await asyncio.to_thread(fetch, f"{there.url}/x") == "played"
            assert there.receipt.exit_code == 0
        return replay

    assert asyncio.run(main()).receipt.exit_code == 0


def test_a_name_that_cannot_be_is_a_usage_error_and_so_is_a_replay_that_is_over(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr")
    replay = api.replay(tmp_path / "a.gpr")
    with pytest.raises(UsageError, match="while the replay runs"):
        replay.create("n")
    with replay:
        there = replay.create("n")
        with pytest.raises(UsageError, match="there already"):
            replay.create("n")
        with pytest.raises(UsageError, match="no name"):
            replay.create("../n")
        with pytest.raises(UsageError, match="no namespace"):
            replay.remove("m")
    for act in (replay.create, replay.remove):
        with pytest.raises(UsageError, match="while the replay runs"):
            act("n")
    assert there.receipt.exit_code == 4
    assert replay.receipt.namespaces["n"] == there.receipt


def test_the_written_receipt_sums_up_the_namespaces(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    with api.replay(tmp_path / "a.gpr", timing="instant", receipt=tmp_path / "r.json", log=lambda text: None) as replay:
        for name, path in {"good": "/x", "bad": "/none", "idle": ""}.items():
            there = replay.create(name)
            if path:
                fetch(there.url + path)
        replay.remove("bad")
    plain = json.loads((tmp_path / "r.json").read_text())
    assert (plain["exit_code"], plain["served"], plain["missed"]) == (1, [], [])
    assert plain["namespaces"]["good"]["served"] == ["a#1"]
    assert plain["namespaces"]["bad"]["missed"][0]["kind"] == "no-match"
    assert {name: item["exit_code"] for name, item in plain["namespaces"].items()} == {"good": 0, "bad": 1, "idle": 4}
    assert "missed in bad" in plain["verdict"]


def test_a_receipt_may_be_asked_for_while_it_is_logged(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))
    seen: list[int] = []
    with api.replay(tmp_path / "a.gpr", log=lambda text: seen.append(len(replay.receipt.missed))) as replay:
        fetch(replay.url + "/none")
    assert seen == [1]


def test_what_goes_live_from_a_namespace_counts_there(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", answer=[(1, "played")])))
    write(tmp_path / "up.gpr", cassette(ask(1, "GET", "/new", answer=[(1, "live")])))
    with (
        api.replay(tmp_path / "up.gpr", timing="instant") as upstream,
        api.replay(
            tmp_path / "a.gpr",
            timing="instant",
            on_miss="live",
            upstreams={"default": upstream.url},
            log=lambda text: None,
        ) as replay,
    ):
        there = replay.create("n")
        assert [fetch(f"{there.url}{path}") for path in ("/new", "/x")] == ["live", "played"]
        assert fetch(f"{replay.url}/~m/new") == 424
        assert len(there.receipt.live) == 1
    assert replay.receipt.live == ()
    assert replay.receipt.source == "mixed"
    assert [item.kind for item in replay.receipt.missed] == ["namespace"]


def test_what_was_answered_again_is_in_the_receipt(tmp_path: Path) -> None:
    write(
        tmp_path / "a.gpr",
        cassette(ask(1, "GET", "/poll"), ask(2, "GET", "/poll", at=9), ask(3, "GET", "/once", at=20)),
    )
    with api.replay(tmp_path / "a.gpr", timing="instant", on_repeat="last") as replay:
        for path in ["/poll"] * 5 + ["/once"] * 2:
            urllib.request.urlopen(replay.url + path).close()
    assert replay.receipt.plain()["repeated"] == {"a#2": 3, "a#3": 1}
    assert "served 3, missed 0, unplayed 0, repeated 4" in replay.receipt.verdict
