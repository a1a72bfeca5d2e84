"""What many users at once cost a replay: choosing, ids, memory for each, a play state of one's own.

Run it: ``python tests/benchmarks/bench_sessions.py``. Times are medians of one run; what counts is how they grow.
"""

from __future__ import annotations

import gc
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dialogue import CLIENT, ask, cassette, chat
from filed import write
from recorded_users import bearer, uuid

from gp_replay.core.bindings import Bindings, Mint
from gp_replay.core.explain import Request
from gp_replay.core.identity import owner_of
from gp_replay.core.matching import Refusal
from gp_replay.core.model import Cassette, Event, Message, Opcode, Protocol, RequestHead
from gp_replay.core.player import Player
from gp_replay.core.rules import Rules
from gp_replay.core.script import Script, compile, server_cast
from gp_replay.core.terms import Terms
from gp_replay.core.timing import Pace
from gp_replay.store import CassetteFile

SIZES = (10, 1_000, 100_000)
ASKED_SECONDS = 4.0
CLIENTS = 1_000
TEXT = "x" * 190


def obj(**members: object) -> str:
    return json.dumps(members, separators=(",", ":"))


def head(path: str, *, owner: str | None = None, websocket: bool = False) -> RequestHead:
    upgrade = ((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"))
    headers = upgrade if websocket else ((b"Content-Type", b"application/json"),)
    return RequestHead(
        at_us=0,
        stream=1,
        side=CLIENT,
        method=b"GET" if websocket else b"POST",
        target=path.encode(),
        version=b"HTTP/1.1",
        headers=headers + (bearer(owner, 5) if owner else ()),
    )


def http(path: str, body: str) -> Request:
    return Request(protocol=Protocol.HTTP, role=None, head=head(path), body=body.encode())


def handshake(path: str, owner: str | None = None) -> Request:
    opening = head(path, owner=owner, websocket=True)
    return Request(protocol=Protocol.WEBSOCKET, role=None, head=opening, owner=owner_of(opening))


def script_of(tape: Cassette) -> Script:
    return compile(tape, server_cast(tape), Rules())


def player_of(script: Script) -> Player:
    return Player([("t", script)], Terms(pace=Pace(factor=0)))


def median_us(works: Iterable[Callable[[], object]]) -> tuple[float, int]:
    """Of as many as there are, or as fit in the time."""
    gc.collect()
    times: list[float] = []
    ends = 0.0
    for work in works:
        began = time.perf_counter()
        ends = ends or began + ASKED_SECONDS
        outcome = work()
        times.append(time.perf_counter() - began)
        assert not isinstance(outcome, Refusal), outcome
        if time.perf_counter() > ends:
            break
    return statistics.median(times) * 1e6, len(times)


def table(name: str, rows: Iterable[tuple[int, float, int]]) -> None:
    base = 0.0
    for size, cost, rounds in rows:
        base = base or cost
        print(f"{name:<46}{size:>8}{cost:>12.1f}{cost / base:>10.2f}{rounds:>8}", flush=True)


# Choosing


@lru_cache(maxsize=1)
def sessions(users: int, *, own: bool) -> Script:
    return script_of(cassette(*(turn for number in range(1, users + 1) for turn in session(number, own=own))))


def session(number: int, *, own: bool) -> list[list[Event]]:
    """Two turns of one user over HTTP; the second says the id the first answer gave, perhaps one of its own too."""
    thread, request = uuid(number * 3), uuid(number * 3 + 1)
    second = obj(thread=thread, q="go on", request=request) if own else obj(thread=thread, q="go on")
    return [
        ask(number * 2 - 1, "POST", "/open", obj(q="hi"), answer=[(1, obj(thread=thread))], at=number),
        ask(number * 2, "POST", "/more", second, answer=[(1, obj(thread=thread, text="x"))], at=number),
    ]


def second_turns(users: int, *, own: bool, shuffled: bool) -> Iterator[Callable[[], object]]:
    """Everybody has opened; then each asks its second question."""
    player = player_of(sessions(users, own=own))
    for number in range(1, users + 1):
        player.open(0, number, http("/open", obj(q="hi")))
        player.tick(0)
        player.leave(0, number)
    order = list(range(1, users + 1))
    if shuffled:
        random.Random(7).shuffle(order)
    for turn, number in enumerate(order[:1000]):
        members = {"thread": uuid(number * 3), "q": "go on"} | ({"request": uuid(9 * 10**6 + turn)} if own else {})
        asked = http("/more", obj(**members))
        live = users + turn + 1
        yield lambda asked=asked, live=live: player.open(0, live, asked)  # type: ignore[misc]


def different(count: int) -> Iterator[Callable[[], object]]:
    tape = cassette(*(ask(n, "POST", "/v1", obj(q=f"question {n}", id=uuid(n)), at=n) for n in range(1, count + 1)))
    player = player_of(script_of(tape))
    for live, number in enumerate(range(1, count + 1, max(1, count // 1000)), 1):
        asked = http("/v1", obj(q=f"question {number}", id=uuid(10**7 + number)))
        yield lambda asked=asked, live=live: player.open(0, live, asked)  # type: ignore[misc]


def connections(count: int, *, path: str) -> Iterator[Callable[[], object]]:
    lines = ("2 < welcome", "3 > I am %d.", "4 < yes")
    tape = cassette(
        *(chat(n, *(line.replace("%d", str(n)) for line in lines), path=path.format(n)) for n in range(1, count + 1))
    )
    player = player_of(script_of(tape))

    def whole(live: int, number: int) -> object:
        outcome = player.open(0, live, handshake(path.format(number)))
        player.tick(0)
        said = Message(at_us=0, stream=1, side=CLIENT, opcode=Opcode.TEXT, data=b"I am %d." % number)
        assert player.receive(0, live, said)
        return outcome

    for live, number in enumerate(range(1, count + 1, max(1, count // 1000)), 1):
        yield lambda live=live, number=number: whole(live, number)  # type: ignore[misc]


def choosing() -> None:
    print(f"{'match and claim, us each':<46}{'recorded':>8}{'us':>12}{'ratio':>10}{'rounds':>8}")
    table("HTTP, all different, an id of its own", ((size, *median_us(different(size))) for size in SIZES))
    kinds = {
        "HTTP, second turn says the id it was told": (False, True),
        "  and one of its own, users in order": (True, False),
        "  and one of its own, users in any order": (True, True),
    }
    for name, (own, shuffled) in kinds.items():
        table(name, ((n, *median_us(second_turns(n // 2, own=own, shuffled=shuffled))) for n in SIZES))
    sessions.cache_clear()
    table("WebSocket, a path each, first answer", ((n, *median_us(connections(n, path="/ws/{}"))) for n in SIZES))
    table("WebSocket, all alike, first answer", ((n, *median_us(connections(n, path="/ws"))) for n in (10, 100, 1000)))


# Ids


def binding() -> None:
    print(f"\n{'ids of one message of 300 bytes, us':<46}{'ids':>8}{'us':>12}{'ratio':>10}{'rounds':>8}")

    def said(count: int, names: int) -> Iterator[Callable[[], object]]:
        bindings = Bindings(mint=Mint(b"seed"))
        for number in range(count):
            bindings.make(b'"%s"' % uuid(number).encode())
        for number in range(names):
            bindings.name(f"recorded-{number}", f"live-{number}")
        for number in range(1000):
            own, new = uuid(number % count), uuid(10**6 + number)
            raw = obj(thread=own, id=new, text=TEXT).encode()

            def one(raw: bytes = raw) -> None:
                bindings.make(raw)
                assert bindings.hear(bindings.say(raw)) == raw

            yield one

    table("made, said and heard", ((size, *median_us(said(size, 0))) for size in SIZES))
    table("  with owners bound (column: owners)", ((size, *median_us(said(10, size))) for size in (1, 100, 10_000)))


# Memory


def talk(number: int, *, owner: str | None) -> list[Event]:
    """Twelve messages of 300 bytes."""
    session = uuid(number)
    lines = [f"1 < {obj(type='welcome', session=session, text=TEXT)}"]
    for turn in range(11):
        arrow, kind = ("<", "answer") if turn % 2 else (">", "question")
        who = f"I am {number}." if turn == 0 else TEXT
        lines.append(f"{turn + 2} {arrow} {obj(type=kind, session=session, text=who, more=TEXT[:60], turn=turn)}")
    return chat(number, *lines, owner=owner, headers=bearer(owner, 1) if owner else ())


def in_the_middle(clients: int, *, owned: bool, turns: int) -> tuple[Player, float]:
    """That many clients in the middle of their conversation, and bytes for each."""
    owners = [f"user-{number}" if owned else None for number in range(1, clients + 1)]
    tape = cassette(*(talk(number, owner=owner) for number, owner in enumerate(owners, 1)))
    with tempfile.TemporaryDirectory() as folder:
        file = CassetteFile.open(write(Path(folder) / "t.gpr", tape))  # what is played is read anew for each client
    player = player_of(script_of(file))
    gc.collect()
    tracemalloc.start()
    for live, owner in enumerate(owners, 1):
        outcome = player.open(0, live, handshake("/ws", owner))
        assert not isinstance(outcome, Refusal), outcome
    player.tick(0)
    for turn in range(0, turns * 2, 2):
        for live in range(1, clients + 1):
            who = f"I am {live}." if turn == 0 else TEXT
            data = obj(type="question", session=uuid(live), text=who, more=TEXT[:60], turn=turn).encode()
            message = Message(at_us=0, stream=1, side=CLIENT, opcode=Opcode.TEXT, data=data)
            assert player.receive(0, live, message)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return player, size / clients


def anatomy(player: Player, clients: int) -> None:
    """What the state of a client is made of: objects that are reached from its stream only, by type."""
    chooser, playing = player._chooser, player._playing
    shared = reached([chooser.recorded, chooser._shelf, Rules, Terms, Player], set())
    seen, sizes, counts = set(shared), Counter[str](), Counter[str]()
    for thing in walk(list(playing.values()), seen):
        sizes[type(thing).__name__] += sys.getsizeof(thing)
        counts[type(thing).__name__] += 1
    total = sum(sizes.values())
    print(f"  {total / clients:,.0f} bytes are reached from its stream:")
    for name, size in sizes.most_common(12):
        print(f"    {name:<16}{size / clients:>9.0f} bytes in {counts[name] / clients:>6.1f} objects")


def reached(roots: list[object], seen: set[int]) -> set[int]:
    for _ in walk(roots, seen):
        pass
    return seen


def walk(roots: list[object], seen: set[int]) -> Iterator[object]:
    waiting = list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type) or type(thing).__name__ in ("module", "function"):
            continue
        seen.add(id(thing))
        yield thing
        waiting += gc.get_referents(thing)


def memory() -> None:
    print(f"\nstate of one client in the middle of 12 messages of 300 bytes, without sockets ({CLIENTS} clients)")
    player, each = in_the_middle(CLIENTS, owned=True, turns=3)
    print(f"a token each: {each:,.0f} bytes a client")
    anatomy(player, CLIENTS)
    print("no tokens, nobody has said who it is yet:")
    for clients in (10, 50, 200):
        player, each = in_the_middle(clients, owned=False, turns=0)
        print(f"  {clients:>4} clients of {clients:>4} recordings: {each:>9,.0f} bytes a client")
    anatomy(player, 200)


def sockets() -> None:
    """Resident memory of a real replay: with connections that say nothing, then with conversations begun."""
    if not Path("/proc/self/status").exists():
        print("\nresident memory: only where there is a /proc")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "t.gpr", cassette(*(talk(n, owner=f"user-{n}") for n in range(1, CLIENTS + 1))))
        command = [sys.executable, "-m", "gp_replay", "replay", str(path), "--timing", "instant", "--patience", "600"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline().strip().rpartition(":")[2])
            resident_of(server.pid, port)
        finally:
            server.terminate()
            server.wait()


def resident_of(pid: int, port: int) -> None:
    def resident() -> float:
        time.sleep(1.0)
        (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def begin(number: int, peer: socket.socket) -> None:
        token = bearer(f"user-{number}", 5)[0][1]
        peer.sendall(
            b"GET /ws HTTP/1.1\r\nHost: me\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: " + token + b"\r\n\r\n"
        )
        got = b""
        while b"welcome" not in got:
            got += peer.recv(65536)
        data = obj(type="question", session=uuid(number), text=f"I am {number}.", more=TEXT[:60], turn=0).encode()
        peer.sendall(b"\x81\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data)
        peer.recv(65536)

    empty = resident()
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(CLIENTS)]
    connected = resident()
    for number, peer in enumerate(idle, 1):
        begin(number, peer)
    talking = resident()
    for peer in idle:
        peer.close()
    print(
        f"\nresident memory with real sockets: {empty / 1e6:.1f} MB without clients; {(connected - empty) / CLIENTS:,.0f} "
        f"bytes for each connection that says nothing, {(talking - connected) / CLIENTS:,.0f} more for its conversation"
    )


# Namespaces


def namespace() -> None:
    streams = (ask(n, "POST", "/v1", obj(q=f"question {n}"), at=n) for n in range(1, 10_001))
    script = script_of(cassette(*streams))
    times = []
    for _ in range(5):
        gc.collect()
        began = time.perf_counter()
        player = player_of(script)
        times.append(time.perf_counter() - began)
    del player
    gc.collect()
    tracemalloc.start()
    player = player_of(script)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"\na play state of 10 000 exchanges: {min(times) * 1e3:.0f} ms, {size / 1e6:.1f} MB")
    del player


def main() -> None:
    choosing()
    binding()
    memory()
    sockets()
    namespace()


if __name__ == "__main__":
    main()
