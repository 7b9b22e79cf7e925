"""What the trained layers are given: the faces' reweighted variants, or what the frozen layers answer to them, from disk.

Frozen layers answer the same in every epoch, so they run once per variant of a face; float16 keeps the answers well enough
(weights after an epoch differ by less than 1e-3) at half the size.
"""

import hashlib
import json
import os
from pathlib import Path

import cv2
import numpy as np
from tqdm.auto import tqdm

from safbage.datasets.shards import Prepared
from safbage.errors import WorkError
from safbage.reweighting import reweight
from safbage.runtime import weights
from safbage.runtime.arrays import check_space, fill_array
from safbage.runtime.backend import keras, ops
from safbage.runtime.work import resuming
from safbage.training.recipes import Variant

FORMAT = 2
"""Of the features' files; to be raised where the same faces and layers come to give other ones."""
TOGETHER = 32
"""Images that the frozen layers are given at once: VGG-16 takes 1.6 GB for them."""


def turn(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turn an image or map (H×W or H×W×C) about its middle, counter-clockwise, its border repeated; size and type stay."""
    height, width = image.shape[:2]
    transform = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    return cv2.warpAffine(image, transform, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def make_variant(face: np.ndarray, map: np.ndarray, variant: Variant, ratio: float) -> np.ndarray:
    """A face (H×W×3 uint8) and its map (h×w in [0, 1]) mirrored and turned alike, then reweighted: H×W×3 uint8."""
    if variant.mirrored:
        face, map = np.ascontiguousarray(face[:, ::-1]), np.ascontiguousarray(map[:, ::-1])
    if variant.turned:
        face, map = turn(face, variant.turned), np.clip(turn(map, variant.turned), 0, 1)  # interpolating may exceed 1 by a bit
    return reweight(face, map, ratio)


class Images:
    """The faces themselves, decoded, varied and reweighted when they are asked for."""

    def __init__(self, prepared: Prepared, variants: tuple[Variant, ...], ratio: float):
        self.prepared, self.variants, self.ratio = prepared, variants, ratio

    def __call__(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """N×224×224×3 float32, 0–255: of each row of `prepared.table` the variant of that number."""
        faces, place = np.unique(rows, return_inverse=True)
        crops, maps = self.prepared.faces(faces)
        pairs = zip(place, numbers, strict=True)
        return np.stack([make_variant(crops[i], maps[i], self.variants[k], self.ratio) for i, k in pairs]).astype("float32")


class Features:
    """An array on disk, faces × variants × a feature's shape, and which rows of the table its faces are."""

    def __init__(self, array: np.ndarray, rows: np.ndarray, count: int):
        self.array, self.place = array, np.full(count, len(rows))  # other rows: beyond the end
        self.place[rows] = np.arange(len(rows))

    def __call__(self, rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """N×… float32: of each row of `prepared.table` the variant of that number."""
        return self.array[self.place[rows], numbers].astype("float32")


def cached(images: Images, rows: np.ndarray, below: keras.Model | None, name: str, folder: Path, progress: bool) -> Features:
    """What `below` answers to every variant of some rows, computed once and kept in a folder of `folder`; float16.

    The folder's name is a hash of all that the features depend on: faces, maps, frozen layers, ratio, variants, precision.
    Tasks and folds that agree in these share it. A killed run goes on where it was; of two processes that want the same
    features, one computes and the other waits.

    Args:
        images: the faces, their variants and ratio.
        rows: of `prepared.table`, by position.
        below: the frozen layers; None where there are none: then the images themselves are kept, as uint8.
        name: of the network and layer, for people.
        folder: where all caches lie.
        progress: show a bar.

    Raises:
        WorkError: nothing may be written there, no space on the disk, or an answer is beyond float16.
    """
    kept, shape, dtype = "images", (224, 224, 3), "uint8"
    if below is not None:
        tensors = {f"{layer.name}/{v.name}": ops.convert_to_numpy(v) for layer in below.layers for v in layer.weights}
        kept = {"layers": name, "weights": weights.digest(tensors), "precision": keras.config.dtype_policy().name}
        kept["options"] = layer_options(below)
        shape, dtype = below.output_shape[1:], "float16"
    settings = {
        "format": FORMAT,
        "faces": _identity(images.prepared, rows),
        "kept": kept,
        "variants": images.variants,
        "ratio": images.ratio,
    }
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    folder = Path(folder) / key
    count = len(images.variants)
    shape = (len(rows), count, *shape)
    numbers = np.arange(count)

    def compute(part):
        these = rows[part]
        faces = images(np.repeat(these, count), np.tile(numbers, len(these)))
        answers = faces if below is None else np.asarray(below.predict_on_batch(faces), "float32")
        if below is not None and not np.abs(answers).max() < np.finfo("float16").max:
            raise WorkError(f"the frozen layers answer {np.abs(answers).max()}, beyond float16; train without the cache")
        return answers.reshape(-1, *shape[1:])

    _make_writable(folder)
    with resuming(folder, settings):
        path = folder / "features.npy"
        check_space(path, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        array = fill_array(path, shape, dtype, compute, max(1, TOGETHER // count), "frozen features", progress)
    return Features(array, rows, len(images.prepared))


def _make_writable(folder):
    """Prepared faces may lie where nothing may be written; say then how the features can be kept elsewhere."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{folder} may not be written")
    except OSError as error:
        raise WorkError(f"no features can be kept there ({error}); name another folder: cache=FOLDER, --cache FOLDER") from error


def layer_options(below):
    """A hash of what layers do beside their weights: strides, normalisation's constants, sizes. Names and beginnings aside."""
    passing = ("name", "trainable", "seed", "kernel_initializer", "bias_initializer")
    layers = [
        (type(layer).__name__, {name: value for name, value in layer.get_config().items() if name not in passing})
        for layer in below.layers
    ]
    return hashlib.sha256(json.dumps(layers, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _identity(prepared, rows):
    """A few words for the faces and maps of some rows, other ones for any others."""
    boxes = prepared.table.iloc[rows][["image", "row", "box_left", "box_top", "box_width", "box_height"]]
    total = hashlib.sha256(prepared.digest.encode() + boxes.to_csv().encode())
    return f"{len(rows)} faces ({total.hexdigest()[:16]})"


def answers(model: keras.Model, inputs, rows: np.ndarray, *, batch: int = 128, progress: bool = False) -> np.ndarray:
    """Probabilities (N×classes float32) that a model answers to rows' faces as they are."""
    parts = tqdm([rows[i : i + batch] for i in range(0, len(rows), batch)], desc="answers", leave=False, disable=not progress)
    return np.concatenate([np.asarray(model.predict_on_batch(inputs(p, np.zeros(len(p), int))), "float32") for p in parts])
