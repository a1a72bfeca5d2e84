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
from typing import Any, TypeAlias

MODEL = "smollm2-135m"
# Only shaped like a key: what stands in the cassette must be its pseudonym.
API_KEY = "sk-demo-0123456789abcdefghijklmnop"
QUESTION = "Name three colours of the rainbow."
COSTS = ("What did storage cost in 2025-07?", "Calculate 325 + 97.", "What did compute cost in 2025-08?")

Answer: TypeAlias = Callable[[str, str, str], tuple[str, str]]
"""A call's id, the tool's name, its arguments as JSON: the id to answer under, and the result as text."""


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


def as_asked(call_id: str, name: str, arguments: str) -> tuple[str, str]:
    """What an honest client sends back: the id as it was given, and what the demo's tool says."""
    from gp_replay.demo.tools import run_tool

    return call_id, json.dumps(run_tool(name, arguments).results)


def _shown() -> list[Any]:
    """What so small a model must have seen to call a tool and to answer from its result: five finished turns."""
    from gp_replay.demo.prompt import answering, tool_result

    return list(answering([[tool_result("", {})]])[:-1])


def openai_tool_loop(urls: dict[str, str], answer: Answer = as_asked) -> list[Any]:
    """The same conversation twice, one after the other: three questions, a tool call for each, a history that grows.

    Both conversations begin with the same bytes; from the first call's id on they are two.
    """
    from gp_replay.demo.tools import TOOLS

    client = _openai(urls)
    seen: list[Any] = []
    for _ in range(2):
        messages = _shown()
        for question in COSTS:
            messages.append({"role": "user", "content": question})
            calls: list[Any] | None = None
            while calls is None or calls:
                completion = client.chat.completions.create(
                    model=MODEL, messages=messages, tools=TOOLS, temperature=0, max_tokens=60
                )
                seen.append(completion.model_dump())
                message = completion.choices[0].message
                messages.append(message)
                calls = message.tool_calls or []
                for call in calls:
                    call_id, result = answer(call.id, call.function.name, call.function.arguments)
                    messages.append({"role": "tool", "tool_call_id": call_id, "content": result})
    return seen


def _blocks(messages: list[Any]) -> tuple[str, list[Any]]:
    """Chat completions' messages as the Messages API has them: the system prompt, and messages of blocks."""
    system, *rest = messages
    blocks: list[Any] = []
    for message in rest:
        if message["role"] == "tool":
            result = {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": message["content"]}
            blocks.append({"role": "user", "content": [result]})
        elif message.get("tool_calls"):
            (call,) = message["tool_calls"]
            name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
            use = {"type": "tool_use", "id": call["id"], "name": name, "input": arguments}
            blocks.append({"role": "assistant", "content": [use]})
        else:
            blocks.append(message)
    return system["content"], blocks


def anthropic_tools(urls: dict[str, str], answer: Answer = as_asked) -> list[Any]:
    """Two questions over the Messages API, streamed: a tool use for each, its result under the use's id, an answer."""
    import anthropic

    from gp_replay.demo.tools import TOOLS

    functions: list[Any] = [tool["function"] for tool in TOOLS]
    tools: list[Any] = [
        {"name": item["name"], "description": item["description"], "input_schema": item["parameters"]}
        for item in functions
    ]
    client = anthropic.Anthropic(base_url=urls["llm"], api_key=API_KEY, max_retries=0)
    system, messages = _blocks(_shown())
    seen: list[Any] = []
    for question in COSTS[:2]:
        turn: list[Any] = [{"role": "user", "content": question}]
        while turn:
            messages += turn
            with client.messages.stream(
                model=MODEL,
                max_tokens=60,
                system=system,
                messages=messages,
                tools=tools,
                extra_body={"temperature": 0},
            ) as stream:
                seen += [event.model_dump(warnings=False) for event in stream]
                content = stream.get_final_message().content
            messages.append({"role": "assistant", "content": content})
            results: list[Any] = []
            for block in content:
                if block.type == "tool_use":
                    use_id, result = answer(block.id, block.name, json.dumps(block.input))
                    results.append({"type": "tool_result", "tool_use_id": use_id, "content": result})
            turn = [{"role": "user", "content": results}] if results else []
    return seen


def _attempts(seen: list[Any]) -> dict[str, list[Callable[[Any], None]]]:
    """Hooks that note every answer before the SDK decides on it, refusals with their bodies."""

    def note(response: Any) -> None:
        told = {name: value for name, value in response.headers.items() if "ratelimit" in name or "retry" in name}
        error = response.read().decode() if response.is_error else None
        seen.append({"status": response.status_code, "headers": told, "error": error})

    return {"response": [note]}


def openai_retry(urls: dict[str, str], retries: int = 2) -> list[Any]:
    """Refused once with 429; the SDK waits as it was told, asks again and gets the answer."""
    import openai

    seen: list[Any] = []
    with openai.DefaultHttpxClient(event_hooks=_attempts(seen)) as web:
        client = openai.OpenAI(base_url=urls["llm"] + "/v1", api_key=API_KEY, max_retries=retries, http_client=web)
        raw = client.chat.completions.with_raw_response.create(
            model=MODEL, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=40
        )
        return [*seen, {"retries": raw.retries_taken}, raw.parse().model_dump()]


def anthropic_retry(urls: dict[str, str], retries: int = 2) -> list[Any]:
    """The same with the Messages API, and the answer streamed."""
    import anthropic

    seen: list[Any] = []
    with anthropic.DefaultHttpxClient(event_hooks=_attempts(seen)) as web:
        client = anthropic.Anthropic(base_url=urls["llm"], api_key=API_KEY, max_retries=retries, http_client=web)
        with client.messages.stream(
            model=MODEL,
            max_tokens=60,
            messages=[{"role": "user", "content": QUESTION}],
            extra_body={"temperature": 0},
        ) as stream:
            return [*seen, *(event.model_dump(warnings=False) for event in stream)]


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
    "openai-tool-loop": openai_tool_loop,
    "anthropic-tools": anthropic_tools,
    "openai-retry": openai_retry,
    "anthropic-retry": anthropic_retry,
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
