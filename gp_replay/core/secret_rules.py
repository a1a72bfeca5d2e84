"""Which names and values are secrets: the words of redaction, without the scanning.

Names are exact, but for case and for ``_`` and ``-``: ``api_key``, ``apiKey`` and ``API-KEY`` are one name. ``token``,
``key`` and ``secret`` alone name many harmless things (a logprob's ``token`` is text), so their values count only when
they look like a credential.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import quote_from_bytes, unquote

__all__ = [
    "BARE_NAMES",
    "HEADER_NAMES",
    "NAMES",
    "QUERY_NAMES",
    "cookie_value",
    "is_credential",
    "is_secret_header",
    "is_secret_value",
    "looks_like_credential",
    "normal_name",
    "secret_literals",
    "spellings",
]

NAMES = frozenset(
    """
    accesstoken refreshtoken idtoken authtoken sessiontoken bearertoken clienttoken apitoken
    securitytoken apikey apisecret xapikey subscriptionkey accesskey secretaccesskey awssecretaccesskey
    secretkey clientsecret clientassertion privatekey password passwd passphrase authorization
    proxyauthorization webhooksecret signingsecret servicesecret jwt
    """.split()  # noqa: SIM905 - one word a name reads best
)
"""Field names whose values are always secrets, as `normal_name` spells them."""

BARE_NAMES = frozenset({"token", "key", "secret"})
"""Field names whose values are secrets if they look like one."""

QUERY_NAMES = NAMES | {
    *("sig", "signature", "ticket"),
    *("xamzsignature", "xamzcredential", "xamzsecuritytoken"),
    *("xgoogsignature", "xgoogcredential"),
}
"""Names of query parameters and form fields whose values are always secrets."""

_QUERY_BARE_NAMES = BARE_NAMES | {"code", "auth", "session"}

HEADER_NAMES = frozenset(
    b"authorization proxy-authorization x-api-key api-key apikey x-goog-api-key x-auth-token x-access-token x-auth-key "
    b"x-amz-security-token x-csrf-token x-xsrf-token x-session-token ocp-apim-subscription-key x-secret-key "
    b"x-client-secret x-functions-key x-gitlab-token private-token x-vault-token xi-api-key x-test-auth "
    b"authentication".split()
)
"""Header fields whose value is a secret, a scheme in front excepted; `is_secret_header` knows families besides."""

# Vendors put their own name in front: X-OpenAI-Api-Key. Not "-key" or "-token" alone: Idempotency-Key is none.
_HEADER_ENDINGS = ("apikey", "apitoken", "accesstoken", "authtoken", "clientsecret", "secretkey", "authorization")
_BARE_HEADERS = frozenset({b"token", b"x-token", b"secret", b"x-secret"})

_CREDENTIAL = re.compile(rb"[A-Za-z0-9_\-./=+~%:]{16,4096}")
# Ids of calls, answers and files are no credentials, nor are names of files, random as they look.
_ID = re.compile(
    rb"(?:chatcmpl|call|msg|req|resp|run|step|thread|asst|file|fc|rs|toolu|item|evt|event|conv|batch)[-_]"
    rb"|[\w./=+~%:-]*\.(?:[a-z]{3,4}|mp[34]|gz|md|js|py|ts)\Z"
)
_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SEGMENT = re.compile(rb"[A-Za-z0-9]+")
_RUN = re.compile(rb"[a-z]+|[A-Z]+|[0-9]+")
_KNOWN = re.compile(
    rb"eyJ[\w-]{8,}\.[\w-]{4,}\.[\w-]*|(?:[sp]k|xai|glpat|xox[abprs])-[\w-]{20,}|AIza[\w-]{30,}"
    rb"|gh[opusr]_\w{30,}|github_pat_\w{40,}|A(?:KIA|SIA)[A-Z0-9]{16}|hf_\w{30,}"
    rb"|gsk_\w{20,}|[sr]k_(?:live|test)_\w{16,}|sk_[0-9a-f]{32,}|(?:nvapi|pplx)-[\w-]{30,}|ya29\.[\w-]{30,}"
)
_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:\w*KEY|\w*TOKEN|\w*SECRET|\w*PASSWORD|PASSWD|PASS|PASSPHRASE|CREDENTIALS?|PAT|JWT)(?:_|$)",
    re.IGNORECASE,
)
_MAX_LITERAL = 4096


def normal_name(name: str) -> str:
    """A name without case, ``_`` and ``-``."""
    return name.lower().replace("_", "").replace("-", "")


def looks_like_credential(value: bytes) -> bool:
    """Whether a value is random text and not words: a long run that changes between letters and digits all the time.

    A UUID is an id, and so is what names itself one (``call_…``, ``chatcmpl-…``); a file name is a name.
    """
    if _CREDENTIAL.fullmatch(value) is None or _UUID.fullmatch(value) or _ID.match(value):
        return False
    longest = max(_SEGMENT.findall(value), key=len, default=b"")
    mixed = re.search(rb"[0-9]", longest) is not None and re.search(rb"[A-Za-z]", longest) is not None
    return len(longest) >= 12 and mixed and len(_RUN.findall(longest)) * 4 >= len(longest)


def is_credential(value: bytes) -> bool:
    """Whether a value looks random, or has the shape of a known kind of credential."""
    return looks_like_credential(value) or _KNOWN.match(value) is not None


def cookie_value(cookie: bytes) -> tuple[int, int]:
    """Where the value stands in one cookie: behind the ``=``, within quotes; the whole where it has no name (RFC
    6265bis section 5.6).
    """
    start = cookie.find(b"=") + 1
    value = cookie[start:].strip()
    start = cookie.find(value, start)
    if len(value) > 1 and value[:1] == value[-1:] == b'"':
        return start + 1, start + len(value) - 1
    return start, start + len(value)


def is_secret_header(name: bytes, value: bytes) -> bool:
    """Whether the value of this header field is a secret. ``name`` in lower case."""
    if name in HEADER_NAMES:
        return True
    normal = normal_name(name.decode("latin-1"))
    if normal in NAMES or normal.endswith(_HEADER_ENDINGS):
        return True
    return name in _BARE_HEADERS and is_credential(value)


def is_secret_value(name: str, value: bytes) -> bool:
    """Whether the value under this query parameter, form field or JSON name is a secret. ``name`` may be escaped."""
    normal = normal_name(unquote(name))
    if normal in QUERY_NAMES:
        return bool(value)
    return normal in _QUERY_BARE_NAMES and is_credential(value)


def secret_literals(environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """Values of variables whose names say secret, longest first; they count from 12 characters that mix letters and
    digits. Paths and URLs are none.
    """
    values = {
        value.encode("utf-8", "surrogateescape")
        for name, value in environ.items()
        if _SECRET_VARIABLE.search(name) and 12 <= len(value) <= _MAX_LITERAL
    }
    mixed = (value for value in values if re.search(rb"[0-9]", value) and re.search(rb"[A-Za-z]", value))
    plain = (value for value in mixed if not _is_place(value))
    return tuple(sorted(plain, key=lambda value: (-len(value), value)))


def spellings(literal: bytes) -> tuple[bytes, ...]:
    """How a literal may be written: as it is, in a JSON string, in one inside another, percent-encoded in a URL."""
    text = literal.decode("utf-8", "surrogateescape")
    found = {literal: None, quote_from_bytes(literal, safe="").encode(): None}
    for ascii_only in (False, True):
        once = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        for spelling in (once, json.dumps(once, ensure_ascii=ascii_only)[1:-1]):
            found[spelling.encode("utf-8", "surrogateescape")] = None
    return tuple(found)


def _is_place(value: bytes) -> bool:
    """Whether it is a path or URL; a random base64 text may begin with a slash too."""
    return value.startswith((b"http://", b"https://")) or (value[:1] == b"/" and not looks_like_credential(value))
