"""ML-Net, the multi-level saliency network (Cornia et al. 2016, "A Deep Multi-Level Network for
Saliency Prediction").

A VGG-16 of stride 8 (pool4 keeps its resolution, there is no pool5); pool3, pool4 and conv5_3 side
by side; a small head that turns the 1280 channels into one map; and a learned prior that the map is
multiplied by. With ``backbone="alexnet"`` the same head sits on AlexNet's levels, an eighteenth of
the work.
"""

from safbage import trunks
from safbage.runtime import weights
from safbage.runtime.backend import keras, layers, ops

STRIDE = 8
"""The map has an eighth of the image's height and width."""
PRIOR_SIZE = (6, 8)
"""The published prior: a tenth of the 60×80 map of a 480×640 scene (section 3)."""
LEVELS = {3: 256, 4: 512, 5: 512}
"""Channels that VGG-16's blocks hand to the head."""
ALEXNET_GRIDS = {"conv2": (8, 7.5), "conv3": (16, 15.5), "conv4": (16, 15.5), "conv5": (16, 15.5)}
"""Of AlexNet's levels, the pixels from cell to cell and to the middle of the first cell."""


def _interpolation(position, length):
    """Weights (targets×length) that read `length` values bilinearly at `position`, the outermost
    values held beyond."""
    position = ops.clip(position, 0, ops.cast(length - 1, "float32"))
    return ops.relu(1 - ops.abs(position[:, None] - ops.cast(ops.arange(length), "float32")[None]))


def stretch(length, target, centre=0.5):
    """Weights (target×length) that stretch `length` values bilinearly to `target`; `centre` 0.5 is
    the usual half pixel.

    ``ops.image.resize`` needs the size before the graph is built; here it may be any photo's.
    """
    middles = ops.cast(ops.arange(target), "float32") + 0.5
    position = middles * length / ops.cast(target, "float32") - centre
    return _interpolation(position, length)


@keras.saving.register_keras_serializable("safbage")
class LearnedPrior(layers.Layer):
    """Multiply a map (N×h×w×1) by ``1 + W``, W learned, coarse and stretched bilinearly over the
    map (section 2.3).

    W starts at zero, so an untrained prior changes nothing; the regularizer is L2 with the factor
    1/(rows·columns).
    """

    def __init__(self, rows, columns, centre=0.5, **options):
        super().__init__(**options)
        self.rows, self.columns, self.centre = rows, columns, centre

    def build(self, input_shape):
        self.prior = self.add_weight(
            name="prior",
            shape=(self.rows, self.columns),
            initializer="zeros",
            regularizer=keras.regularizers.L2(1 / (self.rows * self.columns)),
        )

    def call(self, maps):
        height, width = ops.shape(maps)[1:3]
        down = stretch(self.rows, height, self.centre)
        across = stretch(self.columns, width, self.centre)
        prior = ops.matmul(ops.matmul(down, 1 + self.prior), ops.transpose(across))
        return maps * ops.cast(prior, maps.dtype)[None, :, :, None]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {"rows": self.rows, "columns": self.columns, "centre": self.centre}
        return super().get_config() | own


@keras.saving.register_keras_serializable("safbage")
class AtCells(layers.Layer):
    """Read a level (N×h×w×C) bilinearly at the middles of the map's cells, every 8 pixels of the
    image (N×H×W×3).

    `step` and `first` say where the level's own cells lie: pixels from one to the next, and to the
    first one's middle.
    """

    def __init__(self, step, first, **options):
        super().__init__(**options)
        self.step, self.first = step, first

    def call(self, level, image):
        down, across = (
            ops.cast(self._weights(ops.shape(image)[axis], ops.shape(level)[axis]), level.dtype)
            for axis in (1, 2)
        )
        return ops.einsum("sj,nrjc->nrsc", across, ops.einsum("ri,nijc->nrjc", down, level))

    def _weights(self, pixels, length):
        middles = STRIDE * (ops.cast(ops.arange(pixels // STRIDE), "float32") + 0.5)
        return _interpolation((middles - self.first) / self.step, length)

    def compute_output_shape(self, level_shape, image_shape):
        cells = (side and side // STRIDE for side in image_shape[1:3])
        return (level_shape[0], *cells, level_shape[-1])

    def get_config(self):
        return super().get_config() | {"step": self.step, "first": self.first}


def _pool(x, block, theano):
    """2×2 max-pooling; pool4 of stride 1. Keras 1 on Theano padded in front: its windows begin a
    pixel earlier."""
    if theano:  # zeros do as padding: after ReLU, nothing is below
        x = layers.ZeroPadding2D(((1, 0), (1, 0)), name=f"pad_pool{block}")(x)
    strides, padding = 2 if block < 4 else 1, "valid" if theano else "same"
    return layers.MaxPooling2D(2, strides, padding=padding, name=f"pool{block}")(x)


def _vgg16_levels(x, *, frozen=0, until=5, levels=(), theano=False):
    """Go on behind block `frozen`, whose output is `x`, to block `until`; all levels concatenated
    (section 2.1)."""
    levels = list(levels)
    for block in range(frozen + 1, until + 1):
        x = trunks.vgg16_block(x, block)
        x = _pool(x, block, theano) if block < 5 else x
        if block in LEVELS:
            levels.append(x)
    return layers.Concatenate(name="levels")(levels) if len(levels) > 1 else levels[0]


def _alexnet_levels(image):
    levels = trunks.alexnet_levels(trunks.imagenet_normalization()(image))
    levels["conv5"] = trunks.alexnet_conv5(levels["conv4"])
    grids = ALEXNET_GRIDS.items()
    read = [AtCells(*grid, name=f"{n}_at_cells")(levels[n], image) for n, grid in grids]
    return layers.Concatenate(name="levels")(read)


def _head(levels, prior, dropout, centre=0.5):
    like = dict(padding="same", activation="relu", kernel_initializer="glorot_normal")
    x = layers.Dropout(dropout, name="dropout")(levels)
    x = layers.Conv2D(64, 3, **like, name="int_conv")(x)
    x = layers.Conv2D(1, 1, **like, dtype="float32", name="pre_final_conv")(x)
    x = LearnedPrior(*prior, centre, dtype="float32", name="prior")(x)
    return layers.ReLU(dtype="float32", name="saliency")(x)


def mlnet(
    *,
    backbone: str = "vgg16",
    prior: tuple[int, int] = PRIOR_SIZE,
    dropout: float = 0.5,
    theano: bool = False,
) -> keras.Model:
    """ML-Net, weights at random; `prior` is the learned prior's rows and columns.

    Input: RGB, 0–255, N×H×W×3, any H and W (sensibly multiples of 8). Output: N×H/8×W/8×1, ≥ 0, not
    normalised: divide each map by its maximum.

    Args:
        backbone: "vgg16" as published, or "alexnet", the light one.
        prior: rows and columns of the learned prior.
        dropout: before the head (section 2.2).
        theano: be to the letter what the authors' weights were trained as, by Keras 1 on Theano:
            Caffe's mean, poolings that pad in front, and a prior laid 0.05 of its cells further up
            and left.

    Raises:
        ValueError: another backbone.
    """
    if backbone not in ("vgg16", "alexnet"):
        raise ValueError(f'backbone is "vgg16" or "alexnet"; got {backbone!r}')
    image = keras.Input((None, None, 3), name="image")
    if backbone == "alexnet":
        levels = _alexnet_levels(image)
    else:
        normalization = trunks.caffe_normalization if theano else trunks.imagenet_normalization
        levels = _vgg16_levels(normalization()(image), theano=theano)
    outputs = _head(levels, prior, dropout, centre=0.45 if theano else 0.5)
    return keras.Model(image, outputs, name="mlnet" if backbone == "vgg16" else "mlnet_light")


def mlnet_trunk(blocks: int = 5) -> keras.Model:
    """VGG-16's first blocks with torchvision's weights: RGB 0–255 (N×H×W×3) to their levels.

    Args:
        blocks: 3, 4 or 5, which give N×H/8×W/8×256, 768 or 1280.
    """
    image = keras.Input((None, None, 3), name="image")
    levels = _vgg16_levels(trunks.imagenet_normalization()(image), until=blocks)
    return _with_imagenet(keras.Model(image, levels, name="mlnet_trunk"))


def mlnet_top(
    blocks: int = 5, *, prior: tuple[int, int] = PRIOR_SIZE, dropout: float = 0.5
) -> keras.Model:
    """What comes after `mlnet_trunk(blocks)`: its output to maps (N×h×w×1).

    VGG-16's other blocks have torchvision's weights, the head random ones. With all 5 blocks in the
    trunk it is the head alone.
    """
    channels = [LEVELS[block] for block in range(3, blocks + 1)]
    inputs = keras.Input((None, None, sum(channels)), name="levels_below")
    x = inputs
    if blocks < 5:
        below = [inputs[..., :256], inputs[..., 256:]][: len(channels)]
        x = _vgg16_levels(below[-1], frozen=blocks, levels=below)
    return _with_imagenet(keras.Model(inputs, _head(x, prior, dropout), name="mlnet_top"))


def _with_imagenet(model):
    """A part of ML-Net, torchvision's weights put into those convolutions of VGG-16 that it has."""
    names = {layer.name for layer in model.layers}
    imagenet = weights.load("vgg16-conv")
    known = {name: value for name, value in imagenet.items() if name.split("/")[0] in names}
    weights.assign(model, known)
    return model


def mlnet_loss(fixation_maps, predictions):
    """The published loss (equation 4): squared error, weighted more where people look, blind to the
    prediction's scale.

    ``mean((p / max p - y)² / (1.1 - y))`` over maps N×h×w×1, y in [0, 1].
    """
    peak = ops.max(predictions, axis=(1, 2, 3), keepdims=True)
    difference = predictions / (peak + keras.config.epsilon()) - fixation_maps
    return ops.mean(ops.square(difference) / (1.1 - fixation_maps), axis=(1, 2, 3))
