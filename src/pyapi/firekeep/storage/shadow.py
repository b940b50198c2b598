"""A look at a database that somebody else may have open, without writing where it lies."""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from firekeep.exceptions import StorageError

__all__ = ["Shadow"]


class Shadow:
    """A temporary directory that holds the files which a database had at one moment.

    They are links where the system allows it, else copies. Opening a database for reading writes
    files of its own beside those that it reads: they land here.
    """

    path: Path

    def __init__(self, source: Path) -> None:
        """Take the files.

        Raises:
            StorageError: there is no database, or its files cannot be reached.
        """
        if not (source / "CURRENT").exists():
            raise StorageError(f"no database is stored at {source}")
        self._source = source
        self.path = Path(mkdtemp(prefix="firekeep-"))
        try:
            self._names = self._listed()
            for name in self._names:
                self._take(name)
        except OSError as error:
            self.remove()
            raise StorageError(f"cannot read {source}: {error}") from error

    def is_current(self) -> bool:
        """Return whether the database still consists of the same files."""
        return self._names == self._listed()

    def named(self, text: str) -> str:
        """Return a text that speaks of the files here as one that speaks of those they stand for."""
        return text.replace(str(self.path), str(self._source))

    def remove(self) -> None:
        """Take the directory away, which leaves the database as it is."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _listed(self) -> list[str]:
        return sorted(
            name
            for name in os.listdir(self._source)
            if name == "CURRENT" or name.startswith("MANIFEST-") or name.endswith((".sst", ".log"))
        )

    def _take(self, name: str) -> None:
        source = (self._source / name).absolute()
        try:
            os.symlink(source, self.path / name)
        except (OSError, NotImplementedError):
            # Windows lets only some users make links. A file may be gone by this time.
            if source.exists():
                shutil.copyfile(source, self.path / name)
