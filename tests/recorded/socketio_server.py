"""A real Socket.IO server: the agent's events of one run, over whatever transport the client takes.

Needs what the test run does not install::

    pip install python-socketio uvicorn websockets
    python tests/recorded/socketio_server.py PORT

It welcomes every client with an id of its own and answers ``ask`` (a text) with the events of a run, `STEP_S` apart;
the acknowledgement follows the last. It pings every second, so that even a short recording holds heartbeats.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import uuid

import socketio
import uvicorn

PING_INTERVAL_S = 1.0
STEP_S = 0.15

server = socketio.AsyncServer(async_mode="asgi", ping_interval=PING_INTERVAL_S, ping_timeout=5.0)


@server.event
async def connect(sid: str, environ: dict[str, object]) -> None:
    await server.emit("welcome", {"session_id": str(uuid.uuid4())}, to=sid)


@server.event
async def ask(sid: str, question: str) -> dict[str, object]:
    run_id = str(uuid.uuid4())
    await server.emit("agent_started", {"run_id": run_id, "question": question}, to=sid)
    for number, thought in enumerate(("Reading the question.", "Choosing an answer.")):
        await asyncio.sleep(STEP_S)
        await server.emit("agent_thinking", {"run_id": run_id, "step": number, "thought": thought}, to=sid)
    await asyncio.sleep(STEP_S)
    # Bytes travel as an attachment: a text message that says so, then a binary one.
    digest = hashlib.sha256(question.encode()).digest()
    await server.emit("agent_completed", {"run_id": run_id, "answer": question.upper(), "digest": digest}, to=sid)
    return {"ok": True, "run_id": run_id}


if __name__ == "__main__":
    uvicorn.run(socketio.ASGIApp(server), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
