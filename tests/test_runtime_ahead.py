"""Threads that work ahead: order, limits, errors, and what is stuck."""

import subprocess
import sys
import threading

import pytest

from safbage.runtime.ahead import ahead


def test_results_come_in_order_whatever_takes_longer():
    first = threading.Event()

    def call(i):
        if i:
            first.set()  # the second is done before the first
        else:
            assert first.wait(60)
        return i * i

    assert list(ahead(call, range(20), threads=2, limit=4)) == [i * i for i in range(20)]
    assert list(ahead(call, [], threads=2, limit=4)) == []


def test_no_more_are_begun_than_the_limit():
    begun, reached = [], threading.Event()

    def call(i):
        begun.append(i)
        if len(begun) == 4:  # the first result and, behind it, three more: as many as may be
            reached.set()
        return i

    results = ahead(call, iter(range(100)), threads=3, limit=3)
    assert next(results) == 0 and reached.wait(60)
    results.close()
    assert begun == sorted(begun) and len(begun) == 4


def test_an_error_comes_in_its_turn_and_ends_the_rest():
    begun = []

    def call(i):
        begun.append(i)
        if i == 2:
            raise LookupError("two")
        return i

    results = ahead(call, range(100), threads=1, limit=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(LookupError, match="two"):
        next(results)
    assert len(begun) < 6 and threading.active_count() < 20


def test_no_more_room_is_taken_than_there_is():
    begun, reached = [], threading.Event()

    def call(size):
        begun.append(size)
        if len(begun) == 2:  # 4 and 5 fit into 10; 2 does not fit beside them
            reached.set()
        return size

    options = dict(threads=2, limit=4, size=lambda size: size, budget=10)
    results = ahead(call, [4, 5, 2, 30, 1], **options)
    assert next(results) == 4 and reached.wait(60)
    assert begun[:2] == [4, 5] and 30 not in begun
    assert list(results) == [5, 2, 30, 1]  # 30, more than there is, went alone


def test_what_takes_more_than_all_room_goes_alone():
    held, most, lock = [], [], threading.Lock()

    def call(i):
        with lock:
            held.append(i)
            most.append(len(held))
        with lock:
            held.remove(i)
        return i

    assert list(ahead(call, range(20), threads=4, limit=8, size=lambda i: 3, budget=2)) == list(
        range(20)
    )
    assert max(most) == 1


def test_what_is_stuck_is_given_up_and_the_rest_goes_on():
    never, done = threading.Event(), []

    def call(i):
        if i in (1, 2):
            never.wait()
        done.append(i)
        return i

    results = ahead(call, range(6), threads=2, limit=4, seconds=2, late=lambda i: f"{i} is late")
    assert list(results) == [0, "1 is late", "2 is late", 3, 4, 5]
    assert sorted(done) == [0, 3, 4, 5]
    never.set()  # its threads end


def test_a_process_ends_though_a_thread_is_stuck():
    code = """
import threading
from safbage.runtime.ahead import ahead
call = lambda i: threading.Event().wait() if i == 0 else i
print(list(ahead(call, range(3), threads=1, limit=1, seconds=1, late=lambda i: "late")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "['late', 1, 2]"), done.stderr
