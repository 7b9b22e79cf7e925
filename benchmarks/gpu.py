"""What a GPU makes of everything after detection, and of the paper's recipe for age and gender.

    KERAS_BACKEND=jax python benchmarks/gpu.py [--output gpu.json]

Needs the backend's own package (JAX), keras, opencv-python-headless, pandas, pillow, platformdirs, safetensors, scikit-image and
tqdm; no TensorFlow, and no internet where ``SAFBAGE_HOME`` holds ``vgg16-conv.safetensors``. Prints JSON:

- faces per second after detection, from uint8 crops in memory to answers, maps and CAMs in memory, in bfloat16; the GFLOP/s of
  that as a share of the GPU's own bfloat16 matrix-product rate, measured in the same run;
- the largest difference of answers and maps from those in float32 on the CPU;
- the seconds of 30 epochs of fc6–fc8 on random features of 13,000 faces in four variants, in batches of 128.

Where Keras sees no GPU, it says so and measures nothing; ``--anyway`` tries the script on a CPU, with few faces.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from safbage import SafBage, classifiers, faces, images
from safbage.runtime import backend
from safbage.runtime.backend import keras, ops

FACE_GFLOP = 41.3
"""Of ML-Net (40.2) and the network that answers where none is named (1.1): a multiplication and an addition are two."""


def best(function, rounds=5):
    """Seconds of the fastest of some calls, after one that compiles."""
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def matrix_rate(size, products=10):
    """GFLOP/s of bfloat16 matrix products, each of the product before."""
    x = ops.cast(np.random.default_rng(0).normal(size=(size, size)) / size**0.5, "bfloat16")

    def chain():
        y = x
        for _ in range(products):
            y = ops.matmul(y, x)
        return ops.convert_to_numpy(ops.cast(y[0, 0], "float32"))  # NumPy has no bfloat16

    return products * 2 * size**3 / best(chain) / 1e9


def crops_of(count):
    """The embedded photo's face, darkened a little differently each time."""
    crop = faces.crop_face(images.astronaut(), images.ASTRONAUT_FACE)
    shades = np.random.default_rng(0).uniform(0.5, 1, count)
    return np.stack([(crop * shade).astype("uint8") for shade in shades])


def differences(model, crops):
    """Largest difference from the float32 networks on the CPU, by output; CAMs as a share of their largest value."""
    with keras.device("cpu:0"):
        exact = SafBage.load(batch_size=4, precision="float32").answer(crops)
    rough = model.answer(crops)
    return {
        name: float(np.abs(rough[name] - y).max() / max(1, np.abs(y).max()))
        for name, y in exact.items()
    }


def recipe_seconds(count, epochs):
    """Training fc6–fc8 as the paper's recipe for age and gender does, from features in memory."""
    with backend.precision("mixed_bfloat16"):
        above = classifiers.split_at(
            classifiers.classifier("alexnet", 8, dropout=0.4, imagenet=False), "fc6"
        )[1]
    above.compile(keras.optimizers.SGD(0.001, momentum=0.9), loss="sparse_categorical_crossentropy")
    generator = np.random.default_rng(0)
    features = generator.random((count, 9216), "float32").astype("float16")
    codes = generator.integers(0, 8, count)
    above.train_on_batch(features[:128].astype("float32"), codes[:128])
    start = time.perf_counter()
    for _ in range(epochs):
        order = generator.permutation(count)
        for i in range(0, count - count % 128, 128):
            rows = np.sort(order[i : i + 128])
            above.train_on_batch(features[rows].astype("float32"), codes[rows])
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--anyway", action="store_true", help="on a CPU, with few faces")
    args = parser.parse_args()
    there = backend.has_gpu()
    if not there and not args.anyway:
        sys.exit(
            f"Keras on {keras.config.backend()} sees no GPU here; nothing was measured (--anyway tries it on the CPU)"
        )
    model = SafBage.load(precision="mixed_bfloat16" if there else None)
    crops = crops_of(8 * model.batch_size if there else 2)
    rate = matrix_rate(8192 if there else 1024)
    taken = best(lambda: model.answer(crops), 5 if there else 1)
    features, epochs = (52_000, 30) if there else (256, 1)
    found = {
        "backend": keras.config.backend(),
        "gpu": there,
        "batch": model.batch_size,
        "bfloat16 matrix product, GFLOP/s": rate,
        "faces per second after detection": len(crops) / taken,
        "share of the matrix rate": len(crops) * FACE_GFLOP / taken / rate,
        "differences from float32 on the CPU": differences(model, crops[:8]),
        f"{epochs} epochs of fc6-fc8 on {features:,} features, s": recipe_seconds(features, epochs),
    }
    text = json.dumps(found, indent=1)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
