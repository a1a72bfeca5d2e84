"""Which names and values are secrets."""

from __future__ import annotations

import pytest

from gp_replay.core.secret_rules import (
    cookie_value,
    is_secret_header,
    is_secret_value,
    looks_like_credential,
    normal_name,
    secret_literals,
    spellings,
)


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (b"a1b2C3d4E5f6G7h8", True),
        (b"9f86d081884c7d659a2feaa0c55ad015", True),
        (b"internationalization", False),
        (b"this-is-a-long-name-2024", False),
        (b"gpt-4.1-mini-2025-04-14", False),
        (b"550e8400-e29b-41d4-a716-44665544a0b0", False),
        (b"short1A", False),
        (b"call_abcDEF0123456789abcDEF01", False),
        (b"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", False),
        (b"uploads/9f86d081884c7d65.png", False),
        (b"words with spaces 1a2b3c4d5e6f7g8h", False),
    ],
)
def test_only_random_text_looks_like_a_credential(value: bytes, is_one: bool) -> None:
    assert looks_like_credential(value) is is_one


@pytest.mark.parametrize(
    ("name", "value", "is_one"),
    [
        ("api_key", b"x", True),
        ("apiKey", b"x", True),
        ("API-Key", b"x", True),
        ("api%5Fkey", b"x", True),
        ("X-Amz-Signature", b"abc", True),
        ("sig", b"abc", True),
        ("access_token", b"", False),
        ("key", b"name", False),
        ("key", b"a1b2C3d4E5f6G7h8", True),
        ("token", b"Hello", False),
        ("secret", b"sk-abcdefghijklmnopqrstuvwx", True),
        ("max_tokens", b"a1b2C3d4E5f6G7h8", False),
        ("state", b"a1b2C3d4E5f6G7h8", False),
        ("code", b"200", False),
    ],
)
def test_parameters_by_exact_name_and_bare_ones_by_their_value(name: str, value: bytes, is_one: bool) -> None:
    assert is_secret_value(name, value) is is_one


@pytest.mark.parametrize(
    ("name", "value", "is_one"),
    [
        (b"authorization", b"x", True),
        (b"x-openai-api-key", b"x", True),
        (b"x-forwarded-access-token", b"x", True),
        (b"access_token", b"x", True),
        (b"x-token", b"a1b2C3d4E5f6G7h8", True),
        (b"x-token", b"hello", False),
        (b"idempotency-key", b"a1b2C3d4E5f6G7h8", False),
        (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==", False),
        (b"x-ratelimit-remaining-tokens", b"149984", False),
        (b"access-control-allow-headers", b"authorization", False),
        (b"x-request-id", b"a1b2C3d4E5f6G7h8", False),
    ],
)
def test_header_fields_by_name_family_or_value(name: bytes, value: bytes, is_one: bool) -> None:
    assert is_secret_header(name, value) is is_one


@pytest.mark.parametrize(
    ("cookie", "value"),
    [
        (b"a=b", b"b"),
        (b' a = "b c" ', b"b c"),
        (b"a=b=c", b"b=c"),
        (b"b", b"b"),
        (b" ", b""),
        (b'a="', b'"'),
        (b"", b""),
    ],
)
def test_the_value_of_a_cookie(cookie: bytes, value: bytes) -> None:
    start, end = cookie_value(cookie)
    assert cookie[start:end] == value


def test_a_literal_has_the_spellings_of_json_and_urls() -> None:
    assert spellings(b"plain-1234_x") == (b"plain-1234_x",)
    assert set(spellings(b'a"/1')) == {b'a"/1', b"a%22%2F1", b'a\\"/1', b'a\\\\\\"/1'}
    assert b"\xff1" in spellings(b"\xff1")


def test_names_are_compared_without_case_and_separators() -> None:
    assert normal_name("X-Api_Key") == "xapikey"


def test_variables_whose_names_say_secret_count_from_12_mixed_characters_longest_first() -> None:
    environ = {
        "OPENAI_API_KEY": "sk-abcdef123456",
        "DB_PASSWORD": "correct1horse2battery",
        "APP_SECRET": "short1",
        "AUTH_TOKEN": "onlyletterstoolong",
        "SSH_KEY": "/home/me/.ssh/id_1234567",
        "AWS_SECRET_ACCESS_KEY": "/a1B2c3D4e5F6g7H8i9J0",
        "TOKEN_URL": "https://auth.example/oauth2/token1",
        "KEYBOARD": "us-intl-102-keys",
        "HOME": "/home/user1234567",
        "GH_PAT": "tok123456789",
        "GITHUB_TOKEN": "tok123456789",
    }
    assert secret_literals(environ) == (
        b"/a1B2c3D4e5F6g7H8i9J0",
        b"correct1horse2battery",
        b"sk-abcdef123456",
        b"tok123456789",
    )
