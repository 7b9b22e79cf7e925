"""The schematics, held to the networks that they draw."""

from importlib.resources import files

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from safbage import saliency
from safbage.classifiers.alexnet import alexnet as whole_alexnet
from safbage.classifiers.alexnet_gap import alexnet_gap
from safbage.runtime.backend import keras
from safbage.show import plots
from safbage.show.plots import schematics


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("name", plots.SCHEMATICS)
def test_every_layer_is_named_with_its_shape_and_no_word_leaves_the_picture(name):
    figure = plots.schematic(name)
    said = words(figure)
    drawn = {
        "mtcnn": [layer for part in schematics.CASCADE.values() for layer in part],
        "mlnet": [*schematics.VGG16, *schematics.SALIENCY_HEAD],
        "alexnet-gap": [*schematics.ALEXNET, schematics.GAP, *schematics.FULLY_CONNECTED],
    }
    for layer in drawn[name]:
        assert layer.name in said and layer.size in said
    whole = figure.bbox
    for text in figure.axes[0].texts:
        box = text.get_window_extent(figure.canvas.get_renderer())
        assert box.x0 >= 0 and box.x1 <= whole.width and box.y0 >= 0, text.get_text()


@pytest.mark.parametrize("name", plots.SCHEMATICS)
def test_no_words_lie_upon_others(name):
    figure = plots.schematic(name)
    renderer = figure.canvas.get_renderer()
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in figure.axes[0].texts]
    for place, (text, box) in enumerate(boxes):
        for other, second in boxes[place + 1 :]:
            assert not (text and other and box.overlaps(second)), (text, other)


def test_alexnet_is_drawn_as_it_is_built():
    gap, alexnet = alexnet_gap(8), whole_alexnet(8)
    for layer in (*schematics.ALEXNET, schematics.GAP):
        assert gap.get_layer(layer.name).output.shape[1:] == layer.shape
    for layer in (*schematics.ALEXNET, *schematics.FULLY_CONNECTED):
        assert alexnet.get_layer(layer.name).output.shape[1:] == layer.shape
    convolutions = gap.count_params() - gap.get_layer("softmax").count_params()
    said = " ".join(words(plots.schematic("alexnet-gap")))
    assert f"{gap.count_params() - convolutions:,}\nweights" in said
    assert f"{alexnet.count_params() - convolutions:,} weights" in said


def test_mlnet_is_drawn_as_it_is_built():
    model = saliency.mlnet.mlnet()
    blocks = {f"conv{block}": f"conv{block}_{2 if block < 3 else 3}" for block in range(1, 6)}
    drawn = (*schematics.VGG16, *schematics.SALIENCY_HEAD)
    layers = [model.get_layer(blocks.get(layer.name, layer.name)) for layer in drawn]
    outputs = keras.Model(model.input, [layer.output for layer in layers])(
        np.zeros((1, 224, 224, 3), "float32")
    )
    for layer, output in zip(drawn, outputs, strict=True):
        assert output.shape[1:] == layer.shape, layer.name
    assert model.get_layer("prior").prior.shape == saliency.mlnet.PRIOR_SIZE == (6, 8)


def test_mtcnn_is_drawn_as_it_is_built():
    from mtcnn.stages import StageONet, StagePNet, StageRNet

    folder = files("mtcnn.assets.weights")
    for (name, drawn), stage in zip(
        schematics.CASCADE.items(), (StagePNet, StageRNet, StageONet), strict=True
    ):
        network = stage(weights=str(folder / f"{name[0].lower()}net.lz4")).model
        cell = schematics.CELLS[name]
        values, found = np.zeros((1, cell, cell, 3), "float32"), []
        for layer in network.layers:
            if "-" in layer.name:  # from here on it answers
                break
            values = layer(values)
            if layer.name.startswith(("conv", "maxpool", "fc")):
                found.append(tuple(values.shape[1:]))
        assert found == [layer.shape for layer in drawn]


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="mtcnn, mlnet, alexnet-gap; got 'vgg'"):
        plots.schematic("vgg")
