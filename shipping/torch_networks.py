"""The networks of ``train_faces.py`` in PyTorch, with weights by the names that they have as Keras layers.

Pictures are N×3×H×W float, RGB 0–255. `FaceNetwork` is MobileNet-v1 with a head per question, `AlexNetGap` the paper's network,
`MLNet` the saliency network, full or light, for inference only. All read and write dicts of arrays in Keras's layout.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
"""Filters and stride of MobileNet-v1's thirteen separable convolutions; told here again, since this file runs without safbage."""
HEADS = {"gender": 2, "expression": 7, "expression_fer2013": 7, "age": 101}
"""Answers of the face network: `expression` as many people see it (FER+, RAF-DB), `expression_fer2013` as FER2013's own
labels have it, `age` in years."""
CLASSES = {"gender": 2, "expression": 7, "age": 8}
"""Answers of AlexNet-GAP."""
CAFFE_MEAN = (123.68, 116.779, 103.939)
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def constant(values):
    return torch.tensor(values)[None, :, None, None]


def convolution_weights(kernel: np.ndarray) -> torch.Tensor:
    """Keras's kernel H×W×in×out (depthwise: H×W×channels×1) as PyTorch has it."""
    depthwise = kernel.shape[3] == 1 and kernel.shape[2] > 1 and kernel.shape[0] == 3
    order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(kernel.astype("float32").transpose(order)))


class Convolution(nn.Module):
    """3×3, depthwise 3×3 or 1×1 convolution padded as TensorFlow's "same", batch normalisation, ReLU up to 6."""

    def __init__(self, inputs, filters, size, stride, groups=1):
        super().__init__()
        padding = size // 2 if stride == 1 else 0
        self.pad = (0, 1, 0, 1) if stride == 2 else None
        self.convolution = nn.Conv2d(
            inputs, filters, size, stride, padding, groups=groups, bias=False
        )
        self.normalization = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.05)

    def forward(self, x):
        x = functional.pad(x, self.pad) if self.pad else x
        return functional.relu6(self.normalization(self.convolution(x)))


class FaceNetwork(nn.Module):
    """MobileNet-v1 over BGR minus Caffe's mean, global average pooling, and a linear head per question (`HEADS`)."""

    layout = torch.channels_last
    """Of pictures in memory; which is faster depends on the machine."""

    def __init__(self, dropout: float = 0.2):
        super().__init__()
        self.register_buffer("mean", constant(CAFFE_MEAN))
        layers, inputs = {"conv1": Convolution(3, 32, 3, 2)}, 32
        for i, (filters, stride) in enumerate(BLOCKS, 1):
            layers[f"conv_dw_{i}"] = Convolution(inputs, inputs, 3, stride, groups=inputs)
            layers[f"conv_pw_{i}"] = Convolution(inputs, filters, 1, 1)
            inputs = filters
        self.trunk = nn.Sequential()
        for name, layer in layers.items():
            self.trunk.add_module(name, layer)
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(1024, answers) for name, answers in HEADS.items()}
        )

    def forward(self, faces):
        x = self.trunk((faces - self.mean).contiguous(memory_format=self.layout))
        x = self.dropout(x.mean(dim=(2, 3)).float())
        with torch.autocast(x.device.type, enabled=False):
            return {name: head(x) for name, head in self.heads.items()}

    @torch.no_grad()
    def start(self, tensors: dict, faces: torch.Tensor) -> None:
        """Put in folded weights (``conv1/kernel``, ``conv1/bias``, …), and normalisations that change nothing on `faces`."""
        x = (faces - self.mean).contiguous(memory_format=torch.channels_last)
        for name, layer in self.trunk.named_children():
            weight = convolution_weights(tensors[f"{name}/kernel"]).to(x.device)
            scale = 2**0.5 / weight.flatten(1).norm(dim=1).clamp(
                min=1e-4
            )  # as if drawn; what follows undoes it
            layer.convolution.weight.copy_(weight * scale[:, None, None, None])
            y = layer.convolution(functional.pad(x, layer.pad) if layer.pad else x)
            mean, variance = y.mean(dim=(0, 2, 3)), y.var(dim=(0, 2, 3))
            normal = layer.normalization
            normal.running_mean.copy_(mean)
            normal.running_var.copy_(variance)
            normal.weight.copy_((variance + normal.eps).sqrt() / scale)
            normal.bias.copy_(mean / scale + torch.from_numpy(tensors[f"{name}/bias"]).to(x.device))
            x = functional.relu6(
                (y - mean[:, None, None]) / scale[:, None, None] + normal.bias[:, None, None]
            )

    @torch.no_grad()
    def folded(self) -> dict[str, np.ndarray]:
        """All weights by their Keras names, batch normalisations folded into the convolutions before them."""
        tensors = {}
        for name, layer in self.trunk.named_children():
            normal = layer.normalization
            scale = normal.weight / (normal.running_var + normal.eps).sqrt()
            weight = layer.convolution.weight * scale[:, None, None, None]
            order = (2, 3, 0, 1) if "_dw_" in name else (2, 3, 1, 0)
            tensors[f"{name}/kernel"] = weight.permute(order)
            tensors[f"{name}/bias"] = normal.bias - normal.running_mean * scale
        for name, head in self.heads.items():
            tensors[f"softmax_{name}/kernel"], tensors[f"softmax_{name}/bias"] = (
                head.weight.T,
                head.bias,
            )
        return {name: value.float().cpu().numpy().copy() for name, value in tensors.items()}


def alexnet_trunk() -> nn.ModuleDict:
    sizes = {
        "conv1": (3, 64, 11, 4, 2),
        "conv2": (64, 192, 5, 1, 2),
        "conv3": (192, 384, 3, 1, 1),
        "conv4": (384, 256, 3, 1, 1),
    }
    return nn.ModuleDict({name: nn.Conv2d(*size) for name, size in sizes.items()})


def alexnet_levels(trunk, x) -> dict:
    """Normalised pictures to the outputs of conv2, conv3 and conv4."""
    x = functional.max_pool2d(functional.relu(trunk["conv1"](x)), 3, 2)
    conv2 = functional.relu(trunk["conv2"](x))
    conv3 = functional.relu(trunk["conv3"](functional.max_pool2d(conv2, 3, 2)))
    return {"conv2": conv2, "conv3": conv3, "conv4": functional.relu(trunk["conv4"](conv3))}


@torch.no_grad()
def put_in(layer, tensors, name):
    layer.weight.copy_(convolution_weights(tensors[f"{name}/kernel"]))
    layer.bias.copy_(torch.from_numpy(tensors[f"{name}/bias"].astype("float32")))


class AlexNetGap(nn.Module):
    """AlexNet-GAP: conv1–conv4 shared, conv5 and softmax of each task its own."""

    def __init__(self, dropout: float = 0.2):
        super().__init__()
        self.register_buffer("mean", constant(IMAGENET_MEAN))
        self.register_buffer("std", constant(IMAGENET_STD))
        self.trunk = alexnet_trunk()
        self.conv5 = nn.ModuleDict({task: nn.Conv2d(256, 256, 3, padding=1) for task in CLASSES})
        self.heads = nn.ModuleDict(
            {task: nn.Linear(256, classes) for task, classes in CLASSES.items()}
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, faces):
        x = ((faces - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        conv4 = alexnet_levels(self.trunk, x)["conv4"]
        answers = {}
        for task, head in self.heads.items():
            pooled = self.dropout(functional.relu(self.conv5[task](conv4)).mean(dim=(2, 3)).float())
            with torch.autocast(pooled.device.type, enabled=False):
                answers[task] = head(pooled)
        return answers

    def start(self, tensors: dict) -> None:
        """ImageNet's convolutions; every task's conv5 begins with the same."""
        for name, layer in self.trunk.items():
            put_in(layer, tensors, name)
        for layer in self.conv5.values():
            put_in(layer, tensors, "conv5")

    @torch.no_grad()
    def folded(self) -> dict[str, np.ndarray]:
        """All weights by their Keras names; a task's own end with it."""
        layers = dict(self.trunk.items()) | {
            f"conv5_{task}": layer for task, layer in self.conv5.items()
        }
        tensors = {
            f"{name}/kernel": layer.weight.permute(2, 3, 1, 0) for name, layer in layers.items()
        }
        tensors |= {f"{name}/bias": layer.bias for name, layer in layers.items()}
        for task, head in self.heads.items():
            tensors[f"softmax_{task}/kernel"], tensors[f"softmax_{task}/bias"] = (
                head.weight.T,
                head.bias,
            )
        return {name: value.float().cpu().numpy().copy() for name, value in tensors.items()}


def interpolation(position, length):
    """Weights (targets×length) that read `length` values bilinearly at `position`, the outermost values held beyond."""
    position = np.clip(position, 0, length - 1)
    return torch.from_numpy(
        np.maximum(0, 1 - np.abs(position[:, None] - np.arange(length)[None]))
    ).float()


GRIDS = {"conv2": (8, 7.5), "conv3": (16, 15.5), "conv4": (16, 15.5), "conv5": (16, 15.5)}
"""Of AlexNet's levels, the pixels from cell to cell and to the middle of the first cell."""


class MLNet(nn.Module):
    """ML-Net on VGG-16, or the light one on AlexNet: which, the tensors tell. Faces N×3×224×224 to maps N×28×28, maximum 1."""

    def __init__(self, tensors: dict):
        super().__init__()
        self.light = "conv2/kernel" in tensors
        self.register_buffer("mean", constant(IMAGENET_MEAN))
        self.register_buffer("std", constant(IMAGENET_STD))
        names = ["conv1", "conv2", "conv3", "conv4", "conv5"]
        if not self.light:
            names = [
                f"conv{b}_{i}" for b, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)
            ]
        self.layers = nn.ModuleDict()
        for name in [*names, "int_conv", "pre_final_conv"]:
            height, _, inputs, filters = tensors[f"{name}/kernel"].shape
            stride, padding = (4, 2) if height == 11 else (1, height // 2)
            self.layers[name] = nn.Conv2d(inputs, filters, height, stride, padding)
            weight = torch.from_numpy(
                tensors[f"{name}/kernel"].astype("float32").transpose(3, 2, 0, 1).copy()
            )
            self.layers[name].weight.data.copy_(weight)
            self.layers[name].bias.data.copy_(
                torch.from_numpy(tensors[f"{name}/bias"].astype("float32"))
            )
        prior = torch.from_numpy(1 + tensors["prior/prior"].astype("float32"))
        down, across = (interpolation((np.arange(28) + 0.5) * n / 28 - 0.5, n) for n in prior.shape)
        self.register_buffer("prior", down @ prior @ across.T)
        for level, (step, first) in GRIDS.items():
            cells = 27 if level == "conv2" else 13
            self.register_buffer(
                f"at_{level}", interpolation((8 * (np.arange(28) + 0.5) - first) / step, cells)
            )

    @torch.no_grad()
    def forward(self, faces):
        x = ((faces - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        x = torch.cat(self._alexnet(x) if self.light else self._vgg16(x), dim=1)
        x = functional.relu(self.layers["int_conv"](x))
        maps = functional.relu(
            functional.relu(self.layers["pre_final_conv"](x))[:, 0].float() * self.prior
        )
        peak = maps.amax(dim=(1, 2), keepdim=True)
        return maps / torch.where(peak > 0, peak, 1)

    def _alexnet(self, x):
        levels = alexnet_levels(self.layers, x)
        levels["conv5"] = functional.relu(self.layers["conv5"](levels["conv4"]))
        at = {name: getattr(self, f"at_{name}").to(level.dtype) for name, level in levels.items()}
        return [
            torch.einsum("ri,ncij,sj->ncrs", at[name], level, at[name])
            for name, level in levels.items()
        ]

    def _vgg16(self, x):
        levels = []
        for block, count in enumerate((2, 2, 3, 3, 3), 1):
            for i in range(1, count + 1):
                x = functional.relu(self.layers[f"conv{block}_{i}"](x))
            if block < 4:
                x = functional.max_pool2d(x, 2)
            elif block == 4:  # of stride 1, padded behind as "same"
                x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 2, 1)
            levels += [x] if block >= 3 else []
        return levels
