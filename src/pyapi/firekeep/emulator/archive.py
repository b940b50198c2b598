"""A database in a file, as the official tools export and import it."""

import os
import tempfile
from pathlib import Path as FilePath

import anyio.to_thread

from firekeep.exceptions import InvalidArgument, InvalidKey
from firekeep_core.errors import ProtocolError
from firekeep_core.snap.json import dump, parse
from firekeep_core.snap.keys import is_valid_key
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.server_value import resolve

__all__ = ["read_archive", "write_archive"]


async def read_archive(path: str | os.PathLike[str], now_ms: int) -> Node:
    """Return the value in a JSON file, in the export form: with ``.value`` and ``.priority``.

    Timestamps that it asks for are `now_ms`.

    Raises:
        InvalidArgument: the file holds no JSON that a database could hold.
        OSError: it cannot be read.
    """
    data = await anyio.to_thread.run_sync(FilePath(path).read_bytes)
    try:
        node = parse(data)
        _check_keys(node, ROOT)
        return resolve(node, EMPTY, now_ms)
    except (ProtocolError, InvalidArgument) as error:
        raise InvalidArgument(f"{os.fspath(path)}: {error}") from error


async def write_archive(path: str | os.PathLike[str], node: Node) -> None:
    """Write the value to a JSON file; whoever reads it sees the old or the new, whole.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    await anyio.to_thread.run_sync(_replace, FilePath(path), dump(node))


def _check_keys(node: Node, path: Path) -> None:
    for key, child in node.items():
        if not is_valid_key(key):
            raise InvalidKey(f"invalid key {key!r:.80} at {path}")
        if child.is_map:
            _check_keys(child, path.child(key))


def _replace(path: FilePath, data: bytes) -> None:
    # Beside the target, as only within one file system a rename replaces at once.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
