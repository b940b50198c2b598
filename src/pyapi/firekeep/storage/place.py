"""Where the data of a database lie unless the user says otherwise."""

import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PureWindowsPath

from firekeep.exceptions import InvalidArgument, StorageError
from firekeep.url import DatabaseUrl

__all__ = ["default_path", "given_path", "safe_component"]

_MAX_COMPONENT = 120
_PLAIN = frozenset("0123456789abcdefghijklmnopqrstuvwxyz_-.")
#: Names of devices on Windows, whatever their extension.
_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in range(10)
}


def default_path(
    url: DatabaseUrl,
    name: str,
    *,
    platform: str = sys.platform,
    environment: Mapping[str, str] | None = None,
) -> Path:
    """Return the directory for a database: the state directory, then host, namespace and name.

    State, not cache: systems clean cache directories, and writes that wait must not be cleaned.

    Raises:
        StorageError: the system does not say where the user's files are.
    """
    variables = os.environ if environment is None else environment
    parts = [safe_component(part) for part in (url.address, url.namespace, name)]
    return _state_directory(platform, variables) / "firekeep" / Path(*parts)


def given_path(path: str | os.PathLike[str]) -> Path:
    """Return a path as its user means it: ``~`` is the home directory, as in a shell.

    Raises:
        InvalidArgument: it holds a NUL, which no path can.
        StorageError: the home directory is not known.
    """
    place = Path(path)
    if "\0" in str(place):
        raise InvalidArgument(f"{str(place)!r:.200} is no path: it holds a NUL")
    try:
        return place.expanduser()
    except RuntimeError as error:
        raise StorageError(f"{str(place)!r:.200}: {error}") from error


def safe_component(text: str) -> str:
    """Return a file name for any text, different for different texts, on every system.

    Upper-case letters are escaped too, as file systems may not tell them from others.
    """
    escaped = "".join(
        character if character in _PLAIN else "".join(f"%{byte:02x}" for byte in encoded)
        for character, encoded in ((each, each.encode("utf-8", "surrogatepass")) for each in text)
    )
    if escaped.partition(".")[0] in _DEVICES or escaped.startswith("."):
        escaped = f"%{ord(escaped[0]):02x}{escaped[1:]}"
    if escaped.endswith("."):
        escaped = f"{escaped[:-1]}%2e"
    if len(escaped) > _MAX_COMPONENT:
        digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        escaped = f"{escaped[: _MAX_COMPONENT - 33]}%{digest}"
    return escaped or "%"


def _state_directory(platform: str, variables: Mapping[str, str]) -> Path:
    if platform == "win32":
        local = variables.get("LOCALAPPDATA", "")
        if PureWindowsPath(local).is_absolute():
            return Path(local)
        return _home() / "AppData" / "Local"
    if platform == "darwin":
        return _home() / "Library" / "Application Support"
    state = variables.get("XDG_STATE_HOME", "")
    # A relative one is to be ignored, says the specification of these variables.
    return Path(state) if state.startswith("/") else _home() / ".local" / "state"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise StorageError("no home directory is known; say where to store the data") from error
