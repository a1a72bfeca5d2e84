import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.places import Any_, Place, covers, format_place, parse_place
from gp_replay.errors import UsageError

TABLE: list[tuple[str, Place]] = [
    ("body", ("body",)),
    ("body.a", ("body", "a")),
    ("body.messages[*].id", ("body", "messages", Any_.ELEMENT, "id")),
    ("body[0][12]", ("body", 0, 12)),
    ("query.t", ("query", "t")),
    ("message.payload.arguments{}.city", ("message", "payload", "arguments", Any_.JSON, "city")),
    ("message{}[1]", ("message", Any_.JSON, 1)),
    ('body["odd.name"].x', ("body", "odd.name", "x")),
    ('body["quote\\"]"]', ("body", 'quote"]')),
    ('body[""]', ("body", "")),
    ('body["\\u00e9"]', ("body", "é")),
    ("subprotocol[0]", ("subprotocol", 0)),
    ("body.0", ("body", "0")),
]


@pytest.mark.parametrize(("text", "place"), TABLE)
def test_a_place_is_read_and_written_alike(text: str, place: Place) -> None:
    assert parse_place(text) == place
    assert format_place(place) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "does not begin with one of body"),
        ("header.x", "does not begin with one of body"),
        (".body", "does not begin with"),
        ("body.", "character 5"),
        ("body..a", "character 5"),
        ("body.a b", "character 7"),
        ("body[x]", "character 5"),
        ("body[-1]", "character 5"),
        ("body[1234567890]", "character 5"),
        ('body["a]', "character 5"),
        ('body["\\x"]', "is not a place"),
        ("body{}{", "character 7"),
        ("body ", "character 5"),
    ],
)
def test_what_is_no_place_is_a_usage_error_that_says_where(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_place(text)


STEPS = st.one_of(st.text(), st.integers(0, 999_999_999), st.sampled_from(Any_))
PARTS = st.sampled_from(["body", "query", "message", "method", "path", "media_type", "opcode", "subprotocol"])


@given(PARTS, st.lists(STEPS))
def test_any_place_survives_its_text(part: str, steps: list[str | int | Any_]) -> None:
    place = (part, *steps)
    assert parse_place(format_place(place)) == place


@given(st.text() | st.text('body.[]{}*"0\\'))
def test_garbage_is_a_place_or_raises_exactly_usage_error(text: str) -> None:
    try:
        place = parse_place(text)
    except UsageError:
        return
    assert parse_place(format_place(place)) == place


@pytest.mark.parametrize(
    ("wide", "place", "covered"),
    [
        ("body.a", "body.a", True),
        ("body.a", "body.a.b[0]{}", True),
        ("body.a.b", "body.a", False),
        ("body.a[*].b", "body.a[3].b", True),
        ("body.a[*].b", "body.a[*].b", True),
        ("body.a[3].b", "body.a[*].b", False),
        ("body.a[*]", "body.a.b", False),
        ("body", "query", False),
    ],
)
def test_a_place_covers_what_lies_within_it(wide: str, place: str, covered: bool) -> None:
    assert covers(parse_place(wide), parse_place(place)) is covered
