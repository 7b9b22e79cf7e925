"""Give the trained layers their inputs from disk: reweighted faces, or frozen layers' answers.

Frozen layers answer the same in every epoch, so they run once per variant of a face. float16 keeps
the answers well enough (weights after an epoch differ by less than 1e-3) at half the size.
"""

import json
import os
from pathlib import Path

import cv2
import numpy as np
from tqdm.auto import tqdm

from safbage.datasets.shards import Prepared
from safbage.errors import WorkError
from safbage.reweighting import VERSION, reweight
from safbage.runtime import weights
from safbage.runtime.arrays import check_space, fill_array
from safbage.runtime.backend import keras
from safbage.runtime.files import fingerprint
from safbage.runtime.work import resuming
from safbage.tasks import BOX, FACE_SIZE
from safbage.training.recipes import Variant

FORMAT = 3
"""Version of the features' files; raise it when the same faces and layers give other features."""
TOGETHER = 32
"""Images that the frozen layers are given at once: VGG-16 takes 1.6 GB for them."""


def turn(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turn an image or map (H×W or H×W×C) counter-clockwise about its middle.

    Its border is repeated; size and type stay.
    """
    height, width = image.shape[:2]
    transform = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    return cv2.warpAffine(
        image, transform, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def make_variant(
    face: np.ndarray,
    saliency_map: np.ndarray,
    variant: Variant,
    ratio: float,
    mode: str = "blend",
) -> np.ndarray:
    """A face and its map mirrored and turned alike, then reweighted.

    Args:
        face: H×W×3 uint8.
        saliency_map: h×w in [0, 1].
        variant: how both are mirrored and turned.
        ratio: of the reweighting, 0–1.
        mode: of the reweighting, one of `reweighting.MODES`.

    Returns:
        H×W×3 uint8.
    """
    if variant.mirrored:
        face, saliency_map = (np.ascontiguousarray(x[:, ::-1]) for x in (face, saliency_map))
    if variant.turned:
        face, saliency_map = (turn(x, variant.turned) for x in (face, saliency_map))
        saliency_map = np.clip(saliency_map, 0, 1)  # interpolating may exceed 1 by a bit
    return reweight(face, saliency_map, ratio, mode=mode)


class Images:
    """The faces themselves, decoded, varied and reweighted when they are asked for."""

    def __init__(
        self,
        prepared: Prepared,
        variants: tuple[Variant, ...],
        ratio: float,
        mode: str = "blend",
    ):
        self.prepared, self.variants, self.ratio, self.mode = prepared, variants, ratio, mode

    def __call__(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """N×224×224×3 float32, 0–255: of each row of the table the variant of that number."""
        faces, place = np.unique(rows, return_inverse=True)
        crops, maps = self.prepared.faces(faces)
        pairs = zip(place, numbers, strict=True)
        return np.stack(
            [
                make_variant(crops[i], maps[i], self.variants[k], self.ratio, self.mode)
                for i, k in pairs
            ]
        ).astype("float32")


class Features:
    """An array on disk, faces × variants × a feature's shape, and the rows of its faces."""

    def __init__(self, array: np.ndarray, rows: np.ndarray, count: int):
        self.array, self.place = array, np.full(count, len(rows))  # other rows: beyond the end
        self.place[rows] = np.arange(len(rows))

    def __call__(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """N×… float32: of each row of `prepared.table` the variant of that number."""
        return self.array[self.place[rows], numbers].astype("float32")


def cached(
    images: Images,
    rows: np.ndarray,
    below: keras.Model | None,
    name: str,
    folder: Path,
    progress: bool,
) -> Features:
    """What `below` answers to every variant of some rows (float16), computed once, kept on disk.

    The folder's name is a hash of all that the features depend on: faces, maps, formula, ratio,
    variants, frozen layers, precision. Tasks and folds that agree in these share it. A killed run
    goes on where it was; of two processes that want the same features, one computes and the other
    waits.

    Args:
        images: the faces, their variants and ratio.
        rows: of `prepared.table`, by position.
        below: the frozen layers; None where there are none: then the images themselves are kept, as
            uint8.
        name: of the network and layer, for people.
        folder: where all caches lie.
        progress: show a bar.

    Raises:
        WorkError: nothing may be written there, no space on the disk, or an answer is beyond
            float16.
    """
    settings, count = _settings(images, rows, below, name), len(images.variants)
    key = fingerprint(json.dumps(settings, sort_keys=True), digits=16)
    folder = Path(folder) / key
    _make_writable(folder)
    shape, dtype = (FACE_SIZE, FACE_SIZE, 3), "uint8"
    if below is not None:
        shape, dtype = below.output_shape[1:], "float16"
    shape = (len(rows), count, *shape)

    def compute(part):
        these = rows[part]
        faces = images(np.repeat(these, count), np.tile(np.arange(count), len(these)))
        answers = faces if below is None else _answered(below, faces)
        return answers.reshape(-1, *shape[1:])

    with resuming(folder, settings):
        path = folder / "features.npy"
        check_space(path, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        together = max(1, TOGETHER // count)
        array = fill_array(path, shape, dtype, compute, together, "frozen features", progress)
    return Features(array, rows, len(images.prepared))


def _settings(images, rows, below, name):
    """All that features depend on, as JSON takes it."""
    kept = "images"
    if below is not None:
        kept = {
            "layers": name,
            "weights": weights.digest(weights.tensors_of(below.layers)),
            "precision": keras.config.dtype_policy().name,
            "options": layer_options(below),
        }
    return {
        "format": FORMAT,
        "formula": VERSION,
        "faces": _identity(images.prepared, rows),
        "kept": kept,
        "variants": images.variants,
        "ratio": images.ratio,
        "mode": images.mode,
    }


def _answered(below, faces):
    """What the frozen layers answer; WorkError where float16 cannot hold it."""
    answers = np.asarray(below.predict_on_batch(faces), "float32")
    largest = np.abs(answers).max()
    if not largest < np.finfo("float16").max:
        raise WorkError(
            f"the frozen layers answer {largest}, beyond float16; train without the cache"
        )
    return answers


def _make_writable(folder):
    """Make the folder; where nothing may be written, say how features are kept elsewhere."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder} may not be written")
    except OSError as error:
        raise WorkError(
            f"no features can be kept there ({error}); "
            "name another folder: cache=FOLDER, --cache FOLDER"
        ) from error


def layer_options(below):
    """A hash of what layers do apart from their weights, such as strides and constants.

    Names and initial values do not count.
    """
    passing = ("name", "trainable", "seed", "kernel_initializer", "bias_initializer")

    def options(layer):
        return {name: value for name, value in layer.get_config().items() if name not in passing}

    layers = [(type(layer).__name__, options(layer)) for layer in below.layers]
    return fingerprint(json.dumps(layers, sort_keys=True, default=str), digits=16)


def _identity(prepared, rows):
    """The faces and maps of some rows as a few words, which differ where these do."""
    boxes = prepared.table.iloc[rows][["image", "row", *BOX]]
    content = fingerprint(prepared.digest, boxes.to_csv(), digits=16)
    return f"{len(rows)} faces ({content})"


def answers(
    model: keras.Model, inputs, rows: np.ndarray, *, batch: int = 128, progress: bool = False
) -> np.ndarray:
    """Probabilities (N×classes float32) that a model answers to rows' faces as they are."""
    parts = tqdm(
        [rows[i : i + batch] for i in range(0, len(rows), batch)],
        desc="answers",
        leave=False,
        disable=not progress,
    )
    return np.concatenate(
        [
            np.asarray(model.predict_on_batch(inputs(p, np.zeros(len(p), int))), "float32")
            for p in parts
        ]
    )
