"""What the command line looks like."""

import argparse
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

__all__ = ["make_parser"]

_VALUE_HELP = "JSON; '-' or nothing reads it from standard input"


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="firekeep",
        description="Read, write and watch a Firebase Realtime Database, or run one locally.",
        epilog="example: firekeep watch https://hacker-news.firebaseio.com /v0/topstories",
    )
    parser.add_argument("--version", action="version", version=f"firekeep {_version()}")
    make = parser.add_subparsers(dest="command", required=True, metavar="COMMAND").add_parser

    get = _add(make, "get", "print the value of a location as JSON")
    _add_location(get)
    _add_query(get)
    get.add_argument("--export", action="store_true", help="with priorities, lists as maps")
    get.add_argument("--json", action="store_true", help="on one line")

    watch = _add(make, "watch", "print a location, then every change, until Ctrl-C")
    _add_location(watch)
    _add_query(watch)
    form = watch.add_mutually_exclusive_group()
    form.add_argument("--tree", action="store_true", help="print the whole value at each change")
    form.add_argument("--json", action="store_true", help="print one JSON object for each event")
    watch.add_argument(
        "--count", type=_positive, metavar="N", help="stop after N changes to the first value"
    )

    for name, text in (
        ("set", "replace the value of a location"),
        ("update", "replace several locations below one; VALUE maps paths to values"),
        ("push", "add a child under a new key that sorts last, and print the key"),
    ):
        command = _add(make, name, text)
        command.add_argument("url", metavar="URL")
        command.add_argument("path", metavar="PATH")
        command.add_argument("value", metavar="VALUE", nargs="?", default="-", help=_VALUE_HELP)
        _add_connection(command)

    remove = _add(make, "remove", "remove all that is at a location")
    _add_location(remove)
    remove.add_argument("--force", action="store_true", help="even if it is the whole database")

    emulator = _add(make, "emulator", "run a local database until Ctrl-C")
    emulator.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    emulator.add_argument(
        "--port", type=_port, default=9000, help="0 takes a free one (%(default)s)"
    )
    emulator.add_argument("--namespace", default="default", help="its name (%(default)s)")
    emulator.add_argument("--import", dest="import_path", metavar="FILE", help="JSON to begin with")
    emulator.add_argument("--export", dest="export_path", metavar="FILE", help="JSON to end with")
    emulator.add_argument(
        "--data", dest="data_path", metavar="DIR", help="where everything is kept for the next time"
    )
    emulator.add_argument("-v", "--verbose", action="store_true", help="log what happens")

    cache = _add(make, "cache", "look into the cache of a database on disk, or clear it")
    actions = cache.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser
    for name, text in (
        ("info", "print how much there is of what"),
        ("list", "print the queries that are known, the most recently used first"),
        ("clear", "drop what is not kept synced; the app must be stopped"),
        ("export", "print all that is known, as JSON"),
        ("verify", "read everything, and print what is wrong"),
    ):
        action = _add(actions, name, text)
        _add_store(action)
        if name == "export":
            action.add_argument("--owner", metavar="UID", help="of this user; by default nobody's")

    queue = _add(make, "queue", "look into the queue of writes on disk, or cancel some")
    actions = queue.add_subparsers(dest="action", required=True, metavar="ACTION").add_parser
    for name, text in (
        ("list", "print the writes that wait, oldest first"),
        ("cancel", "drop writes for good; the app must be stopped"),
        ("export", "print the writes with their data, one JSON object a line"),
    ):
        action = _add(actions, name, text)
        _add_store(action)
        if name == "cancel":
            action.add_argument("ids", metavar="ID", nargs="+", type=_positive)

    _add(make, "demo", "show two clients, one server and what happens between them")
    return parser


def _add(
    make: Callable[..., argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    return make(name, help=text, description=f"{text[0].upper()}{text[1:]}.")


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="what was given as persistence=")
    parser.add_argument("--json", action="store_true", help="as JSON")


def _add_location(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="of a database, or of a location in one")
    parser.add_argument("path", metavar="PATH", nargs="?", default="", help="below the URL")
    _add_connection(parser)


def _add_connection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--auth", metavar="TOKEN", help="a credential")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="seconds to wait for the server (%(default)g)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log what happens")


def _add_query(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which children; bounds are JSON, or else text")
    group.add_argument(
        "--order-by", metavar="ORDER", help="a path below each child, or $key, $value, $priority"
    )
    for name in ("start-at", "start-after", "end-at", "end-before", "equal-to"):
        group.add_argument(f"--{name}", metavar="VALUE")
    for name in ("limit-to-first", "limit-to-last"):
        group.add_argument(f"--{name}", type=_positive, metavar="N")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not 0 … 65535")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return number


def _version() -> str:
    try:
        return version("firekeep")
    except PackageNotFoundError:
        # Run from its sources without having been installed.
        return "0"
