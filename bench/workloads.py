"""Data and traces as pure functions of a seed and an index; nothing is downloaded."""

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

#: A message of the server: action (``d`` or ``m``), path, data.
Push: TypeAlias = tuple[str, str, Any]

MASK = (1 << 64) - 1
T0 = 1_700_000_000_000
PUSH_ALPHABET = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
WORDS = [
    "alpha",
    "bravo",
    "charlie",
    "delta",
    "echo",
    "foxtrot",
    "golf",
    "hotel",
    "india",
    "juliett",
    "kilo",
    "lima",
    "mike",
    "november",
    "oscar",
    "papa",
    "quebec",
    "romeo",
    "sierra",
    "tango",
    "uniform",
    "victor",
    "whiskey",
    "xray",
    "yankee",
    "zulu",
]


def mix(seed: int, i: int, j: int) -> int:
    """Return 64 well-mixed bits."""
    z = seed * 0x9E3779B97F4A7C15 + i * 0xBF58476D1CE4E5B9 + j * 0x94D049BB133111EB
    z = (z + 0x632BE59BD9B4E019) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def plain_key(i: int) -> str:
    """Return the eight-character key of a numbered child."""
    return f"k{i:07d}"


def push_key(seed: int, i: int) -> str:
    """Return a push id that sorts by its number."""
    stamp, text = T0 + i, ""
    for _ in range(8):
        text = PUSH_ALPHABET[stamp & 63] + text
        stamp >>= 6
    bits = mix(seed, i, 1001) | mix(seed, i, 1002) << 64
    for _ in range(12):
        text += PUSH_ALPHABET[bits & 63]
        bits >>= 6
    return text


def record(seed: int, i: int, revision: int = 0) -> dict[str, Any]:
    """Return a typical record: 13 nodes, 10 leaves, about 215 bytes of JSON."""
    h, h2 = mix(seed, i, 16 * revision), mix(seed, i, 16 * revision + 1)
    rest, name = h >> 1, ""
    for _ in range(8):
        name += BASE36[rest % 36]
        rest //= 36
    note = " ".join(WORDS[(h2 >> (5 * k)) % 26] for k in range(6))
    if i % 16 == 3:
        note += " café 漢字 🔥 naïve"
    if i % 16 == 11:
        note += ' say "hi" \\ tab\there\nnew line'
    return {
        "active": bool(h & 1),
        "name": f"user {name}",
        "note": note,
        "pos": {
            "lat": ((h >> 8) % 180_000_000) / 1e6 - 90,
            "lng": ((h >> 20) % 360_000_000) / 1e6 - 180,
        },
        "score": (h >> 13) % 1_000_000,
        "tags": {
            f"t{(h2 >> 32) % 33:02d}": True,
            f"t{33 + (h2 >> 40) % 33:02d}": True,
            f"t{66 + (h2 >> 48) % 34:02d}": True,
        },
        "ts": T0 + 1000 * i + revision,
    }


def records(count: int, seed: int = 1, keys: str = "push") -> dict[str, Any]:
    """Return that many records under push ids, or under plain keys (`keys="k"`)."""
    return {
        plain_key(i) if keys == "k" else push_key(seed, i): record(seed, i) for i in range(count)
    }


def leaves(count: int, seed: int = 1) -> dict[str, Any]:
    """Return that many integers in buckets of 1000, every key different."""
    return {
        f"b{bucket:05d}": {
            plain_key(i): mix(seed, i, 0) % 1_000_000
            for i in range(bucket * 1000, min(count, bucket * 1000 + 1000))
        }
        for bucket in range((count + 999) // 1000)
    }


def singles(count: int, seed: int = 1) -> dict[str, Any]:
    """Return that many children of one leaf each."""
    return {plain_key(i): {"v": mix(seed, i, 0) % 1_000_000} for i in range(count)}


def window(count: int, seed: int = 1) -> dict[str, Any]:
    """Return the first messages of a chat: records under consecutive push ids."""
    return records(count, seed)


# Traces: what the server pushes, one message after the other.


def _place(seed: int, j: int, size: int) -> tuple[int, int]:
    return mix(seed, j, 7) % size, mix(seed, j, 8) % 1_000_000


def leaf_trace(path: str, count: int, size: int, seed: int) -> Iterator[Push]:
    """Yield overwrites of one leaf of one record each."""
    for j in range(count):
        i, value = _place(seed, j, size)
        yield "d", f"{path}/{plain_key(i)}/score", value


def record_trace(path: str, count: int, size: int, seed: int) -> Iterator[Push]:
    """Yield overwrites of one whole record each."""
    for j in range(count):
        i, _ = _place(seed, j, size)
        yield "d", f"{path}/{plain_key(i)}", record(seed, i, 1 + j)


def merge_trace(path: str, count: int, size: int, seed: int) -> Iterator[Push]:
    """Yield merges of ten leaves each."""
    for j in range(count):
        places = [_place(seed, 10 * j + k, size) for k in range(10)]
        yield "m", path, {f"{plain_key(i)}/score": value for i, value in places}


def single_trace(path: str, count: int, size: int, seed: int) -> Iterator[Push]:
    """Yield overwrites of the one leaf of a child of `singles` each."""
    for j in range(count):
        i, value = _place(seed, j, size)
        yield "d", f"{path}/{plain_key(i)}/v", value


def same_trace(path: str, count: int) -> Iterator[Push]:
    """Yield overwrites of one and the same leaf."""
    for j in range(count):
        yield "d", path, j + 1


def all_trace(path: str, size: int) -> Iterator[Push]:
    """Yield one overwrite that changes every child of `singles`."""
    yield "d", path, singles(size, seed=2)


def append_trace(path: str, count: int, size: int, seed: int = 1) -> Iterator[Push]:
    """Yield for each new message of a chat what enters its window and what leaves it."""
    for j in range(count):
        yield "d", f"{path}/{push_key(seed, size + j)}", record(seed, size + j)
        yield "d", f"{path}/{push_key(seed, j)}", None


def apply_push(data: dict[str, Any], push: Push) -> bool:
    """Do to plain data what a push at or below its path does; return whether it changed."""
    action, path, value = push
    if action == "m":
        changed = [apply_push(data, ("d", f"{path}/{below}", new)) for below, new in value.items()]
        return any(changed)
    *inner, last = path.split("/")[1:]
    for key in inner:
        data = data[key]
    before = data.get(last)
    data[last] = value
    return bool(before != value)


def compact(value: object) -> str:
    """Return JSON without spaces, text as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
