import contextlib
import json
import re
from dataclasses import replace

import pytest
from dialogue import ask, cassette, chat
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import cassettes

from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Event, Message, Piece, Side
from gp_replay.report.diff import Diff, diff_cassettes, diff_lines, diff_plain

SSE = ((b"Content-Type", b"text/event-stream"), (b"Transfer-Encoding", b"chunked"))


def diff(a: list[list[Event]], b: list[list[Event]]) -> Diff:
    return diff_cassettes(cassette(*a), cassette(*b))


def told(found: Diff) -> list[tuple[str, str, str | None, str | None, str]]:
    differences = [finding.difference for finding in found.findings]
    return [(item.kind.value, item.place, item.a, item.b, item.volatile) for item in differences]


@settings(max_examples=60)
@given(cassettes())
def test_a_cassette_never_differs_from_itself(found: MemoryCassette) -> None:
    itself = diff_cassettes(found, found)
    assert itself.same
    assert told(itself) == []
    assert list(diff_lines(itself))[-1] == "no differences"


LEAVES = st.text(max_size=8) | st.integers(-(2**60), 2**60) | st.booleans() | st.none() | st.floats(0, 1e9)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
)
PAYLOADS = (
    st.builds(lambda kind, value: json.dumps({"type": kind, "payload": value}), st.sampled_from("abc"), JSON)
    | JSON.map(json.dumps)
    | st.builds(lambda value: json.dumps({"nested": json.dumps({"v": value})}), JSON)
    | st.builds(lambda value: "42" + json.dumps(["event", {"v": value}]), JSON)
    | st.text(max_size=30)
)


@settings(max_examples=150)
@given(st.data(), st.lists(PAYLOADS, min_size=6, max_size=14))
def test_one_changed_character_of_one_payload_is_exactly_one_finding(data: st.DataObject, payloads: list[str]) -> None:
    texts = [payload.encode("utf-8", "replace").decode() for payload in payloads]
    spots = [
        (number, spot.start())
        for number, text in enumerate(texts)
        for spot in re.finditer("[0-9A-Za-z]", text)
        # A letter that is no longer escaped, or newly is, changes more than itself.
        if text[spot.start() - 1 : spot.start()] != "\\"
    ]
    if not spots:
        return
    number, at = data.draw(st.sampled_from(spots))
    letter = data.draw(st.sampled_from("0189azAZ").filter(lambda letter: letter != texts[number][at]))
    changed = list(texts)
    changed[number] = texts[number][:at] + letter + texts[number][at + 1 :]
    if changed[number].count('":') != texts[number].count('":') or _members(changed[number]) != _members(texts[number]):
        return  # the change made one member hide another
    assert len(told(diff(_tape(texts), _tape(changed)))) == 1


def _members(text: str) -> int:
    """How many members the objects in a text have, of equal names the last."""
    count = 0

    def add(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal count
        made = dict(pairs)
        count += len(made)
        return made

    with contextlib.suppress(ValueError):
        json.loads(text.removeprefix("42"), object_pairs_hook=add)
    return count


def _tape(texts: list[str]) -> list[list[Event]]:
    one, other, streamed, *messages = texts
    lines = [f"{10 + n} {'<>'[n % 3 == 0]} {text}" for n, text in enumerate(messages)]
    return [
        ask(1, "POST", "/v1/x", one, answer=[(5, other)]),
        ask(2, "POST", "/v1/x", "same"),
        chat(3, *lines),
        sse(4, *(f"data: {json.dumps(text)}" for text in ("first", streamed, "last"))),
    ]


def sse(stream: int, *events: str) -> list[Event]:
    answer = [(5 + n, f"{event}\n\n") for n, event in enumerate(events)]
    return ask(stream, "POST", "/x", "{}", answer=answer, answer_headers=SSE)


TABLE = {
    "a status": (
        ask(1, "GET", "/x"),
        ask(1, "GET", "/x", status=500),
        [("status", "response status", "200", "500", "")],
    ),
    "a header's value": (
        ask(1, "GET", "/x", headers=((b"X-A", b"one"),)),
        ask(1, "GET", "/x", headers=((b"X-A", b"two\x1b"),)),
        [("header", "request header X-A", "one", "two\\x1b", "")],
    ),
    "a header's spelling": (
        ask(1, "GET", "/x", headers=((b"X-A", b"one"),)),
        ask(1, "GET", "/x", headers=((b"x-a", b"one"),)),
        [("spelling", "request header X-A", "X-A", "x-a", "")],
    ),
    "a header less": (
        ask(1, "GET", "/x", headers=((b"X-A", b"one"),)),
        ask(1, "GET", "/x"),
        [("header", "request header X-A", "one", None, "")],
    ),
    "the order of headers": (
        ask(1, "GET", "/x", headers=((b"a", b"1"), (b"b", b"2"))),
        ask(1, "GET", "/x", headers=((b"b", b"2"), (b"a", b"1"))),
        [("header", "request header order", "content-type, a, b", "content-type, b, a", "")],
    ),
    "a query value that is a time": (
        ask(1, "GET", "/x?t=1764000000&q=a"),
        ask(1, "GET", "/x?t=1764000001&q=a"),
        [("request", "request query t", "1764000000", "1764000001", "time")],
    ),
    "an id in the path": (
        ask(1, "GET", "/threads/thread_abc123XYZ"),
        ask(1, "GET", "/threads/thread_def456XYZ"),
        [("request", "request path", "/threads/thread_abc123XYZ", "/threads/thread_def456XYZ", "id")],
    ),
    "a body that is JSON": (
        ask(1, "POST", "/x", '{"m":[{"id":"msg_1a2b3c4d","t":"a"}]}'),
        ask(1, "POST", "/x", '{"m":[{"id":"msg_9z8y7x6w","t":"b"}]}'),
        [
            ("body", "request body.m[0].id", "msg_1a2b3c4d", "msg_9z8y7x6w", "id"),
            ("body", "request body.m[0].t", "a", "b", ""),
        ],
    ),
    "the order of members": (
        ask(1, "POST", "/x", '{"a":1,"b":2}'),
        ask(1, "POST", "/x", '{"b":2,"a":1}'),
        [("spelling", "request body", '{"a":1,"b":2}', '{"b":2,"a":1}', "")],
    ),
    "where chunks end": (
        ask(1, "GET", "/x", answer=[(1, "ab"), (2, "cd")]),
        ask(1, "GET", "/x", answer=[(1, "abcd")]),
        [("boundaries", "response chunks", "2 chunks: 2, 2", "1 chunk: 4", "")],
    ),
    "a server-sent event": (
        sse(1, 'data: {"d":"x"}', 'event: b\ndata: {"d":"y"}'),
        sse(1, 'data: {"d":"x"}', 'event: b\ndata: {"d":"z"}'),
        [("body", "response event 2: data.d", "y", "z", "")],
    ),
    "an event more, in the middle": (
        sse(1, 'data: {"d":"x"}', "data: [DONE]"),
        sse(1, 'data: {"d":"x"}', ": ping", "data: [DONE]"),
        [("body", "response event 2", None, ": ping\\n\\n", "")],
    ),
    "messages": (
        chat(1, '5 > {"type":"ask","q":"a"}', '6 < {"type":"answer"}'),
        chat(1, '5 > {"type":"ask","q":"b"}', '6 < {"type":"wait"}', '7 < {"type":"answer"}'),
        [
            ("message", "client message 1: message.q", "a", "b", ""),
            ("message", "server message 1", None, '{"type":"wait"}', ""),
        ],
    ),
    "a close code": (
        chat(1, close=(Side.CLIENT, 1000)),
        chat(1, close=(Side.CLIENT, 4001)),
        [
            ("close", "client close code", "1000", "4001", ""),
            ("close", "server close code", "1000", "4001", ""),
        ],
    ),
    "a subprotocol": (
        chat(1, headers=((b"Sec-WebSocket-Protocol", b"v1"),)),
        chat(1, headers=((b"Sec-WebSocket-Protocol", b"v2"),)),
        [("subprotocol", "request header Sec-WebSocket-Protocol", "v1", "v2", "")],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_difference_is_named_with_its_place_and_both_values(name: str) -> None:
    a, b, expected = TABLE[name]
    assert told(diff([a], [b])) == expected


def test_times_are_a_summary_and_no_difference() -> None:
    found = diff([ask(1, "GET", "/x", answer=[(10, "{}")])], [ask(1, "GET", "/x", answer=[(700, "{}")])])
    assert found.same
    assert found.took_us == (10_000, 700_000)
    assert "1 stream in both; they took 10.000 ms in A, 700.000 ms in B" in list(diff_lines(found))


def test_a_stream_more_in_the_middle_is_one_finding() -> None:
    asked = [ask(n, "POST", "/x", f'{{"q":{n}}}', at=n) for n in range(1, 5)]
    fewer = [[replace(event, stream=1 + n) for event in asked[m]] for n, m in enumerate((0, 2, 3))]
    found = diff(asked, fewer)
    assert told(found) == [("stream", "stream", "200, 7 events", None, "")]
    assert found.findings[0].a == "stream 2  http  default  POST /x"
    assert found.findings[0].b == ""
    assert "only in A: stream 2  http  default  POST /x" in list(diff_lines(found))


@pytest.mark.parametrize("change", [{"owner": "bob"}, {"role": "llm"}])
def test_streams_of_another_owner_or_role_are_other_streams(change: dict[str, str]) -> None:
    found = diff([ask(1, "GET", "/x")], [ask(1, "GET", "/x", **change)])  # type: ignore[arg-type]
    assert [(bool(item.a), bool(item.b)) for item in found.findings] == [(True, False), (False, True)]


def test_the_lines_name_the_streams_once_and_both_values() -> None:
    found = diff([ask(1, "GET", "/x", owner="alice")], [ask(1, "GET", "/x", owner="alice", status=404)])
    assert list(diff_lines(found)) == [
        "A  tape  revision 1  recorded 2026-11-25T10:00:00Z",
        "B  tape  revision 1  recorded 2026-11-25T10:00:00Z",
        "",
        "stream 1  http  default  owner alice  GET /x",
        "    status  response status",
        "        A  200",
        "        B  404",
        "",
        "1 stream in both; they took 10.000 ms in A, 10.000 ms in B",
        "1 difference",
    ]


def test_a_volatile_value_in_every_event_is_told_once_in_lines_and_everywhere_in_data() -> None:
    def streamed(name: str) -> list[Event]:
        return sse(1, *(f'data: {{"id":"chatcmpl-{name}","n":{n}}}' for n in range(3)))

    found = diff([streamed("Ab12Cd34Ef56")], [streamed("Zy98Xw76Vu54")])
    assert [line for line in diff_lines(found) if "volatile" in line] == [
        "    body  response event 1: data.id  (volatile: id)  and at 2 more places",
        "3 differences, 3 of them volatile",
    ]
    assert len(diff_plain(found)["differences"]) == 3  # type: ignore[arg-type]


def test_how_a_cassette_was_recorded_is_a_fact_of_the_cassette() -> None:
    one = cassette(ask(1, "GET", "/x"))
    other = MemoryCassette(replace(one.header, redaction=("off",)), one.events(1))
    found = diff_cassettes(one, other)
    assert told(found) == [("cassette", "redaction", "built-in", "off", "")]
    assert list(diff_lines(found))[3] == "cassette"


@settings(max_examples=60)
@given(cassettes(max_streams=3), cassettes(max_streams=3))
def test_any_two_cassettes_give_safe_lines_and_json_safe_data(a: MemoryCassette, b: MemoryCassette) -> None:
    found = diff_cassettes(a, b)
    assert json.loads(json.dumps(diff_plain(found))) == diff_plain(found)
    for line in diff_lines(found):
        assert line.splitlines() in ([], [line])
        assert "\x1b" not in line


@settings(max_examples=60)
@given(cassettes(max_streams=2), st.data())
def test_other_bytes_are_never_the_same(found: MemoryCassette, data: st.DataObject) -> None:
    events = [event for entry in found.footer.entries for event in found.events(entry.stream)]
    spots = [n for n, event in enumerate(events) if isinstance(event, Piece | Message)]
    if not spots:
        return
    at = data.draw(st.sampled_from(spots))
    changed = events[at]
    assert isinstance(changed, Piece | Message)
    if isinstance(changed, Message):
        changed = replace(changed, fragments=())
    events[at] = replace(changed, data=changed.data + b" ")
    assert not diff_cassettes(found, MemoryCassette(found.header, events)).same
