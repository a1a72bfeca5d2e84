import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.timing import Pace
from gp_replay.errors import UsageError


@pytest.mark.parametrize(
    ("text", "recorded", "live"),
    [
        ("recorded", 0, 0),
        ("recorded", 1_234_567, 1_234_567),
        ("recorded", 2**60 + 1, 2**60 + 1),
        ("instant", 5_000_000, 0),
        ("scale:0", 5_000_000, 0),
        ("scale:0.5", 5_000_001, 2_500_000),
        ("scale:3", 2, 6),
        ("cap:0.25", 100_000, 100_000),
        ("cap:0.25", 900_000, 250_000),
        ("cap:0", 900_000, 0),
    ],
)
def test_a_recorded_distance_becomes_a_live_one(text: str, recorded: int, live: int) -> None:
    assert Pace.parse(text).delay_us(recorded) == live


NO_PACE = "fast recorded:1 instant: scale scale: scale:x scale:-1 scale:nan scale:inf cap:-0.1 cap: cap:1s Scale:1"


@pytest.mark.parametrize("text", ["", *NO_PACE.split(" ")])
def test_anything_else_is_a_usage_error_that_lists_what_there_is(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        Pace.parse(text)
    assert repr(text) in str(refused.value)
    assert "recorded, instant, scale:" in refused.value.hint


@given(st.sampled_from(["recorded", "instant", "scale:2", "scale:0.25", "cap:1.5", "cap:0"]))
def test_a_pace_is_written_as_it_is_read(text: str) -> None:
    assert str(Pace.parse(text)) == text


@given(st.floats(0, 1e6).map(lambda factor: Pace(factor=factor)), st.integers(0, 2**40), st.integers(0, 2**40))
def test_longer_distances_never_become_shorter_ones(pace: Pace, one: int, other: int) -> None:
    assert pace.delay_us(min(one, other)) <= pace.delay_us(max(one, other))
