"""The architecture of both ML-Nets, the learned prior and the published loss, by hand."""

import keras
import numpy as np
import pytest

from safbage import images
from safbage.saliency import mlnet

CROP = (slice(40, 264), slice(120, 344))


def test_the_parameters_are_those_of_the_paper():
    head = 3 * 3 * 1280 * 64 + 64 + 64 + 1 + 6 * 8
    assert mlnet.mlnet().count_params() == 14_714_688 + head


def test_published_sizes():
    model = mlnet.mlnet()
    assert [model.get_layer(f"conv{b}_1").filters for b in range(1, 6)] == [64, 128, 256, 512, 512]
    assert [model.get_layer(f"pool{b}").strides for b in range(1, 5)] == [
        (2, 2),
        (2, 2),
        (2, 2),
        (1, 1),
    ]
    assert model.get_layer("levels").output.shape[-1] == 256 + 512 + 512
    assert model.get_layer("prior").prior.shape == (6, 8)
    assert not any(layer.name == "pool5" for layer in model.layers)


@pytest.fixture(scope="module")
def untrained():
    return mlnet.mlnet()


@pytest.mark.parametrize("size", [(16, 16), (24, 40), (32, 16), (48, 80)])
def test_any_size_in_one_model(size, untrained):
    maps = untrained.predict_on_batch(np.zeros((2, *size, 3), "float32"))
    assert maps.shape == (2, size[0] // 8, size[1] // 8, 1)


def test_the_trunks_features_are_torchvisions(astronaut):
    """Means of pool3, pool4 and conv5_3, from the same weights run by PyTorch."""
    features = mlnet.mlnet_trunk().predict_on_batch(astronaut[CROP][None].astype("float32"))
    assert features.shape == (1, 28, 28, 1280)
    levels = (slice(0, 256), slice(256, 768), slice(768, 1280))
    assert [float(features[..., level].mean()) for level in levels] == pytest.approx(
        [2.43679, 0.984737, 0.157887], rel=1e-4
    )


def test_an_untrained_prior_changes_nothing(generator):
    maps = generator.random((2, 7, 9, 1)).astype("float32")
    assert np.allclose(mlnet.LearnedPrior(2, 3)(maps), maps, atol=1e-6)


def test_the_prior_by_hand():
    prior = mlnet.LearnedPrior(1, 2)
    prior.build((None, 1, 4, 1))
    prior.prior.assign([[0.0, 2.0]])
    # 1 + W = [1, 3], stretched to four cells: 1, 1.5, 2.5, 3
    assert np.allclose(np.ravel(prior(np.ones((1, 1, 4, 1), "float32"))), [1, 1.5, 2.5, 3])


def test_stretching_is_bilinear_resizing(generator):
    values = generator.random((3, 4)).astype("float32")
    for size in ((30, 40), (28, 28), (5, 9)):
        down, across = (
            keras.ops.convert_to_numpy(mlnet.stretch(n, t))
            for n, t in zip((3, 4), size, strict=True)
        )
        assert np.allclose(down @ values @ across.T, images.resize(values, size), atol=1e-5)


def test_the_loss_by_hand():
    truth = np.array([0.0, 0.5, 1.0, 0.6], "float32").reshape(1, 2, 2, 1)
    predicted = np.array([0.0, 1.0, 2.0, 0.4], "float32").reshape(
        1, 2, 2, 1
    )  # over its maximum: 0, 0.5, 1, 0.2
    assert float(mlnet.mlnet_loss(truth, predicted)[0]) == pytest.approx(
        (0.4**2 / 0.5) / 4, rel=1e-4
    )


def test_the_loss_does_not_see_the_predictions_scale(generator):
    truth, predicted = generator.random((2, 3, 6, 8, 1)).astype("float32")
    assert np.allclose(
        mlnet.mlnet_loss(truth, predicted), mlnet.mlnet_loss(truth, 7 * predicted), rtol=1e-4
    )


def test_levels_are_read_at_the_middles_of_cells():
    """AlexNet's levels, as a ramp over the picture's pixels, read 4, 12, 20 … at the map's cells, held at the border."""
    image = np.zeros((1, 224, 224, 3), "float32")
    for name, cells in (("conv2", 27), ("conv5", 13)):
        step, first = mlnet.ALEXNET_GRIDS[name]
        ramp = np.broadcast_to(
            (first + step * np.arange(cells, dtype="float32"))[:, None], (cells, cells)
        )
        level = np.stack([ramp, ramp.T], axis=-1)[None]
        read = keras.ops.convert_to_numpy(mlnet.AtCells(step, first)(level, image))
        expected = np.clip(8 * np.arange(28) + 4, ramp.min(), ramp.max())
        assert np.allclose(read[0, :, 5, 0], expected, atol=1e-3) and np.allclose(
            read[0, 5, :, 1], expected, atol=1e-3
        )


def test_alexnets_cells_lie_where_the_grids_say():
    """With means for kernels, a bright bar over the middle of a level's fifth cell raises that level about its fifth cell."""
    model = mlnet.mlnet(backbone="alexnet", prior=(2, 2))
    for layer in model.layers:
        if layer.name.startswith("conv") and layer.weights:
            layer.kernel.assign(np.full(layer.kernel.shape, 1 / np.prod(layer.kernel.shape[:3])))
    for name, (step, first) in mlnet.ALEXNET_GRIDS.items():
        level = keras.Model(model.input, model.get_layer(name).output)
        for cell in (5, 6):
            bar = np.full((2, 224, 224, 3), 140.0, "float32")
            middle = round(first + cell * step)
            bar[1, :, middle - 8 : middle + 8] = 255
            even, barred = keras.ops.convert_to_numpy(level(bar))[:, 6, :, 0]
            raised = barred - even
            assert (np.arange(len(raised)) * raised).sum() / raised.sum() == pytest.approx(
                cell, abs=0.3
            )


@pytest.mark.parametrize("size", [(224, 224), (80, 128), (240, 320)])
def test_the_light_network_takes_any_size(size):
    maps = mlnet.mlnet(backbone="alexnet", prior=(2, 2)).predict_on_batch(
        np.zeros((2, *size, 3), "float32")
    )
    assert maps.shape == (2, size[0] // 8, size[1] // 8, 1)


def test_unknown_backbones_are_refused():
    with pytest.raises(ValueError, match="vgg16"):
        mlnet.mlnet(backbone="resnet")
