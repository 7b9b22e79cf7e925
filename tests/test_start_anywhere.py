"""What starts the course elsewhere: the Dockerfile, Binder's and Codespaces' files, Colab's cell."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = REPOSITORY / "binder" / "constraints.txt"
DEVCONTAINER = json.loads((REPOSITORY / ".devcontainer" / "devcontainer.json").read_text())


def instructions(text):
    """A Dockerfile's instructions in order: each one's name and words."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [tuple(line.split(" ", 1)) for line in joined]


DOCKERFILE = instructions((REPOSITORY / "Dockerfile").read_text(encoding="utf-8"))


def words(name):
    return [text for own, text in DOCKERFILE if own == name]


def test_the_image_stands_on_a_pinned_python_that_safbage_takes():
    (base,) = words("FROM")
    version = re.fullmatch(r"python:(\d+\.\d+\.\d+)-slim-\w+", base)[1]
    assert version in SpecifierSet(PROJECT["requires-python"])
    runtime = (REPOSITORY / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert version.startswith(f"{runtime}.")
    assert f"-{runtime}-" in DEVCONTAINER["image"]


def test_nothing_is_installed_or_run_as_root():
    names = [name for name, _ in DOCKERFILE]
    assert words("USER") == ["1000:1000"] and "ADD" not in names
    after = DOCKERFILE[names.index("USER") :]
    assert all("pip install" not in text for _, text in DOCKERFILE[: names.index("USER")])
    assert any("pip install" in text for _, text in after)
    assert not re.search(r"\bsudo\b|curl|wget|chmod 777", " ".join(words("RUN")))
    for name in ("CMD", "HEALTHCHECK"):
        assert json.loads(re.search(r"\[.*\]", words(name)[-1])[0])[0] in ("jupyter", "python")
    assert "root" not in words("CMD")[0]


def test_every_installation_is_constrained():
    commands = [*words("RUN"), DEVCONTAINER["postCreateCommand"]]
    installs = re.findall(r"pip install [^&]+", " && ".join(commands))
    assert len(installs) == 2
    for install in installs:
        assert "--constraint binder/constraints.txt" in install
        extras = re.search(r"\[([\w,]+)\]", install)[1].split(",")
        assert set(extras) <= set(PROJECT["optional-dependencies"])
    lines = (REPOSITORY / "binder" / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if line and line[0] != "#"] == [
        "--constraint constraints.txt",
        ".[page]",
    ]


def test_the_constraints_pin_what_safbage_needs():
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and line[0] != "#")
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    extras = PROJECT["optional-dependencies"]
    for text in (*PROJECT["dependencies"], *extras["page"], *extras["hub"]):
        needed = Requirement(text)
        name = canonicalize_name(needed.name)
        if name != "pip":  # of the environment that installs
            assert needed.specifier.contains(pinned[name]), text


def test_faces_of_people_and_outputs_stay_out_of_the_image():
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    left_out = (REPOSITORY / ".gitignore").read_text(encoding="utf-8")
    for folder in re.findall(r"^/?([\w]+)/\*?$", left_out, re.MULTILINE):
        if not folder.startswith("__"):
            assert folder in lines, folder


def test_binder_fetches_the_weights_in_a_script_that_can_run():
    script = REPOSITORY / "binder" / "postBuild"
    assert os.access(script, os.X_OK) and "safbage weights --fetch" in script.read_text()
    assert subprocess.run(["sh", "-n", script]).returncode == 0


def colab():
    page = (REPOSITORY / "docs" / "start.md").read_text(encoding="utf-8")
    return re.search(r"<!-- colab -->\n```text\n(.*?)```", page, re.DOTALL)[1].splitlines()


def test_colabs_cell_installs_fetches_and_enters_the_course():
    install, fetch, course, enter = colab()
    assert install.startswith("%pip install") and "git+https://" in install
    assert (fetch, enter) == ("!safbage weights --fetch", "%cd course")
    assert shlex.split(course)[-1] == enter.split()[-1]


def clean_copy(folder):
    """What git has of the repository, in a folder."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True
    )
    for name in names.stdout.decode().rstrip("\0").split("\0"):
        if (REPOSITORY / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(
    "SAFBAGE_TEST_DOCKERFILE" not in os.environ,
    reason="installs all anew, 3 GB in some minutes; set SAFBAGE_TEST_DOCKERFILE=1",
)
def test_the_dockerfiles_commands_lead_to_a_course_that_runs(tmp_path):
    """In order and in a clean folder, as the user that runs the tests instead of the image's own."""
    home, source = tmp_path / "opt", clean_copy(tmp_path / "opt" / "source")

    def there(text):
        inside = text.replace("/opt/safbage", str(home)).replace(" /course", f" {tmp_path}/course")
        return inside.replace("python -m venv", f"{sys.executable} -m venv")

    path = f"{home}/venv/bin:{os.environ['PATH']}"
    own = {"PATH": path, "SAFBAGE_HOME": os.environ.get("SAFBAGE_HOME", str(home / "weights"))}
    as_user = [text for text in words("RUN") if "useradd" not in text]
    for text in as_user:
        subprocess.run(["sh", "-euc", there(text)], cwd=source, env=os.environ | own, check=True)
    (command,) = words("CMD")
    course = tmp_path / "course"
    assert (course / json.loads(command)[-1]).is_file()
    version = subprocess.run([f"{home}/venv/bin/jupyter", "lab", "--version"], capture_output=True)
    assert version.returncode == 0
    done = subprocess.run(
        [f"{home}/venv/bin/safbage", "demo", "--output", "demo"], cwd=course, env=os.environ | own
    )
    assert done.returncode == 0 and list((course / "demo").iterdir())
