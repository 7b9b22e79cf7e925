"""Shared fixtures. Real data sets are used where they lie beside the repository, and their tests skip elsewhere."""

import os
from pathlib import Path

import numpy as np
import pytest

from safbage import images, weights

REPOSITORY = Path(__file__).parents[1]
DATA = Path(os.environ.get("SAFBAGE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")

JUPYTER_FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "run",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "IPYTHONDIR": "ipython",
}


def data_folder(name):
    """A folder of real data, or a skip that names it."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"needs the data set {name} in {DATA} (set SAFBAGE_TEST_DATA)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_jupyter(tmp_path_factory):
    """Tests neither read nor change what a person's own Jupyter keeps: settings, workspaces, kernels, profiles. The folder."""
    folder = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name, kind in JUPYTER_FOLDERS.items():
            patch.setenv(name, str(folder / kind))
        for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
            patch.delenv(name, raising=False)
        yield folder


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
