"""Training ML-Net on recorded fixations, whole or over a frozen trunk; a killed run goes on.

    rest, held_back = fixations.hold_back(fixations.read("osie"))
    path = training.train(rest, "work/osie", RECIPES["shipped"])
    model = saliency.load(path)

The result is a file of weights that `saliency.load` reads.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from safbage import fixations, images, saliency
from safbage.errors import WorkError
from safbage.fixations import Scene
from safbage.runtime import weights
from safbage.runtime.arrays import check_space, fill_array
from safbage.runtime.backend import keras, ops
from safbage.runtime.epochs import EpochLog
from safbage.runtime.files import fingerprint
from safbage.runtime.work import resuming
from safbage.saliency import mlnet
from safbage.saliency.metrics import cc

TRAINED_PARTS = {"head": 5, "conv5": 4, "conv4": 3, "all": 0}
"""What `Recipe.train` names, to the number of VGG-16's blocks that stay frozen below it."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training.

    Attributes:
        train: "head" (convolutions and prior), "conv5" or "conv4" (VGG-16 from that block on, too)
            or "all". What is frozen runs once, and its output is kept on disk.
        size: height and width that scenes are fitted into; multiples of 8.
        scales: each batch is shown at one of these multiples of `size`, drawn at random; what is
            measured is shown at `size`.
        loss: "mlnet", the published one (equation 4), or "kl-cc".
        optimizer: "sgd" (momentum 0.9, Nesterov, the published one) or "adam".
        rate: learning rate at the start.
        decay: of the rate, either "time", rate / (1 + 0.0005 · step), as published, or "cosine", to
            0 at the last epoch.
        batch, epochs, dropout: scenes per step, epochs at most, share of the features dropped.
        patience: stop after so many epochs without a better CC on the scenes that choose.
        mirror: show a scene mirrored half of the time.
    """

    train: str
    size: tuple[int, int]
    loss: str
    optimizer: str
    rate: float
    decay: str
    batch: int = 10
    epochs: int = 20
    patience: int = 5
    dropout: float = 0.5
    mirror: bool = False
    scales: tuple[float, ...] = (1.0,)

    def __post_init__(self):
        named = {"train": TRAINED_PARTS, "loss": LOSSES, "optimizer": OPTIMIZERS, "decay": DECAYS}
        for name, allowed in named.items():
            given = getattr(self, name)
            if given not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}; got {given!r}")
        if len(self.size) != 2 or any(side < 80 or side % mlnet.STRIDE for side in self.size):
            raise ValueError(
                f"size is height and width, both multiples of {mlnet.STRIDE} and at least 80; "
                f"got {self.size}"
            )
        if not self.scales or not all(0.25 <= scale <= 4 for scale in self.scales):
            raise ValueError(f"scales lie between 0.25 and 4; got {self.scales}")
        counts = min(self.batch, self.epochs, self.patience)
        if counts < 1 or self.rate <= 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "batch, epochs and patience are at least 1, the rate above 0, "
                "dropout from 0 to below 1"
            )

    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of the scenes at each of the `scales`, to the nearest multiple of 8."""
        cells = [side / mlnet.STRIDE for side in self.size]
        return [
            tuple(mlnet.STRIDE * max(1, round(scale * side)) for side in cells)
            for scale in self.scales
        ]


def kl_cc_loss(fixation_maps, predictions):
    """``KL(truth, prediction) + (1 - CC)`` of maps N×h×w×1, both blind to the prediction's scale.

    These are the field's two differentiable metrics of maps, combined as by SAM (Cornia et al.
    2018). With this loss ML-Net's CC on unseen scenes gets further than with its own, in fewer
    epochs.
    """
    axes = (1, 2, 3)
    tiny = keras.config.epsilon()
    p = predictions / (ops.sum(predictions, axis=axes, keepdims=True) + tiny)
    q = fixation_maps / (ops.sum(fixation_maps, axis=axes, keepdims=True) + tiny)
    divergence = ops.sum(q * ops.log(tiny + q / (p + tiny)), axis=axes)
    p, q = p - ops.mean(p, axis=axes, keepdims=True), q - ops.mean(q, axis=axes, keepdims=True)
    norm = ops.sqrt(ops.sum(ops.square(p), axis=axes) * ops.sum(ops.square(q), axis=axes))
    return divergence + 1 - ops.sum(p * q, axis=axes) / (norm + tiny**2)


LOSSES = {"mlnet": mlnet.mlnet_loss, "kl-cc": kl_cc_loss}
schedules = keras.optimizers.schedules
DECAYS = {
    "time": lambda rate, steps: schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=5e-4),
    "cosine": lambda rate, steps: schedules.CosineDecay(rate, steps),
}
OPTIMIZERS = {
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "adam": lambda rate: keras.optimizers.Adam(rate),
}

RECIPES = {
    "paper": Recipe(
        train="all", size=(480, 640), loss="mlnet", optimizer="sgd", rate=1e-3, decay="time"
    ),
    "shipped": Recipe(
        train="conv4",
        size=(240, 320),
        loss="kl-cc",
        optimizer="adam",
        rate=1e-4,
        decay="cosine",
        epochs=6,
        mirror=True,
        scales=(0.8, 1.0, 1.3),
    ),
}
"""As published (section 3 and the authors' code), for a GPU; and what the shipped weights are made
with, for any laptop."""


def train(
    scenes: list[Scene],
    work: str | Path,
    recipe: Recipe | None = None,
    *,
    choosing: list[Scene] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Train ML-Net from ImageNet's VGG-16.

    Args:
        scenes: to train on.
        work: a folder for frozen features, checkpoints and the result. A killed run that is started
            again with the same settings goes on after its last whole epoch, and on a CPU ends with
            the same weights (with several scales, up to rounding).
        recipe: `RECIPES["shipped"]` by default.
        choosing: scenes by whose CC the best epoch is chosen; by default a tenth of `scenes`, which
            is then not trained on.
        seed: of everything random.
        progress: show bars.

    Returns:
        ``work/mlnet.safetensors``: what was trained; `saliency.load` takes it. ``work/log.json``
        has loss and CC per epoch.

    Raises:
        ValueError: fewer scenes than a batch, or none to choose by.
        WorkError: the folder was begun with other settings or scenes, holds damaged files, or
            cannot be written.
        WeightsError: VGG-16's weights are missing and cannot be fetched.
    """
    recipe, work = recipe or RECIPES["shipped"], Path(work)
    if choosing is None:
        scenes, choosing = fixations.hold_back(scenes, 0.1, seed=seed)
    if len(scenes) < recipe.batch or not choosing:
        raise ValueError(
            f"{len(scenes)} scenes to train on and {len(choosing)} to choose by; "
            f"at least {recipe.batch} and 1"
        )
    data = {"scenes": _fingerprint(scenes), "choosing": _fingerprint(choosing)}
    settings = data | {"seed": seed, "precision": keras.config.dtype_policy().name}
    with resuming(work, asdict(recipe) | settings):
        return _train(scenes, choosing, work, recipe, seed, progress)


def _train(scenes, choosing, work, recipe, seed, progress):
    keras.utils.set_random_seed(seed)
    shown = tqdm(scenes, desc="fixation maps", disable=not progress)
    targets = [
        np.stack(maps)
        for maps in zip(*(target_maps(scene, recipe.sizes()) for scene in shown), strict=True)
    ]
    blocks = TRAINED_PARTS[recipe.train]
    trunk = mlnet.mlnet_trunk(blocks) if blocks else None
    ways = 2 if recipe.mirror else 1
    inputs = [
        _Inputs(scenes, size, trunk, ways).kept(work / "features", progress)
        for size in recipe.sizes()
    ]
    judge = _Inputs(choosing, recipe.size, trunk).kept(work / "choosing", progress)
    model = _network(recipe)
    steps = -(-len(scenes) // recipe.batch)
    rate = DECAYS[recipe.decay](recipe.rate, recipe.epochs * steps)
    model.compile(OPTIMIZERS[recipe.optimizer](rate), loss=LOSSES[recipe.loss])
    model.optimizer.build(model.trainable_variables)

    log = EpochLog(work, lambda row: row["cc"])
    log.resume(model)
    begun = len(log.rows)
    shown = dict(total=recipe.epochs * steps, initial=begun * steps, disable=not progress)
    with tqdm(desc=f"{recipe.epochs} epochs", **shown) as bar:
        for epoch in range(begun, recipe.epochs):
            if log.rows and len(log.rows) - log.best >= recipe.patience:
                break
            bar.set_description(f"epoch {epoch + 1} of {recipe.epochs}")
            drawn = batches(inputs, targets, recipe, seed, epoch)
            if recipe.dropout:
                model.get_layer("dropout").seed_generator.state.assign([seed, epoch])
            row = {"epoch": epoch + 1, "loss": _epoch(model, drawn, bar)}
            row["cc"] = mean_correlation(model, judge)
            if not np.isfinite(row["loss"]):
                raise WorkError(
                    f"the loss of epoch {epoch + 1} is {row['loss']}: "
                    f"try a smaller learning rate than {recipe.rate}"
                )
            if row["cc"] == 0:
                raise WorkError("all maps are constant: the last ReLU is dead. Try another seed.")
            log.add(model, row)
            bar.set_postfix(loss=f"{row['loss']:.3f}", cc=f"{row['cc']:.3f}", best_epoch=log.best)
    log.load(model, log.best)
    tensors = {
        f"{layer.name}/{v.name}": np.asarray(v)
        for layer in model.layers
        for v in layer.trainable_weights
    }
    seen = sorted(scene.name for scene in [*scenes, *choosing])
    metadata = {
        "description": "ML-Net",
        "epoch": str(log.best),
        "scene_size": json.dumps(recipe.size),
        "seen": json.dumps(seen),
    }
    return weights.save(tensors, work / "mlnet.safetensors", metadata)


def _epoch(model, drawn, bar):
    """Train on batches; gives their mean loss. The bar moves on by one with each."""
    losses = []
    for x, y in drawn:
        losses.append(float(model.train_on_batch(x, y)))
        bar.update()
    return float(np.mean(losses))


def _network(recipe):
    """The part that is trained: frozen features (or pictures, with "all") to maps."""
    prior = tuple(side // mlnet.STRIDE // 10 for side in recipe.size)
    if recipe.train == "all":
        model = mlnet.mlnet(prior=prior, dropout=recipe.dropout)
        weights.assign(model, weights.load("vgg16-conv"))
        return model
    return mlnet.mlnet_top(TRAINED_PARTS[recipe.train], prior=prior, dropout=recipe.dropout)


def _fingerprint(scenes):
    """How many scenes, and a digest that another list of scenes does not have."""
    parts = []
    for scene in scenes:
        drawn = isinstance(scene.image, np.ndarray)
        content = scene.image if drawn else np.array(scene.image.stat().st_size)
        parts += [
            f"{scene.name} {scene.size} {scene.sigma}",
            scene.fixations.tobytes(),
            content.tobytes(),
        ]
    return f"{len(scenes)} scenes ({fingerprint(*parts)})"


class _Inputs:
    """What the trained part is given, by scene, all at one size: frozen features or, without a
    trunk, the pictures themselves. With two ways, each scene is there mirrored, too."""

    def __init__(self, scenes, size, trunk, ways=1):
        self.scenes, self.size, self.trunk, self.ways = scenes, size, trunk, ways
        self.features = None

    def kept(self, path, progress):
        """Itself, the features computed once and kept on disk."""
        if self.trunk is None:
            return self
        height, width = self.size
        path = path.with_name(f"{path.name}-{height}x{width}.npy")
        cells = [side // mlnet.STRIDE for side in self.size]
        rows, channels = self.ways * len(self.scenes), self.trunk.output_shape[-1]
        shape = (rows, *cells, channels)
        check_space(path, 2 * int(np.prod(shape)))
        words = f"features at {height}×{width}"
        filled = fill_array(path, shape, "float16", self._compute, 4, words, progress)
        self.features = filled.reshape(self.ways, len(self.scenes), *shape[1:])
        return self

    def _compute(self, part):
        mirrored, index = np.divmod(np.arange(part.start, part.stop), len(self.scenes))
        return self.trunk.predict_on_batch(self._pictures(index, mirrored))

    def _pictures(self, index, mirrored):
        pictures = [images.pad_to(self.scenes[i].pixels(), self.size) for i in index]
        turned = [p[:, ::-1] if m else p for p, m in zip(pictures, mirrored, strict=True)]
        return np.stack(turned).astype("float32")

    def __call__(self, index, mirrored):
        if self.features is None:
            return self._pictures(index, mirrored)
        return np.asarray(self.features[mirrored, index], "float32")


def target_maps(scene, sizes):
    """A scene's fixation map, padded as the scene is, in the network's cells (h×w×1, at most 1), at
    each of some sizes."""
    whole = scene.fixation_map()
    return [_in_cells(images.pad_to(whole, size), size) for size in sizes]


def _in_cells(padded, size):
    small = images.resize(padded, tuple(side // mlnet.STRIDE for side in size))
    return saliency.normalize(small)[:, :, None]


def batches(inputs, targets, recipe, seed, epoch) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """An epoch's batches, in an order and at scales that seed and epoch alone decide.

    `inputs` and `targets` have one entry for each scale.
    """
    count = len(targets[0])
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(count)
    mirrored = generator.integers(0, 2 if recipe.mirror else 1, count)
    for i in range(0, count, recipe.batch):
        index = order[i : i + recipe.batch]
        flip = mirrored[index]
        scale = generator.integers(len(recipe.scales))
        maps = targets[scale][index]
        maps = np.where(flip[:, None, None, None] == 1, maps[:, :, ::-1], maps)
        yield inputs[scale](index, flip), maps


def mean_correlation(model, inputs):
    """Mean CC of what the network answers to scenes with their maps."""
    values = []
    for i, scene in enumerate(inputs.scenes):
        maps = model.predict_on_batch(inputs(np.array([i]), np.array([0])))
        found = images.unpad(np.asarray(maps, "float32")[0, :, :, 0], scene.size, inputs.size)
        values.append(cc(found, scene.fixation_map()))
    return float(np.mean(values))
