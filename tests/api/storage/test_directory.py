"""The directory that one database has for itself."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firekeep.exceptions import (
    CorruptRecord,
    DatabaseClosed,
    PersistenceInUse,
    StorageError,
)
from firekeep.storage.directory import FORMAT, StoreDirectory

POSIX = pytest.mark.skipif(os.name != "posix", reason="there are no such permissions here")


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some" / "where"


@pytest.fixture
def directory(path: Path) -> Iterator[StoreDirectory]:
    one = StoreDirectory.open(path, clock=lambda: 1_700_000_000)
    yield one
    one.close()


def everything_in(path: Path) -> dict[str, bytes | None]:
    return {
        str(file.relative_to(path)): None if file.is_dir() else file.read_bytes()
        for file in path.rglob("*")
    }


@POSIX
def test_what_is_made_is_closed_to_others(directory: StoreDirectory) -> None:
    assert mode_of(directory.path) == 0o700
    assert {mode_of(file) for file in directory.path.iterdir()} == {0o600}
    assert directory.notices == []


def test_a_credential_that_was_there_first_is_no_damage(path: Path) -> None:
    path.mkdir(parents=True, mode=0o700)
    (path / "auth").write_text("a credential")

    directory = StoreDirectory.open(path)

    assert not directory.is_damaged
    assert directory.notices == []
    directory.close()


@POSIX
def test_a_directory_that_is_open_to_others_is_closed_and_that_is_told(path: Path) -> None:
    path.mkdir(parents=True)
    path.chmod(0o755)

    directory = StoreDirectory.open(path)

    assert mode_of(path) == 0o700
    assert len(directory.notices) == 1
    assert "755" in directory.notices[0]
    directory.close()


@POSIX
def test_a_directory_for_everybody_is_refused_as_it_is(path: Path) -> None:
    path.mkdir(parents=True)
    path.chmod(0o1777)

    with pytest.raises(StorageError, match="shared"):
        StoreDirectory.open(path)

    assert mode_of(path) == 0o1777
    assert list(path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give")
def test_a_directory_of_somebody_else_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(StorageError, match="belongs to user 0"):
        StoreDirectory.open(path)


def test_a_directory_with_other_files_is_refused_as_it_is(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "thesis.txt").write_text("…")
    before = mode_of(path)

    with pytest.raises(StorageError, match=r"thesis\.txt"):
        StoreDirectory.open(path)

    assert [file.name for file in path.iterdir()] == ["thesis.txt"]
    assert mode_of(path) == before


@pytest.mark.parametrize("litter", [".DS_Store", "lost+found"])
def test_what_systems_leave_in_directories_does_not_count(path: Path, litter: str) -> None:
    path.mkdir(parents=True)
    (path / litter).touch()

    StoreDirectory.open(path).close()


def test_other_files_do_no_harm_once_the_directory_is_ours(path: Path) -> None:
    StoreDirectory.open(path).close()
    (path / "notes.txt").touch()

    StoreDirectory.open(path).close()


def test_a_file_in_its_place_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()

    with pytest.raises(StorageError):
        StoreDirectory.open(path)


# The lock.


def test_a_second_user_in_this_process_is_told_who_has_it(
    directory: StoreDirectory, path: Path
) -> None:
    with pytest.raises(PersistenceInUse) as caught:
        StoreDirectory.open(path)

    text = str(caught.value)
    assert str(path) in text
    assert f"process {os.getpid()} on " in text
    assert "since 2023-11-14 22:13:20 UTC" in text


def test_a_link_to_it_is_the_same_directory(
    directory: StoreDirectory, path: Path, tmp_path: Path
) -> None:
    try:
        (tmp_path / "link").symlink_to(path)
    except OSError:
        pytest.skip("this user cannot make links")

    with pytest.raises(PersistenceInUse):
        StoreDirectory.open(tmp_path / "link")


OPENER = """if True:
    import os, sys
    from firekeep.exceptions import PersistenceInUse
    from firekeep.storage.directory import StoreDirectory
    try:
        directory = StoreDirectory.open(sys.argv[1])
    except PersistenceInUse as error:
        print(error, flush=True)
    else:
        print("opened", flush=True)
    sys.stdin.read()
"""


def opener(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", OPENER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_second_process_is_told_which_one_has_it(directory: StoreDirectory, path: Path) -> None:
    with opener(path) as other:
        printed, _ = other.communicate("")

    assert f"in use by process {os.getpid()} on " in printed


def test_a_killed_process_has_let_go_of_it(path: Path) -> None:
    with opener(path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "opened\n"
        with pytest.raises(PersistenceInUse, match=f"process {other.pid} "):
            StoreDirectory.open(path)
        other.kill()

    StoreDirectory.open(path).close()


def test_closing_lets_others_use_it(directory: StoreDirectory, path: Path) -> None:
    directory.close()
    directory.close()

    StoreDirectory.open(path).close()


@pytest.mark.parametrize("text", ["", "\0" * 300, "\udcff" * 200])
def test_a_lock_whose_text_is_gone_still_locks(
    directory: StoreDirectory, path: Path, text: str
) -> None:
    with (path / "lock").open("r+b") as file:
        file.truncate()
        file.write(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(PersistenceInUse, match="in use by"):
        StoreDirectory.open(path)


FORKING = """if True:
    import os, signal, sys
    from firekeep.exceptions import UsageError
    from firekeep.storage.directory import StoreDirectory
    directory = StoreDirectory.open(sys.argv[1])
    if os.fork() == 0:
        try:
            directory.quarantine("cache")
        except UsageError:
            print(os.getpid(), flush=True)
        signal.pause()  # lives on when the parent is gone
    else:
        os.read(sys.stdin.fileno(), 1)
        os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_neither_has_the_lock_nor_keeps_it(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        child_id = int(parent.stdout.readline())
        try:
            with pytest.raises(PersistenceInUse):
                StoreDirectory.open(path)

            parent.stdin.write(b"x")
            parent.stdin.flush()
            parent.wait()

            StoreDirectory.open(path).close()
        finally:
            os.kill(child_id, signal.SIGKILL)


# The format.


def test_the_format_says_its_number_and_who_wrote_it(directory: StoreDirectory) -> None:
    lines = (directory.path / "format").read_text().splitlines()

    assert lines[0] == f"format {FORMAT}"
    assert lines[1].startswith("written by firekeep")


def test_a_newer_format_is_refused_and_nothing_is_touched(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "format").write_text("format 7\nwritten by firekeep 9.1\nand more\n"[:33])
    (path / "queue").mkdir()
    path.chmod(0o755)
    before = everything_in(path), mode_of(path)

    with pytest.raises(StorageError) as caught:
        StoreDirectory.open(path)

    assert not isinstance(caught.value, CorruptRecord)
    assert "firekeep 9.1 in format 7" in str(caught.value)
    assert f"reads format {FORMAT}" in str(caught.value)
    assert (everything_in(path), mode_of(path)) == before


@pytest.mark.parametrize("text", ["", "form", "format x\n", "format 0\nwritten by y\n", "\0" * 40])
def test_a_format_that_cannot_be_read_makes_what_is_stored_count_as_damaged(
    path: Path, text: str
) -> None:
    StoreDirectory.open(path).close()
    (path / "queue").mkdir()
    (path / "format").write_text(text)

    for _ in range(2):
        directory = StoreDirectory.open(path)
        assert directory.is_damaged
        assert "format" in directory.notices[0]
        directory.close()

    directory = StoreDirectory.open(path)
    directory.write_format()
    directory.close()
    directory = StoreDirectory.open(path)
    assert not directory.is_damaged
    directory.close()


def test_a_format_that_is_gone_counts_as_damaged_too(path: Path) -> None:
    StoreDirectory.open(path).close()
    (path / "cache").mkdir()
    (path / "format").unlink()

    directory = StoreDirectory.open(path)

    assert directory.is_damaged
    directory.close()


def test_a_directory_in_the_place_of_the_format_is_moved_away(path: Path) -> None:
    StoreDirectory.open(path).close()
    (path / "format").unlink()
    (path / "format").mkdir()

    directory = StoreDirectory.open(path)

    assert not directory.is_damaged
    assert (path / "format").is_file()
    directory.close()


# Quarantine.


def test_what_is_damaged_is_moved_and_the_three_newest_are_kept(directory: StoreDirectory) -> None:
    places: list[Path] = []
    for number in range(12):
        directory.cache.mkdir()
        (directory.cache / "file").write_text(str(number))
        places.append(directory.quarantine("cache"))

    assert not directory.cache.exists()
    assert [place for place in places if place.exists()] == places[-3:]
    assert [(place / "file").read_text() for place in places[-3:]] == ["9", "10", "11"]


def test_each_name_has_a_quarantine_of_its_own(directory: StoreDirectory) -> None:
    directory.queue.mkdir()
    queue = directory.quarantine("queue")
    for _ in range(4):
        directory.cache.touch()
        directory.quarantine("cache")

    assert queue.exists()


def test_what_is_not_there_cannot_be_moved(directory: StoreDirectory) -> None:
    with pytest.raises(StorageError):
        directory.quarantine("cache")


def test_its_size_is_that_of_all_its_files(directory: StoreDirectory) -> None:
    before = directory.disk_bytes()
    directory.cache.mkdir()
    (directory.cache / "file").write_bytes(bytes(100_000))
    directory.quarantine("cache")
    (directory.path / "queue").mkdir()
    (directory.path / "queue" / "file").write_bytes(bytes(50_000))

    assert 150_000 <= directory.disk_bytes() - before < 200_000


def test_once_closed_it_moves_nothing(directory: StoreDirectory) -> None:
    directory.close()

    with pytest.raises(DatabaseClosed):
        directory.quarantine("cache")
    with pytest.raises(DatabaseClosed):
        directory.disk_bytes()
