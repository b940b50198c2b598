"""One measurement in a process of its own: ``python -m bench.cell WORKLOAD SIZE``."""

import importlib
import json
import sys

from bench.catalogue import CATALOGUE


def main() -> None:
    """Run the workload and print its figures as one line of JSON."""
    workload = CATALOGUE[sys.argv[1]]
    module = importlib.import_module(f"bench.{workload.module}")
    arguments = (workload.variant,) if workload.variant else ()
    print(json.dumps(module.run(int(sys.argv[2]), *arguments)))


if __name__ == "__main__":
    main()
