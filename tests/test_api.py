"""Recording and replaying from a program, sync and async."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest
from dialogue import ask, cassette
from filed import write
from wire import answering, exchange, raw_server, run

import gp_replay
from gp_replay import api
from gp_replay.errors import CassetteExists, UsageError


def test_the_package_offers_record_and_replay() -> None:
    assert gp_replay.record is api.record
    assert gp_replay.replay is api.replay
    with pytest.raises(AttributeError):
        gp_replay.nothing  # type: ignore[attr-defined]


def test_with_runs_a_replay_in_a_thread_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x", answer=[(1, "one")])))
    lines: list[str] = []
    with gp_replay.replay(tmp_path / "a.gpr", log=lines.append) as replay:
        assert urllib.request.urlopen(replay.url + "/x").read() == b"one"
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(replay.url + "/y")
    assert replay.receipt.exit_code == 1
    assert "nearest" not in lines[0]


@pytest.mark.parametrize(
    "arguments",
    [
        {"upstream": [], "out": "x"},
        {"upstream": ["http://a", "http://b"], "out": "x"},
        {"upstream": "http://a", "out": "x", "mode": "some-episodes"},
        {"upstream": "nowhere", "out": "x"},
        {"upstream": "http://a", "out": "x", "listen": "odd=127.0.0.1:0"},
    ],
)
def test_what_cannot_be_meant_is_said_at_once(arguments: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        api.record(**{**arguments, "out": tmp_path / "x.gpr"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments", [{"patience": float("nan")}, {"patience": 1e300}, {"receipt": "/"}, {"receipt": ""}, {"timing": "x"}]
)
def test_a_replay_that_cannot_be_meant_is_said_at_once(arguments: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        api.replay(tmp_path / "a.gpr", **arguments)  # type: ignore[arg-type]


def test_an_existing_cassette_is_refused_at_once(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr")
    with pytest.raises(CassetteExists):
        api.record("http://127.0.0.1:1", out=tmp_path / "a")


def test_a_role_may_listen_on_an_address_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            raw_server(answering(b"HTTP/1.1 204 No\r\n\r\n")) as url,
            api.record(
                [f"a={url}", f"b={url}"], out=tmp_path / "x", listen=["a=127.0.0.1:0", "127.0.0.1:0"]
            ) as recording,
        ):
            assert recording.urls["a"] != recording.url
            assert recording.urls["b"] == recording.url + "/b"
            for target in (recording.urls["a"], recording.urls["b"]):
                path = target.partition("://")[2].partition("/")[2]
                got = await exchange(target, b"GET /" + path.encode() + b" HTTP/1.1\r\nConnection: close\r\n\r\n")
                assert got.startswith(b"HTTP/1.1 204")

    run(main())
