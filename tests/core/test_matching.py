"""The shelf of recordings, and what differs between two forms."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.canonical import Form
from gp_replay.core.matching import Difference, Refusal, Shelf, differences
from gp_replay.core.model import Protocol

HTTP = Protocol.HTTP
FORM, OTHER = b"f" * 16, b"g" * 16


def take(shelf: Shelf, literal: bytes = b"l" * 8, owner: str | None = None, form: bytes = FORM) -> int | None:
    found = shelf.candidates(protocol=HTTP, key=form + literal, role="llm", owners=(owner, None))
    number = next((number for number, _ in found), None)
    if number is not None:
        assert shelf.claim(number)
    return number


def shelf_of(*recordings: tuple[bytes, bytes, str | None]) -> Shelf:
    shelf = Shelf()
    for number, (form, literal, owner) in enumerate(recordings):
        shelf.put(number, protocol=HTTP, key=form + literal * 8, role="llm", owner=owner)
    return shelf


def test_literally_equal_comes_before_recorded_order() -> None:
    shelf = shelf_of((FORM, b"a", None), (FORM, b"b", None), (FORM, b"c", None))
    assert take(shelf, b"b" * 8) == 1
    found = shelf.candidates(protocol=HTTP, key=FORM + b"a" * 8, role="llm", owners=(None,))
    assert list(found)[:2] == [(0, True), (0, False)]
    assert take(shelf, b"b" * 8) == 0
    assert take(shelf, b"b" * 8) == 2
    assert take(shelf, b"b" * 8) is None


def test_own_recordings_come_before_those_of_nobody_and_others_never() -> None:
    shelf = shelf_of((FORM, b"a", None), (FORM, b"a", "alice"), (FORM, b"a", "bob"))
    assert take(shelf, owner="alice") == 1
    assert take(shelf, owner="alice") == 0
    assert take(shelf, owner="alice") is None
    assert take(shelf) is None
    assert shelf.unclaimed == [2]


def test_what_is_given_back_keeps_its_place() -> None:
    shelf = shelf_of((FORM, b"a", None), (FORM, b"a", None))
    assert take(shelf, b"a" * 8) == 0
    shelf.release(0)
    shelf.release(0)
    assert take(shelf, b"a" * 8) == 0
    assert take(shelf, b"a" * 8) == 1
    assert len(shelf) == 0


def test_a_claim_is_given_once() -> None:
    shelf = shelf_of((FORM, b"a", None))
    assert shelf.claim(0)
    assert not shelf.claim(0)
    assert not shelf.is_free(0)
    assert list(shelf.candidates(protocol=HTTP, key=FORM, role="llm", owners=(None,))) == []
    assert shelf.all_of(protocol=HTTP, key=FORM, role="llm", owners=(None,)) == [0]


def test_roles_and_owners_are_known_even_when_used_up() -> None:
    shelf = shelf_of((FORM, b"a", "alice"))
    take(shelf, owner="alice")
    assert shelf.roles(protocol=HTTP, key=FORM) == ["llm"]
    assert shelf.owners(protocol=HTTP, key=FORM, role="llm") == ["alice"]
    assert shelf.roles(protocol=HTTP, key=OTHER) == []


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.sampled_from([None, "x", "y"])), max_size=20), st.data())
def test_every_recording_is_given_at_most_once_and_only_to_its_owner(
    recordings: list[tuple[bytes, str | None]], data: st.DataObject
) -> None:
    shelf = shelf_of(*((FORM, literal, owner) for literal, owner in recordings))
    given_out: list[int] = []
    for _ in range(len(recordings) + 2):
        owner = data.draw(st.sampled_from([None, "x", "y"]))
        number = take(shelf, data.draw(st.sampled_from([b"a", b"b"])) * 8, owner)
        if number is not None:
            assert recordings[number][1] in (None, owner)
            given_out.append(number)
    assert len(given_out) == len(set(given_out))


def form(plain: dict[str, object]) -> Form:
    return Form(plain=plain, digest=b"")  # type: ignore[arg-type]


def test_differences_name_places_in_the_grammar_of_rules() -> None:
    old = form({"body": {"messages": [{"content": "Rome"}], "args": {"{}": {"city": "Rome"}}, "n": 1, "gone": 1}})
    new = form({"body": {"messages": [{"content": "Oslo"}, {}], "args": {"{}": {"city": "Oslo"}}, "n": "1"}})
    assert [(item.place, item.recorded, item.live) for item in differences(old, new)] == [
        ("body.messages[0].content", "Rome", "Oslo"),
        ("body.messages[1]", "(absent)", "{}"),
        ("body.args{}.city", "Rome", "Oslo"),
        ("body.n", "1", "1"),
        ("body.gone", "1", "(absent)"),
    ]
    assert differences(old, old) == ()
    assert len(differences(old, new, most=2)) == 2


def test_long_values_are_cut_and_say_so() -> None:
    (found,) = differences(form({"body": "a" * 500}), form({"body": "b"}))
    assert found.recorded.endswith("… (500 characters)")


def test_a_refusal_is_plain_data() -> None:
    refusal = Refusal(
        kind="mismatch",
        reason="r",
        close_code=4409,
        differences=(Difference(place="body.a", recorded="1", live="2"),),
    )
    assert refusal.plain()["differences"] == [{"at": "body.a", "recorded": "1", "live": "2"}]
