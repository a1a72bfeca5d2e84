"""Our own address in what was recorded: whose URLs become ours, in which spelling, and which stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.authority import OwnAddress

UPSTREAM, LIVE = "https://api.example.com/base", "127.0.0.1:8080/llm"


def address(*, host: str = "api.example.com", upstream: str = UPSTREAM, live: str = LIVE) -> OwnAddress:
    return OwnAddress(upstream=upstream, live=live, host=host)


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        (b"https://api.example.com/base/v1/x", b"http://127.0.0.1:8080/llm/v1/x"),
        (b"wss://api.example.com/base/ws", b"ws://127.0.0.1:8080/llm/ws"),
        (b"HTTPS://API.example.com/base/v1", b"http://127.0.0.1:8080/llm/v1"),
        (b'{"next":"https://api.example.com/base?page=2"}', b'{"next":"http://127.0.0.1:8080/llm?page=2"}'),
        (b'<https://api.example.com/base/p2>; rel="next"', b'<http://127.0.0.1:8080/llm/p2>; rel="next"'),
    ],
)
def test_urls_of_the_upstream_name_us_where_the_live_client_finds_us(recorded: bytes, said: bytes) -> None:
    assert address().rewrite(recorded) == said


@pytest.mark.parametrize("depth", [1, 3], ids=["escaped", "escaped in nested JSON"])
def test_escaped_slashes_stay_escaped_as_they_were(depth: int) -> None:
    slash = b"\\" * depth + b"/"
    own = address(upstream="https://api.example.com")
    recorded = slash.join([b'"https:', b"", b"api.example.com", b'v1"'])
    assert own.rewrite(recorded) == slash.join([b'"http:', b"", b"127.0.0.1:8080", b"llm", b'v1"'])


@pytest.mark.parametrize(
    "other",
    [
        b"https://api.example.com.evil.test/base/v1",
        b"https://api.example.com:444/base",
        b"https://other.example.com/base/v1",
        b"ftp://api.example.com/base",
        b"api.example.com/base",
        b"mail to ops@api.example.com",
        b"https://my-api.example.com/base",
    ],
)
def test_urls_of_others_and_bare_names_stay(other: bytes) -> None:
    assert address().rewrite(other) == other


def test_what_the_upstream_called_itself_by_in_host_is_its_name_too() -> None:
    own = address(host="public.example.com:8443", upstream="http://10.0.0.7:9000")
    assert own.rewrite(b"http://public.example.com:8443/a") == b"http://127.0.0.1:8080/llm/a"
    assert own.rewrite(b"http://10.0.0.7:9000/a") == b"http://127.0.0.1:8080/llm/a"


@pytest.mark.parametrize(
    ("host", "upstream", "live"),
    [
        ("", "", LIVE),
        ("api.example.com", UPSTREAM, ""),
        ("127.0.0.1:9", "http://127.0.0.1:9", "127.0.0.1:9"),
    ],
    ids=["nothing known", "client unknown", "already ours"],
)
def test_without_a_name_on_either_side_nothing_changes(host: str, upstream: str, live: str) -> None:
    raw = b"http://127.0.0.1:9/x https://api.example.com/base"
    assert address(host=host, upstream=upstream, live=live).rewrite(raw) == raw


@given(st.binary(max_size=80))
def test_rewriting_twice_is_rewriting_once(noise: bytes) -> None:
    own = address()
    once = own.rewrite(noise + b" https://api.example.com/base/v1 " + noise)
    assert own.rewrite(once) == once


@pytest.mark.parametrize(
    "text",
    [b"http://127.0.0.1:8080/llm/v1/x", b"ws://127.0.0.1:8080/llm", rb'"http:\/\/127.0.0.1:8080\/llm\/v1"'],
)
def test_what_names_us_is_read_as_naming_the_upstream_and_is_said_as_it_was(text: bytes) -> None:
    own = address()
    restored = own.restore(text)
    assert b"api.example.com" in restored
    assert own.rewrite(restored) == text


def test_a_longer_path_than_the_base_is_another_one() -> None:
    other = b"https://api.example.com/base2/x"
    assert address().rewrite(other) == other
