"""Layers of Caffe's networks that Keras lacks, or that are slow in it."""

import numpy as np

from safbage.runtime.backend import keras, layers, ops


@keras.saving.register_keras_serializable("safbage")
class LocalResponseNormalization(layers.Layer):
    """Divide each channel by what its neighbours answer at the same place (Krizhevsky et al. 2012,
    section 3.3).

    ``x / (1 + alpha/size · Σ x²) ** 0.75``, the sum over `size` channels about each, fewer at the
    borders. As in Caffe, `alpha` is divided by `size`, which the paper does not do, and the
    constant is 1, where the paper has 2.
    Computed in float32 also under mixed precision: a square soon leaves the range of float16.
    The sum is a product with a band matrix and the power two roots, which together take a seventh
    of the time.
    """

    def __init__(self, size=5, alpha=1e-4, **options):
        super().__init__(**options)
        self.size, self.alpha = size, alpha

    def call(self, x):
        values = ops.cast(x, "float32")
        channel = np.arange(x.shape[-1])
        near = np.abs(channel[:, None] - channel) <= self.size // 2
        divided = 1 + self.alpha / self.size * ops.matmul(values**2, near.astype("float32"))
        return ops.cast(values * ops.rsqrt(divided * ops.sqrt(divided)), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"size": self.size, "alpha": self.alpha}


@keras.saving.register_keras_serializable("safbage")
class GroupedConv2D(layers.Conv2D):
    """``Conv2D(groups=…)`` as one convolution per group; the same variables, H×W×in/groups×out.

    TensorFlow on a CPU hands grouped convolutions to XLA, whose gradient took 25 times as long as
    this one's.
    """

    def convolution_op(self, inputs, kernel):
        groups = zip(
            ops.split(inputs, self.groups, axis=-1),
            ops.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        return ops.concatenate(
            [super(GroupedConv2D, self).convolution_op(*group) for group in groups], axis=-1
        )


@keras.saving.register_keras_serializable("safbage")
class RgbToBgr(layers.Layer):
    """Reverse the channels: Caffe's weights, learnt from OpenCV's images, expect blue first."""

    def call(self, image):
        return ops.flip(image, axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape
