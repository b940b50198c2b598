"""A process that was forked from one that uses a database."""

import subprocess
import sys
from pathlib import Path

import pytest

FORKING = """if True:
    import os, sys
    import anyio
    import firekeep
    from firekeep.exceptions import UsageError

    async def main():
        db = firekeep.open("https://db.example.com", persistence=sys.argv[1])
        db.go_offline()
        async with db:
            child = os.fork()
            if child == 0:
                try:
                    db.reference("a").set(1)
                except UsageError as error:
                    print("refused:", error, flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            await db.reference("a").set(2).durable()
            print("stored", flush=True)

    anyio.run(main)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_it_cannot_use_the_database_and_does_it_no_harm(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    refused, stored = ended.stdout.splitlines()
    assert refused.startswith("refused: the database was entered in process")
    assert stored == "stored"
