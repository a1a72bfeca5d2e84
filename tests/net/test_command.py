"""The command behind ``--``: its variables, its code, and its end with ours."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest
from wire import run

from gp_replay.errors import UsageError
from gp_replay.net.command import Stopped, run_command


def code_of(script: str, *, variables: dict[str, str] | None = None) -> int:
    async def main() -> int:
        with Stopped() as stopped:
            return await run_command([sys.executable, "-c", script], variables or {}, stopped)

    return run(main())


def test_its_code_is_passed_on() -> None:
    assert code_of("pass") == 0
    assert code_of("raise SystemExit(7)") == 7
    assert code_of("import os, signal; os.kill(os.getpid(), signal.SIGKILL)") == 137


def test_it_gets_the_variables() -> None:
    assert code_of("import os; raise SystemExit(int(os.environ['CODE']))", variables={"CODE": "5"}) == 5


def test_a_program_that_is_not_there_is_a_usage_error() -> None:
    async def main() -> int:
        with Stopped() as stopped:
            return await run_command(["no-such-program"], {}, stopped)

    with pytest.raises(UsageError, match="no-such-program"):
        run(main())


def test_when_we_are_told_to_stop_so_is_the_command() -> None:
    async def main() -> int:
        with Stopped() as stopped:
            asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGTERM)
            return await run_command([sys.executable, "-c", "import time; time.sleep(60)"], {}, stopped)

    assert run(main()) == 143
