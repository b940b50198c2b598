"""What is stored beside everything else, and what a program waits for at its end."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import atexit, pathlib, sys, threading
from firekeep.auth import saver

class Store:
    def load(self): return None
    def clear(self): pass
    def save(self, text):
        ready.wait()
        path.write_text(text)

path, ready = pathlib.Path(sys.argv[1]), threading.Event()
saver.Saver(Store()).put("text")
"""


def run(program: str, path: Path) -> None:
    subprocess.run([sys.executable, "-c", program, path], check=True, timeout=60)


def test_a_program_does_not_end_before_the_credential_is_stored(tmp_path: Path) -> None:
    # What is registered last is called first.
    run(f"{PROGRAM}\natexit.register(ready.set)", tmp_path / "text")

    assert (tmp_path / "text").read_text() == "text"


def test_a_store_that_hangs_does_not_keep_a_program_from_ending(tmp_path: Path) -> None:
    run(f"{PROGRAM}\nsaver.LEAVING_S = 0.01", tmp_path / "text")

    assert not (tmp_path / "text").exists()
