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
OWN_STATE = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
)
OWN_STATE += ("JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR", "KERAS_HOME")
for _name in OWN_STATE:
    os.environ[_name] = str(Path(_STATE.name, _name.lower()))
for _name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "SAFBAGE_DATA", "SAFBAGE_SHARED"):
    os.environ.pop(_name, None)

from safbage import images  # noqa: E402  (they read the settings above)
from safbage.runtime import engines, kernels, weights  # noqa: E402  (they read the settings above)
from safbage.tasks import CLASSES  # noqa: E402

kernels.own_kernel()  # notebooks run in this Python, whatever else is called python3


LONGEST = [
    "06_sweep_ratios",
    "04_fine_tune_alexnet",
    "test_experiments_reproduction",
    "test_browser",
    "05_evaluate",
    "08_is_it_chance",
    "09_find_a_face_again",
    "test_datasets_preparation",
    "02_saliency_with_mlnet",
    "test_sweep",
    "test_cli",
    "test_cli_prepare",
    "test_saliency_training",
    "10_your_own_pictures",
    "test_training",
    "test_fuzz",
    "test_wheel",
    "test_pipeline",
    "test_faces_mtcnn",
    "test_datasets",
    "07_class_activation_maps",
    "test_book",
    "test_cli_saliency",
    "01_detect_and_crop_faces",
    "03_reweight_by_saliency",
    "00_start_here",
    "test_saliency",
]
"""Groups of tests that begin first, the longest of both parts of the suite before shorter ones, so that no worker is left
with one of them when the other has nothing more to do."""


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
    items.sort(
        key=lambda item: first.get(group_of(item.nodeid), len(LONGEST))
    )  # stable: the others stay as they are


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

    out, err = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)
    )
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["safbage", *map(str, words)])
        patch.setenv("PYTHONSAFEPATH", "1")  # as it will be, and is not to be afterwards
        code = 0
        try:
            cli.main()
        except SystemExit as left:
            code = left.code or 0
    return SimpleNamespace(
        returncode=code,
        stdout=out.buffer.getvalue().decode(),
        stderr=err.buffer.getvalue().decode(),
    )


@pytest.fixture(scope="session")
def astronaut():
    return images.astronaut()


@pytest.fixture(scope="session", autouse=True)
def trunks():
    """The fetched weights are there before any test needs them."""
    weights.fetch()


def pytest_generate_tests(metafunc):
    """The pipeline's tests run with whoever answers by default, and, among the slow ones, with each other engine; what is
    slow with one already, such as memory over many photos, with that one alone."""
    slow = any(mark.name == "slow" for mark in metafunc.definition.iter_markers())
    if metafunc.module.__name__ in ("test_pipeline", "test_pipeline_batching") and not slow:
        own = "auto" if engines.installed() else "keras"
        others = [engine for engine in ("keras", *engines.installed()[1:]) if engine != own]
        engines_of = [own, *(pytest.param(engine, marks=pytest.mark.slow) for engine in others)]
        for name in ("model", "light"):
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, engines_of, indirect=True, scope="session")
                break


@pytest.fixture(scope="session")
def model(request):
    from safbage import SafBage

    return SafBage.load(engine=getattr(request, "param", "auto"))


@pytest.fixture(scope="session")
def light(request):
    """The same with the light ML-Net, for what is no question of maps: some four times as fast."""
    from safbage import SafBage

    return SafBage.load(saliency="light", engine=getattr(request, "param", "auto"))


@pytest.fixture(scope="session")
def alexnet_gap():
    """The paper's network, with the light ML-Net."""
    from safbage import SafBage

    return SafBage.load(network="alexnet-gap", saliency="light")


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def add_network(monkeypatch, name, build, first="fc6", imagenet=dict):
    """Until the test ends there is another network by name, which is trained from layer `first`."""
    from safbage.classifiers import registry

    record = registry.Network(build, imagenet, dict.fromkeys(CLASSES, first))
    monkeypatch.setattr(registry, "NETWORKS", (*registry.NETWORKS, name))
    monkeypatch.setitem(sys.modules, f"safbage.classifiers.{name}", SimpleNamespace(NETWORK=record))


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


@contextlib.contextmanager
def files_up_to(size):
    """No file may grow beyond so many bytes: as near to a full disk as a test comes without one."""
    resource = pytest.importorskip("resource")  # Windows has none
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# --- experiments -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """40 drawn faces of 20 persons, prepared."""
    from safbage import datasets
    from safbage.datasets import preparation
    from safbage.datasets.shards import Prepared

    folder = tmp_path_factory.mktemp("faces")
    faces, _ = datasets.synthetic(
        folder / "pictures", 40, size=96, pictures_per_subject=2, progress=False
    )
    options = preparation.Preparation(detect="box", saliency="light")
    preparation.prepare(faces.assign(race="drawn"), folder / "prepared", options, progress=False)
    return Prepared(folder / "prepared")


@pytest.fixture
def trainings(monkeypatch):
    """The tiny network among the others and in the recipes; a list that grows by one with every network trained."""
    from made_arms import RECIPE, tiny

    from safbage import training
    from safbage.training import tuning

    add_network(monkeypatch, "tiny", tiny, "fc")
    for task in training.RECIPES:
        monkeypatch.setitem(training.RECIPES, task, RECIPE)
    calls, real = [], tuning.train
    monkeypatch.setattr(tuning, "train", lambda *arguments: calls.append(1) or real(*arguments))
    return calls


@pytest.fixture
def shipped(monkeypatch):
    """In place of the shipped classifiers one that takes the first class for whatever it sees; it notes the faces it saw."""
    import pandas as pd

    from safbage.classifiers import SHIPPED
    from safbage.experiments import arms
    from safbage.tasks import CLASSES

    seen = []

    class Same:
        def load(self, *, tasks, network, engine):
            assert network in SHIPPED
            self.tasks = tasks
            return self

        def classify(self, crops, *, maps, probabilities):
            seen.append(len(crops))
            names = {task: CLASSES[task] for task in self.tasks}
            columns = {
                f"{task}[{name}]": float(i == 0)
                for task in names
                for i, name in enumerate(names[task])
            }
            return pd.DataFrame(
                {task: names[task][0] for task in names} | columns, index=range(len(crops))
            )

    monkeypatch.setattr(arms, "SafBage", Same())
    return seen
