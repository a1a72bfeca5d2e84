"""Addresses for all roles and for one."""

from __future__ import annotations

import pytest

from gp_replay.errors import UsageError
from gp_replay.service import addresses


def test_addresses_are_shared_or_a_roles_own() -> None:
    assert addresses(["127.0.0.1:1", "llm=:2"], ["llm", "chat"]) == (
        [("127.0.0.1", 1)],
        {"llm": ("127.0.0.1", 2)},
    )
    assert addresses([], ["llm"]) == ([], {})


def test_a_role_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="no role 'odd'"):
        addresses(["odd=:1"], ["llm"])
