import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from strategies import cassettes

from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import (
    Close,
    End,
    Event,
    Header,
    Message,
    Opcode,
    Opened,
    Origin,
    Piece,
    Protocol,
    RequestHead,
    Role,
    Side,
)
from gp_replay.report.listing import Listing, age, listing, rows_json, table, unreadable

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def cassette(*, recorded_at: str = "2026-11-25T10:00:00Z", redaction: tuple[str, ...] = ()) -> MemoryCassette:
    header = Header(
        name="golden-path",
        recorded_at=recorded_at,
        tool="t",
        origin=Origin.LIVE,
        roles=(Role(name="llm", url="http://llm"), Role(name="chat", url="ws://chat")),
        salt=bytes(16),
        redaction=redaction,
        revision=2,
    )
    events: list[Event] = [
        Opened(at_us=0, stream=1, side=Side.CLIENT, protocol=Protocol.HTTP, role="llm"),
        RequestHead(at_us=0, stream=1, side=Side.CLIENT, method=b"POST", target=b"/", version=b"HTTP/1.1", headers=()),
        Piece(at_us=1, stream=1, side=Side.CLIENT, data=b'{"model": "gpt-4o"}'),
        End(at_us=2, stream=1, side=Side.CLIENT),
        End(at_us=3, stream=1, side=Side.SERVER),
        Opened(at_us=4, stream=2, side=Side.CLIENT, protocol=Protocol.WEBSOCKET, role="chat"),
        Message(at_us=5, stream=2, side=Side.SERVER, opcode=Opcode.TEXT, data=b"hello"),
        Close(at_us=6, stream=2, side=Side.SERVER, code=1000),
    ]
    return MemoryCassette(header, events)


def row(**changes: object) -> Listing:
    return listing(cassette(**changes), path="cassettes/golden-path.gpr", size=12_345, now=NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "in the future"),
        (0, "0 seconds"),
        (1, "1 second"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (172_799, "47 hours"),
        (3 * 86_400 + 7200, "3 days"),
        (59 * 86_400, "59 days"),
        (61 * 86_400, "2 months"),
        (800 * 86_400, "2 years"),
        (10**12, "31688 years"),
    ],
)
def test_an_age_is_told_in_the_unit_that_says_most(seconds: int, text: str) -> None:
    assert age(seconds) == text


def test_a_row_has_counts_age_and_models() -> None:
    found = row()
    assert (found.age, found.age_seconds) == ("3 days", 266_400)
    assert (found.exchanges, found.connections, found.messages) == (1, 1, 1)
    assert found.models == ("gpt-4o",)
    assert found.complete
    assert not found.redaction_off


@pytest.mark.parametrize("recorded_at", ["", "yesterday", "2026-13-01", "\x1b[2J"])
def test_a_cassette_without_a_readable_time_is_of_unknown_age(recorded_at: str) -> None:
    assert (row(recorded_at=recorded_at).age, row(recorded_at=recorded_at).age_seconds) == ("unknown", None)


def test_a_time_without_zone_is_utc() -> None:
    assert row(recorded_at="2026-11-28T11:00:00").age == "60 minutes"


def test_the_table_lines_up_and_tells_problems_under_their_row() -> None:
    rows = [row(), row(redaction=("off",)), unreadable(path="a.gpr.part", size=7, problem="unfinished\nrecording")]
    assert table(rows).split("\n") == [
        "NAME         REVISION  AGE     ORIGIN  ROLES      HTTP  WEBSOCKET  MESSAGES  SIZE     MODELS  FILE",
        "golden-path  2         3 days  live    llm, chat  1     1          1         12.3 kB  gpt-4o"
        "  cassettes/golden-path.gpr",
        "golden-path  2         3 days  live    llm, chat  1     1          1         12.3 kB  gpt-4o"
        "  cassettes/golden-path.gpr",
        "  warning: recorded with redaction off, it may hold secrets",
        "?                                                                            7 B              a.gpr.part",
        "  cannot be read: unfinished\\nrecording",
        "",
    ]


def test_a_broken_off_stream_is_told() -> None:
    whole = cassette()
    cut = MemoryCassette(whole.header, whole.events(1)[:-1])
    assert "incomplete" in table([listing(cut, path="x", size=1, now=NOW)])


def test_no_rows_are_no_text() -> None:
    assert table([]) == ""


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (5 * 10**12, "5000.0 GB")]
)
def test_sizes_are_told_in_decimal_units(size: int, text: str) -> None:
    assert text in table([unreadable(path="x", size=size, problem="p")])


def test_rows_are_plain_data_too() -> None:
    (plain,) = rows_json([row()])
    assert json.loads(json.dumps(plain)) == plain
    assert plain["roles"] == ["llm", "chat"]
    assert list(plain)[:3] == ["path", "size", "problem"]


@given(cassettes())
def test_any_cassette_can_be_listed_and_printed(found: MemoryCassette) -> None:
    text = table([listing(found, path="x", size=1, now=NOW)])
    assert text.isprintable() or set(filter(lambda letter: ord(letter) < 32 or ord(letter) == 127, text)) <= {
        "\n",
        "\t",
    }
