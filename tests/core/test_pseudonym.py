"""Pseudonyms keep length, alphabet and prefix, and are their own pseudonyms."""

from __future__ import annotations

import base64
import json
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gp_replay.core.pseudonym import Pseudonyms, jwt_claims

SALT = b"0123456789abcdef"


def segment(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def jwt(claims: object, signature: bytes = b"c2lnbmF0dXJlLW9mLXRoZS10b2tlbi0xMjM0NTY3ODkw") -> bytes:
    return b".".join((segment({"alg": "HS256", "typ": "JWT"}), segment(claims), signature))


def classes(value: bytes) -> str:
    table = {**dict.fromkeys(string.ascii_lowercase, "a"), **dict.fromkeys(string.ascii_uppercase, "A")}
    table |= dict.fromkeys(string.digits, "0")
    return "".join(table.get(character, character) for character in value.decode("latin-1"))


KEYS = [
    b"sk-abcdefghijKLMNOP0123456789",
    b"sk-proj-abcdefghijKLMNOP0123456789_-x",
    b"sk-ant-api03-abcdefghijKLMNOP0123456789",
    b"AIzaSyA0123456789abcdefghijklmnopqrstuv",
    b"ghp_0123456789abcdefghijABCDEFGHIJ012345",
    b"AKIAIOSFODNN7EXAMPLE",
    b"xai-0123456789abcdefABCDEF",
    b"glpat-0123456789abcdefABCDEF",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_credential_keeps_length_alphabet_and_prefix_and_nothing_else(key: bytes) -> None:
    made = Pseudonyms(SALT).credential(key)
    assert classes(made) == classes(key)
    prefix = next(
        p
        for p in (b"sk-ant-api03-", b"sk-proj-", b"sk-", b"AIza", b"ghp_", b"AKIA", b"xai-", b"glpat-")
        if key.startswith(p)
    )
    assert made.startswith(prefix)
    assert made[len(prefix) :] != key[len(prefix) :]
    assert sum(a == b for a, b in zip(made, key, strict=True)) < len(prefix) + len(key) // 2


@pytest.mark.parametrize("key", KEYS)
def test_equal_secrets_stay_equal_and_another_salt_gives_another_pseudonym(key: bytes) -> None:
    assert Pseudonyms(SALT).credential(key) == Pseudonyms(SALT).credential(key)
    assert Pseudonyms(SALT).credential(key) != Pseudonyms(b"another salt 16b").credential(key)


@example(b"%0\x800")  # what stands for the third byte must not make an escape of the first
@given(st.binary(max_size=60) | st.text(string.ascii_letters + string.digits + "-_%/", max_size=80).map(str.encode))
def test_a_pseudonym_is_its_own_pseudonym(value: bytes) -> None:
    pseudonyms = Pseudonyms(SALT)
    made = pseudonyms.credential(value)
    assert len(made) == len(value)
    assert pseudonyms.credential(made) == made


def test_a_long_pseudonym_is_recognised_by_another_instance_with_the_same_salt() -> None:
    for key in KEYS:
        made = Pseudonyms(SALT).credential(key)
        assert Pseudonyms(SALT).credential(made) == made


def test_short_values_become_ordinals_in_their_own_alphabet() -> None:
    pseudonyms = Pseudonyms(SALT)
    assert [pseudonyms.credential(value) for value in (b"hunter2", b"Pa$$w0rd", b"hunter2", b"12-34")] == [
        b"aaaaaa1",
        b"Aa$$a0ac",
        b"aaaaaa1",
        b"00-03",
    ]


def test_short_secrets_never_share_a_pseudonym_while_their_alphabet_can_hold_the_number() -> None:
    pseudonyms = Pseudonyms(SALT)
    made = [pseudonyms.credential(b"pw%04d" % number) for number in range(1500)]
    assert len(set(made)) == 1500


def test_an_alphabet_too_short_for_the_number_makes_secrets_share_a_pseudonym_but_never_keeps_one() -> None:
    pseudonyms = Pseudonyms(SALT)
    for number in range(10):
        value = b"%d" % number
        assert len(pseudonyms.credential(value)) == 1


def test_escapes_stay_escapes() -> None:
    made = Pseudonyms(SALT).credential(rb"abcdefgh\n12345678\u00e9ABCDEFGH%2Fxyzxyz\\nqrst")
    assert (made[8:10], made[18:24], made[32:35], made[41:44]) == (rb"\n", rb"\u00e9", b"%2F", rb"\\n")


def test_a_jwt_keeps_who_and_when_and_loses_the_rest() -> None:
    claims = {"sub": "user-1", "exp": 1_800_000_000, "iat": 1, "nbf": 2, "email": "a@b.example", "permissions": ["x"]}
    token = jwt(claims)
    made = Pseudonyms(SALT).jwt(token)
    assert len(made) == len(token)
    assert jwt_claims(made) == {"sub": "user-1", "exp": 1_800_000_000, "iat": 1, "nbf": 2}
    assert made.split(b".")[0] == token.split(b".")[0]
    assert made.split(b".")[2] != token.split(b".")[2]
    assert classes(made.split(b".")[2]) == classes(token.split(b".")[2])


@pytest.mark.parametrize("signature", [b"", b"short", b"c2lnbmF0dXJlLW9mLXRoZS10b2tlbi0xMjM0NTY3ODkw"])
@pytest.mark.parametrize("claims", [{}, {"sub": "é"}, {"sub": {"a": 1}, "exp": 1.5e300, "x": "y"}, {"iss": "z" * 300}])
def test_the_pseudonym_of_a_jwt_is_its_own(claims: object, signature: bytes) -> None:
    token = jwt(claims, signature)
    made = Pseudonyms(SALT).jwt(token)
    assert len(made) == len(token)
    assert jwt_claims(made) is not None
    assert Pseudonyms(SALT).jwt(made) == made


@given(
    st.binary(max_size=80)
    | st.lists(
        st.sampled_from([b"eyJ", b".", segment({"a": 1}), b"=", b"\xff", b"!", segment([1]), b"e30"]), max_size=8
    ).map(b"".join)
)
def test_what_only_looks_like_a_jwt_gets_a_pseudonym_of_its_length(value: bytes) -> None:
    assert len(Pseudonyms(SALT).jwt(value)) == len(value)


@pytest.mark.parametrize(
    "hostile",
    [
        b".".join([b"eyJ" + b"A" * 20_000, b"e30", b"x"]),
        b".".join([segment({}), base64.urlsafe_b64encode(b'{"a":' * 3000), b"x"]),
        b".".join([segment({}), base64.urlsafe_b64encode(b'{"sub":"\xff"}'), b"x"]),
        b"..",
        b"",
        b"\xff.\xff.\xff",
        b"e30.e30.e30.e30",
    ],
)
def test_hostile_tokens_have_no_claims(hostile: bytes) -> None:
    assert jwt_claims(hostile) is None
