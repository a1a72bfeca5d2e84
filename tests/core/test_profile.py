"""What repeated takes taught, as values and as a file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.places import Any_, Place
from gp_replay.core.profile import Learned, Profile
from gp_replay.core.rules import Rules, Volatile
from gp_replay.errors import UsageError


def place(*at: object, seen: int = 1, role: str = "llm", path: str = "/v1") -> Learned:
    return Learned(at=at, role=role, path=path, seen=seen, examples=("a", "b"))  # type: ignore[arg-type]


def test_a_profile_is_rules() -> None:
    profile = Profile(volatile=(place("body", "a"),))
    assert profile.rules == Rules(volatile=(Volatile(at=("body", "a"), role="llm", path="/v1"),))
    assert Profile().rules == Rules()


def test_a_profile_only_grows_and_counts_each_two_takes_once() -> None:
    first = Profile().merged([place("body", "b"), place("body", "a", seen=2)], takes=("1", "2"))
    assert [(item.at[-1], item.seen) for item in first.volatile] == [("a", 2), ("b", 1)]
    assert first.merged([place("body", "a", seen=2)], takes=("1", "2")) == first
    second = first.merged([place("body", "a", seen=3), place("query", "t")], takes=("1", "3"))
    assert [(item.at[-1], item.seen) for item in second.volatile] == [("a", 5), ("b", 1), ("t", 1)]
    assert second.takes == (("1", "2"), ("1", "3"))


def test_a_place_within_a_known_one_is_known() -> None:
    wide = place("body", Any_.ELEMENT, "x")
    profile = Profile(volatile=(wide,)).merged(
        [place("body", 3, "x"), place("body", 3, "x", role="chat")], takes=("1", "2")
    )
    assert [(item.at, item.role, item.seen) for item in profile.volatile] == [
        (("body", 3, "x"), "chat", 1),
        (("body", Any_.ELEMENT, "x"), "llm", 2),
    ]


STEPS: st.SearchStrategy[Place] = st.lists(
    st.one_of(st.text(max_size=5), st.integers(0, 99), st.sampled_from(list(Any_))), max_size=4
).map(lambda steps: ("body", *steps))
PROFILES = st.builds(
    Profile,
    volatile=st.lists(
        st.builds(
            Learned,
            at=STEPS,
            role=st.text(max_size=5),
            path=st.text(max_size=5),
            seen=st.integers(1, 9),
            examples=st.tuples(st.text(max_size=5), st.text(max_size=5)),
        ),
        max_size=3,
    ).map(tuple),
    takes=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(tuple),
)


@given(PROFILES)
def test_a_profile_comes_back_from_its_file_as_it_was(profile: Profile) -> None:
    assert Profile.from_plain(json.loads(json.dumps(profile.plain())), source="a.profile.json") == profile


GOOD = {"at": "body.a", "role": "llm", "path": "/v1", "seen": 1, "examples": ["a", "b"]}


@pytest.mark.parametrize(
    ("plain", "problem"),
    [
        ([], "is no JSON object"),
        ({}, "version is not 1"),
        ({"version": "1"}, "version is not 1"),
        ({"version": True}, "version is not 1"),
        ({"version": 2}, "version 2 is newer"),
        ({"version": 1, "volatile": []}, "takes is no list"),
        ({"version": 1, "takes": [["a"]], "volatile": []}, "takes is no list"),
        ({"version": 1, "takes": []}, "volatile is no list"),
        *(
            ({"version": 1, "takes": [], "volatile": [GOOD, entry]}, rf"volatile\[1\]: {problem}")
            for entry, problem in (
                (1, "is no object"),
                ({}, "at is no text"),
                ({**GOOD, "at": "cookie"}, "'cookie' does not begin"),
                ({**GOOD, "role": 1}, "role is no text"),
                ({**GOOD, "path": None}, "path is no text"),
                ({**GOOD, "seen": 0}, "seen is no count"),
                ({**GOOD, "seen": True}, "seen is no count"),
                ({**GOOD, "examples": ["a"]}, "examples are not two texts"),
                ({**GOOD, "examples": ["a", 1]}, "examples are not two texts"),
            )
        ),
    ],
)
def test_what_is_no_profile_names_file_and_problem(plain: object, problem: str) -> None:
    with pytest.raises(UsageError, match=f"tape.profile.json.*{problem}"):
        Profile.from_plain(plain, source="tape.profile.json")
