"""Which names and values are secrets."""

from __future__ import annotations

import pytest

from gp_replay.core.secret_rules import is_secret_value, looks_like_credential, normal_name, secret_literals


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


def test_names_are_compared_without_case_and_separators() -> None:
    assert normal_name("X-Api_Key") == "xapikey"


def test_variables_whose_names_say_secret_count_from_12_mixed_characters_longest_first() -> None:
    environ = {
        "OPENAI_API_KEY": "sk-abcdef123456",
        "DB_PASSWORD": "correct1horse2battery",
        "APP_SECRET": "short1",
        "AUTH_TOKEN": "onlyletterstoolong",
        "SSH_KEY": "/home/me/.ssh/id_1234567",
        "TOKEN_URL": "https://auth.example/oauth2/token1",
        "KEYBOARD": "us-intl-102-keys",
        "HOME": "/home/user1234567",
        "GH_PAT": "tok123456789",
        "GITHUB_TOKEN": "tok123456789",
    }
    assert secret_literals(environ) == (b"correct1horse2battery", b"sk-abcdef123456", b"tok123456789")
