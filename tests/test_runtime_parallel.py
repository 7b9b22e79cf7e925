"""Jobs in processes and on a cluster."""

import logging
import os
import subprocess
import sys
import time
from importlib.metadata import version

import pytest

from safbage.errors import WorkError
from safbage.runtime import parallel


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
def test_what_is_no_address_of_a_scheduler_is_refused(scheduler, monkeypatch):
    distributed = pytest.importorskip("dask.distributed")
    monkeypatch.delattr(distributed, "Client")  # one half made waits for itself for a minute
    with pytest.raises(
        ValueError, match="not a scheduler's address, such as tcp://host:8786"
    ) as raised:
        next(parallel.on_cluster(abs, [(-1,)], scheduler))
    assert "\n" not in str(raised.value)


def test_a_scheduler_that_does_not_answer_is_told_in_one_line():
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(WorkError) as raised,
    ):
        next(parallel.on_cluster(abs, [(-1,)], "tcp://127.0.0.1:1"))
    assert str(raised.value).startswith(
        "no scheduler answers at tcp://127.0.0.1:1: "
    ) and "\n" not in str(raised.value)


def test_a_scheduler_without_workers_is_told_and_waited_for(cluster):
    class ScaleWhenTold(logging.Handler):
        def emit(self, record):
            told.append(record.getMessage())
            cluster.scale(1)

    told, handler = [], ScaleWhenTold()
    logging.getLogger("safbage.runtime.parallel").addHandler(handler)
    try:
        assert list(parallel.on_cluster(abs, [(-1,), (-2,)], cluster.scheduler_address)) in (
            [1, 2],
            [2, 1],
        )
    finally:
        logging.getLogger("safbage.runtime.parallel").removeHandler(handler)
    assert len(told) == 1 and "has no worker; waiting" in told[0]


def test_a_scheduler_that_is_lost_is_told_in_one_line(cluster):
    cluster.scale(1)
    results = parallel.on_cluster(time.sleep, [(0.01,), (3,)], cluster.scheduler_address)
    next(results)
    cluster.close()
    with pytest.raises(
        WorkError, match=r"lost the scheduler at tcp://.*; what was finished is kept"
    ) as raised:
        next(results)
    assert "\n" not in str(raised.value)


def test_a_worker_of_another_version_is_refused_with_both_named(cluster, tmp_path):
    other = tmp_path / "safbage-9.9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: safbage\nVersion: 9.9.9\n")
    line = [
        sys.executable,
        "-m",
        "dask",
        "worker",
        cluster.scheduler_address,
        "--no-nanny",
        "--nthreads",
        "1",
        "--no-dashboard",
    ]
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    worker = subprocess.Popen(
        line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL
    )
    try:
        with pytest.raises(
            WorkError, match=f"has safbage 9.9.9, this process {version('safbage')}"
        ) as raised:
            next(parallel.on_cluster(abs, [(-1,)], cluster.scheduler_address))
        assert "\n" not in str(raised.value)
    finally:
        worker.kill()
        worker.wait()
