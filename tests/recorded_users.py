"""Users who were recorded, and clients who live their conversations again: the cast of the tests of identity.

A client has ids of its own, and says back the ids it is told. What only one user may hear holds a word of that user's.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from dialogue import CLIENT, ask, cassette, chat

from gp_replay.core.acts import Action, Claim, Refuse, Send
from gp_replay.core.explain import Request
from gp_replay.core.identity import owner_of
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Event, Headers, Message, Opcode, Piece, Protocol, RequestHead
from gp_replay.core.player import Player
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile, server_cast
from gp_replay.core.terms import Terms

NAMES = ("Ada", "Bob", "Cyd", "Dan", "Eve", "Fay")
WORDS = ("heron", "otter", "lynx", "raven", "stoat", "bison")
SERVER_FIRST, CLIENT_FIRST, ASKED = "server speaks first", "client speaks first", "HTTP"

UPGRADE: Headers = ((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"))

Wrap = Callable[[dict[str, str]], str]
"""How an application puts members on the wire."""


def plain(members: dict[str, str]) -> str:
    return json.dumps(members, separators=(",", ":"))


def nested(members: dict[str, str]) -> str:
    return plain({"type": members["type"], "payload": json.dumps(members)})


def event(members: dict[str, str]) -> str:
    return f'42["{members["type"]}",{plain(members)}]'


WRAPS: tuple[Wrap, ...] = (plain, nested, event)


def uuid(number: int) -> str:
    return str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128), version=4))


def prefixed(number: int) -> str:
    return "run_" + uuid(number).replace("-", "")[:20]


def random_looking(number: int) -> str:
    return base64.urlsafe_b64encode(UUID(uuid(number)).bytes)[:20].decode().replace("-", "x").replace("_", "Y")


SHAPES: tuple[Callable[[int], str], ...] = (uuid, prefixed, random_looking)


def token(subject: str, issued: int) -> bytes:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": subject, "iat": issued})
    head, claims = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    return head + b"." + claims + b"." + base64.urlsafe_b64encode(b"%032d" % issued).rstrip(b"=")


def bearer(subject: str, issued: int) -> Headers:
    return ((b"Authorization", b"Bearer " + token(subject, issued)),)


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who was recorded: a way to talk, a first prompt others may share, a name and a word nobody shares."""

    number: int
    way: str
    prompt: str
    owner: str | None

    @property
    def name(self) -> str:
        return NAMES[self.number]

    @property
    def word(self) -> str:
        return WORDS[self.number]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Who was recorded, how, and how it is played."""

    users: tuple[User, ...]
    wrap: Wrap
    shape: Callable[[int], str]
    terms: Terms
    keeps_ids: bool
    """The clients' own ids are those of the recorded ones."""

    def recorded_id(self, user: User, kind: int) -> str:
        return self.shape(1 + user.number * 10 + kind)

    def recording(self, user: User) -> list[list[Event]]:
        session, thread, run = (self.recorded_id(user, kind) for kind in range(3))
        head = bearer(user.owner, 1_000) if user.owner else ()
        if user.way == ASKED:
            turns = [
                (say_start(user, run, ""), {"type": "started", "thread": thread, "run": run}),
                (say_more(thread), {"type": "more", "thread": thread, "word": user.word}),
            ]
            return [
                ask(
                    1 + user.number * 2 + number,
                    "POST",
                    "/chat",
                    plain(said),
                    answer=[(1, plain(told))],
                    at=10 * user.number + 200 * number,
                    owner=user.owner,
                    headers=head,
                )
                for number, (said, told) in enumerate(turns)
            ]
        lines = [f"5 < {self.wrap({'type': 'welcome', 'session': session})}"] if user.way == SERVER_FIRST else []
        lines += [
            f"10 > {self.wrap(say_start(user, run, session if lines else ''))}",
            f"20 < {self.wrap({'type': 'started', 'thread': thread, 'run': run})}",
            f"30 > {self.wrap(say_name(user, run, thread))}",
            f"40 < {self.wrap({'type': 'answer', 'thread': thread, 'run': run, 'word': user.word})}",
            f"50 > {self.wrap(say_more(thread))}",
            f"60 < {self.wrap({'type': 'more', 'thread': thread, 'session': session, 'word': user.word})}",
        ]
        path = "/first" if user.way == SERVER_FIRST else "/ws"
        return [chat(1 + user.number * 2, *lines, path=path, owner=user.owner, headers=head, at=10 * user.number)]


def say_start(user: User, run: str, session: str) -> dict[str, str]:
    members = {"type": "start", "run": run, "text": user.prompt}
    return {**members, "session": session} if session else members


def say_name(user: User, run: str, thread: str) -> dict[str, str]:
    return {"type": "name", "run": run, "thread": thread, "text": f"I am {user.name}"}


def say_more(thread: str) -> dict[str, str]:
    return {"type": "ask", "thread": thread, "text": "go on"}


@dataclass(kw_only=True)
class Client:
    """Lives a user's conversation: one action at a time, each when what it answers has come."""

    scene: Scene
    user: User
    owner: str | None
    live: int
    turn: int = 0
    heard: list[str] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)
    refusal: Refusal | None = None
    labels: list[str] = field(default_factory=list)

    @property
    def run(self) -> str:
        if self.scene.keeps_ids:
            return self.scene.recorded_id(self.user, 2)
        return self.scene.shape(10_000 + self.live)

    @property
    def words(self) -> set[str]:
        return {word for text in self.heard for word in WORDS if word in text}

    @property
    def ids(self) -> set[str]:
        return set(self.told.values()) | {self.run}

    @property
    def done(self) -> bool:
        return self.refusal is not None or self.turn == (2 if self.user.way == ASKED else 4)

    def hear(self, text: str) -> None:
        """An id said under a name is the same ever after, and this client's own is said back as it gave it."""
        self.heard.append(text)
        for name, value in re.findall(r'(session|thread|run)\\*": ?\\*"([^"\\]+)', text):
            expected = self.run if name == "run" else self.told.setdefault(name, value)
            assert value == expected, f"{self.user.name} was told {name} {value} instead of {expected}"

    def head(self) -> RequestHead:
        http = self.user.way == ASKED
        path = {ASKED: b"/chat", SERVER_FIRST: b"/first", CLIENT_FIRST: b"/ws"}[self.user.way]
        headers = ((b"Content-Type", b"application/json"),) if http else UPGRADE
        if self.owner:
            headers += bearer(self.owner, 2_000 + self.live)
        return RequestHead(
            at_us=0,
            stream=1,
            side=CLIENT,
            method=b"POST" if http else b"GET",
            target=path,
            version=b"HTTP/1.1",
            headers=headers,
        )


class World:
    """One play state and all who come to it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        tape = cassette(*(events for user in scene.users for events in scene.recording(user)))
        self.player = Player([("tape", compile(tape, server_cast(tape), Rules()))], scene.terms)
        self.clients: dict[int, Client] = {}
        self.streams: dict[int, Client] = {}
        self.now_us = 0

    def client(self, user: User, owner: str | None) -> Client:
        live = len(self.clients) + 1
        self.clients[live] = Client(scene=self.scene, user=user, owner=owner, live=live)
        return self.clients[live]

    def act(self, client: Client) -> None:
        """The next thing this client does."""
        self.now_us += 1
        turn, client.turn = client.turn, client.turn + 1
        if client.user.way == ASKED:
            run, thread = client.run, client.told.get("thread", "")
            said = say_more(thread) if turn else say_start(client.user, run, "")
            self.open(client, Protocol.HTTP, plain(said).encode())
        elif turn == 0:
            self.open(client, Protocol.WEBSOCKET)
        else:
            thread = client.told.get("thread", "")
            members = [
                say_start(client.user, client.run, client.told.get("session", "")),
                say_name(client.user, client.run, thread),
                say_more(thread),
            ][turn - 1]
            data = self.scene.wrap(members).encode()
            message = Message(at_us=0, stream=1, side=CLIENT, opcode=Opcode.TEXT, data=data)
            self.carry_out(self.player.receive(self.now_us, client.live, message))
        self.carry_out(self.player.tick(self.now_us))

    def open(self, client: Client, protocol: Protocol, body: bytes = b"") -> None:
        head = client.head()
        live = client.live if protocol is Protocol.WEBSOCKET else 1_000 + len(self.streams)
        self.streams[live] = client
        request = Request(protocol=protocol, role=None, head=head, body=body, owner=owner_of(head))
        outcome = self.player.open(self.now_us, live, request)
        if isinstance(outcome, Refusal):
            client.refusal = outcome
        elif isinstance(outcome, Claim) and protocol is Protocol.HTTP:
            client.labels.append(outcome.label)

    def carry_out(self, actions: list[Action]) -> None:
        for action in actions:
            client = self.streams[action.live]
            match action:
                case Send(event=Message() | Piece() as said):
                    client.hear(said.data.decode())
                case Refuse(refusal=refusal):
                    client.refusal = refusal
                case _:
                    pass

    def play(self, choose: Callable[[list[Client]], Client]) -> None:
        """Everybody acts until nobody has anything left to do."""
        while waiting := [client for client in self.clients.values() if not client.done]:
            client = choose(waiting)
            self.act(client)
            expected = client.user.word if client.turn >= 3 else None
            assert client.user.way == ASKED or client.words <= {expected}, f"{client.user.name} heard {client.words}"
