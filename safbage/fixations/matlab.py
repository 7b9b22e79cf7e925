"""Sets whose fixations are MATLAB files: SALICON, MIT1003, Scene."""

from pathlib import Path

import numpy as np

from safbage import images
from safbage.errors import SceneError
from safbage.fixations.scenes import DEGREE, Scene, check_degrees, within


def salicon(folder: str | Path, *, split: str = "val") -> list[Scene]:
    """SALICON (Jiang et al. 2015) as published: images/, maps/ and, if wanted, fixations/.

    Images lie in `images/<split>/` or, as in the 2017 release, all in `images/`; maps (PNG) in
    `maps/<split>/`, fixations (MATLAB) in `fixations/<split>/`. Without the fixations only the
    metrics on maps can be measured.

    Raises:
        FileNotFoundError: a folder, or the image of a map, is not there.
        SceneError: there are no maps, or a file of fixations is of another form.
    """
    folder = Path(folder)
    if not (folder / "maps" / split).is_dir():
        raise FileNotFoundError(
            f"no such folder: {folder / 'maps' / split}; SALICON has images/ and maps/{split}/"
        )
    map_files = sorted((folder / "maps" / split).glob("*.png"))
    if not map_files:
        raise SceneError(f"{folder / 'maps' / split} holds no PNG maps")
    return [_salicon_scene(folder, split, map_file) for map_file in map_files]


def _salicon_scene(folder, split, map_file):
    name = map_file.stem
    places = [folder / "images" / split / f"{name}.jpg", folder / "images" / f"{name}.jpg"]
    image = next((place for place in places if place.is_file()), None)
    if image is None:
        raise FileNotFoundError(
            f"the image of {map_file} is at neither of {places[0]} and {places[1]}"
        )
    size, points, subjects = images.size(image), np.zeros((0, 2)), np.zeros(0, int)
    gaze = folder / "fixations" / split / f"{name}.mat"
    if gaze.is_file():
        points, subjects = _read_gaze(gaze, size)
    return Scene(name, image, size, points, subjects, DEGREE * size[1], map_file)


def _read_gaze(path, size):
    """Fixations of a SALICON file: a struct per viewer, whose `fixations` are x and y from 1."""
    import scipy.io

    try:
        viewers = np.ravel(scipy.io.loadmat(path)["gaze"])
        points = [np.asarray(viewer["fixations"], float) for viewer in viewers]
        points = [p.reshape(-1, 2) - 1 if not p.size else p - 1 for p in points]
        if any(p.ndim != 2 or p.shape[1] != 2 for p in points):
            raise ValueError("fixations are not K×2")
    except Exception as error:  # SciPy raises whatever it stumbles over
        raise SceneError(f"{path} is not a SALICON file of fixations ({error})") from error
    subjects = np.repeat(np.arange(len(points)), [len(p) for p in points])
    points = np.concatenate(points) if points else np.zeros((0, 2))
    good = within(points, size)
    return points[good], subjects[good]


def mit1003(
    folder: str | Path, *, sigma: float = 1.0, pixels_per_degree: float | None = None
) -> list[Scene]:
    """MIT1003 (Judd et al. 2009) in its form with one file: stimuli/ and eye/fixations.mat.

    The file is a list of {img, subjects}, and each of the 15 subjects has fix_x, fix_y (pixels of
    the photo) and fix_duration (ms). Every fixation counts, the first ones, too.

    Args:
        folder: of the set.
        sigma: the fixation map's Gaussian, in degrees of visual angle.
        pixels_per_degree: 35 by default, as on the authors' screen.

    Raises:
        FileNotFoundError: the folder, the file, or photos that it names are not there.
        SceneError: the file is of another form.
        ValueError: sigma or pixels per degree are not above 0, or mad.
    """
    check_degrees(sigma, pixels_per_degree)
    folder = Path(folder)
    entries = _variable(folder / "eye" / "fixations.mat", "fixations", _mit_entries)
    _all_there(folder / "stimuli", [name for name, _ in entries])
    pixels = sigma * (pixels_per_degree or 35)
    found = [_seen_by(folder / "stimuli" / name, points, pixels) for name, points in entries]
    return _some(found, folder)


def _mit_entries(cells):
    """(file name, fixations of each viewer K×2) of each photo."""
    entries = []
    for cell in np.ravel(cells):
        photo = cell[0, 0]
        viewers = [np.ravel(viewer)[0] for viewer in np.ravel(photo["subjects"])]
        # A viewer of one fixation has it as uint8.
        axes = [[np.ravel(v[axis]).astype(float) for axis in ("fix_x", "fix_y")] for v in viewers]
        name = np.ravel(photo["img"])[0]
        entries.append((str(np.ravel(name)[0]), [np.stack(xy, axis=1) for xy in axes]))
    return entries


def nus_scene(
    folder: str | Path, *, sigma: float = 1.0, pixels_per_degree: float | None = None
) -> list[Scene]:
    """Scene, of NUS's VIP laboratory (2015): 500 pictures of SUN2012, stimuli/ and
    tidy/fixations.mat.

    The file has a row for each of 001.jpg to 500.jpg and a column for each of 12 viewers; a cell is
    K×4: y, x (pixels), onset and duration (seconds), or empty. EyeCrowd's pictures have the same
    names; so that no network takes the one for the other, these scenes' are "scene/001.jpg" ….

    Args:
        folder: of the set.
        sigma: the fixation map's Gaussian, in degrees of visual angle.
        pixels_per_degree: the set does not tell; by default `DEGREE` of the longer side.

    Raises:
        FileNotFoundError: the folder, the file, or pictures are not there.
        SceneError: the file is of another form.
        ValueError: sigma or pixels per degree are not above 0, or mad.
    """
    check_degrees(sigma, pixels_per_degree)
    folder = Path(folder)
    entries = _variable(folder / "tidy" / "fixations.mat", "fixations", _nus_entries)
    _all_there(folder / "stimuli", [name for name, _ in entries])
    found = []
    for name, points in entries:
        picture = folder / "stimuli" / name
        degree = pixels_per_degree or DEGREE * max(images.size(picture))
        found.append(_seen_by(picture, points, sigma * degree, f"scene/{name}"))
    return _some(found, folder)


def _nus_entries(cells):
    """(file name, fixations of each viewer K×2) of each picture."""
    entries = []
    for number, viewers in enumerate(cells, 1):
        tables = [np.asarray(v, float) if np.size(v) else np.zeros((0, 4)) for v in viewers]
        entries.append((f"{number:03d}.jpg", [table[:, [1, 0]] for table in tables]))
    return entries


def _variable(path, name, entries):
    """What `entries` makes of a MATLAB file's variable."""
    import scipy.io

    if not path.is_file():
        raise FileNotFoundError(f"no such file of fixations: {path}")
    try:
        return entries(scipy.io.loadmat(path)[name])
    except Exception as error:  # SciPy raises whatever it stumbles over
        raise SceneError(
            f"{path} is not a file of fixations as the set has it ({type(error).__name__}: {error})"
        ) from error


def _all_there(folder, names):
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} of {len(names)} pictures are not in {folder}, such as {missing[0]}"
        )


def _seen_by(picture, viewers, sigma, name=None):
    size = images.size(picture)
    points = np.concatenate([np.zeros((0, 2)), *viewers])
    subjects = np.repeat(np.arange(len(viewers)), [len(viewer) for viewer in viewers])
    good = within(points, size)
    return Scene(name or picture.name, picture, size, points[good], subjects[good], sigma)


def _some(scenes, folder):
    """The scenes that anybody looked at."""
    looked_at = [scene for scene in scenes if len(scene.fixations)]
    if not looked_at:
        raise SceneError(f"{folder} has no fixation within its pictures")
    return looked_at
