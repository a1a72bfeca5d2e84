import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from strategies import cassettes

from gp_replay.core.document import Document, document_facts, from_document, ordered_events, to_document
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import End, Epoch, Event, Header, Opened, Origin, Protocol, Role, Side
from gp_replay.errors import CassetteCorrupt


def header(**changes: object) -> Header:
    fields: dict[str, object] = {
        "name": "n",
        "recorded_at": "2026-11-25T10:00:00Z",
        "tool": "t",
        "origin": Origin.LIVE,
        "roles": (Role(name="llm", url="http://llm"),),
        "salt": bytes(16),
        "redaction": (),
    }
    return Header(**(fields | changes))  # type: ignore[arg-type]


def opened(stream: int, at_us: int = 0) -> Event:
    return Opened(at_us=at_us, stream=stream, side=Side.CLIENT, protocol=Protocol.HTTP, role="llm")


def end(stream: int, at_us: int) -> Event:
    return End(at_us=at_us, stream=stream, side=Side.CLIENT)


def values(plain: object) -> Iterator[object]:
    yield plain
    if isinstance(plain, dict):
        for key, value in plain.items():
            assert type(key) is str
            yield from values(value)
    elif isinstance(plain, list):
        for item in plain:
            yield from values(item)


@settings(max_examples=150)
@given(cassettes())
def test_a_document_gives_the_cassette_back(cassette: MemoryCassette) -> None:
    document = to_document(cassette)
    found_header, events = from_document(document)
    assert found_header == cassette.header
    assert events == ordered_events(cassette)
    again = MemoryCassette(found_header, events)
    assert len(again.footer.entries) == len(cassette.footer.entries)
    for entry in cassette.footer.entries:
        assert again.events(entry.stream) == cassette.events(entry.stream)
    assert again.footer.models == document_facts(document).models == cassette.footer.models
    assert to_document(again) == document


@settings(max_examples=50)
@given(cassettes())
def test_a_document_is_plain_and_json_safe(cassette: MemoryCassette) -> None:
    document = to_document(cassette)
    assert {type(value) for value in values(document)} <= {str, int, bool, list, dict}
    assert json.loads(json.dumps(document)) == document


def test_streams_at_the_same_time_keep_the_order_they_were_written_in() -> None:
    written = [opened(1), opened(2), end(2, 5), end(1, 5)]
    document = to_document(MemoryCassette(header(), written))
    assert from_document(document)[1] == written
    assert [event.get("order") for stream in document["streams"] for event in stream["events"]] == [  # type: ignore
        None,
        1,
        None,
        0,
    ]


def test_a_later_epoch_comes_after_the_earlier_ones_although_its_clock_starts_anew() -> None:
    epochs = (Epoch(recorded_at="2026-11-26T10:00:00Z", first_stream=2),)
    written = [opened(1, 50), end(1, 60), opened(2, 0), end(2, 1)]
    document = to_document(MemoryCassette(header(epochs=epochs), written))
    assert from_document(document)[1] == written


def test_fields_stand_in_a_fixed_order_and_defaults_are_left_out() -> None:
    document = to_document(MemoryCassette(header(), [opened(1), end(1, 3)]))
    assert json.dumps(document["streams"]) == json.dumps(
        [
            {
                "stream": 1,
                "protocol": "http",
                "role": "llm",
                "events": [
                    {"at_us": 0, "from": "client", "opened": True},
                    {"at_us": 3, "from": "client", "end": True},
                ],
            }
        ]
    )
    assert list(document)[:3] == ["gp_replay_document", "name", "recorded_at"]
    assert "commit" not in document


def test_the_exit_code_is_kept() -> None:
    document: Document = to_document(MemoryCassette(header(), []))
    assert document_facts(document).exit_code is None
    assert document_facts(document | {"exit_code": -9}).exit_code == -9


def test_an_edited_document_can_say_so() -> None:
    document = to_document(MemoryCassette(header(), []))
    assert from_document(document)[0].origin is Origin.LIVE
    assert from_document(document, origin=Origin.EDITED)[0] == header(origin=Origin.EDITED)


@pytest.mark.parametrize("value", [None, [], "x", 3, {}])
def test_something_else_is_no_document(value: object) -> None:
    with pytest.raises(CassetteCorrupt):
        from_document(value)
