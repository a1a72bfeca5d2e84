"""Variables that hand credentials to a command: real ones for live roles, stand-ins for replayed ones."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence

__all__ = ["role_variable", "stand_ins", "token_variables"]

_SIGNATURE = "c3RhbmQtaW4"


def role_variable(role: str, *what: str) -> str:
    """The name of a variable about a role: ``GP_REPLAY_<ROLE>_…``, upper case, other characters as ``_``."""
    return "_".join(("GP_REPLAY", *(re.sub(r"[^A-Za-z0-9]", "_", name).upper() for name in (role, *what))))


def token_variables(role: str, tokens: Mapping[str | None, str]) -> dict[str, str]:
    """``GP_REPLAY_<ROLE>_TOKEN`` and ``GP_REPLAY_<ROLE>_TOKEN_<OWNER>``, as `gp_replay.core.credentials` reads them.

    Args:
        role: its name.
        tokens: by owner; None is everybody.
    """
    return {role_variable(role, "TOKEN", *([] if owner is None else [owner])): token for owner, token in tokens.items()}


def stand_ins(owners: Sequence[str]) -> dict[str | None, str]:
    """Tokens (RFC 7519) that say who somebody is and open no door: a replay asks for no more.

    Args:
        owners: of a role's recordings. Where there is one, its token is everybody's too.
    """
    tokens: dict[str | None, str] = {owner: _stand_in(owner) for owner in owners}
    if len(owners) == 1:
        tokens[None] = tokens[owners[0]]
    return tokens


def _stand_in(owner: str) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": owner, "iss": "gp-replay stand-in"})
    encoded = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, _SIGNATURE])
