"""The report of a run: for people, as JSON-safe data, and as JUnit XML."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from xml.etree import ElementTree

from gp_replay.report.plain_text import printable
from gp_replay.runs.verdict import Consumed, RunReport, Verdict

__all__ = ["run_junit", "run_lines", "run_plain"]

_VERSION = 1


def run_lines(report: RunReport) -> Iterator[str]:
    """Lines for people, the verdict last; safe to print."""
    for role in report.roles:
        yield printable(f"{role.role}: {role.source} ({role.where}): {role.consumed}")
    for probe in report.passed_over:
        yield printable(f"not there: {probe.source}: {probe.problem}")
    for path, digest in report.evidence.items():
        yield printable(f"evidence: {path} ({digest[:16]})")
    for note in report.notes:
        yield printable(f"note: {note}")
    source = f" against {report.source}" if report.source else ""
    yield printable(f"{report.verdict}{source} ({report.because}): {report.reason}")
    if report.hint:
        yield ""
        yield printable(f"hint: {report.hint}")


def run_plain(report: RunReport) -> dict[str, object]:
    """As JSON-safe data."""
    return {
        "version": _VERSION,
        "verdict": report.verdict.value,
        "exit_code": report.exit_code,
        "reason": report.reason,
        "hint": report.hint,
        "source": report.source,
        "because": report.because,
        "command": list(report.command),
        "command_exit": report.command_exit,
        "seconds": round(report.seconds, 3),
        "roles": {
            role.role: {"source": role.source, "where": role.where, **_counts(role.consumed)} for role in report.roles
        },
        "consumed": _counts(report.consumed),
        "passed_over": [{"source": probe.source.value, "problem": probe.problem} for probe in report.passed_over],
        "missed": report.missed,
        "evidence": dict(report.evidence),
        "notes": list(report.notes),
        "interrupted": report.interrupted,
        "nightly": report.nightly,
    }


def _counts(consumed: Consumed) -> dict[str, int]:
    return {
        "exchanges": consumed.exchanges,
        "connections": consumed.connections,
        "messages": consumed.messages,
        "unanswered": consumed.unanswered,
    }


def run_junit(report: RunReport) -> str:
    """One suite with one case, its command; who answered each role is in the properties."""
    suite = ElementTree.Element(
        "testsuite",
        name="gp-replay run",
        tests="1",
        failures=str(int(report.verdict is Verdict.FAILED)),
        errors=str(int(report.verdict is Verdict.COULD_NOT_CHECK)),
        skipped="0",
        time=f"{report.seconds:.3f}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(report):
        ElementTree.SubElement(properties, "property", name=printable(name), value=printable(value))
    name = printable(shlex.join(report.command))
    case = ElementTree.SubElement(
        suite, "testcase", classname=f"gp-replay.{report.source or 'none'}", name=name, time=f"{report.seconds:.3f}"
    )
    kind = {Verdict.FAILED: "failure", Verdict.COULD_NOT_CHECK: "error"}.get(report.verdict)
    if kind is not None:
        ElementTree.SubElement(case, kind, message=printable(report.reason), type=report.verdict.value)
    ElementTree.SubElement(case, "system-out").text = "\n".join(run_lines(report))
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _properties(report: RunReport) -> Iterator[tuple[str, str]]:
    yield "gp-replay.verdict", report.verdict.value
    yield "gp-replay.source", report.source or "none"
    yield "gp-replay.because", report.because
    for role in report.roles:
        yield f"gp-replay.role.{role.role}", f"{role.source} ({role.where}): {role.consumed}"
    for probe in report.passed_over:
        yield f"gp-replay.passed-over.{probe.source}", probe.problem
    for path, digest in report.evidence.items():
        yield f"gp-replay.evidence.{path}", digest
