import keras
import numpy as np
import pytest

from safbage import reweighting
from safbage.reweighting import reweight


def test_a_map_of_4_by_4_by_hand():
    face = np.full((4, 4, 3), 200, "uint8")
    saliency_map = np.zeros((4, 4))
    saliency_map[0] = [0, 0.25, 0.5, 1]
    # 200 · (0.7 + 0.3 · S)
    assert reweight(face, saliency_map, 0.3)[0, :, 0].tolist() == [140, 155, 170, 200]
    assert reweight(face, saliency_map, 0.3)[1, :, 2].tolist() == [140] * 4


def test_ratio_0_changes_nothing_and_ratio_1_multiplies(generator):
    face = generator.integers(0, 256, (6, 6, 3), "uint8")
    saliency_map = generator.random((6, 6))
    assert np.array_equal(reweight(face, saliency_map, 0), face)
    product = np.round(face * saliency_map[:, :, None].astype("float32")).astype("uint8")
    assert np.array_equal(reweight(face, saliency_map, 1), product)


def test_clip_blackens_what_is_less_salient_than_the_ratio():
    face = np.full((1, 3, 3), 90, "uint8")
    assert reweight(face, np.array([[0.2, 0.5, 1]]), 0.5, mode="clip")[0, :, 0].tolist() == [
        0,
        90,
        90,
    ]


def test_a_batch_is_its_faces_one_by_one(generator):
    faces = generator.integers(0, 256, (3, 8, 8, 3), "uint8")
    maps = generator.random((3, 2, 2))
    batch = reweight(faces, maps, 0.6)
    assert all(np.array_equal(batch[i], reweight(faces[i], maps[i], 0.6)) for i in range(3))
    assert reweight(faces[:0], maps[:0]).shape == (0, 8, 8, 3)


def test_tensors_are_reweighted_as_arrays_are(generator):
    faces = generator.integers(0, 256, (5, 224, 224, 3), "uint8")
    maps = generator.random((5, 28, 28)).astype("float32")
    ratios = np.float32([[0], [0.1], [0.3], [0.7], [1]])
    tensors = reweighting.reweight_tensors(
        *map(keras.ops.convert_to_tensor, (faces.astype("float32"), maps, ratios))
    )
    for found, face, own_map, (ratio,) in zip(
        keras.ops.convert_to_numpy(tensors), faces, maps, ratios, strict=True
    ):
        exact = reweight(face, own_map, float(ratio), rounded=False)
        assert exact.dtype == np.float32 and np.abs(found - exact).max() < 1e-3
        assert np.array_equal(np.round(exact), reweight(face, own_map, float(ratio)))


@pytest.mark.parametrize("ratio", [-0.1, 1.1, 30, float("nan")])
def test_a_ratio_outside_0_to_1_is_refused(ratio):
    with pytest.raises(ValueError, match="ratio"):
        reweight(np.zeros((2, 2, 3), "uint8"), np.zeros((2, 2)), ratio)


def test_wrong_arguments_are_refused():
    face, saliency_map = np.zeros((2, 2, 3), "uint8"), np.zeros((2, 2))
    with pytest.raises(ValueError, match="mode"):
        reweight(face, saliency_map, mode="multiply")
    with pytest.raises(ValueError, match="0, 1"):
        reweight(face, saliency_map + 255)
    with pytest.raises(ValueError, match="0, 1"):
        reweight(face, saliency_map * np.nan)
    with pytest.raises(ValueError, match="maps"):
        reweight(face[None], np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="h×w"):
        reweight(face, np.zeros(3))
    with pytest.raises(ValueError, match="uint8"):
        reweight(face / 255, saliency_map)
