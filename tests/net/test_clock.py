"""Time: it only goes forward, and two reads never share a stamp."""

from __future__ import annotations

from datetime import datetime

from gp_replay.net.clock import Clock, utc_now, utc_seconds


def test_stamps_rise_even_within_one_microsecond() -> None:
    clock = Clock()
    stamps = [clock.stamp_us() for _ in range(5000)]
    assert stamps == sorted(set(stamps))
    assert stamps[0] >= 0


def test_dates_are_utc_and_readable() -> None:
    text = utc_now()
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text).timestamp() - utc_seconds()) < 5
