"""Looking after cassettes: list, show, diff, check, convert, learn. What the commands of the same names do."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gp_replay.contracts.checking import Checker
from gp_replay.contracts.contract import Contract
from gp_replay.contracts.findings import Finding
from gp_replay.contracts.said import said_in
from gp_replay.core.canonical import fingerprint, request_key
from gp_replay.core.document import ordered_events, to_document
from gp_replay.core.document_reading import document_facts, from_document
from gp_replay.core.index import MemoryCassette
from gp_replay.core.learning import learn as lesson_of
from gp_replay.core.model import Event, Header, Origin
from gp_replay.core.profile import Profile
from gp_replay.errors import (
    CassetteCorrupt,
    CassetteError,
    CassetteExists,
    CassetteMissing,
    CouldNotCheck,
    DiskFailure,
    UsageError,
)
from gp_replay.interop.documents import dump_json, dump_yaml, load_json, load_yaml
from gp_replay.report.checked import Checked, CheckedCassette
from gp_replay.report.diff import Diff, diff_cassettes
from gp_replay.report.lessons import Taught
from gp_replay.report.listing import Listing, listing, redaction_is_off, rows_json, table, unreadable
from gp_replay.report.show import show_json, show_lines
from gp_replay.settings import load_contract, load_profile, load_rules, own_rules, profile_path
from gp_replay.store import CassetteFile, CassetteWriter, find_cassettes, find_unfinished, repair

__all__ = ["Found", "check", "convert", "diff", "learn", "list_cassettes", "redaction_warning", "repair", "show"]

_CONTENT = "content"
_SUFFIXES = (".gpr", ".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What `list_cassettes` found.

    Attributes:
        rows: one for each file, readable or not.
        unfinished: left-over ``.part`` files.
    """

    rows: Sequence[Listing]
    unfinished: Sequence[Path]

    @property
    def text(self) -> str:
        """The table."""
        return table(self.rows).rstrip("\n")

    @property
    def plain(self) -> list[dict[str, object]]:
        """The table as JSON-safe data."""
        return rows_json(self.rows)

    @property
    def warnings(self) -> list[str]:
        """One line for each left-over recording."""
        return [f"warning: {path}: unfinished recording (gp-replay repair {path})" for path in self.unfinished]

    @property
    def exit_code(self) -> int:
        """3 when a file cannot be read, else 0."""
        return 3 if any(row.problem for row in self.rows) else 0


def list_cassettes(folder: Path) -> Found:
    """Header and index of every cassette in ``folder``, and what is left over there.

    Raises:
        CassetteMissing: there is no folder, or nothing in it.
    """
    unfinished = find_unfinished(folder) if folder.is_dir() else []
    try:
        paths = find_cassettes([folder])
    except CassetteMissing:
        if not unfinished:
            raise
        paths = []
    now = datetime.now(UTC)
    rows: list[Listing] = []
    for path in paths:
        try:
            with CassetteFile.open(path) as cassette:
                rows.append(listing(cassette, path=str(path), size=cassette.size, now=now))
        except CassetteError as error:
            size = path.stat().st_size if path.is_file() else 0
            rows.append(unreadable(path=str(path), size=size, problem=str(error)))
    return Found(rows=rows, unfinished=unfinished)


def redaction_warning(path: Path) -> str:
    """What to say of a cassette that was recorded without redaction; "" of all others, and of what is no cassette."""
    if path.suffix != ".gpr":
        return ""
    try:
        with CassetteFile.open(path, verify=False) as cassette:
            off = redaction_is_off(cassette.header)
    except CassetteError:
        return ""
    return f"{path}: recorded with redaction off; it may hold secrets" if off else ""


def show(path: Path, *, streams: Sequence[int] | None, max_bytes: int | None, as_json: bool) -> Iterator[str]:
    """The lines of a cassette's text form, or of its JSON form.

    Raises:
        CassetteError: it cannot be read.
        UsageError: a stream that is not in it.
    """
    with CassetteFile.open(path) as cassette:
        if as_json:
            text = io.StringIO()
            dump_json(show_json(cassette), text)
            yield text.getvalue().rstrip("\n")
        else:
            yield from show_lines(cassette, streams=streams, max_bytes=max_bytes)


def diff(a: Path, b: Path) -> Diff:
    """What differs between two cassettes.

    Raises:
        CassetteError: one of them cannot be read.
    """
    with CassetteFile.open(a) as one, CassetteFile.open(b) as other:
        return diff_cassettes(one, other)


def check(
    paths: Sequence[Path],
    *,
    contract: str = "golden-path",
    limits: Mapping[str, float] | None = None,
    junit: Path | None = None,
) -> Checked:
    """Checks the WebSocket conversations of cassettes against a contract.

    Args:
        paths: cassettes, or folders of them.
        contract: the name of a shipped contract, or the path of a TOML file.
        limits: seconds by the name of a limit, instead of the contract's.
        junit: where to write the result as JUnit XML too.

    Raises:
        DiskFailure: that cannot be written.
        CassetteMissing: a path is not there, or a folder holds none. What cannot be read is in the result.
        UsageError: there is no such contract, or it can never hold.
    """
    rules = load_contract(contract, limits=limits)
    checked = Checked(contract=rules.name, cassettes=[_checked(path, rules) for path in find_cassettes(paths)])
    if junit is not None:
        _write_text(junit, checked.junit())
    return checked


def _checked(path: Path, contract: Contract) -> CheckedCassette:
    checker = Checker(contract, source=str(path))
    findings: list[Finding] = []
    try:
        with CassetteFile.open(path) as cassette:
            for said in said_in(cassette):
                findings += checker.feed(said)
    except CassetteError as error:
        return CheckedCassette(path=str(path), problem=str(error), hint=error.hint)
    findings += checker.finish()
    return CheckedCassette(
        path=str(path),
        connections=checker.connections,
        messages=checker.messages,
        skipped=checker.skipped,
        findings=findings,
    )


def learn(a: Path, b: Path, *, everything: bool = False, dry_run: bool = False) -> Taught:
    """Learns from two takes of one conversation which values differ from run to run, into the profile beside ``a``.

    Args:
        a, b: cassettes.
        everything: also learn where words and plain numbers differ.
        dry_run: write nothing.

    Raises:
        CassetteError: one of them cannot be read.
        UsageError: the rules or the profile beside ``a`` are none, or ``b`` is the same recording.
        CouldNotCheck: the takes have no request and no message in common.
        DiskFailure: the profile cannot be written.
    """
    # What the profile has is looked for again, so that it is known how often it was seen.
    rules, known = own_rules(a), load_profile(a)
    with CassetteFile.open(a) as one, CassetteFile.open(b) as other:
        takes = one.digest, other.digest
        if takes[0] == takes[1]:
            raise UsageError(f"{a} and {b} are the same recording", hint="record the conversation a second time")
        lesson = lesson_of(one, other, rules, everything=everything)
    if not lesson.pairs:
        raise CouldNotCheck(
            f"{a} and {b} have no request and no message in common",
            hint="record the same conversation again, with the same roles and owners",
        )
    profile = known.merged(lesson.learned, takes=takes)
    path = profile_path(a)
    writes = not dry_run and bool(profile.volatile) and profile != known
    if writes:
        _write_profile(profile, path)
    return Taught(
        lesson=lesson,
        profile=profile,
        new=tuple(place for place in lesson.learned if not any(old.covers(place) for old in known.volatile)),
        path=str(path),
        written=writes,
    )


def _write_profile(profile: Profile, path: Path) -> None:
    _write_text(path, json.dumps(profile.plain(), indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        scratch.write_text(text, "utf-8")
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise DiskFailure(f"{path} cannot be written: {error.strerror}") from error


def convert(source: Path, target: Path, *, force: bool = False) -> Path:
    """Writes ``source`` in the form that the suffix of ``target`` names.

    Nothing is lost on the way there and back: header, events, their order and times, the command's exit code. A
    document that comes back changed makes a cassette whose origin is ``edited``.

    Returns:
        ``target``.

    Raises:
        UsageError: a suffix that is none of .gpr, .yaml, .yml, .json; or the same file twice.
        CassetteExists: ``target`` is there, and not ``force``.
        CassetteError: ``source`` cannot be read, or is no document.
        DiskFailure: ``target`` cannot be written.
    """
    for path in (source, target):
        if path.suffix not in _SUFFIXES:
            raise UsageError(f"{path}: cannot tell its form", hint=f"name it {', '.join(_SUFFIXES)}")
    if source.resolve() == target.resolve():
        raise UsageError(f"{source} would be written onto itself")
    if target.exists() and not force:
        raise CassetteExists(str(target))
    header, events, exit_code = _read(source)
    if target.suffix == ".gpr":
        _write_cassette(header, events, target, exit_code=exit_code, force=force)
        return target
    document = to_document(MemoryCassette(header, events))
    if exit_code is not None:
        document["exit_code"] = exit_code
    document[_CONTENT] = _content(document)
    dump = dump_json if target.suffix == ".json" else dump_yaml
    scratch = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("w", encoding="utf-8", newline="") as file:
            dump(document, file)
        scratch.replace(target)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise DiskFailure(f"{target} cannot be written: {error.strerror}") from error
    return target


def _read(source: Path) -> tuple[Header, list[Event], int | None]:
    if source.suffix == ".gpr":
        with CassetteFile.open(source) as cassette:
            return cassette.header, ordered_events(cassette), cassette.footer.exit_code
    try:
        text = source.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise CassetteMissing(str(source)) from error
    except UnicodeDecodeError as error:
        raise CassetteCorrupt(str(source), "not UTF-8", offset=error.start) from error
    except OSError as error:
        raise CassetteCorrupt(str(source), error.strerror or "cannot be read") from error
    load = load_json if source.suffix == ".json" else load_yaml
    document = load(text, source=str(source))
    said = document.pop(_CONTENT, None) if isinstance(document, dict) else None
    edited = said is not None and said != _content(document)
    header, events = from_document(document, source=str(source), origin=Origin.EDITED if edited else None)
    return header, events, document_facts(document, source=str(source)).exit_code


def _content(document: object) -> str:
    """A digest of what a document says, by which a later edit is noticed."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _write_cassette(
    header: Header, events: Sequence[Event], target: Path, *, exit_code: int | None, force: bool
) -> None:
    rules = load_rules(target)
    written = target.with_name(f".{target.name}.{os.getpid()}") if force else target
    writer = CassetteWriter(
        written,
        header,
        key=lambda role, request: request_key(rules, role, request),
        fingerprint=fingerprint(rules),
    )
    try:
        for event in events:
            writer.write(event)
            writer.drain()
    except ValueError as error:
        writer.abandon()
        writer.part.unlink(missing_ok=True)
        raise CassetteCorrupt(str(target), str(error)) from error
    if writer.close(exit_code) is None:
        raise CassetteCorrupt(str(target), "there is no stream in it")
    if force:
        written.replace(target)
