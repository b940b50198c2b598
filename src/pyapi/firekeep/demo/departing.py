"""A program of the demo that has no network, writes all the same, and is killed: run as a module."""

import os
import signal
import sys

import anyio

from firekeep.database import Database
from firekeep.server_value import increment

__all__ = ["depart"]


async def depart(url: str, directory: str, place: str) -> None:
    """Print what the disk has of a place, write below it, and end as no program wants to."""
    database = Database(url, persistence=directory)
    database.go_offline()
    async with database:
        reference = database.reference(place)
        heard: list[object] = []
        reference.child("score").on_value(lambda snapshot: heard.append(snapshot.value))
        known = await reference.get("cache")
        print(known["score"].value, flush=True)
        reference.child("score").set(increment(1))
        await reference.child("seen_by").set("carl").durable()
        print(heard[-1], flush=True)
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


if __name__ == "__main__":
    anyio.run(depart, sys.argv[1], sys.argv[2], sys.argv[3])
