"""Clean conversations on the golden path: random, legal, and as different as the contract allows; and how to check one."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from random import Random

from gp_replay.contracts.checking import Checker
from gp_replay.contracts.contract import Contract
from gp_replay.contracts.contract_reading import contract_from
from gp_replay.contracts.findings import Finding
from gp_replay.contracts.said import Said, What
from gp_replay.core.model import Side

CLIENT, SERVER = Side.CLIENT, Side.SERVER
GOLDEN = contract_from(
    tomllib.loads((files("gp_replay.contracts") / "golden-path.toml").read_text("utf-8")), source="golden-path"
)
Plain = dict[str, object]

WELCOME = "5 < connection_established mode=main connection_id=main_1 user_id=alice"
RUN = (
    "10 > chat payload.content=Hello_there",
    "20 < agent_started run_id=r1 agent_name=boss",
    "30 < agent_thinking run_id=r1 reasoning=Hm",
    "90 < agent_completed run_id=r1 agent_name=boss result=Done",
)
"""A welcome and a run, to add to or take from."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One message of a conversation."""

    at_us: int
    side: Side
    body: Plain

    @property
    def kind(self) -> str:
        return str(self.body.get("type"))

    @property
    def payload(self) -> Plain:
        """The object its fields stand in."""
        for name in ("data", "payload"):
            inner = self.body.get(name)
            if isinstance(inner, dict):
                return inner
        return self.body

    def with_(self, **changes: object) -> Line:
        """The same with other fields, in whichever envelope; None takes one away."""
        body = json.loads(json.dumps(self.body))
        inner = next((body[name] for name in ("data", "payload") if isinstance(body.get(name), dict)), body)
        for name, value in changes.items():
            target = body if name == "type" else inner
            target[name] = value
            if value is None:
                del target[name]
        return replace(self, body=body)


@dataclass(kw_only=True)
class Talk:
    """One connection: what was said on it, and how it began and ended."""

    owner: str | None = "alice"
    connection: int = 1
    lines: list[Line] = field(default_factory=list)
    accepted_us: int = 2_000
    offered: tuple[str, ...] = ("jwt-auth",)
    selected: str | None = "jwt-auth"
    end: tuple[tuple[Side, int | None], ...] = ((CLIENT, 1000), (SERVER, 1000))
    end_after_us: int = 1_000

    def said(self) -> list[Said]:
        about = {"connection": self.connection, "owner": self.owner, "role": "chat"}
        out = [
            Said(what=What.OPENED, index=0, at_us=0, side=CLIENT, offered=self.offered, **about),  # type: ignore[arg-type]
            Said(
                what=What.ACCEPTED,
                index=0,
                at_us=self.accepted_us,
                side=SERVER,
                status=101,
                selected=self.selected,
                **about,  # type: ignore[arg-type]
            ),
        ]
        at_us = self.accepted_us
        for index, line in enumerate(self.lines):
            at_us = line.at_us
            raw = json.dumps(line.body, separators=(",", ":")).encode()
            out.append(
                Said(
                    what=What.MESSAGE,
                    index=index,
                    at_us=at_us,
                    side=line.side,
                    message=line.body,
                    raw=raw,
                    kind="object",
                    **about,  # type: ignore[arg-type]
                )
            )
        for side, code in self.end:
            out.append(
                Said(
                    what=What.CLOSED,
                    index=len(self.lines),
                    at_us=at_us + self.end_after_us,
                    side=side,
                    code=code,
                    **about,
                )  # type: ignore[arg-type]
            )
        return out


def spoken(*lines: str, **about: object) -> Talk:
    """A connection as a dialogue: ``MILLISECONDS > TYPE name=value …`` from the client, ``<`` from the server.

    Names may be dotted; values are JSON where they can be, else text (in ``content`` and
    ``reasoning`` ``_`` is a space).
    """
    talk = Talk(**about)  # type: ignore[arg-type]
    for line in lines:
        at_ms, arrow, kind, *members = line.split()
        body: Plain = {} if kind == "-" else {"type": kind}
        for member in members:
            name, _, text = member.partition("=")
            *outer, last = name.split(".")
            inner = body
            for key in outer:
                inner = inner.setdefault(key, {})  # type: ignore[assignment]
            try:
                inner[last] = json.loads(text)
            except ValueError:
                inner[last] = text.replace("_", " ") if last in ("content", "reasoning") else text
        talk.lines.append(Line(at_us=int(float(at_ms) * 1000), side=CLIENT if arrow == ">" else SERVER, body=body))
    return talk


def rules(*talks: Talk, contract: Contract = GOLDEN) -> list[str]:
    """The rules that a contract finds broken, in order."""
    return [finding.rule for finding in findings(talks, contract)]


def findings(talks: Iterable[Talk], contract: Contract = GOLDEN, *, timed: bool = True) -> list[Finding]:
    """What a contract finds when all talks go on at once."""
    everything = sorted((said for talk in talks for said in talk.said()), key=lambda said: said.at_us)
    return check(everything, contract, timed=timed)


def check(everything: Sequence[Said], contract: Contract = GOLDEN, *, timed: bool = True) -> list[Finding]:
    checker = Checker(contract, source="tape", timed=timed)
    found = [finding for said in everything for finding in checker.feed(said)]
    return found + checker.finish()


class Writer:
    """Writes one clean conversation.

    Args:
        random: decides everything.
        owner: of the connection.
        connection: its number.
    """

    def __init__(self, random: Random, owner: str = "alice", connection: int = 1) -> None:
        self.random = random
        self.owner = owner
        self.number = connection
        self.at_us = 2_000
        self.envelope = random.choice(["flat", "flat", "data", "payload"])
        self.agent_key = random.choice(["agent_name", "agent"])
        self.tool_key = random.choice(["tool_name", "tool"])
        self.result_key = random.choice(["results", "result", "metadata"])
        self.answer_key = random.choice(["final_response", "result", "summary"])
        self.has_execution_ids = random.random() < 0.7
        self.talk = Talk(owner=owner, connection=connection)
        self.thread = f"th_{owner}_{self.hex(6)}"

    def hex(self, digits: int) -> str:
        return f"{self.random.getrandbits(digits * 4):0{digits}x}"

    def say(self, side: Side, body: Plain, *, after_ms: tuple[float, float] = (1, 400)) -> None:
        self.at_us += int(self.random.uniform(*after_ms) * 1000)
        self.talk.lines.append(Line(at_us=self.at_us, side=side, body=body))

    def event(self, kind: str, run: str, **about: object) -> None:
        stamp = 1_758_100_000 + self.at_us / 1e6
        fields: Plain = {
            "run_id": run,
            "thread_id": self.thread,
            "user_id": self.owner,
            "request_id": f"req_{self.hex(8)}",
            **{name: value for name, value in about.items() if value is not None},
        }
        head: Plain = {"type": kind, "timestamp": stamp, "critical": True}
        self.say(SERVER, {**head, **fields} if self.envelope == "flat" else {**head, self.envelope: fields})

    def welcome(self) -> None:
        if self.random.random() < 0.3:
            self.say(SERVER, {"type": "handshake_validation", "timestamp": 1.5, "validation_id": f"test_{self.hex(8)}"})
        about: Plain = {
            "mode": self.random.choice(["main", "factory", "isolated"]),
            "user_id": self.random.choice([self.owner, f"{self.owner[:4]}..."]),
            "connection_id": f"main_{self.hex(8)}",
            "golden_path_events": ["agent_started", "agent_completed"],
        }
        kind = "connection_established"
        nested: Plain = {"type": kind, "data": about, "timestamp": 1.5, "server_id": None, "correlation_id": None}
        self.say(SERVER, self.random.choice([{"type": kind, **about}, nested]))

    def ask(self) -> None:
        text = f"Question {self.hex(8)} of {self.owner}"
        self.say(
            CLIENT,
            self.random.choice(
                [
                    {"type": "user_message", "payload": {"content": text, "thread_id": self.thread}},
                    {"type": "chat", "payload": {"message": text}},
                    {"type": "start_agent", "payload": {"user_request": text}},
                ]
            ),
        )

    def ambient(self) -> None:
        if self.random.random() < 0.1:
            self.say(CLIENT, {"type": "ping", "payload": {}})
            self.say(SERVER, {"type": "pong", "data": {"user_id": self.owner}, "timestamp": 1.5})

    def think(self, run: str, agent: str | None) -> None:
        about = {self.agent_key: agent} if agent else {}
        self.event("agent_thinking", run, reasoning=f"Looking at {self.hex(4)}", **about)
        self.ambient()

    def tools(self, run: str, agent: str | None) -> None:
        """Some tools at once, ended in any order; without ids, those of one name end in the order they began."""
        about = {self.agent_key: agent} if agent else {}
        names = [self.random.choice(["cost_query", "calculator"]) for _ in range(self.random.randint(1, 3))]
        going: list[tuple[str, str | None]] = []
        for name in names:
            key = f"ex_{self.hex(8)}" if self.has_execution_ids else None
            self.event("tool_executing", run, execution_id=key, parameters={"x": 1}, **{self.tool_key: name}, **about)
            going.append((name, key))
            if self.random.random() < 0.3:
                self.think(run, agent)
        if self.has_execution_ids:
            self.random.shuffle(going)
        for name, key in going:
            result: Plain = {"usd": self.random.randint(1, 9000)}
            about_result = {self.result_key: {"result": result} if self.result_key == "metadata" else result}
            if self.random.random() < 0.1:
                about_result = {"error": "no such month", "success": False}
            said = None if self.random.random() < 0.1 and len(set(names)) == len(names) else key
            self.event("tool_completed", run, execution_id=said, **{self.tool_key: name}, **about_result, **about)

    def run(self) -> None:
        run = f"run_{self.hex(10)}"
        self.event("agent_started", run, status="started", **{self.agent_key: "supervisor"})
        self.think(run, self.random.choice([None, "supervisor"]))
        for agent in self.random.sample(["data", "optimisation", "report"], self.random.randint(0, 2)):
            if self.random.random() < 0.5:
                self.event("agent_started", run, **{self.agent_key: agent})
            self.think(run, agent)
            if self.random.random() < 0.6:
                self.tools(run, agent)
            self.event("agent_completed", run, **{self.agent_key: agent, self.answer_key: f"part {self.hex(4)}"})
        if self.random.random() < 0.6:
            self.tools(run, None)
        self.think(run, None)
        if self.random.random() < 0.1:
            error: Plain = {"type": "error_message", "error_code": "LLM_ERROR", "error_message": "status 500"}
            self.say(SERVER, {**error, "details": {"run_id": run}, "timestamp": 1.5})
            return
        answer = {self.answer_key: f"Answer {self.hex(4)}"}
        self.event("agent_completed", run, status="completed", **{self.agent_key: "supervisor"}, **answer)

    def write(self, *, runs: int | None = None) -> Talk:
        self.welcome()
        for _ in range(self.random.randint(1, 3) if runs is None else runs):
            self.ask()
            self.run()
            self.ambient()
        return self.talk


def clean(seed: int) -> list[Talk]:
    """One or two users' conversations that keep the golden path."""
    random = Random(seed)
    owners = ["alice", "bobby"][: random.randint(1, 2)]
    return [Writer(random, owner, number).write() for number, owner in enumerate(owners, start=1)]
