"""Work folders: written by one at a time, and with one setting."""

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from safbage.errors import WorkError
from safbage.runtime import work


def test_a_folder_keeps_to_its_settings(tmp_path):
    settings = {"epochs": 3, "faces": tmp_path, "scenes": None}
    work.keep_settings(tmp_path / "new", settings)
    work.keep_settings(tmp_path / "new", settings)
    with pytest.raises(WorkError, match="epochs: 3 there, 4 now"):
        work.keep_settings(tmp_path / "new", settings | {"epochs": 4})


@pytest.mark.parametrize(
    "content", ["5", "[]", "null", '"a"', '{"epochs": 3', "", "\x00", "[" * 100_000]
)
def test_damaged_settings_are_named(tmp_path, content):
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(
        WorkError, match=r"settings\.json is damaged .*Name another folder, or delete"
    ):
        work.keep_settings(tmp_path, {"epochs": 3})


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
    with (
        pytest.raises(WorkError, match=r"cannot be written.*Name another folder"),
        work.locked(folder),
    ):
        pass
