"""Embeddings: what a trunk's last features come to, a row of numbers for each face."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from safbage import classifiers
from safbage.classifiers.parts import face_input, pooled
from safbage.datasets.shards import Prepared
from safbage.experiments import Arm
from safbage.runtime import weights
from safbage.runtime.backend import check_process, keras
from safbage.training import features
from safbage.training.recipes import AS_IS


@dataclass(frozen=True)
class Trunk:
    """A network whose last features embed faces.

    Attributes:
        layer: whose output is averaged over the face's cells.
        learnt_from: what the weights have seen.
        build: gives the network, faces (N×224×224×3, RGB 0–255) to N×D.
    """

    layer: str
    learnt_from: str
    build: Callable[[], keras.Model]


def _shipped():
    ships, face = classifiers.network("face-mobilenet").ships, face_input()
    (last,) = ships.features(face, [""])
    model = keras.Model(face, pooled(last), name="face_mobilenet_embedding")
    weights.assign(model, ships.tensors(()))
    return model


def _imagenet(name):
    return classifiers.split_at(classifiers.classifier(name, 2), "softmax")[0]


TRUNKS = {
    "face-mobilenet": Trunk(
        "conv_pw_13",
        "people of VGGFace2 first; then age, gender and expression from UTKFace, FairFace, "
        "FER2013, RAF-DB and APPA-REAL, whose faces were reweighted, mostly at 30 %",
        _shipped,
    ),
    "alexnet": Trunk("conv5", "ImageNet alone", lambda: _imagenet("alexnet-gap")),
    "efficientnet-lite2": Trunk("top", "ImageNet alone", lambda: _imagenet("efficientnet-lite2")),
}
"""By name. None was trained here to tell people apart."""


def embedder(name: str) -> keras.Model:
    """A trunk with its last features averaged: faces N×224×224×3 (RGB 0–255) to N×D.

    D is 1,024 for "face-mobilenet", 256 for "alexnet", 1,280 for "efficientnet-lite2".

    Raises:
        ValueError: no such trunk.
        WeightsError: its weights are missing and cannot be fetched, or are damaged.
    """
    check_process()
    if name not in TRUNKS:
        raise ValueError(f"no trunk {name!r}; there are {', '.join(TRUNKS)}")
    return TRUNKS[name].build()


def embed(prepared: Prepared, arm: Arm, folder: str | Path, *, progress: bool = True) -> np.ndarray:
    """Embeddings of all prepared faces, reweighted as the arm says.

    They are computed once, kept on disk as float16, and a killed run goes on (see
    `training.features.cached`).

    Args:
        prepared: N faces with their maps.
        arm: trunk, ratio and formula.
        folder: where embeddings are kept.
        progress: show a bar.

    Returns:
        N×D float32, in the order of ``prepared.table``; each row has length 1, or is zero where the
        trunk answers zeros.

    Raises:
        ValueError: no such trunk.
        WorkError: the folder cannot be written, or holds something damaged.
    """
    return normalize(last_features(prepared, arm, folder, progress=progress))


def last_features(
    prepared: Prepared, arm: Arm, folder: str | Path, *, progress: bool = True
) -> np.ndarray:
    """What `embed` normalises: the trunk's last features, averaged over the face, N×D float32.

    Arguments and errors are those of `embed`.
    """
    rows = np.arange(len(prepared))
    images = features.Images(prepared, (AS_IS,), arm.ratio, arm.mode)
    name = f"{arm.network} {TRUNKS[arm.network].layer}" if arm.network in TRUNKS else arm.network
    found = features.cached(images, rows, embedder(arm.network), name, Path(folder), progress)
    return found(rows, np.zeros(len(rows), int))


def normalize(embeddings: np.ndarray) -> np.ndarray:
    """Rows (N×D) divided by their lengths, so that their dot products are cosines; zeros stay."""
    embeddings = np.asarray(embeddings, "float32")
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return embeddings / np.where(lengths > 0, lengths, 1)
