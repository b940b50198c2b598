"""A day of churn in minutes: the cache keeps to its budget, and so do its files."""

import os
import random
from pathlib import Path as FilePath

import pytest

from firekeep.storage.files import used_bytes
from firekeep.storage.store import Store
from firekeep_core.operation.cache_change import (
    CacheChange,
    Complete,
    Hold,
    Pin,
    Replace,
    Track,
)
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_export

MIB = 1024 * 1024
BUDGET_BYTES = 10 * MIB
DEFAULT = QueryParams.DEFAULT
LAST_FIFTY = DEFAULT.limit_to_last(50)


class Churn:
    """One listener that stays, one query that is kept, a chat that moves on, and many visitors."""

    def __init__(self, directory: FilePath, seed: int) -> None:
        self.directory = directory
        self.chance = random.Random(seed)
        self.store = Store(directory, budget_bytes=BUDGET_BYTES, durability="none")
        self.store.open()
        self.written_bytes = 0
        self.messages: list[str] = []
        self.count = 0
        self.active = self.node(500_000)
        self.pinned = self.node(300_000)
        active, pinned = Path.parse("active"), Path.parse("pinned")
        self.apply(
            Track(active, DEFAULT, True),
            Replace(active, self.active),
            Complete(active, DEFAULT),
            Pin(pinned, DEFAULT, True),
            Replace(pinned, self.pinned),
            Complete(pinned, DEFAULT),
            Track(Path.parse("chat"), LAST_FIFTY, True),
        )

    def node(self, size_bytes: int) -> Node:
        """Return a value of about this size that cannot be compressed."""
        pieces = max(1, size_bytes // 1000)
        return from_export({f"p{n}": self.chance.randbytes(500).hex() for n in range(pieces)})

    def apply(self, *changes: CacheChange) -> None:
        report = self.store.apply(changes)
        self.written_bytes += sum(c.node.size_bytes for c in changes if isinstance(c, Replace))
        assert report.size_bytes <= BUDGET_BYTES
        assert not report.is_over_budget

    def step(self) -> None:
        """Have the chat go on a little, and somebody look at something else."""
        self.count += 1
        chat = Path.parse("chat")
        added = [f"m{self.count:08}{n}" for n in range(5)]
        self.messages += added
        removed, self.messages = self.messages[:-50], self.messages[-50:]
        changes: list[CacheChange] = [
            Replace(chat.child(Path.parse(key)), self.node(2000)) for key in added
        ]
        self.apply(*changes, Hold(chat, LAST_FIFTY, added, removed, self.count == 1))
        place = Path.parse(f"visited/{self.chance.randrange(4000)}")
        self.apply(
            Track(place, DEFAULT, True),
            Replace(place, self.node(self.chance.choice([1_000, 20_000, 200_000]))),
            Complete(place, DEFAULT),
            Track(place, DEFAULT, False),
        )

    def check(self) -> None:
        """Look at what has to be there, and at how much room all of it takes."""
        assert self.store.load(Path.parse("active"), DEFAULT).node == self.active
        assert self.store.load(Path.parse("pinned"), DEFAULT).node == self.pinned
        assert used_bytes(self.directory / "cache") <= 2 * BUDGET_BYTES + 8 * MIB


def resident_bytes() -> int:
    """Return what this process has in memory."""
    pages = int(FilePath("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def churn(directory: FilePath, total_bytes: int, capsys: pytest.CaptureFixture[str]) -> None:
    state = Churn(directory, 5)
    largest = 0
    settled_bytes = 0
    has_proc = FilePath("/proc/self/statm").exists()
    while state.written_bytes < total_bytes:
        for _ in range(20):
            state.step()
            largest = max(largest, used_bytes(directory / "cache"))
        state.check()
        if has_proc and not settled_bytes and state.written_bytes > total_bytes / 4:
            settled_bytes = resident_bytes()
    assert largest <= 2 * BUDGET_BYTES + 8 * MIB
    if has_proc:
        assert resident_bytes() < settled_bytes + 50 * MIB
    state.store.close()

    with Store(directory, budget_bytes=BUDGET_BYTES, durability="none") as again:
        assert again.load(Path.parse("pinned"), DEFAULT).node == state.pinned
    with capsys.disabled():
        print(f"\n{total_bytes // MIB} MiB through {BUDGET_BYTES // MIB}: files {largest} bytes")


def test_the_cache_keeps_to_its_budget(
    tmp_path: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    churn(tmp_path, 100 * MIB, capsys)


@pytest.mark.slow
def test_the_cache_keeps_to_its_budget_for_a_day(
    tmp_path: FilePath, capsys: pytest.CaptureFixture[str]
) -> None:
    churn(tmp_path, 2048 * MIB, capsys)
