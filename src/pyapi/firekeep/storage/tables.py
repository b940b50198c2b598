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
#: meanwhile. A table overlaps no more than so much, or so large a part, unless by a single row.
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
    """How much of what is there lies in the range of rows that come in ascending order."""

    def __init__(self, database: "Rdict") -> None:
        files = [file for file in database.live_files() if file["level"]]
        files.sort(key=lambda file: file["start_key"], reverse=True)
        self._ahead = files
        self._covering: list[tuple[bytes, int]] = []
        """The end and the size of each table that the range overlaps."""
        self.size_bytes = 0
        self.limit_bytes = max(_OVERLAP_BYTES, sum(f["size"] for f in files) * _OVERLAP_SHARE)

    def extend(self, key: bytes) -> None:
        """Let the range reach to a key."""
        while self._ahead and self._ahead[-1]["start_key"] <= key:
            file = self._ahead.pop()
            self._covering.append((file["end_key"], file["size"]))
            self.size_bytes += file["size"]

    def restart(self, key: bytes) -> None:
        """Let the range begin at a key that it has reached."""
        self._covering = [(end, size) for end, size in self._covering if end >= key]
        self.size_bytes = sum(size for _, size in self._covering)


def _parts(rows: Sequence[Row], overlap: _Overlap) -> Iterator[list[Row]]:
    """Give the rows of one table after the other."""
    part: list[Row] = []
    size_bytes = 0
    for key, value in rows:
        overlap.extend(key)
        if size_bytes >= _TABLE_BYTES or (part and overlap.size_bytes > overlap.limit_bytes):
            yield part
            part, size_bytes = [], 0
        if not part:
            overlap.restart(key)
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
    return tables


def _sync(table: Path) -> None:
    """Wait for the disk here, where other threads run meanwhile, so that RocksDB need not."""
    file = os.open(table, os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)
