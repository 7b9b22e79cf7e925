import os
import subprocess
import sys

import numpy as np
import pytest

from safbage import SafBage, cam, classifiers, images
from safbage.runtime.backend import keras, layers
from safbage.tasks import CLASSES


def test_a_map_of_5_by_5_by_hand():
    features = np.zeros((5, 5, 2))
    features[1, 2, 0] = 3  # the first feature fires here,
    features[4, 4, 1] = 2  # the second there
    kernel = np.array([[1.0, -1.0], [0.5, 4.0]])
    maps = cam.class_activation_maps(features, kernel)
    assert maps.shape == (5, 5, 2)
    expected = np.zeros((5, 5))
    expected[1, 2], expected[4, 4] = 3, 1
    assert np.array_equal(maps[:, :, 0], expected)
    expected[1, 2], expected[4, 4] = -3, 8
    assert np.array_equal(maps[:, :, 1], expected)


def test_the_maps_mean_is_the_score_before_the_bias(generator):
    features, kernel = generator.random((3, 13, 13, 8)), generator.normal(size=(8, 4))
    scores = features.mean(axis=(1, 2)) @ kernel
    assert np.allclose(
        cam.class_activation_maps(features, kernel).mean(axis=(1, 2)), scores, atol=1e-5
    )


def test_contrasts_explain_the_differences_of_scores_by_hand():
    features = np.array(
        [[[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [0.0, 0.0]]]
    )  # 2×2 places, two features: means 1 and 0.5
    kernel, bias = np.array([[3.0, 0.0, 1.0], [0.0, 2.0, -4.0]]), np.array([0.5, 1.0, -1.0])
    maps = cam.contrast(cam.class_activation_maps(features, kernel))
    assert np.allclose(
        maps[:, :, 0], [[2.5, 2.0], [7.5, 0.0]]
    )  # 3 − (0 + 1) / 2, 0 − (4 − 8) / 2, 9 − (0 + 3) / 2, nothing
    assert np.allclose(maps.sum(axis=-1), 0)
    scores = np.array([3.5, 2.0, -2.0])  # 3 · 1 + 0.5, 2 · 0.5 + 1, 1 · 1 − 4 · 0.5 − 1
    means = maps.mean(axis=(0, 1)) + cam.contrast(bias)
    assert np.allclose(
        means, [3.5 - 0.0, 2.0 - 0.75, -2.0 - 2.75]
    )  # each score less the mean of the other two
    shares = 2 / 3 * means  # (a − (b + c) / 2) · 2 / 3 is a − (a + b + c) / 3
    assert np.allclose(shares[:, None] - shares, scores[:, None] - scores, atol=1e-6)


def test_what_is_added_to_all_classes_alike_speaks_for_none(generator):
    maps = generator.normal(size=(2, 5, 5, 3)).astype("float32")
    assert np.allclose(cam.contrast(maps + 7), cam.contrast(maps), atol=1e-5)
    two = cam.contrast(maps[..., :2])
    assert np.allclose(two[..., 0], maps[..., 0] - maps[..., 1], atol=1e-6)
    with pytest.raises(ValueError, match="two or more classes"):
        cam.contrast(maps[..., :1])


def test_features_and_kernel_must_fit():
    with pytest.raises(ValueError):
        cam.class_activation_maps(np.zeros((5, 5, 3)), np.zeros((4, 2)))


@pytest.mark.parametrize(
    "network, tasks", [("alexnet-gap", CLASSES), ("face-mobilenet", ("gender", "expression"))]
)
def test_cams_of_the_pipeline_explain_its_probabilities(network, tasks, astronaut):
    """Those of age in years have a test of their own."""
    model = SafBage.load(network=network, saliency="light", engine="keras")
    seen = model.explain(astronaut)
    for task in tasks:
        bias = np.asarray(model.answering.classifier.get_layer(f"softmax_{task}").bias)
        scores = seen.cams[task][0].mean(axis=(0, 1)) + bias
        softmax = np.exp(scores - scores.max())
        assert np.allclose(softmax / softmax.sum(), seen.probabilities[task][0], atol=1e-4)
        means = cam.contrast(seen.cams[task][0]).mean(axis=(0, 1)) + cam.contrast(bias)
        others = (scores.sum() - scores) / (len(scores) - 1)
        assert np.allclose(means, scores - others, atol=1e-4)


def tiny(*, pooled=True):
    """4×4 faces of one channel, features x and 2x, and two classes whose weights are set by hand."""
    inputs = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 1, activation="relu", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(x) if pooled else layers.Flatten()(x)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax", name="softmax")(x))
    model.get_layer("conv").set_weights([np.array([[[[1.0, 2.0]]]]), np.zeros(2)])
    return model


FACE = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)


def test_grad_cam_by_hand():
    model = tiny()
    model.get_layer("softmax").set_weights(
        [np.array([[16.0, -16.0], [8.0, -4.0]]), np.array([-1.0, 1.0])]
    )
    # the score is 16 · mean(x) + 8 · mean(2x): each place of x counts 1, each of 2x a half
    assert np.allclose(
        cam.grad_cam(model, FACE, target=0)[0], FACE[0, :, :, 0] * 1 + 2 * FACE[0, :, :, 0] * 0.5
    )
    assert not cam.grad_cam(model, FACE, target=1).any()  # all speaks against
    assert np.array_equal(
        cam.grad_cam(model, FACE), cam.grad_cam(model, FACE, target=0)
    )  # which is what it answers


def test_grad_cam_plus_plus_by_hand():
    model = tiny()
    model.get_layer("softmax").set_weights([np.array([[16.0, 0.0], [-16.0, 0.0]]), np.zeros(2)])
    # only x speaks for class 0, by 1 at each of 16 places; x sums to 120
    expected = 16 * (1 / (2 + 120 * 1)) * FACE[0, :, :, 0]
    assert np.allclose(cam.grad_cam_plus_plus(model, FACE, target=0)[0], expected)


def test_only_places_whose_gradient_speaks_for_the_class_weigh_in_grad_cam_plus_plus():
    model = tiny(pooled=False)
    kernel = np.zeros((32, 2))
    kernel[0, 0], kernel[2, 0] = (
        1,
        -1,
    )  # x at the first place speaks for class 0, at the second just as much against
    model.get_layer("softmax").set_weights([kernel, np.zeros(2)])
    assert np.allclose(cam.grad_cam(model, FACE, target=0), 0)
    assert np.allclose(
        cam.grad_cam_plus_plus(model, FACE, target=0)[0], FACE[0, :, :, 0] / (2 + 120)
    )


def test_occlusion_by_hand():
    model = tiny(pooled=False)
    kernel = np.zeros((32, 2))
    kernel[0, 0] = 1  # class 0 for x at the first place alone
    model.get_layer("softmax").set_weights([kernel, np.zeros(2)])
    face = np.full((1, 4, 4, 1), 2.0)
    sure, hidden = 1 / (1 + np.exp(-2.0)), 0.5
    fall = cam.occlusion(model, face, target=0, size=2, stride=1, fill=0)[0]
    assert np.isclose(fall[0, 0], sure - hidden)  # one patch of those that hide it
    assert np.isclose(fall[0, 1], (sure - hidden) / 2) and np.isclose(
        fall[1, 1], (sure - hidden) / 4
    )
    assert not fall[2:].any() and not fall[:, 2:].any()
    assert np.allclose(cam.occlusion(model, face, target=1, size=2, stride=1, fill=0)[0], -fall)
    assert not cam.occlusion(
        model, face, size=4, stride=4
    ).any()  # the face's own mean colour hides nothing here


def test_patches_reach_the_far_border():
    fall = cam.occlusion(tiny(), FACE, size=3, stride=3, fill=0)
    assert np.isfinite(fall).all() and fall.shape == (1, 4, 4)


@pytest.fixture(scope="module")
def alexnet():
    keras.utils.set_random_seed(0)
    return classifiers.classifier("alexnet", 8)


@pytest.fixture(scope="module")
def two_faces():
    photo = images.astronaut()
    return np.stack(
        [images.resize(photo[:300, 100:400], (224, 224)), images.resize(photo, (224, 224))]
    ).astype("float32")


def test_grad_cam_of_alexnet_is_that_of_tf_keras_vis(alexnet, two_faces):
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    theirs = Gradcam(alexnet, model_modifier=ReplaceToLinear(), clone=True)
    found = theirs(CategoricalScore([3, 5]), two_faces, penultimate_layer="conv5", expand_cam=False)
    for ours, other in zip(
        cam.grad_cam(alexnet, two_faces, target=[3, 5]), np.asarray(found), strict=True
    ):
        assert np.allclose(ours / ours.max(), other / other.max(), atol=1e-5)


@pytest.mark.parametrize("task", ["age", "gender", "expression"])
def test_grad_cam_of_alexnet_gap_is_cam(alexnet_gap, astronaut, task):
    seen = alexnet_gap.explain(astronaut)
    target = int(seen.probabilities[task][0].argmax())
    positive = np.maximum(seen.cams[task][0, :, :, target], 0)
    found = cam.grad_cam(classifiers.load(task, "alexnet-gap"), seen.reweighted)[0]
    assert np.corrcoef(positive.ravel(), found.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(
    "name, network", [("model", "face-mobilenet"), ("alexnet_gap", "alexnet-gap")]
)
def test_the_shipped_classifier_of_one_task_answers_as_the_pipeline(
    request, name, network, astronaut
):
    seen = request.getfixturevalue(name).explain(astronaut)
    for task in CLASSES:
        alone = np.asarray(
            classifiers.load(task, network).predict_on_batch(seen.reweighted.astype("float32"))
        )
        assert np.allclose(
            alone, seen.probabilities[task], atol=0.01
        )  # the pipeline does not round reweighted faces
    with pytest.raises(ValueError, match="age, gender, expression"):
        classifiers.load("race")


def slow_if_deep(name):
    return pytest.param(
        name,
        marks=pytest.mark.slow if name in ("densenet121", "efficientnet-lite2", "resnet50") else (),
    )


@pytest.mark.parametrize("name", [slow_if_deep(name) for name in sorted(classifiers.NETWORKS)])
def test_every_network_can_be_explained(name, two_faces):
    network = classifiers.classifier(name, 8, imagenet=False)
    found = cam.grad_cam(network, two_faces[:1])
    assert found.shape[0] == 1 and found.ndim == 3 and np.isfinite(found).all() and found.min() >= 0


def test_an_earlier_layer_has_a_finer_map(alexnet, two_faces):
    assert cam.grad_cam(alexnet, two_faces, layer="conv1").shape == (2, 55, 55)


def test_more_faces_than_a_batch(monkeypatch, alexnet, two_faces):
    together = cam.grad_cam(alexnet, two_faces, target=[3, 5])
    monkeypatch.setattr(cam, "BATCH", 1)
    assert np.allclose(cam.grad_cam(alexnet, two_faces, target=[3, 5]), together, atol=1e-6)


def test_what_does_not_fit_is_named(alexnet, two_faces):
    for options, word in (
        (dict(target=8), "from 0 to 7"),
        (dict(target=[1]), "each of 2 faces"),
        (dict(target=1.5), "from 0 to 7"),
        (dict(layer="fc6"), "no places"),
        (dict(layer="fc8"), "nothing behind"),
        (dict(layer="conv9"), "conv9"),
    ):
        with pytest.raises(ValueError, match=word):
            cam.grad_cam(alexnet, two_faces, **options)
    with pytest.raises(ValueError, match="224×224×3"):
        cam.grad_cam(alexnet, two_faces[:, :100])
    with pytest.raises(ValueError, match="stride"):
        cam.occlusion(alexnet, two_faces, size=8, stride=16)
    inputs = keras.Input((4, 4, 1))
    linear = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Conv2D(1, 1)(inputs))))
    with pytest.raises(ValueError, match="softmax"):
        cam.grad_cam(linear, FACE)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same_maps(backend, tmp_path):
    pytest.importorskip(backend)
    code = """
import sys
import numpy as np
from safbage import SafBage, cam, classifiers, images
face = images.resize(images.astronaut(), (224, 224))[None].astype("float32")
model = classifiers.load("expression")
np.savez(sys.argv[1], *[method(model, face, target=3) for method in (cam.grad_cam, cam.grad_cam_plus_plus)])
"""
    found = {}
    for name in ("tensorflow", backend):
        file = tmp_path / f"{name}.npz"
        environment = os.environ | {"KERAS_BACKEND": name}
        subprocess.run([sys.executable, "-c", code, str(file)], check=True, env=environment)
        found[name] = [array for _, array in sorted(np.load(file).items())]
    for ours, other in zip(found["tensorflow"], found[backend], strict=True):
        assert np.allclose(ours, other, atol=1e-4 * ours.max())


def test_agreement_by_hand():
    map = np.array([[1.0, 0.0], [0.0, 1.0]])
    cams = np.stack([map * 5, -map, [[1.0, 1.0], [1.0, 1.0]]])
    table = cam.agreement(np.stack([map] * 3), cams, ["a", "b", "a"])
    assert np.allclose(table.correlation, [1, -1, 0])
    assert np.allclose(
        table.shared, [1, 0, 0.5]
    )  # a CAM that is negative everywhere shares nothing
    apart = cam.agreement(map[None], np.array([[[0.0, 1.0], [1.0, 0.0]]]))
    assert apart.shared[0] == 0  # less than a flat one
    by_class = cam.agreement_by_class(table)
    assert list(by_class.index) == ["a", "b"] and list(by_class.faces) == [2, 1]
    assert np.isclose(by_class.correlation["a"], 0.5) and np.isclose(
        by_class["± correlation"]["a"], 0.5
    )
    assert np.isnan(by_class["± correlation"]["b"])


def test_agreement_needs_as_many_of_each():
    with pytest.raises(ValueError, match="as many"):
        cam.agreement(np.zeros((2, 4, 4)), np.zeros((3, 4, 4)))
