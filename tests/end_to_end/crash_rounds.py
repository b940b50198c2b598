"""Kills a process at random moments, over and over, and looks at what it left; run by a test.

One process forks the one that works, kills it, and forks another that looks. The forking one never
opens a database itself: RocksDB does not survive a fork.

The work is such that what must be on disk can be told from little. Unit n of the cache carries the
number n to several places, and acknowledges write n; write n has a payload that follows from n. So
after a crash there is one n up to which the units have come, and the queue is n + 1 and all that
follow, at least up to the last that was reported durable.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path as FilePath
from typing import Any

from firekeep.storage.store import Store
from firekeep_core.operation.cache_change import (
    Acknowledged,
    CacheChange,
    Complete,
    Concluded,
    Replace,
    Track,
)
from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.snap.value import export, from_export

ROUNDS_OF_A_STORE = 25
PLACES = 300
LONGEST_S = 0.06
DEFAULT = QueryParams.DEFAULT
LARGE_BYTES = 1_500_000
"""More than a commit brings by way of a log; it comes as tables."""


def write_length(id: int) -> int:
    """Return how long the text of a write is: now and then it is large."""
    return LARGE_BYTES if id % 170 == 0 else id * 37 % 3000


def unit_length(number: int) -> int:
    """Return how long the text of a unit is: now and then it is large."""
    return LARGE_BYTES if number % 130 == 0 else number * 53 % 2000


def write(id: int) -> QueuedWrite:
    """Return the write with this id: a value of some length, or an update of several places."""
    children: tuple[Path, ...] = ()
    if id % 3 == 0:
        children = tuple(Path.parse(f"c{number}/n") for number in range(2 + id % 5))
    nodes = [
        from_export({"id": id, "text": "x" * write_length(id)}) for _ in range(len(children) or 1)
    ]
    envelope = WriteEnvelope(
        id,
        None if id % 2 else "ada",
        "update" if children else "set",
        Path.parse(f"w/{id % 7}"),
        children,
        id,
        id,
        100,
        False,
        False,
    )
    return QueuedWrite(envelope, tuple(nodes))


def unit(number: int) -> list[CacheChange]:
    """Return the unit of the cache that acknowledges the write with this number."""
    node = from_export({"n": number, "text": "x" * unit_length(number)})
    changes: list[CacheChange] = [
        Replace(Path.parse("first"), from_export(number)),
        Replace(Path.parse(f"many/k{number % PLACES:03}"), node),
        Acknowledged(number),
        Replace(Path.parse("last"), from_export(number)),
    ]
    if number == 1:
        changes = [Track(ROOT, DEFAULT, True), *changes, Complete(ROOT, DEFAULT)]
    return changes


def reached(store: Store) -> int:
    """Return the number of the last unit that the cache has; it has it, and those before, whole."""
    cached = store.load(ROOT, DEFAULT)
    if not cached.is_complete:
        return 0
    value: Any = export(cached.node)
    number = value["first"]
    assert value["last"] == number, "a unit is there as a whole"
    many = {
        f"k{n % PLACES:03}": {"n": n, "text": "x" * unit_length(n)}
        for n in range(max(1, number - PLACES + 1), number + 1)
    }
    assert value["many"] == many, "what the server said is there up to some unit, and no further"
    return int(number)


def work(directory: FilePath, seed: int, report: Callable[[str], None]) -> None:
    """Queue and acknowledge until the end, which comes from outside."""
    chance = random.Random(seed)
    store = Store(directory, budget_bytes=10 << 20, durability="batch")
    opened = store.open()
    number = reached(store)
    last_id = max([number, *(envelope.id for envelope in opened.envelopes)])
    removable: list[int] = []
    concluded: list[CacheChange] = []
    report("open 0")
    while True:
        if last_id == number or chance.random() < 0.4:
            added = [write(last_id + 1 + i) for i in range(chance.randint(1, 5))]
            store.store_writes(added, [], last_id)
            last_id += len(added)
            report(f"durable {last_id}")
        elif removable and chance.random() < 0.5:
            store.store_writes([], removable, last_id)
            concluded = [Concluded(id) for id in removable]
            removable = []
        else:
            number += 1
            store.apply([*unit(number), *concluded])
            concluded = []
            removable.append(number)
            report(f"unit {number}")


def look(directory: FilePath, durable_id: int, number: int) -> dict[str, int]:
    """Check what was left; return how much of it there was."""
    store = Store(directory, budget_bytes=10 << 20, durability="batch")
    broken_off = any(directory.glob("*/*.coming"))
    opened = store.open()
    assert all(note.startswith("the queue") for note in opened.notes), opened.notes
    after = reached(store)
    assert after >= number, f"unit {number} had been stored, there is {after}"
    ids = [envelope.id for envelope in opened.envelopes]
    expected_ids = list(range(after + 1, after + 1 + len(ids)))
    assert ids == expected_ids, f"none twice, none missing after {after}: {ids}"
    assert after + len(ids) >= durable_id, f"{durable_id} was durable, {ids[-1:]} is the last"
    for first in range(0, len(ids), 100):
        read = store.load_writes(ids[first : first + 100])
        assert not read.unreadable
        for stored in read.writes:
            expected = write(stored.envelope.id)
            envelope = stored.envelope._replace(maybe_sent=False)
            assert (envelope, stored.nodes) == (expected.envelope, expected.nodes)
    store.close()
    # A kill in the middle of a write to a log leaves half a record behind.
    return {
        "units": after,
        "writes": len(ids),
        "torn": len(opened.notes),
        "large": int(broken_off),
    }


def forked(function: Callable[[Callable[[str], None]], object]) -> tuple[int, int]:
    """Run a function in a process of its own; return its id, and where its reports can be read."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    os.close(reading)
    try:
        result = function(lambda text: void(os.write(writing, f"{text}\n".encode())))
        os.write(writing, f"done {json.dumps(result)}\n".encode())
    # The process ends here whatever happens: the other one has to know why.
    except BaseException as error:  # noqa: BLE001
        os.write(writing, f"failed {error!r}\n".encode())
    os._exit(0)


def void(_value: object) -> None:
    """Return nothing."""


def lines_of(reading: int) -> list[str]:
    """Return all reports there are, up to the end."""
    with os.fdopen(reading) as reports:
        return reports.read().split("\n")[:-1]


def one_round(directory: FilePath, seed: int, delay_s: float) -> dict[str, int]:
    """Have a process work, kill it, and look."""
    process, reading = forked(lambda report: work(directory, seed, report))
    first = os.read(reading, len("open 0\n"))
    time.sleep(delay_s)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    lines = [first.decode().strip(), *lines_of(reading)]
    failures = [line for line in lines if line.startswith(("failed", "done"))]
    assert not failures, failures
    durable_id = max(
        (int(line.split()[1]) for line in lines if line.startswith("durable")), default=0
    )
    number = max((int(line.split()[1]) for line in lines if line.startswith("unit")), default=0)
    process, reading = forked(lambda _report: look(directory, durable_id, number))
    *_, last = lines_of(reading)
    os.waitpid(process, 0)
    assert last.startswith("done"), last
    found: dict[str, int] = json.loads(last.removeprefix("done "))
    return found


def main(arguments: Sequence[str]) -> None:
    """Print what was found, as JSON."""
    root, rounds, seed = FilePath(arguments[0]), int(arguments[1]), int(arguments[2])
    chance = random.Random(seed)
    figures = {"kills": 0, "writes_found_again": 0, "units_found_again": 0, "torn_logs": 0}
    figures["large_commits_broken_off"] = 0
    for position in range(rounds):
        directory = root / f"store{position // ROUNDS_OF_A_STORE}"
        found = one_round(directory, seed + position, chance.uniform(0, LONGEST_S))
        figures["kills"] += 1
        figures["writes_found_again"] += found["writes"]
        figures["units_found_again"] += found["units"]
        figures["torn_logs"] += found["torn"]
        figures["large_commits_broken_off"] += found["large"]
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
