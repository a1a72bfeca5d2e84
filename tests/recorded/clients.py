"""The real clients behind the cassettes in ``cassettes/``: each plays one fixed scene and says what it saw, piece by
piece.

The same functions made the recordings::

    gp-replay record --upstream llm=http://127.0.0.1:8080 --out cassettes/NAME.gpr -- \
        python tests/recorded/clients.py NAME tests/data/seen/NAME.json

and replay them in ``test_cassettes.py``. A scene reads ``GP_REPLAY_<ROLE>_URL``, as any program under ``gp-replay``
can.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODEL = "smollm2-135m"
# Only shaped like a key: what stands in the cassette must be its pseudonym.
API_KEY = "sk-demo-0123456789abcdefghijklmnop"
QUESTION = "Name three colours of the rainbow."


def _openai(urls: dict[str, str]) -> Any:
    import openai

    return openai.OpenAI(base_url=urls["llm"] + "/v1", api_key=API_KEY, max_retries=0)


def openai_chat(urls: dict[str, str]) -> list[Any]:
    """One whole answer."""
    answer = _openai(urls).chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=40
    )
    return [answer.model_dump()]


def openai_chat_stream(urls: dict[str, str]) -> list[Any]:
    """One streamed answer, chunk by chunk."""
    stream = _openai(urls).chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0,
        max_tokens=60,
        stream=True,
        stream_options={"include_usage": True},
    )
    return [chunk.model_dump() for chunk in stream]


def openai_responses_stream(urls: dict[str, str]) -> list[Any]:
    """The Responses API, streamed: events with names."""
    stream = _openai(urls).responses.create(
        model=MODEL, input=QUESTION, temperature=0, max_output_tokens=60, stream=True
    )
    return [event.model_dump(warnings=False) for event in stream]


def responses_ws(urls: dict[str, str]) -> list[Any]:
    """The Responses API over one WebSocket: two turns, the second goes on from the id the server gave the first."""
    seen: list[Any] = []
    ask = {"model": MODEL, "temperature": 0, "max_output_tokens": 24}
    with _openai(urls).responses.connect() as connection:
        connection.response.create(input=QUESTION, **ask)
        first = _turn(connection, seen)
        connection.response.create(input="Which of them is the warmest?", previous_response_id=first, **ask)
        _turn(connection, seen)
    return seen


def _turn(connection: Any, seen: list[Any]) -> str:
    """Adds the events of one response to ``seen`` and returns the response's id."""
    for event in connection:
        seen.append(event.model_dump(warnings=False))
        if event.type in {"response.completed", "response.incomplete"}:
            return str(event.response.id)
        if event.type in {"error", "response.failed"}:
            raise SystemExit(f"the server gave no answer: {seen[-1]}")
    raise SystemExit("the connection ended before the response did")


def anthropic_stream(urls: dict[str, str]) -> list[Any]:
    """The Messages API, streamed."""
    import anthropic

    client = anthropic.Anthropic(base_url=urls["llm"], api_key=API_KEY, max_retries=0)
    with client.messages.stream(
        model=MODEL,
        max_tokens=60,
        messages=[{"role": "user", "content": QUESTION}],
        extra_body={"temperature": 0},
    ) as stream:
        return [event.model_dump(warnings=False) for event in stream]


def openai_tools(urls: dict[str, str]) -> list[Any]:
    """Two turns: the model calls a tool, the client answers under the call's id, the model goes on from there."""
    from gp_replay.demo.prompt import planning, said
    from gp_replay.demo.tools import TOOLS

    client = _openai(urls)
    # So small a model calls only after it has seen how: the demo's prompt shows it.
    messages: list[Any] = planning([[said("user", "What did storage cost in 2025-07?")]])
    seen: list[Any] = []
    calls: dict[int, dict[str, str]] = {}
    for chunk in client.chat.completions.create(
        model=MODEL, messages=messages, tools=TOOLS, temperature=0, max_tokens=60, stream=True
    ):
        seen.append(chunk.model_dump())
        for delta in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            call = calls.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
            call["id"] += delta.id or ""
            call["name"] += delta.function.name or "" if delta.function else ""
            call["arguments"] += delta.function.arguments or "" if delta.function else ""
    if not calls:
        raise SystemExit("the model called no tool")
    (first,) = list(calls.values())[:1]
    function = {"name": first["name"], "arguments": first["arguments"]}
    messages += [
        {"role": "assistant", "tool_calls": [{"id": first["id"], "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": first["id"], "content": '{"usd": 310}'},
    ]
    for chunk in client.chat.completions.create(
        model=MODEL, messages=messages, tools=TOOLS, temperature=0, max_tokens=40, stream=True
    ):
        seen.append(chunk.model_dump())
    return seen


def _converse(urls: dict[str, str], users: tuple[str, ...]) -> list[Any]:
    from gp_replay.demo.client import converse
    from gp_replay.demo.tokens import DEMO_SECRET, make_token

    async def one(user: str) -> dict[str, Any]:
        now = int(os.environ.get("DEMO_NOW", "1795600000"))
        seen = await converse(urls["chat"], token=make_token(user, DEMO_SECRET, now=now), subprotocol=user == "alice")
        return {
            "user": user,
            "messages": [message.text for message in seen.messages],
            "subprotocol": seen.subprotocol,
            "close": [seen.close_code, seen.close_reason],
        }

    async def main() -> list[Any]:
        return list(await asyncio.gather(*(one(user) for user in users)))

    return asyncio.run(main())


def agent_one_user(urls: dict[str, str]) -> list[Any]:
    """One user's chat with the demo agent."""
    return _converse(urls, ("alice",))


def agent_two_users(urls: dict[str, str]) -> list[Any]:
    """Two users at once, the same questions, each with an own token."""
    return _converse(urls, ("alice", "bob"))


SCENES: dict[str, Callable[[dict[str, str]], list[Any]]] = {
    "openai-chat": openai_chat,
    "openai-chat-stream": openai_chat_stream,
    "openai-responses-stream": openai_responses_stream,
    "responses-ws": responses_ws,
    "anthropic-stream": anthropic_stream,
    "openai-tools": openai_tools,
    "agent-one-user": agent_one_user,
    "agent-two-users": agent_two_users,
}


def main(name: str, out: str) -> None:
    variables = {role: f"GP_REPLAY_{role.upper()}_URL" for role in ("llm", "chat")}
    urls = {role: os.environ[variable] for role, variable in variables.items() if variable in os.environ}
    seen = SCENES[name](urls)
    Path(out).write_text(json.dumps(seen, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
