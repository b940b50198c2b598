"""Puts the credential into its store, beside everything else."""

import atexit
import threading
import time
from collections.abc import Callable

import anyio.to_thread

from firekeep.auth.token_store import TokenStore
from firekeep.exceptions import StorageError

__all__ = ["Saver", "Saving", "store_failure"]

LEAVING_S = 5.0
"""A program that ends waits so long for its stores; one that hangs must not keep it."""

_busy: set[threading.Thread] = set()


class Saver:
    """Lets a store hold the text that was put last; never an older one after a newer one.

    Its thread lives while there is something to store, and is its own: no event loop waits for it
    when that ends, and a store that hangs takes nothing from anybody else.
    """

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._text: str | None = None
        self._waiting: list[Saving] = []
        self._is_running = False

    def put(
        self, text: str | None, *, failed: Callable[[StorageError], object] | None = None
    ) -> "Saving":
        """Begin to store a text, None: nothing; what has not been begun by then is left out.

        `failed` is called in the thread if that fails.
        """
        saving = Saving(failed)
        with self._lock:
            if not self._is_running:
                thread = threading.Thread(target=self._run, name="firekeep credential", daemon=True)
                thread.start()
                _busy.add(thread)
                self._is_running = True
            self._text = text
            self._waiting.append(saving)
        return saving

    def _run(self) -> None:
        while True:
            with self._lock:
                text, waiting, self._waiting = self._text, self._waiting, []
                if not waiting:
                    self._is_running = False
                    _busy.discard(threading.current_thread())
                    return
            error = self._put(text)
            for saving in waiting:
                saving.settle(error)

    def _put(self, text: str | None) -> StorageError | None:
        try:
            if text is None:
                self._store.clear()
            else:
                self._store.save(text)
        except Exception as error:  # noqa: BLE001
            return store_failure(error)
        return None


class Saving:
    """One text on its way into a store."""

    __slots__ = ("_error", "_failed", "_is_over")

    def __init__(self, failed: Callable[[StorageError], object] | None) -> None:
        self._failed = failed
        self._error: StorageError | None = None
        self._is_over = threading.Event()

    def settle(self, error: StorageError | None) -> None:
        """Tell whoever waits that it is stored, or why it is not."""
        self._error = error
        self._is_over.set()
        if error is not None and self._failed is not None:
            self._failed(error)

    async def wait(self) -> None:
        """Wait until it, or what was put after it, is stored; to be cancelled does not stop that.

        Raises:
            StorageError: it could not be stored.
        """
        try:
            await anyio.to_thread.run_sync(self._is_over.wait, abandon_on_cancel=True)
        finally:
            # Whoever gives up leaves no thread waiting.
            self._is_over.set()
        if self._error is not None:
            raise self._error


def store_failure(error: Exception) -> StorageError:
    """Return what to raise for a failure of a token store."""
    if isinstance(error, StorageError):
        return error
    # Its kind alone: the text of a foreign error may hold what was to be stored.
    return StorageError(f"the token store failed: {type(error).__name__}")


def _finish() -> None:
    """Let what has been put be stored before the program ends."""
    deadline_s = time.monotonic() + LEAVING_S
    for thread in tuple(_busy):
        thread.join(max(0.0, deadline_s - time.monotonic()))


atexit.register(_finish)
