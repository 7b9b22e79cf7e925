"""Maps of faces and scenes by the shipped networks, and that they lie where people look."""

import numpy as np
import pytest
from conftest import data_folder

from safbage import SafBage, faces, fixations, images, saliency
from safbage.saliency.metrics import cc, mass_within

CROP = (slice(40, 264), slice(120, 344))


def test_maps_of_faces(model, astronaut):
    seen = model.explain(astronaut)
    assert seen.maps.shape == (1, 28, 28)
    assert seen.maps.min() >= 0 and seen.maps.max() == pytest.approx(1)


def test_no_faces_no_maps():
    assert saliency.predict_faces(np.zeros((0, 224, 224, 3), "uint8")).shape == (0, 28, 28)


@pytest.mark.parametrize("size", [(512, 512), (100, 333), (7, 5), (1, 1)])
def test_a_photos_map_has_the_photos_size(astronaut, size):
    photo = images.resize(astronaut, size)
    saliency_map = saliency.predict(photo)
    assert saliency_map.shape == size and saliency_map.dtype == np.float32
    assert saliency_map.min() >= 0 and saliency_map.max() <= 1


def test_a_face_sized_photo_is_seen_as_the_pipeline_sees_it(astronaut):
    face = astronaut[CROP]
    small = saliency.predict_faces(face[None])[0]
    assert (
        np.corrcoef(images.resize(small, (224, 224)).ravel(), saliency.predict(face).ravel())[0, 1]
        > 0.97
    )


def test_the_saliency_of_a_face_lies_on_eyes_nose_and_mouth(astronaut):
    (face,) = faces.detect_faces(astronaut)
    (saliency_map,) = saliency.predict_faces(faces.crop_face(astronaut, face)[None])
    assert landmark_share(face, saliency_map) > 2.5


def landmark_share(face, saliency_map):
    """Mass near a landmark, over what a uniform map has there."""
    near = faces.near_landmarks(face)
    return mass_within(saliency_map, near) / near.mean()


@pytest.mark.parametrize("step", [1800, pytest.param(600, marks=pytest.mark.slow)])
def test_the_saliency_of_many_faces_lies_on_eyes_nose_and_mouth(step):
    shares = []
    for path in sorted(data_folder("UTKFace").iterdir())[11::step]:
        image = images.read(path)
        found = faces.detect_faces(image, min_face_size=60)
        if found:
            (saliency_map,) = saliency.predict_faces(faces.crop_face(image, found[0])[None])
            shares.append(landmark_share(found[0], saliency_map))
    assert len(shares) > 10_000 / step and np.mean(shares) > 2.5


@pytest.mark.parametrize("count", [8, pytest.param(24, marks=pytest.mark.slow)])
def test_held_back_scenes_are_predicted(count):
    """A part of the fifth of OSIE that training never saw (the model card has all of it)."""
    seen = saliency.load().seen
    held_back = [scene for scene in fixations.osie(data_folder("osie")) if scene.name not in seen]
    assert len(held_back) == 120 and len(seen) == 1883
    values = [
        cc(saliency.predict(scene.pixels()), scene.fixation_map()) for scene in held_back[:count]
    ]
    assert np.mean(values) > 0.74


def test_the_light_networks_maps_are_ml_nets(astronaut):
    (face,) = faces.detect_faces(astronaut)
    crop = faces.crop_face(astronaut, face)[None]
    light = saliency.predict_faces(crop, saliency.load("light"))
    assert light.shape == (1, 28, 28) and cc(light[0], saliency.predict_faces(crop)[0]) > 0.9


def test_the_pipeline_takes_the_light_network(astronaut):
    seen = SafBage.load(tasks=("gender",), saliency="light").explain(astronaut)
    assert len(seen.faces) == 1 and seen.maps.max() == pytest.approx(1)


def test_a_small_scene_is_seen_as_a_large_one(astronaut):
    large = saliency.predict(astronaut)
    small = saliency.predict(images.resize(astronaut, (128, 128)))
    assert cc(images.resize(small, (512, 512)), large) > 0.8
