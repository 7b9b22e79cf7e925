"""Many independent jobs at once: in processes of this machine, or by a Dask cluster's workers."""

import functools
import logging
import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from importlib.util import find_spec

from safbage.errors import WorkError, install_extra

logger = logging.getLogger(__name__)

PACKAGES = ("safbage", "keras", "tensorflow", "mtcnn", "opencv-python-headless", "pillow", "numpy")
KEPT = "what was finished is kept, and the same call goes on"
SAFE = {"PYTHONSAFEPATH": "1"}
"""For every Python that is started: it imports nothing that lies in its working directory."""


def shares(workers: int) -> dict[str, str]:
    """Environment variables that give each of so many processes its share of the machine.

    They are of the processor's threads and of a GPU's memory; TensorFlow, JAX, PyTorch and NumPy
    read them when they start. `SAFE` is among them.
    """
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    environment = SAFE | dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"), threads)
    return environment | {
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / workers:.3f}",
    }


def in_processes(function: Callable, jobs: Sequence[tuple], workers: int) -> Iterator:
    """``function(*job)`` of every job, in up to `workers` fresh processes; results as they come.

    Each has its `shares` of `workers`, also where fewer jobs are left: with more threads, sums are
    rounded differently, and a resumed run would not give the same bytes. After an error or Ctrl-C
    the processes are ended at once; where this process is killed, they end, too.

    Raises:
        WorkError: a process died.
        Whatever `function` raises.
    """
    if not jobs:
        return
    environment = shares(workers)
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)  # read when the processes start
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), spawn, initializer=_follow_parent)
    try:
        futures = [pool.submit(function, *job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise WorkError(
            "a worker process died, perhaps because memory ran out; "
            "the same call goes on: try it with fewer workers"
        ) from error
    finally:
        # Nobody waits for what is half done. Python 3.14 has a public way to end the processes.
        for process in (pool._processes or {}).values():
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
    """``function(*job)`` of every job, by a Dask scheduler's workers.

    A job whose worker dies is given to another. Where the scheduler has no worker yet, a warning
    says so, and the jobs wait for one.

    Args:
        function: importable where the workers run.
        jobs: each the arguments of one call.
        scheduler: address, ``tcp://host:8786``.

    Raises:
        ImportError: Dask is missing.
        ValueError: `scheduler` is not an address.
        WorkError: the scheduler cannot be reached or was lost, several workers died of one job, or
            a worker's `versions` are not those of this process.
        Whatever `function` raises.
    """
    try:
        from dask import distributed
    except ImportError as error:
        raise ImportError(f"a cluster needs Dask: {install_extra('cluster')}") from error
    if not jobs:
        return
    with _connected(distributed, scheduler) as client:
        _meet_workers(client, scheduler)
        call = functools.partial(client.submit, _call_alike, versions(), function)
        futures = [call(job, pure=False, retries=2) for job in jobs]
        for future in distributed.as_completed(futures):
            try:
                result = future.result()
            except CancelledError as error:
                raise WorkError(f"lost the scheduler at {scheduler}; {KEPT}") from error
            except distributed.KilledWorker as error:
                raise WorkError(
                    f"workers died of the same piece, perhaps as memory ran out ({error}); {KEPT}"
                ) from error
            yield result


def _connected(distributed, scheduler):
    try:
        # Before the client, which a wrong address would leave half made: it then waits for itself,
        # for up to a minute, in whichever thread collects it.
        distributed.comm.get_address_host_port(scheduler)
        return distributed.Client(scheduler)
    except ValueError as error:
        raise ValueError(
            f"{scheduler!r} is not a scheduler's address, such as tcp://host:8786: {error}"
        ) from error
    except OSError as error:
        raise WorkError(f"no scheduler answers at {scheduler}: {error}") from error


def _meet_workers(client, scheduler):
    """Wait for the first worker; refuse those there are if they are not alike."""
    try:
        if not client.scheduler_info()["workers"]:
            logger.warning(
                "the scheduler at %s has no worker; waiting until one is there (Ctrl-C ends it)",
                scheduler,
            )
            client.wait_for_workers(1)
        found = {name: client.run(version, name, on_error="return") for name in versions()}
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
                f"worker {worker} has {name} {found[name]}, this process {here}: "
                "what they make would be mixed. Give all of them the same environment."
            )


@functools.cache
def versions() -> dict[str, str]:
    """The versions of safbage and of the packages that change what its networks answer, by package.

    TensorFlow may be missing where another backend computes and no face is detected.

    Raises:
        PackageNotFoundError: another one is missing.
    """
    return {name: version(name) for name in PACKAGES if name != "tensorflow" or find_spec(name)}
