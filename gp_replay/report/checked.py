"""What a contract said about cassettes, for people, for machines and for CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gp_replay.contracts.findings import Finding, Level
from gp_replay.report.junit import JunitCase, junit_xml
from gp_replay.report.plain_text import milliseconds, printable

__all__ = ["Checked", "CheckedCassette", "finding_lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedCassette:
    """What was found in one cassette.

    Attributes:
        path: of it.
        connections: how many were checked.
        messages: how many of theirs.
        skipped: WebSocket connections that are none of the contract's.
        findings: in the order they were found.
        problem: why it could not be read, or "".
        hint: what to do about that, or "".
    """

    path: str
    connections: int = 0
    messages: int = 0
    skipped: int = 0
    findings: Sequence[Finding] = ()
    problem: str = ""
    hint: str = ""

    @property
    def errors(self) -> int:
        """Findings that break the contract."""
        return sum(finding.level is Level.ERROR for finding in self.findings)

    @property
    def counts(self) -> str:
        """One line for people."""
        if self.problem:
            return self.problem
        if not self.connections:
            return f"nothing to check: no conversation of this contract ({_many(self.skipped, 'other connection')})"
        found = Counter(finding.level for finding in self.findings)
        said = [_many(found[level], level.value) for level in Level if found[level]]
        checked = f"{_many(self.connections, 'connection')}, {_many(self.messages, 'message')}"
        return f"{checked}: {', '.join(said) or 'fine'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found in all of them.

    Attributes:
        contract: its name.
        cassettes: in order.
    """

    contract: str
    cassettes: Sequence[CheckedCassette]

    @property
    def findings(self) -> Sequence[Finding]:
        """Of all cassettes."""
        return [finding for cassette in self.cassettes for finding in cassette.findings]

    @property
    def exit_code(self) -> int:
        """3 when a cassette cannot be read, else 1 with an error, else 4 when nothing was checked, else 0."""
        if any(cassette.problem for cassette in self.cassettes):
            return 3
        if any(cassette.errors for cassette in self.cassettes):
            return 1
        return 0 if any(cassette.connections for cassette in self.cassettes) else 4

    @property
    def summary(self) -> str:
        """One line for people."""
        connections = sum(cassette.connections for cassette in self.cassettes)
        messages = sum(cassette.messages for cassette in self.cassettes)
        found = Counter(finding.level for finding in self.findings)
        verdict = {
            0: "kept",
            1: "broken",
            3: "could not be checked everywhere: a cassette cannot be read",
            4: "could not be checked: there is no conversation it is about",
        }[self.exit_code]
        return (
            f"contract {printable(self.contract)} {verdict}; checked {_many(connections, 'connection')} and "
            f"{_many(messages, 'message')} in {_many(len(self.cassettes), 'cassette')}: "
            f"{', '.join(_many(found[level], level.value) for level in (Level.ERROR, Level.WARNING))}"
        )

    def lines(self) -> Iterator[str]:
        """Every cassette and what was found in it, safe to print."""
        for cassette in self.cassettes:
            yield printable(f"{cassette.path}: {cassette.counts}")
            for finding in cassette.findings:
                yield from ("  " + line for line in finding_lines(finding))

    def plain(self) -> dict[str, object]:
        """As JSON-safe data."""
        return {
            "contract": self.contract,
            "exit_code": self.exit_code,
            "summary": self.summary,
            "cassettes": [
                {
                    "path": cassette.path,
                    "connections": cassette.connections,
                    "messages": cassette.messages,
                    "skipped": cassette.skipped,
                    "problem": cassette.problem,
                    "findings": [finding.plain() for finding in cassette.findings],
                }
                for cassette in self.cassettes
            ],
        }

    def junit(self) -> str:
        """As JUnit XML, a case for each cassette."""
        return junit_xml(f"gp-replay check {self.contract}", [self._case(cassette) for cassette in self.cassettes])

    def _case(self, cassette: CheckedCassette) -> JunitCase:
        text = "\n".join(line for finding in cassette.findings for line in finding_lines(finding))
        return JunitCase(
            name=cassette.path,
            group=f"gp_replay.check.{self.contract}",
            failure=f"{cassette.counts}\n{text}" if cassette.errors else "",
            error=cassette.problem,
            skipped="" if cassette.connections or cassette.problem or cassette.errors else cassette.counts,
            output="" if cassette.errors or cassette.problem else "\n".join(filter(None, (cassette.counts, text))),
        )


def finding_lines(finding: Finding) -> Iterator[str]:
    """A finding for people: where it is, what was expected, what came, what to do."""
    where = [f"connection {finding.connection}"]
    if finding.message is not None:
        where.append(f"message {finding.message}")
    where.append(f"{milliseconds(finding.at_us)} ms")
    if finding.place:
        where.append(finding.place)
    yield printable(f"{finding.level.value} {finding.rule}: {', '.join(where)}")
    yield printable(f"  expected  {finding.expected}")
    yield printable(f"  came      {finding.came}")
    yield printable(f"  fix       {finding.fix}")


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
