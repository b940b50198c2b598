"""A database and its emulator for the tests of users."""

import pytest

from firekeep.testing import emulated_database
from firekeep.url import EMULATOR_VARIABLE

pytestmark = pytest.mark.anyio


async def test_both_see_the_same_data() -> None:
    async with emulated_database({"a": 1}) as (database, server):
        assert (await database.reference("a").get()).value == 1
        await database.reference("b").set(2)
        assert server.value() == {"a": 1, "b": 2}


async def test_the_environment_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EMULATOR_VARIABLE, "127.0.0.1:1")
    async with emulated_database({"a": 1}) as (database, _):
        assert (await database.reference("a").get()).value == 1


async def test_an_error_in_the_block_leaves_it_as_it_is() -> None:
    with pytest.raises(LookupError, match="mine"):
        async with emulated_database():
            raise LookupError("mine")
