"""One JSON tree on disk, for those who have all of it in memory too."""

import os

from firekeep.exceptions import CorruptRecord
from firekeep.storage.directory import StoreDirectory
from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.staging import Staging
from firekeep.storage.tree_rows import TreeRows
from firekeep_core.operation.difference import differences
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import ROOT

__all__ = ["TreeStore"]

_PREFIX = b"\x01"


class TreeStore:
    """The newest tree that is stored; a process that is killed leaves it or the one before.

    Blocks, and is used by one caller at a time. Saving takes time in proportion to what differs
    from the tree that was saved last.

    Example::

        store = TreeStore.open(directory)
        store.save(store.root.update(path, node))
        store.close()
    """

    def __init__(self, directory: StoreDirectory, backend: RocksBackend) -> None:
        """Read the tree; `open` is for everybody else."""
        self._directory = directory
        self._backend = backend
        self._staging = Staging(backend)
        self._rows = TreeRows(self._staging, _PREFIX)
        self._staging.count()
        self.root: Node = self._rows.load(ROOT)
        """The tree that is on disk."""

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "TreeStore":
        """Open an emulator's directory, which is made if need be.

        Raises:
            PersistenceInUse: somebody else uses it.
            CorruptRecord: it is damaged; nothing was changed.
            StorageError: it cannot be used.
        """
        directory = StoreDirectory.open(path, user="emulator")
        try:
            if directory.is_damaged:
                raise CorruptRecord("; ".join(directory.notices))
            # As a cache: commits up to the first that was cut off count, and none was promised.
            backend = RocksBackend.open(directory.data, role="cache")
        except BaseException:
            directory.close()
            raise
        try:
            return cls(directory, backend)
        except BaseException:
            backend.close()
            directory.close()
            raise

    def save(self, root: Node) -> None:
        """Store a tree, all or nothing.

        Raises:
            StorageFull, StorageError: the disk did not take it; the last one is still there.
        """
        if not self._staging.is_counted:
            # The last commit failed, or else only seemed to.
            self._staging.count()
            self.root = self._rows.load(ROOT)
        try:
            for place, node in differences(ROOT, self.root, root):
                self._rows.replace(place, node)
            self._rows.drop_priorities()
            self._staging.commit()
            self.root = root
        finally:
            self._staging.clear()
            self._rows.settle()

    def close(self) -> None:
        """Let others use it; twice does nothing."""
        self._backend.close()
        self._directory.close()
