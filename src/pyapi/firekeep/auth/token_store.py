"""Where the credential is kept between two runs of a program."""

import contextlib
import errno
import os
import re
import secrets
import stat
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, Self

from firekeep.exceptions import StorageError, StorageFull, UsageError

__all__ = ["FileTokenStore", "KeyringTokenStore", "MemoryTokenStore", "TokenStore"]

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
OTHERS = 0o077
OTHERS_WRITE = 0o022
#: Windows takes 2560 bytes of UTF-16 for one secret.
PIECE_LENGTH = 1200
MAX_PIECES = 100

#: Windows has no quotas of this name.
FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class TokenStore(Protocol):
    """Keeps one text, which is a secret.

    All of it is called in a worker thread, one call at a time, and may block: whoever signs in or
    out waits for it, a fresh token does not, and a program that ends waits for 5 seconds at most.
    A failure that is not a `StorageError` is taken for one, without its text, which might hold
    what is secret.

    Example::

        class VaultTokenStore:
            def load(self) -> str | None: return vault.read("firekeep")
            def save(self, text: str) -> None: vault.write("firekeep", text)
            def clear(self) -> None: vault.delete("firekeep")
    """

    def load(self) -> str | None:
        """Return what was saved last; None if there is nothing."""
        ...

    def save(self, text: str) -> None:
        """Keep `text` in place of what was kept before; all of it or nothing."""
        ...

    def clear(self) -> None:
        """Keep nothing any more."""
        ...


class MemoryTokenStore:
    """Keeps the credential for as long as the program runs.

    Example::

        auth = Auth(api_key, MemoryTokenStore())
    """

    def __init__(self) -> None:
        self._text: str | None = None

    def load(self) -> str | None:
        """Return what was saved last."""
        return self._text

    def save(self, text: str) -> None:
        """Keep `text`."""
        self._text = text

    def clear(self) -> None:
        """Keep nothing any more."""
        self._text = None


class FileTokenStore:
    """Keeps the credential in a file that nobody else may read.

    The file is replaced as a whole, so that a crash leaves the old one or the new one. Its folder
    is made if need be, and closed to others; give the file a folder of its own. One that holds
    other things too stays as it is, and will not do if others may write there.

    Example::

        auth = Auth(api_key, FileTokenStore("~/.config/my-app/credential/user.json"))
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()

    def load(self) -> str | None:
        """Return what the file holds; None if there is none.

        Raises:
            StorageError: it cannot be read.
        """
        try:
            with self.path.open(encoding="utf-8") as file:
                if os.name == "posix" and os.fstat(file.fileno()).st_mode & OTHERS:
                    # Whoever made it so, it is not to stay so.
                    os.fchmod(file.fileno(), PRIVATE_FILE)
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {self.path}: {_reason(error)}") from error
        except UnicodeDecodeError:
            # Without that error, which holds all of it.
            raise StorageError(f"cannot read {self.path}: it is no text") from None

    def save(self, text: str) -> None:
        """Replace the file; when this returns it is on the disk.

        Raises:
            StorageFull: there is no space; what was there before still is.
            StorageError: it cannot be written, or others may write to its folder; likewise.
        """
        other = self.path.with_name(f"{self.path.name}.{secrets.token_hex(8)}")
        try:
            self.path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            if os.name == "posix":
                self._close_folder()
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
                with os.fdopen(os.open(other, flags, PRIVATE_FILE), "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                # It has gone if another program has swept it up, whose credential is newer then.
                with contextlib.suppress(FileNotFoundError):
                    other.replace(self.path)
            except BaseException:
                with contextlib.suppress(OSError):
                    other.unlink(missing_ok=True)
                raise
            self._sweep()
            self._sync_folder()
        except OSError as error:
            kind = StorageFull if error.errno in FULL else StorageError
            raise kind(f"cannot write {self.path}: {_reason(error)}") from error

    def clear(self) -> None:
        """Remove the file.

        Raises:
            StorageError: it is there and cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
            if self.path.parent.exists():
                self._sweep()
                self._sync_folder()
        except OSError as error:
            raise StorageError(f"cannot remove {self.path}: {_reason(error)}") from error

    def _is_left_over(self, name: str) -> bool:
        """Whether a save that a crash has ended left a file of this name."""
        return re.fullmatch(re.escape(self.path.name) + r"\.[0-9a-f]{16}", name) is not None

    def _sweep(self) -> None:
        """Remove what crashes have left: it is as secret as the file itself."""
        for name in os.listdir(self.path.parent):
            if self._is_left_over(name):
                self.path.with_name(name).unlink(missing_ok=True)

    def _close_folder(self) -> None:
        folder = self.path.parent
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & OTHERS:
            return
        is_ours = all(
            name == self.path.name or self._is_left_over(name) for name in os.listdir(folder)
        )
        # One with that bit is there to be shared, such as /tmp.
        if is_ours and not mode & stat.S_ISVTX:
            folder.chmod(PRIVATE_FOLDER)
        elif mode & OTHERS_WRITE:
            raise StorageError(
                f"others may write to {folder} (mode {mode:o}); the credential needs a folder of"
                " its own"
            )

    def _sync_folder(self) -> None:
        if os.name != "posix":
            return
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class KeyringTokenStore:
    """Keeps the credential in the system's keyring; needs the extra ``firekeep[keyring]``.

    `name` tells several apps or users of one machine apart. A machine without a desktop mostly has
    no keyring: then every call raises `StorageError`.

    Raises:
        UsageError: the package `keyring` is not installed, at once.

    Example::

        auth = Auth(api_key, KeyringTokenStore("my-app"))
    """

    def __init__(self, name: str = "default", *, service: str = "firekeep") -> None:
        if find_spec("keyring") is None:
            raise UsageError("KeyringTokenStore needs keyring: pip install 'firekeep[keyring]'")
        self._name = name
        self._service = service

    def load(self) -> str | None:
        """Return what the keyring holds.

        Raises:
            StorageError: there is no keyring, or it is locked.
        """
        with _Keyring(self._service) as keyring:
            tag, count = self._head(keyring)
            pieces = [keyring.get(f"{self._name}/{tag}/{number}") for number in range(count)]
        return "".join(pieces) if pieces else None

    def save(self, text: str) -> None:
        """Keep `text` in the keyring.

        Raises:
            StorageError: there is no keyring, it is locked, or it takes no more.
        """
        # In pieces, because Windows takes no long secrets; the name of the new ones is written
        # last, so that a crash leaves the old ones.
        pieces = [text[at : at + PIECE_LENGTH] for at in range(0, len(text), PIECE_LENGTH)]
        tag = secrets.token_hex(4)
        with _Keyring(self._service) as keyring:
            old = self._head(keyring)
            for number, piece in enumerate(pieces):
                keyring.set(f"{self._name}/{tag}/{number}", piece)
            keyring.set(self._name, f"{tag} {len(pieces)}")
            self._forget(keyring, *old)

    def clear(self) -> None:
        """Remove it from the keyring.

        Raises:
            StorageError: there is no keyring, or it is locked.
        """
        with _Keyring(self._service) as keyring:
            old = self._head(keyring)
            keyring.delete(self._name)
            self._forget(keyring, *old)

    def _head(self, keyring: "_Keyring") -> tuple[str, int]:
        tag, _, count = keyring.get(self._name).partition(" ")
        return tag, min(int(count), MAX_PIECES) if count.isdecimal() else 0

    def _forget(self, keyring: "_Keyring", tag: str, count: int) -> None:
        for number in range(count):
            keyring.delete(f"{self._name}/{tag}/{number}")


class _Keyring:
    """The package, as far as it is needed, with its errors translated; imported when entered."""

    def __init__(self, service: str) -> None:
        self._service = service
        # Without its types, which are not there where the extra is not installed.
        self._module: Any = None
        self._errors: Any = None

    def __enter__(self) -> Self:
        self._module = import_module("keyring")
        self._errors = import_module("keyring.errors")
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, self._errors.KeyringError):
            # Its kind alone: the text may hold what was to be kept.
            raise StorageError(f"the keyring cannot be used: {type(error).__name__}") from None

    def get(self, name: str) -> str:
        """Return a secret; empty if there is none."""
        return self._module.get_password(self._service, name) or ""

    def set(self, name: str, value: str) -> None:
        """Keep a secret."""
        self._module.set_password(self._service, name, value)

    def delete(self, name: str) -> None:
        """Remove a secret, if it is there."""
        with contextlib.suppress(self._errors.PasswordDeleteError):
            self._module.delete_password(self._service, name)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
