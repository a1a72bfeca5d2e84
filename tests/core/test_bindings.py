"""Ids that stand for recorded ones: whose they are, there and back, whatever they are cut into."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.bindings import Bindings, Mint
from gp_replay.core.shapes import is_id

ONE, TWO = b"0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5", b"main_7c2a1d5e9b"


def bound(recorded: bytes = ONE, live: bytes = TWO) -> Bindings:
    bindings = Bindings()
    bindings.learn([(recorded, live)])
    return bindings


def test_a_bound_id_is_said_live_and_heard_as_recorded_wherever_it_stands() -> None:
    nested = json.dumps({"id": ONE.decode(), "arguments": json.dumps({"deep": json.dumps([ONE.decode()])})}).encode()
    said = bound().say(nested)
    assert said == nested.replace(ONE, TWO)
    assert bound().hear(said) == nested


@pytest.mark.parametrize(
    "text",
    [b"/threads/%s/runs", b"sid=%s&t=1", b'"\\n%s"', b"https://host/x?id=%s", b"see %s.", b"%%2F%s"],
)
def test_an_id_is_found_in_paths_queries_escapes_and_prose(text: bytes) -> None:
    assert bound().say(text % ONE) == text % TWO


def test_part_of_a_longer_word_is_no_id() -> None:
    assert bound().say(b"x" + ONE) == b"x" + ONE
    assert bound().say(ONE + b"_1") == ONE + b"_1"


def test_what_we_say_first_is_ours_and_must_come_back_as_it_was_given() -> None:
    bindings = Bindings()
    bindings.make(b'{"id":"%s"}' % ONE)
    assert bindings.live(ONE) == ONE
    assert bindings.agrees([(ONE, ONE)])
    assert not bindings.agrees([(ONE, TWO)])


def test_a_free_id_is_learned_once_and_means_the_same_from_then_on() -> None:
    bindings = bound()
    assert bindings.agrees([(ONE, ONE)])  # heard, so it was turned back already
    assert not bindings.agrees([(ONE, b"call_another1x")])
    assert not bindings.bind(ONE, b"call_another1x")
    assert bindings.bind(ONE, TWO)
    assert len(bindings) == 1


def test_a_recorded_id_that_another_client_was_given_is_not_agreed_with() -> None:
    bindings = bound()
    heard = bindings.hear(b'"%s"' % ONE).strip(b'"')
    assert not bindings.agrees([(ONE, heard)])


def test_a_client_may_have_an_id_that_somebody_else_was_recorded_with() -> None:
    bindings = bound(ONE, TWO)
    heard = bindings.hear(b'"%s"' % ONE).strip(b'"')
    assert bindings.agrees([(b"call_another1x", heard)])
    bindings.learn([(b"call_another1x", heard)])
    assert bindings.say(b"call_another1x") == ONE
    assert bindings.hear(ONE) == b"call_another1x"


def test_an_id_that_somebody_else_was_given_is_said_as_another() -> None:
    shared = Bindings()
    first, second = Bindings(parent=shared), Bindings(parent=shared)
    for each in (first, second):
        each.make(b'"%s"' % ONE)
    assert first.live(ONE) == ONE
    other = second.live(ONE)
    assert other is not None
    assert other != ONE
    assert is_id(other.decode())
    second.settle()
    assert shared.live(ONE) == other


def test_fresh_ids_are_of_the_same_shape_and_the_same_for_the_same_seed() -> None:
    for recorded in (ONE, TWO, b"chatcmpl-0ZkQ9sHk2mVx81Lq", b"resp_68f0c1d2e3a4b5968778695a4b3c2d1e"):
        one, again, other = (Mint(seed).fresh(recorded) for seed in (b"a", b"a", b"b"))
        assert one == again != other
        assert len(one) == len(recorded)
        assert is_id(one.decode())
        assert one.rpartition(b"_")[0] == recorded.rpartition(b"_")[0]


def test_a_name_of_any_shape_is_said_and_heard_as_a_word() -> None:
    bindings = Bindings()
    bindings.name("alice", "carol")
    assert (
        bindings.say(b'{"user":"alice","room":"alice-1","hi":"alice!"}')
        == b'{"user":"carol","room":"alice-1","hi":"carol!"}'
    )
    assert bindings.hear(b"/users/carol/x") == b"/users/alice/x"


@given(st.binary(max_size=60), st.lists(st.integers(1, 30), max_size=6))
def test_a_body_is_rewritten_in_as_many_parts_as_it_had(noise: bytes, cuts: list[int]) -> None:
    whole = noise + b' "' + ONE + b'" ' + noise
    parts, position = [], 0
    for size in cuts:
        parts.append(whole[position : position + size])
        position += size
    parts.append(whole[position:])
    said = bound().say_parts(parts, {})
    assert len(said) == len(parts)
    assert b"".join(said) == bound().say(whole)
    assert Bindings().say_parts(parts, {}) == parts
