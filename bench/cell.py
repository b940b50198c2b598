"""One measurement in a process of its own: ``python -m bench.cell WORKLOAD SIZE``."""

import importlib
import json
import sys

MODULES = {
    "W1": "bench.bench_load",
    "W2": "bench.bench_update",
    "W2e": "bench.bench_update_engine",
    "W7": "bench.bench_offline_writes",
    "W8": "bench.bench_drain",
    "W11": "bench.bench_memory",
}


def main() -> None:
    """Run the workload and print its figures as one line of JSON."""
    workload, size = sys.argv[1], int(sys.argv[2])
    figures = importlib.import_module(MODULES[workload]).run(size)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
