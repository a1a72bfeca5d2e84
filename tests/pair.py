"""Two players of opposite casts, joined in memory under a manual clock: what one says, the other hears at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from gp_replay.core.acts import Action, Open, Over, Refuse, Send
from gp_replay.core.explain import Request
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Cassette, Close, End, Event, Message, Piece, Protocol, RequestHead, ResponseHead, Side
from gp_replay.core.player import Player
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile
from gp_replay.core.terms import Terms
from gp_replay.core.timing import Pace


@dataclass
class Line:
    """One joined stream."""

    protocol: Protocol
    role: str
    owner: str | None
    head: RequestHead | None = None
    body: list[bytes] = field(default_factory=list)
    opened: bool = False


@dataclass
class Heard:
    """What went over the line, with its live time."""

    at_us: int
    event: Event


class Pair:
    """``cassette`` played against itself: our servers on one end, its clients on the other."""

    def __init__(self, cassette: Cassette, *, pace: Pace | None = None, rules: Rules | None = None) -> None:
        roles = [role.name for role in cassette.header.roles]
        self.now_us = 0
        terms = Terms(pace=pace or Pace())
        self.servers, self.clients = (
            Player([("tape", compile(cassette, dict.fromkeys(roles, side), rules or Rules()))], terms)
            for side in (Side.SERVER, Side.CLIENT)
        )
        self.lines: dict[int, Line] = {}
        self.heard: list[Heard] = []
        self.refusals: list[Refusal] = []

    def run(self, *, most_us: int = 10**12) -> None:
        """Plays until neither end has anything to do."""
        self.clients.start(self.now_us)
        while True:
            due = [due for due in (self.servers.next_due(), self.clients.next_due()) if due is not None]
            if not due or self.now_us > most_us:
                return
            self.now_us = max(self.now_us, min(due))
            self._pass_on(self.clients.tick(self.now_us), Side.CLIENT)
            self._pass_on(self.servers.tick(self.now_us), Side.SERVER)

    def _pass_on(self, actions: list[Action], side: Side) -> None:
        other = self.servers if side is Side.CLIENT else self.clients
        for action in actions:
            match action:
                case Open(live=live, script=script):
                    self.lines[live] = Line(
                        protocol=script.entry.protocol, role=script.entry.role, owner=script.entry.owner
                    )
                case Refuse(refusal=refusal):
                    self.refusals.append(refusal)
                case Send(live=live, event=event):
                    self.heard.append(Heard(self.now_us, event))
                    line = self.lines[live]
                    if side is Side.CLIENT and not line.opened:
                        self._ask(live, line, event)
                    elif isinstance(event, Message | Close | ResponseHead | End) or (
                        isinstance(event, Piece) and side is Side.SERVER
                    ):
                        if isinstance(event, ResponseHead) and event.status != 101 and event.status < 200:
                            continue
                        self._pass_on(other.receive(self.now_us, live, event), side.other)
                case Over():
                    pass

    def _ask(self, live: int, line: Line, event: Event) -> None:
        match event:
            case RequestHead():
                line.head = event
            case Piece():
                line.body.append(event.data)
            case _:
                pass
        if isinstance(event, End) or (isinstance(event, RequestHead) and line.protocol is Protocol.WEBSOCKET):
            assert line.head is not None
            line.opened = True
            request = Request(
                protocol=line.protocol, role=line.role, head=line.head, body=b"".join(line.body), owner=line.owner
            )
            outcome = self.servers.open(self.now_us, live, request)
            if isinstance(outcome, Refusal):
                self.refusals.append(outcome)
