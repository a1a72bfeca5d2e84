"""Hosts that nobody should speak to any more, and what to use instead: as data, matched in one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["DEPRECATED_HOSTS", "DeprecatedHost", "deprecated_host"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeprecatedHost:
    """A pattern of host names.

    Attributes:
        pattern: lower case; ``*`` stands for any characters.
        replacement: the host to use instead.
    """

    pattern: str
    replacement: str


# The certificate covers one label under netrasystems.ai, so these fail in TLS. The first that fits counts.
DEPRECATED_HOSTS = (
    DeprecatedHost(pattern="api.staging.netrasystems.ai", replacement="api-staging.netrasystems.ai"),
    DeprecatedHost(pattern="*.staging.netrasystems.ai", replacement="staging.netrasystems.ai"),
)
"""What is known without settings."""


def deprecated_host(host: str, own: Iterable[DeprecatedHost] = ()) -> DeprecatedHost | None:
    """The pattern that a host name falls under, or None.

    Args:
        host: without a port; its case and a dot at the end do not matter.
        own: patterns of the project; they are tried before `DEPRECATED_HOSTS`.
    """
    name = host.lower().removesuffix(".")
    return next((item for item in (*own, *DEPRECATED_HOSTS) if fnmatchcase(name, item.pattern)), None)
