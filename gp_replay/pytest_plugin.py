"""The pytest plugin: a marker that names cassettes, and a fixture that serves them to one test.

::

    @pytest.mark.gp_replay("cassettes/chat.gpr", timing="instant")
    def test_chat(gp_replay):
        answer = ask(gp_replay.urls["llm"])

Each test has its own replay on its own port, so tests may run in parallel, also under pytest-xdist. A miss fails the
test even if the product swallowed it, and so does a replay that served nothing.

Its own port, and not a namespace of one shared replay: a client may be given a URL and ask for an absolute path
(``urljoin(url, "/ws")``, a recorded ``Location: /next``), and that would leave a namespace for the tape of others.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gp_replay.replaying import Replay

__all__ = ["gp_replay", "pytest_configure"]

_OPTIONS = frozenset({"only", "timing", "patience", "faults", "edge", "unplayed"})


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line(
        "markers",
        "gp_replay(*cassettes, only=(), timing='instant', patience=10.0, faults=(), edge=None, unplayed='ignore'): "
        "what the gp_replay fixture serves; paths are relative to the test file, then to the root directory",
    )


@pytest.fixture
def gp_replay(request: pytest.FixtureRequest) -> Iterator[Replay]:
    """A running replay of the cassettes that the test's ``gp_replay`` marker names: ``.url``, ``.urls``, ``.receipt``.

    Raises:
        pytest.UsageError: no marker, no cassette in it, or an option it does not know.
    """
    marker = request.node.get_closest_marker("gp_replay")
    if marker is None or not marker.args:
        raise pytest.UsageError('the gp_replay fixture needs @pytest.mark.gp_replay("path/to/NAME.gpr")')
    unknown = sorted(set(marker.kwargs) - _OPTIONS)
    if unknown:
        raise pytest.UsageError(
            f"gp_replay marker: unknown option {unknown[0]!r}; known: {', '.join(sorted(_OPTIONS))}"
        )
    options = dict(marker.kwargs)
    unplayed = options.pop("unplayed", "ignore")
    if unplayed not in ("ignore", "fail"):
        raise pytest.UsageError(f"gp_replay marker: unplayed is 'ignore' or 'fail', not {unplayed!r}")
    options.setdefault("timing", "instant")

    from gp_replay import api
    from gp_replay.errors import GpReplayError

    lines: list[str] = []
    try:
        with api.replay([_locate(request, path) for path in marker.args], log=lines.append, **options) as replay:
            yield replay
    except GpReplayError as error:
        pytest.fail(f"gp-replay: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), pytrace=False)
    receipt = replay.receipt
    if receipt.exit_code:
        missed = lines if receipt.exit_code == 1 else []
        pytest.fail("\n".join([f"gp-replay: {receipt.verdict}", *missed]), pytrace=False)
    if unplayed == "fail" and receipt.never_asked:
        pytest.fail(f"gp-replay: never asked for: {', '.join(receipt.never_asked)}", pytrace=False)


def _locate(request: pytest.FixtureRequest, path: str | Path) -> Path:
    beside = request.path.parent / path
    return beside if beside.exists() else request.config.rootpath / path
