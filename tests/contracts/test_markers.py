"""Texts that only one client sent."""

from __future__ import annotations

import json

import pytest

from gp_replay.contracts.markers import Markers


def found(markers: Markers, text: object, owner: str) -> list[str]:
    return [marker for marker, _ in markers.found_in(json.dumps({"x": text}).encode(), owner)]


@pytest.mark.parametrize(
    "text",
    [
        "USER_alice_MSG_17",
        "my cat is called Tom",
        'she said "no\nway"',
        "Größenmaß über alles",
        "你好世界这是我的秘密问题吗",
    ],
)
def test_a_text_is_found_wherever_another_owner_hears_it(text: str) -> None:
    markers = Markers()
    markers.add(text, "alice")
    assert found(markers, f"echo: {text}!", "bob") == [text]
    assert [marker for marker, _ in markers.found_in(json.dumps([text], ensure_ascii=False).encode(), "bob")] == [text]
    assert found(markers, text, "alice") == []
    assert found(markers, text[:-1], "bob") == []


def test_what_two_clients_said_is_nobodys() -> None:
    markers = Markers()
    for owner in ("alice", "bob"):
        markers.add("What did it cost?", owner)
    markers.add("What did it cost?", "alice")
    assert found(markers, "What did it cost?", "carol") == []


def test_what_is_part_of_what_another_client_said_is_nobodys() -> None:
    for first, second in (("How can I save money", "How can I save money at night"), ("abc def ghi jkl", "def ghi")):
        for said in ((first, second), (second, first)):
            markers = Markers()
            markers.add(said[0], "alice")
            markers.add(said[1], "bob")
            short = min(said, key=len)
            assert found(markers, short, "alice") == found(markers, short, "bob") == []


def test_one_owner_may_say_a_text_again() -> None:
    markers = Markers()
    markers.add("my cat is called Tom", "alice")
    markers.add("my cat is called Tom", "alice")
    assert found(markers, "my cat is called Tom", "bob") == ["my cat is called Tom"]


def test_old_texts_are_forgotten_when_there_are_too_many() -> None:
    markers = Markers()
    for number in range(5_000):
        markers.add(f"marker number {number}", "alice")
    assert found(markers, "marker number 0 ", "bob") == []
    assert found(markers, "marker number 4999", "bob") == ["marker number 4999"]
