"""What the commands about a store on disk do."""

import json
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firekeep.cli.output import Output
from firekeep.exceptions import CorruptRecord, InvalidArgument
from firekeep.storage.inspection import Inspection
from firekeep.storage.store import Store
from firekeep_core.snap.value import export

__all__ = ["COMMANDS"]


def info(options: Namespace, output: Output) -> int:
    """Print sizes and numbers."""
    damages: list[Exception] = []
    with _look(options) as store:
        facts: dict[str, Any] = {"disk_bytes": store.disk_bytes()}
        for part in (_cache_facts, _queue_facts):
            try:
                facts |= part(store)
            except CorruptRecord as error:
                damages.append(error)
    _print(facts, options, output, [f"{name:>15}  {value}" for name, value in facts.items()])
    for damage in damages:
        output.error(damage)
    return 1 if damages else 0


def list_queries(options: Namespace, output: Output) -> int:
    """Print the queries."""
    with _look(options) as store:
        rows = [
            {
                "path": str(entry.path),
                "query": entry.params.wire(),
                "owner": entry.owner,
                "complete": entry.is_complete,
                "kept_synced": entry.is_pinned,
            }
            for entry in store.entries()
        ]
    lines = [_query_line(row) for row in rows]
    _print(rows, options, output, lines)
    return 0


def clear(options: Namespace, output: Output) -> int:
    """Drop what is not kept synced."""
    with _change(options) as store:
        _tell_notes(store, output)
        store.clear()
    return 0


def export_cache(options: Namespace, output: Output) -> int:
    """Print all that is known."""
    with _look(options) as store:
        output.value(export(store.export(options.owner)), is_compact=options.json)
    return 0


def verify(options: Namespace, output: Output) -> int:
    """Print what is wrong; the exit code says whether anything is."""
    with _look(options) as store:
        wrong = store.verify()
    _print(wrong, options, output, wrong or ["everything can be read"])
    return 1 if wrong else 0


def list_writes(options: Namespace, output: Output) -> int:
    """Print the writes that wait."""
    now_ms = time.time_ns() // 1_000_000
    with _look(options) as store:
        rows = [
            {
                "id": envelope.id,
                "kind": envelope.kind,
                "path": str(envelope.path),
                "children": [str(child)[1:] for child in envelope.children],
                "owner": envelope.owner,
                "age_s": max(0, now_ms - envelope.created_ms) // 1000,
                "size_bytes": envelope.size_bytes,
                "maybe_sent": envelope.maybe_sent,
            }
            for envelope in store.envelopes
        ]
    lines = [
        f"{row['id']:>8}  {row['kind']:<6}  {row['path']}  {row['age_s']} s  {row['size_bytes']} bytes"
        for row in rows
    ]
    _print(rows, options, output, lines)
    return 0


def cancel(options: Namespace, output: Output) -> int:
    """Drop writes: all that are named, or none if one of them does not wait."""
    with _change(options) as store:
        _tell_notes(store, output)
        unknown = sorted(set(options.ids) - store.waiting)
        if unknown:
            raise InvalidArgument(
                f"no write {unknown[0]} waits in {options.directory}; nothing was cancelled"
            )
        store.store_writes([], options.ids, 0)
    return 0


def export_writes(options: Namespace, output: Output) -> int:
    """Print the writes with their data."""
    with _look(options) as store:
        loaded = store.writes()
    for envelope, nodes in loaded.writes:
        data: Any = export(nodes[0]) if envelope.kind == "set" else None
        if envelope.kind == "update":
            pairs = zip(envelope.children, nodes, strict=True)
            data = {str(child)[1:]: export(node) for child, node in pairs}
        row = {"id": envelope.id, "kind": envelope.kind, "path": str(envelope.path), "data": data}
        output.line(json.dumps(row, ensure_ascii=False))
    return 1 if loaded.unreadable else 0


COMMANDS: dict[tuple[str, str], Callable[[Namespace, Output], int]] = {
    ("cache", "info"): info,
    ("cache", "list"): list_queries,
    ("cache", "clear"): clear,
    ("cache", "export"): export_cache,
    ("cache", "verify"): verify,
    ("queue", "list"): list_writes,
    ("queue", "cancel"): cancel,
    ("queue", "export"): export_writes,
}


def _look(options: Namespace) -> Inspection:
    return Inspection(Path(options.directory))


def _change(options: Namespace) -> Store:
    directory = Path(options.directory)
    if not (directory / "format").is_file():
        raise InvalidArgument(f"{directory} is no directory of firekeep's")
    # Nothing is to be evicted in passing.
    return Store(directory, budget_bytes=1 << 62, durability="batch")


def _cache_facts(store: Inspection) -> dict[str, Any]:
    entries = store.entries()
    return {
        "cached_bytes": store.cached_bytes,
        "queries": len(entries),
        "kept_synced": sum(entry.is_pinned for entry in entries),
        "users": len({entry.owner for entry in entries}),
    }


def _queue_facts(store: Inspection) -> dict[str, Any]:
    return {"pending_writes": len(store.envelopes), "pending_bytes": store.pending_bytes}


def _tell_notes(store: Store, output: Output) -> None:
    """Say what opening the store had to put right, such as damage that was moved aside."""
    for note in store.notes:
        output.note(note)


def _query_line(row: dict[str, Any]) -> str:
    parts = [str(row["path"]), json.dumps(row["query"]) if row["query"] else "all"]
    if not row["complete"]:
        parts.append("incomplete")
    if row["kept_synced"]:
        parts.append("kept synced")
    if row["owner"] is not None:
        parts.append(f"of {row['owner']}")
    return "  ".join(parts)


def _print(value: object, options: Namespace, output: Output, lines: list[str]) -> None:
    if options.json:
        output.value(value, is_compact=True)
    else:
        for line in lines:
            output.line(line)
