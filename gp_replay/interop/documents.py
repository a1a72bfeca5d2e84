"""Documents (`gp_replay.core.document`) as YAML and JSON text, both ways without loss.

Writing YAML: text that any reader could take for something else ("1e3", "yes", "null", "2026-11-25") is quoted, text of
several lines is a literal block where that is exact, everything else is double-quoted with escapes.

Reading YAML: only what a document needs. Plain scalars are an integer, ``true``, ``false``, null, or text; nothing is
guessed beyond that, so ``yes`` and ``2026-11-25`` stay text even unquoted. Anchors, aliases, tags, repeated keys and a
second document are refused, and size, depth and number of values are bounded while parsing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NoReturn, TextIO

import yaml

from gp_replay.core.document import Document
from gp_replay.errors import CassetteCorrupt

try:
    from yaml import CSafeDumper as _BaseDumper
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml: slower, the same results.
    from yaml import SafeDumper as _BaseDumper  # type: ignore[assignment]
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "MAX_VALUES", "dump_json", "dump_yaml", "load_json", "load_yaml"]

MAX_CHARACTERS = 256 * 1024 * 1024
"""Default limit of a document's text: larger than any cassette a person would edit."""

MAX_DEPTH = 16
"""Default limit of nesting; a document needs 7."""

MAX_VALUES = 5_000_000
"""Default limit of scalars, lists and mappings in a document; bounds the memory they take."""

# -1 would mean no limit to libyaml, but 80 to PyYAML's own emitter.
_NO_WRAPPING = 2**31 - 1
_TEXT_TAG = "tag:yaml.org,2002:str"
_LIST_TAG = "tag:yaml.org,2002:seq"
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,19})\Z")
# Words that need no quotes in block or flow context, whatever the reader's idea of numbers, dates and booleans.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./+-]*(?: [A-Za-z/][A-Za-z0-9_./+-]*)*\Z")
_RESERVED = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
# A literal block is exact for lines of ordinary characters without white space at their end, the first not indented.
_BLOCK = re.compile(r"(?=[^ \n])(?:(?:[\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]*[^ \t\n])?\n)+")
# Inside JSON strings only; a terminal or a line-based tool would act on them.
_ESCAPED_IN_JSON = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")


def dump_yaml(document: Document, stream: TextIO) -> None:
    """Writes the document as YAML, keys in the document's order.

    Args:
        document: as `gp_replay.core.document.to_document` gives it.
        stream: text, written as UTF-8 by its owner.
    """
    yaml.dump(
        document,
        stream,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=_NO_WRAPPING,
    )


def dump_json(document: Document, stream: TextIO) -> None:
    """Writes the document as JSON, indented, keys in the document's order; control characters are escaped.

    Args: as for `dump_yaml`.
    """
    text = json.dumps(document, ensure_ascii=False, indent=1)
    stream.write(_ESCAPED_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
    stream.write("\n")


def load_yaml(
    text: str,
    *,
    source: str = "document",
    max_characters: int = MAX_CHARACTERS,
    max_depth: int = MAX_DEPTH,
    max_values: int = MAX_VALUES,
) -> object:
    """Plain data from YAML text, for `gp_replay.core.document.from_document` to judge.

    Args:
        text: one YAML document.
        source: its name, for errors.
        max_characters, max_depth, max_values: limits of size, nesting and number of values.

    Raises:
        CassetteCorrupt: it is not YAML, uses what a document never needs, or breaks a limit; the line is named.
    """
    _limit_size(text, source=source, limit=max_characters)
    builder = _Builder(source=source, max_depth=max_depth, max_values=max_values)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise CassetteCorrupt(source, f"{line}not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, UnicodeEncodeError) as error:
        raise CassetteCorrupt(source, "not YAML: it has characters that YAML does not allow") from error
    return builder.result


def load_json(
    text: str,
    *,
    source: str = "document",
    max_characters: int = MAX_CHARACTERS,
    max_depth: int = MAX_DEPTH,
    max_values: int = MAX_VALUES,
) -> object:
    """Plain data from JSON text; arguments and errors as for `load_yaml`."""
    _limit_size(text, source=source, limit=max_characters)

    def unique(pairs: list[tuple[str, object]]) -> Document:
        mapping = dict(pairs)
        if len(mapping) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise CassetteCorrupt(source, f"the key {twice[:60]!a} is there twice in one mapping")
        return mapping

    try:
        value: object = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise CassetteCorrupt(source, f"line {error.lineno}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise CassetteCorrupt(source, "not a document: a number is too long, or it is nested too deeply") from error
    _limit_shape(value, source=source, max_depth=max_depth, max_values=max_values)
    return value


def _limit_size(text: str, *, source: str, limit: int) -> None:
    if len(text) > limit:
        raise CassetteCorrupt(source, f"too large: {len(text)} characters, the limit is {limit}")


def _limit_shape(value: object, *, source: str, max_depth: int, max_values: int) -> None:
    count, depth = 0, 0
    level = [value]
    while level:
        depth += 1
        count += len(level)
        if depth > max_depth and any(isinstance(item, list | dict) for item in level):
            raise CassetteCorrupt(source, f"nested too deeply, the limit is {max_depth}")
        if count > max_values:
            raise CassetteCorrupt(source, f"too many values, the limit is {max_values}")
        level = [child for item in level for child in _children(item)]


def _children(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


class _Dumper(_BaseDumper):
    """Writes no aliases; chooses the style of text and of pairs."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style: str | None = '"'
    if len(text) < 200 and _PLAIN.match(text) and text.lower() not in _RESERVED:
        style = None
    elif _BLOCK.fullmatch(text if text.endswith("\n") else text + "\n") and "\n" in text:
        style = "|"
    return dumper.represent_scalar(_TEXT_TAG, text, style=style)


def _represent_list(dumper: _Dumper, items: list[object]) -> yaml.SequenceNode:
    # Header fields and names read better on one line.
    short = all(isinstance(item, str) for item in items)
    return dumper.represent_sequence(_LIST_TAG, items, flow_style=short)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)


class _Builder:
    """Builds plain data from YAML events, one by one, so that a limit stops the parser where it is broken."""

    def __init__(self, *, source: str, max_depth: int, max_values: int) -> None:
        self.result: object = None
        self._source = source
        self._max_depth = max_depth
        self._max_values = max_values
        self._open: list[list[object] | Document] = []
        self._keys: list[str | None] = []
        self._values = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Takes the next event."""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self._refuse(event, "anchors and aliases are not allowed")
        if getattr(event, "tag", None) is not None:
            self._refuse(event, "tags are not allowed")
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse(event, "a second document")
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._begin(event, {})
            case yaml.SequenceStartEvent():
                self._begin(event, [])
            case yaml.CollectionEndEvent():
                self._open.pop()
                self._keys.pop()
            case _:
                pass

    def _begin(self, event: yaml.Event, collection: list[object] | Document) -> None:
        if len(self._open) >= self._max_depth:
            self._refuse(event, f"nested too deeply, the limit is {self._max_depth}")
        if self._open and isinstance(self._open[-1], dict) and self._keys[-1] is None:
            self._refuse(event, "a key must be text")
        self._add(event, collection)
        self._open.append(collection)
        self._keys.append(None)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._open and isinstance(self._open[-1], dict) and self._keys[-1] is None:
            if event.value in self._open[-1]:
                self._refuse(event, f"the key {event.value[:60]!a} is there twice in one mapping")
            self._keys[-1] = event.value
            return
        self._add(event, _resolved(event.value) if event.implicit[0] else event.value)

    def _add(self, event: yaml.Event, value: object) -> None:
        self._values += 1
        if self._values > self._max_values:
            self._refuse(event, f"too many values, the limit is {self._max_values}")
        if not self._open:
            self.result = value
            return
        parent = self._open[-1]
        if isinstance(parent, list):
            parent.append(value)
            return
        key = self._keys[-1]
        assert key is not None
        parent[key] = value
        self._keys[-1] = None

    def _refuse(self, event: yaml.Event, problem: str) -> NoReturn:
        line = "" if event.start_mark is None else f"line {event.start_mark.line + 1}: "
        raise CassetteCorrupt(self._source, line + problem)


def _resolved(plain: str) -> object:
    match plain:
        case "" | "~" | "null":
            return None
        case "true" | "false":
            return plain == "true"
        case _:
            return int(plain) if _INTEGER.match(plain) else plain
