"""`diff`: what differs between two cassettes, from streams down to JSON paths.

Streams are aligned by protocol, role, owner, method and path, and among those by their requests and order. Ids and
times count as differences, but are marked volatile, so that a reader can tell noise from change. Timing is a summary.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

from gp_replay.core.aligning import align
from gp_replay.core.canonical import path_of, request_key
from gp_replay.core.model import Cassette, End, Header, Piece, RequestHead, Side, StreamEntry
from gp_replay.core.rules import Rules
from gp_replay.core.shapes import shape_of
from gp_replay.report.diff_streams import Difference, Kind, stream_differences
from gp_replay.report.plain_text import excerpt, milliseconds, printable

__all__ = ["Diff", "Finding", "diff_cassettes", "diff_lines", "diff_plain"]

_MAX_TARGET = 80
_FORM_BYTES = 16

_Paired: TypeAlias = "tuple[StreamEntry | None, StreamEntry | None]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference, and where it is.

    Attributes:
        a, b: labels of the stream in the first and in the second cassette; "" where it has none, or the difference is
            one of the cassettes as a whole.
        difference: see there; of kind STREAM where one of the labels is "".
    """

    a: str
    b: str
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """What differs between two cassettes.

    Attributes:
        a, b: what they are, for people.
        findings: those of the cassettes as a whole, then by stream in the first cassette's order, then streams that
            only the second has.
        streams: number of streams that both have.
        took_us: how long these streams took in each cassette, added up; no difference, whatever it says.
    """

    a: str
    b: str
    findings: tuple[Finding, ...]
    streams: int
    took_us: tuple[int, int]

    @property
    def same(self) -> bool:
        """Nothing differs but times of events; not even an id."""
        return not self.findings

    @property
    def volatile(self) -> int:
        """How many findings are volatile."""
        return sum(bool(finding.difference.volatile) for finding in self.findings)


def diff_cassettes(a: Cassette, b: Cassette) -> Diff:
    """What differs between two cassettes; two streams at a time are in memory.

    Names, times of recording, revisions, labels and the other facts about a recording are no differences. Owners that
    differ make different streams.

    Raises:
        CassetteCorrupt: a cassette's bytes are not what its index promises.
    """
    findings = [Finding(a="", b="", difference=difference) for difference in _facts(a, b)]
    streams, took_a, took_b = 0, 0, 0
    for one, other in _paired(a, b):
        labels = "" if one is None else _label(one), "" if other is None else _label(other)
        if one is None or other is None:
            found: Iterator[Difference] | list[Difference] = [_alone(one, other)]
        else:
            found = stream_differences(a.events(one.stream), b.events(other.stream))
            streams += 1
            took_a += one.ended_us - one.opened_us
            took_b += other.ended_us - other.opened_us
        findings += [Finding(a=labels[0], b=labels[1], difference=difference) for difference in found]
    return Diff(
        a=_title(a.header), b=_title(b.header), findings=tuple(findings), streams=streams, took_us=(took_a, took_b)
    )


def diff_lines(diff: Diff) -> Iterator[str]:
    """The differences as lines without line ends, safe to print.

    A volatile value that recurs in a stream, like an id in every event, is told once; `diff_plain` tells all.
    """
    yield f"A  {diff.a}"
    yield f"B  {diff.b}"
    for (label_a, label_b), group in groupby(diff.findings, key=lambda finding: (finding.a, finding.b)):
        yield ""
        yield from _heading(label_a, label_b)
        for difference, times in _merged(group):
            yield from _difference_lines(difference, times)
    took_a, took_b = diff.took_us
    yield ""
    took = f"they took {milliseconds(took_a)} ms in A, {milliseconds(took_b)} ms in B"
    yield f"{_count(diff.streams, 'stream')} in both; {took}"
    volatile = f", {diff.volatile} of them volatile" if diff.volatile else ""
    yield f"{_count(len(diff.findings), 'difference')}{volatile}" if diff.findings else "no differences"


def diff_plain(diff: Diff) -> dict[str, object]:
    """The differences as JSON-safe data."""
    return {
        "same": diff.same,
        "a": diff.a,
        "b": diff.b,
        "streams": diff.streams,
        "took_us": list(diff.took_us),
        "volatile": diff.volatile,
        "differences": [
            {
                "kind": finding.difference.kind.value,
                "stream_a": finding.a,
                "stream_b": finding.b,
                "place": finding.difference.place,
                "a": finding.difference.a,
                "b": finding.difference.b,
                "volatile": finding.difference.volatile,
            }
            for finding in diff.findings
        ],
    }


def _facts(a: Cassette, b: Cassette) -> Iterator[Difference]:
    facts = [
        ("redaction", [", ".join(sorted(set(cassette.header.redaction))) for cassette in (a, b)]),
        ("exit code of the command", [str(cassette.footer.exit_code) for cassette in (a, b)]),
    ]
    for place, (one, other) in facts:
        if one != other:
            yield Difference(kind=Kind.CASSETTE, place=place, a=printable(one), b=printable(other))


def _paired(a: Cassette, b: Cassette) -> list[_Paired]:
    groups: dict[Hashable, tuple[list[StreamEntry], list[StreamEntry]]] = {}
    for which, cassette in enumerate((a, b)):
        for entry in cassette.footer.entries:
            groups.setdefault(_purpose(entry), ([], []))[which].append(entry)
    cached = bool(a.footer.fingerprint) and a.footer.fingerprint == b.footer.fingerprint
    pairs: list[_Paired] = []
    for ones, others in groups.values():
        if len(ones) == len(others) == 1:
            pairs.append((ones[0], others[0]))
            continue
        keys_a, keys_b = (
            [entry.key[:_FORM_BYTES] if cached and entry.key else _form(cassette, entry) for entry in entries]
            for cassette, entries in ((a, ones), (b, others))
        )
        for i, j in align(keys_a, keys_b, same=lambda key: key, like=lambda _: None):
            pairs.append((None if i is None else ones[i], None if j is None else others[j]))
    return sorted(pairs, key=lambda pair: [entry.stream if entry else math.inf for entry in pair])


def _purpose(entry: StreamEntry) -> Hashable:
    path = "/".join(f"<{shape}>" if (shape := shape_of(part)) else part for part in path_of(entry.target).split("/"))
    return entry.protocol, entry.role, entry.owner, entry.method, path


def _form(cassette: Cassette, entry: StreamEntry) -> bytes:
    """Digest of the request's canonical form, b"" where its head was never seen."""
    events = cassette.events(entry.stream)
    request = [event for event in events if event.side is Side.CLIENT and isinstance(event, RequestHead | Piece | End)]
    if not any(isinstance(event, RequestHead) for event in request):
        return b""
    return request_key(Rules(), entry.role, request)[:_FORM_BYTES]


def _alone(a: StreamEntry | None, b: StreamEntry | None) -> Difference:
    shown = [
        None if entry is None else f"{entry.status or 'no response'}, {_count(entry.events, 'event')}"
        for entry in (a, b)
    ]
    return Difference(kind=Kind.STREAM, place="stream", a=shown[0], b=shown[1])


def _title(header: Header) -> str:
    return printable(f"{header.name}  revision {header.revision}  recorded {header.recorded_at}")


def _label(entry: StreamEntry) -> str:
    target = excerpt(entry.target, max_characters=_MAX_TARGET)
    owner = "" if entry.owner is None else f"  owner {printable(entry.owner)}"
    request = f"{printable(entry.method)} {target}" if entry.method else "no request"
    return f"stream {entry.stream}  {entry.protocol.name.lower()}  {printable(entry.role)}{owner}  {request}"


def _heading(a: str, b: str) -> Iterator[str]:
    match a, b:
        case "", "":
            yield "cassette"
        case _, "":
            yield f"only in A: {a}"
        case "", _:
            yield f"only in B: {b}"
        case _ if a == b:
            yield a
        case _:
            yield f"A {a}"
            yield f"B {b}"


def _merged(findings: Iterable[Finding]) -> Iterable[tuple[Difference, int]]:
    """Differences with how often they occur: volatile ones with the same values are one, at their first place."""
    merged: dict[Hashable, tuple[Difference, int]] = {}
    for number, finding in enumerate(findings):
        found = finding.difference
        key: Hashable = (found.a, found.b) if found.volatile in ("id", "time") else number
        first, times = merged.get(key, (found, 0))
        merged[key] = (first, times + 1)
    return merged.values()


def _difference_lines(difference: Difference, times: int) -> Iterator[str]:
    volatile = f"  (volatile: {difference.volatile})" if difference.volatile else ""
    if times > 1:
        volatile += f"  and at {_count(times - 1, 'more place')}"
    if difference.kind is Kind.STREAM:
        yield f"    {difference.a or difference.b}"
        return
    yield f"    {difference.kind.value}  {difference.place}{volatile}"
    for side, value in (("A", difference.a), ("B", difference.b)):
        yield f"        {side}  " + ("(not there)" if value is None else value or "(empty)")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" + ("" if number == 1 else "s")
