"""Where the evidence for a class lies in a face.

Class activation maps (Zhou et al. 2016; the paper's section 5, Figure 4) and their kin.
`class_activation_maps` needs a network that ends in pooling and softmax, as AlexNet-GAP does.
`grad_cam`, `grad_cam_plus_plus` and `occlusion` take any network of `classifiers.classifier`, on
any backend. All give raw maps, in which zero means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from safbage import images
from safbage.runtime.process import check_process
from safbage.saliency import metrics

if TYPE_CHECKING:  # Keras is here with the models; those who draw maps alone need none
    from safbage.runtime.backend import keras

BATCH = 32
"""Faces that go through a network together."""


def class_activation_maps(features: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """CAM of every class: the features weighted by that class's softmax weights.

    A map's mean, plus the class's bias, is the score that enters the softmax.

    Args:
        features: output of the last convolution, h×w×K (or N×h×w×K).
        kernel: weights from the pooled features to the classes, K×C.

    Returns:
        h×w×C float32 (or N×h×w×C), one map per class, of any sign and range; see `contrast`.

    Raises:
        ValueError: features and kernel do not fit.
    """
    return np.asarray(features, "float32") @ np.asarray(kernel, "float32")


def contrast(maps: np.ndarray) -> np.ndarray:
    """Each class's map minus the mean of the others': what speaks for the class or against it.

    A softmax sees differences only. What is added to all classes alike changes no answer, and is
    zero here. The mean of such a map, plus `contrast` of the biases, is the class's score minus the
    mean of the others'. With two classes it is the whole answer, as log-odds.

    Args:
        maps: raw maps h×w×C or N×h×w×C (or C biases), classes last.

    Returns:
        As `maps`, float32; the classes sum to zero at every place.

    Raises:
        ValueError: there are fewer than two classes.
    """
    maps = np.asarray(maps, "float32")
    if maps.ndim == 0 or maps.shape[-1] < 2:
        raise ValueError(
            f"expected maps of two or more classes, classes last; got shape {maps.shape}"
        )
    others = (maps.sum(axis=-1, keepdims=True) - maps) / (maps.shape[-1] - 1)
    return maps - others


def grad_cam(
    model: keras.Model,
    faces: np.ndarray,
    *,
    target: int | Sequence[int] | None = None,
    layer: str | None = None,
) -> np.ndarray:
    """Grad-CAM (Selvaraju et al. 2017) of a layer.

    Each feature is weighted by the mean gradient of the class's score by it. On a network that ends
    in pooling and softmax this is CAM where that is positive, up to scale.

    Args:
        model: faces to probabilities; its last layer is a softmax, with or without weights.
        faces: N×H×W×3 in 0–255, as the network takes them: reweighted, where it learnt so.
        target: the class's number, one for all faces or one each; the class that the network
            answers where None.
        layer: name of the layer whose features are looked at; by default `last_convolution`.

    Returns:
        N×h×w float32, ≥ 0, of the layer's size and any range.

    Raises:
        ValueError: faces, target or layer do not fit the network, or its last layer is not a
            softmax.
    """
    features, gradient = _evidence(model, faces, target, layer)
    return np.maximum((features * gradient.mean(axis=(1, 2), keepdims=True)).sum(axis=-1), 0)


def grad_cam_plus_plus(
    model: keras.Model,
    faces: np.ndarray,
    *,
    target: int | Sequence[int] | None = None,
    layer: str | None = None,
) -> np.ndarray:
    """Grad-CAM++ (Chattopadhay et al. 2018), which tells several traces of one class apart.

    As `grad_cam`, but only gradients that speak for the class weigh, and places that share a
    feature with few others weigh more.

    This is the paper's equations 10 and 19 with the exponential of the score, which only scales
    the map. (The authors' code and tf-keras-vis also divide each feature's shares by their sum; the
    equations do not.)
    """
    features, gradient = _evidence(model, faces, target, layer)
    speaking = np.maximum(gradient, 0)
    shares = speaking / (2 + features.sum(axis=(1, 2), keepdims=True) * speaking)
    return np.maximum((features * shares.sum(axis=(1, 2), keepdims=True)).sum(axis=-1), 0)


def occlusion(
    model: keras.Model,
    faces: np.ndarray,
    *,
    target: int | Sequence[int] | None = None,
    size: int = 32,
    stride: int = 16,
    fill: float | None = None,
) -> np.ndarray:
    """Occlusion (Zeiler and Fergus 2014): how far a probability falls when a place is hidden.

    A grey patch hides it. This asks nothing of the network's insides, and needs many answers: 169 a
    face by default.

    Args:
        model: as `grad_cam` takes it, and the next two.
        faces: N×H×W×3.
        target: the class.
        size: side of the patch in pixels.
        stride: its step in pixels.
        fill: the patch's value, 0–255; by default each face's mean colour.

    Returns:
        N×H×W float32 in [−1, 1]: at each pixel the mean fall over all patches that hide it;
        negative where hiding helps.

    Raises:
        ValueError: faces, target, size or stride do not fit.
    """
    faces = _checked(model, faces)
    height, width = faces.shape[1:3]
    if not (1 <= stride <= size <= min(height, width)):
        raise ValueError(
            f"expected 1 ≤ stride ≤ size ≤ {min(height, width)}; "
            f"got stride {stride} and size {size}"
        )
    tops, lefts = _steps(height, size, stride), _steps(width, size, stride)
    answers = _predicted(model, faces)
    maps = []
    for face, answer, wanted in zip(faces, answers, _targets(target, answers), strict=True):
        fall, hidden = np.zeros((height, width)), np.zeros((height, width))
        colour = face.mean(axis=(0, 1)) if fill is None else fill
        for top in tops:
            patched = np.repeat(face[None], len(lefts), axis=0)
            for one, left in zip(patched, lefts, strict=True):
                one[top : top + size, left : left + size] = colour
            probabilities = _predicted(model, patched)[:, wanted]
            for left, probability in zip(lefts, probabilities, strict=True):
                place = (slice(top, top + size), slice(left, left + size))
                fall[place] += answer[wanted] - probability
                hidden[place] += 1
        maps.append(fall / hidden)
    return np.stack(maps).astype("float32")


def last_convolution(model: keras.Model) -> str:
    """The last layer with places (a 4-D output) that is no pooling: as AlexNet's "conv5".

    Raises:
        ValueError: there is none.
    """
    from safbage.runtime.backend import layers

    passing = (layers.MaxPooling2D, layers.AveragePooling2D, layers.Dropout)
    for layer in reversed(model.layers):
        if len(layer.output.shape) == 4 and not isinstance(layer, passing):
            return layer.name
    raise ValueError(f"{model.name} has no layer with places")


def agreement(
    maps: np.ndarray, cams: np.ndarray, answers: Sequence[str] | None = None
) -> pd.DataFrame:
    """How far where people look (saliency) is where a class's evidence lies (CAM), face by face.

    Args:
        maps: saliency, N×h×w, ≥ 0.
        cams: raw class activation maps, N×k×l; brought to the maps' size.
        answers: the class of each CAM, to be kept beside it.

    Returns:
        A row per face: `correlation` (Pearson's, −1 to 1, 0 where either is flat), `shared` (the
        common mass of the saliency and the CAM's positive part, each of sum 1: from 0, apart, to 1,
        equal) and `answer` where given.

    Raises:
        ValueError: there are not as many of each.
    """
    maps, cams = np.asarray(maps, "float32"), np.asarray(cams, "float32")
    if (
        maps.ndim != 3
        or cams.ndim != 3
        or len(maps) != len(cams)
        or (answers is not None and len(answers) != len(maps))
    ):
        raise ValueError(
            "expected as many maps N×h×w as CAMs N×k×l and answers; "
            f"got {maps.shape} and {cams.shape}"
        )
    rows = []
    for saliency_map, cam in zip(maps, cams, strict=True):
        cam = images.resize(cam, saliency_map.shape)
        shared = metrics.sim(saliency_map, np.maximum(cam, 0)) if (cam > 0).any() else 0.0
        rows.append({"correlation": metrics.cc(saliency_map, cam), "shared": shared})
    table = pd.DataFrame(rows, columns=["correlation", "shared"], dtype=float)
    return table if answers is None else table.assign(answer=list(answers))


def agreement_by_class(table: pd.DataFrame) -> pd.DataFrame:
    """`agreement` by answer: `faces`, and `correlation` and `shared` as mean and standard error.

    The error of a single face is NaN.
    """
    groups = table.groupby("answer", sort=False)
    columns = {"faces": groups.size()}
    for name in ("correlation", "shared"):
        columns |= {name: groups[name].mean(), f"± {name}": groups[name].sem()}
    return pd.DataFrame(columns)


def _evidence(model, faces, target, layer):
    """A layer's features, N×h×w×K, and the gradient by them of the score before the softmax."""
    from safbage.classifiers import split_after
    from safbage.runtime.backend import keras, layers, ops, value_and_gradient

    faces = _checked(model, faces)
    below, _ = split_after(model, layer or last_convolution(model))
    softmax = model.layers[-1]
    dense = isinstance(softmax, layers.Dense) and softmax.activation is keras.activations.softmax
    if not dense and not isinstance(softmax, layers.Softmax):
        raise ValueError(
            f"{model.name} ends in {softmax.name}; expected a Dense layer with softmax, or Softmax"
        )
    if len(below.outputs[0].shape) != 4:
        raise ValueError(
            f"the output of {layer} has no places; "
            f"choose a convolution, such as {last_convolution(model)}"
        )
    before = keras.Model(below.outputs[0], softmax.input)

    def score(x, chosen):
        scores = ops.cast(before(x, training=False), "float32")
        if dense:
            kernel, bias = (ops.cast(v, "float32") for v in (softmax.kernel, softmax.bias))
            scores = ops.matmul(scores, kernel) + bias
        return ops.sum(ops.multiply(scores, chosen), axis=-1)

    classes = model.outputs[0].shape[-1]
    chosen = np.eye(classes, dtype="float32")[_targets(target, _predicted(model, faces))]
    found = []
    for i in range(0, len(faces), BATCH):
        features = np.asarray(below.predict_on_batch(faces[i : i + BATCH]), "float32")
        own = chosen[i : i + BATCH]
        found.append((features, value_and_gradient(lambda x, own=own: score(x, own), features)[1]))
    features, gradients = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return features, gradients


def _checked(model, faces):
    """The faces as float32; ValueError where they do not fit the network."""
    check_process()
    faces, expected = np.asarray(faces), tuple(model.inputs[0].shape[1:])
    if len(model.inputs) != 1 or faces.shape[1:] != expected or not len(faces):
        size = "×".join(str(side) for side in expected)
        raise ValueError(f"{model.name} takes one or more faces N×{size}; got {faces.shape}")
    return faces.astype("float32")


def _predicted(model, faces):
    """Probabilities N×C."""
    parts = [model.predict_on_batch(faces[i : i + BATCH]) for i in range(0, len(faces), BATCH)]
    return np.asarray(np.concatenate(parts), "float32")


def _targets(target, probabilities):
    """A class's number for each face."""
    count, classes = probabilities.shape
    if target is None:
        return probabilities.argmax(axis=1)
    targets = np.full(count, target) if np.ndim(target) == 0 else np.asarray(target)
    whole = targets.shape == (count,) and np.issubdtype(targets.dtype, np.integer)
    if not whole or targets.min() < 0 or targets.max() >= classes:
        raise ValueError(
            f"target is a class from 0 to {classes - 1}, "
            f"one for all or one for each of {count} faces; got {target}"
        )
    return targets


def _steps(length, size, stride):
    """Where patches begin so that they cover a side whole."""
    return sorted({*range(0, length - size + 1, stride), length - size})
