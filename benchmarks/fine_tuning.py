"""What the cache of frozen features saves in the age/gender recipe, and how near an epoch comes to
its matrix products alone.

    python benchmarks/fine_tuning.py prepared/utkface --steps 16 --out fine_tuning.json
    KERAS_BACKEND=jax python benchmarks/fine_tuning.py prepared/utkface

A step is a batch of 128. Measured in turn, several rounds, in one process; medians count. The
features are read from memory, as they are in training wherever they fit there:

floor     the products of fc6-fc8 alone, through the same backend: forward, to the weights, and
          to the inputs of fc7 and fc8
cached    an epoch from the cache, as `fine_tune` runs it
full      the same epoch through the whole network, from stored crops and maps, with augmentation
+ maps    that, with ML-Net's time on each picture added, as where nothing is stored
+ map     that, but ML-Net's time once for a face's four pictures: the least that can be reckoned

Expected: full / cached at least 2.5, with maps at least 30, floor / cached at least 0.8; and the
weights that cached and full epochs end with differ by 1e-3 at most.
"""

import argparse
import json
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from safbage import classifiers, saliency, training
from safbage.datasets.shards import Prepared
from safbage.runtime import backend
from safbage.runtime.backend import keras, ops, tensorflow
from safbage.tasks import CLASSES
from safbage.training import features, tuning

TASK, RATIO, SEED = "gender", 0.3, 0


def compiled(function):
    """A function as the backend runs a training step."""
    if keras.config.backend() == "tensorflow":
        return tensorflow().function(function)
    if keras.config.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def products(above, batch):
    """A function that runs the matrix products of a training step of `above`'s dense layers."""
    kind = keras.config.dtype_policy().compute_dtype
    shapes = [layer.kernel.shape for layer in above.layers if isinstance(layer, keras.layers.Dense)]

    def values(*shape):
        return ops.cast(np.random.default_rng(0).random(shape, "float32"), kind)

    inputs = [(values(batch, m), values(m, n), values(batch, n)) for m, n in shapes]

    def step(inputs):
        results = []
        for i, (x, w, g) in enumerate(inputs):
            results += [ops.matmul(x, w), ops.matmul(ops.transpose(x), g)]
            if i:
                results.append(ops.matmul(g, ops.transpose(w)))
        return results

    step = compiled(step)
    return lambda: [ops.convert_to_numpy(result[:1, :1]) for result in step(inputs)]


def network(recipe):
    keras.utils.set_random_seed(SEED)
    model = classifiers.classifier("alexnet", len(CLASSES[TASK]), dropout=recipe.dropout)
    return model, *tuning.cut(model, training.first_layer(recipe, "alexnet", TASK))


def warm_up(model, inputs, rows, codes, recipe):
    """A step of rate 0, which compiles, and leaves the weights as they are."""
    model.optimizer.learning_rate = 0.0
    these = np.resize(rows, recipe.batch)
    model.train_on_batch(inputs(these, np.zeros(recipe.batch, int)), codes[these])


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="prepared faces, labelled with gender")
    parser.add_argument("--steps", type=int, default=8, help="in an epoch; 32 faces each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--out", type=Path, help="a JSON file of all figures")
    args = parser.parse_args()
    with backend.precision(args.precision):
        measure(args, parser)


def measure(args, parser):
    prepared, recipe = Prepared(args.folder), training.AGE_GENDER_RECIPE
    codes = prepared.codes(TASK)
    rows = np.flatnonzero(codes >= 0)[: args.steps * recipe.batch // len(recipe.variants)]
    if len(rows) * len(recipe.variants) < args.steps * recipe.batch:
        parser.error(
            f"{args.folder} has {len(rows)} labelled faces, too few for {args.steps} steps"
        )
    images = features.Images(prepared, recipe.variants, RATIO)
    times = {"floor": [], "cached": [], "full": []}
    with tempfile.TemporaryDirectory() as folder:
        cached_model, below, above = network(recipe)
        start = time.perf_counter()
        stored = features.cached(images, rows, below, "alexnet below fc6", Path(folder), True)
        filling = time.perf_counter() - start
        full_model = network(recipe)[0]
        floor = products(above, recipe.batch)
        floor()
        runs = {"cached": (above, stored), "full": (full_model, images)}
        for model, inputs in runs.values():
            tuning.prepare_to_train(model, recipe)
            warm_up(model, inputs, rows, codes, recipe)
        for epoch in range(args.rounds):
            times["floor"].append(np.median([seconds(floor) for _ in range(args.steps)]))
            for name, (model, inputs) in runs.items():
                taken = seconds(
                    lambda m=model, i=inputs, e=epoch: tuning.run_epoch(
                        m, i, codes, rows, recipe, SEED, e
                    )
                )
                times[name].append(taken / args.steps)
            print({name: round(float(values[-1]), 4) for name, values in times.items()}, flush=True)
    pairs = zip(cached_model.weights, full_model.weights, strict=True)
    difference = max(
        float(np.abs(ops.convert_to_numpy(a) - ops.convert_to_numpy(b)).max()) for a, b in pairs
    )

    saliency_network, (crops, _) = saliency.load(), prepared.faces(rows[:32])
    saliency.predict_faces(crops, saliency_network)
    taken = [
        seconds(lambda: saliency.predict_faces(crops, saliency_network)) for _ in range(args.rounds)
    ]
    per_face = float(np.median(taken)) / len(crops)

    step = {name: float(np.median(values)) for name, values in times.items()}
    step["+ maps"] = step["full"] + per_face * recipe.batch
    step["+ map"] = step["full"] + per_face * recipe.batch / len(recipe.variants)
    figures = {
        "seconds_per_step": step,
        "ratios": {
            "full / cached (2.5 or more)": step["full"] / step["cached"],
            "with maps / cached (30 or more)": step["+ maps"] / step["cached"],
            "with a map per face / cached": step["+ map"] / step["cached"],
            "floor / cached (0.8 or more)": step["floor"] / step["cached"],
        },
        "largest difference of a weight (1e-3 or less)": difference,
        "filling the cache, seconds per face": filling / len(rows),
        "ML-Net, seconds per face": per_face,
        "steps": args.steps,
        "rounds": {name: list(map(float, values)) for name, values in times.items()},
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "system": platform.platform(),
        },
        "precision": args.precision,
        "versions": {name: version(name) for name in ("keras", keras.config.backend(), "numpy")},
    }
    for name, value in (step | figures["ratios"]).items():
        print(f"{name:36}{value:10.3f}")
    print(f"{'largest difference of a weight':36}{difference:10.1e}")
    if args.out:
        args.out.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
