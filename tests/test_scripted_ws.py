"""The scripted ends of a WebSocket conversation: they keep its scenario, and catch who does not."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterable
from itertools import groupby
from random import Random
from typing import Any

import pytest
from dialogue import CLIENT, SERVER
from realtime import Connection, Said, cassette, conversation, names
from scripted_ws import ScriptedClient, ScriptedServer, Unexpected, fresh_id, ids_of, is_delta, kind_of, play, recut

TOOLS = "test_openai_ws__test_tool_call_round"
_RESUMED = "test_xai_ws__test_session_resumption_after_drop"

# The client names its own item and answers the server's call; the server speaks of both, in nested JSON too.
BOTH_IDS = (
    Said(SERVER, '{"type":"hello","session_id":"sess_Ab3De5Gh7J"}'),
    Said(CLIENT, '{"type":"add","item":{"id":"6a2bbd4b3ec8b0bd9b0cbb11","text":"Rome?"}}'),
    Said(SERVER, '{"type":"added","item_id":"6a2bbd4b3ec8b0bd9b0cbb11"}'),
    Said(
        SERVER, '{"type":"call","call_id":"call_x1Y2z3W4","arguments":"{\\"about\\":\\"6a2bbd4b3ec8b0bd9b0cbb11\\"}"}'
    ),
    Said(CLIENT, '{"type":"result","call_id":"call_x1Y2z3W4","output":"for call_x1Y2z3W4"}'),
    Said(SERVER, '{"type":"text.delta","item_id":"item_p9Q8r7S6","delta":"sunny"}'),
    Said(SERVER, '{"type":"done","item_id":"item_p9Q8r7S6"}'),
)


def takes(name: str, seed: int) -> list[tuple[Said, ...]]:
    """The connections of a conversation, each played by both scripted ends."""
    of_server: dict[str, str] = {}
    of_client: dict[str, str] = {}
    rng = Random(seed)
    return [
        play(
            ScriptedServer(connection.messages, rng, ids=of_server),
            ScriptedClient(connection.messages, rng, ids=of_client),
        )
        for connection in conversation(name)
    ]


def ends(messages: Iterable[Said], seed: int = 1) -> tuple[ScriptedServer, ScriptedClient]:
    lines = tuple(messages)
    return ScriptedServer(lines, Random(seed)), ScriptedClient(lines, Random(seed + 1000))


def fixed(messages: Iterable[Said]) -> list[tuple[object, str]]:
    return [(message.side, kind_of(message.value)) for message in messages if not is_delta(message.value)]


def told(messages: Iterable[Said]) -> list[Any]:
    """What runs of deltas amount to: everything in them, joined, but for times and paddings."""
    values = [message.value for message in messages]
    runs = [list(run) for delta, run in groupby(values, key=lambda v: is_delta(v) and kind_of(v)) if delta]
    return [["".join(pieces(value)) for value in run] for run in runs]


def pieces(value: Any) -> list[str]:
    if "delta" in value:
        return [value["delta"]]
    content = value["serverContent"]
    part = content.get("modelTurn", {"parts": [{}]})["parts"][0]
    return [content.get("outputTranscription", {}).get("text", ""), part.get("inlineData", part).get("data", "")]


@pytest.mark.parametrize("name", names())
def test_two_scripted_ends_play_a_conversation_to_its_end(name: str) -> None:
    for seed in range(3):
        for connection in conversation(name):
            server, client = ends(connection.messages, seed)
            take = play(server, client)
            assert server.done
            assert client.done
            assert fixed(take) == fixed(connection.messages)


@pytest.mark.parametrize("name", names())
def test_no_recorded_id_is_said_again_and_none_is_confused(name: str) -> None:
    for connection, take in zip(conversation(name), takes(name, 1), strict=True):
        recorded, live = ids_of(connection.messages), ids_of(take)
        assert not recorded.keys() & live.keys()
        # The ids of the messages that are no deltas stand in the same places, one for one.
        pairs = {
            (one, other)
            for old, new in zip(_fixed(connection.messages), _fixed(take), strict=True)
            for one, other in zip(ids_of([old]), ids_of([new]), strict=True)
        }
        assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


def _fixed(messages: Iterable[Said]) -> list[Said]:
    return [message for message in messages if not is_delta(message.value)]


def test_the_number_of_deltas_changes_and_their_text_does_not() -> None:
    counts, texts = set(), set()
    for seed in range(20):
        (take,) = takes(TOOLS, seed)
        counts.add(len(take))
        texts.add(json.dumps([["".join(run)] for run in told(take)]))
    assert len(counts) > 5
    assert texts == {json.dumps([["".join(run)] for run in told(conversation(TOOLS)[0].messages)])}


def test_a_piece_of_sound_stays_base64_and_the_sound_stays_whole() -> None:
    messages = conversation("test_openai_ws__test_text_in_audio_out_turn")[0].messages
    recorded = b"".join(
        b64decode(m.value["delta"]) for m in messages if m.value["type"] == "response.output_audio.delta"
    )
    for seed in range(5):
        values = recut([message.value for message in messages], Random(seed))
        sound = [v["delta"] for v in values if v["type"] == "response.output_audio.delta"]
        assert b"".join(b64decode(piece, validate=True) for piece in sound) == recorded


def test_texts_that_take_turns_are_not_joined() -> None:
    deltas = [
        {"type": "t.delta", "item_id": item, "delta": text} for item, text in (("item_one1", "ab"), ("item_two2", "cd"))
    ]
    for seed in range(10):
        values = recut(deltas, Random(seed))
        assert "".join(v["delta"] for v in values if v["item_id"] == "item_one1") == "ab"


def test_every_message_of_a_take_has_its_own_event_id() -> None:
    for seed in range(5):
        (take,) = takes(TOOLS, seed)
        events = [message.value["event_id"] for message in take if message.side is SERVER]
        assert len(events) == len(set(events))


def test_the_same_seed_gives_the_same_take_and_another_another() -> None:
    assert takes(TOOLS, 3) == takes(TOOLS, 3)
    assert takes(TOOLS, 3) != takes(TOOLS, 4)


def test_ids_are_kept_across_the_connections_of_a_conversation() -> None:
    first, second = ({text for m in take for text in _conversation_ids(m.value)} for take in takes(_RESUMED, 1))
    assert first == second
    assert len(first) == 1


def _conversation_ids(value: Any) -> list[str]:
    return [value["conversation"]["id"]] if "conversation" in value else []


def test_a_take_is_a_conversation_itself() -> None:
    (take,) = takes(TOOLS, 1)
    again = play(*ends(take, 7))
    assert fixed(again) == fixed(take)
    assert cassette([Connection(take)]).footer.entries[0].messages == len(take)


def test_the_client_makes_ids_of_its_own_and_both_sides_say_them() -> None:
    server, client = ends(BOTH_IDS)
    take = play(server, client)
    of_client = take[1].value["item"]["id"]
    assert of_client != "6a2bbd4b3ec8b0bd9b0cbb11"
    assert take[2].value["item_id"] == of_client
    assert json.loads(take[3].value["arguments"]) == {"about": of_client}
    call = take[3].value["call_id"]
    assert take[4].value == {"type": "result", "call_id": call, "output": f"for {call}"}


def test_a_client_does_not_wait_for_deltas() -> None:
    server, client = ends(BOTH_IDS)
    take = play(server, client)
    without = [message.text for message in take if message.side is SERVER and not is_delta(message.value)]
    assert client.done
    server, client = ends(BOTH_IDS)
    said = client.start() + [line for text in without for line in client.receive(text)]
    assert [json.loads(line)["type"] for line in said] == ["add", "result"]
    assert client.done


def test_a_client_that_repeats_the_recorded_call_id_is_caught() -> None:
    server, client = ends(BOTH_IDS)
    client_says = [line for text in server.start() for line in client.receive(text)]
    server.receive(client_says[0])
    with pytest.raises(Unexpected, match=r"at \.call_id: 'call_x1Y2z3W4' instead of 'call_"):
        server.receive(BOTH_IDS[4].text)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (
            '{"type":"add","item":{"id":"6a2bbd4b3ec8b0bd9b0cbb11","text":"Oslo?"}}',
            r"at \.item\.text: 'Oslo\?' instead",
        ),
        ('{"type":"add","item":{"id":"6a2bbd4b3ec8b0bd9b0cbb11"}}', r"at \.item: members \['id'\] instead"),
        ('{"type":"add","item":[]}', r"at \.item: \[\] instead"),
        ('{"type":"add","item":{"id":null,"text":"Rome?"}}', r"at \.item\.id: None instead of an id"),
    ],
)
def test_a_client_that_says_something_else_is_caught(said: str, problem: str) -> None:
    server, _ = ends(BOTH_IDS)
    server.start()
    with pytest.raises(Unexpected, match=problem):
        server.receive(said)


def test_a_client_that_goes_on_after_the_end_is_caught() -> None:
    server, client = ends(BOTH_IDS)
    play(server, client)
    with pytest.raises(Unexpected, match="after the last message"):
        server.receive("{}")


def test_a_server_that_leaves_out_a_message_is_caught() -> None:
    _, client = ends(BOTH_IDS)
    client.receive(BOTH_IDS[0].text)
    with pytest.raises(Unexpected, match="call where added comes next"):
        client.receive(BOTH_IDS[3].text)


def test_a_server_that_goes_on_after_the_end_is_caught() -> None:
    _, client = ends(BOTH_IDS[:1])
    client.receive(BOTH_IDS[0].text)
    with pytest.raises(Unexpected, match="hello where nothing comes next"):
        client.receive(BOTH_IDS[0].text)


def test_a_server_that_forgets_the_clients_id_is_caught() -> None:
    _, client = ends(BOTH_IDS)
    client.receive(BOTH_IDS[0].text)
    with pytest.raises(Unexpected, match=r"at \.item_id: '6a2bbd4b3ec8b0bd9b0cbb11' instead"):
        client.receive(BOTH_IDS[2].text)


def test_a_server_that_changes_an_id_half_way_is_caught_in_a_delta() -> None:
    lines = (
        Said(SERVER, '{"type":"added","item_id":"item_p9Q8r7S6"}'),
        Said(SERVER, '{"type":"text.delta","item_id":"item_p9Q8r7S6","delta":"sunny"}'),
    )
    _, client = ends(lines)
    client.receive('{"type":"added","item_id":"item_00000001"}')
    with pytest.raises(Unexpected, match=r"at \.item_id: 'item_00000002' instead of 'item_00000001'"):
        client.receive('{"type":"text.delta","item_id":"item_00000002","delta":"s"}')


def test_a_server_that_gives_two_things_one_id_is_caught() -> None:
    lines = tuple(Said(SERVER, json.dumps({"type": "added", "item_id": id})) for id in ("item_one111", "item_two222"))
    _, client = ends(lines)
    client.receive('{"type":"added","item_id":"item_00000001"}')
    with pytest.raises(Unexpected, match="which stands for another id"):
        client.receive('{"type":"added","item_id":"item_00000001"}')


def test_a_delta_where_none_was_recorded_is_caught() -> None:
    _, client = ends(BOTH_IDS)
    with pytest.raises(Unexpected, match="a delta where none is recorded"):
        client.receive(BOTH_IDS[5].text)


def test_an_id_that_only_a_delta_says_is_echoed_all_the_same() -> None:
    lines = (
        Said(SERVER, '{"type":"text.delta","item_id":"item_p9Q8r7S6","delta":"sun"}'),
        Said(SERVER, '{"type":"done"}'),
        Said(CLIENT, '{"type":"delete","item_id":"item_p9Q8r7S6"}'),
    )
    take = play(*ends(lines))
    assert take[-1].value["item_id"] == take[0].value["item_id"] != "item_p9Q8r7S6"


@pytest.mark.parametrize(
    ("id", "alike"),
    [
        ("event_E6U11oE4PwyJSvJ9e3mzM", r"event_[A-Za-z0-9]{21}"),
        ("function-call-3225422447732038294", r"function-call-\d{19}"),
        ("call-af8ed632-2074-4b5f-b719-7aa47250d3c6-0", r"call-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-0"),
        (
            "97b38993-a789-421f-9301-765305d68200",
            r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        ),
        ("9a503158b91c4e03b3f2b9c9ec16d68d", r"[0-9a-f]{32}"),
    ],
)
def test_a_fresh_id_is_of_the_same_make(id: str, alike: str) -> None:
    made = {fresh_id(id, Random(seed)) for seed in range(20)}
    assert len(made - {id}) == 20
    assert all(re.fullmatch(alike, one) for one in made)
