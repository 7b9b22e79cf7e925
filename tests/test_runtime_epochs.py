"""What a training keeps after every epoch."""

from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import files_up_to

from safbage.errors import WorkError
from safbage.runtime import epochs
from safbage.runtime.epochs import EpochLog


@pytest.mark.parametrize(
    "content", ["5", "{}", "null", "[5]", "[{}]", '[{"epoch": "a"}]', '[{"epoch": 1}', "", "\x00"]
)
def test_a_damaged_log_is_named(tmp_path, content):
    (tmp_path / "log.json").write_text(content)
    with pytest.raises(WorkError, match=r"log\.json is damaged"):
        EpochLog(tmp_path, lambda row: row["epoch"])


def network(*, width=1):
    return keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(width, name="fc", use_bias=False)]
    )


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
        pytest.raises(
            WorkError, match=r"epoch-2\.weights\.h5 cannot be written .*the same call goes on"
        ),
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

    monkeypatch.setattr(
        *((model, killed_in) if killed_in == "save_weights" else (epochs, killed_in)), half
    )
    with pytest.raises(KeyboardInterrupt):
        log.add(model, {"epoch": 2})
    monkeypatch.undo()
    if (
        killed_in == "write_whole"
    ):  # here the stand-in wrote over the log itself, which the real one never does
        (tmp_path / "log.json").write_text('[{"epoch": 1}]')
    again = EpochLog(tmp_path, lambda row: row["epoch"])
    again.resume(model)
    assert again.rows == [{"epoch": 1}] and model.get_weights()[0].item() == 1


def test_only_the_last_and_the_best_epoch_keep_their_weights(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    log = EpochLog(tmp_path, lambda row: row["cc"])
    assert log.best == 0
    for epoch, value in enumerate([0.1, 0.5, 0.4, 0.3], 1):
        model.set_weights([np.array([[float(epoch)]])])
        log.add(model, {"cc": value})
    assert log.best == 2 and sorted(path.name for path in tmp_path.glob("*.h5")) == [
        "epoch-2.weights.h5",
        "epoch-4.weights.h5",
    ]
    model.load_weights(log.weights_path(log.best))
    assert model.get_weights()[0].item() == 2
