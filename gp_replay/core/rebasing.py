"""Times of a recording, moved to when it is replayed: what is recent in a recording is recent in its replay.

A time keeps its spelling: precision, zone and separators stay, so its length nearly always does.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from gp_replay.core.shapes import is_time_number

__all__ = ["Rebase", "unix_us"]

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
_NUMBER = re.compile(
    rb'(?P<name>"(?P<bare>[A-Za-z_$-]{1,40})\\*"\s*:\s*(?:\\*")?)(?P<digits>\d{10,19})(?P<rest>\.\d+)?(?![\d.])'
)
_TEXT = re.compile(
    rb"(?P<day>\d{4}-\d{2}-\d{2})(?P<t>[T ])(?P<clock>\d{2}:\d{2}:\d{2})(?P<fraction>[.,]\d{1,9})?"
    rb"(?P<zone>\s?(?:Z|[+-]\d{2}:?\d{2}))?"
)
_HTTP = re.compile(rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")
_HTTP_FORMAT = "%a, %d %b %Y %H:%M:%S GMT"
_UNITS = {10: 1_000_000, 13: 1_000, 16: 1}


def unix_us(text: str) -> int | None:
    """Microseconds since 1970 of an ISO 8601 time (UTC where it names no zone); None for what is none."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_EPOCH.tzinfo)
    return (moment - _EPOCH) // _MICROSECOND


class Rebase:
    """Moves times by one distance.

    Args:
        shift_us: live minus recorded, in microseconds.
    """

    def __init__(self, shift_us: int) -> None:
        self._shift_us = shift_us

    def rewrite(self, raw: bytes) -> bytes:
        """``raw`` with every date-time and every number under a name of a time moved."""
        if not self._shift_us:
            return raw
        raw = _NUMBER.sub(self._number, raw)
        raw = _TEXT.sub(self._text, raw)
        return _HTTP.sub(self._http, raw) if b" GMT" in raw else raw

    def _number(self, found: re.Match[bytes]) -> bytes:
        digits = found["digits"]
        value = int(digits)
        if not is_time_number(value, found["bare"].decode("ascii")):
            return found[0]
        unit = _UNITS.get(len(digits))
        moved = value + (self._shift_us * 1_000 if unit is None else self._shift_us // unit)
        return found["name"] + b"%d" % moved + (found["rest"] or b"")

    def _text(self, found: re.Match[bytes]) -> bytes:
        try:
            moment = datetime.fromisoformat((found["day"] + b"T" + found["clock"]).decode())
            fraction = found["fraction"] or b""
            micro = int((fraction[1:] + b"000000")[:6]) if fraction else 0
            moved = moment + timedelta(microseconds=micro + self._shift_us)
        except (ValueError, OverflowError):
            return found[0]
        date, clock = moved.strftime("%Y-%m-%d").encode(), moved.strftime("%H:%M:%S").encode()
        digits = b"%06d000" % moved.microsecond
        after = fraction[:1] + digits[: len(fraction) - 1] if fraction else b""
        return date + found["t"] + clock + after + (found["zone"] or b"")

    def _http(self, found: re.Match[bytes]) -> bytes:
        try:
            moment = datetime.strptime(found[0].decode(), _HTTP_FORMAT)
            return (moment + timedelta(microseconds=self._shift_us)).strftime(_HTTP_FORMAT).encode()
        except (ValueError, OverflowError):
            return found[0]
