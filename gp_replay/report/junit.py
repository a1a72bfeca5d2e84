"""JUnit XML, as CI systems read it. Knows nothing of what the cases are about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from gp_replay.report.plain_text import printable

__all__ = ["JunitCase", "junit_xml"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class JunitCase:
    """One case. At most one of `failure`, `error` and `skipped` says something.

    Attributes:
        name: of the case.
        group: what it belongs to (``classname``).
        failure: what was found wrong, or "".
        error: why nothing could be found out, or "".
        skipped: why nothing was looked at, or "".
        output: what else there is to say.
        seconds: how long it took.
    """

    name: str
    group: str
    failure: str = ""
    error: str = ""
    skipped: str = ""
    output: str = ""
    seconds: float = 0.0


def junit_xml(name: str, cases: Sequence[JunitCase]) -> str:
    """A test suite as XML, with a line end.

    Args:
        name: of the suite.
        cases: in order.
    """
    counts = {
        "tests": len(cases),
        "failures": sum(bool(case.failure) for case in cases),
        "errors": sum(bool(case.error) for case in cases),
        "skipped": sum(bool(case.skipped) for case in cases),
    }
    numbers = {key: str(value) for key, value in counts.items()}
    numbers["time"] = f"{sum(case.seconds for case in cases):.3f}"
    root = Element("testsuites", numbers)
    suite = SubElement(root, "testsuite", {"name": _safe(name), **numbers})
    for case in cases:
        where = {"classname": _safe(case.group), "name": _safe(case.name), "time": f"{case.seconds:.3f}"}
        element = SubElement(suite, "testcase", where)
        for tag, text in (("failure", case.failure), ("error", case.error), ("skipped", case.skipped)):
            if text:
                SubElement(element, tag, {"message": _safe(text.partition("\n")[0])}).text = _block(text)
        if case.output:
            SubElement(element, "system-out").text = _block(case.output)
    indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _safe(text: str) -> str:
    return _NOT_XML.sub("\ufffd", printable(text))


def _block(text: str) -> str:
    return "\n".join(_safe(line) for line in text.split("\n"))
