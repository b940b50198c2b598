"""``python -m firekeep`` is the command ``firekeep``."""

import sys

from firekeep.cli import main

if __name__ == "__main__":
    sys.exit(main())
