"""Cassettes on disk: the only place that touches the file system for them."""

from gp_replay.store.finding import find_cassettes, find_unfinished
from gp_replay.store.reading import CassetteFile
from gp_replay.store.repairing import RepairResult, repair
from gp_replay.store.writing import CassetteWriter, next_epoch, next_revision

__all__ = [
    "CassetteFile",
    "CassetteWriter",
    "RepairResult",
    "find_cassettes",
    "find_unfinished",
    "next_epoch",
    "next_revision",
    "repair",
]
