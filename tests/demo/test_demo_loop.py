"""``gp-replay demo``: its table is true."""

from __future__ import annotations

from pathlib import Path

import pytest
from wire import run

from gp_replay.demo.loop import DemoResult, Row, run_demo
from gp_replay.errors import CassetteExists, CassetteMissing, UsageError
from gp_replay.upkeep import convert


def quiet(line: str) -> None:
    """Nobody listens."""


@pytest.mark.slow
def test_the_whole_loop_and_a_changed_character_is_found_in_its_row(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    result = run(run_demo(keep=kept, again=None, live_llm=None, say=quiet), seconds=60)
    assert result.exit_code == 0, result.text()
    types = [row.event for row in result.rows]
    assert {"connection_established", "agent_started", "agent_thinking", "tool_executing", "tool_completed"} <= set(
        types
    )
    assert types.count("tool_executing") >= 2
    assert types[-1] == "agent_completed"
    with pytest.raises(CassetteExists):
        run(run_demo(keep=kept, again=None, live_llm=None, say=quiet))
    document = convert(kept / "chat.gpr", tmp_path / "chat.yaml")
    text = document.read_text()
    document.write_text(text.replace("4120}", "4121}", 1))
    assert document.read_text() != text
    convert(document, kept / "chat.gpr", force=True)
    changed = run(run_demo(keep=None, again=kept, live_llm=None, say=quiet), seconds=60)
    assert changed.exit_code == 1
    assert [row.event for row in changed.rows if not row.same] == ["tool_completed"]
    assert "DIFFER" in changed.text()


def test_what_keep_never_filled_cannot_be_repeated(tmp_path: Path) -> None:
    with pytest.raises(CassetteMissing):
        run(run_demo(keep=None, again=tmp_path, live_llm=None, say=quiet))
    (tmp_path / "live.json").write_text("[]")
    with pytest.raises(UsageError):
        run(run_demo(keep=None, again=tmp_path, live_llm=None, say=quiet))


def row(live_us: int | None, replayed_us: int | None, *, same: bool = True) -> Row:
    return Row(event="e", live_us=live_us, replayed_us=replayed_us, same=same)


@pytest.mark.parametrize(
    ("rows", "problems", "code"),
    [
        ((row(0, 0),), (), 0),
        ((row(0, 999_999),), (), 0),
        ((row(0, 1_000_001),), (), 1),
        ((row(0, 0, same=False),), (), 1),
        ((row(0, None, same=False),), (), 1),
        ((row(0, 0),), ("subprotocol: …",), 1),
        ((), (), 1),
    ],
)
def test_only_the_same_messages_in_time_are_a_success(
    rows: tuple[Row, ...], problems: tuple[str, ...], code: int
) -> None:
    result = DemoResult(rows=rows, problems=problems)
    assert result.exit_code == code
    assert result.plain()["same"] is (code == 0)
