"""The maps that an ML-Net predicts of photos and of faces."""

import functools

import numpy as np

from safbage import images
from safbage.runtime.backend import batch_size, check_process, keras, predict_batches
from safbage.saliency.trained import SaliencyModel, load
from safbage.tasks import MAP_SIZE

SMALLEST = 64
"""A side of a very long, thin photo is enlarged to so many pixels; AlexNet's poolings need them."""


def load_default() -> SaliencyModel:
    """The shipped ML-Net, loaded once for each dtype policy that it is asked for under."""
    return _loaded(keras.config.dtype_policy().name)


@functools.cache
def _loaded(policy):
    return load()


def predict(
    image: np.ndarray,
    model: SaliencyModel | None = None,
    *,
    size: tuple[int, int] | None = None,
    pad: bool | None = None,
) -> np.ndarray:
    """Saliency of a photo of any size.

    The photo is brought, its aspect kept, to the size that the network wants, and the map to the
    photo's size.

    Args:
        image: RGB photo, H×W×3 uint8, or anything `images.as_rgb` takes.
        model: a trained ML-Net; the shipped one by default.
        size: height and width to fit the photo into; by default the model's `scene_size`.
        pad: put zeros around it to exactly that size; by default what the model's `padded` says.

    Returns:
        H×W float32 in [0, 1], maximum 1; all zero where the network sees nothing salient.

    Raises:
        ImageError: the array is not a photo.
        WeightsError: the weights are missing and cannot be fetched.
    """
    image, model = images.as_rgb(image), model or load_default()
    shape, size = image.shape[:2], size or model.scene_size
    if model.padded if pad is None else pad:
        seen = images.pad_to(image, size)
        return normalize(images.unpad(_map_of(seen, model), shape, size))
    scale = min(size[0] / shape[0], size[1] / shape[1])
    seen = images.resize(image, tuple(max(SMALLEST, round(side * scale)) for side in shape))
    return normalize(images.resize(_map_of(seen, model), shape))


def _map_of(image, model):
    """What the network gives for an image, as it is."""
    check_process()
    maps = model.network.predict_on_batch(image[None].astype("float32"))
    return np.asarray(maps, "float32")[0, :, :, 0]


def predict_faces(crops: np.ndarray, model: SaliencyModel | None = None) -> np.ndarray:
    """Saliency of cropped faces, as the pipeline uses and stores it.

    Args:
        crops: N×224×224×3 uint8 RGB.
        model: a trained ML-Net; the shipped one by default.

    Returns:
        N×28×28 float32 in [0, 1], each with maximum 1.
    """
    if not len(crops):
        return np.zeros((0, *MAP_SIZE), "float32")
    network = (model or load_default()).network
    return normalize(predict_batches(network, crops, batch_size())[:, :, :, 0])


def normalize(maps, array=np):
    """Divide each map by its maximum; a map that is all zero stays so.

    Args:
        maps: a map h×w, or several N×h×w: NumPy's array or Keras's tensor.
        array: the module that computes: `numpy`, or `keras.ops` for tensors.
    """
    peak = array.max(maps, axis=(-2, -1), keepdims=True)
    return maps / array.where(peak > 0, peak, 1)
