"""What a removed registration is not handed, and one that is added again is."""

import pytest
from tests.api.driven import Recorder, World, at, listen
from tests.api.engine.dialogue import DEFAULT, node

from firekeep_core.sync.event import Event

pytestmark = pytest.mark.anyio


async def test_a_registration_that_is_added_again_hears_only_what_came_after() -> None:
    # I-31
    world = World()
    async with world.driver as driver:
        driver.go_offline()
        second = Recorder()

        def replace_second(event: Event) -> None:
            if len(first.events) == 1:
                driver.remove_listener(at("/a"), DEFAULT, second)
                driver.set(at("/a"), node(2))
                listen(driver, "/a", second)
                driver.set(at("/a"), node(3))

        first = Recorder(replace_second)
        listen(driver, "/a", first)
        listen(driver, "/a", second)

        driver.set(at("/a"), node(1))

        assert first.values == [1, 2, 3]
        assert second.values == [2, 3]


async def test_removing_one_listen_of_a_registration_leaves_its_others() -> None:
    # I-31
    world = World()
    async with world.driver as driver:
        driver.go_offline()
        both = Recorder()

        def remove_one(event: Event) -> None:
            driver.remove_listener(at("/a"), DEFAULT, both)

        listen(driver, "/a", Recorder(remove_one))
        listen(driver, "/a", both)
        listen(driver, "/b", both)

        driver.update(at("/"), [(at("/a"), node(1)), (at("/b"), node(2))])

        assert both.values == [2]
