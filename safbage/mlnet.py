"""ML-Net, the multi-level saliency network (Cornia et al. 2016, "A Deep Multi-Level Network for Saliency Prediction").

A VGG-16 of stride 8 (pool4 keeps its resolution, there is no pool5); pool3, pool4 and conv5_3 side by side; a small
head that turns the 1280 channels into one map; and a learned prior that the map is multiplied by.
"""

import numpy as np

from safbage import weights
from safbage.backend import keras, layers, ops

STRIDE = 8
"""The map has an eighth of the image's height and width."""
PRIOR_SIZE = (6, 8)
"""The published prior: a tenth of the 60×80 map of a 480×640 scene (section 3)."""

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])


def imagenet_normalization(name="normalization"):
    """RGB 0–255 to torchvision's normalised range, as a layer; the trunks' weights expect it."""
    return layers.Normalization(mean=255 * IMAGENET_MEAN, variance=(255 * IMAGENET_STD) ** 2, name=name)


def _stretch(length, target):
    """Weights (target×length) that stretch `length` values bilinearly to `target`, edges held (half-pixel centres).

    ``ops.image.resize`` needs the size before the graph is built; here it may be any photo's.
    """
    position = (ops.cast(ops.arange(target), "float32") + 0.5) * length / ops.cast(target, "float32") - 0.5
    position = ops.clip(position, 0, length - 1)
    return ops.relu(1 - ops.abs(position[:, None] - ops.arange(length, dtype="float32")[None]))


@keras.saving.register_keras_serializable("safbage")
class LearnedPrior(layers.Layer):
    """Multiply a map (N×h×w×1) by ``1 + W``, W learned, coarse and stretched bilinearly over the map (section 2.3).

    W starts at zero, so an untrained prior changes nothing; the regularizer is L2 with the factor 1/(rows·columns).
    """

    def __init__(self, rows, columns, **options):
        super().__init__(**options)
        self.rows, self.columns = rows, columns

    def build(self, input_shape):
        self.prior = self.add_weight(
            name="prior",
            shape=(self.rows, self.columns),
            initializer="zeros",
            regularizer=keras.regularizers.L2(1 / (self.rows * self.columns)),
        )

    def call(self, maps):
        height, width = ops.shape(maps)[1:3]
        down, across = _stretch(self.rows, height), _stretch(self.columns, width)
        prior = ops.cast(ops.matmul(ops.matmul(down, 1 + self.prior), ops.transpose(across)), maps.dtype)
        return maps * prior[None, :, :, None]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"rows": self.rows, "columns": self.columns}


def _trunk(x):
    """VGG-16 with stride 8; pool3 (256), pool4 (512) and conv5_3 (512) concatenated (section 2.1)."""
    levels = []
    for block, (convs, filters) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1):
        for i in range(1, convs + 1):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{block}_{i}")(x)
        if block < 5:
            x = layers.MaxPooling2D(2, strides=2 if block < 4 else 1, padding="same", name=f"pool{block}")(x)
        if block >= 3:
            levels.append(x)
    return layers.Concatenate(name="levels")(levels)


def _head(levels, prior, dropout):
    x = layers.Dropout(dropout, name="dropout")(levels)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="int_conv")(x)
    x = layers.Conv2D(1, 1, activation="relu", name="pre_final_conv")(x)
    x = LearnedPrior(*prior, name="prior")(x)
    return layers.ReLU(name="saliency")(x)


def mlnet(*, prior: tuple[int, int] = PRIOR_SIZE, dropout: float = 0.5) -> keras.Model:
    """ML-Net as published, weights at random; `prior` is the learned prior's rows and columns.

    Input: RGB, 0–255, N×H×W×3, any H and W (sensibly multiples of 8). Output: N×H/8×W/8×1, ≥ 0, not normalised:
    divide each map by its maximum.
    """
    inputs = keras.Input((None, None, 3), name="image")
    outputs = _head(_trunk(imagenet_normalization()(inputs)), prior, dropout)
    return keras.Model(inputs, outputs, name="mlnet")


def mlnet_trunk() -> keras.Model:
    """The frozen part alone: RGB 0–255 (N×H×W×3) to the 1280 concatenated channels (N×H/8×W/8×1280)."""
    inputs = keras.Input((None, None, 3), name="image")
    model = keras.Model(inputs, _trunk(imagenet_normalization()(inputs)), name="mlnet_trunk")
    weights.assign(model, weights.load("vgg16-conv"))
    return model


def mlnet_head(*, prior: tuple[int, int] = PRIOR_SIZE, dropout: float = 0.5) -> keras.Model:
    """The trained part alone: 1280 channels (N×h×w×1280) to maps (N×h×w×1), weights at random."""
    inputs = keras.Input((None, None, 1280), name="levels")
    return keras.Model(inputs, _head(inputs, prior, dropout), name="mlnet_head")


def load() -> keras.Model:
    """ML-Net with torchvision's VGG-16 trunk and the shipped head.

    Raises:
        WeightsError: the weights are missing and cannot be fetched, or are damaged.
    """
    head = weights.load("mlnet-head")
    model = mlnet(prior=head["prior/prior"].shape)
    weights.assign(model, weights.load("vgg16-conv"))
    weights.assign(model, head)
    return model


def mlnet_loss(fixation_maps, predictions):
    """The published loss (equation 4): squared error, dearer where people look, blind to the prediction's scale.

    ``mean((p / max p - y)² / (1.1 - y))`` over maps N×h×w×1, y in [0, 1].
    """
    peak = ops.max(predictions, axis=(1, 2, 3), keepdims=True)
    difference = predictions / (peak + keras.config.epsilon()) - fixation_maps
    return ops.mean(ops.square(difference) / (1.1 - fixation_maps), axis=(1, 2, 3))
