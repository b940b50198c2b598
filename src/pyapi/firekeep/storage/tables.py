"""Rows that reach RocksDB as tables: on the disk once, and not in a log before."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from firekeep.storage.backend import Row

if TYPE_CHECKING:
    from rocksdict import Options, Rdict

__all__ = ["add_as_tables", "remove_tables"]

MIB = 1024 * 1024

_TABLE_BYTES = MIB
#: RocksDB merges a table with all tables that its range overlaps, and both are on the disk
#: meanwhile. Beyond what lies at its first row, a table overlaps no more than so much, or so large
#: a part of all.
_OVERLAP_BYTES = 2 * MIB
_OVERLAP_SHARE = 1 / 32
#: What the disk has not seen of a table when it is complete.
_BUFFER_BYTES = 64 * 1024
_SUFFIX = ".coming"


def add_as_tables(database: "Rdict", path: Path, rows: Sequence[Row], settings: "Options") -> None:
    """Store all rows or none, on the disk; `settings` are those of the database at `path`.

    What was committed before is brought to the disk first.
    """
    from rocksdict import IngestExternalFileOptions

    taking = IngestExternalFileOptions()
    taking.set_move_files(True)
    # Else a crash could take an earlier commit, whose log was not synced, and leave this one.
    database.flush(wait=True)
    try:
        last = dict(rows)
        parts = _parts([(key, last[key]) for key in sorted(last)], _Overlap(database))
        tables = _write_tables(path, parts, settings)
        database.ingest_external_file(tables, taking)
    finally:
        remove_tables(path)


def remove_tables(path: Path) -> None:
    """Take away the tables that were never handed over."""
    for table in path.glob(f"*{_SUFFIX}"):
        with suppress(OSError):
            table.unlink()


class _Overlap:
    """How much of what is there a range reaches, whose rows come in ascending order.

    What lies at its first row does not count: no other range could do with less.
    """

    def __init__(self, database: "Rdict") -> None:
        files = [file for file in database.live_files() if file["level"]]
        starts: list[tuple[bytes, int]] = [(file["start_key"], file["size"]) for file in files]
        self._ahead = sorted(starts, reverse=True)
        self._size_bytes = 0
        self._limit_bytes = max(_OVERLAP_BYTES, sum(size for _, size in starts) * _OVERLAP_SHARE)

    def can_extend(self, key: bytes) -> bool:
        """Return whether the range may reach to a key, and let it do so."""
        while self._ahead and self._ahead[-1][0] <= key:
            self._size_bytes += self._ahead.pop()[1]
        return self._size_bytes <= self._limit_bytes

    def restart(self) -> None:
        """Let a range begin at the key that was asked for last."""
        self._size_bytes = 0


def _parts(rows: Sequence[Row], overlap: _Overlap) -> Iterator[list[Row]]:
    """Give the rows of one table after the other."""
    part: list[Row] = []
    size_bytes = 0
    for key, value in rows:
        if not overlap.can_extend(key) or size_bytes >= _TABLE_BYTES:
            if part:
                yield part
            part, size_bytes = [], 0
            overlap.restart()
        part.append((key, value))
        size_bytes += len(key) + (0 if value is None else len(value))
    yield part


def _write_tables(path: Path, parts: Iterator[list[Row]], settings: "Options") -> list[str]:
    from rocksdict import SstFileWriter

    settings.set_writable_file_max_buffer_size(_BUFFER_BYTES)
    tables: list[str] = []
    for part in parts:
        table = path / f"{len(tables)}{_SUFFIX}"
        writer = SstFileWriter(settings)
        writer.open(str(table))
        tables.append(str(table))
        for key, value in part:
            if value is None:
                del writer[key]
            else:
                writer[key] = value
        _sync(table)
        writer.finish()
        _call_back(table)
    return tables


def _sync(table: Path) -> None:
    """Wait for the disk here, where other threads run meanwhile; in RocksDB they do not."""
    if os.name != "posix":
        return  # only who may write a file can sync it, and RocksDB shares that with nobody
    file = os.open(table, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _call_back(table: Path) -> None:
    """Have what was written in memory again: RocksDB has told the system to forget it."""
    if hasattr(os, "posix_fadvise"):
        file = os.open(table, os.O_RDONLY)
        try:
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(file)
