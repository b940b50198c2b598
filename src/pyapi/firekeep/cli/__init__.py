"""The command ``firekeep``: read, write and watch a database, or run one.

It exits with 0 if all went well, 1 if the database or the network said no, 2 for wrong arguments,
130 after Ctrl-C.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

__all__ = ["main"]

FAILED = 1
WRONG_ARGUMENTS = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with its arguments, by default those of the process; return its exit code.

    Example::

        sys.exit(main(["get", "https://hacker-news.firebaseio.com", "/v0/maxitem"]))
    """
    from firekeep.cli.arguments import make_parser

    options = make_parser().parse_args(arguments)
    from firekeep.cli.output import Output
    from firekeep.exceptions import FirekeepError, InvalidArgument

    output = Output(sys.stdout, sys.stderr, os.environ)
    try:
        code = _run(options, output)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; nor must the interpreter flush it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except InvalidArgument as error:
        output.error(error)
        return WRONG_ARGUMENTS
    except (FirekeepError, OSError) as error:
        output.error(error)
        return FAILED
    return code


def _run(options: Any, output: Any) -> int:
    import logging

    import anyio

    from firekeep.cli import commands, store_commands

    verbose = getattr(options, "verbose", False)
    logging.basicConfig(
        format="firekeep: %(message)s", level=logging.DEBUG if verbose else logging.WARNING
    )
    action = store_commands.COMMANDS.get((options.command, getattr(options, "action", "")))
    if action is not None:
        return action(options, output)
    return anyio.run(commands.COMMANDS[options.command], options, output)
