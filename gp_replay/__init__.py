"""Record real HTTP, SSE and WebSocket conversations once; replay them byte-faithfully and on time.

``gp_replay.record(...)``, ``gp_replay.replay(...)`` and ``gp_replay.drive(...)`` are context managers, sync and async;
``gp_replay.run(...)`` runs a suite against Docker, staging or cassettes: see `gp_replay.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gp_replay.api import drive, record, replay, run

__all__ = ["__version__", "drive", "record", "replay", "run"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # Importing the package must stay cheap: the pytest plugin and --help do it every time.
    if name in ("drive", "record", "replay", "run"):
        from gp_replay import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
