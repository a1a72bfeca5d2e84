"""Tools: each beginning has its end, by id, or by name in order if one of the two has no id."""

from __future__ import annotations

import pytest
from conversations import RUN, WELCOME, findings, rules, spoken


def paired(*tools: str) -> list[str]:
    """``+t1`` begins tool t with id 1, ``-t1`` ends it; without a digit there is no id."""
    lines = []
    for at, tool in enumerate(tools, start=31):
        kind = "tool_executing" if tool[0] == "+" else "tool_completed"
        key = f" execution_id=ex_{tool[2:]}" if tool[2:] else ""
        lines.append(f"{at} < {kind} run_id=r1 tool={tool[1]} results=1{key}")
    return rules(spoken(WELCOME, *RUN[:3], *lines, RUN[3]))


@pytest.mark.parametrize(
    "tools",
    [
        "+a1 -a1",
        "+a1 +b2 -a1 -b2",
        "+a1 +a2 -a2 -a1",
        "+a +b -b -a",
        "+a +a -a -a",
        "+a1 -a",
        "+a -a1",
        "+a1 +a -a7 -a1",
        "+a1 -a1 +a2 -a2",
    ],
)
def test_pairs_are_found_in_any_order(tools: str) -> None:
    assert paired(*tools.split()) == []


@pytest.mark.parametrize(
    ("tools", "count"),
    [
        ("+a1", 1),
        ("-a1", 1),
        ("-a", 1),
        ("-a1 +a1", 2),
        ("+a1 -a2", 2),
        ("+a1 -b1", 1),
        ("+a -b", 2),
        ("+a1 -a1 -a1", 1),
        ("+a1 +a1 -a1", 1),
        ("+a1 -a1 +a1 -a1", 2),
        ("+a1 +b2 -a1", 1),
    ],
)
def test_what_is_not_paired_is_found(tools: str, count: int) -> None:
    assert paired(*tools.split()) == ["tool_executing.paired"] * count


def test_pairs_do_not_cross_runs() -> None:
    second = [line.replace("r1", "r2").replace("content=Hello_there", "content=Again") for line in RUN]
    begins = "35 < tool_executing run_id=r1 tool=t execution_id=ex_1"
    ends = "35 < tool_completed run_id=r2 tool=t execution_id=ex_1 results=1"
    later = [f"{100 + int(line.split()[0])} {line.split(maxsplit=1)[1]}" for line in (*second[:3], ends, second[3])]
    found = findings([spoken(WELCOME, *RUN[:3], begins, RUN[3], *later)])
    assert [finding.rule for finding in found] == ["tool_executing.paired"] * 2
    assert "open: none" in found[1].came


def test_beginnings_without_end_do_not_pile_up() -> None:
    lines = [f"{31 + at / 100} < tool_executing run_id=r1 tool=t execution_id=ex_{at}" for at in range(300)]
    assert len(rules(spoken(WELCOME, *RUN[:3], *lines, RUN[3]))) >= 200
