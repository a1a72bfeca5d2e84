import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gp_replay.core.document_reading import document_facts, from_document
from gp_replay.errors import CassetteCorrupt, CassetteTooNew

DOCUMENT: dict[str, Any] = {
    "gp_replay_document": 1,
    "name": "n",
    "recorded_at": "2026-11-25T10:00:00Z",
    "tool": "t",
    "origin": "live",
    "revision": 2,
    "replaces": "00ff",
    "environment": "staging",
    "commit": "abc",
    "roles": [{"name": "llm", "url": "http://llm"}],
    "redaction": ["default"],
    "salt": "00" * 16,
    "labels": [["a", "b"]],
    "epochs": [{"recorded_at": "2026-11-26T10:00:00Z", "first_stream": 2}],
    "models": ["m"],
    "exit_code": 0,
    "streams": [
        {
            "stream": 1,
            "protocol": "http",
            "role": "llm",
            "owner": "alice",
            "events": [
                {"at_us": 0, "from": "client", "opened": True},
                {"at_us": 1, "from": "client", "method": "GET", "target": "/", "version": "HTTP/1.1", "headers": []},
                {"at_us": 2, "from": "client", "end": True, "trailers": [["X", {"base64": "/w=="}]]},
                {
                    "at_us": 3,
                    "from": "server",
                    "status": 200,
                    "reason": "OK",
                    "version": "HTTP/1.1",
                    "headers": [["A", "b"]],
                    "coding": "gzip",
                },
                {"at_us": 4, "from": "server", "piece": "x", "ends_chunk": True},
                {"at_us": 5, "from": "server", "gone": "reset"},
            ],
        },
        {
            "stream": 2,
            "protocol": "websocket",
            "role": "llm",
            "events": [
                {"at_us": 0, "from": "client", "opened": True},
                {
                    "at_us": 1,
                    "from": "client",
                    "message": "abc",
                    "opcode": "text",
                    "fragments": [{"length": 1, "at_us": 0}, {"length": 2, "at_us": 1}],
                    "deflated": True,
                },
                {"at_us": 2, "from": "client", "ping": ""},
                {"at_us": 2, "from": "server", "pong": ""},
                {"at_us": 3, "from": "server", "opaque": 7},
                {"at_us": 4, "from": "server", "close": 1000, "reason": "bye"},
                {"at_us": 4, "from": "client", "close": "no code"},
            ],
        },
    ],
}

EVENT = ("streams", 0, "events")
MESSAGE = ("streams", 1, "events", 1)

MISTAKES: list[tuple[tuple[str | int, ...], object, str]] = [
    (("origin",), "mine", "origin: expected one of live, imported, synthetic, edited, found the text 'mine'"),
    (("name",), 3, "name: expected text, found 3"),
    (("salt",), "xyz", "salt: expected an even number of lower-case hexadecimal digits"),
    (("revision",), 0, "revision: expected an integer of 1 or more, found 0"),
    (("exit_code",), "0", "exit_code: expected an integer"),
    (("models",), "m", "models: expected a list"),
    (("models", 0), 1, "models[0]: expected text"),
    (("labels", 0), ["a"], "labels[0]: expected a list of two"),
    (("roles", 0, "url"), None, "roles[0].url: expected text, found nothing"),
    (("epochs", 0, "first_stream"), -1, "epochs[0].first_stream: expected an integer of 1"),
    (("extra",), 1, "extra: unknown key; here can be gp_replay_document, name"),
    (("streams",), {}, "streams: expected a list, found a mapping"),
    (("streams", 0, "stream"), 0, "streams[0].stream: expected an integer of 1 or more"),
    (("streams", 1, "stream"), 1, "streams[1]: stream 1 is there twice"),
    (("streams", 0, "protocol"), "ftp", "streams[0].protocol: expected one of http, websocket"),
    (("streams", 0, "owner"), False, "streams[0].owner: expected text, found false"),
    (("streams", 0, "colour"), "red", "streams[0].colour: unknown key"),
    (("streams", 0, "events"), [], "streams[0].events: a stream has at least the event opened"),
    ((*EVENT, 0), 7, "streams[0].events[0]: expected a mapping, found 7"),
    ((*EVENT, 0, "from"), "server", "streams[0].events[0].from: expected client"),
    ((*EVENT, 0, "opened"), False, "streams[0].events[0].opened: expected true"),
    ((*EVENT, 1, "from"), "proxy", "streams[0].events[1].from: expected one of client, server"),
    ((*EVENT, 1, "at_us"), -1, "streams[0].events[1].at_us: expected an integer of 0 or more, found -1"),
    ((*EVENT, 1, "at_us"), True, "streams[0].events[1].at_us: expected an integer"),
    ((*EVENT, 1, "at_us"), 9, "streams[0].events[2]: at_us 2 is earlier than the event before, at 9"),
    ((*EVENT, 1, "target"), 5, 'streams[0].events[1].target: expected text or {"base64": "…"}, found 5'),
    ((*EVENT, 1, "headers"), [["a"]], "streams[0].events[1].headers[0]: expected a list of two"),
    ((*EVENT, 1, "status"), 200, "streams[0].events[1]: expected exactly one of the keys"),
    ((*EVENT, 1), {"at_us": 1, "from": "client"}, "streams[0].events[1]: expected exactly one of the keys opened, me"),
    ((*EVENT, 2, "trailers", 0, 1, "base64"), "!", "streams[0].events[2].trailers[0][1].base64: expected base64"),
    ((*EVENT, 3, "status"), 99, "streams[0].events[3].status: expected an integer from 100 to 999, found 99"),
    ((*EVENT, 3, "status"), "200", "streams[0].events[3].status: expected an integer from 100 to 999"),
    ((*EVENT, 4, "ends_chunk"), 1, "streams[0].events[4].ends_chunk: expected true or false"),
    ((*EVENT, 4, "piece"), "\ud800", "streams[0].events[4].piece: expected text, found half a surrogate"),
    ((*EVENT, 4, "order"), -1, "streams[0].events[4].order: expected an integer"),
    ((*EVENT, 5, "gone"), "home", "streams[0].events[5].gone: expected one of eof, reset, cut, unreachable"),
    ((*EVENT, 5), {"at_us": 5, "from": "client", "ping": ""}, "events[5].ping: only a websocket stream can have"),
    ((*EVENT, 5), {"at_us": 5, "from": "client", "opened": True}, "events[5]: opened must be the first event"),
    ((*MESSAGE, "opcode"), "ping", "streams[1].events[1].opcode: expected one of text, binary"),
    ((*MESSAGE, "message"), "abcd", "streams[1].events[1].fragments: the lengths add up to 3, but the message has 4"),
    ((*MESSAGE, "fragments", 0, "length"), 2**63, "streams[1].events[1].fragments[0].length: expected an integer"),
    (("streams", 1, "events", 4, "opaque"), -1, "streams[1].events[4].opaque: expected an integer"),
    (("streams", 1, "events", 5, "close"), 70000, "streams[1].events[5].close: expected an integer from 0 to 65535"),
]


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENT)
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def test_the_document_the_mistakes_are_made_in_is_right() -> None:
    header, events = from_document(DOCUMENT)
    assert header.replaces == b"\x00\xff"
    assert len(events) == 13
    assert document_facts(DOCUMENT).models == ("m",)


@pytest.mark.parametrize(("path", "value", "problem"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_mistake_is_one_error_that_says_where_and_what(
    path: tuple[str | int, ...], value: object, problem: str
) -> None:
    with pytest.raises(CassetteCorrupt) as caught:
        from_document(changed(path, value), source="x.yaml")
    assert str(caught.value).startswith("x.yaml: corrupt cassette: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize("key", ["name", "recorded_at", "tool", "origin", "roles", "redaction", "salt", "streams"])
def test_a_missing_field_is_named(key: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    del document[key]
    with pytest.raises(CassetteCorrupt, match=f"the document: {key} is missing"):
        from_document(document)


def test_a_missing_field_of_an_event_is_named() -> None:
    document = copy.deepcopy(DOCUMENT)
    del document["streams"][0]["events"][3]["reason"]
    with pytest.raises(CassetteCorrupt, match=r"streams\[0\]\.events\[3\]: reason is missing"):
        from_document(document)


def test_a_later_format_is_too_new_before_anything_else_is_read() -> None:
    with pytest.raises(CassetteTooNew):
        from_document({"gp_replay_document": 2, "shape": "unheard of"})


def test_other_data_is_said_to_be_no_document() -> None:
    with pytest.raises(CassetteCorrupt, match="this is not a cassette's document"):
        from_document({"interactions": []})


def test_deep_nesting_is_refused_where_it_starts() -> None:
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CassetteCorrupt, match="name: expected text, found a list of 1"):
        from_document(changed(("name",), deep))
    while isinstance(deep, list):  # taken apart from the outside: freeing it at once would recurse
        deep = deep.pop()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def paths(plain: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    keys = plain if isinstance(plain, dict) else range(len(plain)) if isinstance(plain, list) else ()
    return [path] * bool(path) + [found for key in keys for found in paths(plain[key], (*path, key))]


@given(st.sampled_from(paths(DOCUMENT)), ANYTHING)
def test_anything_anywhere_is_read_or_one_documented_error(path: tuple[str | int, ...], value: object) -> None:
    try:
        from_document(changed(path, value))
    except (CassetteCorrupt, CassetteTooNew) as error:
        assert str(error)  # noqa: PT017 - either outcome is fine
