"""Shared fixtures. Real data sets are used where they lie beside the repository, and their tests skip elsewhere."""

import os
from pathlib import Path

import numpy as np
import pytest

from safbage import images, weights

REPOSITORY = Path(__file__).parents[1]
DATA = Path(os.environ.get("SAFBAGE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")


def data_folder(name):
    """A folder of real data, or a skip that names it."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"needs the data set {name} in {DATA} (set SAFBAGE_TEST_DATA)")
    return folder


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
