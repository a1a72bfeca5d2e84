"""``gp-replay demo``: the whole loop on shipped data, and a table that is true.

The LLM is replayed from a shipped cassette, the agent runs against it for real, its chat is recorded, the agent is
stopped, the recording is replayed, and what the same client saw both times is compared, message by message and byte
by byte.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from itertools import zip_longest
from pathlib import Path

from gp_replay import api
from gp_replay.demo.agent import serve_agent
from gp_replay.demo.client import ConversationFailed, Seen, SeenMessage, converse
from gp_replay.demo.tokens import DEMO_SECRET, make_token
from gp_replay.errors import CassetteExists, CassetteMissing, CouldNotCheck, DiskFailure, UsageError
from gp_replay.net.clock import utc_seconds

__all__ = ["DemoResult", "Row", "run_demo"]

MAX_LATE_US = 1_000_000
"""Offsets may differ by so much: a busy machine is no difference."""

_CHAT = "chat.gpr"
_LIVE = "live.json"
_USER = "alice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One message of the server, live and replayed.

    Attributes:
        event: its type.
        live_us, replayed_us: offsets since the handshake, or None where the message did not come.
        same: byte for byte equal.
    """

    event: str
    live_us: int | None
    replayed_us: int | None
    same: bool

    @property
    def late(self) -> bool:
        """The offsets are further apart than a busy machine explains."""
        if self.live_us is None or self.replayed_us is None:
            return False
        return abs(self.live_us - self.replayed_us) > MAX_LATE_US


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What the demo found.

    Attributes:
        rows: in order.
        problems: everything that is not as it should be besides differing rows; empty when all is well.
        cassette: where the recording is, or "" when it was not kept.
    """

    rows: tuple[Row, ...]
    problems: tuple[str, ...]
    cassette: str = ""

    @property
    def exit_code(self) -> int:
        """0 only if every message came both times, in order, byte for byte the same, and not much too late."""
        fine = self.rows and not self.problems and all(row.same and not row.late for row in self.rows)
        return 0 if fine else 1

    def text(self) -> str:
        """The table and the verdict."""
        lines = [f"{'event':<24}{'live ms':>11}{'replayed ms':>13}{'apart':>9}  bytes"]
        for row in self.rows:
            apart = (
                f"{(row.replayed_us - row.live_us) / 1000:+.1f}"
                if row.live_us is not None and row.replayed_us is not None
                else "-"
            )
            verdict = "same" if row.same else "DIFFER"
            lines.append(
                f"{row.event:<24}{_ms(row.live_us):>11}{_ms(row.replayed_us):>13}{apart:>9}  {verdict}"
                + ("  LATE" if row.late else "")
            )
        lines.append("")
        differ = sum(not row.same for row in self.rows)
        lines += [f"problem: {problem}" for problem in self.problems]
        if self.exit_code == 0:
            lines.append(f"{len(self.rows)} messages, live and replayed the same, byte for byte and in order")
        else:
            lines.append(f"{differ} of {len(self.rows)} messages differ")
        return "\n".join(lines)

    def plain(self) -> dict[str, object]:
        """As JSON-safe data."""
        return {
            "same": self.exit_code == 0,
            "rows": [asdict(row) for row in self.rows],
            "problems": list(self.problems),
            "cassette": self.cassette,
        }


async def run_demo(
    *, keep: Path | None, again: Path | None, live_llm: str | None, say: Callable[[str], None]
) -> DemoResult:
    """Runs the demo.

    Args:
        keep: where to leave the cassette and what the live client saw, or None.
        again: a folder that ``keep`` filled: only its comparison is repeated.
        live_llm: URL of an OpenAI-compatible LLM to use instead of the shipped cassette, or None.
        say: gets a line for each step.

    Raises:
        CassetteExists: ``keep`` holds a demo already.
        CassetteError: ``again`` holds none, or a broken one.
        CouldNotCheck: the live conversation failed, so that there is nothing to compare.
    """
    if again is not None:
        live, token = _load_live(again / _LIVE)
        say(f"replaying {again / _CHAT}, no agent running")
        return await _compare(again / _CHAT, live, token, kept=True)
    with _folder(keep) as folder:
        token = make_token(_USER, DEMO_SECRET, now=utc_seconds())
        live = await _record(folder / _CHAT, token, live_llm, say)
        if keep is not None:
            _save_live(folder / _LIVE, live, token)
        say("replaying the chat, the agent is stopped")
        return await _compare(folder / _CHAT, live, token, kept=keep is not None)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="gp-replay-demo-") as folder:
            yield Path(folder)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiskFailure(f"{keep} cannot be made: {error.strerror}") from error
    for name in (_CHAT, _LIVE):
        if (keep / name).exists():
            raise CassetteExists(str(keep / name))
    yield keep


@contextlib.asynccontextmanager
async def _llm(live_llm: str | None, say: Callable[[str], None]) -> AsyncIterator[str]:
    if live_llm is not None:
        say(f"asking the LLM at {live_llm}")
        yield live_llm.rstrip("/").removesuffix("/v1")
        return
    with as_file(files("gp_replay.demo") / "llm.gpr") as path:
        async with api.replay(path, log=say) as replay:
            say(f"replaying the LLM from the shipped cassette at {replay.url}")
            yield replay.urls["llm"]
        if replay.receipt.exit_code:
            raise CouldNotCheck(f"the LLM's cassette did not fit: {replay.receipt.verdict}")


async def _record(out: Path, token: str, live_llm: str | None, say: Callable[[str], None]) -> Seen:
    async with _llm(live_llm, say) as llm_url, serve_agent(llm_url=llm_url, secret=DEMO_SECRET) as agent:
        say(f"running the agent at {agent.url}")
        async with api.record(f"chat={agent.url}", out=out) as recording:
            say(f"recording its chat through {recording.url}")
            return await _talk(recording.urls["chat"], token)


async def _talk(url: str, token: str) -> Seen:
    try:
        return await converse(url, token=token, subprotocol=True)
    except ConversationFailed as error:
        raise CouldNotCheck(f"the conversation failed: {error}") from error


async def _compare(cassette: Path, live: Seen, token: str, *, kept: bool) -> DemoResult:
    problems: list[str] = []
    replayed = Seen(messages=(), subprotocol=live.subprotocol, close_code=live.close_code, close_reason="")
    async with api.replay(cassette, log=problems.append) as replay:
        try:
            replayed = await _talk(replay.urls["chat"], token)
        except CouldNotCheck as error:
            problems.append(str(error))
    if not problems:
        for what, one, other in (
            ("subprotocol", live.subprotocol, replayed.subprotocol),
            ("close code", live.close_code, replayed.close_code),
            ("close reason", live.close_reason, replayed.close_reason),
        ):
            if one != other:
                problems.append(f"{what}: live {one!r}, replayed {other!r}")
    rows = tuple(_row(one, other) for one, other in zip_longest(live.messages, replayed.messages))
    return DemoResult(rows=rows, problems=tuple(problems), cassette=str(cassette) if kept else "")


def _row(live: SeenMessage | None, replayed: SeenMessage | None) -> Row:
    shown = live or replayed
    assert shown is not None
    return Row(
        event=shown.type or "(no type)",
        live_us=live.at_us if live else None,
        replayed_us=replayed.at_us if replayed else None,
        same=live is not None and replayed is not None and live.text == replayed.text,
    )


def _save_live(path: Path, seen: Seen, token: str) -> None:
    # The token is signed with the demo's public secret; the client must be able to send the same bytes again.
    try:
        path.write_text(json.dumps({"token": token, **asdict(seen)}, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DiskFailure(f"{path} cannot be written: {error.strerror}") from error


def _load_live(path: Path) -> tuple[Seen, str]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        seen = Seen(
            messages=tuple(SeenMessage(text=str(item["text"]), at_us=int(item["at_us"])) for item in plain["messages"]),
            subprotocol=plain["subprotocol"],
            close_code=plain["close_code"],
            close_reason=str(plain["close_reason"]),
        )
        return seen, str(plain["token"])
    except FileNotFoundError as error:
        raise CassetteMissing(str(path)) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{path} is not what --keep leaves there", hint="gp-replay demo --keep DIR makes it"
        ) from error


def _ms(us: int | None) -> str:
    return "-" if us is None else f"{us / 1000:.1f}"
