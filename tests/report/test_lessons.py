"""What two takes taught, for people and for machines."""

from __future__ import annotations

import json

from gp_replay.core.learning import Left, Lesson, Reason
from gp_replay.core.profile import Learned, Profile
from gp_replay.report.lessons import Taught


def place(*at: str, seen: int = 1, examples: tuple[str, str] = ("a", "b")) -> Learned:
    return Learned(at=at, role="llm", path="/v1", seen=seen, examples=examples)


NEW, KNOWN = place("body", "new", seen=3), place("body", "known", examples=('"', "\x1b[31m"))
TAUGHT = Taught(
    lesson=Lesson(
        learned=(NEW, KNOWN),
        left=(Left(place=place("body", "odd\n", examples=("Rome", "Oslo")), reason=Reason.CONTENT),),
        pairs=5,
        alone=(1, 0),
    ),
    profile=Profile(volatile=(NEW, KNOWN)),
    new=(NEW,),
    path="a.profile.json",
    written=True,
)


def test_people_read_what_was_learned_and_what_was_not_and_why() -> None:
    assert list(TAUGHT.lines()) == [
        "body.new  llm /v1",
        '  learned: "a" and "b", 3 times',
        "body.known  llm /v1",
        '  known: "\\"" and "\\x1b[31m"',
        'body["odd\\n"]  llm /v1',
        '  not learned: "Rome" and "Oslo" (content: words may decide what is answered)',
    ]
    assert TAUGHT.summary.splitlines() == [
        "compared 5 requests and messages; only in A: 1, only in B: 0",
        "learned 2 volatile places, 1 of them new; a.profile.json holds 2",
    ]


def test_machines_read_the_same() -> None:
    plain = json.loads(json.dumps(TAUGHT.plain()))
    assert (plain["profile"], plain["written"], plain["pairs"], plain["alone"]) == ("a.profile.json", True, 5, [1, 0])
    assert [(item["at"], item["new"], item["seen"]) for item in plain["learned"]] == [
        ("body.new", True, 3),
        ("body.known", False, 1),
    ]
    assert plain["left"][0]["reason"] == "content"
    assert plain["left"][0]["examples"] == ["Rome", "Oslo"]


def test_every_reason_has_words() -> None:
    for reason in Reason:
        left = Left(place=NEW, reason=reason)
        taught = Taught(
            lesson=Lesson(learned=(), left=(left,), pairs=1, alone=(0, 0)),
            profile=Profile(),
            new=(),
            path="a",
            written=False,
        )
        assert reason.value in list(taught.lines())[1]
        assert taught.summary.endswith("nothing was written")
