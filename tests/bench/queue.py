"""What a queue of very many tasks costs the client: `python -m tests.bench.queue [TASKS]`, 100,000 by default.

The tasks are boxes of one job, as those of a volume, that two worker processes answer at once; all else is what a real
job takes: the errands, the queue, the journal with a line for each, the tally. The memory of this process, which holds
the scheduler, too, is printed as it goes. Needs the extra cluster.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time

from convcli.engine.boxes import Boxes, Done
from convcli.engine.samples import Counts
from convcli.machine import processor
from convcli.runs.chunked import Errand
from convcli.runs.cluster import Cluster, cluster_at
from convcli.runs.shards import ShardJournal, shard_journal
from convcli.runs.tally import Tally

TASKS, LOOKS = 100_000, 10
SIDE = 64


def main(tasks: int = TASKS) -> None:
    """Print seconds for a task, and the memory after each tenth of them."""
    print(processor())
    boxes = Boxes((tasks * SIDE, SIDE, SIDE), (SIDE,) * 3)
    with tempfile.TemporaryDirectory() as name, cluster_at("local:2") as cluster:
        with shard_journal(Path(name, "journal"), {}, resume=False) as journal:
            begun, used, tally = perf_counter(), process_time(), Tally()
            for count in answered(cluster, boxes, journal, tally):
                if count % max(1, tasks // LOOKS) == 0:
                    spent = 1e3 * (perf_counter() - begun) / count
                    busy = 1e3 * (process_time() - used) / count
                    print(
                        f"{count:>9,} tasks: {spent:.2f} ms each, {busy:.2f} ms CPU here, {resident():,.1f} MB",
                        flush=True,
                    )
        assert tasks == tally.made == len(Path(name, "journal").read_text().splitlines()) - 1


def answered(cluster: Cluster, boxes: Boxes, journal: ShardJournal, tally: Tally) -> Iterator[int]:
    """How many boxes are done, after each."""
    errands = (Errand(0, box) for box in boxes)
    for count, (_, done, worker) in enumerate(cluster.answers(nothing, None, errands), 1):
        journal.add(0, done)
        tally.add(done, worker, again=False, counted=True)
        yield count


def nothing(_common: None, errand: Errand) -> Done:
    """What a worker says of a box that it has not made."""
    return Done(errand.box, Counts(SIDE**3), "0" * 32, 1, 1, {"read": 1e-3, "compute": 1e-3, "write": 1e-3})


def resident() -> float:
    """Megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
