"""A small agent service and its client: what the demo and the tests record and replay."""

from __future__ import annotations

__all__: list[str] = []
