from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.demo.tokens import (
    AUTH_SUBPROTOCOL,
    LIFETIME_S,
    TokenRefused,
    check_token,
    find_token,
    make_token,
    subprotocols_with,
)

NOW = 1_758_100_000
SECRET = "secret of the test"


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(head: object, claims: object) -> str:
    text = f"{part(head)}.{part(claims)}"
    digest = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


HS256 = {"alg": "HS256", "typ": "JWT"}


def test_same_user_secret_and_time_give_the_same_token() -> None:
    assert make_token("alice", SECRET, now=NOW) == make_token("alice", SECRET, now=NOW)
    assert make_token("alice", SECRET, now=NOW) != make_token("alice", SECRET, now=NOW + 1)


def test_known_token_of_the_standard_is_accepted() -> None:
    # The example everybody knows from jwt.io, with an expiry added; signed here by hand.
    assert check_token(signed(HS256, {"sub": "1234567890", "exp": NOW + 1}), SECRET, now=NOW) == "1234567890"


@given(st.text(min_size=1), st.text(), st.integers(0, 2**40))
def test_made_token_is_accepted_until_it_expires(user: str, secret: str, now: int) -> None:
    token = make_token(user, secret, now=now)
    assert check_token(token, secret, now=now) == user
    assert check_token(token, secret, now=now + LIFETIME_S - 1) == user
    with pytest.raises(TokenRefused, match="expired"):
        check_token(token, secret, now=now + LIFETIME_S)


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("", "not a JSON Web Token"),
        ("a.b", "not a JSON Web Token"),
        ("a.b.c.d", "not a JSON Web Token"),
        ("\u00e4.b.c", "not a JSON Web Token"),
        (f"{part([1])}.{part({})}.x", "not a JSON Web Token"),
        (f"{part({'alg': 'none'})}.{part({'sub': 'eve', 'exp': NOW + 1})}.", "HS256"),
        (make_token("alice", "another secret", now=NOW), "signature"),
        (make_token("alice", SECRET, now=NOW)[:-4], "signature"),
        (signed({"alg": "RS256"}, {"sub": "eve", "exp": NOW + 1}), "HS256"),
        (signed(HS256, {"sub": "alice"}), "expired"),
        (signed(HS256, {"exp": NOW + 1}), "no user"),
        (signed(HS256, {"sub": "", "exp": NOW + 1}), "no user"),
        (signed(HS256, ["alice"]), "not a JSON Web Token"),
    ],
)
def test_bad_token_is_refused(token: str, problem: str) -> None:
    with pytest.raises(TokenRefused, match=problem):
        check_token(token, SECRET, now=NOW)


def test_changed_claims_are_refused() -> None:
    head, _, signature = make_token("alice", SECRET, now=NOW).split(".")
    with pytest.raises(TokenRefused, match="signature"):
        check_token(f"{head}.{part({'sub': 'eve', 'exp': NOW + 1})}.{signature}", SECRET, now=NOW)


@given(st.text())
def test_garbage_raises_token_refused_only(garbage: str) -> None:
    with pytest.raises(TokenRefused):
        check_token(garbage, SECRET, now=NOW)


def test_token_travels_as_second_subprotocol() -> None:
    token = make_token("alice", SECRET, now=NOW)
    scheme, item = subprotocols_with(token)
    assert scheme == AUTH_SUBPROTOCOL
    assert find_token("", f"chat, {scheme} ,{item}") == token


def test_authorization_wins_over_subprotocol() -> None:
    assert find_token("bearer one.two.three", ", ".join(subprotocols_with("x.y.z"))) == "one.two.three"


@pytest.mark.parametrize(("authorization", "offered"), [("", ""), ("Basic eDp5", ""), ("", "jwt-auth, graphql-ws")])
def test_request_without_token_is_refused(authorization: str, offered: str) -> None:
    with pytest.raises(TokenRefused, match="needed"):
        find_token(authorization, offered)
