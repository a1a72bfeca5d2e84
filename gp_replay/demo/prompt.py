"""What the agent tells the model: two views of one conversation, and examples to learn from.

A turn asks the model twice. First it *plans*: it sees the tools and the calls made so far, but no answers; a very small
model calls a tool only where every question before was followed by a call. Then it *answers*: it sees calls, results
and earlier answers, but no tools. A turn without a call is answered from the texts alone.

Nothing here comes from a clock, a random number or a user's name: the same conversation gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from gp_replay.demo.tools import parameters_of

__all__ = ["ChatMessage", "answering", "planning", "said", "tool_call", "tool_result"]

ChatMessage: TypeAlias = dict[str, object]
"""One message as the chat completions API has it."""

_PLAN = "You answer questions about cloud costs. Call a tool for every number."
_ANSWER = "You are a cost adviser. Say the result in one sentence, then explain how to save money."
_MAX_TURNS = 6
"""Turns the model is told again: small models have small windows."""


def said(role: str, text: str) -> ChatMessage:
    """A plain message."""
    return {"role": role, "content": text}


def tool_call(call_id: str, name: str, arguments: str) -> ChatMessage:
    """The model's call of a tool. Arguments that are not a JSON object become ``{}``: servers refuse others."""
    function = {"name": name, "arguments": arguments if parameters_of(arguments) is not None else "{}"}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def tool_result(call_id: str, results: dict[str, object]) -> ChatMessage:
    """What the tool said, for the model to read."""
    return {"role": "tool", "tool_call_id": call_id, "content": json.dumps(results)}


def planning(turns: Sequence[Sequence[ChatMessage]]) -> list[ChatMessage]:
    """What the model sees when it is to choose a tool. The last turn is the one to plan."""
    return [said("system", _PLAN), *(message for message in _flat(turns) if not _is_answer(message))]


def answering(turns: Sequence[Sequence[ChatMessage]]) -> list[ChatMessage]:
    """What the model sees when it is to answer. The last turn is the one to answer."""
    used_a_tool = any(message["role"] == "tool" for message in turns[-1])
    seen = (message for message in _flat(turns) if used_a_tool or message["role"] == "user" or _is_answer(message))
    return [said("system", _ANSWER), *seen]


def _flat(turns: Sequence[Sequence[ChatMessage]]) -> Iterable[ChatMessage]:
    return (message for turn in (*_EXAMPLES, *turns[-_MAX_TURNS:]) for message in turn)


def _is_answer(message: ChatMessage) -> bool:
    return message["role"] == "assistant" and message["content"] is not None


def _example(
    call_id: str, question: str, tool: str, arguments: dict[str, object], results: dict[str, object], answer: str
) -> list[ChatMessage]:
    return [
        said("user", question),
        tool_call(call_id, tool, json.dumps(arguments)),
        tool_result(call_id, results),
        said("assistant", answer),
    ]


_EXAMPLES = (
    _example(
        "example_1",
        "What did storage cost in 2025-05?",
        "cost_lookup",
        {"service": "storage", "month": "2025-05"},
        {"usd": 310},
        "Storage cost 310 US dollars in 2025-05. To save money, delete old backups, and move files that nobody reads "
        "to a cheaper storage class.",
    ),
    _example(
        "example_2",
        "Calculate 310 * 12.",
        "calculator",
        {"expression": "310 * 12"},
        {"value": 3720},
        "310 * 12 is 3720 US dollars, the cost of a whole year. To save money, compare this number with your budget "
        "and set an alert before it is used up.",
    ),
    _example(
        "example_3",
        "What did network cost in 2025-06?",
        "cost_lookup",
        {"service": "network", "month": "2025-06"},
        {"usd": 95},
        "Network cost 95 US dollars in 2025-06. To save money, keep the services that talk to each other in "
        "one region.",
    ),
    _example(
        "example_4",
        "Calculate 95 + 310.",
        "calculator",
        {"expression": "95 + 310"},
        {"value": 405},
        "95 + 310 is 405 US dollars, the cost of both services. To save money, look at the larger of the two first.",
    ),
    _example(
        "example_5",
        "What did database cost in 2025-07?",
        "cost_lookup",
        {"service": "database", "month": "2025-07"},
        {"usd": 980},
        "Database cost 980 US dollars in 2025-07. To save money, stop the test databases at night.",
    ),
)
