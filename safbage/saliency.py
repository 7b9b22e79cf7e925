"""Saliency maps: where people would look, predicted by ML-Net with the shipped head."""

import functools

import numpy as np

from safbage import images, mlnet
from safbage.backend import keras

SCENE_SIZE = (240, 320)
"""Height and width that the shipped head was trained at; larger photos are reduced to fit."""
MAP_SIZE = (28, 28)
"""Size of a face's map, an eighth of the face's 224×224; the size maps are stored at."""
BATCH = 16
"""Faces that go through ML-Net together; its first layers take some 26 MB for each."""


@functools.cache
def model() -> keras.Model:
    """The shipped ML-Net, loaded once."""
    return mlnet.load()


def predict(
    image: np.ndarray, model: keras.Model | None = None, *, size: tuple[int, int] = SCENE_SIZE, pad: bool = False
) -> np.ndarray:
    """Saliency of a photo of any size.

    The photo is reduced, its aspect kept, to fit into `size` (never enlarged); the map is brought to the photo's size.

    Args:
        image: RGB photo, H×W×3 uint8, or anything `images.as_rgb` takes.
        model: an ML-Net; the shipped one by default.
        size: height and width the network was trained at.
        pad: bring every photo to just `size`, enlarging it if need be, with zeros around it, as the authors do.

    Returns:
        H×W float32 in [0, 1], maximum 1; all zero where the network sees nothing salient, as in photos less than some 30
        pixels wide or high.

    Raises:
        ImageError: the array is no photo.
        WeightsError: the weights are missing and cannot be fetched.
    """
    image = images.as_rgb(image)
    shape = image.shape[:2]
    if pad:
        return normalize(images.unpad(_raw(model, images.pad_to(image, size)[None])[0], shape))
    scale = min(1, size[0] / shape[0], size[1] / shape[1])
    small = images.resize(image, tuple(max(mlnet.STRIDE, round(side * scale)) for side in shape))
    return normalize(images.resize(_raw(model, small[None])[0], shape))


def predict_faces(crops: np.ndarray, model: keras.Model | None = None) -> np.ndarray:
    """Saliency of cropped faces, as the pipeline uses and stores it.

    Args:
        crops: N×224×224×3 uint8 RGB.
        model: an ML-Net; the shipped one by default.

    Returns:
        N×28×28 float32 in [0, 1], each with maximum 1.
    """
    maps = [normalize(_raw(model, crops[i : i + BATCH])) for i in range(0, len(crops), BATCH)]
    return np.concatenate(maps) if maps else np.zeros((0, *MAP_SIZE), "float32")


def _raw(network, batch):
    network = network or model()
    return np.asarray(network.predict_on_batch(batch.astype("float32")), "float32")[:, :, :, 0]


def normalize(maps: np.ndarray) -> np.ndarray:
    """Divide a map (h×w), or each of a batch (N×h×w), by its maximum; a map that is all zero stays so."""
    peak = maps.max(axis=(-2, -1), keepdims=True)
    return maps / np.where(peak > 0, peak, 1)
