"""Commands with a deadline, on real processes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_life import Lives
from wire import run

from gp_replay.errors import UsageError
from gp_replay.net.bounded import Ended, kill_group, run_bounded


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    lives = Lives(tmp_path / "lives")
    yield lives
    lives.close()


def shell(*lines: str) -> list[str]:
    return ["sh", "-c", "; ".join(lines)]


def test_code_output_and_variables() -> None:
    ended = run(run_bounded(shell("echo $A", "echo no >&2", "exit 3"), seconds=5, variables={"A": "yes"}))
    assert ended == Ended(code=3, stdout=b"yes\n", stderr=b"no\n")
    assert ended.last_line == "no"
    assert run(run_bounded(shell("kill -9 $$"), seconds=5)).code == 137


def test_the_last_of_much_output_is_kept() -> None:
    ended = run(run_bounded([sys.executable, "-c", "print('x' * 100_000 + 'end')"], seconds=5))
    assert len(ended.stdout) == 65_536
    assert ended.stdout.endswith(b"end\n")


def test_one_that_hangs_is_ended_with_all_it_started(lives: Lives) -> None:
    ended = run(run_bounded(shell(lives.line, "sleep 1000 & sleep 1000"), seconds=0.05, grace_seconds=0))
    assert ended.code is None
    assert lives.all_ended()
    assert lives.began()


def test_one_that_ignores_the_polite_signal_is_killed_after_the_grace(lives: Lives) -> None:
    stubborn = shell("trap '' TERM", lives.line, "sleep 1000")
    assert run(run_bounded(stubborn, seconds=0.05, grace_seconds=0.05)).code is None
    assert lives.all_ended()


@pytest.mark.slow
def test_signals_ask_one_after_the_other() -> None:
    async def main(*signals: int) -> Ended:
        asks = shell("trap 'echo int' INT", "trap 'echo term; exit' TERM", "sleep 1000 & wait; wait; wait")
        return await run_bounded(asks, seconds=0.05, signals=signals, grace_seconds=0.2)

    assert run(main(signal.SIGTERM)).stdout == b"term\n"
    assert run(main(signal.SIGINT, signal.SIGTERM)) == Ended(code=None, stdout=b"int\nterm\n")
    assert run(main(signal.SIGINT)).stdout == b"int\n"


def test_what_a_command_leaves_behind_ends_with_it_or_is_left_where_asked(lives: Lives) -> None:
    async def main() -> None:
        behind = shell(lives.line, "sleep 1000 &")
        left = await run_bounded(behind, seconds=5, leave_running=True)
        assert (left.code, left.group > 0) == (0, True)
        await kill_group(left.group)
        assert (await run_bounded(behind, seconds=5)) == Ended(code=0)
        assert (await run_bounded(shell("true"), seconds=5, leave_running=True)).group == 0

    run(main())
    assert lives.all_ended()
    assert lives.began()


def test_being_cancelled_ends_it_too(lives: Lives) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(run_bounded(shell(lives.line, "sleep 1000 & sleep 1000"), seconds=1000))
        await lives.begun()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert lives.all_ended()


@pytest.mark.parametrize("command", [["no-such-program"], ["/"], ["a\0b"]])
def test_what_cannot_be_run_is_a_usage_error(command: list[str]) -> None:
    with pytest.raises(UsageError, match="cannot run"):
        run(run_bounded(command, seconds=5))
