"""Whatever a client or a cassette says, the player answers with an action or a refusal, and never with an error."""

from __future__ import annotations

import json

from dialogue import CLIENT, ask, cassette, chat
from hypothesis import given, settings
from hypothesis import strategies as st
from staged import Stage

from gp_replay.core.acts import Claim, Pending
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Message, Opcode
from gp_replay.core.terms import OnRepeat, Terms
from gp_replay.core.timing import Pace

WORDS = [
    "2.0",
    "subscribe",
    "ping",
    "complete",
    "0b6f1a34-99f0-4d0e-9b62-3f4fb7c2a1d5",
    "call_a1b2c3d4",
    "{",
    '{"id":1}',
]
NAMES = [
    "id",
    "type",
    "jsonrpc",
    "method",
    "header",
    "parent_header",
    "msg_id",
    "payload",
    "result",
    "content",
    "channel",
]
LEAVES = st.sampled_from(WORDS) | st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
TEXTS = (
    VALUES.map(json.dumps)
    | st.text(max_size=20)
    | st.builds(lambda n, v: f"42{n}{json.dumps([v])}", st.integers(0, 99), VALUES)
)
TERMS = st.builds(
    Terms,
    pace=st.just(Pace(factor=0)),
    fresh_ids=st.booleans(),
    bind_owners=st.booleans(),
    rebase=st.booleans(),
    on_repeat=st.sampled_from(OnRepeat),
)


@settings(max_examples=150)
@given(
    TERMS, st.lists(st.tuples(st.booleans(), TEXTS), max_size=8), st.lists(TEXTS | st.binary(max_size=12), max_size=8)
)
def test_no_conversation_is_an_error(terms: Terms, recorded: list[tuple[bool, str]], live: list[str | bytes]) -> None:
    lines = [f"{5 + number} {'>' if client else '<'} {text}" for number, (client, text) in enumerate(recorded)]
    texts = [text for client, text in recorded if client]
    stage = Stage(
        cassette(chat(1, *lines, owner="u-1"), chat(2, *lines[::-1]), ask(3, "POST", "/x", json.dumps(texts))),
        terms=terms,
        base="127.0.0.1:1/x",
    )
    for owner in ("u-1", "u-2", None):
        assert isinstance(stage.connect(owner=owner), Claim | Pending | Refusal)
        stage.until(stage.now_us / 1000 + 1)
        for said in [*texts, *live]:
            data = said if isinstance(said, bytes) else said.encode("utf-8", "surrogatepass")
            opcode = Opcode.BINARY if isinstance(said, bytes) and len(said) % 2 else Opcode.TEXT
            message = Message(at_us=0, stream=1, side=CLIENT, opcode=opcode, data=data)
            stage.player.receive(stage.now_us, stage.lives, message)
            stage.until(stage.now_us / 1000 + 20_000)
    for said in live:
        if isinstance(said, str):
            assert isinstance(stage.ask("POST", "/x", said.replace("\ud800", "")), Claim | Refusal)
    assert stage.player.tally is not None
