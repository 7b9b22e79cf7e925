import keras
import numpy as np
import pytest

from safbage import SafBage, cam, classifiers, saliency, training
from safbage.runtime import weights
from safbage.runtime.weights import converting
from safbage.tasks import CLASSES


def learnt(model):
    """Parameters without the fixed normalisation's."""
    return sum(
        int(np.prod(v.shape))
        for layer in model.layers
        if layer.name != "normalization"
        for v in layer.weights
        if "seed" not in v.name
    )


@pytest.mark.parametrize("classes, parameters", [(8, 57_036_616), (1000, 61_100_840)])
def test_alexnet_has_torchvisions_parameters(classes, parameters):
    model = classifiers.classifier("alexnet", classes, imagenet=False)
    assert learnt(model) == parameters
    assert model.get_layer("pool5").output.shape == (None, 6, 6, 256)
    assert model.get_layer("fc8").output.shape == (None, classes)


def test_the_convolutions_are_torchvisions():
    model = classifiers.classifier("alexnet-gap", 8, imagenet=False)
    assert learnt(model) == 2_469_696 + 256 * 8 + 8
    shapes = {f"conv{i}": model.get_layer(f"conv{i}").output.shape[1:] for i in range(1, 6)}
    assert shapes == {
        "conv1": (55, 55, 64),
        "conv2": (27, 27, 192),
        "conv3": (13, 13, 384),
        "conv4": (13, 13, 256),
        "conv5": (13, 13, 256),
    }


def test_conv4s_features_are_torchvisions(astronaut):
    """Values from the same weights run by PyTorch, on 224×224 pixels about the face."""
    trunk, _ = classifiers.split_at(classifiers.classifier("alexnet-gap", 2), "conv5")
    features = trunk.predict_on_batch(astronaut[None, 40:264, 120:344].astype("float32"))
    assert features.mean() == pytest.approx(0.921031, rel=1e-4)
    assert features.std() == pytest.approx(2.872136, rel=1e-4)
    assert np.unravel_index(features.argmax(), features.shape) == (0, 4, 6, 192)
    assert features.max() == pytest.approx(57.28396, rel=1e-4)


def test_imagenet_weights_fit_alexnet():
    """A checkpoint of the true names and shapes, converted and assigned."""
    shapes = {
        "features.0": (64, 3, 11, 11),
        "features.3": (192, 64, 5, 5),
        "features.6": (384, 192, 3, 3),
    }
    shapes |= {"features.8": (256, 384, 3, 3), "features.10": (256, 256, 3, 3)}
    shapes |= {
        "classifier.1": (4096, 9216),
        "classifier.4": (4096, 4096),
        "classifier.6": (1000, 4096),
    }
    state = {f"{name}.weight": np.zeros(shape, "float32") for name, shape in shapes.items()}
    state |= {
        f"{name}.bias": np.arange(shape[0], dtype="float32") for name, shape in shapes.items()
    }
    model = classifiers.classifier("alexnet", 1000, imagenet=False)
    weights.assign(model, converting.alexnet_from_torchvision(state))
    assert np.asarray(model.get_layer("fc8").bias)[-1] == 999


def test_all_tasks_in_one_model_answer_as_each_alone(generator):
    faces = generator.integers(0, 256, (2, 224, 224, 3)).astype("float32")
    together = classifiers.load_joint(tuple(CLASSES), "alexnet-gap").predict_on_batch(faces)
    for task, names in CLASSES.items():
        alone = classifiers.classifier("alexnet-gap", len(names), imagenet=False)
        weights.assign(alone, weights.load("alexnet-faces") | weights.load(f"alexnet-gap-{task}"))
        kernel = np.asarray(alone.get_layer("softmax").kernel)
        alone = keras.Model(alone.input, [alone.output, alone.get_layer("conv5").output])
        probabilities, conv5 = alone.predict_on_batch(faces)
        assert np.allclose(together[task], probabilities, atol=1e-4)
        assert np.allclose(
            together[f"cam_{task}"], cam.class_activation_maps(conv5, kernel), atol=1e-2
        )


def test_the_face_networks_tasks_answer_the_embedded_photo_as_ever(model, astronaut):
    """What was noted when its ML-Net was trained, to two digits."""
    seen = model.explain(astronaut)
    assert seen.years.tolist() == [[31, 25, 37]]
    found = {task: values[0].max() for task, values in seen.probabilities.items()}
    assert found == pytest.approx({"age": 0.80, "gender": 0.95, "expression": 0.99}, abs=0.006)
    (row,) = seen.rows()
    assert (row["age"], row["gender"], row["expression"]) == ("25-32", "female", "happy")


def test_the_face_network_is_not_trained_here_and_says_why():
    for ask in (
        lambda: classifiers.classifier("face-mobilenet", 2),
        lambda: classifiers.imagenet_weights("face-mobilenet"),
        lambda: training.first_layer(training.RECIPES["age"], "face-mobilenet", "age"),
    ):
        with pytest.raises(
            ValueError, match=r"not trained here: it has learnt from UTKFace.*alexnet-gap"
        ):
            ask()
    assert "face-mobilenet" not in classifiers.NETWORKS


def test_a_network_that_does_not_ship_is_refused():
    for build in (
        lambda: classifiers.load_joint(("age",), "vgg16"),
        lambda: classifiers.load("age", "vgg16"),
    ):
        with pytest.raises(ValueError, match="face-mobilenet, alexnet-gap"):
            build()


def test_answering_needs_no_alexnet_of_imagenet(monkeypatch):
    """Only VGG-16, which ML-Net stands on."""
    loaded, real = [], weights.load
    monkeypatch.setattr(weights, "load", lambda name: loaded.append(name) or real(name))
    monkeypatch.setattr(saliency, "load_default", saliency.load)  # else it may be loaded already
    SafBage.load(engine="keras")
    assert set(loaded) - set(weights.shipped_hashes()) == {"vgg16-conv"}
    assert set(loaded) & set(weights.shipped_hashes()) == {
        "mlnet",
        "face-mobilenet",
    }
    loaded.clear()
    SafBage.load(network="alexnet-gap", engine="keras")
    assert set(loaded) - {"mlnet", "vgg16-conv"} == {
        "alexnet-faces",
        *(f"alexnet-gap-{task}" for task in CLASSES),
    }


def test_the_classes_are_the_papers():
    assert [len(names) for names in CLASSES.values()] == [8, 2, 7]
