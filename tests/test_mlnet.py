import keras
import numpy as np
import pytest
from conftest import data_folder

from safbage import images, mlnet, saliency

CROP = (slice(40, 264), slice(120, 344))
"""224×224 pixels about the astronaut's face, for feature values computed once with PyTorch."""


def test_the_parameters_are_those_of_the_paper():
    head = 3 * 3 * 1280 * 64 + 64 + 64 + 1 + 6 * 8
    assert mlnet.mlnet().count_params() == 14_714_688 + head


def test_published_sizes():
    model = mlnet.mlnet()
    assert [model.get_layer(f"conv{b}_1").filters for b in range(1, 6)] == [64, 128, 256, 512, 512]
    assert [model.get_layer(f"pool{b}").strides for b in range(1, 5)] == [(2, 2), (2, 2), (2, 2), (1, 1)]
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
    assert [float(features[..., level].mean()) for level in levels] == pytest.approx([2.43679, 0.984737, 0.157887], rel=1e-4)


# --- the prior --------------------------------------------------------------------------------------------------------


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
        down, across = (keras.ops.convert_to_numpy(mlnet._stretch(n, t)) for n, t in zip((3, 4), size, strict=True))
        assert np.allclose(down @ values @ across.T, images.resize(values, size), atol=1e-5)


# --- the loss ---------------------------------------------------------------------------------------------------------


def test_the_loss_by_hand():
    truth = np.array([0.0, 0.5, 1.0, 0.6], "float32").reshape(1, 2, 2, 1)
    predicted = np.array([0.0, 1.0, 2.0, 0.4], "float32").reshape(1, 2, 2, 1)  # over its maximum: 0, 0.5, 1, 0.2
    assert float(mlnet.mlnet_loss(truth, predicted)[0]) == pytest.approx((0.4**2 / 0.5) / 4, rel=1e-4)


def test_the_loss_does_not_see_the_predictions_scale(generator):
    truth, predicted = generator.random((2, 3, 6, 8, 1)).astype("float32")
    assert np.allclose(mlnet.mlnet_loss(truth, predicted), mlnet.mlnet_loss(truth, 7 * predicted), rtol=1e-4)


# --- the shipped network ----------------------------------------------------------------------------------------------


def test_maps_of_faces(model, astronaut):
    seen = model.explain(astronaut)
    assert seen.maps.shape == (1, 28, 28)
    assert seen.maps.min() >= 0 and seen.maps.max() == pytest.approx(1)


def test_no_faces_no_maps():
    assert saliency.predict_faces(np.zeros((0, 224, 224, 3), "uint8")).shape == (0, 28, 28)


@pytest.mark.parametrize("size", [(512, 512), (100, 333), (7, 5), (1, 1)])
def test_a_photos_map_has_the_photos_size(astronaut, size):
    photo = images.resize(astronaut, size)
    map = saliency.predict(photo)
    assert map.shape == size and map.dtype == np.float32
    assert map.min() >= 0 and map.max() <= 1


def test_a_face_sized_photo_is_seen_as_the_pipeline_sees_it(astronaut):
    face = astronaut[CROP]
    small = saliency.predict_faces(face[None])[0]
    assert np.corrcoef(images.resize(small, (224, 224)).ravel(), saliency.predict(face).ravel())[0, 1] > 0.999


def test_the_saliency_of_a_face_lies_on_eyes_nose_and_mouth(astronaut):
    from safbage import faces

    (face,) = faces.detect_faces(astronaut)
    (map,) = saliency.predict_faces(faces.crop_face(astronaut, face)[None])
    assert landmark_share(face, map) > 2.5


def landmark_share(face, map):
    """Mass within 16 % of the face's width of a landmark, over what a uniform map has there."""
    from safbage.faces import square

    left, top, side = square(face.box)
    rows, columns = (np.indices(map.shape) + 0.5) / map.shape[0] * side
    near = np.zeros(map.shape, bool)
    for x, y in face.landmarks.values():
        near |= np.hypot(columns - (x - left), rows - (y - top)) < 0.16 * face.box[2]
    return map[near].sum() / map.sum() / near.mean()


def test_the_saliency_of_many_faces_lies_on_eyes_nose_and_mouth():
    from safbage import faces

    shares = []
    for path in sorted(data_folder("UTKFace").iterdir())[11::300]:
        image = images.read(path)
        found = faces.detect_faces(image, min_face_size=60)
        if found:
            (map,) = saliency.predict_faces(faces.crop_face(image, found[0])[None])
            shares.append(landmark_share(found[0], map))
    assert len(shares) > 30 and np.mean(shares) > 2.5


def test_held_back_scenes_are_predicted():
    """A part of the fifth of OSIE that training never saw (the model card has all of it)."""
    import pandas as pd
    from train_mlnet_head import fixation_map

    folder = data_folder("osie")
    fixations = pd.read_csv(folder / "fixations.csv", dtype={"image": str}).groupby("image")
    names = [name for name, _ in fixations]
    held_back = np.random.default_rng(0).permutation(len(names))[: len(names) // 5]
    values = []
    for i in held_back[:60]:
        truth = fixation_map(fixations.get_group(names[i])[["x", "y"]].to_numpy(), (600, 800), 24)
        predicted = saliency.predict(images.read(folder / "stimuli" / names[i]))
        values.append(np.corrcoef(predicted.ravel(), truth.ravel())[0, 1])
    assert np.mean(values) > 0.7
