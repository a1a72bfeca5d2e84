"""JUnit XML: well formed whatever is in it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from gp_replay.report.junit import JunitCase, junit_xml


def test_a_suite_counts_its_cases() -> None:
    cases = [
        JunitCase(name="a", group="g", seconds=1.5, output="fine"),
        JunitCase(name="b", group="g", failure="broken\nby this"),
        JunitCase(name="c", group="g", error="cannot be read"),
        JunitCase(name="d", group="g", skipped="nothing there"),
    ]
    root = ElementTree.fromstring(junit_xml("suite", cases))
    assert root.tag == "testsuites"
    (suite,) = root
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped", "time")} == {
        "name": "suite",
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
        "time": "1.500",
    }
    assert [[child.tag for child in case] for case in suite] == [["system-out"], ["failure"], ["error"], ["skipped"]]
    failure = suite[1][0]
    assert (failure.get("message"), failure.text) == ("broken", "broken\nby this")


@pytest.mark.parametrize("text", ["<&>\"']]>", "\x00\x1b[31m\ud800\ufffe\U0001f600", "a\tb\r\nc"])
def test_hostile_text_makes_no_hostile_xml(text: str) -> None:
    case = JunitCase(name=text, group=text, failure=text, output=text)
    root = ElementTree.fromstring(junit_xml(text, [case]).encode("utf-8"))
    assert "\x1b" not in "".join(root.itertext())
    assert len(root[0]) == 1
