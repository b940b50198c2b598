"""Looking at a database that an app may have open."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.storage.damaging import rows_of

from firekeep.exceptions import DatabaseClosed, StorageError, UsageError
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.shadow import Shadow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def writer(path: Path) -> Iterator[RocksBackend]:
    backend = RocksBackend.open(path, role="queue")
    backend.commit([(b"a", b"1"), (b"b", b"1")])
    backend.compact()
    backend.commit([(b"b", b"2"), (b"c", b"2")])
    yield backend
    backend.close()


def state_of(path: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        file.name: (file.stat().st_mtime_ns, file.stat().st_ino, file.read_bytes())
        for file in path.iterdir()
    }


def test_a_reader_sees_what_is_committed_and_changes_nothing(
    writer: RocksBackend, path: Path
) -> None:
    before = state_of(path)

    reader = RocksBackend.open_read_only(path)

    assert rows_of(reader) == {b"a": b"1", b"b": b"2", b"c": b"2"}
    assert reader.get(b"b") == b"2"
    assert reader.disk_bytes() == writer.disk_bytes()
    reader.close()
    assert state_of(path) == before
    writer.commit([(b"d", b"1")], sync=True)


def test_a_reader_keeps_to_its_moment_whatever_the_writer_does(writer: RocksBackend) -> None:
    reader = RocksBackend.open_read_only(writer._path)

    writer.commit([(b"a", None), (b"d", b"x" * 3_000_000)])
    writer.compact()
    writer.close()

    assert rows_of(reader) == {b"a": b"1", b"b": b"2", b"c": b"2"}
    reader.close()


def test_a_closed_database_can_be_read_too(writer: RocksBackend, path: Path) -> None:
    writer.close()

    reader = RocksBackend.open_read_only(path)

    assert reader.get(b"c") == b"2"
    reader.close()


def test_a_reader_refuses_to_write(writer: RocksBackend, path: Path) -> None:
    reader = RocksBackend.open_read_only(path)

    for write in (lambda: reader.commit([(b"a", b"3")]), reader.sync, reader.compact):
        with pytest.raises(UsageError, match="reading only"):
            write()

    reader.close()
    with pytest.raises(DatabaseClosed):
        reader.get(b"a")


def test_where_there_is_nothing_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    for path in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(StorageError, match="no database"):
            RocksBackend.open_read_only(path)

    assert [file.name for file in tmp_path.rglob("*")] == ["empty"]


def test_the_files_of_a_reader_are_gone_with_it(
    writer: RocksBackend, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    reader = RocksBackend.open_read_only(path)
    assert len(list((tmp_path / "temporary").iterdir())) == 1

    reader.close()

    assert list((tmp_path / "temporary").iterdir()) == []


def test_files_are_copied_where_there_are_no_links(
    writer: RocksBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(os, "symlink", refuse)
    reader = RocksBackend.open_read_only(path)

    assert rows_of(reader) == {b"a": b"1", b"b": b"2", b"c": b"2"}
    reader.close()


def test_a_look_knows_when_the_files_have_been_replaced(writer: RocksBackend, path: Path) -> None:
    shadow = Shadow(path)
    assert shadow.is_current()

    writer.commit([(b"z", b"1")])
    writer.compact()

    assert not shadow.is_current()
    shadow.remove()
    assert not shadow.path.exists()
