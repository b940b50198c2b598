"""A database in a file, as the official tools export and import it."""

import os
import tempfile
from pathlib import Path as FilePath

import anyio.to_thread

from firekeep.exceptions import InvalidArgument
from firekeep_core.errors import ProtocolError
from firekeep_core.snap.json import dump, parse
from firekeep_core.snap.node import Node

__all__ = ["read_archive", "write_archive"]


async def read_archive(path: str | os.PathLike[str]) -> Node:
    """Return the value in a JSON file, in the export form: with ``.value`` and ``.priority``.

    Raises:
        InvalidArgument: the file holds no JSON that a database could hold.
        OSError: it cannot be read.
    """
    data = await anyio.to_thread.run_sync(FilePath(path).read_bytes)
    try:
        return parse(data)
    except ProtocolError as error:
        raise InvalidArgument(f"{os.fspath(path)}: {error}") from error


async def write_archive(path: str | os.PathLike[str], node: Node) -> None:
    """Write the value to a JSON file; whoever reads it sees the old or the new, whole.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    await anyio.to_thread.run_sync(_replace, FilePath(path), dump(node))


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
