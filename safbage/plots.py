"""Figures. Every function draws into `ax` (or a new one) and returns it; maps have a fixed 0–1 scale."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from safbage import cam, classifiers, images
from safbage.faces import Face
from safbage.fixations import Scene
from safbage.pipeline import Explanation

MAP_COLOURS = "viridis"
CAM_COLOURS = "inferno"
BOX_COLOUR = "#ffb000"
BAR_COLOUR, ANSWER_COLOUR = "#b8c4d0", "#1f5a94"
VIEWER_COLOURS = ("#ffb000", "#fe6100", "#648fff")
SHOWN_SIDE = 900
"""Photos are reduced to this longer side for drawing."""
FACES_SHOWN = 4


def image(picture: np.ndarray, *, title: str = "", ax=None):
    """A picture, H×W×3 uint8, without axes."""
    ax = ax or plt.subplots()[1]
    ax.imshow(picture)
    ax.set_title(title)
    ax.set_axis_off()
    return ax


def map(values: np.ndarray, *, title: str = "", colour_bar: bool = True, ax=None):
    """A map in [0, 1] (h×w) by itself, cell by cell."""
    ax = ax or plt.subplots()[1]
    shown = ax.imshow(values, cmap=MAP_COLOURS, vmin=0, vmax=1)
    if colour_bar:
        _colour_bar(shown, ax)
    ax.set_title(title)
    ax.set_axis_off()
    return ax


def _colour_bar(shown, ax):
    beside = ax.inset_axes([1.03, 0, 0.05, 1])
    ax.figure.colorbar(plt.cm.ScalarMappable(shown.norm, shown.cmap), cax=beside, ticks=[0, 0.5, 1])


def fixations(scene: Scene, *, highlight: int = 3, title: str = "", ax=None):
    """A scene with its fixations as dots: a few viewers in strong colours, joined in their order, all others white."""
    ax = image(scene.pixels(), title=title, ax=ax)
    viewers = np.unique(scene.subjects)
    others = scene.fixations[~np.isin(scene.subjects, viewers[:highlight])]
    ax.scatter(*others.T, c="white", s=12, edgecolors="black", linewidths=0.4)
    for viewer, colour in zip(viewers[:highlight], VIEWER_COLOURS, strict=False):
        ax.plot(
            *scene.fixations[scene.subjects == viewer].T, "o-", color=colour, markersize=5, linewidth=0.8, mec="black", mew=0.4
        )
    return ax


def boxes(photo: np.ndarray, faces: Sequence[Face], *, labels: Sequence[str] = (), title: str = "", ax=None):
    """A photo with its faces boxed and, where given, labelled; a face's number is its row in the table."""
    scale = min(1.0, SHOWN_SIDE / max(photo.shape[:2]))
    small = images.resize(photo, tuple(max(1, round(side * scale)) for side in photo.shape[:2])) if scale < 1 else photo
    ax = image(small, title=title, ax=ax)
    for i, face in enumerate(faces):
        left, top, width, height = (side * scale for side in face.box)
        ax.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=BOX_COLOUR, linewidth=2))
        label = labels[i] if i < len(labels) else ""
        if label:
            box = dict(facecolor=BOX_COLOUR, edgecolor="none", pad=1.5)
            ax.text(left, top, label, fontsize=8, va="bottom", bbox=box, clip_on=True)
    return ax


def overlay(face: np.ndarray, map: np.ndarray, *, colours: str = MAP_COLOURS, title: str = "", colour_bar=True, ax=None):
    """A map in [0, 1] (h×w, any size) laid over a grey face (H×W×3 uint8)."""
    ax = ax or plt.subplots()[1]
    height, width = face.shape[:2]
    ax.imshow(face.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    smooth = np.clip(images.resize(np.ascontiguousarray(map, "float32"), (height, width)), 0, 1)
    shown = ax.imshow(smooth, cmap=colours, vmin=0, vmax=1, alpha=0.25 + 0.55 * smooth)
    if colour_bar:
        _colour_bar(shown, ax)
    ax.set_title(title)
    ax.set_axis_off()
    return ax


def saliency(face: np.ndarray, map: np.ndarray, *, title: str = "saliency", ax=None):
    """Where people would look: an ML-Net map over its face."""
    return overlay(face, map, colours=MAP_COLOURS, title=title, ax=ax)


def probabilities(task: str, values: np.ndarray, *, title: str | None = None, ax=None):
    """A task's probabilities (C values) as bars, the answer in the strong colour."""
    ax = ax or plt.subplots()[1]
    names, best = classifiers.CLASSES[task], int(np.argmax(values))
    ax.barh(names, values, color=[ANSWER_COLOUR if i == best else BAR_COLOUR for i in range(len(names))])
    room = 0.5 + max(0, 5 - len(names)) / 2  # two bars alone would be as thick as beams
    ax.set_ylim(len(names) - 1 + room, -room)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title(f"{task}: {names[best]} ({values[best]:.0%})" if title is None else title)
    return ax


def class_activation(seen: Explanation, task: str, *, face: int = 0, target: int | None = None, ax=None):
    """Where a class's evidence lies (the answer's, unless `target` names another), over the reweighted face."""
    target = int(np.argmax(seen.probabilities[task][face])) if target is None else target
    map = cam.normalize(seen.cams[task][face, :, :, target])
    title = f"CAM of {task}: {classifiers.CLASSES[task][target]}"
    return overlay(seen.reweighted[face], map, colours=CAM_COLOURS, title=title, ax=ax)


def explanation(seen: Explanation) -> Figure:
    """One photo through every stage: box, crop, saliency, reweighted face; per task its CAM and its probabilities.

    Several faces are boxed and numbered in a picture on top, as in the table; the surest `FACES_SHOWN` are shown below it.
    Each CAM is stretched to its own 0–1. Needs an `Explanation` that kept its image.

    Raises:
        ValueError: the photo has no face, or the image was not kept.
    """
    if not seen.faces or seen.image is None:
        raise ValueError(f"nothing to draw for {seen.photo}: {seen.status}")
    shown = min(len(seen.faces), FACES_SHOWN)
    tasks = list(seen.probabilities)
    several = len(seen.faces) > 1
    figure = plt.figure(figsize=(15, 6.9 * (shown + several)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    blocks = list(figure.subfigures(shown + several, 1, squeeze=False, hspace=0.04)[:, 0])
    if several:
        below = f"; the {shown} surest below" if len(seen.faces) > shown else ""
        title = f"{Path(seen.photo).name}: {len(seen.faces)} faces{below}"
        boxes(seen.image, seen.faces, labels=[str(i) for i in range(len(seen.faces))], title=title, ax=blocks.pop(0).subplots())
    for i, block in enumerate(blocks):
        top, bottom = block.subfigures(2, 1, height_ratios=[1.3, 1])
        photo, crop, map, reweighted = top.subplots(1, 4)
        name = f"face {i}" if several else "detected"
        boxes(seen.image, [seen.faces[i]], title=f"{name} (score {seen.faces[i].score:.3f})", ax=photo)
        image(seen.crops[i], title="cropped, 30 % wider", ax=crop)
        saliency(seen.crops[i], seen.maps[i], title="where people look (ML-Net)", ax=map)
        image(seen.reweighted[i], title=f"reweighted, ratio {seen.ratio:.0%}", ax=reweighted)
        axes = bottom.subplots(1, 2 * len(tasks), width_ratios=[1.25, 0.75] * len(tasks))
        for task, map, bars in zip(tasks, axes[::2], axes[1::2], strict=True):
            class_activation(seen, task, face=i, ax=map)
            values = seen.probabilities[task][i]
            probabilities(task, values, title=f"{classifiers.CLASSES[task][values.argmax()]} ({values.max():.0%})", ax=bars)
    return figure
