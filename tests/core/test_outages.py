"""How services fail: each API in its own words, with the headers that its clients read before they try again."""

from __future__ import annotations

import json

import pytest
from dialogue import CLIENT

from gp_replay.core.model import RequestHead, header_value
from gp_replay.core.outages import Api, api_of, outage, refused_upgrade


def request(target: str, *headers: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(
        at_us=0,
        stream=1,
        side=CLIENT,
        method=b"POST",
        target=target.encode(),
        version=b"HTTP/1.1",
        headers=headers,
    )


OPENAI = request("/v1/chat/completions?x=1")
ANTHROPIC = request("/v1/messages")
GEMINI = request("/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse")
OTHER = request("/search")


@pytest.mark.parametrize(
    ("asked", "api"),
    [
        (OPENAI, Api.OPENAI),
        (request("/v1/models"), Api.OPENAI),
        (request("/v1/responses"), Api.OPENAI),
        (ANTHROPIC, Api.ANTHROPIC),
        (request("/v1/models", (b"anthropic-version", b"2023-06-01")), Api.ANTHROPIC),
        (GEMINI, Api.GEMINI),
        (OTHER, Api.OTHER),
        (request("/"), Api.OTHER),
        (request("/v1/search"), Api.OTHER),
    ],
)
def test_an_api_is_told_by_its_requests(asked: RequestHead, api: Api) -> None:
    assert api_of(asked) is api


@pytest.mark.parametrize(
    ("asked", "status", "path", "word"),
    [
        (OPENAI, 429, "error.code", "rate_limit_exceeded"),
        (OPENAI, 500, "error.type", "server_error"),
        (OPENAI, 502, "error.type", "server_error"),
        (ANTHROPIC, 429, "error.type", "rate_limit_error"),
        (ANTHROPIC, 529, "error.type", "overloaded_error"),
        (ANTHROPIC, 503, "error.type", "api_error"),
        (ANTHROPIC, 404, "error.type", "invalid_request_error"),
        (GEMINI, 429, "error.status", "RESOURCE_EXHAUSTED"),
        (GEMINI, 503, "error.status", "UNAVAILABLE"),
        (OTHER, 429, "detail", "Too Many Requests"),
        (OTHER, 418, "detail", "Error"),
    ],
)
def test_each_api_fails_in_its_own_words(asked: RequestHead, status: int, path: str, word: str) -> None:
    answer = outage(asked, status)
    value = json.loads(answer.body)
    for name in path.split("."):
        value = value[name]
    assert (answer.status, value) == (status, word)
    assert header_value(answer.headers, b"content-length") == b"%d" % len(answer.body)


def test_what_may_be_tried_again_says_when() -> None:
    assert header_value(outage(OPENAI, 429).headers, b"retry-after-ms") == b"120"
    assert header_value(outage(ANTHROPIC, 529).headers, b"retry-after") == b"1"
    assert header_value(outage(OTHER, 503).headers, b"retry-after") == b"1"
    assert json.loads(outage(GEMINI, 429).body)["error"]["details"][0]["retryDelay"] == "1s"
    assert header_value(outage(OPENAI, 500).headers, b"retry-after") is None


def test_a_refused_upgrade_ends_the_connection_and_a_403_has_no_body() -> None:
    forbidden, cold = refused_upgrade(403), refused_upgrade(503)
    assert (forbidden.body, forbidden.reason) == (b"", b"Forbidden")
    assert cold.body == b"Service Unavailable"
    assert header_value(cold.headers, b"retry-after") == b"1"
    assert header_value(forbidden.headers, b"connection") == b"close"
