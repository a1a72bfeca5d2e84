"""Real voice conversations, replayed to a client with ids of its own and driven against a server that cuts otherwise.

Both live sides are scripted (`scripted_ws`) and know nothing of the code under test.
"""

from __future__ import annotations

from random import Random

import pytest
from realtime import Connection, Said, cassette, conversation, load, names
from scripted_ws import ScriptedClient, ScriptedServer

from gp_replay.core.acts import Action, Claim, Open, Pending, Refuse, Send
from gp_replay.core.explain import Request
from gp_replay.core.model import Close, Message, Opcode, Protocol, RequestHead, ResponseHead, Side
from gp_replay.core.player import Player
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile
from gp_replay.core.shapes import is_id
from gp_replay.core.terms import Terms
from gp_replay.core.timing import Pace

RESUMPTION = "test_xai_ws__test_session_resumption_after_drop"


def message(text: str, side: Side) -> Message:
    return Message(at_us=0, stream=1, side=side, opcode=Opcode.TEXT, data=text.encode())


def player_of(name: str, part: Side, *, fresh: bool = False) -> Player:
    script = compile(load(name), {"llm": part}, Rules())
    return Player([("tape", script)], Terms(pace=Pace(factor=0), fresh_ids=fresh, seed=b"seed"))


def serve(
    player: Player, connection: Connection, live: int, rng: Random, ids: dict[str, str]
) -> tuple[list[str], bool]:
    """A scripted client speaks to our server; what it heard, and whether it came to its end."""
    client = ScriptedClient(script_of(connection), rng, ids=ids)
    head = next(event for event in load_head(connection) if isinstance(event, RequestHead))
    outcome = player.open(0, live, Request(protocol=Protocol.WEBSOCKET, role="llm", head=head))
    assert isinstance(outcome, Claim | Pending), outcome
    heard: list[str] = []
    actions = player.tick(0)
    texts = client.start()
    while actions or texts:
        for action in actions:
            assert not isinstance(action, Refuse), action.refusal
            if isinstance(action, Send) and isinstance(action.event, Message):
                heard.append(action.event.data.decode())
                texts += client.receive(heard[-1])
        actions = []
        for text in texts:
            actions += player.receive(0, live, message(text, Side.CLIENT))
        texts = []
        actions += player.tick(0)
    player.receive(0, live, Close(at_us=0, stream=1, side=Side.CLIENT, code=1000))
    player.leave(0, live)
    return heard, client.done


def script_of(connection: Connection) -> list[Said]:
    """What a client must hear: heartbeats come on their own period, and with no time they do not come."""
    return [said for said in connection.messages if '"type":"ping"' not in said.text]


def load_head(connection: Connection) -> list[object]:
    return list(cassette((connection,)).events(1))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", [name for name in names() if name != RESUMPTION])
def test_a_conversation_is_replayed_to_a_client_with_ids_of_its_own(name: str, seed: int) -> None:
    player = player_of(name, Side.SERVER, fresh=seed == 2)
    rng, ids = Random(seed), dict[str, str]()
    for live, connection in enumerate(conversation(name), 1):
        heard, done = serve(player, connection, live, rng, ids)
        assert done
        recorded = [said for said in script_of(connection) if said.side is Side.SERVER]
        assert len(heard) == len(recorded)
        if seed < 2:  # what nobody has said anything for is said as it was recorded
            assert heard[0] == recorded[0].text
    assert not player.tally.missed
    assert not player.tally.unplayed
    # Dozens of words and names are said by both sides too (cities, tool names, roles): none of them is bound.
    assert all(is_id(recorded.decode()) for recorded in player.bound)


@pytest.mark.parametrize("name", [name for name in names() if name != RESUMPTION])
def test_fresh_ids_are_the_same_for_the_same_play(name: str) -> None:
    takes = []
    for _ in range(2):
        player = player_of(name, Side.SERVER, fresh=True)
        takes.append([serve(player, item, live, Random(1), {})[0] for live, item in enumerate(conversation(name), 1)])
    assert takes[0] == takes[1]


def test_a_dropped_session_whose_tapes_part_too_early_is_refused_by_name() -> None:
    player = player_of(RESUMPTION, Side.SERVER)
    client = ScriptedClient(conversation(RESUMPTION)[0].messages, Random(0))
    head = next(event for event in load_head(conversation(RESUMPTION)[0]) if isinstance(event, RequestHead))
    player.open(0, 1, Request(protocol=Protocol.WEBSOCKET, role="llm", head=head))
    refusals: list[str] = []
    actions: list[Action] = player.tick(0)
    texts = client.start()
    while actions or texts:
        for action in actions:
            if isinstance(action, Refuse):
                refusals.append(action.refusal.kind)
            elif isinstance(action, Send) and isinstance(action.event, Message):
                texts += client.receive(action.event.data.decode())
        actions = [done for text in texts for done in player.receive(0, 1, message(text, Side.CLIENT))]
        texts = []
    assert refusals == ["ambiguous"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", names())
def test_a_conversation_is_driven_against_a_server_with_other_ids_and_deltas(name: str, seed: int) -> None:
    player = player_of(name, Side.CLIENT)
    rng, ids = Random(seed), dict[str, str]()
    servers: dict[int, ScriptedServer] = {}
    waiting = list(conversation(name))
    now_us = 0
    player.start(now_us)
    actions = player.tick(now_us)
    while True:
        replies: list[tuple[int, str]] = []
        for action in actions:  # grows while it is walked: what is heard may be answered at once
            assert not isinstance(action, Refuse), action.refusal
            if isinstance(action, Open):
                servers[action.live] = ScriptedServer(waiting.pop(0).messages, rng, ids=ids)
            elif isinstance(action, Send) and isinstance(action.event, RequestHead):
                actions += player.receive(now_us, action.live, switching())
                replies += [(action.live, text) for text in servers[action.live].start()]
            elif isinstance(action, Send) and isinstance(action.event, Message):
                replies += [(action.live, text) for text in servers[action.live].receive(action.event.data.decode())]
            elif isinstance(action, Send) and isinstance(action.event, Close):
                player.leave(now_us, action.live)
        actions = [done for live, text in replies for done in player.receive(now_us, live, message(text, Side.SERVER))]
        if not actions:
            due_us = player.next_due()
            if due_us is None:
                break
            now_us = max(now_us, due_us)
            actions = player.tick(now_us)
    assert not waiting
    assert all(server.done for server in servers.values())
    assert not player.tally.missed
    assert not player.tally.unfinished


def switching() -> ResponseHead:
    return ResponseHead(at_us=0, stream=1, side=Side.SERVER, version=b"HTTP/1.1", status=101, reason=b"", headers=())
