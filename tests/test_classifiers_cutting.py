"""Networks cut in two: what is trained, and where no cut is possible."""

import numpy as np
import pytest

from safbage.classifiers import classifier, freeze_below, split_after, split_at
from safbage.runtime.backend import keras, ops


def test_the_upper_part_is_trained_in_place():
    model = classifier("alexnet-gap", 2, imagenet=False, dropout=0.4)
    model.trainable = False  # whatever was frozen before
    freeze_below(model, "conv5")
    below, above = split_at(model, "conv5")
    assert [v.path for v in above.trainable_variables] == [
        v.path for v in model.trainable_variables
    ]
    assert not below.trainable_variables
    upper = split_at(model, "softmax")[1]
    assert [layer.name for layer in upper.layers[1:]] == ["dropout_softmax", "softmax"]
    assert upper.get_layer("dropout_softmax").rate == 0.4
    with pytest.raises(
        ValueError, match="alexnet_gap_from_conv5 is part of another network; cut that one"
    ):
        split_at(above, "softmax")
    before = ops.convert_to_numpy(model.get_layer("softmax").kernel)
    above.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    above.fit(np.ones((4, 13, 13, 256), "float32"), np.array([0, 1, 1, 1]), verbose=0)
    assert not np.allclose(ops.convert_to_numpy(model.get_layer("softmax").kernel), before)


def test_a_cut_across_a_shortcut_is_refused_and_another_named():
    inputs = keras.Input((2,))
    x = keras.layers.Dense(2, name="first")(inputs)
    y = keras.layers.Dense(2, name="inside")(keras.layers.Dense(2, name="entry")(x))
    outputs = keras.layers.Dense(2, name="last")(keras.layers.Add(name="sum")([x, y]))
    model = keras.Model(inputs, outputs, name="net")
    for place in ("inside", "sum"):
        with pytest.raises(
            ValueError, match=f"before {place}: another path goes around it; cut at entry"
        ):
            split_at(model, place)
    assert [layer.name for layer in split_at(model, "last")[1].layers[1:]] == ["last"]
    assert [layer.name for layer in freeze_below(model, "inside").layers if not layer.trainable][
        -2:
    ] == ["first", "entry"]


@pytest.mark.parametrize("part", [freeze_below, split_at])
def test_an_unknown_layer_is_refused_with_those_there_are(part):
    model = classifier("alexnet-gap", 2, imagenet=False)
    with pytest.raises(
        ValueError, match="no layer 'fc6'; with weights: conv1, conv2, conv3, conv4, conv5, softmax"
    ):
        part(model, "fc6")


def test_a_cut_behind_a_layer():
    model = classifier("alexnet-gap", 2, imagenet=False)
    below, above = split_after(model, "conv5")
    assert below.layers[-1].name == "conv5" and [layer.name for layer in above.layers[1:2]] == [
        "gap"
    ]
    with pytest.raises(
        ValueError, match="softmax is alexnet_gap's last layer; there is nothing behind it"
    ):
        split_after(model, "softmax")
