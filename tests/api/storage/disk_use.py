"""What files take on the disk at any moment, seen from outside and as ``du`` counts."""

import multiprocessing
import os
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self


class DiskUse:
    """Looks at a directory all the time, as long as it is entered.

    From a process of its own: in this one, each look would wait for others between one file and
    the next, and count files together that never were there together.
    """

    def __init__(self, path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, self._there = context.Pipe()
        self._process = context.Process(target=_look_on, args=(self._there, path), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._there.close()
        assert self.most_bytes() >= 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._here.close()
        self._process.join()

    def most_bytes(self) -> int:
        """Return the most that was seen since this was asked last, now included."""
        self._here.send_bytes(b"?")
        most: int = self._here.recv()
        return most


def _look_on(answers: Connection, path: Path) -> None:
    most_bytes = 0
    while True:
        is_asked = answers.poll()
        used_bytes = _used_bytes(path)
        most_bytes = max(most_bytes, used_bytes)
        if is_asked:
            try:
                answers.recv_bytes()
            except EOFError:
                return
            answers.send(most_bytes)
            most_bytes = used_bytes


def _used_bytes(path: Path) -> int:
    """Return the size of what is there at one moment."""
    while True:
        names = os.listdir(path)
        # A file has two names for a moment when it is handed over.
        sizes: dict[int, int] = {}
        try:
            for name in names:
                status = os.stat(path / name)
                sizes[status.st_ino] = max(status.st_size, status.st_blocks * 512)
        except FileNotFoundError:
            continue
        if os.listdir(path) == names:
            return sum(sizes.values())
