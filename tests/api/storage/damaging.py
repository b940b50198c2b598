"""Databases as a crash leaves them, and what can happen to their files."""

import os
import random
import shutil
from pathlib import Path

from firekeep.storage.rocksdb import RocksBackend
from firekeep.storage.tuning import Role

LAST = b"\xff" * 20
ROWS = {b"%05d" % number: random.Random(number).randbytes(200) for number in range(600)}
"""What `make_crashed` commits, in this order and twenty at a time."""


def make_crashed(path: Path, role: Role) -> None:
    """Make a database with several tables and a log, as if its process had been killed."""
    live = path.with_name(f"{path.name}.live")
    backend = RocksBackend.open(live, role=role)
    keys = list(ROWS)
    for start in range(0, len(keys), 20):
        part = keys[start : start + 20]
        backend.commit([(key, ROWS[key]) for key in part], sync=start % 200 == 0)
        if start in (200, 400):
            backend.compact()
    backend.sync()
    shutil.copytree(live, path)
    backend.close()
    shutil.rmtree(live)


def rows_of(backend: RocksBackend) -> dict[bytes, bytes]:
    return dict(backend.scan(b"", LAST))


def is_prefix(rows: dict[bytes, bytes]) -> bool:
    """Tell whether these are all rows up to the end of some commit."""
    return len(rows) % 20 == 0 and rows == dict(list(ROWS.items())[: len(rows)])


def flip(path: Path, place: float, bit: int = 0) -> None:
    """Change one bit, at a place from 0 (the start) to 1 (the end)."""
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1 << bit
    path.write_bytes(data)


def damage_one_file(path: Path, chance: random.Random) -> str:
    """Do to one file of a database what disks, tools and users do; return what."""
    name = chance.choice(sorted(os.listdir(path)))
    file = path / name
    data = bytearray(file.read_bytes())
    kind = chance.choice(
        ["remove", "directory", "empty", "cut", "flip", "flip", "zeros", "noise", "append"]
    )
    place = chance.randrange(len(data)) if data else 0
    length = chance.choice([1, 16, 512, 4096])
    match kind:
        case "remove" | "directory":
            file.unlink()
            if kind == "directory":
                file.mkdir()
            return f"{kind} {name}"
        case "empty":
            data.clear()
        case "cut":
            del data[place:]
        case "flip" if data:
            data[place] ^= 1 << chance.randrange(8)
        case "zeros":
            data[place : place + length] = bytes(len(data[place : place + length]))
        case "noise":
            data[place : place + length] = chance.randbytes(len(data[place : place + length]))
        case _:
            data += chance.randbytes(length)
    file.write_bytes(data)
    return f"{kind} {name} at {place}"
