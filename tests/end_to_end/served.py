"""A server in this process, and clients of it over loopback."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

import firekeep
from firekeep.auth import CredentialSource
from firekeep.emulator import Emulator

PATIENCE_S = 60.0
#: Reconnects at once, so that no test has to wait for it.
EAGER = firekeep.Config(backoff_min_s=0.001, backoff_max_s=0.01)


@asynccontextmanager
async def served(data: object = None, **options: Any) -> AsyncGenerator[Emulator]:
    """Run a server, and end the test if it takes too long."""
    with anyio.fail_after(PATIENCE_S):
        async with Emulator(data=data, **options) as server:
            yield server


def client(server: Emulator, auth: CredentialSource | None = None) -> firekeep.Database:
    """Return a client that has not been entered."""
    return firekeep.open(server.url, auth=auth, config=EAGER)


async def until(
    query: firekeep.Query, predicate: Callable[[firekeep.Snapshot], bool]
) -> firekeep.Snapshot:
    """Wait until what a client sees is as it should be."""
    async with query.values() as values:
        async for snapshot in values:
            if predicate(snapshot):
                return snapshot
    raise AssertionError("values end only with their database")


async def until_value(query: firekeep.Query, value: object) -> firekeep.Snapshot:
    """Wait until a client sees a value."""
    return await until(query, lambda snapshot: bool(snapshot.value == value))


async def until_connection(db: firekeep.Database, *states: str) -> firekeep.Status:
    """Wait until the connection is in one of the states."""
    async with db.status_changes() as changes:
        async for status in changes:
            if status.connection in states:
                return status
    raise AssertionError("the status ends only with its database")
