"""Damages to each file of a store directory, and a judge of what the store makes of them."""

import multiprocessing
import random
import shutil
import struct
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path as FilePath
from typing import NamedTuple

from tests.api.storage.chronicle import (
    ASKED,
    BUDGET_BYTES,
    OWNERS,
    UNKNOWN,
    Answer,
    Answers,
    Chronicle,
    write_of,
)

from firekeep.exceptions import CorruptRecord, StorageError
from firekeep.storage.queue_rows import write_rows
from firekeep.storage.store import OpenedStore, Store
from firekeep_core.operation.cache_change import Complete, Replace, Track
from firekeep_core.snap.value import export, from_export

KINDS = ("removed", "emptied", "cut", "cut between records", "flipped", "overwritten")
_IDLE = ("LOG", "OPTIONS", "IDENTITY", "LOCK", "rocksdict-config.json")
"""How the names of files begin in which nothing is stored."""
_BLOCK_BYTES = 32 * 1024
_BLOCK_HEAD_BYTES = 7
_LONGEST_CASE_S = 60.0


class Damage(NamedTuple):
    """What happens to a file, or to each of several."""

    files: tuple[str, ...]
    """Where they are in the directory."""
    kind: str
    seed: int

    def do(self, place: FilePath) -> None:
        """Damage the files in a directory."""
        for number, file in enumerate(self.files):
            _damage(place / file, self.kind, random.Random(self.seed * 100 + number))

    def is_in(self, folder: str) -> bool:
        """Return whether what is stored in a folder, or how to read it, may be damaged."""
        return any(file.startswith((f"{folder}/", "format")) for file in self.files)


NOTHING = Damage((), "", 0)


def _damage(path: FilePath, kind: str, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if kind == "removed":
        path.unlink()
        return
    if not data:
        return
    at = chance.randrange(len(data))
    match kind:
        case "emptied":
            data.clear()
        case "cut":
            del data[at:]
        case "cut between records":
            del data[chance.choice(record_starts(bytes(data))) :]
        case "flipped":
            data[at] ^= 1 << chance.randrange(8)
        case _:
            length = min(chance.choice([1, 30, 500, 5000]), len(data) - at)
            data[at : at + length] = chance.randbytes(length)
    path.write_bytes(data)


def damages(place: FilePath, seeds: Sequence[int]) -> list[Damage]:
    """Return those to do to the files of a directory, each of them to a copy of its own."""
    paths = sorted(path for path in place.rglob("*") if path.is_file())
    files = [(path.relative_to(place).as_posix(),) for path in paths if not is_idle(path)]
    idle = tuple(path.relative_to(place).as_posix() for path in paths if is_idle(path))
    return [
        Damage(names, kind, seed)
        for names in [*files, idle]
        for kind in KINDS
        for seed in (seeds if kind not in ("removed", "emptied") else seeds[:1])
        if _is_possible(place, names, kind)
    ]


def is_idle(path: FilePath) -> bool:
    """Return whether nothing is stored in a file."""
    return path.name.startswith(_IDLE)


def _is_possible(place: FilePath, names: tuple[str, ...], kind: str) -> bool:
    path = place / names[0]
    if kind != "cut between records":
        return kind == "removed" or path.stat().st_size > 0
    is_list = path.name.startswith("MANIFEST")
    return (is_list or path.suffix == ".log") and path.stat().st_size > 0


def record_starts(log: bytes) -> list[int]:
    """Return the places in a log of RocksDB where a record begins."""
    found: list[int] = []
    at = 0
    while len(log) - at >= _BLOCK_HEAD_BYTES:
        if _BLOCK_BYTES - at % _BLOCK_BYTES < _BLOCK_HEAD_BYTES:
            at += _BLOCK_BYTES - at % _BLOCK_BYTES
            continue
        found.append(at)
        _, length, _ = struct.unpack_from("<IHB", log, at)
        at += _BLOCK_HEAD_BYTES + length
    return found


# The judge.


def judge(place: FilePath, damage: Damage, chronicle: Chronicle) -> str:
    """Use a store that may be damaged, and return in a word what it made of it.

    Raises:
        AssertionError: it lost, invented or mixed up something.
    """
    intact = _intact(place, chronicle.waiting) if damage.is_in("queue") else chronicle.waiting
    store = Store(place, budget_bytes=BUDGET_BYTES, durability="batch")
    try:
        opened = store.open(OWNERS[0])
    except StorageError as error:
        assert damage.files == ("format",), error
        assert "reads format" in str(error), error
        return "refused as of a newer format"
    try:
        is_searched = any("queue" in note for note in opened.notes)
        is_emptied = any("the cache was damaged" in note for note in opened.notes)
        assert damage.is_in("queue") or not is_searched, opened.notes
        assert damage.is_in("cache") or not is_emptied, opened.notes
        _judge_envelopes(opened, chronicle, damage, is_searched=is_searched, is_emptied=is_emptied)
        readable = _judge_payloads(store, opened, chronicle.waiting & intact)
        answers, is_reset = _judge_cache(store, chronicle, damage, is_emptied=is_emptied)
        _judge_use(place, store, opened.next_write_id, readable, answers)
    except BaseException:
        with suppress(StorageError):
            store.close()
        raise
    words = [
        word
        for word, is_so in (
            ("queue searched", is_searched),
            ("writes lost", not readable.issuperset(chronicle.waiting)),
            ("cache emptied", is_emptied or is_reset),
            (
                "older cache",
                not is_emptied and not is_reset and answers != chronicle.moments[-1],
            ),
        )
        if is_so
    ]
    return ", ".join(words) or "as it was"


def _intact(place: FilePath, ids: set[int]) -> set[int]:
    """Return which writes have both records in the bytes of some file of the queue."""
    contents: list[bytes] = []
    for path in (place / "queue").iterdir():
        data = path.read_bytes()
        contents.append(data)
        if path.suffix == ".log":
            contents.append(
                b"".join(
                    data[at + _BLOCK_HEAD_BYTES : at + _BLOCK_BYTES]
                    for at in range(0, len(data), _BLOCK_BYTES)
                )
            )
    return {
        id
        for id in ids
        if all(any(record in data for data in contents) for _, record in write_rows(write_of(id)))
    }


def _judge_envelopes(
    opened: OpenedStore,
    chronicle: Chronicle,
    damage: Damage,
    *,
    is_searched: bool,
    is_emptied: bool,
) -> None:
    ids = [envelope.id for envelope in opened.envelopes]
    assert ids == sorted(set(ids)), "not in the order of ids"
    assert chronicle.waiting | chronicle.answered | chronicle.gone >= set(ids)
    marks = {envelope.id: envelope.maybe_sent for envelope in opened.envelopes}
    if is_searched:
        assert all(marks.values()), "nobody knows what has been sent"
        assert opened.next_write_id > max(ids, default=0)
        if not is_emptied:
            assert not chronicle.marked.intersection(ids), "an answered write came back"
            assert opened.next_write_id > max(chronicle.marked)
        return
    came_back = chronicle.answered.intersection(ids)
    assert set(ids) - came_back == chronicle.waiting
    # What the cache was told of answers may be lost with the end of its log.
    assert not came_back or damage.is_in("cache"), "an answered write came back"
    assert came_back == chronicle.answered or not is_emptied
    assert all(is_marked == (id <= chronicle.sent_through) for id, is_marked in marks.items())
    assert opened.next_write_id == chronicle.next_id


def _judge_payloads(store: Store, opened: OpenedStore, expected: set[int]) -> set[int]:
    """Return the ids of those that can be read back; the others are given up, as an app does."""
    loaded = store.load_writes([envelope.id for envelope in opened.envelopes])
    for envelope, nodes in loaded.writes:
        assert envelope._replace(maybe_sent=False) == write_of(envelope.id).envelope
        assert nodes == write_of(envelope.id).nodes, f"a wrong payload of write {envelope.id}"
    assert [write.envelope.id for write in loaded.writes] == [
        envelope.id for envelope in opened.envelopes if envelope.id not in loaded.unreadable
    ]
    readable = {write.envelope.id for write in loaded.writes}
    assert readable >= expected, f"lost although intact: {sorted(expected - readable)}"
    store.store_writes((), loaded.unreadable, 0)
    return readable


def _judge_cache(
    store: Store, chronicle: Chronicle, damage: Damage, *, is_emptied: bool
) -> tuple[Answers, bool]:
    """Return what it shows, and whether it had to be emptied on the way."""
    answers: Answers = {}
    read: Answers = {}
    is_reset = False
    for owner in OWNERS:
        try:
            store.switch_owner((), owner, None)
        except CorruptRecord as error:
            store.reset_cache(error)
            is_reset = True
        for name in ASKED:
            try:
                answers[owner, name] = _answer(store, name)
            except CorruptRecord as error:
                store.reset_cache(error)
                answers = dict.fromkeys(answers, UNKNOWN)
                answers[owner, name] = _answer(store, name)
                is_reset = True
            if is_emptied or is_reset:
                assert answers[owner, name] == UNKNOWN, "what was put aside is served"
            else:
                read[owner, name] = answers[owner, name]
    if is_emptied:
        return answers, is_reset
    moments = chronicle.moments if damage.is_in("cache") else chronicle.moments[-1:]
    assert any(read.items() <= moment.items() for moment in moments), _difference(read, moments)
    assert not is_reset or damage.is_in("cache")
    return answers, is_reset


def _answer(store: Store, name: str) -> Answer:
    path, params = ASKED[name]
    cached = store.load(path, params)
    shown = export(params.filter(cached.node))
    if cached.is_complete:
        return True, shown if shown is not None else {}
    assert shown is None, f"{name} is not known and shows {shown}"
    return UNKNOWN


def _difference(read: Answers, moments: Sequence[Answers]) -> str:
    """Say at which moments each part of an answer that fits to none was true."""
    lines: list[str] = []
    for key, answer in read.items():
        numbers = [number for number, moment in enumerate(moments) if moment[key] == answer]
        span = f"from {numbers[0]} to {numbers[-1]}" if numbers else f"never: {answer!r:.200}"
        lines.append(f"{key}: {span}")
    return f"values of different moments, of {len(moments)}:\n" + "\n".join(lines)


def _judge_use(
    place: FilePath, store: Store, new_id: int, readable: set[int], answers: Answers
) -> None:
    """Append a write, change the cache, and look for both after a restart."""
    path, params = ASKED["lobby"]
    store.store_writes([write_of(new_id)], (), 0)
    store.apply(
        [
            Track(path, params, True),
            Replace(path, from_export("later")),
            Complete(path, params),
        ]
    )
    store.close()
    again = Store(place, budget_bytes=BUDGET_BYTES, durability="batch")
    opened = again.open(OWNERS[-1])
    try:
        assert [envelope.id for envelope in opened.envelopes] == [*sorted(readable), new_id]
        assert opened.next_write_id == new_id + 1
        assert _judge_payloads(again, opened, readable) == readable | {new_id}
        for owner in reversed(OWNERS):
            again.switch_owner((), owner, None)
            for name in ASKED:
                expected = answers[owner, name]
                if (owner, name) == (OWNERS[-1], "lobby"):
                    expected = (True, "later")
                assert _answer(again, name) == expected, f"{owner}, {name}, after a restart"
    finally:
        again.close()


# In a process of its own, so that one that crashes or never ends is told from the others.


class Case(NamedTuple):
    """A damage and what came of it."""

    damage: Damage
    outcome: str
    fault: str
    """Empty if all is well."""


def judge_each(
    place: FilePath, chronicle: Chronicle, damages: Sequence[Damage], scratch: FilePath
) -> list[Case]:
    """Do each damage to a copy of a directory, and judge what comes of it."""
    context = multiprocessing.get_context("spawn")
    cases: list[Case] = []
    while len(cases) < len(damages):
        here, there = context.Pipe()
        child = context.Process(
            target=_judge_in_child,
            args=(there, place, chronicle, damages[len(cases) :], scratch),
        )
        child.start()
        there.close()
        try:
            while len(cases) < len(damages):
                if not here.poll(_LONGEST_CASE_S):
                    raise TimeoutError
                outcome, fault = here.recv()
                cases.append(Case(damages[len(cases)], outcome, fault))
        except TimeoutError:
            child.kill()
            cases.append(Case(damages[len(cases)], "never ended", "it never ended"))
        except EOFError:
            child.join()
            fault = f"the process ended with {child.exitcode}"
            cases.append(Case(damages[len(cases)], "crashed", fault))
        here.close()
        child.join()
    return cases


def _judge_in_child(
    reports: Connection,
    place: FilePath,
    chronicle: Chronicle,
    damages: Sequence[Damage],
    scratch: FilePath,
) -> None:
    for damage in damages:
        copy = FilePath(shutil.copytree(place, scratch / "copy"))
        damage.do(copy)
        try:
            reports.send((judge(copy, damage, chronicle), ""))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported as the fault
            reports.send(("fault", f"{type(error).__name__}: {error}"))
        shutil.rmtree(copy)
