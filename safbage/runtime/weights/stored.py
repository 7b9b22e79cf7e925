"""Weights that this project trained: they ship in ``safbage/trained``, with model cards."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from safbage.errors import WeightsError
from safbage.runtime.files import sha256, write_whole

TRAINED = Path(str(files("safbage"))) / "trained"


def read(name: str) -> dict[str, np.ndarray]:
    """Shipped weights by name, float32 (float16 in the file).

    Raises:
        KeyError: none are shipped under this name.
        WeightsError: the file is missing or damaged.
    """
    path = path_of(name)
    if not is_whole(path, shipped_hashes()[name]):
        raise WeightsError(
            f"{path} is missing or damaged. Install safbage again, or restore it with git."
        )
    return {
        key: value.astype("float32") for key, value in safetensors.numpy.load_file(path).items()
    }


def path_of(name: str) -> Path:
    """Where a shipped file lies."""
    return TRAINED / f"{name}.safetensors"


def is_whole(path: Path, expected: str) -> bool:
    """Whether a file is there and has this SHA-256."""
    return path.is_file() and sha256(path) == expected


def check_shipped() -> dict[str, bool]:
    """For each shipped file, whether it is there and unchanged."""
    return {name: is_whole(path_of(name), sha) for name, sha in shipped_hashes().items()}


def shipped_hashes() -> dict[str, str]:
    """Names and SHA-256 of the shipped weights."""
    lines = (TRAINED / "SHA256SUMS").read_text().splitlines()
    return {Path(file).stem: sha for sha, file in (line.split() for line in lines)}


def shipped_metadata(name: str) -> dict[str, str]:
    """What a shipped file says of itself: "description", "licence", and more."""
    with safetensors.safe_open(path_of(name), "numpy") as file:
        return file.metadata()


def shipped_facts(name: str) -> dict:
    """What was measured of a shipped network, from the JSON file beside its weights.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    path = TRAINED / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is missing or damaged. Install safbage again, or restore it with git."
        ) from error


def save(tensors: dict[str, np.ndarray], path: Path, metadata: dict[str, str]) -> Path:
    """Write a safetensors file, whole or not at all.

    Raises:
        WorkError: it cannot be written.
    """

    def write(aside):
        safetensors.numpy.save_file(tensors, aside, metadata=metadata)
        aside.chmod(0o644)  # safetensors keeps others from reading it

    write_whole(path, write)
    return path


def ship(tensors: dict[str, np.ndarray], name: str, metadata: dict[str, str]) -> Path:
    """Store trained weights as float16 and note their hash; for the scripts in ``shipping``.

    `metadata` names the weights' "description" and "licence".
    """
    path = path_of(name)
    halves = {key: np.asarray(value, "float16") for key, value in tensors.items()}
    save(halves, path, metadata)
    lines = [f"{sha256(file)}  {file.name}\n" for file in sorted(TRAINED.glob("*.safetensors"))]
    (TRAINED / "SHA256SUMS").write_text("".join(lines))
    return path
