"""Variables with credentials."""

from __future__ import annotations

from gp_replay.core.identity import owner_of
from gp_replay.core.model import RequestHead, Side
from gp_replay.runs.token_variables import role_variable, stand_ins, token_variables


def test_names_are_upper_case_and_other_characters_underscores() -> None:
    assert role_variable("my-llm.2", "URL") == "GP_REPLAY_MY_LLM_2_URL"
    assert token_variables("chat", {None: "a", "al.ice@x": "b"}) == {
        "GP_REPLAY_CHAT_TOKEN": "a",
        "GP_REPLAY_CHAT_TOKEN_AL_ICE_X": "b",
    }


def test_a_stand_in_says_whose_it_is_and_one_alone_is_everybodys() -> None:
    tokens = stand_ins(["alice"])
    assert tokens[None] == tokens["alice"]
    head = RequestHead(
        at_us=0,
        stream=1,
        side=Side.CLIENT,
        method=b"GET",
        target=b"/",
        version=b"HTTP/1.1",
        headers=((b"Authorization", b"Bearer " + tokens["alice"].encode()),),
    )
    assert owner_of(head) == "alice"
    assert set(stand_ins(["alice", "bob"])) == {"alice", "bob"}
    assert stand_ins([]) == {}
