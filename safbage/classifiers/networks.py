"""One builder per network, weights at random: faces (N×224×224×3, RGB 0–255) to probabilities (N×classes, float32).

Every network brings its own preprocessing as layers. None is nested: ``model.layers`` are the papers' layers, by their names.
"""

from safbage import trunks
from safbage.classifiers import efficientnet
from safbage.classifiers.caffe import GroupedConv2D, LocalResponseNormalization, RgbToBgr
from safbage.runtime.backend import keras, layers
from safbage.trunks import alexnet_conv5, caffe_normalization, imagenet_normalization

SIZE = 224
"""Height and width of the faces in pixels."""


GAUSSIAN = {"class_name": "RandomNormal", "config": {"stddev": 0.01}}
"""GilNet's initial weights; as a description, since one initializer object would give equal shapes equal values."""


def _face():
    return keras.Input((SIZE, SIZE, 3), name="face")


def _conv(x, filters, size, name, **options):
    return layers.Conv2D(filters, size, activation="relu", name=name, **options)(x)


def _probabilities(x, classes, name, **options):
    """Softmax in float32, also under mixed precision: losses and tables need its small values."""
    return layers.Dense(classes, activation="softmax", dtype="float32", name=name, **options)(x)


def _fully_connected(x, classes, dropout, units=4096, initializer="glorot_uniform"):
    """fc6 to fc8, with dropout behind fc6 and fc7."""
    for name in ("fc6", "fc7"):
        x = layers.Dense(units, activation="relu", kernel_initializer=initializer, name=name)(x)
        x = layers.Dropout(dropout, name=f"dropout_{name}")(x)
    return _probabilities(x, classes, "fc8", kernel_initializer=initializer)


def conv1_to_conv4(x):
    """AlexNet's (owt) normalisation and first four convolutions."""
    return trunks.alexnet_levels(imagenet_normalization()(x))["conv4"]


def gap(x, classes, suffix="", *, dropout=0.0):
    """Global average pooling and softmax, which stand in for fc6–fc8 (the paper's section IV-D, after Zhou et al. 2016)."""
    x = layers.GlobalAveragePooling2D(name=f"gap{suffix}")(x)
    x = layers.Dropout(dropout, name=f"dropout_softmax{suffix}")(x)
    return _probabilities(x, classes, f"softmax{suffix}")


def alexnet(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """AlexNet in torchvision's shape (Krizhevsky 2014, "owt"): no groups, no response normalisation.

    57,036,616 parameters with 8 classes, 61,100,840 with 1000. As in torchvision, dropout stands before fc6 and fc7.
    """
    inputs = _face()
    x = alexnet_conv5(conv1_to_conv4(inputs))
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc6", "fc7"):
        x = layers.Dropout(dropout, name=f"dropout_{name}")(x)
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return keras.Model(inputs, _probabilities(x, classes, "fc8"), name="alexnet")


def alexnet_gap(classes: int, *, dropout: float = 0.0) -> keras.Model:
    """AlexNet-GAP, for class activation maps: the same convolutions, then pooling and softmax."""
    inputs = _face()
    return keras.Model(inputs, gap(alexnet_conv5(conv1_to_conv4(inputs)), classes, dropout=dropout), name="alexnet_gap")


def alexnet_caffe(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """AlexNet as Caffe has it (Krizhevsky et al. 2012; BVLC): conv2, conv4, conv5 in two groups, normalised before pooling.

    Faces are enlarged to 227×227. 60,965,224 parameters with 1000 classes.
    """
    inputs = _face()
    x = layers.Resizing(227, 227, dtype="float32", name="resize")(inputs)
    x = RgbToBgr(dtype="float32", name="bgr")(caffe_normalization(mean=trunks.BVLC_MEAN)(x))
    x = _conv(x, 96, 11, "conv1", strides=4)
    x = layers.MaxPooling2D(3, 2, name="pool1")(LocalResponseNormalization(name="norm1")(x))
    x = GroupedConv2D(256, 5, padding="same", groups=2, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(LocalResponseNormalization(name="norm2")(x))
    x = _conv(x, 384, 3, "conv3", padding="same")
    x = GroupedConv2D(384, 3, padding="same", groups=2, activation="relu", name="conv4")(x)
    x = GroupedConv2D(256, 3, padding="same", groups=2, activation="relu", name="conv5")(x)
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(3, 2, name="pool5")(x))
    return keras.Model(inputs, _fully_connected(x, classes, dropout), name="alexnet_caffe")


def gilnet(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """The network of Levi and Hassner (2015), made for Adience and trained from scratch; faces are enlarged to 227×227.

    Gaussian weights of standard deviation 0.01, as in the paper. Where Caffe rounds the size of a pooled map up,
    Keras's "same" does so too, and pads behind.
    """
    inputs = _face()
    x = layers.Resizing(227, 227, dtype="float32", name="resize")(inputs)
    x = caffe_normalization()(x)
    levels = ((96, 7, dict(strides=4)), (256, 5, dict(padding="same")), (384, 3, dict(padding="same")))
    for i, (filters, size, options) in enumerate(levels, 1):
        x = _conv(x, filters, size, f"conv{i}", kernel_initializer=GAUSSIAN, **options)
        x = layers.MaxPooling2D(3, 2, padding="same", name=f"pool{i}")(x)
        x = LocalResponseNormalization(name=f"norm{i}")(x) if i < 3 else x
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, _fully_connected(x, classes, dropout, 512, GAUSSIAN), name="gilnet")


def vgg16(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """VGG-16 (Simonyan and Zisserman 2014), normalised as torchvision's. 138,357,544 parameters with 1000 classes."""
    inputs = _face()
    x = imagenet_normalization()(inputs)
    for block in range(1, 6):
        x = layers.MaxPooling2D(2, name=f"pool{block}")(trunks.vgg16_block(x, block))
    return keras.Model(inputs, _fully_connected(layers.Flatten(name="flatten")(x), classes, dropout), name="vgg16")


def _of_applications(build, preprocessed, inputs, classes, dropout, name):
    """A network of keras.applications on `preprocessed` faces; its own pooling, then dropout and softmax."""
    backbone = build(include_top=False, weights=None, input_tensor=preprocessed, pooling="avg")
    x = layers.Dropout(dropout, name="dropout_softmax")(backbone.outputs[0])
    return keras.Model(inputs, _probabilities(x, classes, "softmax"), name=name)


def resnet50(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """ResNet-50 (He et al. 2016), of the paper's future work. 25,636,712 parameters with 1000 classes."""
    inputs = _face()
    x = RgbToBgr(dtype="float32", name="bgr")(caffe_normalization()(inputs))
    return _of_applications(keras.applications.ResNet50, x, inputs, classes, dropout, "resnet50")


def densenet121(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """DenseNet-121 (Huang et al. 2017), of the paper's future work. 8,062,504 parameters with 1000 classes."""
    inputs = _face()
    x = imagenet_normalization()(inputs)
    return _of_applications(keras.applications.DenseNet121, x, inputs, classes, dropout, "densenet121")


def efficientnet_lite2(classes: int, *, dropout: float = 0.2) -> keras.Model:
    """EfficientNet-Lite2 (Tan and Le 2019), whose ImageNet weights pip can fetch. 6,150,168 parameters with 1000 classes."""
    inputs = _face()
    return keras.Model(inputs, gap(efficientnet.features(inputs), classes, dropout=dropout), name="efficientnet_lite2")
