"""Whatever a server sends, the client goes on and its queue of writes stays as it was."""

import anyio
import pytest
from tests.end_to_end.served import client, served, until_connection, until_value

pytestmark = pytest.mark.anyio

FRAMES = {
    "no JSON": "{",
    "no object": "[]",
    "a number": "12345678901234567890",
    "a scalar": '"x"',
    "null": "null",
    "invalid UTF-8": b'{"t":"d","d":{"b":"\xff"}}',
    "a lone surrogate": '{"t":"d","d":{"a":"d","b":{"p":"a","d":"\\ud800"}}}',
    "no data": '{"t":"d"}',
    "data of a wrong type": '{"t":"d","d":5}',
    "a push without a path": '{"t":"d","d":{"a":"d","b":{"d":1}}}',
    "a path that is a number": '{"t":"d","d":{"a":"d","b":{"p":5,"d":1}}}',
    "a merge of a scalar": '{"t":"d","d":{"a":"m","b":{"p":"a","d":1}}}',
    "a range merge of a map": '{"t":"d","d":{"a":"rm","b":{"p":"a","d":{}}}}',
    "a tag that is text": '{"t":"d","d":{"a":"d","b":{"p":"a","d":1,"t":"x"}}}',
    "an unknown tag": '{"t":"d","d":{"a":"d","b":{"p":"a","d":1,"t":99999}}}',
    "an unknown action": '{"t":"d","d":{"a":"zz","b":{}}}',
    "an unknown type": '{"t":"zz","d":{}}',
    "an unknown control": '{"t":"c","d":{"t":"zz","d":{}}}',
    "an answer to nothing": '{"t":"d","d":{"r":987654,"b":{"s":"ok","d":""}}}',
    "an answer without a status": '{"t":"d","d":{"r":1,"b":5}}',
    "a handshake of a wrong type": '{"t":"c","d":{"t":"h","d":7}}',
    "a redirect to another scheme": '{"t":"c","d":{"t":"r","d":"ftp://example.com/"}}',
    "deep nesting": '{"t":"d","d":{"a":"d","b":{"p":"a","d":' + '{"a":' * 3000 + "1" + "}" * 3003,
    "a huge count": "999999",
    "a negative count": "-5",
    "NaN": '{"t":"d","d":{"a":"d","b":{"p":"a","d":NaN}}}',
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
async def test_a_hostile_frame_leaves_the_queue_of_writes_untouched(frame: str | bytes) -> None:
    async with served({"kept": 1}) as server, client(server) as db:
        await until_connection(db, "online")
        await until_value(db.reference("kept"), 1)
        server.hold_answers()
        writes = [db.reference(f"w/{number}").set(number) for number in range(3)]
        await server.until(lambda: server.value("/w/2") == 2)

        server.send_raw(frame)
        server.drop_connections()
        server.release_answers()

        assert db.pending_writes() == writes
        for write in writes:
            await write
        assert server.value("/w") == [0, 1, 2]
        assert (await db.reference("kept").get("server")).value == 1


async def test_a_flood_of_hostile_frames_ends_in_a_working_client() -> None:
    async with served({"a": 1}) as server, client(server) as db:
        await until_value(db.reference("a"), 1)
        for frame in FRAMES.values():
            server.send_raw(frame)
            await anyio.wait_all_tasks_blocked()
        # What follows a number of segments is taken for them: only a new connection ends that.
        server.drop_connections()

        await db.reference("a").set(2)

        assert server.value("/a") == 2
