"""Databases that no network is needed for."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from tests.api.driven import World

import firekeep
from firekeep.client import Client
from firekeep.engine.effects import Connect
from firekeep.exceptions import Disconnected
from firekeep.net.transport import Transport

URL = "https://demo-test.firebaseio.com"


async def unreachable(connect: Connect) -> Transport:
    """Be a connector that reaches nothing."""
    raise Disconnected(f"{connect.host} is not to be reached by a test")


def database(**options: Any) -> firekeep.Database:
    """Return a database that is not entered yet and stays offline."""
    db = firekeep.Database(URL, connector=unreachable, **options)
    db.go_offline()
    return db


@asynccontextmanager
async def offline(value: object = None) -> AsyncGenerator[firekeep.Database]:
    """Enter a database that is offline and shows a value that has been written to its root."""
    async with database() as db:
        if value is not None:
            db.reference().set(value)  # type: ignore[arg-type]
        yield db
        db.purge_outstanding_writes()


def over(world: World) -> firekeep.Database:
    """Return a database over the driver of a world, which is to be entered."""
    db = database()
    db._driver = world.driver
    db._client = Client(world.driver, db._client.url, db._client.config)
    return db
