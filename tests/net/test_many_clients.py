"""Hundreds of clients at one replay: each gets its own conversation, and what cannot be served is refused by name."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from dialogue import ask, cassette, chat
from filed import write
from recorded_users import bearer, uuid
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from wire import dial, exchange, read_head, run

from gp_replay import api
from gp_replay.core.model import Event

MANY = 200
HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: me\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
)
GET = b"GET /x HTTP/1.1\r\nHost: me\r\nConnection: close\r\n\r\n"


def quiet(line: str) -> None:
    """A log nobody reads."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """One of many: every fourth has a token of its own, the next one a token that others have too."""

    number: int

    @property
    def owner(self) -> str | None:
        return {0: f"user-{self.number}", 1: "team"}.get(self.number % 4)

    @property
    def path(self) -> str:
        return "/ws" if self.number % 8 < 4 else "/agent/ws"

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The token, issued anew."""
        pairs = bearer(self.owner, 7_000 + self.number) if self.owner else ()
        return [(name.decode(), value.decode()) for name, value in pairs]

    def recording(self) -> list[Event]:
        own = uuid(self.number)
        return chat(
            self.number,
            f"2 < {obj(type='welcome', connection_id=own)}",
            f"3 > {obj(type='start', connection_id=own, text=f'I am {self.number}.')}",
            f"4 < {obj(type='started', connection_id=own, run_id=uuid(5_000 + self.number))}",
            f"5 > {obj(type='go', run_id=uuid(5_000 + self.number))}",
            f"6 < {obj(type='done', connection_id=own, secret=f'secret of {self.number}.')}",
            path=self.path,
            owner=self.owner,
            headers=bearer(self.owner, 1_000) if self.owner else (),
        )

    async def live(self, socket: ClientConnection, turns: random.Random, all_here: asyncio.Event) -> set[str]:
        """The whole conversation.

        Returns:
            The ids it was told.
        """

        async def told() -> dict[str, str]:
            for _ in range(turns.randrange(4)):
                await asyncio.sleep(0)
            message: dict[str, str] = json.loads(await socket.recv())
            return message

        connection_id = (await told())["connection_id"]
        await all_here.wait()
        await socket.send(obj(type="start", connection_id=connection_id, text=f"I am {self.number}."))
        started = await told()
        assert started["connection_id"] == connection_id
        await socket.send(obj(type="go", run_id=started["run_id"]))
        done = await told()
        assert done == {"type": "done", "connection_id": connection_id, "secret": f"secret of {self.number}."}
        return {connection_id, started["run_id"]}


def obj(**members: str) -> str:
    return json.dumps(members, separators=(",", ":"))


async def crowd(url: str, callers: Sequence[Caller]) -> list[set[str]]:
    """All at once, in any order: nobody says who it is before everybody has come."""
    turns = random.Random(7)
    order = turns.sample(callers, len(callers))
    here, all_here, told = Counter[str](), asyncio.Event(), []

    async def visit(caller: Caller) -> None:
        async with connect(url + caller.path, additional_headers=caller.headers, compression=None) as socket:
            here["come"] += 1
            if here["come"] == len(callers):
                all_here.set()
            told.append(await caller.live(socket, turns, all_here))

    async with asyncio.TaskGroup() as group:
        for caller in order:
            group.create_task(visit(caller))
    return told


@pytest.mark.slow
def test_two_hundred_clients_at_once_each_live_their_own_conversation(tmp_path: Path) -> None:
    callers = [Caller(number=number) for number in range(1, MANY + 1)]
    write(tmp_path / "a.gpr", cassette(*(caller.recording() for caller in callers)))

    async def main() -> tuple[list[set[str]], list[str], api.Replay]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", ids="fresh", patience=60, log=quiet) as replay:
            url = replay.url.replace("http", "ws")
            told = await crowd(url, callers)
            kinds = []
            for late in (callers[0], callers[1], callers[3]):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(url + late.path, additional_headers=late.headers)
                assert refused.value.response.status_code == 424
                kinds.append(json.loads(refused.value.response.body)["error"]["kind"])
            return told, kinds, replay

    told, kinds, replay = run(main(), seconds=30)
    assert Counter(value for ids in told for value in ids).most_common(1)[0][1] == 1
    assert len(told) == MANY
    assert kinds == ["used-up"] * 3
    assert not replay.receipt.unplayed
    assert not replay.receipt.unfinished
    assert len(replay.receipt.missed) == 3


@pytest.mark.slow
def test_of_a_thousand_connections_to_one_recording_one_is_served_and_the_others_are_refused_before_101(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a.gpr", cassette(chat(1, "2 < hello", "3 > hi", "4 < bye"), ask(2, "GET", "/x")))

    async def main() -> tuple[list[bytes], bytes, bytes]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=quiet) as replay:

            async def visit() -> bytes:
                reader, writer = await dial(replay.url)
                writer.write(HANDSHAKE % (b"/ws", b""))
                head = await read_head(reader)
                if b" 101 " in head:
                    writer.write(frame(1, b"hi") + frame(8, b"\x03\xe8"))
                answer = head + await reader.read()
                writer.close()
                return answer

            answers = await asyncio.gather(*(visit() for _ in range(1000)))
            return answers, await exchange(replay.url, GET), str(len(replay.receipt.missed)).encode()

    answers, other, missed = run(main(), seconds=30)
    assert Counter(answer[9:12] for answer in answers) == {b"101": 1, b"424": 999}
    (served,) = (answer for answer in answers if b" 101 " in answer)
    assert b"hello" in served
    assert b"bye" in served
    assert all(b'"kind": "used-up"' in answer for answer in answers if answer != served)
    assert other.startswith(b"HTTP/1.1 200 ")
    assert missed == b"999"


def frame(opcode: int, data: bytes = b"", *, fin: bool = True, length: int | None = None) -> bytes:
    """A masked frame; ``length`` is what it claims to have."""
    size = len(data) if length is None else length
    head = bytes([fin << 7 | opcode])
    head += bytes([0x80 | size]) if size < 126 else b"\xff" + size.to_bytes(8, "big")
    return head + bytes(4) + data


TALK = cassette(
    ask(1, "GET", "/x"),
    chat(2, "5 < hello", '6 > {"type":"hi"}', "7 < bye", path="/ws", close=None),
    chat(3, "5 < hello alice", path="/owned", owner="alice", headers=bearer("alice", 1)),
    chat(4, "5 > rome", "6 < sunny", path="/twins"),
    chat(5, "5 > oslo", "6 < snow", path="/twins"),
    chat(6, "5 < for a", "6 > a", path="/parted"),
    chat(7, "5 < for b", "6 > b", path="/parted"),
)
HI = frame(1, b'{"type":"hi"}')

ON_THE_SOCKET = {
    "binary where text was recorded": (b"/ws", frame(2, b'{"type":"hi"}'), 4409, "mismatch"),
    "half a JSON": (b"/ws", frame(1, b'{"type":'), 4409, "mismatch"),
    "text that is not UTF-8": (b"/ws", frame(1, b'{"type":"\xff"}'), 4400, "malformed"),
    "another message": (b"/ws", frame(1, b'{"type":"ho"}'), 4409, "mismatch"),
    "nothing, for too long": (b"/ws", b"", 4408, "stall"),
    "a message over the limit": (b"/ws", frame(1, b"[", length=64 * 1024 * 1024 + 1), 4413, "too-large"),
    "no frame": (b"/ws", b"\xff" * 20, 4400, "malformed"),
    "more than was recorded": (b"/ws", HI + frame(1, b"and"), 4404, "beyond"),
    "what several could have heard": (b"/parted", b"", 4404, "ambiguous"),
}


def close_of(data: bytes) -> tuple[int, str]:
    """Code and reason of the close frame at the end of what a server sent."""
    at = data.rindex(b"gp-replay: ")
    return int.from_bytes(data[at - 2 : at], "big"), data[at:].decode()


@pytest.mark.parametrize("name", ON_THE_SOCKET)
def test_what_no_recording_has_ends_on_the_socket_by_name_and_the_next_client_is_served(
    name: str, tmp_path: Path
) -> None:
    path, said, code, kind = ON_THE_SOCKET[name]
    write(tmp_path / "a.gpr", TALK)

    async def main() -> tuple[bytes, bytes, list[str]]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", patience=0.05, log=quiet) as replay:
            got = await exchange(replay.url, HANDSHAKE % (path, b"") + said)
            return got, await exchange(replay.url, GET), [miss.kind for miss in replay.receipt.missed]

    got, other, kinds = run(main())
    assert b" 101 " in got
    assert close_of(got)[0] == code
    assert kinds == [kind]
    assert other.startswith(b"HTTP/1.1 200 ")


def test_a_recording_that_another_client_took_meanwhile_is_4410(tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", TALK)

    async def main() -> tuple[bytes, bytes]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=quiet) as replay:
            (reader, writer), (second, other) = await dial(replay.url), await dial(replay.url)
            for each, out in ((reader, writer), (second, other)):
                out.write(HANDSHAKE % (b"/twins", b""))
                await read_head(each)
            writer.write(frame(1, b"oslo") + frame(8, b"\x03\xe8"))
            first = await reader.read()
            other.write(frame(1, b"oslo"))
            refused = await second.read()
            writer.close()
            other.close()
            return first, refused

    first, refused = run(main())
    assert b"snow" in first
    assert close_of(refused)[0] == 4410


TOKENS = {
    "none": b"",
    "another owner's": b"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJldmUifQ.c2lnbmF0dXJl\r\n",
    "one without a payload": b"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9..x\r\n",
    "one whose payload is no JSON": b"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30t.c2ln\r\n",
    "no base64": b"Authorization: Bearer a.\xff\xfe.c\r\n",
    "a sub that is a number": b"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOjd9.c2lnbmF0dXJl\r\n",
    "another scheme": b"Authorization: Basic YWxpY2U6YWxpY2U=\r\n",
}


@pytest.mark.parametrize("name", TOKENS)
def test_a_token_that_names_no_recorded_owner_is_a_424_that_says_so(name: str, tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", TALK)
    mine = b"Authorization: " + bearer("alice", 99)[0][1] + b"\r\n"

    async def main() -> tuple[bytes, bytes]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=quiet) as replay:
            refused = await exchange(replay.url, HANDSHAKE % (b"/owned", TOKENS[name]))
            return refused, await exchange(replay.url, HANDSHAKE % (b"/owned", mine) + frame(8, b"\x03\xe8"))

    refused, served = run(main())
    assert refused.startswith(b"HTTP/1.1 424 ")
    error = json.loads(refused.partition(b"\r\n\r\n")[2])["error"]
    assert error["kind"] == "owner"
    assert "recorded for alice" in error["message"]
    assert b"hello alice" in served


@pytest.mark.parametrize("begun", [frame(1, b'{"ty', fin=False), HI[:9]], ids=["between fragments", "within a frame"])
def test_a_client_that_goes_in_the_middle_of_a_message_has_said_nothing(begun: bytes, tmp_path: Path) -> None:
    write(tmp_path / "a.gpr", TALK)

    async def main() -> tuple[bytes, bytes, api.Replay]:
        async with api.replay(tmp_path / "a.gpr", timing="instant", log=quiet) as replay:
            got = await exchange(replay.url, HANDSHAKE % (b"/ws", b"") + begun, half_close=True)
            return got, await exchange(replay.url, GET), replay

    got, other, replay = run(main())
    assert b"hello" in got
    assert b"bye" not in got
    assert other.startswith(b"HTTP/1.1 200 ")
    assert replay.receipt.unfinished == ("a#2",)
    assert not replay.receipt.missed
