"""A whole session, frame by frame as the specification annotates it (wire §8)."""

import json

import pytest
from tests.api.emulator.raw_client import RawClient, connect

from firekeep.emulator import Emulator

pytestmark = pytest.mark.anyio

# The token says {"sub": "u1"}. Lines that begin with ">" are the client's.
FIRST = """
> {"t":"d","d":{"r":1,"a":"s","b":{"c":{"sdk.objc.11-0-0":1}}}}
> {"t":"d","d":{"r":2,"a":"auth","b":{"cred":"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1MSJ9.sig"}}}
< {"t":"d","d":{"r":1,"b":{"s":"ok","d":""}}}
< {"t":"d","d":{"r":2,"b":{"s":"ok","d":{"auth":{"uid":"u1","provider":"custom",\
"token":{"sub":"u1"}},"expires":null}}}}
> {"t":"d","d":{"r":3,"a":"q","b":{"p":"/rooms/r1","h":""}}}
< {"t":"d","d":{"a":"d","b":{"p":"rooms/r1","d":{"a":1,"b":{"x":"one","y":true}}}}}
< {"t":"d","d":{"r":3,"b":{"s":"ok","d":{}}}}
> {"t":"d","d":{"r":4,"a":"p","b":{"p":"/rooms/r1/c","d":"three"}}}
< {"t":"d","d":{"a":"d","b":{"p":"rooms/r1/c","d":"three"}}}
< {"t":"d","d":{"r":4,"b":{"s":"ok","d":""}}}
> {"t":"d","d":{"r":5,"a":"o","b":{"p":"/presence/u1","d":false}}}
> {"t":"d","d":{"r":6,"a":"p","b":{"p":"/presence/u1","d":true}}}
< {"t":"d","d":{"r":5,"b":{"s":"ok","d":""}}}
< {"t":"d","d":{"r":6,"b":{"s":"ok","d":""}}}
> {"t":"d","d":{"r":7,"a":"q","b":{"p":"/counter","h":""}}}
< {"t":"d","d":{"a":"d","b":{"p":"counter","d":4}}}
< {"t":"d","d":{"r":7,"b":{"s":"ok","d":{}}}}
"""
CONTENDED = """
> {"t":"d","d":{"r":8,"a":"p","b":{"p":"/counter","d":5,"h":"eVih19a6ZDz3NL32uVBtg9KSgQY="}}}
< {"t":"d","d":{"a":"d","b":{"p":"counter","d":5}}}
< {"t":"d","d":{"r":8,"b":{"s":"datastale","d":"Transaction hash does not match"}}}
> {"t":"d","d":{"r":9,"a":"p","b":{"p":"/counter","d":6,"h":"w28swksk9+tXf5jEdS9R5oSFAv8="}}}
< {"t":"d","d":{"a":"d","b":{"p":"counter","d":6}}}
< {"t":"d","d":{"r":9,"b":{"s":"ok","d":""}}}
> {"t":"d","d":{"r":10,"a":"n","b":{"p":"/counter"}}}
< {"t":"d","d":{"r":10,"b":{"s":"ok","d":""}}}
> 0
"""
SECOND_WITH_RANGES = """
> {"t":"d","d":{"r":12,"a":"q","b":{"p":"/rooms/r1","h":"wypWpxNZkQdOrP1elMGEfm4aPBk=",\
"ch":{"hs":["Xk1Rfeqs98lLLZX/yz9AAtyZUQM=","mvh79vktVpdggLu5VMAX1dXD+WE=",""],"ps":["b/x","c"]}}}}
> {"t":"d","d":{"r":13,"a":"p","b":{"p":"/rooms/r1/n","d":9}}}
< {"t":"d","d":{"a":"rm","b":{"p":"rooms/r1",\
"d":[{"s":"b/x","m":{"b":{"y":false,"z":2},"d":"new"}}]}}}
< {"t":"d","d":{"r":12,"b":{"s":"ok","d":{}}}}
< {"t":"d","d":{"a":"d","b":{"p":"rooms/r1/n","d":9}}}
< {"t":"d","d":{"r":13,"b":{"s":"ok","d":""}}}
"""
SECOND_WITHOUT_RANGES = """
> {"t":"d","d":{"r":12,"a":"q","b":{"p":"/rooms/r1","h":"wypWpxNZkQdOrP1elMGEfm4aPBk="}}}
> {"t":"d","d":{"r":13,"a":"p","b":{"p":"/rooms/r1/n","d":9}}}
< {"t":"d","d":{"a":"d","b":{"p":"rooms/r1",\
"d":{"a":1,"b":{"x":"one","y":false,"z":2},"d":"new"}}}}
< {"t":"d","d":{"r":12,"b":{"s":"ok","d":{}}}}
< {"t":"d","d":{"a":"d","b":{"p":"rooms/r1/n","d":9}}}
< {"t":"d","d":{"r":13,"b":{"s":"ok","d":""}}}
"""


async def play(client: RawClient, script: str) -> None:
    """Send the client's lines and check that the server's come."""
    for line in script.strip().splitlines():
        side, _, text = line.partition(" ")
        if side == ">":
            await client.send_text(text)
        else:
            assert await client.receive() == json.loads(text)


@pytest.mark.parametrize("second", [SECOND_WITH_RANGES, SECOND_WITHOUT_RANGES])
async def test_the_annotated_session_goes_as_written(second: str) -> None:
    data = {"rooms": {"r1": {"a": 1, "b": {"x": "one", "y": True}}}, "counter": 4}
    async with Emulator(namespace="my-db", data=data) as server:
        async with connect(server, parameters={"ns": "my-db"}) as client:
            await play(client, FIRST)
            server.set("/counter", 5)
            await play(client, CONTENDED)
            session_id = client.session_id

        await server.until(lambda: server.value("/presence/u1") is False)
        server.update("/rooms/r1", {"b/y": False, "b/z": 2, "c": None, "d": "new"})

        async with connect(server, parameters={"ns": "my-db", "ls": session_id}) as client:
            assert client.session_id != session_id
            await play(client, second)
