"""Steps and checks, as they are printed and counted."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

import anyio

__all__ = ["Checks", "Paint"]

Paint = Callable[[str, str], str]
"""Gives a text a colour, where colours are wanted."""

PATIENCE_S = 20.0
"""How long something that has to happen may take."""


class Checks:
    """Prints what is going on and what has been found to hold."""

    def __init__(self, line: Callable[[str], None], paint: Paint) -> None:
        self._line = line
        self._paint = paint
        self._steps = 0
        self.passed = 0
        self.failed = 0

    def title(self, text: str) -> None:
        """Print the heading of everything."""
        self._line(self._paint(text, "bold"))

    def step(self, text: str) -> AbstractContextManager[object]:
        """Print the heading of a step; whatever it could not wait for fails it."""
        self._steps += 1
        self._line(f"\n{self._paint(f'{self._steps}  {text}', 'bold')}")
        return _Step(self)

    def say(self, text: str) -> None:
        """Print what is being done."""
        self._line(f"   {self._paint('·', 'dim')} {text}")

    def check(self, text: str, holds: bool) -> None:
        """Print a check, and count it."""
        if holds:
            self.passed += 1
            self._line(f"   {self._paint('✓', 'green')} {text}")
        else:
            self.failed += 1
            self._line(f"   {self._paint('✗', 'red')} {self._paint(text, 'red')}")

    def end(self) -> bool:
        """Print the result; return whether every check held."""
        total = self.passed + self.failed
        if self.failed:
            self._line(f"\n{self._paint(f'{self.failed} of {total} checks failed', 'red')}")
        else:
            self._line(f"\n{self._paint(f'all {total} checks held', 'green')}")
        return self.failed == 0


class _Step:
    """One step, which fails after a while instead of hanging."""

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._scope = anyio.fail_after(PATIENCE_S)
        self._started_s = 0.0

    def __enter__(self) -> None:
        self._started_s = time.perf_counter()
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            handled = self._scope.__exit__(kind, error, traceback)
        except TimeoutError:
            self._checks.check(f"it was over within {PATIENCE_S:g} s", False)
            return True
        return bool(handled)
