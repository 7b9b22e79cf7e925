"""Shared fixtures. Real data sets are used where they lie beside the repository, and their tests skip elsewhere."""

import contextlib
import io
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[1]
DATA = Path(os.environ.get("SAFBAGE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")

# What Jupyter, IPython and Keras keep for the person who runs the tests is neither read nor written by them: settings,
# workspaces, kernels, history. Set before any of these is imported, and passed on to every process that a test starts.
_STATE = tempfile.TemporaryDirectory(prefix="safbage-tests-")
OWN_STATE = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR")
OWN_STATE += ("JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR", "KERAS_HOME")
for _name in OWN_STATE:
    os.environ[_name] = str(Path(_STATE.name, _name.lower()))
for _name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "SAFBAGE_DATA", "SAFBAGE_SHARED"):
    os.environ.pop(_name, None)

from safbage import images  # noqa: E402  (they read the settings above)
from safbage.runtime import kernels, weights  # noqa: E402  (they read the settings above)

kernels.own_kernel()  # notebooks run in this Python, whatever else is called python3


LONGEST = [
    "06_sweep_ratios",
    "test_experiments_reproduction",
    "test_pipeline",
    "04_fine_tune_alexnet",
    "05_evaluate",
    "test_saliency_mlnet",
]
LONGEST += ["test_datasets_preparation", "test_browser", "test_faces", "test_training", "10_your_own_pictures"]
"""Groups of tests that begin first, so that no worker is left with one of them when the other has nothing more to do."""


def group_of(nodeid: str) -> str:
    """The group of a test: its file, whose tests share what is dear to make; of the tests of notebooks, each notebook."""
    file, _, test = nodeid.partition("::")
    group = Path(file).stem
    return test.partition("[")[2].rstrip("]") or group if group == "test_notebooks" else group


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With several workers, the tests of a group run on one."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    return ByGroup(config, log)


def pytest_collection_modifyitems(items):
    first = {group: place for place, group in enumerate(LONGEST)}
    items.sort(key=lambda item: first.get(group_of(item.nodeid), len(LONGEST)))  # stable: the others stay as they are


def data_folder(name):
    """A folder of real data, or a skip that names it."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"needs the data set {name} in {DATA} (set SAFBAGE_TEST_DATA)")
    return folder


def command(*words) -> SimpleNamespace:
    """``safbage WORDS`` in this process, which has loaded TensorFlow already: `returncode`, `stdout` and `stderr`.

    Where a process of its own is what matters (signals, how it starts), tests start one.
    """
    from safbage import cli

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["safbage", *map(str, words)])
        patch.setenv("PYTHONSAFEPATH", "1")  # as it will be, and is not to be afterwards
        code = 0
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
    return SimpleNamespace(returncode=code, stdout=out.buffer.getvalue().decode(), stderr=err.buffer.getvalue().decode())


@pytest.fixture(scope="session")
def astronaut():
    return images.astronaut()


@pytest.fixture(scope="session", autouse=True)
def trunks():
    """The fetched weights are there before any test needs them."""
    weights.fetch()


@pytest.fixture(scope="session")
def model():
    from safbage import SafBage

    return SafBage.load()


@pytest.fixture(scope="session")
def light():
    """The same with the light ML-Net, for what is no question of maps: some four times as fast."""
    from safbage import SafBage

    return SafBage.load(saliency="light")


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def killed_and_whole(tmp_path, monkeypatch, module, name, run, *, call_number=3):
    """Run twice, once killed in a call of `module.name` and resumed; the weights after each."""
    real = getattr(module, name)
    results = []
    for folder, killed in (("killed", True), ("whole", False)):
        calls = []

        def call(*arguments, killed=killed, calls=calls, **options):
            calls.append(1)
            if killed and len(calls) == call_number:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, call)
        (tmp_path / folder).mkdir()
        if killed:
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path / folder)
        results.append(run(tmp_path / folder))
    return results
