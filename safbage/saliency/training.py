"""Training ML-Net on recorded fixations, whole or over a frozen trunk, so that a killed run goes on as if it had not been.

rest, held_back = fixations.hold_back(fixations.read("osie"))
path = saliency_training.train(rest, "work/osie", RECIPES["shipped"])
network = mlnet.load(path)
"""

import hashlib
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
from safbage.runtime.work import resuming
from safbage.saliency import mlnet
from safbage.saliency.metrics import cc

TRAINED_PARTS = {"head": 5, "conv5": 4, "conv4": 3, "all": 0}
"""What `Recipe.train` names, to the number of VGG-16's blocks that stay frozen below it."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training.

    Attributes:
        train: "head" (convolutions and prior), "conv5" or "conv4" (VGG-16 from that block on, too) or "all". What is frozen
            runs once, and its output is kept on disk.
        size: height and width that scenes are fitted into; multiples of 8.
        loss: "mlnet", the published one (equation 4), or "kl-cc".
        optimizer: "sgd" (momentum 0.9, Nesterov, the published one) or "adam".
        rate: learning rate at the start.
        decay: of the rate, either "time", rate / (1 + 0.0005 · step), as published, or "cosine", to 0 at the last epoch.
        batch, epochs, dropout: as they say.
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

    def __post_init__(self):
        for name, allowed in (("train", TRAINED_PARTS), ("loss", LOSSES), ("optimizer", OPTIMIZERS), ("decay", DECAYS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}; got {getattr(self, name)!r}")
        if len(self.size) != 2 or any(side < 80 or side % mlnet.STRIDE for side in self.size):
            raise ValueError(f"size is height and width, both multiples of {mlnet.STRIDE} and at least 80; got {self.size}")
        if min(self.batch, self.epochs, self.patience) < 1 or self.rate <= 0 or not 0 <= self.dropout < 1:
            raise ValueError("batch, epochs and patience are at least 1, the rate above 0, dropout from 0 to below 1")


def kl_cc_loss(fixation_maps, predictions):
    """``KL(truth, prediction) + (1 - CC)`` of maps N×h×w×1, both blind to the prediction's scale.

    Both metrics of the field that compare maps, each differentiable, instead of ML-Net's weighted square (as SAM, Cornia et
    al. 2018, combines them). Here it takes ML-Net's CC on unseen scenes further, and in fewer epochs.
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
DECAYS = {
    "time": lambda rate, steps: keras.optimizers.schedules.InverseTimeDecay(rate, decay_steps=1, decay_rate=5e-4),
    "cosine": lambda rate, steps: keras.optimizers.schedules.CosineDecay(rate, steps),
}
OPTIMIZERS = {
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "adam": lambda rate: keras.optimizers.Adam(rate),
}

RECIPES = {
    "paper": Recipe(train="all", size=(480, 640), loss="mlnet", optimizer="sgd", rate=1e-3, decay="time"),
    "shipped": Recipe(
        train="conv5", size=(240, 320), loss="kl-cc", optimizer="adam", rate=1e-4, decay="cosine", epochs=10, mirror=True
    ),
}
"""As published (section 3 and the authors' code), for a GPU; and what the shipped weights are made with, for any laptop."""


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
        work: a folder for frozen features, checkpoints and the result. A killed run that is started again with the same
            settings goes on after its last whole epoch, and on a CPU ends with the same weights.
        recipe: `RECIPES["shipped"]` by default.
        choosing: scenes by whose CC the best epoch is chosen; by default a tenth of `scenes`, which is then not trained on.
        seed: of everything random.
        progress: show bars.

    Returns:
        ``work/mlnet.safetensors``: what was trained; `mlnet.load` takes it. ``work/log.json`` has loss and CC per epoch.

    Raises:
        ValueError: fewer scenes than a batch, or none to choose by.
        WorkError: the folder was begun with other settings or scenes, holds damaged files, or cannot be written.
        WeightsError: VGG-16's weights are missing and cannot be fetched.
    """
    recipe, work = recipe or RECIPES["shipped"], Path(work)
    if choosing is None:
        scenes, choosing = fixations.hold_back(scenes, 0.1, seed=seed)
    if len(scenes) < recipe.batch or not choosing:
        raise ValueError(f"{len(scenes)} scenes to train on and {len(choosing)} to choose by; at least {recipe.batch} and 1")
    data = {"scenes": _fingerprint(scenes), "choosing": _fingerprint(choosing)}
    with resuming(work, asdict(recipe) | data | {"seed": seed, "precision": keras.config.dtype_policy().name}):
        return _train(scenes, choosing, work, recipe, seed, progress)


def _train(scenes, choosing, work, recipe, seed, progress):
    keras.utils.set_random_seed(seed)
    targets = np.stack([target_map(scene, recipe.size) for scene in tqdm(scenes, desc="fixation maps", disable=not progress)])
    inputs = _Inputs([*scenes, *choosing], work, recipe, progress)
    model = _network(recipe)
    steps = -(-len(scenes) // recipe.batch)
    optimizer = OPTIMIZERS[recipe.optimizer](DECAYS[recipe.decay](recipe.rate, recipe.epochs * steps))
    model.compile(optimizer, loss=LOSSES[recipe.loss])
    model.optimizer.build(model.trainable_variables)

    log = EpochLog(work, lambda row: row["cc"])
    log.resume(model)
    epochs = tqdm(range(len(log.rows), recipe.epochs), "epochs", recipe.epochs, initial=len(log.rows), disable=not progress)
    for epoch in epochs:
        if log.rows and len(log.rows) - log.best >= recipe.patience:
            break
        drawn = batches(inputs, targets, recipe, seed, epoch)
        if recipe.dropout:
            model.get_layer("dropout").seed_generator.state.assign([seed, epoch])
        bar = tqdm(drawn, total=steps, desc=f"epoch {epoch + 1}", leave=False, disable=not progress)
        losses = [float(model.train_on_batch(x, y)) for x, y in bar]
        correlations = [correlation(model, inputs, len(scenes) + i, scene) for i, scene in enumerate(choosing)]
        row = {"epoch": epoch + 1, "loss": float(np.mean(losses)), "cc": float(np.mean(correlations))}
        if not np.isfinite(row["loss"]):
            raise WorkError(f"the loss of epoch {epoch + 1} is {row['loss']}: try a smaller learning rate than {recipe.rate}")
        if row["cc"] == 0:
            raise WorkError("all maps are constant: the last ReLU is dead. Try another seed.")
        log.add(model, row)
        epochs.set_postfix(loss=f"{row['loss']:.3f}", cc=f"{row['cc']:.3f}", best_epoch=log.best)
    log.load(model, log.best)
    tensors = {f"{layer.name}/{v.name}": np.asarray(v) for layer in model.layers for v in layer.trainable_weights}
    seen = sorted(scene.name for scene in [*scenes, *choosing])
    metadata = {"description": "ML-Net", "epoch": str(log.best), "scene_size": json.dumps(recipe.size), "seen": json.dumps(seen)}
    return weights.save(tensors, work / "mlnet.safetensors", metadata)


def _network(recipe):
    """The part that is trained: frozen features (or pictures, with "all") to maps."""
    prior = tuple(side // mlnet.STRIDE // 10 for side in recipe.size)
    if recipe.train == "all":
        model = mlnet.mlnet(prior=prior, dropout=recipe.dropout)
        weights.assign(model, weights.load("vgg16-conv"))
        return model
    return mlnet.mlnet_top(TRAINED_PARTS[recipe.train], prior=prior, dropout=recipe.dropout)


def _fingerprint(scenes):
    """A few words for a list of scenes, other ones for any other list."""
    total = hashlib.sha256()
    for scene in scenes:
        content = scene.image if isinstance(scene.image, np.ndarray) else np.array(scene.image.stat().st_size)
        total.update(f"{scene.name} {scene.size} {scene.sigma}".encode() + scene.fixations.tobytes() + content.tobytes())
    return f"{len(scenes)} scenes ({total.hexdigest()[:8]})"


class _Inputs:
    """What the trained part is given, by scene: frozen features from disk, computed once, or the pictures themselves."""

    def __init__(self, scenes, work, recipe, progress):
        self.scenes, self.size, self.features = scenes, recipe.size, None
        blocks = TRAINED_PARTS[recipe.train]
        if not blocks:
            return
        trunk = mlnet.mlnet_trunk(blocks)
        shape = (2 if recipe.mirror else 1, len(scenes), *(side // mlnet.STRIDE for side in self.size))
        flat = (shape[0] * shape[1], *shape[2:], trunk.output_shape[-1])
        check_space(work / "features.npy", 2 * int(np.prod(flat)))
        self.features = fill_array(
            work / "features.npy", flat, "float16", lambda part: self._compute(trunk, part), 4, "features", progress
        ).reshape(*shape, flat[-1])

    def _compute(self, trunk, part):
        mirrored, index = np.divmod(np.arange(part.start, part.stop), len(self.scenes))
        return trunk.predict_on_batch(self._pictures(index, mirrored))

    def _pictures(self, index, mirrored):
        pictures = [images.pad_to(self.scenes[i].pixels(), self.size) for i in index]
        return np.stack([p[:, ::-1] if m else p for p, m in zip(pictures, mirrored, strict=True)]).astype("float32")

    def __call__(self, index, mirrored):
        if self.features is None:
            return self._pictures(index, mirrored)
        return np.asarray(self.features[mirrored, index], "float32")


def target_map(scene, size):
    """A scene's fixation map, padded as the scene is, at the network's resolution (h×w×1), maximum 1."""
    padded = images.pad_to(scene.fixation_map(), size)
    map = images.resize(padded, tuple(side // mlnet.STRIDE for side in size))
    return saliency.normalize(map)[:, :, None]


def batches(inputs, targets, recipe, seed, epoch) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """An epoch's batches, in an order that seed and epoch alone decide."""
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(targets))
    mirrored = generator.integers(0, 2 if recipe.mirror else 1, len(targets))
    for i in range(0, len(order), recipe.batch):
        index = order[i : i + recipe.batch]
        flip = mirrored[index]
        maps = np.where(flip[:, None, None, None] == 1, targets[index, :, ::-1], targets[index])
        yield inputs(index, flip), maps


def correlation(model, inputs, index, scene):
    """CC of what the network answers to a scene, by its place among the inputs, with its fixation map."""
    map = np.asarray(model.predict_on_batch(inputs(np.array([index]), np.array([0]))), "float32")[0, :, :, 0]
    return cc(images.unpad(map, scene.size, inputs.size), scene.fixation_map())
