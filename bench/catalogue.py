"""What is measured: each workload, its sizes, and what stands beside its cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """One row of figures; its cells differ in size only."""

    module: str
    title: str
    unit: str
    sizes: tuple[int, ...]
    variant: str = ""
    #: What the figure `peer` of a cell is, measured in the same process.
    peer: str = ""
    #: The largest growth exponent that is not a fault.
    exponent: float | None = None
    #: The largest cost that is not a fault; of a time, where a path copy takes PATH_COPY_US.
    cost: float | None = None


#: The path copy in a map of 100 000 children for which the goals in microseconds are stated.
PATH_COPY_US = 1.4

COLLECTIONS = (1_000, 10_000, 100_000)
QUEUES = (1_000, 3_000, 10_000, 30_000, 100_000)

CATALOGUE = {
    "W1": Workload(
        "bench_load", "first value of 42 000 records, 10 MB", "ms", (42_000,), peer="orjson.loads"
    ),
    "W2": Workload(
        "bench_update",
        "one leaf of a collection changes, one value listener",
        "µs",
        COLLECTIONS,
        variant="leaf",
        peer="empty callback",
        exponent=0.1,
    ),
    "W2-record": Workload(
        "bench_update", "the same, a whole record", "µs", (10_000,), variant="record"
    ),
    "W2-merge10": Workload(
        "bench_update", "the same, ten leaves in one merge", "µs", (10_000,), variant="merge10"
    ),
    "W2e": Workload(
        "bench_update_engine",
        "W2 with parsed messages, the sync tree alone",
        "µs",
        COLLECTIONS,
        peer="path copy",
        cost=3.0,
    ),
    "W7": Workload(
        "bench_offline_writes",
        "set while offline, a value listener above",
        "µs",
        QUEUES,
        variant="heard",
        exponent=0.1,
        cost=15.0,
    ),
    "W7-unheard": Workload(
        "bench_offline_writes",
        "the same, no listener",
        "µs",
        QUEUES,
        variant="unheard",
        exponent=0.1,
    ),
    "W7-hot": Workload(
        "bench_offline_writes",
        "the same with a listener, ten places over and over",
        "µs",
        QUEUES,
        variant="hot",
        exponent=0.1,
    ),
    "W8": Workload(
        "bench_drain", "a queued write is sent, echoed, answered", "µs", QUEUES, exponent=0.1
    ),
    "W8-waited": Workload(
        "bench_drain",
        "the same, while somebody waits for all of them",
        "µs",
        QUEUES,
        variant="waited",
        exponent=0.1,
    ),
    "many-taken": Workload(
        "bench_many",
        "an event is taken from a stream that folds",
        "µs",
        COLLECTIONS,
        variant="take",
        exponent=0.1,
    ),
    "many-closed": Workload(
        "bench_many",
        "a listener closes itself in its callback",
        "µs",
        COLLECTIONS,
        variant="close",
        exponent=0.1,
    ),
    "W11": Workload(
        "bench_memory",
        "memory per leaf, records",
        "B",
        (100_000, 1_000_000),
        variant="records",
        cost=55.0,
    ),
    "W11-integers": Workload(
        "bench_memory",
        "memory per leaf, integers",
        "B",
        (1_000_000,),
        variant="integers",
        cost=40.0,
    ),
}
