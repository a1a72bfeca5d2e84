"""Real recordings with other ids than were recorded: replayed to their real clients, and driven against each other."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from recorded.clients import API_KEY, SCENES

from gp_replay import api
from gp_replay.core.canonical import message_form
from gp_replay.core.credentials import Credentials
from gp_replay.core.model import Cassette, Message, Side
from gp_replay.core.rules import Rules
from gp_replay.core.shapes import ids_in
from gp_replay.store import CassetteFile

ROOT = Path(__file__).resolve().parents[2]
CASSETTES = ROOT / "cassettes"

# The SDK opens its socket in a way that newer versions of websockets want to see changed.
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:openai")


def without_ids(value: object) -> str:
    """A JSON value as text, its ids numbered in order of appearance, its times left out."""
    text = re.sub(r'"(created|created_at|completed_at)": [\d.]+', r'"\1": 0', json.dumps(value, sort_keys=True))
    for number, found in enumerate(ids_in(text.encode())):
        text = text.replace(found.decode(), f"id {number}")
    return text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openai-tools", "responses-ws"])
def test_the_real_client_sees_the_same_under_fresh_ids_and_its_second_turn_is_known(name: str) -> None:
    takes: list[Any] = []
    for _ in range(2):
        with api.replay(CASSETTES / f"{name}.gpr", timing="instant", ids="fresh") as replay:
            takes.append(json.loads(json.dumps(SCENES[name](replay.urls))))
        assert replay.receipt.exit_code == 0
        assert not replay.receipt.unplayed
    before = json.loads((ROOT / "tests" / "data" / "seen" / f"{name}.json").read_text(encoding="utf-8"))
    assert takes[0] == takes[1]
    assert takes[0] != before
    assert without_ids(takes[0]) == without_ids(before)


@pytest.mark.parametrize("name", ["openai-tools", "openai-chat-stream", "anthropic-stream", "responses-ws"])
def test_a_cassette_is_driven_against_its_own_replay_under_other_ids(name: str, tmp_path: Path) -> None:
    path = CASSETTES / f"{name}.gpr"
    with (
        api.replay(path, timing="instant", ids="fresh") as replay,
        api.drive(
            path,
            against=f"llm={replay.urls['llm']}",
            out=tmp_path / "take",
            timing="instant",
            credentials=Credentials(by_role={"llm": API_KEY}),
        ) as driving,
    ):
        driving.run()
    assert replay.receipt.exit_code == 0
    assert driving.result is not None
    assert driving.result.exit_code == 0
    with CassetteFile.open(path) as before, CassetteFile.open(tmp_path / "take.gpr") as take:
        assert said(take) == said(before)
        assert API_KEY.encode() not in (tmp_path / "take.gpr").read_bytes()


def said(cassette: Cassette) -> list[bytes]:
    """The canonical forms of all messages, or the keys of all requests."""
    forms = [
        message_form(event, role="llm", path="", rules=Rules()).digest
        for entry in cassette.footer.entries
        for event in cassette.events(entry.stream)
        if isinstance(event, Message)
    ]
    return forms or [entry.key[:16] for entry in cassette.footer.entries]


@pytest.mark.heavy
@pytest.mark.filterwarnings("default")
def test_responses_over_a_socket_are_driven_against_a_live_litellm(tmp_path: Path) -> None:
    """Needs a LiteLLM as in cassettes/README.md, its URL in LITELLM_URL and its key in LITELLM_KEY."""
    url = os.environ.get("LITELLM_URL")
    assert url, "set LITELLM_URL (and LITELLM_KEY) to a running LiteLLM, see cassettes/README.md"
    with api.drive(
        CASSETTES / "responses-ws.gpr",
        against=f"llm={url}",
        out=tmp_path / "take",
        credentials=Credentials(by_role={"llm": os.environ.get("LITELLM_KEY", API_KEY)}),
    ) as driving:
        driving.run()
    assert driving.result is not None
    assert driving.result.exit_code == 0
    with CassetteFile.open(tmp_path / "take.gpr") as take:
        messages = [event for event in take.events(1) if isinstance(event, Message)]
        second = [json.loads(event.data) for event in messages if event.side is Side.CLIENT][1]
        first = next(json.loads(e.data) for e in messages if b'"response.completed"' in e.data)
        assert second["previous_response_id"] == first["response"]["id"]
