"""Environments that are there, are brought up, or cannot be; and that they are brought down again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from process_life import Lives, program, use_programs
from wire import answering, raw_server, run

from gp_replay.bringing_up import make_ready
from gp_replay.errors import UsageError
from gp_replay.run_settings import load_run_settings

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SERVE = "import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()"


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    lives = Lives(tmp_path / "lives")
    yield lives
    lives.close()


@dataclass
class World:
    """A folder with settings and programs, and what was warned of."""

    folder: Path
    warnings: list[str] = field(default_factory=list)

    async def ready(self, url: str, lines: str = "", *, needs_docker: bool = False) -> str:
        text = f'[environments.docker]\nhosts.chat = "{url}"\n{lines}\n'
        (self.folder / "gp-replay.toml").write_text(text)
        async with AsyncExitStack() as undo:
            return await make_ready(
                load_run_settings(self.folder).environments["docker"],
                needs_docker=needs_docker,
                token="",
                variables={"TOLD": "yes"},
                undo=undo,
                warn=self.warnings.append,
            )

    @property
    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    use_programs(tmp_path / "bin", monkeypatch)
    program(tmp_path / "bin" / "up", f'echo "up-$TOLD" >>{tmp_path}/log')
    program(tmp_path / "bin" / "down", f'echo "down-$TOLD" >>{tmp_path}/log')
    return World(tmp_path)


DEAD = "http://127.0.0.1:9"
BOTH = 'up = "up"\ndown = "down"\ndeadlines.up = 0.2'


def test_what_is_there_already_is_neither_brought_up_nor_down(world: World) -> None:
    async def main() -> str:
        async with raw_server(answering(OK)) as url:
            return await world.ready(url, BOTH)

    assert run(main()) == ""
    assert world.log == []


def test_without_up_what_is_not_there_is_said(world: World) -> None:
    assert run(world.ready(DEAD)) == "chat GET /: connection refused"


def test_docker_comes_first_and_is_needed(world: World) -> None:
    program(world.folder / "bin" / "docker", "echo dead >&2", "exit 1")

    async def main() -> str:
        async with raw_server(answering(OK)) as url:
            return await world.ready(url, needs_docker=True)

    assert run(main()) == "docker info: dead"


def test_all_checks_that_fail_are_named(world: World) -> None:
    checks = 'probe.chat = ["/a", "WS /b"]'
    assert run(world.ready(DEAD, checks)) == "chat GET /a: connection refused; chat WS /b: connection refused"


def test_what_does_not_come_up_is_brought_down(world: World) -> None:
    problem = run(world.ready(DEAD, BOTH))
    assert problem == "chat GET /: connection refused, 0.2 s after up"
    assert world.log == ["up-yes", "down-yes"]


def test_an_up_that_fails_or_hangs_is_said_and_brought_down(world: World, lives: Lives) -> None:
    program(world.folder / "bin" / "up", "echo 'no such image' >&2", "exit 17")
    assert run(world.ready(DEAD, BOTH)) == "up exited with 17: no such image"
    program(world.folder / "bin" / "up", lives.line, "sleep 1000")
    assert run(world.ready(DEAD, BOTH)) == "up took more than 0.2 s"
    assert world.log == ["down-yes", "down-yes"]
    assert lives.all_ended()


@pytest.mark.slow
def test_a_down_that_fails_is_warned_of(world: World) -> None:
    program(world.folder / "bin" / "down", "exit 3")
    run(world.ready(DEAD, BOTH))
    run(world.ready(DEAD, 'up = "up"\ndown = "no-such-program"\ndeadlines.up = 0.1'))
    program(world.folder / "bin" / "down", "sleep 1000")
    run(world.ready(DEAD, BOTH + "\ndeadlines.down = 0.1"))
    assert world.warnings == [
        "down exited with 3",
        "environments.docker.down: cannot run 'no-such-program': No such file or directory; docker may still run",
        "down took more than 0.1 s; docker may still run",
    ]


def test_an_up_that_cannot_be_run_names_its_key(world: World) -> None:
    with pytest.raises(UsageError, match=r"environments\.docker\.up: cannot run 'no-such-program'"):
        run(world.ready(DEAD, 'up = "no-such-program"'))


@pytest.mark.slow
def test_a_server_that_up_left_running_ends_with_the_run(world: World, lives: Lives, unused_port: int) -> None:
    script = world.folder / "serve.py"
    script.write_text(SERVE.format(port=unused_port))
    program(world.folder / "bin" / "up", lives.line, f"{sys.executable} {script} >/dev/null 2>&1 &")
    assert run(world.ready(f"http://127.0.0.1:{unused_port}", 'up = "up"\ndeadlines.up = 5')) == ""
    assert lives.all_ended()
    assert lives.began()


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert isinstance(port, int)
        return port
