"""A store directory that several sittings have filled, and what was true of it after each unit.

Each unit of the cache carries its number to all the places that it changes, so that values of
different moments are told apart; what a queued write holds follows from its id.
"""

import multiprocessing
import os
import random
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path as FilePath
from typing import Any, ClassVar, NamedTuple, TypeAlias

from firekeep.storage.store import Store
from firekeep_core.operation.cache_change import (
    Acknowledged,
    Assume,
    CacheChange,
    Complete,
    Concluded,
    Forget,
    Hold,
    Pin,
    Replace,
    Track,
)
from firekeep_core.operation.queued_write import QueuedWrite, WriteEnvelope
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import from_export

BUDGET_BYTES = 10_000_000
DEFAULT = QueryParams.DEFAULT
OWNERS = ("ada", None)
ASKED = {
    "lobby": (Path.parse("rooms/lobby"), DEFAULT),
    "archive": (Path.parse("archive"), DEFAULT),
    "latest": (Path.parse("messages"), DEFAULT.order_by_key().limit_to_last(4)),
    "adults": (Path.parse("members"), DEFAULT.order_by_child("age").start_at(18)),
    "profile": (Path.parse("profile"), DEFAULT),
    "secret": (Path.parse("secret"), DEFAULT),
    "photo": (Path.parse("photo"), DEFAULT),
    "assumed": (Path.parse("assumed"), DEFAULT),
    "never": (Path.parse("never"), DEFAULT),
}
"""The queries of each owner, of which the last one is never answered."""

Answer: TypeAlias = tuple[bool, Any]
"""Whether a query is complete, and what it shows."""
Answers: TypeAlias = dict[tuple[str | None, str], Answer]
"""By owner and query."""

UNKNOWN: Answer = (False, None)
_SITTINGS = 5
_UNITS = 9
_LATEST = 4


class Chronicle(NamedTuple):
    """What is true of a store."""

    moments: list[Answers]
    """What the cache showed after each of its commits that changed something."""
    waiting: set[int]
    """Writes that the server has not answered."""
    answered: set[int]
    """Writes that the cache marks as answered and the queue still holds."""
    marked: set[int]
    """All writes that the cache marks as answered."""
    gone: set[int]
    """Writes that the queue holds no more."""
    sent_through: int
    next_id: int


def write_of(id: int) -> QueuedWrite:
    """Return the write with this id; each sixtieth is longer than a block of a log.

    One of them is in several rows.
    """
    children: tuple[Path, ...] = ()
    if id % 3 == 0:
        children = tuple(Path.parse(f"c{number}/n") for number in range(2 + id % 4))
    length = id * 37 % 900
    if id % 60 == 0:
        length = 300_000 if id == 120 else 40_000
    nodes = [
        from_export({"id": id, "part": part, "text": "x" * length})
        for part in range(len(children) or 1)
    ]
    envelope = WriteEnvelope(
        id,
        OWNERS[id % 2],
        "update" if children else "set",
        Path.parse(f"w/{id % 7}"),
        children,
        id * 1000,
        id * 1000 + 5,
        100 + length,
        id % 5 == 0,
        False,
    )
    return QueuedWrite(envelope, tuple(nodes))


def make_store(place: FilePath, *, is_killed: bool) -> Chronicle:
    """Fill a directory, and leave it closed, or as a process leaves it that is killed.

    The last that the queue is told is on the disk when it returns, and so is what went before.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_make_in_child, args=(there, place, is_killed))
    child.start()
    there.close()
    try:
        chronicle: Chronicle = here.recv()
    finally:
        child.join()
    return chronicle


def _make_in_child(chronicles: Connection, place: FilePath, is_killed: bool) -> None:
    author = _Author(place)
    for number in range(_SITTINGS):
        if number:
            author.store.close()
        author.sit(OWNERS[number % 2], is_last=number == _SITTINGS - 1)
    if not is_killed:
        author.store.close()
    chronicles.send(author.chronicle())
    chronicles.close()
    # Nothing of the process is closed or freed.
    os._exit(0)


class _Author:
    def __init__(self, place: FilePath) -> None:
        self.store = Store(place, budget_bytes=BUDGET_BYTES, durability="batch")
        self._chance = random.Random(7)
        self._owner: str | None = None
        self._unit = 0
        self._is_last = False
        self._answers: Answers = {(owner, name): UNKNOWN for owner in OWNERS for name in ASKED}
        self._moments = [dict(self._answers)]
        self._waiting: list[int] = []
        self._gone: set[int] = set()
        self._answered: set[int] = set()
        self._marked: set[int] = set()
        self._next_id = 1
        self._sent_through = 0

    def chronicle(self) -> Chronicle:
        return Chronicle(
            self._moments,
            set(self._waiting),
            self._answered,
            self._marked,
            self._gone,
            self._sent_through,
            self._next_id,
        )

    def sit(self, owner: str | None, *, is_last: bool) -> None:
        """Open the store, and do for both owners what an app does."""
        opened = self.store.open(owner)
        assert [envelope.id for envelope in opened.envelopes] == self._waiting
        assert not opened.notes
        self._owner = owner
        self._is_last = is_last
        self._work()
        self._owner = OWNERS[1 - OWNERS.index(owner)]
        self.store.switch_owner((), self._owner, None)
        self._work()
        if is_last:
            self._end_in_the_middle()
        self._append(3)

    def _work(self) -> None:
        for _ in range(_UNITS):
            self._commit_unit()
            self._append(self._chance.randrange(1, 4))
            if self._chance.random() < 0.4:
                self._answer(self._waiting[0])
        # The server refuses one, which leaves nothing in the cache.
        refused = self._waiting[len(self._waiting) // 2]
        self._send_through(refused)
        self._remove(refused)

    def _end_in_the_middle(self) -> None:
        """Leave each step of dealing with an answer undone for some write."""
        for id in self._waiting[1:3]:
            self._mark(id)
            self._waiting.remove(id)
            self._answered.add(id)
        removed = self._waiting[0]
        self._mark(removed)
        self._remove(removed)
        self._commit_unit()

    # The queue.

    def _append(self, count: int) -> None:
        ids = range(self._next_id, self._next_id + count)
        self.store.store_writes([write_of(id) for id in ids], (), 0)
        self._waiting += ids
        self._next_id += count

    def _send_through(self, id: int) -> None:
        self._sent_through = max(self._sent_through, id)
        self.store.store_writes((), (), self._sent_through)

    def _remove(self, id: int) -> None:
        self.store.store_writes((), (id,), 0)
        self._waiting.remove(id)
        self._gone.add(id)

    def _answer(self, id: int) -> None:
        """Deal with a write that the server has confirmed."""
        self._mark(id)
        self._remove(id)
        self._marked.remove(id)
        self._commit([Concluded(id)])

    def _mark(self, id: int) -> None:
        self._send_through(id)
        self._marked.add(id)
        value = {"write": id}
        self._answers[self._owner, "assumed"] = (True, value)
        self._commit([Assume(ASKED["assumed"][0], from_export(value)), Acknowledged(id)])

    # The cache.

    def _commit(self, changes: list[CacheChange]) -> None:
        self.store.apply(changes)
        if self._moments[-1] != self._answers:
            self._moments.append(dict(self._answers))

    def _commit_unit(self) -> None:
        self._unit += 1
        is_first = not self._known("lobby")
        names = list(self._changers)
        if not is_first:
            names = self._chance.sample(names[:-1], 3)
        if self._is_last and self._unit % 3 == 0:
            names.append("photo")
        changes: list[CacheChange] = []
        for name in names:
            changes += self._changers[name](self, is_first)
        if is_first:
            changes.append(Track(*ASKED["never"], True))
            changes.append(Pin(*ASKED["profile"], True))
            for name in self._changers:
                changes += [Complete(*ASKED[name]), Track(*ASKED[name], True)]
        elif self._known("secret") and self._unit > _SITTINGS * _UNITS:
            changes.append(Forget(*ASKED["secret"]))
            self._answers[self._owner, "secret"] = UNKNOWN
        self._commit(changes)

    def _known(self, name: str) -> dict[str, Any]:
        """Return what the owner's query shows, to be changed."""
        known: dict[str, Any] = dict(self._answers[self._owner, name][1] or {})
        return known

    def _change_whole(self, name: str) -> list[CacheChange]:
        value = {"owner": str(self._owner), "unit": self._unit, "text": "x" * (self._unit % 50)}
        self._answers[self._owner, name] = (True, value)
        return [Replace(ASKED[name][0], from_export(value))]

    def _change_lobby(self, is_first: bool) -> list[CacheChange]:
        return self._change_whole("lobby")

    def _change_profile(self, is_first: bool) -> list[CacheChange]:
        return self._change_whole("profile")

    def _change_secret(self, is_first: bool) -> list[CacheChange]:
        return self._change_whole("secret") if is_first else []

    def _change_photo(self, is_first: bool) -> list[CacheChange]:
        """Change so much that a log is full after a few times, and a table is made of it.

        That of one owner is in several rows, which come as tables.
        """
        length = 90_000 if self._owner is None else 600_000
        value = {"unit": self._unit, "text": self._chance.randbytes(length).hex()}
        self._answers[self._owner, "photo"] = (True, value)
        return [Replace(ASKED["photo"][0], from_export(value))]

    def _change_archive(self, is_first: bool) -> list[CacheChange]:
        """Change some children of what takes many rows."""
        known = self._known("archive")
        path = ASKED["archive"][0]
        count = 150 if is_first else self._chance.randrange(1, 20)
        changed = {
            f"k{number:03}": {"unit": self._unit, "text": self._chance.randbytes(40).hex()}
            for number in self._chance.sample(range(150), count)
        }
        self._answers[self._owner, "archive"] = (True, known | changed)
        if is_first:
            return [Replace(path, from_export(changed))]
        return [
            Replace(path.child(Path.from_keys([key])), from_export(value))
            for key, value in changed.items()
        ]

    def _change_latest(self, is_first: bool) -> list[CacheChange]:
        """Let a message come, and the oldest leave the window."""
        known = self._known("latest")
        key = f"m{self._unit:04}"
        known[key] = {"unit": self._unit, "text": self._chance.randbytes(30).hex()}
        removed = sorted(known)[:-_LATEST]
        for each in removed:
            del known[each]
        self._answers[self._owner, "latest"] = (True, known)
        path, params = ASKED["latest"]
        return [
            Replace(path.child(Path.from_keys([key])), from_export(known[key])),
            Hold(path, params, [key], removed, is_first),
        ]

    def _change_adults(self, is_first: bool) -> list[CacheChange]:
        """Let members come into the window, change in it and leave it."""
        known = self._known("adults")
        path, params = ASKED["adults"]
        changes: list[CacheChange] = []
        removed: list[str] = []
        for number in self._chance.sample(range(20), 12 if is_first else 4):
            key = f"p{number:02}"
            age = self._chance.randrange(10, 60)
            if age >= 18:
                known[key] = {"age": age, "unit": self._unit}
                changes.append(Replace(path.child(Path.from_keys([key])), from_export(known[key])))
            elif known.pop(key, None) is not None:
                removed.append(key)
        self._answers[self._owner, "adults"] = (True, known)
        return [*changes, Hold(path, params, sorted(known), removed, is_first)]

    _changers: ClassVar[dict[str, Callable[["_Author", bool], list[CacheChange]]]] = {
        "lobby": _change_lobby,
        "archive": _change_archive,
        "latest": _change_latest,
        "adults": _change_adults,
        "profile": _change_profile,
        "secret": _change_secret,
        "photo": _change_photo,
    }
