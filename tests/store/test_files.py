"""The few calls to the file system: whole or not at all, and never over somebody else's file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gp_replay.errors import CassetteExists, CassetteMissing
from gp_replay.store.files import open_for_reading, put_in_place, read_at, write_all


def test_putting_in_place_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    put_in_place(tmp_path / "new", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"new"
    assert not (tmp_path / "new").exists()
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(CassetteExists):
        put_in_place(tmp_path / "other", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"new"


def test_short_writes_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = os.open(tmp_path / "x", os.O_CREAT | os.O_WRONLY)
    write = os.write
    monkeypatch.setattr(os, "write", lambda number, data: write(number, bytes(data)[:3]))
    write_all(descriptor, b"0123456789")
    os.close(descriptor)
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_bytes_are_read_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    with open_for_reading(tmp_path / "x") as file:
        assert read_at(file, 3, 4, path="x") == b"456"
    with pytest.raises(CassetteMissing):
        open_for_reading(tmp_path / "none")
