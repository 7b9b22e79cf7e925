"""Trained ML-Nets with what their files tell: the shipped ones, one's own, and the authors'."""

import json
from dataclasses import dataclass
from pathlib import Path

from safbage import trunks
from safbage.errors import CheckpointError
from safbage.runtime import weights
from safbage.runtime.backend import check_process, keras
from safbage.runtime.weights import checkpoints
from safbage.saliency.mlnet import LEVELS, STRIDE, mlnet
from safbage.saliency.names import SHIPPED

SCENE_SIZE = (240, 320)
"""Height and width that scenes are fitted into by a network whose file names none."""
HEAD = (
    "int_conv/kernel",
    "int_conv/bias",
    "pre_final_conv/kernel",
    "pre_final_conv/bias",
    "prior/prior",
)


@dataclass(frozen=True, eq=False)
class SaliencyModel:
    """A trained ML-Net, and how it was trained.

    Attributes:
        network: images (N×H×W×3, RGB 0–255) to maps, as `mlnet.mlnet` describes.
        scene_size: height and width that a scene is fitted into. These are what it was trained at;
            the shipped one's are a little more, as its card explains.
        padded: whether those scenes were padded with zeros to just that size.
        seen: names of the scenes that trained it or chose its epoch.
    """

    network: keras.Model
    scene_size: tuple[int, int] = SCENE_SIZE
    padded: bool = False
    seen: frozenset[str] = frozenset()


def load(source: str | Path = "mlnet") -> SaliencyModel:
    """A trained ML-Net.

    Args:
        source: "mlnet", the shipped one; "light", the shipped one on AlexNet, for faces; a
            ``.safetensors`` file that `safbage train-saliency` made; or the authors' own file (see
            `load_authors`).

    Raises:
        WeightsError: the weights are missing and cannot be fetched, or are damaged.
        CheckpointError: the file is none of these.
        FileNotFoundError: there is no such file.
    """
    check_process()
    if source in SHIPPED:
        _, name = SHIPPED[source]
        return _assemble(weights.load(name), weights.shipped_metadata(name))
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(
            f'no such file: {path}; ML-Net is "mlnet", "light" or a file of weights'
        )
    if path.suffix == ".safetensors":
        return _assemble(*checkpoints.read_safetensors(path))
    return load_authors(path)


def _assemble(trained, metadata):
    """ImageNet's trunk, with what was trained put over it."""
    lacking = [name for name in HEAD if name not in trained]
    if lacking:
        raise CheckpointError(f"these are no weights of an ML-Net; they lack {', '.join(lacking)}")
    light = trained["int_conv/kernel"].shape[2:3] != (sum(LEVELS.values()),)
    backbone, trunk = ("alexnet", "alexnet-conv") if light else ("vgg16", "vgg16-conv")
    network = mlnet(backbone=backbone, prior=_prior_size(trained["prior/prior"]))
    weights.assign(network, weights.load(trunk))
    weights.assign(network, trained)
    size = tuple(_noted(metadata, "scene_size", SCENE_SIZE))
    if len(size) != 2 or not all(type(side) is int and STRIDE <= side <= 4096 for side in size):
        raise CheckpointError(f"scene_size is height and width in pixels; the file says {size}")
    return SaliencyModel(network, size, seen=frozenset(map(str, _noted(metadata, "seen", ()))))


def _noted(metadata, name, default):
    """A list that a file's metadata hold as JSON."""
    if name not in metadata:
        return default
    try:
        value = json.loads(metadata[name])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"the file's {name} is not JSON ({error})") from error
    if not isinstance(value, list):
        raise CheckpointError(f"the file's {name} is not a list, but {value!r}")
    return value


def _prior_size(prior):
    """Rows and columns of a file's prior."""
    if prior.ndim != 2 or not prior.size:
        raise CheckpointError(f"ML-Net's prior is rows×columns; the file's has shape {prior.shape}")
    return prior.shape


def load_authors(path: str | Path) -> SaliencyModel:
    """The authors' own network from their ``mlnet_salicon_weights.pkl``, in truth a Keras 1.1 HDF5.

    Theano's kernels are turned (its convolution flips them; ours correlates), BGR becomes RGB, and
    pooling and prior lie as they did there (see `mlnet.mlnet`). The authors predict at 480×640, the
    scene fitted in and padded with zeros; `saliency.predict` does so with this network.

    Raises:
        CheckpointError: the file has another structure.
    """
    arrays = checkpoints.read_keras1(path)
    blocks = enumerate(trunks.VGG16_BLOCKS, 1)
    names = [f"conv{block}_{i}" for block, (convs, _) in blocks for i in range(1, convs + 1)]
    names += ["int_conv", "pre_final_conv"]
    if len(arrays) != 2 * len(names) + 1:
        raise CheckpointError(
            f"{path} holds {len(arrays)} arrays; the authors' ML-Net has {2 * len(names) + 1}: "
            f"kernels and biases of {len(names)} convolutions, then the prior"
        )
    network = mlnet(prior=_prior_size(arrays[-1]), theano=True)
    tensors = {"prior/prior": arrays[-1]}
    for name, kernel, bias in zip(names, arrays[:-1:2], arrays[1:-1:2], strict=True):
        if kernel.ndim != 4:
            raise CheckpointError(
                f"{path}: the kernel of {name} has shape {kernel.shape}, not out×in×height×width"
            )
        turned = kernel[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)
        tensors |= {f"{name}/kernel": turned, f"{name}/bias": bias}
    tensors["conv1_1/kernel"] = tensors["conv1_1/kernel"][:, :, ::-1]
    weights.assign(network, tensors)
    return SaliencyModel(network, (480, 640), padded=True)
