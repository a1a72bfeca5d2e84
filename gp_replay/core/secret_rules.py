"""What counts as a secret in text: names whose values always are, shapes that always are, and literal values.

One scanner serves redaction (bytes, streaming) and the canonical form (whole strings). It must find what leaks and
nothing else: an ordinary word taken for a secret corrupts the recording.

Names are exact. ``token``, ``key`` and ``secret`` alone name many harmless things (a logprob's ``token`` is text), so
their values count only when they look like a credential. Shapes need a left boundary, so that ``task-based-…`` is no
``sk-…``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

__all__ = [
    "HEADER_NAMES",
    "QUERY_NAMES",
    "Span",
    "ends_suspiciously",
    "find_secrets",
    "is_secret_value",
    "looks_like_credential",
    "secret_literals",
    "unfinished_from",
]

NAMES = (
    "access[_-]?token|refresh[_-]?token|id[_-]?token|auth[_-]?token|session[_-]?token|bearer[_-]?token"
    "|api[_-]?key|api[_-]?secret|apikey|x-api-key|subscription[_-]?key|access[_-]?key|secret[_-]?access[_-]?key"
    "|secret[_-]?key|client[_-]?secret|private[_-]?key|password|passwd|passphrase|authorization|proxy-authorization"
    "|webhook[_-]?secret|signing[_-]?secret|service[_-]?secret|jwt|credential[s]?"
)
BARE_NAMES = "token|key|secret|code|signature"

HEADER_NAMES = frozenset(
    b"authorization proxy-authorization x-api-key api-key apikey x-goog-api-key x-auth-token x-access-token x-auth-key "
    b"x-amz-security-token x-csrf-token x-xsrf-token x-session-token ocp-apim-subscription-key x-secret-key "
    b"x-client-secret x-functions-key x-gitlab-token private-token x-vault-token xi-api-key x-test-auth".split()
)
"""Header fields whose value is a secret, a scheme in front excepted."""

QUERY_NAMES = re.compile(
    rf"(?:{NAMES}|sig|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|x-goog-credential|ticket)",
    re.IGNORECASE,
)

_KEYED = re.compile(
    rb"(\\{0,7})\"(?:("
    + NAMES.encode()
    + rb")|("
    + BARE_NAMES.encode()
    + rb"))\1\"[ \t\r\n]{0,16}:[ \t\r\n]{0,16}\1\"",
    re.IGNORECASE,
)
_BOUNDARY = rb"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))"
_SHAPES = re.compile(
    _BOUNDARY
    + rb"(?:(?P<jwt>eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*)"
    + rb"|(?P<random>(?:[sp]k|xai|glpat)-[A-Za-z0-9_-]{20,}|xox[abprs]-[A-Za-z0-9-]{20,})"
    + rb"|AIza[A-Za-z0-9_-]{30,}|gh[opusr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{40,}|A(?:KIA|SIA)[A-Z0-9]{16}"
    + rb"(?![A-Za-z0-9])|hf_[A-Za-z0-9]{30,}"
    + rb"|[Bb]earer[ ]{1,4}(?P<bearer>[A-Za-z0-9._~+/=-]{20,})"
    + rb"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?P<pem>.{0,8000}?)(?:-----END|\Z))",
    re.DOTALL,
)
_SHAPE_HINT = re.compile(
    rb"eyJ|[sp]k-|xai-|glpat-|xox[abprs]-|AIza|gh[opusr]_|github_pat_|A(?:KIA|SIA)|hf_|[Bb]earer |-----BEGIN"
)
_KEY_HINT = re.compile(rb"\"(?:" + NAMES.encode() + rb"|" + BARE_NAMES.encode() + rb")\\{0,7}\"", re.IGNORECASE)
_PEM_BODY = re.compile(rb"[A-Za-z0-9+/=]{16,}")


def _beginnings(text: str) -> str:
    """A pattern for every proper beginning of ``text``."""
    pattern = ""
    for character in reversed(text[1:]):
        pattern = f"(?:{re.escape(character)}{pattern})?"
    return re.escape(text[0]) + pattern


_C = "[A-Za-z0-9_-]*"
_OPEN_SHAPES = "|".join(
    (
        rf"(?:eyJ{_C}(?:\.{_C}){{0,2}}|e(?:y)?)",
        rf"(?:[sp]k-{_C}|[sp]k?)",
        rf"(?:xai-{_C}|x(?:ai?)?)",
        rf"(?:glpat-{_C}|{_beginnings('glpat')})",
        rf"(?:xox[abprs]-{_C}|xox?[abprs]?)",
        rf"(?:AIza{_C}|{_beginnings('AIz')})",
        r"(?:gh[opusr]_[A-Za-z0-9]*|gh?[opusr]?)",
        rf"(?:github_pat_{_C}|{_beginnings('github_pat')})",
        r"(?:A(?:KIA|SIA)[A-Z0-9]*|A[KS]?I?)",
        r"(?:hf_[A-Za-z0-9]*|hf?)",
        r"(?:[Bb]earer {1,4}[A-Za-z0-9._~+/=-]*|[Bb](?:e(?:a(?:r(?:e(?:r)?)?)?)?)?)",
    )
)
_OPEN_SHAPE = re.compile(rb"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))(?:" + _OPEN_SHAPES.encode() + rb")\Z")
_OPEN_STRING = re.compile(
    rb"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))(?:" + _OPEN_SHAPES.encode() + rb"|-----BEGIN[^\"]*|-{1,5})(?=\")|\\\""
)
_OPEN_PEM = re.compile(
    rb"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:(?!-----END).)*\Z|-{1,5}(?:B[A-Z ]{0,40}-{0,4})?\Z", re.DOTALL
)
_OPEN_KEY = re.compile(
    rb"\\{0,7}(?:\"[A-Za-z_-]{0,24}(?:\\{0,7}(?:\"[ \t\r\n]{0,16}(?::[ \t\r\n]{0,16}\\{0,7})?)?)?)?\Z"
)
_CREDENTIAL = re.compile(rb"[A-Za-z0-9_\-./+=~%:]{16,4096}")
_SEGMENT = re.compile(rb"[A-Za-z0-9]+")
_RUN = re.compile(rb"[a-z]+|[A-Z]+|[0-9]+")
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|PAT|JWT)(?:_|$)", re.IGNORECASE
)
_TAIL = 4096
_RUN_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~+/=- "
_KEY_WINDOW = 96


@dataclass(frozen=True, slots=True)
class Span:
    """A secret at ``[start, end)``; ``kind`` is "jwt" or "credential"."""

    start: int
    end: int
    kind: str


def secret_literals(environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """Values of variables whose names say secret; they count from 12 characters that mix letters and digits."""
    values = {
        value.encode("utf-8", "surrogateescape")
        for name, value in environ.items()
        if _SECRET_NAME.search(name) and 12 <= len(value) <= 4096
    }
    mixed = (value for value in values if re.search(rb"[0-9]", value) and re.search(rb"[A-Za-z]", value))
    return tuple(
        sorted((value for value in mixed if not value.startswith((b"/", b"http"))), key=lambda v: (-len(v), v))
    )


def looks_like_credential(value: bytes) -> bool:
    """Whether a value is random text and not words: long runs that change between letters and digits all the time."""
    if _CREDENTIAL.fullmatch(value) is None:
        return False
    longest = max(_SEGMENT.findall(value), key=len, default=b"")
    mixed = re.search(rb"[0-9]", longest) is not None and re.search(rb"[A-Za-z]", longest) is not None
    return len(longest) >= 12 and mixed and len(_RUN.findall(longest)) * 4 >= len(longest)


def is_secret_value(name: str, value: bytes) -> bool:
    """Whether the value under this query parameter or form field is one."""
    if QUERY_NAMES.fullmatch(name):
        return bool(value)
    return re.fullmatch(BARE_NAMES, name, re.IGNORECASE) is not None and _is_credential(value)


def _is_credential(value: bytes) -> bool:
    return looks_like_credential(value) or any(True for _ in _shapes(value, 0))


def find_secrets(text: bytes, literals: Iterable[bytes] = (), *, start: int = 0) -> list[Span]:
    """All secrets from ``start`` on, in order and apart from each other.

    What stands before ``start`` only counts as context.
    """
    spans = list(_shapes(text, start))
    spans += _keyed(text, start)
    for literal in literals:
        position = text.find(literal, start)
        while position >= 0:
            spans.append(Span(position, position + len(literal), "credential"))
            position = text.find(literal, position + len(literal))
    return _apart(spans)


def _apart(spans: list[Span]) -> list[Span]:
    """Overlapping spans: the one that begins first, and of those the longest."""
    spans.sort(key=lambda span: (span.start, -span.end))
    kept: list[Span] = []
    for span in spans:
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def _shapes(text: bytes, start: int) -> Iterator[Span]:
    hint = _SHAPE_HINT.search(text, start)
    if hint is None:
        return
    for found in _SHAPES.finditer(text, hint.start()):
        match found.lastgroup:
            case "jwt":
                yield Span(*found.span(), "jwt")
            case "random":
                longest = max(_SEGMENT.findall(found[0]), key=len)
                # Words behind "sk-" are words: a key has a long part with digits in it.
                if len(longest) >= 12 and re.search(rb"[0-9]", longest):
                    yield Span(*found.span(), "credential")
            case "bearer":
                if looks_like_credential(found["bearer"]):
                    yield Span(*found.span("bearer"), "credential")
            case "pem":
                for body in _PEM_BODY.finditer(text, *found.span("pem")):
                    yield Span(*body.span(), "credential")
            case _:
                yield Span(*found.span(), "credential")


def _keyed(text: bytes, start: int) -> Iterator[Span]:
    position = start
    while (hint := _KEY_HINT.search(text, position)) is not None:
        found = _KEYED.match(text, _escapes_from(text, hint.start(), start))
        position = hint.end() - 1 if found is None else found.end()
        if found is None:
            continue
        end, closed = _string_end(text, found.end(), len(found[1]))
        if end is None:
            continue
        value = text[found.end() : end]
        if value and (found[2] is not None or (closed and _is_credential(value))):
            yield from _value_spans(found.end(), value)
        position = end


def _escapes_from(text: bytes, quote: int, low: int) -> int:
    """Where the backslashes in front of a quote begin."""
    while quote > low and text[quote - 1] == 0x5C:
        quote -= 1
    return quote


def _value_spans(start: int, value: bytes) -> Iterator[Span]:
    scheme = re.match(rb"(?:Bearer|Basic|Token|Digest|ApiKey) +", value, re.IGNORECASE)
    offset = scheme.end() if scheme else 0
    kind = "jwt" if value[offset:].startswith(b"eyJ") else "credential"
    if len(value) > offset:
        yield Span(start + offset, start + len(value), kind)


def _string_end(text: bytes, start: int, escapes: int) -> tuple[int | None, bool]:
    """Where a JSON string ends that is nested so deeply that its quotes carry ``escapes`` backslashes.

    Returns:
        The end and True; the end of the text and False where the string is not finished; None where the string around
        it ends first (a delta cut this one: the joined deltas will tell).
    """
    period = 2 * (escapes + 1)
    position = start
    while (quote := text.find(b'"', position)) >= 0:
        run = quote
        while run > start and text[run - 1] == 0x5C:
            run -= 1
        depth = (quote - run) % period
        if depth == escapes:
            return quote - escapes, True
        if depth < escapes:
            return None, False
        position = quote + 1
    return len(text), False


def unfinished_from(text: bytes, literals: Iterable[bytes] = (), *, start: int = 0) -> int:
    """From where on ``text`` may be the beginning of a secret; ``len(text)`` when it is not."""
    size = len(text)
    low = max(start, size - _TAIL)
    earliest = size
    run = len(text.rstrip(_RUN_CHARACTERS))
    if run < size:
        found = _OPEN_SHAPE.search(text, max(low, run))
        earliest = size if found is None else found.start()
    if (dashes := text.find(b"--", low)) >= 0 or text.endswith(b"-"):
        found = _OPEN_PEM.search(text, max(low, dashes))
        earliest = earliest if found is None else min(earliest, found.start())
    found = _OPEN_KEY.search(text, max(low, size - _KEY_WINDOW))
    if found is not None and found.end() > found.start():
        earliest = min(earliest, found.start())
    earliest = min(earliest, _open_value(text, low))
    for literal in literals:
        position = text.find(literal[:1], max(low, len(text) - len(literal) + 1))
        while position >= 0:
            if literal.startswith(text[position:]):
                earliest = min(earliest, position)
                break
            position = text.find(literal[:1], position + 1)
    return earliest


def ends_suspiciously(text: bytes) -> bool:
    """Whether a JSON string in ``text`` may end in the beginning of a secret, or holds quotes (then perhaps JSON)."""
    return _OPEN_STRING.search(text) is not None


def _open_value(text: bytes, low: int) -> int:
    position = low
    while (hint := _KEY_HINT.search(text, position)) is not None:
        found = _KEYED.match(text, _escapes_from(text, hint.start(), low))
        position = hint.end() - 1
        if found is not None:
            end, closed = _string_end(text, found.end(), len(found[1]))
            if end is not None and not closed:
                return found.start()
            position = found.end() if end is None else max(end, found.end())
    return len(text)
