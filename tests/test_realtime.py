"""What is in the real conversations with realtime voice APIs, and what `is_id` makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from dialogue import CLIENT, SERVER
from realtime import FOLDER, Connection, Said, conversation, load, names, read

from gp_replay.core.model import Close, Message, Protocol, RequestHead, ResponseHead
from gp_replay.core.shapes import is_id

_GOOGLE_CALL = "function-call-3225422447732038294"
_CALLS = {
    "call_I5nx0fK2YAldYQZs",
    "call_uMNE0Myi2tDTPu0w",
    "call_qBWDkMS4urWSGbSx",
    "call_dQ3JhFWMR7qFnwAq",
    "call-af8ed632-2074-4b5f-b719-7aa47250d3c6-0",
    _GOOGLE_CALL,
}


def strings(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every string value that is not empty, with its place."""
    match value:
        case str() if value:
            yield place, value
        case dict():
            for name, item in value.items():
                yield from strings(item, f"{place}.{name}")
        case list():
            for number, item in enumerate(value):
                yield from strings(item, f"{place}[{number}]")


def said_by(connections: tuple[Connection, ...], side: object) -> set[str]:
    messages = (message for connection in connections for message in connection.messages if message.side is side)
    return {text for message in messages for _, text in strings(message.value)}


def on_both_sides(connections: tuple[Connection, ...]) -> set[str]:
    return said_by(connections, CLIENT) & said_by(connections, SERVER)


@pytest.mark.parametrize("name", names())
def test_a_cassette_holds_every_message_of_its_file_in_order(name: str) -> None:
    items = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["interactions"]
    cassette = load(name)
    events = [event for entry in cassette.footer.entries for event in cassette.events(entry.stream)]
    messages = [event for event in events if isinstance(event, Message)]
    recorded = [item for item in items if item["kind"] == "message"]
    assert [json.loads(message.data) for message in messages] == [item["data"] for item in recorded]
    assert ["sent" if m.side is CLIENT else "received" for m in messages] == [item["direction"] for item in recorded]
    assert [event.at_us for event in events] == sorted(event.at_us for event in events)


@pytest.mark.parametrize("name", names())
def test_a_connection_is_an_upgrade_of_the_llm_closed_by_the_client(name: str) -> None:
    cassette = load(name)
    assert [role.name for role in cassette.header.roles] == ["llm"]
    for entry in cassette.footer.entries:
        assert (entry.protocol, entry.role, entry.complete) == (Protocol.WEBSOCKET, "llm", True)
        _, request, response, *_, first_close, second_close = cassette.events(entry.stream)
        assert isinstance(request, RequestHead)
        assert (request.method, request.target) == (b"GET", b"/v1/realtime")
        assert isinstance(response, ResponseHead)
        assert response.status == 101
        assert isinstance(first_close, Close)
        assert isinstance(second_close, Close)
        assert (first_close.side, second_close.side) == (CLIENT, SERVER)


def test_a_server_message_comes_after_10_ms_and_a_client_message_after_50() -> None:
    events = load("test_google_ws__test_text_in_audio_out_turn").events(1)
    times = [(event.side, event.at_us // 1000) for event in events if isinstance(event, Message)]
    assert times[:4] == [(CLIENT, 51), (SERVER, 61), (CLIENT, 111), (SERVER, 121)]


def test_a_drop_by_the_recorder_is_a_close_of_the_client_and_begins_another_connection() -> None:
    cassette = load("test_xai_ws__test_session_resumption_after_drop")
    first, second = cassette.footer.entries
    closes = [[e for e in cassette.events(n.stream) if isinstance(e, Close)] for n in (first, second)]
    assert [(e.side, e.code, e.reason) for e in closes[0]] == [
        (CLIENT, 1011, b"test reconnect"),
        (SERVER, 1011, b"test reconnect"),
    ]
    assert [e.code for e in closes[1]] == [1000, 1000]
    assert second.opened_us > first.ended_us


def test_a_recorded_close_that_nobody_forced_is_the_servers() -> None:
    (connection,) = read(
        "version: 1\ninteractions:\n- {kind: message, direction: sent, data: {}}\n"
        "- {kind: close, code: 1008, reason: expired, ok: false}\n",
        "tape",
    )
    assert connection == Connection((Said(CLIENT, "{}"),), SERVER, 1008, "expired")


def test_a_placeholder_becomes_the_id_that_the_server_says_back() -> None:
    (connection,) = read(
        """
        version: 1
        interactions:
        - {kind: message, direction: sent, data: {item: {id: <client-id-1>}, previous: null}}
        - {kind: message, direction: sent, data: {item: {id: <client-id-2>}, previous: <client-id-1>}}
        - {kind: message, direction: received, data: {item: {id: 6a2bbd4b3ec8b0bd9b0cbb11}}}
        - {kind: message, direction: received, data: {item: {id: 0f1e2d3c4b5a69788796a5b4}}}
        - {kind: message, direction: sent, data: {item: {id: <client-id-3>}}}
        """,
        "tape",
    )
    first, second, *_, third = connection.messages
    assert first.value["item"]["id"] == second.value["previous"] == "6a2bbd4b3ec8b0bd9b0cbb11"
    assert second.value["item"]["id"] == "0f1e2d3c4b5a69788796a5b4"
    assert len(bytes.fromhex(third.value["item"]["id"])) == 12


def test_a_placeholder_counts_within_its_connection_only() -> None:
    message = "- {kind: message, direction: sent, data: {id: <client-id-1>}}\n"
    text = f"version: 1\ninteractions:\n{message}- {{kind: close, code: 1000, reason: '', ok: true}}\n{message}"
    one, two = read(text, "tape")
    assert one.messages[0].text != two.messages[0].text
    assert read(text, "tape") == (one, two)
    assert read(text, "other")[0].messages != one.messages


def test_130_strings_are_said_by_both_sides_and_6_of_them_are_ids() -> None:
    shared = [text for name in names() for text in on_both_sides(conversation(name))]
    assert len(shared) == 130
    assert set(shared) >= _CALLS
    # Everything else is content: what was asked, names of models, tools and formats.
    assert len(set(shared) - _CALLS) == 33


def test_no_content_that_both_sides_say_is_taken_for_an_id() -> None:
    shared = {text for name in names() for text in on_both_sides(conversation(name))}
    called_ids = {text for text in shared if is_id(text)}
    assert called_ids <= _CALLS
    # Nineteen digits after a prefix that no list knows: only its member's name says what it is.
    assert _CALLS - called_ids <= {_GOOGLE_CALL}


def test_the_server_says_first_what_every_shared_id_is() -> None:
    for name in names():
        for id in _CALLS & on_both_sides(conversation(name)):
            lines = (message for connection in conversation(name) for message in connection.messages)
            assert next(line.side for line in lines if id in line.text) is SERVER


def test_a_resumed_conversation_keeps_its_id_and_no_other() -> None:
    first, second = (
        {text for message in connection.messages for _, text in strings(message.value) if is_id(text)}
        for connection in conversation("test_xai_ws__test_session_resumption_after_drop")
    )
    assert first & second == {"43f1cce0-e323-4a24-b2b1-de4b40b374b6"}
