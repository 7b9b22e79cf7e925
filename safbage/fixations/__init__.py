"""Where people looked: scenes with recorded fixations, and the maps made of them.

A reader for each data set gives a list of `Scene`. Any other set is a folder of images and a table
of fixations (`read_table`).
"""

from pathlib import Path

import numpy as np

from safbage.errors import SceneError
from safbage.fixations.matlab import mit1003, nus_scene, salicon
from safbage.fixations.scenes import DEGREE, Scene, cells, fixation_map, inside, within
from safbage.fixations.tables import COLUMNS, eyecrowd, osie, read_table

__all__ = [
    "COLUMNS",
    "DEGREE",
    "Scene",
    "cells",
    "eyecrowd",
    "fixation_map",
    "hold_back",
    "inside",
    "mit1003",
    "nus_scene",
    "osie",
    "read",
    "read_table",
    "salicon",
    "within",
]


def read(
    folder: str | Path,
    *,
    sigma: float = 1.0,
    pixels_per_degree: float | None = None,
    split: str = "val",
) -> list[Scene]:
    """The scenes of a folder, whose layout is told by what lies in it.

    `stimuli/` and `fixations.csv`: OSIE, EyeCrowd, or any set brought into this form.
    `images/` and `maps/`: SALICON, whose maps are ready-made.
    `stimuli/` and `eye/fixations.mat`: MIT1003. `stimuli/` and `tidy/fixations.mat`: Scene.

    Args:
        folder: of the set.
        sigma: the fixation map's Gaussian, in degrees of visual angle; SALICON's are ready-made.
        pixels_per_degree: by default the set's own.
        split: of SALICON, "train" or "val".

    Raises:
        FileNotFoundError: there is no such folder, or files are missing in it.
        SceneError: it is laid out otherwise, or a file is of another form.
    """
    folder, degrees = Path(folder), dict(sigma=sigma, pixels_per_degree=pixels_per_degree)
    if (folder / "fixations.csv").is_file():
        return read_table(folder / "stimuli", folder / "fixations.csv", **degrees)
    if (folder / "maps").is_dir():
        return salicon(folder, split=split)
    if (folder / "eye").is_dir():
        return mit1003(folder, **degrees)
    if (folder / "tidy").is_dir():
        return nus_scene(folder, **degrees)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    raise SceneError(
        f"{folder} holds neither stimuli/ with fixations.csv (columns {', '.join(COLUMNS)}) "
        "nor images/ with maps/ (SALICON), nor stimuli/ with eye/fixations.mat (MIT1003) "
        "or tidy/fixations.mat (Scene)"
    )


def hold_back(
    scenes: list[Scene], share: float = 0.2, *, seed: int = 0
) -> tuple[list[Scene], list[Scene]]:
    """(the rest, those held back): a share of the scenes, drawn at random.

    The same seed holds back the same scenes, in whatever order they come. Another collection, even
    by one scene, gives another draw; the file of a network tells which scenes it has seen.
    """
    scenes = sorted(scenes, key=lambda scene: scene.name)
    order = np.random.default_rng(seed).permutation(len(scenes))
    apart = int(len(scenes) * share)
    return [scenes[i] for i in order[apart:]], [scenes[i] for i in order[:apart]]
