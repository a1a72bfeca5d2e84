"""The golden-path contract proven: no finding on clean conversations, and every mutation of one is found, by its rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from conversations import CLIENT, SERVER, Line, Talk, Writer, clean, findings

from gp_replay.contracts.findings import Level

SECOND = 1_000_000


def talk_of(seed: int) -> Talk:
    """Three runs of one user; seeds are taken until each event is there twice and no run ended with an error."""
    for further in range(100):
        writer = Writer(Random(seed * 1_000 + further), "alice")
        talk = writer.write(runs=3)
        kinds = [line.kind for line in talk.lines]
        if "error_message" not in kinds and kinds.count("tool_executing") > 2 and writer.has_execution_ids:
            return talk
    raise AssertionError("no such conversation")


def place(talk: Talk, kind: str, nth: int = 0) -> int:
    found = [number for number, line in enumerate(talk.lines) if line.kind == kind]
    return found[nth]


def drop(kind: str, nth: int = 0) -> Callable[[Talk], None]:
    def mutate(talk: Talk) -> None:
        del talk.lines[place(talk, kind, nth)]

    return mutate


def change(kind: str, nth: int = 0, **fields: object) -> Callable[[Talk], None]:
    def mutate(talk: Talk) -> None:
        number = place(talk, kind, nth)
        talk.lines[number] = talk.lines[number].with_(**fields)

    return mutate


def lose(kind: str, *names: str, nth: int = 0) -> Callable[[Talk], None]:
    """Takes a field away, whatever its name is."""

    def mutate(talk: Talk) -> None:
        number = place(talk, kind, nth)
        line = talk.lines[number]
        talk.lines[number] = line.with_(**{name: None for name in names if name in line.payload})

    return mutate


def rename(kind: str, names: dict[str, str], nth: int = 0) -> Callable[[Talk], None]:
    def mutate(talk: Talk) -> None:
        number = place(talk, kind, nth)
        line = talk.lines[number]
        old = next(name for name in names if name in line.payload)
        talk.lines[number] = line.with_(**{old: None, names[old]: line.payload[old]})

    return mutate


def repeat(kind: str, nth: int = 0, *, stamped_again: bool = False) -> Callable[[Talk], None]:
    def mutate(talk: Talk) -> None:
        number = place(talk, kind, nth)
        line = talk.lines[number]
        again = replace(line, body={**line.body, "timestamp": 1.0}) if stamped_again else line
        talk.lines.insert(number + 1, again)

    return mutate


def move(kind: str, to: str, nth: int = 0) -> Callable[[Talk], None]:
    """Puts the message of one kind right before the first of another, at its time."""

    def mutate(talk: Talk) -> None:
        line = talk.lines.pop(place(talk, kind, nth))
        number = place(talk, to)
        talk.lines.insert(number, replace(line, at_us=talk.lines[number].at_us))

    return mutate


def swap(one: str, other: str) -> Callable[[Talk], None]:
    def mutate(talk: Talk) -> None:
        a, b = place(talk, one), place(talk, other)
        first, second = talk.lines[a], talk.lines[b]
        talk.lines[a], talk.lines[b] = replace(second, at_us=first.at_us), replace(first, at_us=second.at_us)

    return mutate


def insert(before: str, side: object, body: dict[str, object]) -> Callable[[Talk], None]:
    def mutate(talk: Talk) -> None:
        number = place(talk, before)
        talk.lines.insert(number, Line(at_us=talk.lines[number].at_us, side=side, body=body))  # type: ignore[arg-type]

    return mutate


def delay(kind: str, seconds: float) -> Callable[[Talk], None]:
    """Everything from the first of this kind on comes later."""

    def mutate(talk: Talk) -> None:
        number = place(talk, kind)
        late = [replace(line, at_us=line.at_us + int(seconds * SECOND)) for line in talk.lines[number:]]
        talk.lines[number:] = late

    return mutate


def nest(kind: str, under: str, nth: int = 1) -> Callable[[Talk], None]:
    def mutate(talk: Talk) -> None:
        number = place(talk, kind, nth)
        line = talk.lines[number]
        body: dict[str, object] = {"type": kind, "timestamp": 2.0, under: dict(line.payload)}
        body[under].pop("type", None)  # type: ignore[attr-defined]
        talk.lines[number] = replace(line, body=body)

    return mutate


def nest_elsewhere(talk: Talk) -> None:
    nest("agent_thinking", "payload" if "data" in talk.lines[place(talk, "agent_started")].body else "data")(talk)


def end(*closes: tuple[object, int | None], after_us: int = 1_000) -> Callable[[Talk], None]:
    def mutate(talk: Talk) -> None:
        talk.end, talk.end_after_us = closes, after_us  # type: ignore[assignment]

    return mutate


def race(talk: Talk) -> None:
    """Accepted, and closed with 1011 after 63 ms."""
    talk.lines.clear()
    end((SERVER, 1011), after_us=63_000)(talk)


def unanswered(talk: Talk) -> None:
    """The last run never came."""
    first = [number for number, line in enumerate(talk.lines) if line.side is CLIENT and "payload" in line.body]
    asked = max(number for number in first if talk.lines[number].kind != "ping")
    del talk.lines[asked + 1 :]


def cut_before_the_end(talk: Talk) -> None:
    last = place(talk, "agent_completed", -1)
    del talk.lines[last:]


def late_event(talk: Talk) -> None:
    """A thought of the first run comes at the very end."""
    thought = talk.lines[place(talk, "agent_thinking")]
    talk.lines.append(replace(thought, at_us=talk.lines[-1].at_us + 1, body={**thought.body, "timestamp": 9.0}))


def early_client(talk: Talk) -> None:
    line = talk.lines.pop(next(number for number, line in enumerate(talk.lines) if line.side is CLIENT))
    talk.lines.insert(0, replace(line, at_us=talk.accepted_us))


def early_and_lost(talk: Talk) -> None:
    del talk.lines[place(talk, "connection_established") + 1 :]
    request: dict[str, object] = {"type": "chat", "payload": {"message": "hello"}}
    talk.lines.insert(0, Line(at_us=talk.accepted_us, side=CLIENT, body=request))


def same_run_twice(talk: Talk) -> None:
    first = talk.lines[place(talk, "agent_started")].payload["run_id"]
    completed = place(talk, "agent_completed", -1)
    last = talk.lines[completed].payload["run_id"]
    talk.lines = [
        line.with_(run_id=first) if line.payload.get("run_id") == last and last != first else line
        for line in talk.lines
    ]


def token_echoed(talk: Talk) -> None:
    talk.offered = (*talk.offered, "jwt.abcdefghijklmnop")
    talk.selected = "jwt.abcdefghijklmnop"


def not_offered(talk: Talk) -> None:
    talk.offered, talk.selected = ("jwt.abcdefghijklmnop",), "jwt-auth"


MUTATIONS: dict[str, tuple[Callable[[Talk], None], str]] = {
    "drop the welcome": (drop("connection_established"), "HS-3"),
    "drop agent_started": (drop("agent_started"), "agent_started.first"),
    "drop the last agent_completed": (cut_before_the_end, "run.end"),
    "drop tool_executing": (drop("tool_executing"), "tool_executing.paired"),
    "drop tool_completed": (drop("tool_completed"), "tool_executing.paired"),
    "drop a whole run": (unanswered, "request.answered"),
    "duplicate the welcome": (repeat("connection_established"), "HS-8"),
    "duplicate agent_started": (repeat("agent_started", stamped_again=True), "run.agents"),
    "deliver a thought twice": (repeat("agent_thinking"), "run.once"),
    "duplicate tool_completed": (repeat("tool_completed", stamped_again=True), "tool_executing.paired"),
    "duplicate the last agent_completed": (repeat("agent_completed", -1), "run.end"),
    "swap tool_executing and tool_completed": (swap("tool_executing", "tool_completed"), "tool_executing.paired"),
    "swap agent_started and agent_thinking": (swap("agent_started", "agent_thinking"), "agent_started.first"),
    "an event before the welcome": (move("agent_started", "connection_established"), "HS-3"),
    "a heartbeat before the welcome": (
        insert("connection_established", SERVER, {"type": "heartbeat", "timestamp": 1.0}),
        "HS-3",
    ),
    "the client speaks before the welcome": (early_client, "HS-2"),
    "an early message is lost": (early_and_lost, "HS-4"),
    "the welcome late": (delay("connection_established", 3), "limit.connect"),
    "the first event late": (delay("agent_started", 6), "limit.first_event"),
    "a gap": (delay("agent_thinking", 16), "limit.gap"),
    "a run too long": (delay("agent_thinking", 61), "limit.run"),
    "an event after the end of its run": (late_event, "run.end"),
    "a run's id used again": (same_run_twice, "run.end"),
    "rename agent_name": (rename("agent_started", {"agent_name": "name", "agent": "name"}), "agent_started.fields"),
    "rename tool_name": (rename("tool_executing", {"tool_name": "fn", "tool": "fn"}), "tool_executing.fields"),
    "another alias in one message": (
        rename("agent_completed", {"agent_name": "agent", "agent": "agent_name"}, -1),
        "agent_completed.alias",
    ),
    "rename the answer": (
        rename("agent_completed", {"final_response": "text", "result": "text", "summary": "text"}, -1),
        "agent_completed.fields",
    ),
    "lose the results": (
        lose("tool_completed", "results", "result", "metadata", "error"),
        "tool_completed.fields",
    ),
    "lose a run_id": (lose("agent_thinking", "run_id"), "agent_thinking.fields"),
    "rename a type": (change("agent_thinking", type="agent_thought"), "type.overwritten"),
    "a type overwritten by its payload": (change("agent_thinking", type="reasoning"), "type.overwritten"),
    "nest an event in another envelope": (nest_elsewhere, "agent_thinking.envelope"),
    "nest an event where nobody looks": (nest("agent_completed", "body", -1), "agent_completed.fields"),
    "another run's id": (change("agent_thinking", run_id="run_of_nobody"), "agent_started.first"),
    "another thread's id": (change("agent_thinking", thread_id="th_of_nobody"), "run.thread"),
    "another user's id": (change("agent_thinking", user_id="mallory"), "isolation.foreign_id"),
    "nothing but foreign ids": (
        change("agent_thinking", user_id="mallory", thread_id="th_m", run_id="run_m", request_id="req_m"),
        "isolation.no_own_id",
    ),
    "an unpaired execution_id": (change("tool_completed", execution_id="ex_of_nobody"), "tool_executing.paired"),
    "another tool completes": (change("tool_completed", tool_name="x", tool="x"), "tool_executing.paired"),
    "another agent completes": (change("agent_completed", -1, agent_name="x", agent="x"), "run.end"),
    "1011 before the welcome": (race, "HS-1"),
    "1011 after an exchange": (end((SERVER, 1011)), "HS-6"),
    "another connection_id": (
        insert("agent_started", SERVER, {"type": "heartbeat", "data": {"connection_id": "main_ffffffff"}}),
        "HS-5",
    ),
    "a subprotocol that was not offered": (not_offered, "HS-7"),
    "a token echoed": (token_echoed, "HS-7"),
    "the welcome without mode": (change("connection_established", mode=None), "HS-8"),
    "an error that gives the race away": (
        insert(
            "agent_started",
            SERVER,
            {"type": "error_message", "error_message": "WebSocket is not connected. Need to call 'accept' first."},
        ),
        "HS-9",
    ),
}
"""Name, what it does to a conversation, and the rule that finds it."""


def test_there_are_enough_mutations() -> None:
    assert len(MUTATIONS) >= 25


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_found(name: str) -> None:
    mutate, rule = MUTATIONS[name]
    for seed in range(6):
        talk = talk_of(seed)
        assert findings([talk]) == []
        mutate(talk)
        found = findings([talk])
        assert rule in {finding.rule for finding in found}, [finding.plain() for finding in found]
        assert all(finding.expected and finding.came and finding.fix for finding in found)


@pytest.mark.slow
def test_two_hundred_clean_conversations_have_no_finding() -> None:
    for seed in range(200):
        assert findings(clean(seed)) == [], f"seed {seed}"


def test_a_warning_alone_breaks_nothing() -> None:
    talk = talk_of(1)
    MUTATIONS["1011 after an exchange"][0](talk)
    assert {finding.level for finding in findings([talk])} == {Level.WARNING}
