"""Real conversations with realtime voice APIs (``tests/data/realtime-ws``) as messages and as cassettes.

The files hold JSON messages in the order the client saw them, and nothing else. What is made up here:

- a connection is ``GET /v1/realtime`` of the role ``llm``, answered by a plain 101;
- messages are compact JSON text; a client's comes 50 ms after what was before it, a server's 10 ms;
- without a recorded close the client closes with 1000 after the last message. A recorded one was seen by the
  client's reader, so the server sent it, except for the recorder's own way of dropping a connection;
- ``<client-id-N>`` in what the client sent, which numbers the ids of one connection, becomes the id of 24 hex digits
  that it stands for. The server's messages still hold the real ones, so the n-th placeholder is the n-th id of that
  shape that the server says first after it; one that never comes back gets an id made of its number and the file's
  name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from dialogue import CLIENT, SERVER, chat, header

from gp_replay.core.canonical import fingerprint, request_key
from gp_replay.core.index import MemoryCassette
from gp_replay.core.model import Close, Event, Origin, Side
from gp_replay.core.rules import Rules

__all__ = ["FOLDER", "Connection", "Said", "cassette", "conversation", "load", "names", "read"]

FOLDER = Path(__file__).parent / "data" / "realtime-ws"

_CLIENT_MS, _SERVER_MS = 50, 10
_DROPPED_BY_CLIENT = "test reconnect"
_PLACEHOLDER = re.compile(r"<client-id-\d+>")
_CLIENT_ID = re.compile(r'"([0-9a-f]{24})"')


@dataclass(frozen=True, slots=True)
class Said:
    """One text message."""

    side: Side
    text: str

    @property
    def value(self) -> Any:
        """The JSON value, made anew each time."""
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Connection:
    """One recorded connection: its messages in order, and who closed it how."""

    messages: tuple[Said, ...]
    closed_by: Side = CLIENT
    code: int = 1000
    reason: str = ""


def names() -> list[str]:
    """All conversations there are."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def conversation(name: str) -> tuple[Connection, ...]:
    """The connections of one file, in order."""
    return read((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), name)


def load(name: str) -> MemoryCassette:
    """One file as a cassette."""
    return cassette(conversation(name), name=name)


def read(text: str, name: str) -> tuple[Connection, ...]:
    """The connections of a file's text; ``name`` goes into ids that have to be made up."""
    document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if document["version"] != 1:
        raise ValueError(f"{name} has version {document['version']}")
    connections: list[Connection] = []
    messages: list[Said] = []
    for item in document["interactions"]:
        seed = f"{name} {len(connections)}"
        if item["kind"] == "close":
            by = CLIENT if item["reason"] == _DROPPED_BY_CLIENT else SERVER
            connections.append(Connection(_with_real_ids(messages, seed), by, item["code"], item["reason"]))
            messages = []
        else:
            side = CLIENT if item["direction"] == "sent" else SERVER
            messages.append(Said(side, json.dumps(item["data"], ensure_ascii=False, separators=(",", ":"))))
    if messages:
        connections.append(Connection(_with_real_ids(messages, f"{name} {len(connections)}")))
    return tuple(connections)


def cassette(connections: Sequence[Connection], *, name: str = "tape") -> MemoryCassette:
    """A cassette of these connections, one after the other."""
    rules = Rules()
    events: list[Event] = []
    at_ms = 0
    for stream, connection in enumerate(connections, start=1):
        said = _events(stream, connection, at_ms)
        at_ms = said[-1].at_us // 1000 + _CLIENT_MS
        events += said
    return MemoryCassette(
        replace(header("llm"), name=name, origin=Origin.IMPORTED),
        events,
        key=lambda role, request: request_key(rules, role, request),
        fingerprint=fingerprint(rules),
    )


def _events(stream: int, connection: Connection, at_ms: int) -> list[Event]:
    lines, ms = [], 1
    for message in connection.messages:
        ms += _CLIENT_MS if message.side is CLIENT else _SERVER_MS
        lines.append(f"{ms} {'>' if message.side is CLIENT else '<'} {message.text}")
    events = chat(stream, *lines, path="/v1/realtime", role="llm", close=None, at=at_ms)
    closed_us = (at_ms + ms + (_CLIENT_MS if connection.closed_by is CLIENT else _SERVER_MS)) * 1000
    for side, at_us in ((connection.closed_by, closed_us), (connection.closed_by.other, closed_us + _SERVER_MS * 1000)):
        events.append(
            Close(at_us=at_us, stream=stream, side=side, code=connection.code, reason=connection.reason.encode())
        )
    return events


def _with_real_ids(messages: Iterable[Said], seed: str) -> tuple[Said, ...]:
    messages = tuple(messages)
    ids: dict[str, str] = {}
    waiting: list[str] = []
    for message in messages:
        if message.side is CLIENT:
            fresh = dict.fromkeys(_PLACEHOLDER.findall(message.text))
            waiting += [placeholder for placeholder in fresh if placeholder not in ids and placeholder not in waiting]
        else:
            for id in dict.fromkeys(_CLIENT_ID.findall(message.text)):
                if waiting and id not in ids.values():
                    ids[waiting.pop(0)] = id
    for placeholder in waiting:
        ids[placeholder] = sha256(f"{seed} {placeholder}".encode()).hexdigest()[:24]
    return tuple(
        Said(message.side, _PLACEHOLDER.sub(lambda match: ids.get(match[0], match[0]), message.text))
        for message in messages
    )
