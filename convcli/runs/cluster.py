"""A user's cluster as a plain queue of tasks, through dask.distributed, which is imported in here alone.

A task is a value; what all tasks have in common goes to each worker once. A few tasks for each thread of the workers
are under way at a time and each is forgotten once answered, so that a hundred thousand take no more memory than ten.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import field
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from multiprocessing import resource_tracker
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from uuid import uuid4

from convcli import __version__
from convcli.errors import ConvError, UsageError
from convcli.records import record
from convcli.signals import held
from convcli.streams import say

if TYPE_CHECKING:
    from convcli.runs.shipment import Answer, Work

T = TypeVar("T")
AHEAD = 3
"""Tasks under way for each thread of the workers: it need not wait for the next one."""
LEAST = 16
"""Tasks under way while there are few workers, or none yet: a cluster that grows by need sees that there is some."""
PATIENCE = 20.0
"""Seconds in which a scheduler has to answer."""
LOOK = 2.0
"""Seconds from one look at who the workers are to the next."""
MADE_AGAIN = ("pending", "lost", "finished")
"""What a task may be whose worker was lost before its answer came here: by now it may have been made again."""
ALIKE = {"convcli": 0, "python": 2, "numpy": 2}
"""What client and workers must have alike: by so many parts of the version, all of it for 0.

By another NumPy sums, transforms and rounding may come out otherwise."""
FORMS = "tcp://host:8786, a scheduler file, or local:N"


@record(frozen=False)
class Watch:
    """Who the workers are, looked up again and again by a thread, and which of them were lost.

    Those that the scheduler let go, as a cluster that shrinks does, are not lost.
    """

    client: Any
    workers: Mapping[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    ended: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.look()
        self.thread = Thread(target=self.run, name="convcli workers", daemon=True)
        self.thread.start()

    @property
    def threads(self) -> int:
        """Threads of all workers."""
        return sum(self.workers.values())

    def run(self) -> None:
        """Look until told to end, or nobody answers."""
        try:
            while not self.ended.wait(LOOK):
                self.look()
        except (OSError, RuntimeError):  # the scheduler is gone, or the client: whoever waits for answers hears it
            return

    def look(self) -> None:
        """See who is there, and what became of those who were."""
        now = dict(self.client.nthreads())
        for address in self.workers.keys() - now.keys():
            tasks = self.unexpected(address)
            if tasks is not None:
                self.lost[address] = tasks
        self.workers = now

    def unexpected(self, address: str) -> int | None:
        """How many tasks a worker was at, or had waiting, when it was lost; None where it left as it was told to."""
        ends = [said for _, said in self.client.get_events(address) if said.get("action") == "remove-worker"]
        return None if ends and ends[-1]["expected"] else len(ends[-1]["processing-tasks"]) if ends else 0

    def end(self) -> None:
        """Look once more, and no more."""
        self.ended.set()
        self.thread.join(PATIENCE)
        if self.client.status == "running":
            self.look()


@record
class Cluster:
    """A scheduler that we are connected to, by whatever name, and its workers."""

    client: Any
    name: str
    watch: Watch
    peaks: Counter[str] = field(default_factory=Counter)

    @property
    def threads(self) -> int:
        """How many tasks the workers do at once."""
        return self.watch.threads

    @property
    def most(self) -> int:
        """How many tasks may be under way."""
        return max(LEAST, AHEAD * self.threads)

    @property
    def lost(self) -> int:
        """Workers that went away unasked, as far as it was seen."""
        return len(self.watch.lost)

    def lost_by_now(self) -> int:
        """The same, looked up at once."""
        self.watch.look()
        return self.lost

    @property
    def words(self) -> str:
        """How many workers there are, and were lost."""
        lost = f", {self.lost:,} lost" if self.lost else ""
        count = len(self.watch.workers)
        return f", {count:,} worker{'s' * (count != 1)}{lost}"

    def answers(
        self, work: Work, common: Any, tasks: Iterable[T], hold: Callable[[], bool] = bool
    ) -> Generator[tuple[T, Any, str]]:
        """(task, result of `work(common, task)`, worker) as they come, in whatever order.

        Everything must be picklable. A ConvError of a task is raised here; so is that its workers were lost again and
        again. Tasks that nobody waits for any more are given up. While `hold` says so, no more are handed out.
        """
        from convcli.runs.shipment import Shipment, answer

        name = f"convcli_{uuid4().hex[:12]}"
        self.client.register_plugin(Shipment(work, common), name)
        try:
            for task, said in self.flow(name, answer, tasks, hold):
                self.peaks[said.worker] = max(self.peaks[said.worker], said.memory)
                yield task, said.result, said.worker
        finally:
            if self.client.status == "running":
                self.client.unregister_worker_plugin(name)

    def flow(
        self, name: str, answer: Callable[[str, Any], Answer], tasks: Iterable[T], hold: Callable[[], bool]
    ) -> Iterator[tuple[T, Answer]]:
        """Each task with its answer; a few for each thread are under way at a time, and no answer is kept."""
        from distributed import as_completed

        coming = as_completed(loop=self.client.loop, with_results=True, raise_errors=False)
        waiting, numbers = iter(tasks), count()
        under_way: dict[Any, T] = {}
        try:
            while True:
                while len(under_way) < self.most and not (under_way and hold()):
                    task = next(waiting, None)  # asked again after each answer, which may bring a task more
                    if task is None:
                        break
                    future = self.client.submit(answer, name, task, key=f"{name}-{next(numbers)}", pure=False)
                    under_way[future] = task
                    coming.add(future)
                if not under_way:
                    return
                future, result = next(coming)
                said = self.heard(future, result)
                if said is None:
                    coming.add(future)
                    continue
                yield under_way.pop(future), said
                future.release()
        finally:
            if under_way and self.client.status == "running":
                self.client.cancel(list(under_way))

    def heard(self, future: Any, result: Any) -> Answer | None:
        """The answer of a task, or the error that it came to; None while it is made again.

        An answer that came is one even where its worker was lost since; where it was lost before, another gets the
        task.
        """
        from convcli.runs.shipment import Answer

        if isinstance(result, Answer):
            if result.error is not None:
                message, code, where = result.error
                raise ConvError(message, code, where=where)
            return result
        if future.status == "error":
            self.failed(result[1])
        if future.status in MADE_AGAIN and self.client.status == "running":
            return None
        raise ConvError("the connection to the scheduler was lost; --resume goes on", "crashed", where=self.name)

    def failed(self, error: BaseException) -> NoReturn:
        """Raise what a task came to that had no answer: its workers were lost, or there is an error in convcli."""
        from distributed import KilledWorker

        if not isinstance(error, KilledWorker):
            raise error
        times = error.allowed_failures + 1
        raise ConvError(
            f"{times} workers were lost at the same task, the last at {error.last_worker.address}: was that memory? "
            "Workers with more of it, or fewer threads, go on with --resume",
            "crashed",
            where=self.name,
        ) from None


@contextmanager
def cluster_at(where: str) -> Iterator[Cluster]:
    """A connection to the scheduler that `--scheduler` names: an address, a file that a scheduler wrote, or local:N.

    Raises ConvError where nobody answers there, or workers would not compute the same; `local:N` starts N processes of
    one thread each, which end with the block.
    """
    check_installed()
    arguments = parse_scheduler(where)
    with ExitStack() as stack:
        if "local" in arguments:
            arguments = {"address": stack.enter_context(processes_here(arguments["local"]))}
        client = stack.enter_context(connected(where, arguments))
        check_alike(where, client.get_versions(packages=list(ALIKE)))
        check_processors(where, client.run(instructions))
        watch = Watch(client)
        stack.callback(watch.end)
        if not watch.workers:
            say(f"convcli: {where!r}: the scheduler has no workers yet; waiting for them")
        yield Cluster(client, where, watch)


def check_installed() -> None:
    """Refuse where dask.distributed is not installed."""
    try:
        version("distributed")
    except PackageNotFoundError:
        raise UsageError(
            "needs dask.distributed; install it: pip install 'convcli[cluster]'", "codec-missing", where="--scheduler"
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what a user has to know is said by us, in a line


def parse_scheduler(where: str) -> dict[str, Any]:
    """How to reach a scheduler, as dask.distributed takes it; `local` for processes here.

    >>> parse_scheduler("local:4"), parse_scheduler("tcp://host:8786"), parse_scheduler("host:8786")
    ({'local': 4}, {'address': 'tcp://host:8786'}, {'address': 'tcp://host:8786'})
    """
    if where.startswith("local:"):
        number = where.removeprefix("local:")
        if not re.fullmatch("[1-9][0-9]{0,3}", number):
            raise UsageError(f"{number!r} is not a number of processes from 1 to 9999", where="--scheduler")
        return {"local": int(number)}
    if re.fullmatch(r"[a-z+]+://\S+:[0-9]{1,5}/?", where):
        return {"address": where}
    if re.fullmatch(r"[\w.-]+:[0-9]{1,5}", where):
        return {"address": f"tcp://{where}"}
    if not os.path.isfile(where):  # noqa: PTH113 -- a name that no path can have is none
        raise UsageError(f"{where!r} is not a scheduler; write {FORMS}", where="--scheduler")
    return {"scheduler_file": where}


@contextmanager
def connected(where: str, arguments: Mapping[str, Any]) -> Iterator[Any]:
    """A client of a scheduler; ConvError where none answers there in time."""
    from distributed import Client

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that differ: what matters is refused below
            client = Client(**arguments, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        reason = f"no scheduler answers there within {PATIENCE:.0f} s ({type(error).__name__})"
        raise ConvError(reason, "unreachable", where=where) from None
    try:
        yield client
    finally:
        client.close(timeout=PATIENCE)


@contextmanager
def processes_here(number: int) -> Iterator[Any]:
    """A scheduler in this process with so many worker processes of one thread, reached through loopback alone."""
    from distributed import LocalCluster

    with ExitStack() as stack:
        with held(), warnings.catch_warnings(), deaf_to_keys():
            warnings.simplefilter("ignore")  # of a port for a page that nobody asked for
            cluster = LocalCluster(
                n_workers=number,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
            stack.callback(closed, cluster)
        yield cluster


def closed(cluster: Any) -> None:
    """End a cluster's processes, and what they share, whatever signals come meanwhile."""
    with held():
        cluster.close()


@contextmanager
def deaf_to_keys() -> Iterator[None]:
    """A time in which processes, and threads that start more of them, are started that Ctrl-C does not reach.

    A terminal sends it to all of them; this process hears it, and ends them.
    """
    if "pthread_sigmask" not in vars(signal):
        yield
        return
    resource_tracker.ensure_running()  # which would hear it again once it has started
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check_alike(where: str, versions: Mapping[str, Any]) -> None:
    """Refuse workers that would not compute what this process would, or not at all."""
    ours = versions["client"]["packages"] | {"convcli": __version__}
    for address, told in versions["workers"].items():
        for package, parts in ALIKE.items():
            theirs = told["packages"][package]
            if leading(theirs, parts) != leading(ours[package], parts):
                has = f"has {package} {leading(theirs, 3)}" if theirs else f"has no {package}"
                message = f"the worker {address} {has}, and this process {leading(ours[package], 3)}"
                raise ConvError(f"{message}; install the same there", "usage", where=where)


def instructions() -> str:
    """The best instructions that the compiled loops have in this process; none without the loops."""
    from convcli import native

    return native.INSTRUCTIONS[-1] if native.AVAILABLE else "none"


def check_processors(where: str, found: Mapping[str, str]) -> None:
    """Say where workers do not all compute by the same instructions: sums may be rounded otherwise then."""
    kinds = Counter(found.values())
    if len(kinds) > 1:
        told = ", ".join(f"{count:,} by {kind}" for kind, count in sorted(kinds.items()))
        say(f"convcli: {where!r}: workers compute by different instructions ({told}): last bits of floats may differ")


def leading(version: str | None, parts: int) -> str | None:
    """The first parts of a version; all for 0.

    >>> leading("3.11.7.final.0", 2), leading("0.1.0", 0), leading(None, 1)
    ('3.11', '0.1.0', None)
    """
    return version and (".".join(version.split(".")[:parts]) if parts else version)
