"""What two takes of one conversation teach, and what they do not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from dialogue import ask, cassette, chat
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.canonical import message_form, request_form
from gp_replay.core.index import MemoryCassette
from gp_replay.core.learning import Lesson, Reason, learn
from gp_replay.core.model import Message, RequestHead
from gp_replay.core.places import format_place
from gp_replay.core.profile import Profile
from gp_replay.core.rules import Rules

RANDOM = ("Pc3hZ9kQ", "x81TmA0v")
UUID = ("0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5", "7f6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5")


def post(body: object, *, stream: int = 1, path: str = "/v1", **options: object) -> list:  # type: ignore[type-arg]
    return ask(stream, "POST", path, json.dumps(body), at=stream * 20, **options)  # type: ignore[arg-type]


def taught(a: MemoryCassette, b: MemoryCassette, rules: Rules | None = None, *, everything: bool = False) -> Lesson:
    return learn(a, b, rules or Rules(), everything=everything)


def places(lesson: Lesson) -> list[str]:
    return [format_place(item.at) for item in lesson.learned]


def left(lesson: Lesson) -> dict[str, str]:
    return {format_place(item.place.at): item.reason.value for item in lesson.left}


VOLATILE = [
    RANDOM,
    ("3fa91c", "b0c27e"),
    ("run-Pc3hZ9kQ-eu", "run-x81TmA0v-eu"),
    ("aB3-x9_Qz7", "q8W_Zk29Lm"),
    (1758100000, 1758100777),
    ("1758100000123", "1758100777123"),
    (0.8437592837465, 0.1202837465221),
    ("0.8437592837465", "0.1202837465221"),
    (123456789.123456, 123456790.654321),
]


@pytest.mark.parametrize(("one", "other"), VOLATILE)
def test_a_value_no_person_would_say_is_learned_wherever_it_stands(one: object, other: object) -> None:
    a, b = (cassette(post({"text": "hi there", "mark": value})) for value in (one, other))
    lesson = taught(a, b)
    assert (places(lesson), left(lesson)) == (["body.mark"], {})
    assert lesson.learned[0].examples == (str(one), str(other))
    a, b = (cassette(ask(1, "GET", f"/v1?mark={value}&q=rome")) for value in (one, other))
    assert places(taught(a, b)) == ["query.mark"]


CONTENT = [
    ("Say hi.", "Say bye.", Reason.CONTENT),
    ("Rome", "London", Reason.CONTENT),
    ("at 10:00 Pc3hZ9kQ", "at 10:01 x81TmA0v", Reason.CONTENT),
    ("https://h/Rome?n=Pc3hZ9kQ", "https://h/Oslo?n=x81TmA0v", Reason.CONTENT),
    ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20", Reason.CONTENT),
    ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", Reason.CONTENT),
    ("2026-07-01", "2026-07-02", Reason.CONTENT),
    ("step-1", "step-2", Reason.CONTENT),
    ("Pc3hZ9kQ", "London", Reason.CONTENT),
    (True, False, Reason.CONTENT),
    ("17", "18", Reason.NUMBER),
    (17, 18, Reason.NUMBER),
    (0.2, 0.7, Reason.NUMBER),
    (41.902782, 51.507351, Reason.NUMBER),
    (None, "x", Reason.STRUCTURE),
    ("17", 17, Reason.STRUCTURE),
    ({"a": 1}, [1], Reason.STRUCTURE),
    (1, True, Reason.STRUCTURE),
]


@pytest.mark.parametrize(("one", "other", "reason"), CONTENT)
def test_what_may_decide_is_reported_and_left_alone(one: object, other: object, reason: Reason) -> None:
    a, b = (cassette(post({"mark": value})) for value in (one, other))
    lesson = taught(a, b)
    assert (places(lesson), left(lesson)) == ([], {"body.mark": reason.value})


def test_all_learns_words_and_numbers_but_never_what_is_not_always_there() -> None:
    a = cassette(post({"text": "Say hi.", "n": 17, "extra": 1}))
    b = cassette(post({"text": "Say bye.", "n": 18}))
    lesson = taught(a, b, everything=True)
    assert places(lesson) == ["body.text", "body.n"]
    assert left(lesson) == {"body.extra": "structure"}


def test_a_model_is_content_however_it_is_spelled() -> None:
    a, b = (cassette(post({"model": name, "judgeModel": name})) for name in RANDOM)
    assert left(taught(a, b)) == {"body.model": "content", "body.judgeModel": "content"}


@pytest.mark.parametrize(
    "values", [UUID, ("2026-07-01T10:00:00Z", "2026-07-02T11:11:11Z"), ("sk-abcdefghijklmnop1234567890", "sk-zyxwvutsrqponmlk0987654321")]
)  # fmt: skip
def test_what_the_canonical_form_has_by_its_class_is_no_finding(values: tuple[str, str]) -> None:
    a, b = (cassette(post({"api_key": value, "text": "hi"})) for value in values)
    lesson = taught(a, b)
    assert (lesson.learned, lesson.left, lesson.pairs) == ((), (), 1)


def test_a_random_value_that_only_sometimes_looks_like_an_id_is_learned() -> None:
    a, b = (cassette(post({"mark": value})) for value in (UUID[0], RANDOM[0]))
    assert places(taught(a, b)) == ["body.mark"]


def test_nested_json_and_prefixed_text_are_looked_into() -> None:
    def take(value: str) -> MemoryCassette:
        said = f'{{"mark":"{value}","text":"hi"}}'
        return cassette(
            post({"args": said}), chat(2, f'5 > 42["say",{said}]', f"6 > 43{said}", path="/io", role="chat", at=50)
        )

    lesson = taught(take(RANDOM[0]), take(RANDOM[1]))
    assert [(item.role, item.path, format_place(item.at)) for item in lesson.learned] == [
        ("default", "/v1", "body.args{}.mark"),
        ("chat", "/io", "message{}[1].mark"),
        ("chat", "/io", "message{}.mark"),
    ]


def test_fields_of_a_form_are_looked_into() -> None:
    def take(value: str) -> MemoryCassette:
        exchange = [
            replace(event, headers=((b"Content-Type", b"application/x-www-form-urlencoded"),))
            if isinstance(event, RequestHead)
            else event
            for event in ask(1, "POST", "/form", f"q=rome&mark={value}")
        ]
        return cassette(exchange)

    assert places(taught(take(RANDOM[0]), take(RANDOM[1]))) == ["body.mark"]


def test_an_index_becomes_any_where_it_holds_for_several() -> None:
    def take(marks: tuple[str, ...]) -> MemoryCassette:
        return cassette(post({"messages": [{"mark": mark, "text": "hi"} for mark in marks]}))

    one, several = (RANDOM[0], "a"), RANDOM
    assert places(taught(take(one), take((RANDOM[1], "a")))) == ["body.messages[0].mark"]
    lesson = taught(take(several), take(("k0R8sWq2", "n7Yb3xUe")))
    assert places(lesson) == ["body.messages[*].mark"]
    assert lesson.learned[0].seen == 2


def test_an_index_stays_where_another_element_may_decide() -> None:
    a = cassette(post({"list": [RANDOM[0], RANDOM[1], "Rome"]}))
    b = cassette(post({"list": ["k0R8sWq2", "n7Yb3xUe", "London"]}))
    assert places(taught(a, b)) == ["body.list[0]", "body.list[1]"]
    b = cassette(post({"list": ["k0R8sWq2", "n7Yb3xUe", "Rome"]}))
    assert places(taught(a, b)) == ["body.list[0]", "body.list[1]"]


def test_one_sight_of_a_word_is_enough_to_leave_a_place_alone() -> None:
    a = cassette(post({"mark": RANDOM[0], "n": 1}), post({"mark": "Rome", "n": 2}, stream=2))
    b = cassette(post({"mark": RANDOM[1], "n": 1}), post({"mark": "London", "n": 2}, stream=2))
    lesson = taught(a, b)
    assert (places(lesson), left(lesson)) == ([], {"body.mark": "content"})
    assert lesson.left[0].place.examples == ("Rome", "London")


def test_requests_are_paired_in_order_with_whatever_is_missing() -> None:
    def take(value: str, texts: str) -> MemoryCassette:
        return cassette(*(post({"type": text, "mark": value}, stream=n) for n, text in enumerate(texts, 1)))

    lesson = taught(take(RANDOM[0], "abcd"), take(RANDOM[1], "acdde"))
    assert (places(lesson), lesson.learned[0].seen) == (["body.mark"], 3)
    assert (lesson.pairs, lesson.alone) == (3, (1, 2))


def test_messages_are_paired_by_what_kind_they_are() -> None:
    def take(value: str, *kinds: str) -> MemoryCassette:
        return cassette(
            chat(1, *(f'{n} > {{"type":"{kind}","mark":"{value}"}}' for n, kind in enumerate(kinds, 2)), "9 < ok")
        )

    lesson = taught(take(RANDOM[0], "start", "say", "stop"), take(RANDOM[1], "start", "typing", "say", "stop"))
    assert [(item.path, format_place(item.at), item.seen) for item in lesson.learned] == [("/ws", "message.mark", 3)]
    assert (lesson.left, lesson.alone) == ((), (0, 1))


def test_two_users_are_compared_with_themselves() -> None:
    def take(value: str, *owners: str) -> MemoryCassette:
        return cassette(
            *(
                chat(n, f'5 > {{"type":"say","text":"I am {owner}","mark":"{value}"}}', owner=owner, at=n)
                for n, owner in enumerate(owners, 1)
            )
        )

    lesson = taught(take(RANDOM[0], "alice", "bob"), take(RANDOM[1], "bob", "alice"))
    assert (places(lesson), left(lesson)) == (["message.mark"], {})


def test_ids_in_a_path_become_a_star() -> None:
    a, b = (
        cassette(post({"mark": value}, path=f"/threads/{uuid}/runs")) for value, uuid in zip(RANDOM, UUID, strict=True)
    )
    lesson = taught(a, b)
    assert [item.path for item in lesson.learned] == ["/threads/*/runs"]
    assert lesson.left == ()


def test_other_requests_at_the_same_path_are_no_pair() -> None:
    a = cassette(post({"a": 1, "b": "x", "c": "y", "d": "z"}))
    b = cassette(post({"a": 2, "b": "u", "c": "v", "d": "w"}))
    lesson = taught(a, b)
    assert (lesson.pairs, lesson.alone, lesson.left) == (0, (1, 1), ())


def test_a_take_and_itself_teach_nothing() -> None:
    a = cassette(post({"mark": RANDOM[0]}), chat(2, "5 > hi", at=50))
    lesson = taught(a, a)
    assert (lesson.learned, lesson.left, lesson.pairs, lesson.alone) == ((), (), 3, (0, 0))


def test_rules_of_a_person_come_first() -> None:
    rules = Rules.from_plain(
        {"volatile": [{"at": "body.known"}], "literal": [{"at": "body.order", "path": "/v1"}]}, source="test"
    )
    a, b = (
        cassette(post({"known": text, "order": uuid, "mark": value, "text": "hi"}))
        for text, uuid, value in zip(("x", "y"), UUID, RANDOM, strict=True)
    )
    lesson = taught(a, b, rules, everything=True)
    assert (places(lesson), left(lesson)) == (["body.mark"], {"body.order": "literal"})


def forms(tape: MemoryCassette, rules: Rules) -> list[bytes]:
    """Digests of all that clients say: heads with their bodies, and messages."""
    found = []
    for entry in tape.footer.entries:
        events = tape.events(entry.stream)
        body = b"".join(
            getattr(event, "data", b"")
            for event in events
            if event.side.name == "CLIENT" and not isinstance(event, Message)
        )
        for event in events:
            if isinstance(event, RequestHead):
                found.append(request_form(event, body, role=entry.role, rules=rules).digest)
            elif isinstance(event, Message):
                found.append(message_form(event, role=entry.role, path="/ws", rules=rules).digest)
    return found


VALUES = st.from_regex(r"[a-z][0-9][A-Z][a-z][0-9][A-Z]{2}[0-9]", fullmatch=True)


@pytest.mark.slow
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=4), st.booleans())
def test_what_was_learned_makes_the_takes_equal(marks: list[tuple[str, str]], nested: bool) -> None:
    """Two takes that differ in random values only are canonically equal under the profile they taught."""

    def take(which: int) -> MemoryCassette:
        said = [{"mark": pair[which], "text": "hi"} for pair in marks]
        body = {"args": json.dumps(said)} if nested else {"args": said}
        return cassette(post(body), chat(2, f"5 > {json.dumps(body)}", at=50))

    one, other = take(0), take(1)
    lesson = taught(one, other)
    rules = Profile().merged(lesson.learned, takes=("1", "2")).rules
    assert forms(one, rules) == forms(other, rules)
    assert not taught(one, other, rules).learned


def test_random_text_that_once_looks_like_a_word_is_still_learned() -> None:
    def take(*marks: str) -> MemoryCassette:
        return cassette(*(post({"mark": mark, "n": n}, stream=n) for n, mark in enumerate(marks, 1)))

    lesson = taught(take("3fa91c07", "b0c27e1d", "12345678"), take("0c9b1f6a", "e3d04b7f", "abcdefab"))
    assert (places(lesson), lesson.learned[0].seen) == (["body.mark"], 3)
