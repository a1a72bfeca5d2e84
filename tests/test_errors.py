import pytest

from gp_replay import errors
from gp_replay.errors import (
    CassetteCorrupt,
    CassetteExists,
    CassetteMissing,
    CassetteTooNew,
    CassetteUnfinished,
    CouldNotCheck,
    DiskFailure,
    GpReplayError,
    ListenError,
    NothingHappened,
    UpstreamUnreachable,
    UsageError,
    WireError,
)


@pytest.mark.parametrize(
    ("error", "code", "text", "hint"),
    [
        (UsageError("no such flag", hint="try --help"), 2, "no such flag", "try --help"),
        (CassetteExists("a.gpr"), 2, "a.gpr exists", "--mode all"),
        (CassetteMissing("a.gpr"), 3, "a.gpr: no cassette there", "gp-replay list"),
        (CassetteCorrupt("a.gpr", "bad magic"), 3, "a.gpr: corrupt cassette: bad magic", "version control"),
        (CassetteCorrupt("a.gpr", "bad", offset=0), 3, "a.gpr: corrupt cassette: bad at byte 0", "version control"),
        (
            CassetteTooNew("a.gpr", found=9, supported=1),
            3,
            "a.gpr: cassette format 9 is newer than",
            "update gp-replay",
        ),
        (CassetteUnfinished("a.gpr.part"), 3, "a.gpr.part: unfinished recording", "gp-replay repair a.gpr.part"),
        (CouldNotCheck("no"), 4, "no", ""),
        (ListenError("port 80 is in use"), 4, "port 80 is in use", ""),
        (UpstreamUnreachable("refused", hint="is it up?"), 4, "refused", "is it up?"),
        (DiskFailure("full"), 4, "full", ""),
        (NothingHappened("nothing was served"), 4, "nothing was served", ""),
        (WireError("not HTTP"), 4, "not HTTP", ""),
    ],
)
def test_an_error_says_what_and_where_and_what_to_do(error: GpReplayError, code: int, text: str, hint: str) -> None:
    assert error.exit_code == code
    assert str(error).startswith(text)
    assert hint in error.hint
    assert bool(error.hint) is bool(hint)


def test_all_errors_have_one_root() -> None:
    leaves = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(leaf, GpReplayError) for leaf in leaves)
    defined = {
        value for value in vars(errors).values() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert defined == set(leaves)


def test_a_wire_error_carries_the_status_a_server_would_answer() -> None:
    assert WireError("x").status == 400
    assert WireError("x", status=413).status == 413
