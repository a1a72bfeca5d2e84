"""A player as a server, with a clock of its own: dialogues are asked and told in words."""

from __future__ import annotations

from dialogue import CLIENT

from gp_replay.core.acts import Action, Claim, Over, Pending, Refuse, Send
from gp_replay.core.explain import Request
from gp_replay.core.index import MemoryCassette
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Close, Event, Message, Opcode, Piece, Protocol, RequestHead, ResponseHead
from gp_replay.core.player import Player
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast
from gp_replay.core.terms import Terms
from gp_replay.core.timing import Pace


class Stage:
    """One player as a server, and a clock."""

    def __init__(
        self,
        tape: MemoryCassette,
        *,
        pace: Pace | None = None,
        patience_ms: int = 1000,
        terms: Terms | None = None,
        base: str = "",
    ) -> None:
        script = compile(tape, server_cast(tape), Rules())
        terms = terms or Terms(pace=pace or Pace(), patience_us=patience_ms * 1000)
        self.player = Player([("tape", script)], terms)
        self.base = base
        self.now_us = 0
        self.lives = 0

    def ask(self, method: str, target: str, body: str = "", *, owner: str | None = None) -> Claim | Pending | Refusal:
        self.lives += 1
        head = RequestHead(
            at_us=0,
            stream=1,
            side=CLIENT,
            method=method.encode(),
            target=target.encode(),
            version=b"HTTP/1.1",
            headers=((b"Content-Type", b"application/json"),),
        )
        request = Request(protocol=Protocol.HTTP, role=None, head=head, body=body.encode(), owner=owner, base=self.base)
        return self.player.open(self.now_us, self.lives, request)

    def connect(
        self, path: str = "/ws", *, owner: str | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> Claim | Pending | Refusal:
        self.lives += 1
        head = RequestHead(
            at_us=0,
            stream=1,
            side=CLIENT,
            method=b"GET",
            target=path.encode(),
            version=b"HTTP/1.1",
            headers=((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), *headers),
        )
        request = Request(protocol=Protocol.WEBSOCKET, role=None, head=head, owner=owner, base=self.base)
        return self.player.open(self.now_us, self.lives, request)

    def say(self, text: str, live: int | None = None) -> list[str]:
        message = Message(at_us=0, stream=1, side=CLIENT, opcode=Opcode.TEXT, data=text.encode())
        return words(self.player.receive(self.now_us, live or self.lives, message))

    def until(self, ms: float) -> list[str]:
        """Everything said up to ``ms``, each as ``TIME text``."""
        said: list[str] = []
        while (due := self.player.next_due()) is not None and due <= ms * 1000:
            self.now_us = max(self.now_us, due)
            said += [f"{self.now_us / 1000:g} {word}" for word in words(self.player.tick(self.now_us))]
        self.now_us = int(ms * 1000)
        return said


def words(actions: list[Action]) -> list[str]:
    said = []
    for action in actions:
        match action:
            case Send(event=event):
                said.append(word(event))
            case Refuse(refusal=refusal):
                said.append(f"refused {refusal.close_code} {refusal.kind}")
            case Over(whole=whole):
                said.append("over" if whole else "broken off")
            case _:
                said.append(type(action).__name__)
    return said


def word(event: Event) -> str:
    match event:
        case Message() | Piece():
            return event.data.decode()
        case ResponseHead():
            return str(event.status)
        case Close():
            return f"close {event.code}"
        case _:
            return type(event).__name__.lower()
