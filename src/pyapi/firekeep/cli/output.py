"""What the command prints: values, changes, errors, in colour where somebody looks at it."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TextIO

from firekeep.snapshot import Event, Snapshot

__all__ = ["Output"]

_COLOURS: Final = {
    "bold": "\033[1m",
    "dim": "\033[2m",
    "red": "\033[31m",
    "green": "\033[32m",
    "yellow": "\033[33m",
    "blue": "\033[34m",
    "cyan": "\033[36m",
}
_END: Final = "\033[0m"
_SIGNS: Final = {
    "child_added": ("+", "green"),
    "child_changed": ("~", "yellow"),
    "child_moved": (">", "blue"),
    "child_removed": ("-", "red"),
    "value": ("=", "cyan"),
}
_LINE_CHARACTERS: Final = 160
_TREE_ROWS: Final = 40


class Output:
    """Standard output and standard error of one run."""

    def __init__(self, out: TextIO, err: TextIO, environ: Mapping[str, str]) -> None:
        self._out = out
        self._err = err
        self._environ = environ
        self.is_watched = out.isatty()
        """Whether a person reads what is printed."""
        self.shows_progress = err.isatty()

    def line(self, text: str) -> None:
        """Print one line, now."""
        self._out.write(f"{text}\n")
        self._out.flush()

    def note(self, text: str) -> None:
        """Tell the person at the terminal something that is not part of the output."""
        self._err.write(f"{self._paint(text, 'dim', self._err)}\n")
        self._err.flush()

    def progress(self, text: str) -> None:
        """Replace the line that shows progress; empty takes it away."""
        self._err.write(f"\r\033[K{text}")
        self._err.flush()

    def error(self, error: Exception) -> None:
        """Say in one line what went wrong."""
        text = " ".join(str(error).split()) or type(error).__name__
        self._err.write(f"{self._paint('firekeep: ', 'red', self._err)}{text}\n")

    def colour(self, text: str, name: str) -> str:
        """Return the text in a colour, or as it is where colours are not wanted."""
        return self._paint(text, name, self._out)

    def value(self, value: Any, *, is_compact: bool) -> None:
        """Print a value as JSON."""
        self.line(_json(value) if is_compact else json.dumps(value, ensure_ascii=False, indent=2))

    def tree(self, snapshot: Snapshot) -> None:
        """Print a value with one child a line; a long one is cut short for a person."""
        if not snapshot.has_children():
            self.line(f"{self.colour(str(snapshot.path), 'bold')} {self._short(snapshot)}")
            return
        self.line(f"{self.colour(str(snapshot.path), 'bold')}  {_count(snapshot)}")
        shown = _TREE_ROWS if self.is_watched else len(snapshot)
        for position, child in enumerate(snapshot):
            if position == shown:
                self.line(self.colour(f"  … {len(snapshot) - shown} more", "dim"))
                break
            self.line(f"  {self.colour(str(child.key), 'cyan')}  {self._short(child)}")

    def change(self, event: Event) -> None:
        """Print one change on one line."""
        sign, colour = _SIGNS[event.kind]
        clock = self.colour(f"{datetime.now():%H:%M:%S}", "dim")
        key = "" if event.kind == "value" else f" {event.snapshot.key}"
        text = f"{clock} {self.colour(f'{sign}{key}', colour)}"
        if event.kind == "child_moved":
            text += f"  after {event.previous_key}" if event.previous_key else "  to the front"
        elif event.kind != "child_removed":
            text += f"  {self._short(event.snapshot)}"
        self.line(text)

    def event(self, event: Event) -> None:
        """Print one event as one JSON object."""
        self.line(
            _json(
                {
                    "event": event.kind,
                    "path": str(event.snapshot.path),
                    "value": event.snapshot.value,
                    "previous_key": event.previous_key,
                    "initial": event.initial,
                }
            )
        )

    def _short(self, snapshot: Snapshot) -> str:
        if not self.is_watched:
            return _json(snapshot.value)
        if snapshot.size_bytes > 100 * _LINE_CHARACTERS:
            return self.colour(_count(snapshot), "dim")
        text = _json(snapshot.value)
        return text if len(text) <= _LINE_CHARACTERS else f"{text[:_LINE_CHARACTERS]}…"

    def _paint(self, text: str, name: str, stream: TextIO) -> str:
        plain = self._environ.get("NO_COLOR") or self._environ.get("TERM") == "dumb"
        return text if plain or not stream.isatty() else f"{_COLOURS[name]}{text}{_END}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _count(snapshot: Snapshot) -> str:
    number = snapshot.num_children
    return f"{number} {'child' if number == 1 else 'children'}, about {snapshot.size_bytes} bytes"
