"""Saliency maps: where people would look, predicted by ML-Net."""

import functools

import numpy as np

from safbage import images
from safbage.runtime.backend import batch_size, check_process, keras, ops, predict_batches
from safbage.saliency import mlnet

SCENE_SIZE = (240, 320)
"""Height and width that the shipped ML-Net was trained at."""
SMALLEST = 64
"""A side of a very long, thin photo is enlarged to so many pixels; AlexNet's poolings need them."""
MAP_SIZE = (28, 28)
"""Size of a face's map, an eighth of the face's 224×224; the size maps are stored at."""


def load_default() -> keras.Model:
    """The shipped ML-Net, loaded once for each dtype policy that it is asked for under."""
    return _shipped(keras.config.dtype_policy().name)


@functools.cache
def _shipped(policy):
    return mlnet.load()


def predict(
    image: np.ndarray,
    model: keras.Model | None = None,
    *,
    size: tuple[int, int] | None = None,
    pad: bool | None = None,
) -> np.ndarray:
    """Saliency of a photo of any size.

    The photo is brought, its aspect kept, to the size at which the network was trained, and the map to the photo's size.

    Args:
        image: RGB photo, H×W×3 uint8, or anything `images.as_rgb` takes.
        model: an ML-Net; the shipped one by default.
        size: height and width to fit the photo into; those the network was trained at by default.
        pad: put zeros around it to just that size; by default for the authors' network, as they do.

    Returns:
        H×W float32 in [0, 1], maximum 1; all zero where the network sees nothing salient.

    Raises:
        ImageError: the array is no photo.
        WeightsError: the weights are missing and cannot be fetched.
    """
    image = images.as_rgb(image)
    shape, network = image.shape[:2], model or load_default()
    size = size or getattr(network, "scene_size", SCENE_SIZE)
    if getattr(network, "padded", False) if pad is None else pad:
        return normalize(images.unpad(_raw(network, images.pad_to(image, size)[None])[0], shape, size))
    scale = min(size[0] / shape[0], size[1] / shape[1])
    fitted = images.resize(image, tuple(max(SMALLEST, round(side * scale)) for side in shape))
    return normalize(images.resize(_raw(network, fitted[None])[0], shape))


def predict_faces(crops: np.ndarray, model: keras.Model | None = None) -> np.ndarray:
    """Saliency of cropped faces, as the pipeline uses and stores it.

    Args:
        crops: N×224×224×3 uint8 RGB.
        model: an ML-Net; the shipped one by default.

    Returns:
        N×28×28 float32 in [0, 1], each with maximum 1.
    """
    if not len(crops):
        return np.zeros((0, *MAP_SIZE), "float32")
    return normalize(predict_batches(model or load_default(), crops, batch_size())[:, :, :, 0])


def _raw(network, batch):
    check_process()
    network = network or load_default()
    return np.asarray(network.predict_on_batch(batch.astype("float32")), "float32")[:, :, :, 0]


def normalize(maps: np.ndarray) -> np.ndarray:
    """Divide a map (h×w), or each of a batch (N×h×w), by its maximum; a map that is all zero stays so."""
    peak = maps.max(axis=(-2, -1), keepdims=True)
    return maps / np.where(peak > 0, peak, 1)


def normalized(maps):
    """`normalize` of maps N×h×w inside a model: a tensor of Keras, or such a tensor to be."""
    peak = ops.max(maps, axis=(-2, -1), keepdims=True)
    return maps / ops.where(peak > 0, peak, 1)
