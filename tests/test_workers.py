"""Threads that share tasks: all done once, the first failure raised, helpers kept, and none inherited by a fork."""

import subprocess
import sys
import threading
import time

import numpy as np  # noqa: F401 -- its BLAS
import pytest
from threadpoolctl import threadpool_info

from convcli.engine.workers import run_all


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_task_is_done_once(threads):
    done = []
    run_all(done.append, range(200), threads)
    assert sorted(done) == list(range(200))


def test_helpers_take_part_and_are_kept():
    """A barrier opens when two threads are there at once; the second image finds its helper waiting."""
    for _ in range(5):
        barrier = threading.Barrier(2, timeout=30)
        run_all(lambda _, barrier=barrier: barrier.wait(), range(2), 2)
    before = threading.active_count()
    for _ in range(50):
        run_all(lambda _: None, range(2), 2)
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_failure_ends_the_work(threads):
    done = []

    def work(task):
        if task == 3:
            raise LookupError("task 3")
        time.sleep(0.001)
        done.append(task)

    with pytest.raises(LookupError, match="task 3"):
        run_all(work, range(10_000), threads)
    assert len(done) < 1000


def test_a_helper_that_is_at_work_elsewhere_is_not_waited_for():
    """Tasks that share tasks of their own wait for no helper that waits for them."""
    done = []

    def outer(task):
        run_all(lambda inner: done.append((task, inner)), range(3), 4)

    run_all(outer, range(40), 4)
    assert sorted(done) == [(task, inner) for task in range(40) for inner in range(3)]


def test_a_fork_begins_without_helpers():
    code = """if True:
        import os, threading
        from convcli.engine.workers import run_all
        def both():
            barrier = threading.Barrier(2, timeout=30)
            run_all(lambda _: barrier.wait(), range(2), 2)
        both()
        child = os.fork()
        if not child:
            both()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    ran = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ran.stdout, ran.stderr) == ("7\n", "")


def blas_threads():
    """By how many threads BLAS works now."""
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_blas_has_one_thread_until_the_last_image_is_done(order, monkeypatch):
    """Images that are computed at the same time, one of which ends before the other."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if blas_threads() - {1} == set():
        pytest.skip("a BLAS with threads of its own is missing")
    before = blas_threads()
    both, leave, seen = threading.Barrier(3, timeout=30), [threading.Event(), threading.Event()], []

    def image(number):
        def work(_):
            both.wait()
            assert leave[number].wait(30)
            seen.append(blas_threads())

        run_all(work, [0], 1)

    images = [threading.Thread(target=image, args=(number,)) for number in range(2)]
    for each in images:
        each.start()
    both.wait()
    for number in order:
        leave[number].set()
        images[number].join()
    assert [{1}, {1}] == seen
    assert blas_threads() == before


def test_blas_has_one_thread_where_the_caller_was_the_first_to_limit_it():
    """In a process of its own: whoever sets a limit first is the only one that may, as long as it lives."""
    code = (
        "import os; os.environ.pop('OPENBLAS_NUM_THREADS', None)\n"
        "import numpy as np\n"
        "from threadpoolctl import threadpool_info, threadpool_limits\n"
        "from convcli.engine.workers import run_all\n"
        "now = lambda: [each['num_threads'] for each in threadpool_info() if each['user_api'] == 'blas']\n"
        "with threadpool_limits(2, user_api='blas'):\n"
        "    before = now()\n"
        "    run_all(lambda _: print({*now()} <= {1}), [0], 1)\n"
        "    print(now() == before)\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["True", "True"]
