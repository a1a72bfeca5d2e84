"""Real Socket.IO conversations, replayed to the npm client that made them, in real time.

The heavy tests need node and, in ``SOCKETIO_NODE_PATH``, the folder where the client's modules are::

    npm install --prefix FOLDER socket.io-client
    SOCKETIO_NODE_PATH=FOLDER/node_modules pytest -m heavy tests/recorded/test_socketio.py

``socketio_client.cjs`` is the scene, ``socketio_server.py`` what it was recorded from. How often the client polls, the
``t`` of its polls and the moments of the heartbeats differ from run to run, recorded or replayed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gp_replay import api
from gp_replay.core.model import Message, Opcode, Piece, Protocol, Side
from gp_replay.store import CassetteFile

HERE = Path(__file__).resolve().parent
CASSETTES = HERE.parents[1] / "cassettes"
SEEN = HERE.parent / "data" / "seen"
CLIENT = HERE / "socketio_client.cjs"
MODES = ("websocket", "upgrade", "polling")
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
def modules() -> str:
    """The folder of the client's modules. Without it these tests say nothing, so they fail."""
    folder = os.environ.get("SOCKETIO_NODE_PATH", "")
    if shutil.which("node") is None:
        pytest.fail("node is not installed: it runs the Socket.IO client of the heavy tests")
    if not (Path(folder) / "socket.io-client" / "package.json").is_file():
        pytest.fail(
            f"SOCKETIO_NODE_PATH={folder!r} holds no socket.io-client: "
            "npm install --prefix FOLDER socket.io-client, then SOCKETIO_NODE_PATH=FOLDER/node_modules"
        )
    return folder


@pytest.mark.heavy
@pytest.mark.parametrize("mode", MODES)
def test_the_npm_client_sees_what_it_saw_live_but_for_ids(mode: str, modules: str) -> None:
    again = replayed(mode, modules)
    assert again == in_order_of_ids((SEEN / f"socketio-{mode}.json").read_text(encoding="utf-8"))


@pytest.mark.heavy
@pytest.mark.parametrize("mode", ["websocket", "upgrade"])
def test_a_client_that_is_silent_for_longer_than_the_recorded_one_is_kept_alive(mode: str, modules: str) -> None:
    """It gives up after 6 s without a heartbeat (``pingInterval`` and ``pingTimeout``), and here it waits 8.

    Only where heartbeats are messages of a connection: over polling each is the answer to a request.
    """
    again = replayed(mode, modules, silence_ms=8000)
    before = in_order_of_ids((SEEN / f"socketio-{mode}.json").read_text(encoding="utf-8"))
    pings = [count for what, count, *_ in again if what == "pings in the silence"]
    assert all(isinstance(count, int) and 6 <= count <= 9 for count in pings), pings
    assert [line for line in again if line[0] != "pings in the silence"] == [
        line for line in before if line[0] != "pings in the silence"
    ]


def replayed(mode: str, modules: str, *, silence_ms: int = 3000) -> list[list[object]]:
    """What the client sees of the cassette, which must answer all it asks and end as it ended live."""
    with api.replay(CASSETTES / f"socketio-{mode}.gpr", timing="recorded") as replay:
        client = subprocess.run(
            ["node", str(CLIENT), replay.urls["chat"], mode, str(silence_ms)],
            env={**os.environ, "NODE_PATH": modules},
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert [miss.reason for miss in replay.receipt.missed] == []
    assert client.returncode == 0, client.stdout.decode() + client.stderr.decode()
    assert replay.receipt.exit_code == 0
    return in_order_of_ids(client.stdout.decode())


def in_order_of_ids(text: str) -> list[list[object]]:
    """What was seen, every id replaced by when it first appeared: equal where ids differ but are used alike."""
    order: dict[str, str] = {}
    seen: list[list[object]] = json.loads(UUID.sub(lambda found: order.setdefault(found[0], f"id {len(order)}"), text))
    return seen


@pytest.mark.parametrize("mode", MODES)
def test_each_recording_holds_what_it_was_made_for(mode: str) -> None:
    """Heartbeats in both directions, an attachment, and for ``upgrade`` a session handed from HTTP to the WebSocket."""
    with CassetteFile.open(CASSETTES / f"socketio-{mode}.gpr") as cassette:
        entries = cassette.footer.entries
        events = [event for entry in entries for event in cassette.events(entry.stream)]
    said = [(event.side, event.data) for event in events if isinstance(event, Message | Piece)]
    assert said.count((Side.SERVER, b"2")) >= 4
    assert said.count((Side.CLIENT, b"3")) == said.count((Side.SERVER, b"2"))
    attached = [data for side, data in said if b'"_placeholder":true' in data]
    assert len(attached) == 2
    binary = [event for event in events if isinstance(event, Message) and event.opcode is Opcode.BINARY]
    # Over polling the bytes are base64 in the same body.
    assert len(binary) == (0 if mode == "polling" else 2)
    assert {entry.protocol for entry in entries} == {
        "websocket": {Protocol.WEBSOCKET},
        "polling": {Protocol.HTTP},
        "upgrade": {Protocol.WEBSOCKET, Protocol.HTTP},
    }[mode]
    if mode == "upgrade":
        session = json.loads(next(data for _, data in said if data.startswith(b"0{"))[1:])["sid"]
        (handshake,) = (entry.target for entry in entries if entry.protocol is Protocol.WEBSOCKET)
        assert handshake.endswith(f"&sid={session}".encode())
