"""What is found, what is undecided, and that hostile text costs no more than its length."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.secret_scan import SecretScanner

KEY = b"sk-abcdefghij0123456789ABCD"


def found(text: bytes, scanner: SecretScanner | None = None) -> list[bytes]:
    spans, undecided = (scanner or SecretScanner()).scan(text)
    assert undecided == len(text)
    return [text[span.start : span.end] for span in spans]


@pytest.mark.parametrize(
    "opened",
    [
        b"s",
        b"a sk",
        KEY[:5],
        KEY,
        b"eyJ",
        b"eyJhbGciOi.eyJz",
        b"AIz",
        b"ghp_abc",
        b"Bear",
        b"Bearer abc",
        b"--",
        b"-----BEGIN RSA PRIV",
        b"-----BEGIN PRIVATE KEY-----\nMIIE",
        b'{"',
        b'{"api',
        b'{"api_key"',
        b'{"api_key" : ',
        b'{"api_key":"',
        b'{"api_key":"hunter2 and more',
        b'{\\"api_key\\":\\"hun',
        b'{"token":"abc',
        b"\\",
        b"LITERAL-VA",
    ],
)
def test_the_beginning_of_a_secret_is_undecided(opened: bytes) -> None:
    text = b"say " + opened
    scanner = SecretScanner(literals=[b"LITERAL-VALUE-1"])
    spans, undecided = scanner.scan(text, final=False)
    assert undecided < len(text)
    assert undecided >= len(text) - len(opened)
    assert not spans


@pytest.mark.parametrize(
    "text",
    [
        b"hello",
        b"He said hello",
        b"words",
        b"task",
        b"desk",
        b'{"content":"hello',
        b'{"content":"hello"',
        b"a1b2c3",
        b'{"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"}',
        b"data: [DONE]\n\n",
        b"5 - 3 = 2",
        b'{"tokens":"5',
        b"",
    ],
)
def test_an_ordinary_end_is_decided(text: bytes) -> None:
    assert SecretScanner().scan(text, final=False) == ([], len(text))


@given(
    st.lists(
        st.sampled_from(
            [
                KEY,
                b"Bearer ",
                b"eyJ",
                b'"',
                b"\\",
                b'"api_key":"',
                b"hunter2",
                b" ",
                b"-----BEGIN",
                b"s",
                b"sk",
                b'"token":',
                b"{",
                b"}",
                b"x1",
                b"\n",
            ]
        ),
        max_size=12,
    ).map(b"".join)
)
def test_spans_are_apart_and_end_before_the_undecided_tail(text: bytes) -> None:
    spans, undecided = SecretScanner().scan(text, final=False)
    ends = [0, *(span.end for span in spans)]
    assert all(span.start >= end for span, end in zip(spans, ends, strict=False))
    assert max(ends) <= undecided <= len(text)


@given(
    st.lists(
        st.sampled_from(
            [
                b"s",
                b"sk",
                b"sk-",
                b"LI",
                b"L",
                b'"',
                b'":',
                b" ",
                b"_",
                b"a",
                b"-",
                b"--",
                b"ey",
                b"gh",
                b"\xe4",
                b"Bearer ",
            ]
        ),
        max_size=9,
    ).map(b"".join)
)
def test_a_string_that_ends_in_a_beginning_is_suspected(text: bytes) -> None:
    scanner = SecretScanner(literals=[b"LITERAL-VALUE-1"])
    strings = text.split(b'"')
    if any(scanner.scan(part, final=False)[1] < len(part) for part in strings):
        assert scanner.suspects(text)


def test_users_names_and_patterns_count() -> None:
    scanner = SecretScanner(fields=["x_ssn"], patterns=[re.compile(rb"CUST-\d{6}")])
    assert found(b'{"xSsn":"12-34","note":"CUST-123456 and CUST-1"}', scanner) == [b"12-34", b"CUST-123456"]
    assert scanner.scan(b"hello CUST-12", final=False) == ([], 6)


def test_a_pem_key_keeps_its_armour() -> None:
    text = b"-----BEGIN RSA PRIVATE KEY-----\nMIIEab\ncd==\n-----END RSA PRIVATE KEY-----"
    assert found(text) == [b"\nMIIEab\ncd==\n"]
    assert found(b"-----BEGIN CERTIFICATE-----\nMIIEab\n-----END CERTIFICATE-----") == []


MEBIBYTE = 1 << 20
HOSTILE = [
    b'"api_key":"',
    b"eyJ",
    b"eyJeyJaaaaaaaa.",
    b"eyJaaaaaaaa.aaaa.",
    b"eyJaaaaaaaa..",
    b"eyJaaaaaaaa.aaaaaaaa.aaaaaaaa.aaaa.",
    b"ya29.a",
    b"sk_live_",
    b'"key":[',
    b"\\",
    b'\\"',
    b"sk-",
    b".sk-a",
    b"-----BEGIN",
    b"-----BEGIN PRIVATE KEY-----",
    b'"token":"\\"',
    b'\\\\\\"api_key\\\\\\":\\\\\\"',
    b"-",
    b'"',
    b"Bearer ",
    b'"key"',
    b'"api_key"\\',
    b"\\u007",
    b"\\u0073",
    b"key",
    b"AIza",
    b" ",
    b'"key":"\\"key\\":\\"',
    b"?key=",
]


@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("final", [True, False])
def test_hostile_text_costs_no_more_than_its_length(unit: bytes, final: bool) -> None:
    def cost(size: int) -> float:
        text = unit * (size // len(unit))
        best = 1e9
        for _ in range(2):
            began = time.process_time()
            scanner.scan(text, final=final)
            best = min(best, time.process_time() - began)
        return best

    scanner = SecretScanner(literals=[b"eyJa", b"sk-a"])
    # Quadratic work would be 64 times as much for 8 times the text.
    assert cost(MEBIBYTE // 2) < 40 * cost(MEBIBYTE // 16) + 0.05
