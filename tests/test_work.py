import os
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

from safbage import work


def test_arrays_on_disk_resume_where_they_were_killed(tmp_path):
    computed = []

    def compute(part, killed_at=None):
        if part.start == killed_at:
            raise KeyboardInterrupt
        computed.append(part.start)
        return np.arange(part.start, part.stop)

    path = tmp_path / "a.npy"
    with pytest.raises(KeyboardInterrupt):
        work.resumable(path, (10,), "int64", lambda part: compute(part, 6), 3, "")
    array = work.resumable(path, (10,), "int64", compute, 3, "")
    assert computed == [0, 3, 6, 9] and array.tolist() == list(range(10))
    assert work.resumable(path, (10,), "int64", None, 3, "").tolist() == list(range(10))


def test_arrays_of_another_shape_are_not_gone_on_with(tmp_path):
    work.resumable(tmp_path / "a.npy", (10,), "int64", lambda part: 0, 3, "")
    with pytest.raises(work.WorkError, match="another folder"):
        work.resumable(tmp_path / "a.npy", (11,), "int64", lambda part: 0, 3, "")


def test_a_shape_of_numpys_integers_can_be_resumed(tmp_path):
    shape = (4, np.int64(2))
    work.resumable(tmp_path / "a.npy", shape, "int64", lambda part: 1, 3, "")
    assert work.resumable(tmp_path / "a.npy", shape, "int64", None, 3, "").sum() == 8


def test_a_folder_keeps_to_its_settings(tmp_path):
    settings = {"epochs": 3, "faces": tmp_path, "scenes": None}
    work.keep_settings(tmp_path / "new", settings)
    work.keep_settings(tmp_path / "new", settings)
    with pytest.raises(work.WorkError, match="epochs: 3 there, 4 now"):
        work.keep_settings(tmp_path / "new", settings | {"epochs": 4})


@pytest.mark.parametrize("killed_in", ["save_weights", "write_whole"])
def test_a_kill_while_an_epoch_is_written_loses_that_epoch_only(tmp_path, monkeypatch, killed_in):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="fc", use_bias=False)])
    model.set_weights([np.array([[1.0]])])
    log = work.EpochLog(tmp_path, lambda row: row["epoch"])
    log.add(model, {"epoch": 1})
    model.set_weights([np.array([[2.0]])])

    def half(path, *_):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(*((model, killed_in) if killed_in == "save_weights" else (work, killed_in)), half)
    with pytest.raises(KeyboardInterrupt):
        log.add(model, {"epoch": 2})
    monkeypatch.undo()
    if killed_in == "write_whole":  # here the stand-in wrote over the log itself, which the real one never does
        (tmp_path / "log.json").write_text('[{"epoch": 1}]')
    again = work.EpochLog(tmp_path, lambda row: row["epoch"])
    again.resume(model)
    assert again.rows == [{"epoch": 1}] and model.get_weights()[0].item() == 1


def test_files_are_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("before")

    def half(aside):
        aside.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.write_whole(tmp_path / "a", half)
    assert (tmp_path / "a").read_text() == "before"


def test_only_the_last_and_the_best_epoch_keep_their_weights(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    log = work.EpochLog(tmp_path, lambda row: row["cc"])
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
        with pytest.raises(work.WorkError, match=mine), work.locked(tmp_path / "mine"):
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
