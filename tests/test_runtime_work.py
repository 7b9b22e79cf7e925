import errno
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest

from safbage.errors import WorkError
from safbage.runtime import arrays, epochs, files, work
from safbage.runtime.epochs import EpochLog


def test_arrays_on_disk_resume_where_they_were_killed(tmp_path):
    computed = []

    def compute(part, killed_at=None):
        if part.start == killed_at:
            raise KeyboardInterrupt
        computed.append(part.start)
        return np.arange(part.start, part.stop)

    path = tmp_path / "a.npy"
    with pytest.raises(KeyboardInterrupt):
        arrays.fill_array(path, (10,), "int64", lambda part: compute(part, 6), 3, "")
    array = arrays.fill_array(path, (10,), "int64", compute, 3, "")
    assert computed == [0, 3, 6, 9] and array.tolist() == list(range(10))
    assert arrays.fill_array(path, (10,), "int64", None, 3, "").tolist() == list(range(10))


@contextmanager
def files_up_to(size):
    """No file may grow beyond so many bytes: as near to a full disk as a test comes without one."""
    resource = pytest.importorskip("resource")  # Windows has none
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_array_that_finds_no_place_is_told_and_gone_on_with(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(WorkError, match=r"a\.npy cannot be written .*free some of it: the same call goes on"),
        files_up_to(999),
    ):
        arrays.fill_array(path, (4000,), "int64", lambda part: 1, 1000, "", progress=False)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(WorkError, match="No space left"):
        arrays.fill_array(path, (4000,), "int64", lambda part: 1, 1000, "", progress=False)
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())
    assert arrays.fill_array(path, (4000,), "int64", lambda part: 1, 1000, "", progress=False).sum() == 4000


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell the blocks of a file")
def test_an_array_has_its_place_before_it_is_filled(tmp_path):
    """A sparse file would end in SIGBUS, without a message, where the disk is full."""
    path = tmp_path / "a.npy"

    def killed(part):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        arrays.fill_array(path, (200_000,), "int64", killed, 3, "", progress=False)
    assert path.stat().st_blocks * 512 >= path.stat().st_size > 1_600_000


def test_where_nothing_allocates_zeros_are_written(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    array = arrays.fill_array(tmp_path / "a.npy", (50_000,), "int64", lambda part: 7, 50_000, "", progress=False)
    assert array.tolist() == [7] * 50_000
    with pytest.raises(WorkError, match="cannot be written"), files_up_to(999):
        arrays.fill_array(tmp_path / "b.npy", (4000,), "int64", lambda part: 1, 1000, "", progress=False)


@pytest.mark.parametrize("odd", ["", "abc", "-3", "11", 5000 * "1", "[3]", "\x00"])
def test_an_odd_count_of_rows_is_named(tmp_path, odd):
    arrays.fill_array(tmp_path / "a.npy", (10,), "int64", lambda part: 0, 3, "", progress=False)
    (tmp_path / "a.done").write_text(odd)
    with pytest.raises(WorkError, match=r"a\.done is damaged"):
        arrays.fill_array(tmp_path / "a.npy", (10,), "int64", lambda part: 0, 3, "", progress=False)


def test_a_damaged_array_is_named(tmp_path):
    arrays.fill_array(tmp_path / "a.npy", (1000,), "int64", lambda part: 0, 300, "", progress=False)
    whole = (tmp_path / "a.npy").read_bytes()
    for damage in (b"", b"x" * 500, whole[:-1000]):
        (tmp_path / "a.npy").write_bytes(damage)
        with pytest.raises(WorkError, match=r"a\.npy is damaged"):
            arrays.fill_array(tmp_path / "a.npy", (1000,), "int64", lambda part: 0, 300, "", progress=False)


def test_arrays_of_another_shape_are_not_gone_on_with(tmp_path):
    arrays.fill_array(tmp_path / "a.npy", (10,), "int64", lambda part: 0, 3, "")
    with pytest.raises(WorkError, match="another folder"):
        arrays.fill_array(tmp_path / "a.npy", (11,), "int64", lambda part: 0, 3, "")


def test_a_shape_of_numpys_integers_can_be_resumed(tmp_path):
    shape = (4, np.int64(2))
    arrays.fill_array(tmp_path / "a.npy", shape, "int64", lambda part: 1, 3, "")
    assert arrays.fill_array(tmp_path / "a.npy", shape, "int64", None, 3, "").sum() == 8


def test_a_folder_keeps_to_its_settings(tmp_path):
    settings = {"epochs": 3, "faces": tmp_path, "scenes": None}
    work.keep_settings(tmp_path / "new", settings)
    work.keep_settings(tmp_path / "new", settings)
    with pytest.raises(WorkError, match="epochs: 3 there, 4 now"):
        work.keep_settings(tmp_path / "new", settings | {"epochs": 4})


@pytest.mark.parametrize("content", ["5", "[]", "null", '"a"', '{"epochs": 3', "", "\x00", "[" * 100_000])
def test_damaged_settings_are_named(tmp_path, content):
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(WorkError, match=r"settings\.json is damaged .*Name another folder, or delete"):
        work.keep_settings(tmp_path, {"epochs": 3})


@pytest.mark.parametrize("content", ["5", "{}", "null", "[5]", "[{}]", '[{"epoch": "a"}]', '[{"epoch": 1}', "", "\x00"])
def test_a_damaged_log_is_named(tmp_path, content):
    (tmp_path / "log.json").write_text(content)
    with pytest.raises(WorkError, match=r"log\.json is damaged"):
        EpochLog(tmp_path, lambda row: row["epoch"])


def network(*, width=1):
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(width, name="fc", use_bias=False)])


@pytest.mark.parametrize("content", [None, b"", b"half", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_weights_that_a_log_promises_and_are_damaged_are_named(tmp_path, content):
    model = network()
    log = EpochLog(tmp_path, lambda row: row["epoch"])
    log.add(model, {"epoch": 1})
    log.weights_path(1).unlink() if content is None else log.weights_path(1).write_bytes(content)
    with pytest.raises(WorkError, match=r"epoch-1\.weights\.h5 is damaged"):
        EpochLog(tmp_path, lambda row: row["epoch"]).resume(model)


def test_a_checkpoint_that_finds_no_place_is_told_and_written_later(tmp_path):
    model = network(width=100_000)
    log = EpochLog(tmp_path, lambda row: row["epoch"])
    log.add(model, {"epoch": 1})
    before = sorted(path.name for path in tmp_path.iterdir())
    with (
        pytest.raises(WorkError, match=r"epoch-2\.weights\.h5 cannot be written .*the same call goes on"),
        files_up_to(99_999),
    ):
        log.add(model, {"epoch": 2})
    assert sorted(path.name for path in tmp_path.iterdir()) == before and log.rows == [{"epoch": 1}]
    log = EpochLog(tmp_path, lambda row: row["epoch"])
    log.resume(model)
    log.add(model, {"epoch": 2})
    assert log.best == 2 and log.weights_path(2).exists()


@pytest.mark.parametrize("killed_in", ["save_weights", "write_whole"])
def test_a_kill_while_an_epoch_is_written_loses_that_epoch_only(tmp_path, monkeypatch, killed_in):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="fc", use_bias=False)])
    model.set_weights([np.array([[1.0]])])
    log = EpochLog(tmp_path, lambda row: row["epoch"])
    log.add(model, {"epoch": 1})
    model.set_weights([np.array([[2.0]])])

    def half(path, *_):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(*((model, killed_in) if killed_in == "save_weights" else (epochs, killed_in)), half)
    with pytest.raises(KeyboardInterrupt):
        log.add(model, {"epoch": 2})
    monkeypatch.undo()
    if killed_in == "write_whole":  # here the stand-in wrote over the log itself, which the real one never does
        (tmp_path / "log.json").write_text('[{"epoch": 1}]')
    again = EpochLog(tmp_path, lambda row: row["epoch"])
    again.resume(model)
    assert again.rows == [{"epoch": 1}] and model.get_weights()[0].item() == 1


def test_files_are_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("before")

    def half(aside):
        aside.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_whole(tmp_path / "a", half)
    assert (tmp_path / "a").read_text() == "before"


def test_only_the_last_and_the_best_epoch_keep_their_weights(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    log = EpochLog(tmp_path, lambda row: row["cc"])
    assert log.best == 0
    for epoch, value in enumerate([0.1, 0.5, 0.4, 0.3], 1):
        model.set_weights([np.array([[float(epoch)]])])
        log.add(model, {"cc": value})
    assert log.best == 2 and sorted(path.name for path in tmp_path.glob("*.h5")) == ["epoch-2.weights.h5", "epoch-4.weights.h5"]
    model.load_weights(log.weights_path(log.best))
    assert model.get_weights()[0].item() == 2


def test_a_folder_is_written_by_one_at_a_time(tmp_path):
    with work.locked(tmp_path / "mine"):
        mine = rf"process {os.getpid()} on .*Wait until it is done"
        with pytest.raises(WorkError, match=mine), work.locked(tmp_path / "mine"):
            pass
        with work.locked(tmp_path / "other"):
            pass
    with work.locked(tmp_path / "mine"):
        pass


def test_the_second_can_wait(tmp_path):
    order, begun = [], threading.Event()

    def first():
        with work.locked(tmp_path):
            begun.set()
            order.append("first")
            threading.Event().wait(0.3)
            order.append("done")

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait(10)
    with work.locked(tmp_path, wait=True):
        order.append("second")
    thread.join()
    assert order == ["first", "done", "second"]


def waits(folder, run):
    """Run something while another holds a folder: whether it waited and named the other's process, and what it returns then."""
    told = threading.Event()

    class Told(logging.Handler):
        def emit(self, record):
            if f"{folder} is being written by process {os.getpid()} on " in record.getMessage():
                told.set()

    handler = Told()
    work.logger.addHandler(handler)
    try:
        with ThreadPoolExecutor(1) as pool:
            with work.locked(folder):
                running = pool.submit(run)
                while not told.wait(0.05) and not running.done():
                    pass
            return told.is_set(), running.result()
    finally:
        work.logger.removeHandler(handler)


def test_other_settings_are_told_before_waiting(tmp_path):
    other = pytest.raises(WorkError, match=r"ratio: 0\.3 there, 0\.0 now")
    with work.resuming(tmp_path, {"ratio": 0.3}), other, work.resuming(tmp_path, {"ratio": 0.0}):
        pass

    def again():
        with work.resuming(tmp_path, {"ratio": 0.3}):
            return True

    assert waits(tmp_path, again) == (True, True)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "inside"
    with pytest.raises(WorkError, match=r"cannot be written.*Name another folder"), work.locked(folder):
        pass
