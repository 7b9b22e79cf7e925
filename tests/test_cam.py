import numpy as np
import pytest

from safbage import cam


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
    assert np.allclose(cam.class_activation_maps(features, kernel).mean(axis=(1, 2)), scores, atol=1e-5)


def test_normalize_spans_0_to_1_and_leaves_a_flat_map_zero(generator):
    maps = generator.normal(size=(2, 5, 5))
    stretched = cam.normalize(maps)
    assert np.allclose(stretched.min(axis=(1, 2)), 0) and np.allclose(stretched.max(axis=(1, 2)), 1)
    assert not cam.normalize(np.full((5, 5), 7.0)).any()


def test_features_and_kernel_must_fit():
    with pytest.raises(ValueError):
        cam.class_activation_maps(np.zeros((5, 5, 3)), np.zeros((4, 2)))


def test_cams_of_the_pipeline_explain_its_probabilities(model, astronaut):
    seen = model.explain(astronaut)
    for task in model.tasks:
        bias = np.asarray(model.classifier.get_layer(f"softmax_{task}").bias)
        scores = seen.cams[task][0].mean(axis=(0, 1)) + bias
        softmax = np.exp(scores - scores.max())
        assert np.allclose(softmax / softmax.sum(), seen.probabilities[task][0], atol=1e-4)
