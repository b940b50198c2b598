"""A program that writes without a network and is killed in the middle of it; run by a test."""

import os
import signal
import sys
from pathlib import Path

import anyio

import firekeep


async def main(url: str, directory: str) -> None:
    """Show what the disk has, write on top of it, and die as no program wants to."""
    db = firekeep.open(url, persistence=Path(directory))
    db.go_offline()
    async with db:
        rooms = db.reference("rooms")
        async with rooms.values() as values:
            async for snapshot in values:
                print("first", snapshot.child("lobby/topic").value, flush=True)
                break
        heard: list[object] = []
        rooms.child("lobby/topic").on_value(lambda snapshot: heard.append(snapshot.value))
        rooms.child("lobby/topic").set("written offline")
        last = rooms.child("lobby/count").set(firekeep.increment(2))
        await last.durable()
        print("heard", heard[-1], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2])
