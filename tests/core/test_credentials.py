"""Live credentials where a cassette has pseudonyms."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from dialogue import CLIENT

from gp_replay.core.credentials import Credentials, with_credential
from gp_replay.core.model import RequestHead
from gp_replay.demo.tokens import make_token

OLD, LIVE = (make_token("alice", "secret", now=now) for now in (1_000_000_000, 1_700_000_000))


def head(target: str = "/", *headers: tuple[str, str]) -> RequestHead:
    return RequestHead(
        at_us=0,
        stream=1,
        side=CLIENT,
        method=b"GET",
        target=target.encode(),
        version=b"HTTP/1.1",
        headers=tuple((name.encode(), value.encode()) for name, value in headers),
    )


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("Authorization", f"Bearer {OLD}", f"Bearer {LIVE}"),
        ("authorization", OLD, LIVE),
        ("X-Api-Key", "sk-old", LIVE),
        ("Sec-WebSocket-Protocol", f"chat, jwt.{OLD}", f"chat, jwt.{LIVE}"),
        (
            "Sec-WebSocket-Protocol",
            "jwt." + urlsafe_b64encode(OLD.encode()).decode().rstrip("="),
            "jwt." + urlsafe_b64encode(LIVE.encode()).decode().rstrip("="),
        ),
        ("X-Other", OLD, OLD),
    ],
)
def test_a_credential_stands_where_the_recorded_one_stood(name: str, before: str, after: str) -> None:
    assert with_credential(head("/", (name, before)), LIVE).headers == ((name.encode(), after.encode()),)


def test_a_token_in_the_query_is_replaced_and_the_rest_stays() -> None:
    assert with_credential(head(f"/ws?a=1&token={OLD}&b=2"), "a b").target == b"/ws?a=1&token=a%20b&b=2"
    assert with_credential(head("/ws?tokens=3"), LIVE).target == b"/ws?tokens=3"


def test_a_users_own_credential_counts_more_and_a_variable_most() -> None:
    credentials = Credentials(
        by_role={"chat": "everybody"},
        by_owner={("chat", "alice"): "hers", ("chat", "b@x.org"): "his"},
        variables={"GP_REPLAY_CHAT_TOKEN_B_X_ORG": "variable"},
    )
    assert credentials.of("chat", "alice") == "hers"
    assert credentials.of("chat", "b@x.org") == "variable"
    assert credentials.of("chat", "carol") == credentials.of("chat", None) == "everybody"
    assert credentials.of("llm", "alice") is None
