"""Deprecated hosts: which are, and what to use instead."""

from __future__ import annotations

import pytest

from gp_replay.runs.hosts import DeprecatedHost, deprecated_host


@pytest.mark.parametrize(
    ("host", "replacement"),
    [
        ("api.staging.netrasystems.ai", "api-staging.netrasystems.ai"),
        ("auth.staging.netrasystems.ai", "staging.netrasystems.ai"),
        ("App.Staging.NetraSystems.AI.", "staging.netrasystems.ai"),
        ("a.b.staging.netrasystems.ai", "staging.netrasystems.ai"),
        ("staging.netrasystems.ai", None),
        ("api-staging.netrasystems.ai", None),
        ("api.staging.netrasystems.ai.example.com", None),
        ("127.0.0.1", None),
    ],
)
def test_a_second_label_under_staging_is_deprecated_and_the_replacement_is_named(
    host: str, replacement: str | None
) -> None:
    found = deprecated_host(host)
    assert (found.replacement if found else None) == replacement


def test_patterns_of_the_project_come_first() -> None:
    own = [
        DeprecatedHost(pattern="*.run.app", replacement="api.example.com"),
        DeprecatedHost(pattern="api.staging.netrasystems.ai", replacement="mine"),
    ]
    for host, replacement in (("x-1.run.app", "api.example.com"), ("api.staging.netrasystems.ai", "mine")):
        found = deprecated_host(host, own)
        assert found is not None
        assert found.replacement == replacement
