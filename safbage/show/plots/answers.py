"""What was answered about a photo, and why: each stage, the evidence, the probabilities."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from safbage import cam
from safbage.pipeline import Explanation
from safbage.show.plots import style
from safbage.show.plots.pictures import (
    EVIDENCE_COLOURS,
    MAP_COLOURS,
    boxes,
    by_size,
    evidence,
    image,
    saliency,
)
from safbage.tasks import CLASSES

__all__ = [
    "FACES_SHOWN",
    "FACES_WORDED",
    "LEAST_REACH",
    "class_activation",
    "evidence_of",
    "evidence_reach",
    "explanation",
    "probabilities",
    "reweighted_view",
]

LEAST_REACH = 10
"""The least reach of a scale of class activation maps, in scores: next to nothing must not glow."""
FACES_SHOWN = 4
"""How many faces of a group photo get a row each."""
FACES_WORDED = 12
"""Up to how many faces of a group photo have answers at their boxes; in a larger group, numbers."""


def probabilities(task: str, values: np.ndarray, *, title: str | None = None, ax=None):
    """A task's probabilities (C values) as bars, the answer in the strong colour."""
    names, best = CLASSES[task], int(np.argmax(values))
    ax = style.axes(ax, (5, 1 + 0.24 * max(5, len(names))))
    ax.barh(names, values, color=style.BAR_COLOUR)
    ax.patches[best].set_facecolor(style.ANSWER_COLOUR)
    room = 0.5 + max(0, 5 - len(names)) / 2  # two bars alone would be as thick as beams
    ax.set_ylim(len(names) - 1 + room, -room)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    ax.spines[["top", "right"]].set_visible(False)
    words = f"{task}: {names[best]} ({values[best]:.0%})"
    return style.titled(ax, words if title is None else title)


def evidence_of(
    seen: Explanation, task: str, *, face: int = 0, target: int | None = None
) -> np.ndarray:
    """What speaks for and against a class of a face (`cam.contrast`): h×w, in scores.

    The class is the answer unless `target` gives another.
    """
    return cam.contrast(seen.cams[task][face])[:, :, _target(seen, task, face, target)]


def _target(seen, task, face, target):
    return int(np.argmax(seen.probabilities[task][face])) if target is None else target


def evidence_reach(seen: Explanation, *, face: int = 0) -> float:
    """The end of the scale that all class activation maps of a face share.

    It is the face's strongest evidence, of any class and task, in scores.
    """
    strongest = (float(np.abs(cam.contrast(maps[face])).max()) for maps in seen.cams.values())
    return max(LEAST_REACH, *strongest)


def class_activation(
    seen: Explanation,
    task: str,
    *,
    face: int = 0,
    target: int | None = None,
    reach: float | None = None,
    colours: tuple[str, str] = EVIDENCE_COLOURS,
    colour_bar: bool = True,
    ax=None,
):
    """What speaks for and against a class, over the reweighted face.

    The class is the answer unless `target` gives another. The map is `cam.contrast` of the raw
    maps, in scores: its mean is how far the class's score lies above the mean of the others. (An
    age group's score is no sum over places where age is a distribution over years; its map is the
    gradient's, as `classifiers.load_joint` says.)

    The scale runs from −`reach` to `reach`, by default `evidence_reach`. So all pictures of a face
    have one scale: the same colour is the same value.
    """
    target = _target(seen, task, face, target)
    reach = evidence_reach(seen, face=face) if reach is None else reach
    return evidence(
        seen.reweighted[face],
        evidence_of(seen, task, face=face, target=target),
        reach=reach,
        colours=colours,
        title=f"CAM of {task}: {CLASSES[task][target]}",
        colour_bar=colour_bar,
        ax=ax,
    )


def explanation(seen: Explanation) -> Figure:
    """One photo through every stage.

    There are the box, the crop, the saliency and the reweighted face; then, for each task, the CAM
    and the probabilities. Below the crop stands what makes the face hard to answer
    (`Explanation.quality`).

    Of several faces, a picture on top shows all boxes with their answers, or with their numbers in
    the table where there are many or room is short. Below it the largest `FACES_SHOWN` have a row
    each, so the figure's height is bounded.

    Args:
        seen: an explanation that kept its image.

    Raises:
        ValueError: the photo has no face, or the image was not kept.
    """
    if not seen.faces or seen.image is None:
        raise ValueError(f"nothing to draw for {seen.photo}: {seen.status}")
    return _portrait(seen) if len(seen.faces) == 1 else _group(seen)


def _portrait(seen):
    """A photo with one face: two rows of large pictures."""
    figure = plt.figure(figsize=(15, 6.9), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.3, 1])
    photo, *stages = top.subplots(1, 4)
    (score,) = style.percentages([seen.faces[0].score])
    boxes(seen.image, seen.faces, title=f"detected (score {score})", ax=photo)
    _stages(seen, 0, stages, title="cropped, 30 % wider")
    tasks = len(seen.probabilities)
    _answers(seen, 0, bottom.subplots(1, 2 * tasks, width_ratios=[1.25, 0.75] * tasks))
    return figure


def _group(seen):
    """A photo with several faces: all of them on top, a row for each of the largest."""
    largest = by_size(seen.faces)[:FACES_SHOWN]
    height, width = seen.image.shape[:2]
    overview = np.clip(14 * height / width, 3, 7.5)  # inches
    figure = plt.figure(figsize=(16, overview + 2.5 * len(largest)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    heights = [overview] + [2.5] * len(largest)
    top, *rows = figure.subfigures(1 + len(largest), 1, height_ratios=heights)
    _overview(seen, len(largest), top.add_axes((0.01, 0.01, 0.98, 0.92)))
    tasks = len(seen.probabilities)
    scores = style.percentages([seen.faces[i].score for i in largest])
    for i, score, row in zip(largest, scores, rows, strict=True):
        axes = row.subplots(1, 3 + 2 * tasks, width_ratios=[1] * 3 + [1, 0.7] * tasks)
        _stages(seen, i, axes[:3], title=f"face {i}, {score}")
        axes[1].set_title("where people look")
        _answers(seen, i, axes[3:])
        for ax in axes:
            ax.title.set(fontsize=8)
            ax.tick_params(labelsize=7)
    return figure


def _overview(seen, rows, ax):
    """A photo with all its faces, labelled with their answers or, where these are many, numbers."""
    numbers = [str(i) for i in range(len(seen.faces))]
    answers = [_words(seen, i) for i in range(len(seen.faces))]
    worded = [f"{i}: {', '.join(words)}" for i, words in enumerate(answers)]
    labels = worded if len(worded) <= FACES_WORDED else numbers
    below = f"the {rows} largest" if len(seen.faces) > rows else "each"
    title = f"{Path(seen.photo).name}: {len(seen.faces)} faces, {below} below"
    boxes(seen.image, seen.faces, labels=labels, short=numbers, title=title, ax=ax)


def _words(seen, face):
    """A word for each task: the answer, or an age in years where there is one."""
    words = {task: CLASSES[task][v[face].argmax()] for task, v in seen.probabilities.items()}
    if seen.years is not None:
        words["age"] = f"{seen.years[face, 0]:.0f} years"
    return words.values()


def _stages(seen, face, axes, *, title):
    """Crop, with what is amiss with it, saliency and reweighted face, into three axes."""
    crop, look, reweighted = axes
    image(seen.crops[face], title=title, ax=crop)
    if seen.quality and seen.quality[face]:
        amiss = dict(
            ha="center", va="top", color=style.WRONG_COLOUR, transform=crop.transAxes, **style.PLAIN
        )
        crop.text(0.5, -0.03, style.readable(seen.quality[face]), **amiss)
    saliency(seen.crops[face], seen.maps[face], title="where people look (ML-Net)", ax=look)
    image(seen.reweighted[face], title=f"reweighted, ratio {seen.ratio:.0%}", ax=reweighted)


def _answers(seen, face, axes):
    """For each task its CAM and its probabilities, into two axes each."""
    for task, evidence_ax, bars in zip(seen.probabilities, axes[::2], axes[1::2], strict=True):
        class_activation(seen, task, face=face, ax=evidence_ax)
        values = seen.probabilities[task][face]
        title = f"{CLASSES[task][values.argmax()]} ({values.max():.0%})"
        probabilities(task, values, title=_with_years(seen, task, face, title), ax=bars)


def _with_years(seen, task, face, title):
    """A title, and for age in a line of its own the years."""
    if task != "age" or seen.years is None:
        return title
    return f"{title}\n{style.age_in_words(seen.years[face])}"


def reweighted_view(
    seen: Explanation,
    task: str,
    *,
    target: int | None = None,
    map_colours: str = MAP_COLOURS,
    cam_colours: tuple[str, str] = EVIDENCE_COLOURS,
) -> Figure:
    """The first face at its ratio, as the ratio explorer shows it.

    There are the crop, the saliency, the reweighted face, one CAM, and all probabilities.

    Args:
        seen: an explanation with a face.
        task: the task whose CAM is shown.
        target: the CAM's class; the answer where None.
        map_colours: colours of the saliency map.
        cam_colours: colours of the CAM, for and against.
    """
    figure = plt.figure(figsize=(13, 6.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.35, 1])
    crop, look, reweighted, evidence_ax = top.subplots(1, 4)
    image(seen.crops[0], title="face", ax=crop)
    title = "where people look (ML-Net)"
    saliency(seen.crops[0], seen.maps[0], colours=map_colours, title=title, ax=look)
    formula = "" if seen.mode == "blend" else f" ({seen.mode})"
    image(seen.reweighted[0], title=f"reweighted, ratio {seen.ratio:.0%}{formula}", ax=reweighted)
    class_activation(seen, task, target=target, colours=cam_colours, ax=evidence_ax)
    axes = bottom.subplots(1, len(seen.probabilities), squeeze=False)[0]
    for (name, values), bars in zip(seen.probabilities.items(), axes, strict=True):
        probabilities(name, values[0], ax=bars)
        bars.set_title(_with_years(seen, name, 0, bars.get_title()), **style.PLAIN)
    return figure
