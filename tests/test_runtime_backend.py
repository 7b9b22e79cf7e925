import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from safbage.runtime import backend, process
from safbage.runtime.backend import NOTES, keras, precision, predict_batches, quiet_start


def test_known_notes_are_held_back_and_all_else_is_shown(capfd):
    with quiet_start():
        os.write(
            2,
            b"I0000 port.cc oneDNN custom operations are on. You may see\nE0000 something is wrong\n",
        )
    assert capfd.readouterr().err == "E0000 something is wrong\n"


def test_an_error_inside_is_raised_and_what_it_wrote_shown(capfd):
    with pytest.raises(RuntimeError, match="inside"), quiet_start():
        os.write(2, b"last words\n")
        raise RuntimeError("inside")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "last words\nafter\n"


def test_the_first_import_is_silent():
    done = subprocess.run(
        [sys.executable, "-c", "import safbage.pipeline"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert not any(note in done.stderr for note in NOTES)


@pytest.mark.parametrize(
    "setting, found", [("image_data_format", "channels_first"), ("floatx", "float16")]
)
def test_settings_of_keras_that_the_networks_are_not_built_for_are_named_with_the_fix(
    tmp_path, setting, found
):
    """On importing, also by `doctor`: networks built under them fail with every photo."""
    (tmp_path / "keras.json").write_text(json.dumps({setting: found}))
    code = "from safbage.runtime import doctor; print(doctor.report()); from safbage import SafBage; SafBage.load(engine='keras')"
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "COLUMNS": "500"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    said = f'{setting} to be "{keras.config.__dict__[setting]()}"; it is "{found}". Change it in {tmp_path / "keras.json"}'
    assert (
        done.returncode == 1
        and said in done.stderr.splitlines()[-1]
        and "ImportError" in done.stderr
    )
    assert f"[FAIL] Keras backend: ImportError: safbage needs Keras's setting {said}" in done.stdout


@pytest.mark.parametrize("chosen, found", [({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")])
def test_onednn_is_on_unless_the_user_says_otherwise(chosen, found):
    environment = {
        name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"
    } | chosen
    code = "import os, safbage; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        ).stdout.strip()
        == found
    )


class Doubling:
    """Stands for a network; notes the shapes it is given."""

    def __init__(self):
        self.sizes = []

    def predict_on_batch(self, inputs):
        self.sizes.append(len(inputs["x"]))
        return {"twice": 2 * inputs["x"], "sum": inputs["x"].sum(axis=1) + inputs["y"]}


@pytest.mark.parametrize(
    "count, sizes", [(1, [1]), (3, [4]), (4, [4]), (8, [8]), (9, [8, 1]), (21, [8, 8, 8])]
)
def test_batches_have_few_sizes_and_the_filling_is_cut_away(count, sizes, generator):
    x, y = generator.random((count, 3)), generator.random(count)
    network = Doubling()
    found = predict_batches(network, {"x": x, "y": y}, 8)
    assert network.sizes == sizes
    assert np.array_equal(found["twice"], 2 * x) and np.array_equal(found["sum"], x.sum(axis=1) + y)


def test_a_network_is_compiled_for_few_shapes():
    calls = []
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: calls.append(x.shape) or x)(inputs))
    calls.clear()
    for count in range(1, 30):
        assert len(predict_batches(model, np.zeros((count, 2), "float32"), 4)) == count
    assert len(calls) <= 3


def test_precision_holds_in_its_block_only():
    before = keras.config.dtype_policy().name
    with pytest.raises(RuntimeError), precision("mixed_bfloat16"):
        assert keras.layers.Dense(1).compute_dtype == "bfloat16"
        raise RuntimeError
    assert keras.config.dtype_policy().name == before


@pytest.mark.parametrize("cores, size", [(1, 4), (2, 4), (6, 8), (8, 16), (64, 16)])
def test_batches_of_a_cpu_grow_with_its_cores(monkeypatch, cores, size):
    monkeypatch.setattr(backend, "has_gpu", lambda: False)
    monkeypatch.setattr(process, "cores", lambda: cores)
    assert backend.batch_size.__wrapped__() == size


@pytest.mark.parametrize(
    "mebibytes, size", [("81559", 256), ("24576\n8192", 32), ("143771", 256), ("512", 4)]
)
def test_batches_of_a_gpu_take_half_of_the_smallest_ones_memory(monkeypatch, mebibytes, size):
    monkeypatch.setattr(backend, "has_gpu", lambda: True)
    monkeypatch.setattr(backend.shutil, "which", lambda name: name)
    monkeypatch.setattr(
        backend.subprocess, "run", lambda *a, **o: SimpleNamespace(stdout=mebibytes)
    )
    assert backend.batch_size.__wrapped__() == size


def test_several_devices_share_every_batch():
    """Two devices that JAX makes of the CPU; the answers are those of one."""
    pytest.importorskip("jax")
    code = """
import keras
import numpy as np
from safbage.runtime.backend import predict_batches
x = np.random.default_rng(0).random((5, 8, 8, 3), "float32")
for parallel in (None, keras.distribution.DataParallel()):
    keras.distribution.set_distribution(parallel)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(inputs)))
    taken, predict = [], model.predict_on_batch
    model.predict_on_batch = lambda x: taken.append((len(x), len(x.sharding.device_set) if parallel else 1)) or predict(x)
    found = predict_batches(model, x, 4)
    assert taken == ([(4, 2), (2, 2)] if parallel else [(4, 1), (1, 1)]), taken
    expected = found if parallel is None else expected
assert found.shape == expected.shape and np.allclose(found, expected, atol=1e-5)
"""
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
