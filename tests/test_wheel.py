"""The package as others install it: built as a wheel, and used outside the repository."""

import email
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel's file."""
    folder = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        REPOSITORY,
    ]
    subprocess.run([*command, "--wheel-dir", folder], check=True)
    (path,) = folder.glob("safbage-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment in which the wheel comes before the repository, and a folder far from it: (environment, folder).

    What it depends on is that of the tests' own environment, which was installed by the same metadata.
    """
    packages, folder = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("elsewhere")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return os.environ | {"PYTHONPATH": str(packages)}, folder


def run(installed, *words):
    environment, folder = installed
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def safbage(installed, *words):
    return run(installed, "-P", "-m", "safbage.cli", *words)


def test_the_metadata_say_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
        licences = [name for name in archive.namelist() if ".dist-info/licenses/" in name]
    assert metadata["License-Expression"] == "MIT AND LicenseRef-Research" and metadata["Author"]
    assert {name.rsplit("/")[-1] for name in licences} == {"LICENSE", "LICENSE-WEIGHTS.md"}
    kinds = metadata.get_all("Classifier")
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= set(kinds)
    assert sum(kind.startswith("Operating System") for kind in kinds) == 3
    text = metadata.get_payload()
    assert "non-commercial" in text and "](" not in text  # no picture or link that leads nowhere


def test_the_installed_package_is_the_one_that_is_used(installed):
    folder = run(installed, "-P", "-c", "import safbage; print(safbage.__path__[0])").strip()
    assert folder.startswith(installed[0]["PYTHONPATH"])


def test_the_projects_own_results_come_along(installed):
    names = run(
        installed, "-P", "-c", "from safbage import experiments; print(*experiments.load_saved())"
    ).split()
    assert names == ["age", "expression", "gender", "networks", "ratios"]


def test_the_demo_answers_and_runs_its_notebook_and_its_page_folds_solutions(installed):
    said = safbage(installed, "demo", "--output", installed[1] / "demo")
    made = [Path(name) for name in said.split()]
    names = ["figure.png", "faces.csv", "00_start_here.ipynb", "00_start_here.html"]
    assert made == [installed[1] / "demo" / name for name in names]
    assert all(path.stat().st_size > 100 for path in made)
    assert [path.name for path in installed[1].iterdir()] == ["demo"]  # nothing lies beside it
    page = made[-1].read_text(encoding="utf-8")
    in_view = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    told = [re.sub("<[^>]*>", "", text) for text in (page, in_view)]
    assert "# Solution" in told[0] and "# Solution" not in told[1]


def test_a_photo_is_answered(installed):
    code = "from safbage import images; images.write('mine.png', images.astronaut())"
    run(installed, "-P", "-c", code)
    (row,) = json.loads(safbage(installed, "predict", "mine.png", "--json"))
    assert (
        row["photo"] == "mine.png"
        and row["status"] == "ok"
        and row["age"]
        and row["gender"]
        and row["expression"]
    )


def test_the_course_is_the_repositorys(installed):
    """That its notebooks run where the wheel is installed, the demo shows with the first of them."""
    safbage(installed, "course", "--output", "course")
    copied, own = (
        {path.name: path.read_bytes() for path in folder.glob("*.ipynb")}
        for folder in (installed[1] / "course", REPOSITORY / "notebooks")
    )
    assert copied == own
