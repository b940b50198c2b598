"""What tests of programs that use firekeep need."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from firekeep.config import Config
from firekeep.database import Database
from firekeep.emulator import Emulator
from firekeep.url import EMULATOR_VARIABLE

__all__ = ["emulated_database"]


@asynccontextmanager
async def emulated_database(
    data: object = None, *, config: Config | None = None
) -> AsyncGenerator[tuple[Database, Emulator]]:
    """Give a database on an emulator of its own, and that emulator; both end with the block.

    `data` is what the emulator holds to begin with, in export form. The environment does not
    count: the database connects to this emulator and to no other.

    Raises:
        InvalidArgument: no database can hold `data`.

    Example::

        async def test_a_greeting_arrives() -> None:
            async with emulated_database({"greeting": "hello"}) as (database, server):
                assert (await database.reference("greeting").get()).value == "hello"
                server.set("/greeting", "hi")
                ...
    """
    async with Emulator(data=data) as server, _database(server.url, config) as database:
        yield database, server


def _database(url: str, config: Config | None) -> Database:
    # A database looks for another emulator in the environment when it is made.
    other = os.environ.pop(EMULATOR_VARIABLE, None)
    try:
        return Database(url, config=config)
    finally:
        if other is not None:
            os.environ[EMULATOR_VARIABLE] = other
