import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.shapes import embedded_ids, ids_in, is_id, is_time_number, is_time_text, shape_of

IDS = (
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6",
    "d41d8cd98f00b204e9800998ecf8427e",
    "chatcmpl-9xYzAbCdEfGh1234567890",
    "call_a1b2c3d4",
    "toolu_01A09q90qw90lq917835lq9",
    "thread_abc123",
    "req_run_step_4f5g6h",
    "Zx81kQp0Lm42RtY7",
    "call-af8ed632-2074-4b5f-b719-7aa47250d3c6-0",
    "function-call-3225422447732038294",
    "resp_" + "bGl0ZWxsbTpjdXN0b21fbGxt" * 9 + "==",
)
CONTENT = (
    "",
    "hello",
    "gpt-4o-mini-2024-07-18",
    "claude-3-5-sonnet-20241022",
    "text-embedding-3-small",
    "application/json",
    "chat.completion.chunk",
    "agent_started",
    "tool_executing",
    "user_message",
    "message_delta",
    "1234567890123456",
    "internationalization",
    "version20241022beta",
    "gpt4turbopreview16k",
    "the quick brown fox",
    "São Paulo 1234567890",
    "call_" + "a1" * 300,
)
TIMES = (
    "2026-11-25T10:00:00Z",
    "2026-11-25T10:00:00.123456+02:00",
    "2026-11-25 10:00",
    "2026-11-25T10:00:00,5 +0200",
    "Wed, 25 Nov 2026 10:00:00 GMT",
)


@pytest.mark.parametrize("text", IDS)
def test_what_a_program_made_is_an_id(text: str) -> None:
    assert is_id(text)
    assert shape_of(text) == "id"


@pytest.mark.parametrize("text", CONTENT)
def test_words_numbers_and_model_names_are_content(text: str) -> None:
    assert shape_of(text) == ""


@pytest.mark.parametrize("text", TIMES)
def test_a_date_with_a_time_of_day_is_a_time(text: str) -> None:
    assert is_time_text(text)
    assert shape_of(text) == "time"


@pytest.mark.parametrize("text", ["2026-11-25", "10:00:00", "Wednesday, 25 Nov 2026", "2026-11-25T10:00:00Zx"])
def test_a_date_or_an_hour_alone_is_content(text: str) -> None:
    assert shape_of(text) == ""


@pytest.mark.parametrize(
    ("value", "name", "is_time"),
    [
        (1764000000, "created", True),
        (1764000000.5, "timestamp", True),
        (1764000000000, "updatedAtTime", True),
        (1764000000000000, "ts", True),
        (1764000000, "created_at", True),
        (1764000000, "count", False),
        (1764000000, "", False),
        (17, "created", False),
        (5e9, "created", False),
        (float("nan"), "created", False),
        (-1764000000, "created", False),
    ],
)
def test_a_number_is_a_time_only_under_a_name_that_says_so(value: float, name: str, is_time: bool) -> None:
    assert is_time_number(value, name) is is_time
    if isinstance(value, int):
        assert shape_of(str(value), name) == ("time" if is_time else "")


@given(st.uuids(version=4))
def test_every_uuid_is_an_id(value: uuid.UUID) -> None:
    assert is_id(str(value))
    assert is_id(value.hex)


WORDS = st.lists(st.sampled_from(["the", "agent", "answers", "weather", "London", "please"]), min_size=1, max_size=9)


@given(WORDS, st.sampled_from(" _-"))
def test_words_are_never_an_id(words: list[str], between: str) -> None:
    assert not is_id(between.join(words))


@given(st.text(), st.text())
def test_any_text_has_one_of_three_shapes(text: str, name: str) -> None:
    assert shape_of(text, name) in ("id", "time", "")


def test_only_what_nothing_else_looks_like_is_an_id_within_text() -> None:
    text = "Order ord-x call_a1b2c3d4 of f81d4fae-7dec-11d0-a765-00a0c91e6bf6, model gpt-4o-mini-2024-07-18 Zx81kQp0Lm42RtY7"
    assert [text[start:end] for start, end in embedded_ids(text)] == [
        "call_a1b2c3d4",
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    ]


def test_ids_are_found_in_raw_text_once_and_in_order_however_deep() -> None:
    raw = rb'{"id":"Zx81kQp0Lm42RtY7","a":"{\"b\":\"call_a1b2c3d4\"}","c":"see call_a1b2c3d4","type":"message_delta"}'
    assert ids_in(raw) == [b"Zx81kQp0Lm42RtY7", b"call_a1b2c3d4"]
    assert ids_in(b"sid=Zx81kQp0Lm42RtY7&t=1") == [b"Zx81kQp0Lm42RtY7"]
