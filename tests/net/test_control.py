"""The control paths: what they answer, to whom, and that they are nobody's miss."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from dialogue import SERVER, ask, cassette
from filed import write
from wire import exchange, run

from gp_replay import api
from gp_replay.core.acts import Tally
from gp_replay.core.http1 import RequestLine
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile
from gp_replay.net import control as module
from gp_replay.net import namespaces
from gp_replay.net.control import Control, is_loopback
from gp_replay.net.namespaces import Namespaces
from gp_replay.net.stage import Stage
from gp_replay.report.receipt import Receipt

HERE = ("127.0.0.1", 5)


class There:
    """A replay's account of itself."""

    def __init__(self) -> None:
        self.url = "http://127.0.0.1:80"
        self.urls = {"llm": "http://127.0.0.1:80/llm", "chat": "http://127.0.0.1:81"}

    def receipt_of(self, tally: Tally) -> Receipt:
        return Receipt(
            cassettes=[],
            cast=[],
            timing="instant",
            served=tally.served,
            unfinished=(),
            missed=tally.missed,
            unplayed=tally.unplayed,
        )


def control() -> Control:
    script = compile(cassette(ask(1, "GET", "/x", role="llm")), {"llm": SERVER}, Rules())

    def make_stage(name: str) -> Stage:
        return Stage([("tape", script)], log=lambda text: None)

    return Control(Namespaces(make_stage, default=make_stage("")), There())


def said(
    there: Control, method: str, path: str, *, peer: object = HERE, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> tuple[int, dict]:
    line = RequestLine(method=method.encode(), target=b"/", version=b"HTTP/1.1", headers=headers)
    ((status, body),) = parsed(there.answer(line, path, peer=peer, close=False), head=method == "HEAD")
    return status, json.loads(body or b"{}")


def parsed(answers: bytes, *, head: bool = False) -> Iterator[tuple[int, bytes]]:
    """Status and body of each answer; nothing may stand between them."""
    while answers:
        first, _, answers = answers.partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 ")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", first)
        size = 0 if head or length is None else int(length[1])
        yield int(first[9:12]), answers[:size]
        answers = answers[size:]


def test_a_namespace_from_its_making_to_its_end() -> None:
    there = control()
    made = {"name": "n", "url": "http://127.0.0.1:80/~n"}
    made["urls"] = {"llm": "http://127.0.0.1:80/~n/llm", "chat": "http://127.0.0.1:81/~n"}  # type: ignore[assignment]
    assert said(there, "POST", "namespaces/n") == (201, made)
    assert said(there, "GET", "namespaces") == (200, {"namespaces": [made]})
    status, receipt = said(there, "GET", "namespaces/n/receipt")
    assert (status, receipt["name"], receipt["unplayed"], receipt["exit_code"]) == (200, "n", ["tape#1"], 4)
    assert said(there, "DELETE", "namespaces/n") == (200, receipt)
    assert said(there, "DELETE", "namespaces/n")[0] == 404
    assert said(there, "GET", "namespaces/n/receipt")[0] == 404
    assert said(there, "GET", "namespaces") == (200, {"namespaces": []})
    assert said(there, "POST", "namespaces/n") == (201, made)


def test_what_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "MAX_NAMESPACES", 1)
    there = control()
    assert said(there, "POST", "namespaces/n")[0] == 201
    for name, status in {"n": 409, "m": 429, "..": 400, "": 400, "a%20b": 400, "\xff": 400, "a" * 64: 400}.items():
        found, problem = said(there, "POST", f"namespaces/{name}")
        assert found == status, name
        assert problem["error"]["hint"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", ""), ("GET", "/"), ("GET", "namespaces/"), ("GET", "namespaces/n"), ("GET", "namespace")),
        *(
            ("POST", "namespaces"),
            ("POST", "namespaces/n/"),
            ("POST", "namespaces/n/receipt"),
            ("POST", "namespaces/a/b"),
        ),
        *(
            ("DELETE", "namespaces"),
            ("DELETE", "namespaces/"),
            ("DELETE", "namespaces/n/receipt"),
            ("PUT", "namespaces/n"),
        ),
        *(("GET", "namespaces/n/receipt/"), ("GET", "../namespaces"), ("GET", "namespaces/../namespaces")),
        *(("get", "namespaces"), ("OPTIONS", "namespaces"), ("TRACE", "namespaces"), ("CONNECT", "namespaces/n")),
        *(("GET", "namespaces//receipt"), ("DELETE", "namespaces/other"), ("GET", "x" * 60_000)),
    ],
)
def test_everything_else_is_404_with_a_hint(method: str, path: str) -> None:
    there = control()
    said(there, "POST", "namespaces/n")
    status, problem = said(there, method, path)
    assert status == 404
    assert "namespaces" in problem["error"]["hint"]
    assert len(said(there, "GET", "namespaces")[1]["namespaces"]) == 1


def test_a_head_gets_the_length_and_no_body() -> None:
    there = control()
    line = RequestLine(method=b"HEAD", target=b"/", version=b"HTTP/1.1", headers=())
    for path, status in {"namespaces": b"200 OK", "other": b"404 Not Found"}.items():
        answer = there.answer(line, path, peer=HERE, close=False)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.endswith(b"\r\n\r\n")
        assert b"Content-Length: 0" not in answer


PEERS = [
    *(
        (("127.0.0.1", 1), True),
        (("127.8.9.1", 1), True),
        (("::1", 1, 0, 0), True),
        (("::ffff:127.0.0.1", 1, 0, 0), True),
    ),
    *((("10.0.0.1", 1), False), (("::ffff:10.0.0.1", 1, 0, 0), False), (("fe80::1%lo", 1, 0, 3), False), (None, False)),
    *(
        ("", False),
        ((), False),
        (("localhost", 1), False),
        (("", 1), False),
        ((b"127.0.0.1", 1), False),
        (("0.0.0.0", 1), False),
    ),
]


@pytest.mark.parametrize(("peer", "ours"), PEERS)
def test_only_loopback_may_ask(peer: object, ours: bool) -> None:
    assert is_loopback(peer) is ours
    there = control()
    assert said(there, "POST", "namespaces/n", peer=peer)[0] == (201 if ours else 403)
    assert said(there, "GET", "other", peer=peer)[0] == (404 if ours else 403)
    assert len(said(there, "GET", "namespaces")[1]["namespaces"]) == int(ours)


@pytest.mark.parametrize("origin", [b"http://evil.test", b"null", b"", b"http://127.0.0.1:80"])
def test_a_web_page_may_not_ask(origin: bytes) -> None:
    there = control()
    assert said(there, "POST", "namespaces/n", headers=((b"oRiGiN", origin),))[0] == 403
    assert said(there, "GET", "namespaces")[1]["namespaces"] == []


# On the wire


def request(method: str, path: str, *headers: str, body: str = "") -> bytes:
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} {path} HTTP/1.1", *headers, *length, "", body]).encode()


CONTROL = "/_gp_replay/namespaces"
CLOSE = "Connection: close"


def replayed(tmp_path: Path, *writes: bytes, half_close: bool = False) -> tuple[bytes, api.Replay]:
    write(
        tmp_path / "a.gpr",
        cassette(ask(1, "GET", "/x", answer=[(1, "played")], answer_headers=((b"Content-Length", b"6"),))),
    )

    async def main() -> tuple[bytes, api.Replay]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=lambda text: None) as replay:
            return await exchange(replay.url, *writes, half_close=half_close), replay

    return run(main())


@pytest.mark.parametrize("cut", [1, 7, 100_000])
def test_control_and_replay_requests_may_be_pipelined(cut: int, tmp_path: Path) -> None:
    storm = b"".join(
        [
            request("POST", f"{CONTROL}/n", body="ignored"),
            request("GET", "/~n/x"),
            request("GET", "/x"),
            request("POST", f"{CONTROL}/n", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
            request("GET", "/~n/x"),
            request("GET", f"{CONTROL}/n/receipt?x=y"),
            request("DELETE", f"http://evil.test{CONTROL}/n"),
            request("GET", "/~n/x"),
            request("GET", CONTROL),
            request("GET", "/_gp_replay", CLOSE),
        ]
    )
    answers, replay = replayed(tmp_path, *(storm[i : i + cut] for i in range(0, len(storm), cut)))
    found = list(parsed(answers))
    assert [status for status, _ in found] == [201, 200, 200, 409, 424, 200, 200, 424, 200, 404]
    assert json.loads(found[0][1])["url"] == f"{replay.url}/~n"
    receipt, final = json.loads(found[5][1]), json.loads(found[6][1])
    assert receipt == final
    assert (receipt["served"], len(receipt["missed"]), receipt["exit_code"]) == (["a#1"], 1, 1)
    assert [item.kind for item in replay.receipt.missed] == ["namespace"]
    assert replay.receipt.namespaces["n"].exit_code == 1


def test_heads_leave_the_connection_in_order(tmp_path: Path) -> None:
    heads = [request("HEAD", path) for path in (CONTROL, "/_gp_replay/x", f"{CONTROL}/n/receipt", "/none", "/~none/x")]
    answers, replay = replayed(tmp_path, b"".join(heads), half_close=True)
    assert [status for status, _ in parsed(answers, head=True)] == [200, 404, 404, 424, 424]
    assert len(replay.receipt.missed) == 2


def test_control_requests_are_no_misses_and_serve_nothing(tmp_path: Path) -> None:
    asked = [request("GET", CONTROL), request("GET", "/_gp_replay/x"), request("POST", f"{CONTROL}/..", CLOSE)]
    answers, replay = replayed(tmp_path, b"".join(asked))
    assert [status for status, _ in parsed(answers)] == [200, 404, 400]
    assert replay.receipt.missed == ()
    assert replay.receipt.exit_code == 4


@pytest.mark.parametrize("host", ["evil.test", "evil.test/~x", "127.0.0.1:1\t", "\xff"])
def test_urls_are_the_listeners_whatever_the_host_says(host: str, tmp_path: Path) -> None:
    forwarded = ("X-Forwarded-Host: evil.test", "X-Forwarded-For: 127.0.0.1", "Forwarded: host=evil.test")
    answers, replay = replayed(tmp_path, request("POST", f"{CONTROL}/n", f"Host: {host}", *forwarded, CLOSE))
    ((status, body),) = parsed(answers)
    assert status == 201
    assert json.loads(body) == {"name": "n", "url": f"{replay.url}/~n", "urls": {"default": f"{replay.url}/~n"}}


def test_an_upgrade_to_a_control_path_is_answered_and_over(tmp_path: Path) -> None:
    upgrade = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: " + "A" * 22 + "==",
    )
    answers, _ = replayed(tmp_path, request("GET", CONTROL, *upgrade) + b"\x81\x00")
    ((status, body),) = parsed(answers)
    assert (status, json.loads(body)) == (200, {"namespaces": []})


def test_a_web_page_is_refused_and_still_gets_replays(tmp_path: Path) -> None:
    page = request("DELETE", f"{CONTROL}/n", "Origin: http://evil.test") + request("GET", "/x", "Origin: http://a.test")
    answers, replay = replayed(tmp_path, page, half_close=True)
    assert [status for status, _ in parsed(answers)] == [403, 200]
    assert replay.receipt.exit_code == 0


def test_a_peer_from_elsewhere_is_refused_and_still_gets_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_loopback", lambda peer: peer[0] != "127.0.0.1")
    answers, replay = replayed(tmp_path, request("GET", CONTROL) + request("GET", "/x"), half_close=True)
    assert [status for status, _ in parsed(answers)] == [403, 200]
    assert replay.receipt.exit_code == 0


def test_as_many_namespaces_are_made_as_may_be_and_others_have_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespaces, "MAX_NAMESPACES", 500)
    storm = b"".join(request("POST", f"{CONTROL}/n{number}") for number in range(501))
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/x")))

    async def main() -> tuple[bytes, api.Replay]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=lambda text: None) as replay:
            answers = asyncio.create_task(exchange(replay.url, storm, half_close=True))
            other = await exchange(replay.url, request("GET", "/x", CLOSE))
            assert b"200 OK" in other
            return await answers, replay

    answers, replay = run(main())
    statuses = re.findall(rb"HTTP/1.1 (\d{3}) ", answers)
    assert statuses == [b"201"] * 500 + [b"429"]
    assert len(replay.receipt.namespaces) == 500


def test_a_recording_proxy_has_no_control_paths(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", cassette(ask(1, "GET", "/~n/x"), ask(2, "GET", f"{CONTROL}")))

    async def main() -> list[bytes]:
        recording = api.record(
            "default=http://127.0.0.1:1", out=tmp_path / "a.gpr", mode="new-episodes", log=lambda text: None
        )
        async with recording:
            return [await exchange(recording.url, request("GET", path, CLOSE)) for path in ("/~n/x", CONTROL)]

    assert [b"x-gp-replay: a#" in answer for answer in run(main())] == [True, True]
