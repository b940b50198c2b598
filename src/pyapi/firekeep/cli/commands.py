"""What each of the commands does."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import anyio

from firekeep.cli.output import Output
from firekeep.cli.progress import Progress, counting_connector
from firekeep.config import Config
from firekeep.connection import WebSocketConnector
from firekeep.database import Database
from firekeep.exceptions import InvalidValue, Offline, TimedOut
from firekeep.query import Query
from firekeep.reference import Reference
from firekeep.status import Status
from firekeep.url import EMULATOR_VARIABLE, parse_url
from firekeep.write import Write
from firekeep_core.snap.path import ROOT, Path

__all__ = ["COMMANDS"]

_ORDERS: Final[dict[str, Callable[[Query], Query]]] = {
    "$key": Query.order_by_key,
    "$value": Query.order_by_value,
    "$priority": Query.order_by_priority,
}
_BOUNDS: Final = ("start_at", "start_after", "end_at", "end_before", "equal_to")
_LIMITS: Final = ("limit_to_first", "limit_to_last")


async def get(options: Namespace, output: Output) -> int:
    """Print a value once."""
    database, path = _open(options, output)
    query = _narrow(database.reference(path), options)
    async with database:
        try:
            snapshot = await query.get("server", options.timeout)
        except (Offline, TimedOut) as error:
            raise _explained(error, database.status) from error
    value = snapshot.export() if options.export else snapshot.value
    output.value(value, is_compact=options.json)
    return 0


async def watch(options: Namespace, output: Output) -> int:
    """Print a value, and every change to it."""
    database, path = _open(options, output)
    query = _narrow(database.reference(path), options)
    remaining = options.count
    async with database:
        database.on_status(_ConnectionNotes(output).tell)
        async with query.events(
            "value",
            "child_added",
            "child_changed",
            "child_moved",
            "child_removed",
            overflow="block",
        ) as events:
            async for event in events:
                has_children = event.snapshot.has_children()
                if options.json:
                    output.event(event)
                elif event.kind == "value" and (event.initial or options.tree):
                    output.tree(event.snapshot)
                elif not (options.tree or event.initial) and (
                    event.kind != "value" or not has_children
                ):
                    output.change(event)
                else:
                    continue
                if remaining is not None and not event.initial:
                    remaining -= 1
                    if remaining == 0:
                        return 0
    return 0


async def set_value(options: Namespace, output: Output) -> int:
    """Replace a value."""
    value = await _read_value(options.value)
    return await _write(options, output, lambda reference: reference.set(value))


async def update(options: Namespace, output: Output) -> int:
    """Replace several values."""
    value = await _read_value(options.value)
    return await _write(options, output, lambda reference: reference.update(value))


async def push(options: Namespace, output: Output) -> int:
    """Add a child."""
    value = await _read_value(options.value)
    if value is None:
        raise InvalidValue("null is nothing to push")
    keys: list[str | None] = []

    def add(reference: Reference) -> Write:
        child = reference.push(value)
        keys.append(child.key)
        assert child.write is not None
        return child.write

    code = await _write(options, output, add)
    output.line(str(keys[0]))
    return code


async def remove(options: Namespace, output: Output) -> int:
    """Remove a value."""
    _, path = _open(options, output)
    if not path and not options.force:
        raise InvalidValue("that is the whole database; --force removes it")
    return await _write(options, output, Reference.remove)


async def emulator(options: Namespace, output: Output) -> int:
    """Run a server until it is interrupted."""
    from firekeep.emulator import serve

    run = partial(
        serve,
        host=options.host,
        port=options.port,
        namespace=options.namespace,
        import_path=options.import_path,
        export_path=options.export_path,
        directory=options.data_path,
    )
    try:
        async with anyio.create_task_group() as group:
            server = await group.start(run)
            output.line(f"{output.colour('firekeep emulator', 'bold')} on {server.url}")
            output.line(f"  {EMULATOR_VARIABLE}={server.address} sends other programs here")
            output.line(output.colour("  Ctrl-C ends it", "dim"))
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    return 0


async def demo(_options: Namespace, output: Output) -> int:
    """Show what this package is for."""
    from firekeep.demo import run

    # The demo brings its own server; it must not be led to another one.
    os.environ.pop(EMULATOR_VARIABLE, None)
    return await run(output.line, output.colour)


COMMANDS: Final[dict[str, Callable[[Namespace, Output], Awaitable[int]]]] = {
    "demo": demo,
    "emulator": emulator,
    "get": get,
    "push": push,
    "remove": remove,
    "set": set_value,
    "update": update,
    "watch": watch,
}


class _ConnectionNotes:
    """Says on standard error when the connection is lost or cannot be made, once for each time."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._said = ""

    def tell(self, status: Status) -> None:
        text = ""
        if status.connection in ("waiting", "shutdown"):
            text = f"no connection: {status.reason or status.last_error or 'trying again'}"
        elif status.connection != "online":
            return
        if text != self._said:
            self._said = text
            self._output.note(text or "connected again")


def _open(options: Namespace, output: Output) -> tuple[Database, Path]:
    """Return the database that is meant, and the location in it."""
    address = parse_url(options.url)
    path = address.path.child(Path.parse(options.path))
    config = Config()
    connector = None
    if output.shows_progress:
        target = parse_url(address.text(ROOT), os.environ.get(EMULATOR_VARIABLE))
        connector = counting_connector(
            WebSocketConnector(target, config), Progress(output.progress)
        )
    database = Database(address.text(ROOT), auth=options.auth, config=config, connector=connector)
    return database, path


def _narrow(reference: Reference, options: Namespace) -> Query:
    query: Query = reference
    if options.order_by is not None:
        order = _ORDERS.get(options.order_by)
        query = query.order_by_child(options.order_by) if order is None else order(query)
    for name in _BOUNDS:
        text = getattr(options, name)
        if text is not None:
            query = getattr(query, name)(_read_bound(text))
    for name in _LIMITS:
        limit = getattr(options, name)
        if limit is not None:
            query = getattr(query, name)(limit)
    return query


def _read_bound(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, dict | list) else value


async def _read_value(text: str) -> Any:
    if text == "-":
        text = await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidValue(
            f"{text!r:.60} is not JSON ({error}); text needs double quotes"
        ) from None


async def _write(options: Namespace, output: Output, act: Callable[[Reference], Write]) -> int:
    """Write, and wait until the server has taken it."""
    database, path = _open(options, output)
    async with database:
        write = act(database.reference(path))
        with anyio.move_on_after(options.timeout):
            await write
            return 0
        write.cancel()
        status = database.status
    if status.connection == "online":
        raise TimedOut(f"no answer within {options.timeout:g} s; it may have been written")
    raise _explained(Offline("no connection, nothing was written"), status)


def _explained(error: Exception, status: Status) -> Exception:
    """Return an error that says what is known of the connection."""
    reason = status.reason or status.last_error
    return type(error)(f"{error}: {reason}") if reason else error
