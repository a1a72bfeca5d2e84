"""Times moved to when a recording is replayed: what counts as one, and that its spelling stays."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.rebasing import Rebase, unix_us

HOUR_US = 3_600_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00", 0),
        ("1970-01-01T00:00:00.000250Z", 250),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_as_microseconds_since_1970(text: str, expected: int | None) -> None:
    assert unix_us(text) == expected


@pytest.mark.parametrize(
    ("recorded", "an_hour_later"),
    [
        ('"2026-11-25T10:00:00Z"', '"2026-11-25T11:00:00Z"'),
        ('"2026-11-25T23:30:00.123+02:00"', '"2026-11-26T00:30:00.123+02:00"'),
        ('"2026-11-25 10:00:00,123456"', '"2026-11-25 11:00:00,123456"'),
        ('"2026-12-31T23:30:00.123456789Z"', '"2027-01-01T00:30:00.123456000Z"'),
        ('{"created":1758100000}', '{"created":1758103600}'),
        ('{"timestamp": 1758100000.25}', '{"timestamp": 1758103600.25}'),
        ('{"created_at":1758100000123}', '{"created_at":1758103600123}'),
        ('{"expires":1758100000123456}', '{"expires":1758103600123456}'),
        ('{"time":1758100000123456789}', '{"time":1758103600123456789}'),
        ('{"ts":"1758100000"}', '{"ts":"1758103600"}'),
        (r'"{\"created\":1758100000}"', r'"{\"created\":1758103600}"'),
        ("Wed, 25 Nov 2026 10:00:00 GMT", "Wed, 25 Nov 2026 11:00:00 GMT"),
    ],
)
def test_a_time_moves_and_keeps_its_spelling(recorded: str, an_hour_later: str) -> None:
    assert Rebase(HOUR_US).rewrite(recorded.encode()) == an_hour_later.encode()


@pytest.mark.parametrize(
    "raw",
    [
        '{"amount":1758100000}',
        '{"created":17}',
        '{"phone":"1758100000"}',
        '{"created":9999999999}',
        '"2026-13-45T10:00:00Z"',
        '"2026-11-25"',
        "Xxx, 25 Nov 2026 10:00:00 GMT",
        '{"created":17581000001234}',
    ],
)
def test_numbers_under_other_names_and_impossible_dates_stay(raw: str) -> None:
    assert Rebase(HOUR_US).rewrite(raw.encode()) == raw.encode()


def test_a_date_that_would_leave_the_calendar_stays() -> None:
    raw = b'"9999-12-31T23:59:59Z" Fri, 31 Dec 9999 23:59:59 GMT'
    assert Rebase(HOUR_US).rewrite(raw) == raw


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**9 - 1))
def test_moving_there_and_back_is_nothing(shift_us: int, second: int) -> None:
    moment = datetime(2001, 9, 10, tzinfo=timezone.utc) + timedelta(seconds=second)  # noqa: UP017
    raw = json.dumps({"at": moment.isoformat(timespec="microseconds").replace("+00:00", "Z")}).encode()
    assert Rebase(-shift_us).rewrite(Rebase(shift_us).rewrite(raw)) == raw


@given(st.binary(max_size=200))
def test_no_distance_changes_nothing(raw: bytes) -> None:
    assert Rebase(0).rewrite(raw) is raw
