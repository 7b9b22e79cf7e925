"""What the course's notebooks open in one call: faces, scenes that somebody looked at, portraits.

    prepared = course.faces("synthetic", "outputs", limit=40)
    scenes = course.scenes()

A real data set is taken where it is at hand. Else pictures are drawn, so that every notebook runs
without one.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from safbage import fixations, images
from safbage.datasets.catalogue import find, locate, look_up, open_prepared
from safbage.datasets.drawn.scenes import synthetic_scenes
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError
from safbage.fixations import Scene
from safbage.runtime.work import shared_folder

DRAWN_SCENES = 200
WITH_VIEWERS = ("osie", "eyecrowd", "mit1003", "scene")
"""Sets of scenes whose viewers' eye movements were recorded."""


def faces(
    dataset: str | Path,
    output_dir: str | Path,
    *,
    limit: int,
    seed: int = 0,
    task: str | None = None,
    data_dir: str | Path = "",
    pictures_per_person: int | None = None,
    progress: bool = True,
) -> Prepared:
    """Faces that are cropped and have their saliency map, ready to be shown to a network.

    They are kept in a folder within `output_dir`, or in a sweep's folder for all of its runs, which
    has a name of its own for all that these arguments say. A second call finds it done.

    Args:
        dataset: a name in `catalogue.SOURCES`, "synthetic" for drawn faces, or a folder that
            ``safbage prepare`` filled.
        output_dir: the notebook's folder.
        limit: how many faces, at most.
        seed: of the choice, or of the drawing.
        task: "age", "gender" or "expression": only faces with a label for it.
        data_dir: the folder that holds the data sets; that of ``SAFBAGE_DATA`` by default.
        pictures_per_person: of drawn faces.
        progress: show a bar.

    Raises:
        DatasetError: there is no such data set, or it has no labels for the task.
        FileNotFoundError: there is no folder `data_dir`.
    """
    drawn = str(dataset).lower() == "synthetic"
    reading = {} if pictures_per_person is None else {"pictures_per_subject": pictures_per_person}
    said = [Path(dataset).name, task, pictures_per_person if drawn else None, limit, seed]
    name = "-".join(str(part) for part in said if part is not None)
    return open_prepared(
        dataset,
        shared_folder(output_dir) / f"faces-{name}",
        task=task,
        limit=limit,
        seed=seed,
        data_dir=data_dir,
        reading=reading if drawn else {},
        progress=progress,
    )


class Scenes(NamedTuple):
    """Scenes with the fixations of their viewers.

    Attributes:
        name: of the data set, or "drawn".
        title: what they are, in a few words.
        viewers: what those who looked are to be called; of drawn scenes they are simulated.
        known: scenes to learn from.
        unseen: those held back: no network that is shipped or trained here has learnt from them.
    """

    name: str
    title: str
    viewers: str
    known: list[Scene]
    unseen: list[Scene]


def scenes(data_dir: str | Path = "", name: str = "osie", *, seed: int = 0) -> Scenes:
    """A set's pictures and their viewers; drawn scenes where OSIE is asked for and not at hand.

    Args:
        data_dir: the folder that holds the set's, such as ``osie/``; that of ``SAFBAGE_DATA`` by
            default.
        name: "osie", "eyecrowd", "mit1003" or "scene".
        seed: of the drawing.

    Raises:
        DatasetError: there is no such set of scenes, or another one than OSIE is not at hand.
        FileNotFoundError: there is no such folder.
        SceneError: its files are of another form.
    """
    if name not in WITH_VIEWERS:
        raise DatasetError(f"scenes are of {', '.join(WITH_VIEWERS)}; got {name!r}")
    folder = find(name, data_dir) if name == "osie" else locate(name, data_dir)
    if folder is None:
        drawn = synthetic_scenes(DRAWN_SCENES, seed=seed)
        known, unseen = fixations.hold_back(drawn)
        return Scenes("drawn", "drawn scenes", "simulated viewers", known, unseen)
    from safbage import saliency  # it loads Keras

    seen = saliency.load_default().seen
    found = fixations.read(folder)
    known = [scene for scene in found if scene.name in seen]
    unseen = [scene for scene in found if scene.name not in seen]
    return Scenes(name, f"photographs of {look_up(name).title}", "viewers", known, unseen)


PORTRAITS = {
    "obama.jpg": "Barack Obama, 51",
    "obama2.jpg": "Barack Obama, 48",
    "biden.jpg": "Joe Biden, 67",
}
"""Who is shown, and how old they were."""


def portraits(data_dir: str | Path = "") -> dict[str, np.ndarray]:
    """Official portraits by name and age, H×W×3 uint8, as ``safbage data fetch portraits`` gets
    them; empty where they were not fetched.

    Args:
        data_dir: the folder that holds ``portraits/``; that of ``SAFBAGE_DATA`` by default.

    Raises:
        ImageError: a file is damaged.
        FileNotFoundError: there is no such folder.
    """
    folder = find("portraits", data_dir)
    files = {} if folder is None else {folder / name: shown for name, shown in PORTRAITS.items()}
    return {shown: images.read(path) for path, shown in files.items() if path.is_file()}
