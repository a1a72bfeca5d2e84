"""Live credentials where a cassette has pseudonyms."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from gp_replay.core.identity import subprotocol_token
from gp_replay.core.model import Headers, RequestHead
from gp_replay.core.pseudonym import decode_segment

__all__ = ["Credentials", "with_credential"]

_KEY_HEADERS = frozenset({b"x-api-key", b"api-key", b"x-goog-api-key", b"x-auth-token"})
_PARAMETER = re.compile(rb"(?<=[?&])((?:access_|id_)?token|jwt|api_key|apikey|key)=([^&]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What to prove who we are with.

    Attributes:
        by_role: a role's credential for everybody.
        by_owner: role and owner to that user's; it counts more.
        variables: ``GP_REPLAY_<ROLE>_TOKEN`` and ``GP_REPLAY_<ROLE>_TOKEN_<OWNER>``; they count most.
    """

    by_role: Mapping[str, str] = field(default_factory=dict)
    by_owner: Mapping[tuple[str, str], str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    def of(self, role: str, owner: str | None) -> str | None:
        """The credential of a user of a role, or None."""
        variable = f"GP_REPLAY_{_upper(role)}_TOKEN"
        if owner is not None:
            found = self.variables.get(f"{variable}_{_upper(owner)}", self.by_owner.get((role, owner)))
            if found is not None:
                return found
        return self.variables.get(variable, self.by_role.get(role))


def _upper(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def with_credential(head: RequestHead, token: str) -> RequestHead:
    """A recorded request with a live credential wherever it carried one: scheme, prefix and coding stay.

    Places: ``Authorization``, the usual key headers, subprotocol items, query parameters.
    """
    live = token.encode()
    headers: Headers = tuple((name, _header(name.lower(), value, live)) for name, value in head.headers)
    target = _PARAMETER.sub(lambda found: found[1] + b"=" + quote(token, safe="").encode(), head.target)
    return replace(head, target=target, headers=headers)


def _header(name: bytes, value: bytes, live: bytes) -> bytes:
    if name == b"authorization":
        scheme, space, _ = value.partition(b" ")
        return scheme + space + live if space else live
    if name in _KEY_HEADERS:
        return live
    if name == b"sec-websocket-protocol":
        return b",".join(_item(item, live) for item in value.split(b","))
    return value


def _item(item: bytes, live: bytes) -> bytes:
    found = subprotocol_token(item.strip())
    if found is None:
        return item
    coded = decode_segment(found[1])
    # A token in base64url is sent in base64url.
    said = urlsafe_b64encode(live).rstrip(b"=") if coded is not None and b"." not in found[1] else live
    return item[: len(item) - len(item.lstrip())] + found[0] + said
