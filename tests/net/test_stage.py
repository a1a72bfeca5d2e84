"""The stage: what is due is said, in one go for each connection, and one timer is enough."""

from __future__ import annotations

import asyncio

from dialogue import SERVER, ask, cassette
from wire import run

from gp_replay.core.acts import Action, Send
from gp_replay.core.explain import Request
from gp_replay.core.matching import Difference, Refusal
from gp_replay.core.model import Protocol, RequestHead
from gp_replay.core.rules import Rules
from gp_replay.core.script import compile
from gp_replay.core.terms import Terms
from gp_replay.core.timing import Pace
from gp_replay.net.stage import Stage


class Listener:
    def __init__(self) -> None:
        self.batches: list[list[Action]] = [[]]
        self.heard = asyncio.Event()

    def carry_out(self, action: Action) -> None:
        self.batches[-1].append(action)

    def drop(self) -> None:
        raise AssertionError("nothing is wrong with it")

    def flush(self) -> None:
        self.batches.append([])
        self.heard.set()


def stage(pace: Pace, log: list[str] | None = None) -> tuple[Stage, Request]:
    tape = cassette(ask(1, "GET", "/x", answer=[(1, "a"), (30, "b")]))
    head = next(event for event in tape.events(1) if isinstance(event, RequestHead))
    script = compile(tape, {"default": SERVER}, Rules())
    return Stage([("tape", script)], terms=Terms(pace=pace), log=(log if log is not None else []).append), Request(
        protocol=Protocol.HTTP, role=None, head=head
    )


def test_all_that_is_due_at_one_moment_is_flushed_once() -> None:
    async def main() -> list[int]:
        there, request = stage(Pace(factor=0))
        listener = Listener()
        there.player.open(there.clock.now_us(), there.attach(listener), request)
        there.poll()
        there.close()
        return [len(batch) for batch in listener.batches if batch]

    assert run(main()) == [5]


def test_the_timer_says_the_rest_in_its_time() -> None:
    async def main() -> int:
        there, request = stage(Pace())
        listener = Listener()
        there.player.open(there.clock.now_us(), there.attach(listener), request)
        there.poll()
        while not any(
            isinstance(action, Send) and type(action.event).__name__ == "End"
            for batch in listener.batches
            for action in batch
        ):
            listener.heard.clear()
            await listener.heard.wait()
        there.close()
        return len([batch for batch in listener.batches if batch])

    assert run(main()) >= 2


def test_a_refusal_is_logged_with_all_a_person_needs() -> None:
    lines: list[str] = []
    there, _ = stage(Pace(), lines)
    there.say(
        Refusal(
            kind="no-match",
            reason="GET /y",
            close_code=4404,
            nearest="tape#1",
            differences=(Difference(place="body.a", recorded="1", live="2"),),
            rule='[[volatile]]\nat = "body.a"\n',
            hint="do this",
        )
    )
    assert lines == [
        "miss: GET /y\n  nearest: tape#1\n  body.a: recorded '1', live '2'\n  rule: [[volatile]]\n  rule: at = \"body.a\"\n  hint: do this"
    ]


def test_a_closed_stage_sets_no_timer_when_its_last_clients_leave() -> None:
    async def main() -> tuple[int, object]:
        there, request = stage(Pace())
        listener = Dropped()
        there.player.open(there.clock.now_us(), there.attach(listener), request)
        there.poll()
        there.close()
        there.drop_all()
        there.act([])
        return listener.dropped, there._timer

    assert run(main()) == (1, None)


class Dropped(Listener):
    dropped = 0

    def drop(self) -> None:
        self.dropped += 1
