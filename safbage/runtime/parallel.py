"""Many independent jobs at once: in threads that run ahead, in processes of this machine, or by a Dask cluster's workers."""

import functools
import logging
import multiprocessing
import os
import platform
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError, ProcessPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from importlib.metadata import version

from safbage.errors import WorkError

logger = logging.getLogger(__name__)

PACKAGES = ("safbage", "keras", "tensorflow", "mtcnn", "opencv-python-headless", "pillow", "numpy")
KEPT = "what was finished is kept, and the same call goes on"
SAFE = {"PYTHONSAFEPATH": "1"}
"""Environment of every Python that is started: it imports no module that lies in its working directory by chance or by malice."""


def ahead(
    function: Callable,
    items: Iterable,
    *,
    threads: int,
    limit: int,
    size: Callable | None = None,
    room: float = 0,
    seconds: float | None = None,
    late: Callable | None = None,
) -> Iterator:
    """``function(item)`` of every item, in order, computed by threads up to `limit` items ahead: bounded memory.

    Once the iterator is closed, or an error of `function` has come out of it, nothing more begins.

    Args:
        function: what the threads do.
        items: what they do it with.
        threads: how many there are.
        limit: items that are begun or done and have not been taken, at most.
        size: how much room an item takes from when it is begun until it is taken.
        room: how much room there is; an item that alone takes more is begun when no other takes any.
        seconds: how long the iterator waits for an item that it has come to. Then the item is given up, and another thread
            takes the place of the one that is stuck with it, which keeps nobody from ending the process.
        late: ``late(item)`` is the result of an item that was given up.

    Raises:
        Whatever `function` raises, in its item's turn.
    """
    jobs, begun = queue.SimpleQueue(), deque()  # (item, size, result) of those begun, in order
    sized = ((item, size(item) if size else 0, Future()) for item in items)
    following = next(sized, None)

    def begin():
        """Begin as many as may be."""
        nonlocal following
        while following and len(begun) < limit and (not begun or following[1] + sum(job[1] for job in begun) <= room):
            begun.append(following)
            jobs.put(following)
            following = next(sized, None)

    def start_thread():
        threading.Thread(target=_work, args=(function, jobs), daemon=True).start()

    begin()
    for _ in range(threads):
        start_thread()
    try:
        while begun:
            item, _, result = begun[0]
            while not result.done():
                wait([result], timeout=seconds)
                if result.running():
                    with suppress(InvalidStateError):  # it was done in the last moment
                        result.set_result(late(item))
                        start_thread()
            begun.popleft()
            begin()
            yield result.result()
            del item, result  # they may be large
    finally:
        unfinished = [result for _, _, result in begun if not result.cancel()]
        for _ in range(threads):
            jobs.put(None)
        wait(unfinished, timeout=CLOSING)


CLOSING = 10
"""Seconds that `ahead`, when it is closed, waits for what is being done: what computes must not outlive the interpreter."""


def _work(function, jobs):
    while _do_next(function, jobs):
        pass


def _do_next(function, jobs):
    """Do the next job; whether its thread shall go on."""
    job = jobs.get()
    if job is None:
        return False
    item, _, result = job
    if not result.set_running_or_notify_cancel():
        return True
    try:
        report = result.set_result, function(item)
    except BaseException as error:
        report = result.set_exception, error
    try:
        report[0](report[1])
    except InvalidStateError:  # it was given up, and another thread is in this one's place
        return False
    return True


def shares(workers: int) -> dict[str, str]:
    """Environment variables that give each of so many processes its share of the processor's threads and of a GPU's memory.

    TensorFlow, JAX, PyTorch and NumPy read them when they start. With them goes what `SAFE` says.
    """
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    environment = SAFE | dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"), threads)
    return environment | {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / workers:.3f}"}


def in_processes(function: Callable, jobs: Sequence[tuple], workers: int) -> Iterator:
    """``function(*job)`` of every job, in up to `workers` fresh processes; results as they come.

    Each has its `shares` of `workers`, also where fewer jobs are left: with more threads, sums round otherwise, and a resumed
    run would not give the same bytes. After an error or Ctrl-C the processes are ended at once; where this process is killed,
    they end, too.

    Raises:
        WorkError: a process died.
        Whatever `function` raises.
    """
    if not jobs:
        return
    environment = shares(workers)
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)  # read when the processes start
    pool = ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context("spawn"), initializer=_follow_parent)
    try:
        futures: list[Future] = [pool.submit(function, *job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise WorkError("a worker process died, perhaps for want of memory; the same call goes on, try fewer workers") from error
    finally:
        for process in (pool._processes or {}).values():  # nobody waits for what is half done
            if not all(future.done() for future in futures):
                process.terminate()
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _follow_parent():
    """Ctrl-C is the parent's to handle; and where the parent is killed, its workers end, too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch():
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def on_cluster(function: Callable, jobs: Sequence[tuple], scheduler: str) -> Iterator:
    """``function(*job)`` of every job, by a Dask scheduler's workers; a job whose worker dies is given to another.

    Where the scheduler has no worker yet, a warning says so, and the jobs wait for one.

    Args:
        function: importable where the workers run.
        jobs: each the arguments of one call.
        scheduler: address, ``tcp://host:8786``.

    Raises:
        ImportError: Dask is missing.
        ValueError: `scheduler` is no address.
        WorkError: the scheduler cannot be reached or was lost, several workers died of one job, or a worker's `versions` are not
            those of this process.
        Whatever `function` raises.
    """
    try:
        from dask import distributed
    except ImportError as error:
        raise ImportError('a cluster needs Dask: pip install "safbage[cluster]"') from error
    if not jobs:
        return
    with _connected(distributed, scheduler) as client:
        _meet_workers(client, scheduler)
        futures = [client.submit(_call_alike, versions(), function, job, pure=False, retries=2) for job in jobs]
        for future in distributed.as_completed(futures):
            try:
                result = future.result()
            except CancelledError as error:
                raise WorkError(f"lost the scheduler at {scheduler}; {KEPT}") from error
            except distributed.KilledWorker as error:
                raise WorkError(f"workers died of the same piece, perhaps for want of memory ({error}); {KEPT}") from error
            yield result


def _connected(distributed, scheduler):
    try:
        return distributed.Client(scheduler)
    except ValueError as error:
        raise ValueError(f"{scheduler!r} is no scheduler's address, such as tcp://host:8786: {error}") from error
    except OSError as error:
        raise WorkError(f"no scheduler answers at {scheduler}: {error}") from error


def _meet_workers(client, scheduler):
    """Wait for the first worker; refuse those there are if they are not alike."""
    try:
        if not client.scheduler_info()["workers"]:
            logger.warning("the scheduler at %s has no worker; waiting until one is there (Ctrl-C ends it)", scheduler)
            client.wait_for_workers(1)
        found = {name: client.run(version, name, on_error="return") for name in PACKAGES}
    except (CancelledError, OSError) as error:
        raise WorkError(f"lost the scheduler at {scheduler}; {KEPT}") from error
    for name, answers in found.items():
        for worker, answer in answers.items():  # where it lacks the package, the error
            _check_alike({name: versions()[name]}, {name: str(answer)}, worker)


def _call_alike(expected, function, job):
    """On a worker, which may have come later than all others were asked."""
    _check_alike(expected, versions(), platform.node())
    return function(*job)


def _check_alike(expected, found, worker):
    for name, here in expected.items():
        if found[name] != here:
            raise WorkError(
                f"worker {worker} has {name} {found[name]}, this process {here}: what they make would be mixed. "
                "Give all of them the same environment."
            )


@functools.cache
def versions() -> dict[str, str]:
    """The versions of safbage and of the packages that change what its networks answer, by package.

    Raises:
        PackageNotFoundError: one is missing.
    """
    return {name: version(name) for name in PACKAGES}
