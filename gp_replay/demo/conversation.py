"""One connection's conversation with the agent, apart from the socket: what a message means, and what a run says.

A run is *plan, act, answer*: the model chooses a tool, the tool runs, the model answers. It plans once more only if a
tool failed. A model that fails ends the run with ``error_message``; the turn is forgotten and the next one may succeed.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from gp_replay.demo.llm import LlmClient, LlmFailed, Reply, ToolCall
from gp_replay.demo.prompt import ChatMessage, answering, planning, said, tool_call, tool_result
from gp_replay.demo.tools import TOOLS, parameters_of, run_tool

__all__ = ["AGENT_EVENTS", "Conversation", "JsonObject"]

JsonObject: TypeAlias = dict[str, object]

AGENT_EVENTS = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")

_AGENT = "cost_adviser"
_TEXT_FIELDS = {
    "user_message": ("content", "message", "text"),
    "chat": ("content", "message", "text"),
    "start_agent": ("user_request",),
}
_MAX_ROUNDS = 2
_MAX_CALLS = 3
_PLAN_TOKENS = 64
_ANSWER_TOKENS = 96
_DELTAS_PER_THOUGHT = 3


class _Refused(Exception):
    """A client message that cannot be worked with: an error code and what is wrong."""

    def __init__(self, code: str, problem: str) -> None:
        super().__init__(problem)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The ids of one run, and when it began (monotonic seconds)."""

    run_id: str
    request_id: str
    began: float


@dataclass(slots=True, kw_only=True)
class Conversation:
    """What one connection knows; nothing of it is shared.

    Attributes:
        user_id: whose it is.
        llm: who is asked.
        send: awaited with each event for the client.
        thread_id: made by us, unless the client names another one, which starts with an empty history.
        turns: the messages of each finished turn, as the model is told them.
    """

    user_id: str
    llm: LlmClient
    send: Callable[[JsonObject], Awaitable[None]]
    thread_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    turns: list[list[ChatMessage]] = field(default_factory=list)

    async def welcome(self) -> None:
        """Say ``connection_established``."""
        await self.send(
            {
                "type": "connection_established",
                "mode": "main",
                "connection_id": f"main_{uuid.uuid4().hex[:8]}",
                "user_id": self.user_id,
                "thread_id": self.thread_id,
                "golden_path_events": list(AGENT_EVENTS),
                "timestamp": datetime.now(UTC).isoformat(timespec="microseconds"),
            }
        )

    async def receive(self, raw: str | bytes) -> None:
        """Work off one message of the client. What is wrong with it, or with the model, is told to the client."""
        try:
            kind, payload = _read(raw)
            if kind == "ping":
                await self.send({"type": "pong", "user_id": self.user_id, "timestamp": time.time()})
                return
            request = _request(kind, payload)
        except _Refused as refused:
            await self._error(refused.code, str(refused))
            return
        thread_id = payload.get("thread_id")
        if isinstance(thread_id, str) and thread_id != self.thread_id:
            self.thread_id, self.turns = thread_id, []
        run = _Run(run_id=_id(payload, "run_id"), request_id=_id(payload, "request_id"), began=time.monotonic())
        try:
            await self._run(request, run)
        except LlmFailed as failed:
            await self._error(
                "LLM_ERROR", str(failed), status=failed.status, run_id=run.run_id, thread_id=self.thread_id
            )

    async def _run(self, request: str, run: _Run) -> None:
        await self._event("agent_started", run, status="started", user_request=request)
        turn = [said("user", request)]
        for step in range(1, _MAX_ROUNDS + 1):
            await self._event("agent_thinking", run, reasoning="Choosing a tool", step_number=step)
            plan = await self.llm.chat(planning([*self.turns, turn]), tools=TOOLS, max_tokens=_PLAN_TOKENS)
            if await self._use_tools(plan.tool_calls[:_MAX_CALLS], turn, run):
                break
        answer = await self._answer(turn, run)
        if answer.text:
            turn.append(said("assistant", answer.text))
        self.turns.append(turn)
        await self._event(
            "agent_completed",
            run,
            status="completed",
            final_response=answer.text.strip(),
            success=bool(answer.text.strip()),
            duration_ms=_ms_since(run.began),
        )

    async def _use_tools(self, calls: Sequence[ToolCall], turn: list[ChatMessage], run: _Run) -> bool:
        """Run the calls and add them to the turn. True if none failed, and so there is no need to plan again."""
        all_worked = True
        for call in calls:
            about: JsonObject = {
                "tool_name": call.name,
                "execution_id": str(uuid.uuid4()),
                "parameters": parameters_of(call.arguments) or {},
            }
            await self._event("tool_executing", run, **about, status="executing")
            began = time.monotonic()
            result = run_tool(call.name, call.arguments)
            duration_ms = _ms_since(began)
            turn += [tool_call(call.id, call.name, call.arguments), tool_result(call.id, result.results)]
            await self._event(
                "tool_completed",
                run,
                **about,
                status="completed" if result.success else "failed",
                results=result.results,
                success=result.success,
                duration_ms=duration_ms,
            )
            all_worked = all_worked and result.success
        return all_worked

    async def _answer(self, turn: list[ChatMessage], run: _Run) -> Reply:
        """Stream the answer; every few pieces of it become one thought."""
        waiting: list[str] = []
        step = _MAX_ROUNDS

        async def think() -> None:
            nonlocal step
            step += 1
            thought = "".join(waiting)
            waiting.clear()
            await self._event("agent_thinking", run, reasoning=thought, step_number=step)

        async def hear(text: str) -> None:
            waiting.append(text)
            if len(waiting) == _DELTAS_PER_THOUGHT:
                await think()

        answer = await self.llm.chat(answering([*self.turns, turn]), max_tokens=_ANSWER_TOKENS, on_text=hear)
        if waiting:
            await think()
        return answer

    async def _event(self, kind: str, run: _Run, **about: object) -> None:
        await self.send(
            {
                "type": kind,
                "timestamp": time.time(),
                "critical": True,
                "agent_name": _AGENT,
                "user_id": self.user_id,
                "thread_id": self.thread_id,
                "run_id": run.run_id,
                "request_id": run.request_id,
                **about,
            }
        )

    async def _error(self, code: str, problem: str, **details: object) -> None:
        await self.send(
            {
                "type": "error_message",
                "error_code": code,
                "error_message": problem,
                "details": details,
                "timestamp": time.time(),
            }
        )


def _read(raw: str | bytes) -> tuple[str, JsonObject]:
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        raise _Refused("JSON_PARSE_ERROR", "the message is not JSON") from None
    if not isinstance(message, dict):
        raise _Refused("BAD_MESSAGE", "the message is not a JSON object")
    kind, payload = message.get("type"), message.get("payload", {})
    if not isinstance(kind, str) or (kind != "ping" and kind not in _TEXT_FIELDS):
        known = ", ".join((*_TEXT_FIELDS, "ping"))
        raise _Refused("UNKNOWN_MESSAGE_TYPE", f"unknown type of message, the known ones are {known}")
    if not isinstance(payload, dict):
        raise _Refused("BAD_MESSAGE", "the payload is not a JSON object")
    return kind, payload


def _request(kind: str, payload: JsonObject) -> str:
    """The first text that is not empty."""
    for name in _TEXT_FIELDS[kind]:
        text = payload.get(name)
        if isinstance(text, str) and text.strip():
            return text
    raise _Refused("BAD_MESSAGE", f"the payload has no {' or '.join(_TEXT_FIELDS[kind])}")


def _id(payload: JsonObject, name: str) -> str:
    """The client's id if it gave one, else a fresh one."""
    given = payload.get(name)
    return given if isinstance(given, str) and given else str(uuid.uuid4())


def _ms_since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 3)
