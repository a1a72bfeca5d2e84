"""No test reaches further than this machine."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

# How fast a machine is says nothing about the code: a slow one must not fail a property.
settings.register_profile("any machine", deadline=None)
settings.register_profile("deep", deadline=None, max_examples=1000)
settings.load_profile("any machine")

_LOCAL = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to anything but loopback fail at once and by name."""
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else None
        if host is not None and host not in _LOCAL:
            raise AssertionError(f"a test reached for the network: {host}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return connect_ex(self, address)

    def guarded_resolve(host: Any, *rest: Any, **named: Any) -> Any:
        check((host.decode() if isinstance(host, bytes) else host,))
        return resolve(host, *rest, **named)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_resolve)
