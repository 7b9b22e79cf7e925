"""MobileNet-v1 and the reading of TensorFlow.js's graph models, on small files made here."""

import json

import mobilenet
import numpy as np

from safbage.classifiers import face_mobilenet
from safbage.runtime import weights
from safbage.runtime.backend import keras


def write_graph_model(folder, arrays):
    """A graph model's two files; the topology, which is not read, is left out."""
    entries = [
        {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
        for name, value in arrays.items()
    ]
    (folder / "net.bin").write_bytes(b"".join(value.tobytes() for value in arrays.values()))
    (folder / "net.json").write_text(
        json.dumps({"weightsManifest": [{"paths": ["net.bin"], "weights": entries}]})
    )
    return folder / "net.json"


def original():
    """All arrays of the original, zero but for what the tests look at."""
    rows, inputs = (
        {"conv1/convolution/merged_input": (3, 3, 3, 32), "conv1_bn/batchnorm_1/sub": (32,)},
        32,
    )
    for i, (filters, _) in enumerate(mobilenet.BLOCKS, 1):
        rows[f"conv_dw_{i}/depthwise_kernel"] = (3, 3, inputs, 1)
        rows |= {f"conv_dw_{i}_bn/batchnorm_1/{part}": (inputs,) for part in ("mul", "sub")}
        rows[f"conv_pw_{i}/convolution/merged_input"] = (1, 1, inputs, filters)
        rows[f"conv_pw_{i}_bn/batchnorm_1/sub"] = (filters,)
        inputs = filters
    for head, shape in (
        ("feats", (1024, 256)),
        ("gender_pred", (256, 1)),
        ("age_pred", (256, 100)),
    ):
        rows |= {f"{head}/kernel": shape, f"{head}/bias": shape[1:]}
    arrays = {name: np.zeros(shape, "float32") for name, shape in rows.items()}
    arrays["conv1/convolution/merged_input"][:, :, 0] = 1  # of blue
    arrays["conv_dw_1/depthwise_kernel"][:] = 3
    arrays["conv_dw_1_bn/batchnorm_1/mul"][:] = 2
    return arrays


def test_arrays_of_a_graph_model_by_hand(tmp_path):
    written = {
        "a": np.array([[1, 2], [3, 4]], "float32"),
        "axes": np.array([1, 2], "int32"),
        "one": np.array(7, "float32"),
    }
    read = mobilenet.read_graph_model(write_graph_model(tmp_path, written))
    assert read["a"].tolist() == [[1, 2], [3, 4]]
    assert read["axes"].tolist() == [1, 2]
    assert read["one"] == 7


def test_the_last_bias_comes_through_cut_to_0_and_6(tmp_path):
    arrays = original()
    arrays["conv_pw_13_bn/batchnorm_1/sub"][:3] = 2.5, -1, 9
    tensors = mobilenet.converted(write_graph_model(tmp_path, arrays))
    face = keras.Input((64, 64, 3))
    model = keras.Model(face, face_mobilenet.features(face))
    weights.assign(
        model,
        {name: value for name, value in tensors.items() if not name.startswith(mobilenet.HEADS)},
    )
    features = np.asarray(model(np.zeros((1, 64, 64, 3), "float32")))
    assert features.shape == (1, 2, 2, 1024)
    assert features[0, 0, 0, :4].tolist() == [2.5, 0, 6, 0]


def test_blue_is_read_last_and_scales_are_folded_into_depthwise_kernels(tmp_path):
    tensors = mobilenet.converted(write_graph_model(tmp_path, original()))
    assert tensors["conv1/kernel"].sum(axis=(0, 1, 3)).tolist() == [0, 0, 9 * 32]
    assert np.all(tensors["conv_dw_1/kernel"] == 6)
    assert sum(value.size for value in tensors.values()) == 3_484_389
