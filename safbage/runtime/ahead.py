"""Threads that work ahead, so that what is slow to read is there when its turn comes."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress

CLOSING = 10
"""Seconds that `ahead`, when it is closed, waits for jobs that are running: no thread that computes
may outlive the interpreter."""


def ahead(
    function: Callable,
    items: Iterable,
    *,
    threads: int,
    limit: int,
    size: Callable | None = None,
    budget: float = 0,
    seconds: float | None = None,
    late: Callable | None = None,
) -> Iterator:
    """``function(item)`` of every item, in order, computed by threads up to `limit` items ahead.

    So memory is bounded. Once the iterator is closed, or an error of `function` has come out of
    it, nothing more begins.

    Args:
        function: what the threads do.
        items: what they do it with.
        threads: how many there are.
        limit: items that are begun or done and have not been taken, at most.
        size: ``size(item)`` is what an item costs from when it is begun until it is taken.
        budget: what all items may cost together. An item that alone costs more waits until no other
            costs anything.
        seconds: how long the iterator waits for an item that it has come to. Then the item is
            given up, and a new thread takes the place of the one that is stuck with it. A stuck
            thread does not keep the process from ending.
        late: ``late(item)`` is the result of an item that was given up.

    Raises:
        Whatever `function` raises, in its item's turn.
    """
    jobs, begun = queue.SimpleQueue(), deque()  # (item, size, result) of those begun, in order
    sized = ((item, size(item) if size else 0, Future()) for item in items)
    following = next(sized, None)

    def fits():
        return not begun or following[1] + sum(job[1] for job in begun) <= budget

    def begin():
        """Begin as many as may be."""
        nonlocal following
        while following and len(begun) < limit and fits():
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
