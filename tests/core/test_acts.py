"""What a player decides are values: equal when they say the same, and never changed behind anybody's back."""

from __future__ import annotations

import dataclasses

import pytest
from dialogue import SERVER, ask, cassette

from gp_replay.core.acts import Open, Over, Refuse, Send
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Ping
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile

TAPE = cassette(ask(1, "GET", "/"))
COMPILED = compile(TAPE, {"default": SERVER}, Rules())
SCRIPT = COMPILED.stream(COMPILED.entries[0])
ACTIONS = [
    Send(live=1, event=Ping(at_us=0, stream=1, side=SERVER, data=b"")),
    Refuse(live=1, refusal=Refusal(kind="stall", reason="r", close_code=4408)),
    Over(live=1, whole=True),
    Open(live=-1, script=SCRIPT),
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_actions_are_frozen_values(action: object) -> None:
    assert action == dataclasses.replace(action)  # type: ignore[type-var]
    with pytest.raises(dataclasses.FrozenInstanceError):
        action.live = 2  # type: ignore[attr-defined]
