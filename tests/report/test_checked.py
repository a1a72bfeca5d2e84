"""What a contract said, for people, machines and CI."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from gp_replay.contracts.findings import Finding, Level
from gp_replay.report.checked import Checked, CheckedCassette, finding_lines

ERROR = Finding(
    rule="HS-2",
    level=Level.ERROR,
    source="a.gpr",
    connection=1,
    message=4,
    at_us=92_431,
    place="data.run_id",
    expected="the welcome first",
    came="chat",
    fix="wait for it",
)
WARNING = replace(ERROR, level=Level.WARNING, message=None, place="", came="\x1b[31mred")
FINE = CheckedCassette(path="fine.gpr", connections=2, messages=118)
BROKEN = CheckedCassette(path="broken.gpr", connections=1, messages=9, findings=(ERROR, WARNING))
WARNED = CheckedCassette(path="warned.gpr", connections=1, messages=1, findings=(WARNING,))
OTHER = CheckedCassette(path="other.gpr", skipped=1)
UNREADABLE = CheckedCassette(path="bad.gpr", problem="bad.gpr: corrupt", hint="restore it")


@pytest.mark.parametrize(
    ("cassettes", "code", "said"),
    [
        (
            (FINE, OTHER),
            0,
            "contract c kept; checked 2 connections and 118 messages in 2 cassettes: 0 errors, 0 warnings",
        ),
        ((WARNED,), 0, "contract c kept; checked 1 connection and 1 message in 1 cassette: 0 errors, 1 warning"),
        ((FINE, BROKEN), 1, "contract c broken; "),
        ((OTHER,), 4, "contract c could not be checked: "),
        ((FINE, BROKEN, UNREADABLE), 3, "contract c could not be checked everywhere: "),
        ((), 4, "contract c could not be checked: "),
    ],
)
def test_the_exit_code_and_the_summary_say_the_same(
    cassettes: tuple[CheckedCassette, ...], code: int, said: str
) -> None:
    checked = Checked(contract="c", cassettes=cassettes)
    assert checked.exit_code == code
    assert checked.summary.startswith(said)


def test_a_finding_says_rule_place_expectation_what_came_and_the_fix() -> None:
    assert list(finding_lines(ERROR)) == [
        "error HS-2: connection 1, message 4, 92.431 ms, data.run_id",
        "  expected  the welcome first",
        "  came      chat",
        "  fix       wait for it",
    ]
    assert next(finding_lines(WARNING)) == "warning HS-2: connection 1, 92.431 ms"


def test_lines_name_each_cassette_and_cannot_drive_a_terminal() -> None:
    lines = list(Checked(contract="c", cassettes=(FINE, BROKEN, OTHER, UNREADABLE)).lines())
    assert lines[0] == "fine.gpr: 2 connections, 118 messages: fine"
    assert lines[1] == "broken.gpr: 1 connection, 9 messages: 1 error, 1 warning"
    assert lines[2] == "  error HS-2: connection 1, message 4, 92.431 ms, data.run_id"
    assert lines[-2:] == [
        "other.gpr: nothing to check: no conversation of this contract (1 other connection)",
        "bad.gpr: bad.gpr: corrupt",
    ]
    assert "\x1b" not in "".join(lines)


def test_json_has_every_finding() -> None:
    plain = Checked(contract="c", cassettes=(BROKEN, UNREADABLE)).plain()
    assert plain["exit_code"] == 3
    cassettes = plain["cassettes"]
    assert isinstance(cassettes, list)
    assert cassettes[0]["findings"] == [ERROR.plain(), WARNING.plain()]
    assert cassettes[1]["problem"] == "bad.gpr: corrupt"


def test_junit_has_a_case_for_each_cassette() -> None:
    checked = Checked(contract="c", cassettes=(FINE, BROKEN, WARNED, OTHER, UNREADABLE))
    (suite,) = ElementTree.fromstring(checked.junit())
    assert [(case.get("name"), [child.tag for child in case]) for case in suite] == [
        ("fine.gpr", ["system-out"]),
        ("broken.gpr", ["failure"]),
        ("warned.gpr", ["system-out"]),
        ("other.gpr", ["skipped", "system-out"]),
        ("bad.gpr", ["error"]),
    ]
    assert "expected  the welcome first" in (suite[1][0].text or "")
    assert "warning HS-2" in (suite[2][0].text or "")
