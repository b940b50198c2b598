"""What an emulator is to remember, as one tree."""

from collections.abc import Mapping
from typing import NamedTuple

from firekeep.exceptions import StorageError
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, from_export

__all__ = ["State"]

VERSION = 1

_VERSION = Path.from_keys(["version"])
_DATABASES = Path.from_keys(["databases"])
_ACCOUNTS = Path.from_keys(["accounts"])
#: Before each name, so that no name is taken for anything else.
_MARK = "="


class State(NamedTuple):
    """All databases by name, and all accounts, each as text, by uid."""

    databases: Mapping[str, Node]
    accounts: Mapping[str, str]

    def pack(self) -> Node:
        """Return it as a tree, which shares the databases' structure."""
        databases = accounts = EMPTY
        for name, node in self.databases.items():
            databases = databases.update_child(_MARK + name, node)
        for uid, text in self.accounts.items():
            accounts = accounts.update_child(_MARK + uid, from_export(text))
        return (
            EMPTY.update(_VERSION, from_export(VERSION))
            .update(_DATABASES, databases)
            .update(_ACCOUNTS, accounts)
        )

    @classmethod
    def unpack(cls, tree: Node) -> "State | None":
        """Return what was packed; None if nothing was.

        Raises:
            StorageError: a newer emulator has packed it.
        """
        if tree.is_empty:
            return None
        version = export(tree.get(_VERSION))
        if version != VERSION:
            raise StorageError(
                f"the data are in version {version!r}; this emulator knows version {VERSION}"
            )
        accounts = tree.get(_ACCOUNTS).items()
        return cls(
            {key.removeprefix(_MARK): node for key, node in tree.get(_DATABASES).items()},
            {key.removeprefix(_MARK): str(export(node)) for key, node in accounts},
        )
