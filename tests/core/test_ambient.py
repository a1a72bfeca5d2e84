"""Heartbeats: which messages are outside the script, and the period they came on."""

from __future__ import annotations

import pytest

from gp_replay.core.ambient import Ambient, ambient_of, beat_of
from gp_replay.core.model import Close, Event, Message, Opcode, Ping, Pong, Side

PLAIN, ENGINE_IO = b"/ws", b"/socket.io/?EIO=4&transport=websocket"


def text(data: str, *, at_us: int = 0, opcode: Opcode = Opcode.TEXT) -> Message:
    return Message(at_us=at_us, stream=1, side=Side.SERVER, opcode=opcode, data=data.encode())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("ping", Ambient.PING),
        (" PONG\n", Ambient.PONG),
        ('{"type":"ping"}', Ambient.PING),
        ('{"type": "heartbeat", "timestamp": 1758100000.1}', Ambient.PING),
        ('{"event":"pong","id":7}', Ambient.PONG),
        ('{ "type" : "heartbeat_ack" }', Ambient.PONG),
        ('{"type":"ka"}', Ambient.PING),
        ('{"type":"pinging"}', None),
        ('{"type":"user_message","content":"ping"}', None),
        ('{"text":"ping"}', None),
        ("ping me", None),
        ("", None),
    ],
)
def test_a_heartbeat_is_known_by_what_it_calls_itself(data: str, expected: Ambient | None) -> None:
    assert ambient_of(text(data), PLAIN) is expected


@pytest.mark.parametrize(("data", "expected"), [("2", Ambient.PING), ("3", Ambient.PONG), ("4", None)])
def test_a_single_digit_is_a_heartbeat_only_in_engine_io(data: str, expected: Ambient | None) -> None:
    assert ambient_of(text(data), ENGINE_IO) is expected
    assert ambient_of(text(data), PLAIN) is None


def test_a_probe_with_content_and_a_long_heartbeat_say_something() -> None:
    assert ambient_of(text("2probe"), ENGINE_IO) is None
    assert ambient_of(text('{"type":"ping","note":"%s"}' % ("x" * 300)), PLAIN) is None


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Ping(at_us=0, stream=1, side=Side.SERVER, data=b""), Ambient.PING),
        (Pong(at_us=0, stream=1, side=Side.SERVER, data=b""), None),
        (Close(at_us=0, stream=1, side=Side.SERVER, code=1000), None),
        (text("ping", opcode=Opcode.BINARY), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_ping_frames_are_ambient_and_other_frames_are_not(event: Event, expected: Ambient | None) -> None:
    assert ambient_of(event, PLAIN) is expected


@pytest.mark.parametrize(
    ("opened_us", "times_us", "period_us"),
    [
        (0, [25_000_000], 25_000_000),
        (1_000, [30_001_000, 60_001_000, 90_001_000], 30_000_000),
        # one late and one early ping between punctual ones do not move the period
        (0, [10_000_000, 20_000_000, 37_000_000, 40_000_000, 50_000_000], 10_000_000),
        # all at once: still no endless loop of zero distances
        (0, [0, 0, 0], 1_000),
    ],
)
def test_the_period_is_the_median_of_the_recorded_distances(
    opened_us: int, times_us: list[int], period_us: int
) -> None:
    pings = [text("ping", at_us=at_us) for at_us in times_us]
    beat = beat_of(pings, opened_us=opened_us)
    assert beat is not None
    assert beat.period_us == period_us
    assert beat.event is pings[0]


def test_without_a_ping_there_is_no_heartbeat() -> None:
    assert beat_of([], opened_us=0) is None
