"""ML-Net and AlexNet of given weights in PyTorch, ONNX Runtime and OpenVINO; `stages.py` starts it
in an environment of its own.

It reads questions as JSON lines and answers likewise. Its folder holds the weights (``ML-Net.npz``,
``AlexNet.npz``, named as in safbage), and ``faces.npy`` before each run; it writes ``answer.npy``.
"""

import functools
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

TOOLS = {"torch": ("torch",), "onnxruntime": ("onnx", "onnxruntime"), "openvino": ("openvino",)}
FOLDER = Path(sys.argv[1])
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


class Network(nn.Module):
    """What both have in common: weights by safbage's names, and the normalisation."""

    def __init__(self, name):
        super().__init__()
        for key, value in np.load(FOLDER / f"{name}.npz").items():
            value = (
                value.transpose(3, 2, 0, 1)
                if value.ndim == 4
                else value.T
                if key.endswith("kernel")
                else value
            )
            self.register_buffer(
                key.replace("/", "_"), torch.from_numpy(np.ascontiguousarray(value))
            )
        self.register_buffer("mean", 255 * torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(STD)[:, None, None])

    def normalised(self, faces):
        return (faces.permute(0, 3, 1, 2) - self.mean) / self.std

    def conv(self, x, name, **options):
        return functional.relu(
            functional.conv2d(
                x, getattr(self, f"{name}_kernel"), getattr(self, f"{name}_bias"), **options
            )
        )

    def dense(self, x, name):
        return functional.linear(x, getattr(self, f"{name}_kernel"), getattr(self, f"{name}_bias"))


class MLNet(Network):
    def forward(self, faces):
        x, levels = self.normalised(faces), []
        for block, (convs, _) in enumerate(BLOCKS, 1):
            for i in range(1, convs + 1):
                x = self.conv(x, f"conv{block}_{i}", padding=1)
            if block < 4:
                x = functional.max_pool2d(x, 2, 2)
            elif block == 4:
                x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1)), 2, 1)
            levels += [x] if block > 2 else []
        x = self.conv(self.conv(torch.cat(levels, 1), "int_conv", padding=1), "pre_final_conv")
        prior = functional.interpolate(
            1 + self.prior_prior[None, None], x.shape[2:], mode="bilinear", align_corners=False
        )
        return functional.relu(x * prior).permute(0, 2, 3, 1)


class AlexNet(Network):
    def forward(self, faces):
        x = self.conv(self.normalised(faces), "conv1", stride=4, padding=2)
        x = self.conv(functional.max_pool2d(x, 3, 2), "conv2", padding=2)
        x = self.conv(functional.max_pool2d(x, 3, 2), "conv3", padding=1)
        x = self.conv(self.conv(x, "conv4", padding=1), "conv5", padding=1)
        x = functional.max_pool2d(x, 3, 2).permute(0, 2, 3, 1).flatten(1)
        x = functional.relu(self.dense(functional.relu(self.dense(x, "fc6")), "fc7"))
        return functional.softmax(self.dense(x, "fc8"), 1)


@functools.cache
def network(tool, name):
    """A function from faces to answers, NumPy arrays both."""
    module = {"ML-Net": MLNet, "AlexNet": AlexNet}[name](name).eval()
    example = torch.zeros(1, 224, 224, 3)
    if tool == "torch":
        module = module.to(memory_format=torch.channels_last)
        return lambda faces: module(torch.from_numpy(faces)).numpy()
    if tool == "onnxruntime":
        import onnxruntime

        file, axes = FOLDER / f"{name}.onnx", {"faces": {0: "n"}}
        torch.onnx.export(
            module, (example,), str(file), input_names=["faces"], dynamic_axes=axes, dynamo=False
        )
        session = onnxruntime.InferenceSession(str(file))
        return lambda faces: session.run(None, {"faces": faces})[0]
    import openvino

    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # by itself it takes bfloat16 where it can
    converted = openvino.convert_model(module, example_input=example)
    compiled = openvino.compile_model(converted, "CPU", exact)
    return lambda faces: compiled(faces)[0]


def main():
    torch.set_grad_enabled(False)
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever the packages print is not an answer
    torch.set_num_threads(os.cpu_count())
    lacking = {
        tool: [name for name in needs if importlib.util.find_spec(name) is None]
        for tool, needs in TOOLS.items()
    }
    for line in sys.stdin:
        question = json.loads(line)
        if question["what"] == "which":
            there = [tool for tool, names in lacking.items() if not names]
            answer = {"there": there, "absent": [tool for tool in TOOLS if tool not in there]}
        else:
            run, faces = (
                network(question["tool"], question["network"]),
                np.load(FOLDER / "faces.npy"),
            )
            start = time.perf_counter()
            found = run(faces)
            answer = {"seconds": time.perf_counter() - start}
            np.save(FOLDER / "answer.npy", found)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
