"""Every cassette in ``cassettes/``, replayed to the real client that made it, with the network off."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pair import Pair
from recorded.clients import API_KEY, SCENES

from gp_replay import api
from gp_replay.core.model import Event, Message, Piece, RequestHead, ResponseHead
from gp_replay.demo.agent import serve_agent
from gp_replay.store import CassetteFile

ROOT = Path(__file__).resolve().parents[2]
CASSETTES = ROOT / "cassettes"
SEEN = ROOT / "tests" / "data" / "seen"
SHIPPED = ROOT / "gp_replay" / "demo" / "llm.gpr"


def seen(name: str) -> Any:
    return json.loads((SEEN / f"{name}.json").read_text(encoding="utf-8"))


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_every_cassette_has_a_scene_and_every_scene_a_cassette() -> None:
    assert sorted(path.stem for path in CASSETTES.glob("*.gpr")) == sorted(SCENES)
    for path in CASSETTES.glob("*.gpr"):
        assert path.stat().st_size < 300_000, path
        assert f"`{path.stem}`" in (CASSETTES / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCENES if not name.startswith("agent")])
def test_the_real_client_sees_what_it_saw_live_piece_by_piece(name: str) -> None:
    with api.replay(CASSETTES / f"{name}.gpr", timing="instant") as replay:
        again = plain(SCENES[name](replay.urls))
    assert again == seen(name)
    assert replay.receipt.exit_code == 0
    assert not replay.receipt.unplayed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["agent-one-user", "agent-two-users"])
def test_the_backend_is_replayed_to_its_users_with_nothing_behind_it(name: str) -> None:
    with api.replay(CASSETTES / f"{name}.gpr", timing="instant", only=["chat"]) as replay:
        again = plain(SCENES[name](replay.urls))
    assert again == seen(name)
    assert replay.receipt.exit_code == 0
    assert not replay.receipt.unplayed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["agent-one-user", "agent-two-users"])
def test_a_live_agent_on_the_replayed_llm_says_the_same_texts(name: str) -> None:
    """The same cassette under the cast {llm: server}: the agent is real, its model is not there."""

    async def main() -> tuple[Any, api.Replay]:
        replay = api.replay(CASSETTES / f"{name}.gpr", timing="instant", only=["llm"])
        # The recorded tokens are old by now, so the agent's clock stands where theirs did.
        async with replay, serve_agent(llm_url=replay.urls["llm"], clock=lambda: 1795600001.0) as agent:
            return await asyncio.to_thread(SCENES[name], {"chat": agent.url}), replay

    again, replay = asyncio.run(main())
    for now, before in zip(again, seen(name), strict=True):
        assert [texts(message) for message in now["messages"]] == [texts(message) for message in before["messages"]]
    assert replay.receipt.exit_code == 0
    assert not replay.receipt.unplayed


def texts(message: str) -> Any:
    event = json.loads(message)
    return [event.get(name) for name in ("type", "reasoning", "final_response", "tool_name", "parameters", "results")]


@pytest.mark.parametrize("path", [*sorted(CASSETTES.glob("*.gpr")), SHIPPED], ids=lambda path: path.stem)
def test_opposite_casts_joined_play_to_the_end_without_a_miss(path: Path) -> None:
    with CassetteFile.open(path) as cassette:
        pair = Pair(cassette)
        pair.run()
        assert not pair.refusals
        assert not pair.servers.tally.unplayed
        assert len(pair.servers.tally.served) == len(cassette.footer.entries)
        assert not pair.servers.tally.unfinished


@pytest.mark.parametrize("path", [*sorted(CASSETTES.glob("*.gpr")), SHIPPED], ids=lambda path: path.stem)
def test_no_secret_is_in_a_cassette(path: Path) -> None:
    data = path.read_bytes()
    assert API_KEY.encode() not in data
    assert b"gp-replay demo secret" not in data


@pytest.mark.parametrize("name", [name for name in SCENES if not name.startswith("agent")])
def test_a_cassette_differs_from_what_was_relayed_in_credentials_only(name: str) -> None:
    """What the client saw is what was relayed; the cassette must hold the same text, but for the key it sent."""
    with CassetteFile.open(CASSETTES / f"{name}.gpr") as cassette:
        events: list[Event] = [event for entry in cassette.footer.entries for event in cassette.events(entry.stream)]
    recorded = b"".join(event.data for event in events if isinstance(event, Piece | Message)).decode()
    for text in strings(seen(name)):
        assert (
            json.dumps(text)[1:-1] in recorded
            or json.dumps(text, ensure_ascii=False)[1:-1] in recorded
            or (text in recorded or is_client_made(text))
        ), text
    fields = [
        (name, value)
        for event in events
        if isinstance(event, RequestHead | ResponseHead)
        for name, value in event.headers
        if re.search(rb"sk-demo-", value)
    ]
    assert {name.lower() for name, _ in fields} <= {b"authorization", b"x-api-key"}
    assert all(API_KEY.encode() not in value for _, value in fields)
    assert fields


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def is_client_made(text: str) -> bool:
    """SDKs add event names and joined texts of their own; a joined text is a run of recorded words."""
    return len(text) < 40 or " " in text
