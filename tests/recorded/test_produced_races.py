"""Every handshake race that a server can cause is produced on a recorded agent, and found by the contract in a new take."""

from __future__ import annotations

from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from wire import run

from gp_replay import api
from gp_replay.core.model import Message, RequestHead, Side, header_value
from gp_replay.store import CassetteFile
from gp_replay.upkeep import check

CHAT = Path(__file__).parents[2] / "cassettes" / "agent-one-user.gpr"


def replaying(*faults: str) -> api.Replay:
    return api.replay(CHAT, only=["chat"], timing="instant", faults=faults, log=lambda line: None)


def found(take: Path) -> set[str]:
    return {finding.rule for cassette in check([take]).cassettes for finding in cassette.findings}


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("no-welcome-1011", "HS-1"),
        ("cut=0", "HS-1"),
        ("events-before-welcome", "HS-3"),
        ("connection-id-changes", "HS-5"),
        ("close-1011-mid-run", "HS-6"),
        ("subprotocol-not-offered", "HS-7"),
        ("token-echoed", "HS-7"),
        ("double-welcome", "HS-8"),
        ("welcome-without", "HS-8"),
        ("accept-error-1011", "HS-9"),
    ],
)
def test_the_contract_finds_the_race_that_a_replay_produces(fault: str, rule: str, tmp_path: Path) -> None:
    take = tmp_path / "take.gpr"

    async def main() -> api.Replay:
        replay = replaying(fault)
        async with (
            replay,
            api.drive(
                CHAT, against=f"chat={replay.urls['chat']}", out=take, timing="instant", log=replay_log
            ) as driving,
        ):
            await driving.drive()
        return replay

    assert run(main()).receipt.exit_code == 0
    assert rule in found(take)
    assert found(CHAT) == set()


def replay_log(line: str) -> None:
    """What a driven client cannot do any more is what is wanted here."""


@pytest.mark.parametrize(
    ("faults", "answers", "rules"),
    [(["welcome-held"], 2, {"HS-2"}), (["welcome-held", "silence"], 1, {"HS-2", "HS-4"})],
)
def test_an_early_client_is_found_while_its_welcome_is_held(
    faults: list[str], answers: int, rules: set[str], tmp_path: Path
) -> None:
    with CassetteFile.open(CHAT) as cassette:
        stream = next(entry.stream for entry in cassette.footer.entries if entry.role == "chat")
        events = cassette.events(stream)
    head = next(event for event in events if isinstance(event, RequestHead))
    first = next(event for event in events if isinstance(event, Message) and event.side is Side.CLIENT)
    offered = header_value(head.headers, b"sec-websocket-protocol") or b""

    async def main() -> api.Replay:
        replay = replaying(*faults)
        async with (
            replay,
            api.record(f"chat={replay.urls['chat']}", out=tmp_path / "take.gpr") as recording,
            connect(
                recording.urls["chat"].replace("http", "ws") + head.target.decode(),
                subprotocols=offered.decode().split(", "),  # type: ignore[arg-type]
                max_queue=None,  # else its close waits for messages that nobody reads
            ) as socket,
        ):
            await socket.send(first.data.decode())
            for _ in range(answers):
                await socket.recv()
        return replay

    receipt = run(main()).receipt
    assert [note.rpartition(" before ")[2] for note in receipt.notes] == ["the welcome"]
    assert rules <= found(tmp_path / "take.gpr")
