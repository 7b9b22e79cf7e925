import logging
import os
import subprocess
import sys
import threading
import time
from importlib.metadata import version

import pytest

from safbage.errors import WorkError
from safbage.runtime import parallel


def test_results_come_in_order_whatever_takes_longer():
    first = threading.Event()

    def call(i):
        if i:
            first.set()  # the second is done before the first
        else:
            assert first.wait(60)
        return i * i

    assert list(parallel.ahead(call, range(20), threads=2, limit=4)) == [i * i for i in range(20)]
    assert list(parallel.ahead(call, [], threads=2, limit=4)) == []


def test_no_more_are_begun_than_the_limit():
    begun, reached = [], threading.Event()

    def call(i):
        begun.append(i)
        if len(begun) == 4:  # the first result and, behind it, three more: as many as may be
            reached.set()
        return i

    results = parallel.ahead(call, iter(range(100)), threads=3, limit=3)
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

    results = parallel.ahead(call, range(100), threads=1, limit=2)
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

    options = dict(threads=2, limit=4, size=lambda size: size, room=10)
    results = parallel.ahead(call, [4, 5, 2, 30, 1], **options)
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

    assert list(parallel.ahead(call, range(20), threads=4, limit=8, size=lambda i: 3, room=2)) == list(range(20))
    assert max(most) == 1


def test_what_is_stuck_is_given_up_and_the_rest_goes_on():
    never, done = threading.Event(), []

    def call(i):
        if i in (1, 2):
            never.wait()
        done.append(i)
        return i

    results = parallel.ahead(call, range(6), threads=2, limit=4, seconds=2, late=lambda i: f"{i} is late")
    assert list(results) == [0, "1 is late", "2 is late", 3, 4, 5]
    assert sorted(done) == [0, 3, 4, 5]
    never.set()  # its threads end


def test_a_process_ends_though_a_thread_is_stuck():
    code = """
import threading
from safbage.runtime import parallel
call = lambda i: threading.Event().wait() if i == 0 else i
print(list(parallel.ahead(call, range(3), threads=1, limit=1, seconds=1, late=lambda i: "late")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "['late', 1, 2]"), done.stderr


def test_processes_that_are_started_import_nothing_from_the_working_directory():
    assert parallel.shares(2)["PYTHONSAFEPATH"] == "1"


@pytest.fixture
def cluster():
    """A scheduler of this process without workers."""
    distributed = pytest.importorskip("dask.distributed")
    options = dict(n_workers=0, threads_per_worker=1, processes=False, dashboard_address=None)
    with distributed.LocalCluster(**options, protocol="tcp") as cluster:
        yield cluster


@pytest.mark.parametrize("scheduler", ["", " ", "host", "nonsense://host:1"])
def test_what_is_no_address_of_a_scheduler_is_refused(scheduler):
    with pytest.raises(ValueError, match="no scheduler's address, such as tcp://host:8786") as raised:
        next(parallel.on_cluster(abs, [(-1,)], scheduler))
    assert "\n" not in str(raised.value)


def test_a_scheduler_that_does_not_answer_is_told_in_one_line():
    dask = pytest.importorskip("dask")
    with dask.config.set({"distributed.comm.timeouts.connect": "1s"}), pytest.raises(WorkError) as raised:
        next(parallel.on_cluster(abs, [(-1,)], "tcp://127.0.0.1:1"))
    assert str(raised.value).startswith("no scheduler answers at tcp://127.0.0.1:1: ") and "\n" not in str(raised.value)


def test_a_scheduler_without_workers_is_told_and_waited_for(cluster):
    class ScaleWhenTold(logging.Handler):
        def emit(self, record):
            told.append(record.getMessage())
            cluster.scale(1)

    told, handler = [], ScaleWhenTold()
    logging.getLogger("safbage.runtime.parallel").addHandler(handler)
    try:
        assert list(parallel.on_cluster(abs, [(-1,), (-2,)], cluster.scheduler_address)) in ([1, 2], [2, 1])
    finally:
        logging.getLogger("safbage.runtime.parallel").removeHandler(handler)
    assert len(told) == 1 and "has no worker; waiting" in told[0]


def test_a_scheduler_that_is_lost_is_told_in_one_line(cluster):
    cluster.scale(1)
    results = parallel.on_cluster(time.sleep, [(0.01,), (3,)], cluster.scheduler_address)
    next(results)
    cluster.close()
    with pytest.raises(WorkError, match=r"lost the scheduler at tcp://.*; what was finished is kept") as raised:
        next(results)
    assert "\n" not in str(raised.value)


def test_a_worker_of_another_version_is_refused_with_both_named(cluster, tmp_path):
    other = tmp_path / "safbage-9.9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: safbage\nVersion: 9.9.9\n")
    line = [sys.executable, "-m", "dask", "worker", cluster.scheduler_address, "--no-nanny", "--nthreads", "1", "--no-dashboard"]
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    worker = subprocess.Popen(line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL)
    try:
        with pytest.raises(WorkError, match=f"has safbage 9.9.9, this process {version('safbage')}") as raised:
            next(parallel.on_cluster(abs, [(-1,)], cluster.scheduler_address))
        assert "\n" not in str(raised.value)
    finally:
        worker.kill()
        worker.wait()
