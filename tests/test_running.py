"""Whole runs on real processes and sockets: who answered, what was counted, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dialogue import ask, cassette, chat
from filed import write
from process_life import Lives, program, use_programs
from wire import answering, dial, raw_server, read_head, run

import gp_replay.api
from gp_replay.errors import UsageError
from gp_replay.running import Surroundings, run_suite
from gp_replay.runs.sources import Wishes
from gp_replay.runs.verdict import Consumed, RunReport, Verdict
from gp_replay.store import CassetteFile

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
TAPE = cassette(
    ask(1, "GET", "/x", answer=[(1, "recorded")], role="chat", owner="alice"), chat(2, "5 < hi", role="llm")
)
FETCH = """
import os, urllib.request as u, urllib.error as e
request = u.Request(os.environ['GP_REPLAY_CHAT_URL'] + '/x')
request.add_header('Authorization', 'Bearer ' + os.environ.get('GP_REPLAY_CHAT_TOKEN', 'none'))
try: answer = u.urlopen(request).read().decode()
except (e.HTTPError, OSError) as error: answer = str(error)
with open('said', 'w') as file: file.write(os.environ['GP_REPLAY_SOURCE'] + ' ' + answer)
"""


@dataclass
class Project:
    """A folder with settings, a cassette, and a docker of our own making."""

    folder: Path
    said: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def settings(self, text: str) -> None:
        (self.folder / "gp-replay.toml").write_text(text)

    def docker(self, *lines: str) -> None:
        program(self.folder / "bin" / "docker", *lines)

    async def run(self, *command: str, around: dict[str, Any] | None = None, **wishes: Any) -> RunReport:
        surroundings = Surroundings(
            folder=self.folder, say=self.said.append, warn=self.warned.append, **{"timing": "instant", **(around or {})}
        )
        return await run_suite(command or (sys.executable, "-c", FETCH), Wishes(**wishes), surroundings)

    @property
    def heard(self) -> str:
        path = self.folder / "said"
        return path.read_text() if path.exists() else ""

    @property
    def takes(self) -> list[Path]:
        return sorted((self.folder / ".gp-replay" / "takes").glob("*"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    use_programs(tmp_path / "bin", monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cassettes").mkdir()
    write(tmp_path / "cassettes" / "a.gpr", TAPE)
    project = Project(tmp_path)
    project.docker("echo 27.1")
    return project


@pytest.fixture
def lives(tmp_path: Path) -> Iterator[Lives]:
    lives = Lives(tmp_path / "lives")
    yield lives
    lives.close()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert isinstance(port, int)
        return port


def environment(name: str, url: str, *lines: str) -> str:
    return "\n".join([f"[environments.{name}]", f'hosts.chat = "{url}"', *lines, ""])


async def closed(url: str) -> bool:
    try:
        await dial(url)
    except ConnectionRefusedError:
        return True
    return False


def test_docker_that_answers_is_used_counted_and_proven(project: Project) -> None:
    async def main() -> RunReport:
        async with raw_server(answering(OK)) as url:
            project.settings(environment("docker", url))
            return await project.run()

    report = run(main())
    assert (report.verdict, report.exit_code, report.source) == (Verdict.PASSED, 0, "docker")
    assert [(role.role, role.source, role.consumed) for role in report.roles] == [
        ("chat", "docker", Consumed(exchanges=1))
    ]
    assert project.heard == "docker ok"
    (take,) = project.takes
    with CassetteFile.open(take) as file:
        assert report.evidence == {str(take): file.digest}
        assert len(file.footer.entries) == 1


def test_docker_that_is_dead_is_could_not_check_with_the_flag_that_falls_back(project: Project) -> None:
    project.docker("echo 'Cannot connect to the Docker daemon' >&2", "exit 1")
    project.settings(environment("docker", "http://127.0.0.1:9"))
    report = run(project.run())
    assert (report.verdict, report.exit_code) == (Verdict.COULD_NOT_CHECK, 4)
    assert report.reason == "no docker: docker info: Cannot connect to the Docker daemon"
    assert report.hint.endswith("--fallback staging,cassette")
    assert (project.heard, project.takes, report.command_exit) == ("", [], None)


def test_docker_that_hangs_cannot_hang_the_run_and_is_killed(project: Project, lives: Lives) -> None:
    project.docker("trap '' TERM", lives.line, "sleep 1000 &", "sleep 1000")
    project.settings(environment("docker", "http://127.0.0.1:9", "deadlines.docker = 0.1"))
    report = run(project.run())
    assert report.reason == "no docker: docker info gave no answer within 0.1 s"
    assert lives.all_ended()
    assert lives.began()


def test_settings_without_the_environment_are_could_not_check(project: Project) -> None:
    assert run(project.run()).reason == "no docker: the settings have no environments.docker"


def test_falling_back_is_only_to_what_is_allowed_and_is_said_and_recorded(project: Project) -> None:
    project.docker("exit 1")
    project.settings(environment("docker", "http://127.0.0.1:9") + environment("staging", "http://127.0.0.1:9"))
    report = run(project.run(fallback=("staging", "cassette")))
    assert (report.verdict, report.source) == (Verdict.PASSED, "cassette")
    assert [probe.source for probe in report.passed_over] == ["docker", "staging"]
    assert project.warned == [
        "docker is not there: docker info: exit code 1",
        "staging is not there: chat GET /: connection refused",
        "falling back to cassette: --fallback allows it",
    ]
    assert project.heard == "cassette recorded"


def test_cassettes_prove_what_was_played_and_give_a_token_for_the_recorded_user(project: Project) -> None:
    report = run(project.run(no_docker=True))
    assert (report.verdict, report.exit_code, project.heard) == (Verdict.PASSED, 0, "cassette recorded")
    by_role = {role.role: role for role in report.roles}
    assert by_role["chat"].consumed == Consumed(exchanges=1)
    assert (by_role["chat"].source, by_role["chat"].where) == ("cassette", "a")
    assert by_role["llm"].where == "none of 1 cassettes was played"
    with CassetteFile.open(project.folder / "cassettes" / "a.gpr") as file:
        assert list(report.evidence.values()) == [file.digest]
    assert project.takes == []


def test_roles_of_the_settings_that_no_cassette_has_are_answered_by_nobody(project: Project) -> None:
    project.settings(environment("docker", "http://127.0.0.1:9", 'hosts.auth = "http://127.0.0.1:9"'))
    report = run(project.run(no_docker=True))
    assert [(role.role, role.source) for role in report.roles] == [
        ("chat", "cassette"),
        ("llm", "cassette"),
        ("auth", "none"),
    ]


@pytest.mark.parametrize("wishes", [{"no_docker": True}, {}], ids=["cassette", "docker"])
def test_a_command_that_consumes_nothing_is_not_green(wishes: dict[str, Any], project: Project) -> None:
    async def main() -> RunReport:
        async with raw_server(answering(OK)) as url:
            project.settings(environment("docker", url))
            return await project.run("true", **wishes)

    report = run(main())
    assert (report.verdict, report.exit_code) == (Verdict.COULD_NOT_CHECK, 4)
    assert report.reason == "nothing was consumed: no client asked"
    assert project.takes == []


def test_a_miss_fails_and_the_commands_own_code_comes_first(project: Project) -> None:
    fetch = FETCH.replace("'/x'", "'/y'")
    report = run(project.run(sys.executable, "-c", fetch, no_docker=True))
    assert (report.verdict, report.exit_code, report.missed) == (Verdict.FAILED, 1, 1)
    report = run(project.run(sys.executable, "-c", fetch + "\nraise SystemExit(7)", no_docker=True))
    assert (report.verdict, report.exit_code) == (Verdict.FAILED, 7)


def test_a_cassette_that_cannot_be_read_is_3(project: Project) -> None:
    (project.folder / "cassettes" / "a.gpr").write_bytes(b"not a cassette")
    report = run(project.run(no_docker=True))
    assert (report.verdict, report.exit_code, report.source) == (Verdict.COULD_NOT_CHECK, 3, "cassette")
    assert "corrupt cassette" in report.reason
    report = run(project.run(no_docker=True, around={"cassettes": [project.folder / "none"]}))
    assert (report.exit_code, "no cassette there" in report.reason) == (3, True)


async def healthy_then_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await read_head(reader)
    if b"GET / " in head:
        writer.write(OK)
        return
    await asyncio.Event().wait()


async def head_then_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
    await asyncio.Event().wait()


def test_staging_that_answers_200_and_then_hangs_is_not_there(project: Project) -> None:
    async def main() -> RunReport:
        async with raw_server(head_then_silent) as url:
            project.settings(environment("staging", url, "deadlines.probe = 0.1"))
            return await project.run(docker_bypass=True)

    report = run(main())
    assert (report.verdict, report.exit_code) == (Verdict.COULD_NOT_CHECK, 4)
    assert report.reason == "no staging: chat GET /: answered 200, and then nothing more within 0.1 s"


@pytest.mark.slow
def test_staging_that_is_healthy_and_then_hangs_ends_at_the_limit_with_all_processes(
    project: Project, lives: Lives
) -> None:
    async def main() -> RunReport:
        async with raw_server(healthy_then_silent) as url:
            project.settings(environment("staging", url))
            around = {"timeout": 0.5}
            command = f"{lives.line}; {sys.executable} fetch.py & wait"
            return await project.run("sh", "-c", command, docker_bypass=True, around=around)

    (project.folder / "fetch.py").write_text(FETCH)
    report = run(main())
    assert (report.verdict, report.exit_code) == (Verdict.COULD_NOT_CHECK, 4)
    assert report.reason == "the command took more than 0.5 s and was ended"
    assert lives.all_ended()
    assert report.consumed == Consumed(unanswered=1)


def test_an_upstream_that_is_gone_when_the_command_asks_was_not_consumed(project: Project) -> None:
    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"GET / " in await read_head(reader):
            writer.write(OK)

    async def main() -> RunReport:
        async with raw_server(dies) as url:
            project.settings(environment("staging", url))
            return await project.run(staging_e2e=True)

    report = run(main())
    assert (report.verdict, report.exit_code) == (Verdict.COULD_NOT_CHECK, 4)
    assert report.reason == "none of 1 requests was answered"


def test_a_role_can_be_a_cassette_while_others_are_live_and_up_is_told_where(project: Project) -> None:
    write(project.folder / "cassettes" / "llm.gpr", cassette(ask(1, "GET", "/x", answer=[(1, "said")], role="llm")))
    fetch = (
        FETCH
        + "\nprint(u.urlopen(os.environ['GP_REPLAY_LLM_URL'] + '/x').read().decode(), os.environ['GP_REPLAY_LLM_SOURCE'], os.environ['GP_REPLAY_URL'] == os.environ['GP_REPLAY_CHAT_URL'], file=open('llm', 'w'))"
    )
    healthy: list[int] = []

    async def second_time(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        healthy.append(1)
        await answering(OK if len(healthy) > 1 else b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")(reader, writer)

    async def main() -> RunReport:
        async with raw_server(second_time) as url:
            up = 'up = ["sh", "-c", "echo $GP_REPLAY_LLM_URL >told"]'
            project.settings(environment("docker", url, 'hosts.llm = "cassette"', up, 'down = "touch downed"'))
            return await project.run(sys.executable, "-c", fetch)

    report = run(main())
    assert (report.verdict, report.source) == (Verdict.PASSED, "docker"), report
    assert {role.role: (role.source, role.consumed) for role in report.roles} == {
        "chat": ("docker", Consumed(exchanges=1)),
        "llm": ("cassette", Consumed(exchanges=1)),
    }
    assert (project.folder / "llm").read_text() == "said cassette True\n"
    assert (project.folder / "told").read_text().startswith("http://127.0.0.1:")
    assert (project.folder / "downed").exists()
    assert len(report.evidence) == 2


@pytest.mark.parametrize("wishes", [{"real_services": True}, {"execution_mode": "nightly"}])
def test_a_role_that_is_a_cassette_is_refused_where_cassettes_are_forbidden(
    wishes: dict[str, Any], project: Project
) -> None:
    project.settings(environment("docker", "http://127.0.0.1:9", 'hosts.llm = "cassette"'))
    with pytest.raises(UsageError, match=r"environments\.docker\.hosts\.llm is a cassette, and --"):
        run(project.run(**wishes))


def test_a_deprecated_host_is_refused_before_anything_is_looked_at(project: Project) -> None:
    project.settings(environment("staging", "https://auth.staging.netrasystems.ai"))
    with pytest.raises(UsageError, match=r"environments\.staging\.hosts\.chat: auth\.staging\.netrasystems\.ai is dep"):
        run(project.run(docker_bypass=True))


def test_the_settings_token_reaches_probe_and_command_and_not_the_take(project: Project) -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(OK)

    async def main() -> RunReport:
        async with raw_server(script) as url:
            project.settings(environment("staging", url, 'token = "tokentokentoken1"'))
            return await project.run(docker_bypass=True)

    assert run(main()).exit_code == 0
    assert [b"Bearer tokentokentoken1" in head for head in heads] == [True, True]
    assert b"tokentokentoken1" not in project.takes[0].read_bytes()


def test_addresses_can_be_chosen_and_one_for_nobody_is_refused(project: Project) -> None:
    around = {"listen": ["chat=127.0.0.1:0", ":0"], "env": [("ELSEWHERE", "{chat}/v1")]}
    show = "import os; print(os.environ['ELSEWHERE'] == os.environ['GP_REPLAY_CHAT_URL'] + '/v1', os.environ['GP_REPLAY_URL'] != os.environ['GP_REPLAY_CHAT_URL'], file=open('said', 'w'))"
    run(project.run(sys.executable, "-c", show, no_docker=True, around=around))
    assert project.heard == "True True\n"
    with pytest.raises(UsageError, match="there is no role 'nobody'"):
        run(project.run(no_docker=True, around={"listen": ["nobody=127.0.0.1:0"]}))


def test_being_cancelled_ends_command_environment_and_ports(project: Project, lives: Lives) -> None:
    async def main() -> bool:
        project.docker("echo 27")
        async with raw_server(answering(OK)) as url:
            project.settings(environment("docker", url))
            task = asyncio.ensure_future(project.run("sh", "-c", f"trap 'exit 1' INT; {lives.line}; sleep 1000 & wait"))
            await lives.begun()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return await closed(project.said[-1].split(" ")[-1])

    assert run(main())
    assert lives.all_ended()


CONVERSE = """
import asyncio, os
from gp_replay.demo.client import converse
seen = asyncio.run(converse(os.environ['GP_REPLAY_CHAT_URL'], token=os.environ['GP_REPLAY_CHAT_TOKEN_ALICE'], subprotocol=True))
with open('said', 'w') as file: file.write(f"{os.environ['GP_REPLAY_SOURCE']} {len(seen.messages)} {seen.close_code}")
"""
MINT = "import time; from gp_replay.demo import tokens as t; print(t.make_token('alice', t.DEMO_SECRET, now=int(time.time())))"


@pytest.mark.slow
def test_the_same_suite_passes_against_a_real_agent_and_against_the_take_of_that_run(
    project: Project, unused_port: int, lives: Lives
) -> None:
    """The agent is brought up for the run and asks a replayed LLM; afterwards the take alone is enough."""
    program(
        project.folder / "bin" / "up",
        lives.line,
        f"{sys.executable} -m gp_replay.demo.agent --listen 127.0.0.1:{unused_port} --llm $GP_REPLAY_LLM_URL &",
    )
    lines = (
        'hosts.llm = "cassette"',
        'probe.chat = "WS /ws"',
        'up = "up"',
        f"owners.alice = {{ command = {json.dumps([sys.executable, '-c', MINT])} }}",
    )
    project.settings(environment("docker", f"http://127.0.0.1:{unused_port}", *lines))
    shipped = Path(gp_replay.__file__).parent / "demo" / "llm.gpr"
    live = run(project.run(sys.executable, "-c", CONVERSE, around={"cassettes": [shipped]}), seconds=30)
    assert (live.verdict, live.source) == (Verdict.PASSED, "docker"), live
    assert lives.all_ended()
    source, messages, close_code = project.heard.split()
    assert (source, close_code) == ("docker", "1000")
    by_role = {role.role: role for role in live.roles}
    assert (by_role["chat"].source, by_role["llm"].source) == ("docker", "cassette")
    assert by_role["chat"].consumed.connections == 1
    assert by_role["chat"].consumed.messages > int(messages)  # the client's are counted too

    around = {"cassettes": project.takes}
    replayed = run(project.run(sys.executable, "-c", CONVERSE, no_docker=True, around=around))
    assert (replayed.verdict, project.heard) == (Verdict.PASSED, f"cassette {messages} {close_code}"), replayed
    consumed = {role.role: role.consumed for role in replayed.roles}
    assert consumed["chat"] == by_role["chat"].consumed


def test_programs_without_an_event_loop_can_run_a_suite(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    report = gp_replay.run([sys.executable, "-c", FETCH], gp_replay.api.Wishes(no_docker=True))
    assert (report.exit_code, report.source, project.heard) == (0, "cassette", "cassette recorded")
    out, err = capfd.readouterr()
    assert (out, err.startswith("cassette: chat http://127.0.0.1:")) == ("", True)
