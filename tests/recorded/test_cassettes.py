"""Every cassette in ``cassettes/``, replayed to the real client that made it, with the network off."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pair import Pair
from recorded.clients import API_KEY, SCENES
from recorded.test_socketio import MODES

from gp_replay import api
from gp_replay.core.model import Cassette, Message, Piece, RequestHead, Side
from gp_replay.core.redaction import RedactionRules
from gp_replay.demo.agent import serve_agent
from gp_replay.store import CassetteFile

ROOT = Path(__file__).resolve().parents[2]
CASSETTES = ROOT / "cassettes"
SEEN = ROOT / "tests" / "data" / "seen"
SHIPPED = ROOT / "gp_replay" / "demo" / "llm.gpr"
NODE_SCENES = [f"socketio-{mode}" for mode in MODES]  # replayed to their client in test_socketio.py

# openai 3.57 opens sockets in the way websockets 17.1 deprecated; the flag that says so is refused by older websockets.
openai_on_new_websockets = pytest.mark.filterwarnings(
    "ignore:connect.. must be used as a context manager:DeprecationWarning"
)


def seen(name: str) -> Any:
    return json.loads((SEEN / f"{name}.json").read_text(encoding="utf-8"))


def plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_every_cassette_has_a_scene_and_every_scene_a_cassette() -> None:
    assert sorted(path.stem for path in CASSETTES.glob("*.gpr")) == sorted([*SCENES, *NODE_SCENES])
    for path in CASSETTES.glob("*.gpr"):
        assert path.stat().st_size < 300_000, path
        assert f"`{path.stem}`" in (CASSETTES / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
@openai_on_new_websockets
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


@pytest.mark.slow
@openai_on_new_websockets
@pytest.mark.parametrize("name", [name for name in SCENES if not name.startswith("agent")])
def test_a_cassette_differs_from_what_was_relayed_in_credentials_only(name: str, tmp_path: Path) -> None:
    """The same client again, relayed and recorded with redaction off: what it sends is what the cassette holds, but for keys.

    What it was sent is compared by the test above: it saw every value as it saw it live, before redaction.
    """
    path = CASSETTES / f"{name}.gpr"
    raw = tmp_path / "raw.gpr"
    with (
        api.replay(path, timing="instant") as replay,
        api.record(f"llm={replay.urls['llm']}", out=raw, redaction=RedactionRules.off()) as recording,
    ):
        SCENES[name](recording.urls)
    with CassetteFile.open(path) as kept, CassetteFile.open(raw) as relayed:
        assert len(kept.footer.entries) == len(relayed.footer.entries)
        for entry in kept.footer.entries:
            for side in Side:
                assert content(kept, entry.stream, side) == content(relayed, entry.stream, side)
            before, now = (request_head(tape, entry.stream) for tape in (kept, relayed))
            assert (before.method, before.target) == (now.method, now.target)
            changed = {
                name.lower()
                for (name, one), (_, other) in zip(before.headers, now.headers, strict=True)
                if one != other
            }
            # A live client's own, not a secret's: its authority, and the nonce of each handshake (RFC 6455 section 4.1).
            changed -= {b"host", b"sec-websocket-key"}
            assert changed
            assert changed <= {b"authorization", b"x-api-key"}
            lengths = [[len(value) for key, value in head.headers if key.lower() != b"host"] for head in (before, now)]
            assert lengths[0] == lengths[1]


def content(tape: Cassette, stream: int, side: Side) -> tuple[bytes, list[bytes]]:
    """The body of an exchange, whole, and the messages of a connection, one by one."""
    events = [event for event in tape.events(stream) if event.side is side]
    body = b"".join(event.data for event in events if isinstance(event, Piece))
    return body, [event.data for event in events if isinstance(event, Message)]


def request_head(tape: Cassette, stream: int) -> RequestHead:
    return next(event for event in tape.events(stream) if isinstance(event, RequestHead))
