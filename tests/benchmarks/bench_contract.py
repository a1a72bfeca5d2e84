"""What checking costs: messages a second through the golden-path contract, against parsing them alone.

Run: ``python tests/benchmarks/bench_contract.py``. Times differ between machines, ratios hardly do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import orjson

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conversations import GOLDEN, Talk, Writer

from gp_replay.contracts.checking import Checker
from gp_replay.contracts.said import Ear
from gp_replay.core.model import (
    Event,
    Message,
    Opcode,
    Opened,
    Protocol,
    RequestHead,
    ResponseHead,
    Side,
)

TARGET = 10_000


def events_of(talk: Talk, stream: int, owner: str) -> list[Event]:
    """A conversation as a recorder hears it."""
    head = ((b"Upgrade", b"websocket"),)
    events: list[Event] = [
        Opened(at_us=0, stream=stream, side=Side.CLIENT, protocol=Protocol.WEBSOCKET, role="chat", owner=owner),
        RequestHead(
            at_us=0, stream=stream, side=Side.CLIENT, method=b"GET", target=b"/ws", version=b"HTTP/1.1", headers=head
        ),
        ResponseHead(
            at_us=1, stream=stream, side=Side.SERVER, version=b"HTTP/1.1", status=101, reason=b"", headers=head
        ),
    ]
    events += [
        Message(at_us=line.at_us, stream=stream, side=line.side, opcode=Opcode.TEXT, data=orjson.dumps(line.body))
        for line in talk.lines
    ]
    return events


def seconds(work: Callable[[], object]) -> float:
    """The best of five."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def checked(connections: list[list[Event]]) -> int:
    checker = Checker(GOLDEN)
    ears = [Ear() for _ in connections]
    found = 0
    for turn in range(max(map(len, connections))):
        for ear, events in zip(ears, connections, strict=True):
            said = ear.hear(events[turn]) if turn < len(events) else None
            if said is not None:
                found += len(checker.feed(said))
    return found + len(checker.finish())


def main() -> int:
    """Prints the numbers; 1 if the contract is slower than it must be."""
    slow = False
    for users in (1, 10, 100):
        connections = [
            events_of(
                Writer(Random(user), f"user{user}", user).write(runs=40 if users < 100 else 6), user, f"user{user}"
            )
            for user in range(1, users + 1)
        ]
        messages = [event for events in connections for event in events if isinstance(event, Message)]
        parsing = seconds(lambda messages=messages: [orjson.loads(message.data) for message in messages])
        checking = seconds(lambda connections=connections: checked(connections))
        rate = len(messages) / checking
        slow = slow or rate < TARGET
        size = sum(len(message.data) for message in messages) // len(messages)
        print(
            f"{users:>4} users, {len(messages):>6} messages of {size} bytes: {rate:>7.0f} messages a second, "
            f"{checking / parsing:.1f} times parsing them, findings {checked(connections)}"
        )
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
