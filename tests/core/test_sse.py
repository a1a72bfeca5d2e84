"""Event streams by the WHATWG rules, whatever they are cut into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.sse import EventStreamParser, ServerSentEvent, data_lines


def parsed(stream: bytes) -> list[ServerSentEvent]:
    return EventStreamParser().feed(stream)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [(b"message", b"a", b"", None)]),
        (b"data:a\r\n\r\n", [(b"message", b"a", b"", None)]),
        (b"data:  a\r\r", [(b"message", b" a", b"", None)]),
        (b"\xef\xbb\xbfdata: a\n\n", [(b"message", b"a", b"", None)]),
        (b": ping\n\ndata: a\n\n", [(b"message", b"a", b"", None)]),
        (b"data: a\ndata\ndata: b\n\n", [(b"message", b"a\n\nb", b"", None)]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [(b"x", b"a", b"", None), (b"message", b"b", b"", None)]),
        (b"event: x\n\ndata: b\n\n", [(b"message", b"b", b"", None)]),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [(b"message", b"a", b"1", None), (b"message", b"b", b"1", None)]),
        (b"id: 1\0\ndata: a\n\n", [(b"message", b"a", b"", None)]),
        (b"retry: 300\ndata: a\n\n", [(b"message", b"a", b"", 300)]),
        (b"retry: soon\nunknown: x\ndata: a\n\n", [(b"message", b"a", b"", None)]),
        (b"data: unfinished\n", []),
        (b" data: a\n\n", []),
    ],
)
def test_the_standards_rules(stream: bytes, events: list[tuple[bytes, bytes, bytes, int | None]]) -> None:
    assert [(event.type, event.data, event.id, event.retry_ms) for event in parsed(stream)] == events


LINES = st.sampled_from([b"data: a", b"data:", b"data", b"event: e", b": c", b"id: 7", b"retry: 5", b"", b"", b"x"])
STREAMS = st.tuples(
    st.sampled_from([b"", b"\xef\xbb\xbf"]), st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r", b"\r\n"])))
).map(lambda parts: parts[0] + b"".join(line + end for line, end in parts[1]))


@given(STREAMS, st.data())
def test_any_split_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    parser = EventStreamParser()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[low:high] for low, high in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [event for piece in pieces for event in parser.feed(piece)] == parsed(stream)


@given(STREAMS)
def test_spans_hold_the_data(stream: bytes) -> None:
    byte_by_byte = EventStreamParser()
    for event in [found for n in range(len(stream)) for found in byte_by_byte.feed(stream[n : n + 1])]:
        assert b"\n".join(stream[low:high] for low, high in event.data_spans) == event.data
        assert event.start <= event.data_spans[0][0] <= event.data_spans[-1][1] <= event.end


def test_a_line_without_end_takes_no_memory_and_costs_its_event_only() -> None:
    parser = EventStreamParser(max_line_bytes=100)
    events = parser.feed(b"data: " + b"x" * 200)
    events += parser.feed(b"x" * 200 + b"\ndata: y\n\ndata: z\n\n")
    assert [event.data for event in events] == [b"z"]


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (b"data: ab\n\n", [b"ab"]),
        (b"event: x\r\ndata:ab\r\n\r\n", [b"ab"]),
        (b"data: a\ndata\ndata:  b\n\n", [b"a", b"", b" b"]),
        (b"xdata: a\ndatab: c\n\n", []),
    ],
)
def test_the_data_lines_of_one_event(event: bytes, lines: list[bytes]) -> None:
    assert [event[low:high] for low, high in data_lines(event)] == lines
