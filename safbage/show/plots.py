"""Figures. Every function draws into `ax` (or a new one) and returns it.

Maps have a fixed scale of 0 to 1. Evidence has one around zero, which is drawn as nothing. Titles, labels and names are drawn as
they stand: a dollar begins no mathematics, and a character that matplotlib's fonts lack becomes □ (set ``font.family`` in
matplotlib's ``rcParams`` to a list with a font that has it).
"""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Bbox

from safbage import cam, evaluation, images
from safbage.faces import Face
from safbage.fixations import Scene
from safbage.pipeline import Explanation
from safbage.tasks import CLASSES

MAP_COLOURS = "viridis"
EVIDENCE_COLOURS = ("#ff8f00", "#2196f3")
"""What speaks for a class, and what against it: orange and blue, alike in lightness, which colour-blind eyes tell apart too."""
EVIDENCE_OPACITY = 0.85
LEAST_REACH = 10
"""Scores that a scale of class activation maps spans at least, so that a map of next to nothing does not glow."""
BOX_COLOUR = "#ffb000"
BAR_COLOUR, ANSWER_COLOUR = "#b8c4d0", "#1f5a94"
VIEWER_COLOURS = ("#ffb000", "#fe6100", "#648fff")
SHOWN_SIDE = 900
"""Photos are reduced to this longer side for drawing."""
FACES_SHOWN = 4
"""Faces of a group photo that get a row each."""
FACES_WORDED = 12
"""Faces of a group photo whose boxes carry answers; in a larger group they carry numbers."""
ARM_COLOURS = ("#1f5a94", "#d95f02", "#3b8f5a", "#8e5aa8", "#8c6d31", "#555555")
SHARE_COLOURS = "Blues"
WRONG_COLOUR, QUIET_COLOUR = "#b3261e", "#6b7580"


PLAIN = {"parse_math": False}
"""How text is drawn that others have written, in which a dollar is a dollar."""


LABEL = dict(fontsize=8, bbox=dict(facecolor=BOX_COLOUR, edgecolor="none", pad=1.5), clip_on=True, **PLAIN)
"""How the label of a box is drawn."""


def readable(text: str) -> str:
    """Text with □ for what matplotlib's fonts in use cannot draw, so that it is drawn without a warning."""
    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in plt.rcParams["font.family"]]
    return "".join(c if c == "\n" or any(font.get_char_index(ord(c)) for font in fonts) else "□" for c in str(text))


def percentages(shares: Sequence[float]) -> list[str]:
    """Shares in [0, 1] as percentages of as many digits as tell them apart, and from 100 %: "99.98 %"; four decimals at most."""
    for digits in range(1, 5):
        texts = [f"{100 * share:.{digits}f} %" for share in shares]
        certain = [text.startswith("100") and share < 1 for text, share in zip(texts, shares, strict=True)]
        if len(set(texts)) == len(set(shares)) and not any(certain):
            break
    return texts if len(shares) else []


def image(picture: np.ndarray, *, title: str = "", ax=None):
    """A picture, H×W×3 uint8, without axes."""
    ax = ax or plt.subplots()[1]
    ax.imshow(picture)
    ax.set_title(readable(title), **PLAIN)
    ax.set_axis_off()
    return ax


def map(values: np.ndarray, *, title: str = "", colour_bar: bool = True, ax=None):
    """A map in [0, 1] (h×w) by itself, cell by cell."""
    ax = ax or plt.subplots()[1]
    shown = ax.imshow(values, cmap=MAP_COLOURS, vmin=0, vmax=1)
    if colour_bar:
        _colour_bar(shown, ax)
    ax.set_title(readable(title), **PLAIN)
    ax.set_axis_off()
    return ax


def _colour_bar(shown, ax):
    beside = ax.inset_axes([1.03, 0, 0.05, 1])
    return ax.figure.colorbar(plt.cm.ScalarMappable(shown.norm, shown.cmap), cax=beside, ticks=[0, 0.5, 1])


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


def boxes(
    photo: np.ndarray,
    faces: Sequence[Face],
    *,
    labels: Sequence[str] = (),
    short: Sequence[str] = (),
    title: str = "",
    ax=None,
):
    """A photo with its faces boxed and, where given, labelled.

    Where there are `short` labels, too, no label covers another: the larger faces' are placed first, and where one finds no room
    beside its box, the short one is tried, and then none. That needs axes that have their final size.
    """
    scale = min(1.0, SHOWN_SIDE / max(photo.shape[:2]))
    small = images.resize(photo, tuple(max(1, round(side * scale)) for side in photo.shape[:2])) if scale < 1 else photo
    ax = image(small, title=title, ax=ax)
    outlines = [tuple(side * scale for side in face.box) for face in faces]
    for left, top, width, height in outlines:
        ax.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=BOX_COLOUR, linewidth=2 if width > 25 else 1.2))
    if not short:
        for (left, top, *_), label in zip(outlines, labels, strict=False):
            if label:
                ax.text(left, top, readable(label), va="bottom", **LABEL)
        return ax
    ax.apply_aspect()  # from here on, the axes' pixels are those of the picture
    taken = []
    for i in by_size(faces):
        _label(ax, outlines[i], [labels[i], short[i]], outlines[:i] + outlines[i + 1 :], taken)
    return ax


def by_size(faces: Sequence[Face]) -> list[int]:
    """Numbers of faces, that with the largest box first."""
    return sorted(range(len(faces)), key=lambda i: -faces[i].box[2] * faces[i].box[3])


def _label(ax, outline, wordings, others, taken):
    """Write the first wording for which there is room beside a box; where it lies is added to `taken`.

    It may cover nothing that is taken and no box; but before a face has no label, the last wording may cover boxes.
    """
    left, top, width, height = outline
    right, bottom = left + width, top + height
    beside = [
        (left, top, "left", "bottom"),
        (left, bottom, "left", "top"),
        (right, top, "left", "top"),
        (left, top, "right", "top"),
    ]
    within = [((left + right) / 2, (top + bottom) / 2, "center", "center")]
    boxed = [Bbox(ax.transData.transform([(x, y + h), (x + w, y)])) for x, y, w, h in others]
    trials = [(wording, beside, boxed + taken) for wording in wordings]
    trials += [(wording, beside + within, taken) for wording in wordings[-1:]]
    for wording, places, avoided in trials:
        for x, y, horizontal, vertical in places:
            text = ax.text(x, y, readable(wording), ha=horizontal, va=vertical, **LABEL)
            extent = text.get_window_extent()
            inside = Bbox.union([extent, ax.bbox]).bounds == ax.bbox.bounds
            if inside and not extent.count_overlaps(avoided):
                taken.append(extent.padded(1))
                return
            text.remove()


def blended(face: np.ndarray, map: np.ndarray, *, colours: str = MAP_COLOURS) -> np.ndarray:
    """A map in [0, 1] (h×w, any size) laid over a grey face (H×W×3 uint8), more opaque where it is higher; as `face`."""
    smooth = np.clip(images.resize(np.ascontiguousarray(map, "float32"), face.shape[:2]), 0, 1)
    opaque = (0.25 + 0.55 * smooth)[..., None]
    painted = plt.get_cmap(colours)(smooth)[..., :3] * 255
    return np.round(opaque * painted + (1 - opaque) * face.mean(axis=2, keepdims=True)).astype("uint8")


def overlay(face: np.ndarray, map: np.ndarray, *, colours: str = MAP_COLOURS, title: str = "", colour_bar=True, ax=None):
    """`blended`, with a colour bar."""
    ax = image(blended(face, map, colours=colours), title=title, ax=ax)
    if colour_bar:
        _colour_bar(plt.cm.ScalarMappable(plt.Normalize(0, 1), colours), ax)
    return ax


def saliency(face: np.ndarray, map: np.ndarray, *, colours: str = MAP_COLOURS, title: str = "saliency", ax=None):
    """Where people would look: an ML-Net map over its face."""
    return overlay(face, map, colours=colours, title=title, ax=ax)


def tinted(face: np.ndarray, map: np.ndarray, *, reach: float, colours: tuple[str, str] = EVIDENCE_COLOURS) -> np.ndarray:
    """A signed map (h×w, any size) laid over a grey face (H×W×3 uint8): one hue for, another against, zero as nothing; as `face`.

    A hue is as opaque as the value is large. Where a face is black all over, nothing is drawn: scores the network gives it all
    the same, but there is nothing in it to be evidence.

    Args:
        face: the face.
        map: of any sign and unit.
        reach: the value, for or against, that is drawn with the most colour, as are those beyond.
        colours: for and against.
    """
    strength = np.clip(images.resize(np.ascontiguousarray(map, "float32"), face.shape[:2]) / reach, -1, 1)[..., None]
    speaks_for, against = (255 * np.array(to_rgb(colour)) for colour in colours)
    opaque = EVIDENCE_OPACITY * np.abs(strength) * face.any()
    painted = np.where(strength > 0, speaks_for, against)
    return np.round(opaque * painted + (1 - opaque) * face.mean(axis=2, keepdims=True)).astype("uint8")


def evidence_scale(colours: tuple[str, str] = EVIDENCE_COLOURS) -> ListedColormap:
    """The colours of `tinted` from −reach to reach, over the grey in the middle."""
    grey = np.full((1, 255, 3), 128, "uint8")
    return ListedColormap(tinted(grey, np.linspace(-1, 1, 255)[None], reach=1, colours=colours)[0] / 255)


def evidence(
    face: np.ndarray,
    map: np.ndarray,
    *,
    reach: float | None = None,
    colours: tuple[str, str] = EVIDENCE_COLOURS,
    title: str = "",
    colour_bar: bool = True,
    ax=None,
):
    """`tinted`, with a colour bar from what speaks against to what speaks for, zero in the middle.

    `reach` is the end of the scale; by default the map's own largest value. Give pictures that are to be compared the same.
    """
    reach = (float(np.abs(map).max()) or 1.0) if reach is None else reach
    ax = image(tinted(face, map, reach=reach, colours=colours), title=title, ax=ax)
    if colour_bar:
        bar = _colour_bar(plt.cm.ScalarMappable(plt.Normalize(-reach, reach), evidence_scale(colours)), ax)
        low, high = ends(reach)
        bar.set_ticks([-reach, 0, reach], labels=[f"{low}\nagainst", "0", f"for\n{high}"], fontsize=8)
    return ax


def ends(reach: float) -> tuple[str, str]:
    """The ends of a scale around zero, such as −53 and +53."""
    size = f"{reach:,.0f}" if reach >= 10 else f"{reach:.2g}"
    return f"−{size}", f"+{size}"


def probabilities(task: str, values: np.ndarray, *, title: str | None = None, ax=None):
    """A task's probabilities (C values) as bars, the answer in the strong colour."""
    ax = ax or plt.subplots()[1]
    names, best = CLASSES[task], int(np.argmax(values))
    ax.barh(names, values, color=[ANSWER_COLOUR if i == best else BAR_COLOUR for i in range(len(names))])
    room = 0.5 + max(0, 5 - len(names)) / 2  # two bars alone would be as thick as beams
    ax.set_ylim(len(names) - 1 + room, -room)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title(readable(f"{task}: {names[best]} ({values[best]:.0%})" if title is None else title), **PLAIN)
    return ax


def evidence_of(seen: Explanation, task: str, *, face: int = 0, target: int | None = None) -> np.ndarray:
    """What speaks for a class of a face and what against it (`cam.contrast`), h×w, in scores; for the answer where None."""
    target = int(np.argmax(seen.probabilities[task][face])) if target is None else target
    return cam.contrast(seen.cams[task][face])[:, :, target]


def evidence_reach(seen: Explanation, *, face: int = 0) -> float:
    """The end of the scale that all class activation maps of a face share: its strongest evidence, of any class and task."""
    return max(LEAST_REACH, *(float(np.abs(cam.contrast(maps[face])).max()) for maps in seen.cams.values()))


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
    """What speaks for a class (the answer, unless `target` names another) and what against it, over the reweighted face.

    It is `cam.contrast` of the raw maps, in scores: its mean is how far the class's score lies above the mean of the others'.
    All pictures of a face have one scale, −`reach` to `reach` (`evidence_reach` by default): the same colour, the same value.
    """
    target = int(np.argmax(seen.probabilities[task][face])) if target is None else target
    map = evidence_of(seen, task, face=face, target=target)
    reach = evidence_reach(seen, face=face) if reach is None else reach
    title = f"CAM of {task}: {CLASSES[task][target]}"
    return evidence(seen.reweighted[face], map, reach=reach, colours=colours, title=title, colour_bar=colour_bar, ax=ax)


def explanation(seen: Explanation) -> Figure:
    """One photo through every stage: box, crop, saliency, reweighted face; per task its CAM and its probabilities.

    Several faces are boxed in a picture on top, with their answers, or, where they are many or there is no room, their numbers in
    the table. The largest `FACES_SHOWN` have a row each below it, so that the figure's height is bounded. What makes a face hard
    to answer (`Explanation.quality`) stands below it. Needs an `Explanation` that kept its image.

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
    boxes(seen.image, seen.faces, title=f"detected (score {percentages([seen.faces[0].score])[0]})", ax=photo)
    _stages(seen, 0, stages, title="cropped, 30 % wider")
    _answers(seen, 0, bottom.subplots(1, 2 * len(seen.probabilities), width_ratios=[1.25, 0.75] * len(seen.probabilities)))
    return figure


def _group(seen):
    """A photo with several faces: all of them on top, a row for each of the largest."""
    largest = by_size(seen.faces)[:FACES_SHOWN]
    scores = percentages([seen.faces[i].score for i in largest])
    height, width = seen.image.shape[:2]
    overview = np.clip(14 * height / width, 3, 7.5)  # inches
    figure = plt.figure(figsize=(16, overview + 2.5 * len(largest)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    top, *rows = figure.subfigures(1 + len(largest), 1, height_ratios=[overview] + [2.5] * len(largest))
    below = f"the {len(largest)} largest" if len(seen.faces) > len(largest) else "each"
    title = f"{Path(seen.photo).name}: {len(seen.faces)} faces, {below} below"
    numbers = [str(i) for i in range(len(seen.faces))]
    labels = [f"{i}: {', '.join(_answered(seen, i))}" for i in range(len(seen.faces))]
    labels = labels if len(labels) <= FACES_WORDED else numbers
    boxes(seen.image, seen.faces, labels=labels, short=numbers, title=title, ax=top.add_axes((0.01, 0.01, 0.98, 0.92)))
    tasks = len(seen.probabilities)
    for i, score, row in zip(largest, scores, rows, strict=True):
        axes = row.subplots(1, 3 + 2 * tasks, width_ratios=[1] * 3 + [1, 0.7] * tasks)
        _stages(seen, i, axes[:3], title=f"face {i}, {score}")
        axes[1].set_title("where people look")
        _answers(seen, i, axes[3:])
        for ax in axes:
            ax.title.set(fontsize=8)
            ax.tick_params(labelsize=7)
    return figure


def _answered(seen, face):
    """A face's answers in words."""
    return [CLASSES[task][values[face].argmax()] for task, values in seen.probabilities.items()]


def _stages(seen, face, axes, *, title):
    """Crop, with what is amiss with it, saliency and reweighted face, into three axes."""
    crop, map, reweighted = axes
    image(seen.crops[face], title=title, ax=crop)
    if seen.quality and seen.quality[face]:
        amiss = dict(ha="center", va="top", color=WRONG_COLOUR, transform=crop.transAxes, **PLAIN)
        crop.text(0.5, -0.03, readable(seen.quality[face]), **amiss)
    saliency(seen.crops[face], seen.maps[face], title="where people look (ML-Net)", ax=map)
    image(seen.reweighted[face], title=f"reweighted, ratio {seen.ratio:.0%}", ax=reweighted)


def _answers(seen, face, axes):
    """Per task its CAM and its probabilities, into two axes each."""
    for task, map, bars in zip(seen.probabilities, axes[::2], axes[1::2], strict=True):
        class_activation(seen, task, face=face, ax=map)
        values = seen.probabilities[task][face]
        probabilities(task, values, title=f"{CLASSES[task][values.argmax()]} ({values.max():.0%})", ax=bars)


def reweighted_view(
    seen: Explanation,
    task: str,
    *,
    target: int | None = None,
    map_colours: str = MAP_COLOURS,
    cam_colours: tuple[str, str] = EVIDENCE_COLOURS,
) -> Figure:
    """The first face at its ratio, as the ratio explorer shows it: crop, saliency, reweighted, one CAM, and all probabilities.

    Args:
        seen: an explanation with a face.
        task: whose CAM is shown.
        target: the CAM's class; the answer where None.
        map_colours: colours of the saliency map.
        cam_colours: colours of the CAM, for and against.
    """
    figure = plt.figure(figsize=(13, 6.4), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.35, 1])
    crop, map, reweighted, evidence = top.subplots(1, 4)
    image(seen.crops[0], title="face", ax=crop)
    saliency(seen.crops[0], seen.maps[0], colours=map_colours, title="where people look (ML-Net)", ax=map)
    formula = "" if seen.mode == "blend" else f" ({seen.mode})"
    image(seen.reweighted[0], title=f"reweighted, ratio {seen.ratio:.0%}{formula}", ax=reweighted)
    class_activation(seen, task, target=target, colours=cam_colours, ax=evidence)
    axes = bottom.subplots(1, len(seen.probabilities), squeeze=False)[0]
    for (name, values), bars in zip(seen.probabilities.items(), axes, strict=True):
        probabilities(name, values[0], ax=bars)
    return figure


# --- evaluation ----------------------------------------------------------------------------------------------------------


def confusion(counts: pd.DataFrame, *, title: str | None = None, ax=None):
    """A confusion matrix of counts (`evaluation.confusion`): each cell's share of its label, as its colour, and the count."""
    size = len(counts)
    ax = ax or plt.subplots(figsize=(2.6 + 0.8 * size, 1.6 + 0.72 * size), layout="constrained")[1]
    shares = evaluation.percent(counts).to_numpy() / 100
    shown = ax.imshow(shares, cmap=SHARE_COLOURS, vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts.to_numpy()):
        ink = dict(ha="center", color="white" if shares[row, column] > 0.55 else "black")
        if count:
            share = f"{shares[row, column]:.0%}"
            ax.text(column, row, share, va="bottom", fontsize=10, weight="bold" if row == column else "normal", **ink)
            ax.text(column, row + 0.07, f"{count:,}", va="top", fontsize=7.5, **ink)
        elif not np.isnan(shares[row, column]):
            ax.text(column, row, "0", va="center", ha="center", fontsize=8, color=BAR_COLOUR)
    for row in np.flatnonzero(np.isnan(shares[:, 0])):
        ax.text((size - 1) / 2, row, "no faces", va="center", ha="center", fontsize=8, color=QUIET_COLOUR)
    slanted = dict(rotation=40, ha="right", rotation_mode="anchor") if size > 2 else {}
    ax.set_xticks(range(size), [readable(name) for name in counts.columns], **slanted, **PLAIN)
    ax.set_yticks(range(size), [readable(f"{name} ({faces:,})") for name, faces in counts.sum(axis=1).items()], **PLAIN)
    ax.set_xticks(np.arange(1, size) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, size) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.5)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("answer")
    ax.set_ylabel("label (faces)")
    bar = ax.figure.colorbar(shown, cax=ax.inset_axes([1.02, 0, 0.025, 1]), ticks=[0, 0.5, 1], format="{x:.0%}")
    bar.outline.set_visible(False)
    figures = evaluation.scores(counts)
    ax.set_title(
        readable(f"accuracy {figures['accuracy']:.1%}, mean recall {figures['mean_recall']:.1%}" if title is None else title),
        **PLAIN,
    )
    return ax


def reliability(bins: pd.DataFrame, *, title: str | None = None, ax=None):
    """Confidence beside accuracy (`evaluation.reliability`), the shares of faces as bars below; on the diagonal is calibrated."""
    ax = ax or plt.subplots(figsize=(4.6, 4.8), layout="constrained")[1]
    width = bins.high - bins.low
    ax.plot([0, 1], [0, 1], "--", color=QUIET_COLOUR, linewidth=1, zorder=1)
    held = bins[bins.faces > 0]
    ax.bar(held.low, held.accuracy, width[held.index], align="edge", color=BAR_COLOUR, edgecolor="white", zorder=2)
    ax.vlines(held.confidence, held.accuracy, held.confidence, color=WRONG_COLOUR, linewidth=1.6, zorder=3)
    ax.plot(held.confidence, held.accuracy, "o", color=ANSWER_COLOUR, markersize=5, zorder=4)
    ax.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    ax.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
    ax.tick_params(labelbottom=False)
    strip = ax.inset_axes([0, -0.24, 1, 0.2], sharex=ax)
    strip.bar(bins.low, bins.faces / bins.faces.sum(), width, align="edge", color=ANSWER_COLOUR, edgecolor="white")
    strip.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    strip.tick_params(axis="y", labelsize=7)
    strip.set(xlabel="confidence")
    strip.set_ylabel("faces", fontsize=8)
    strip.yaxis.set_major_formatter(PercentFormatter(1))
    for each in (ax, strip):
        each.spines[["top", "right"]].set_visible(False)
    ax.set_title(readable(f"calibration error {evaluation.calibration_gap(bins):.1%}" if title is None else title), **PLAIN)
    return ax


def by_group(groups: pd.DataFrame, *, overall: float | None = None, title: str = "accuracy by group, 95 % interval", ax=None):
    """Accuracy of groups (`evaluation.by_group`) as dots with their intervals, faces beside; hollow where a group has few.

    `overall` draws the accuracy of all faces; by default that of the groups together.
    """
    ax = ax or plt.subplots(figsize=(6.4, 1.3 + 0.34 * len(groups)), layout="constrained")[1]
    names = groups.iloc[:, : groups.columns.get_loc("faces")].astype(str).agg(", ".join, axis=1)
    overall = np.average(groups.accuracy, weights=groups.faces) if overall is None else overall
    ax.axvline(overall, color=QUIET_COLOUR, linestyle="--", linewidth=1)
    for row, group in enumerate(groups.itertuples()):
        ax.plot([group.low, group.high], [row, row], color=BAR_COLOUR if group.few else ANSWER_COLOUR, linewidth=2.5)
        ax.plot(
            group.accuracy, row, "o", color=ANSWER_COLOUR, markerfacecolor="white" if group.few else ANSWER_COLOUR, markersize=7
        )
        beside = f"n = {group.faces:,}" + (" (few)" if group.few else "")
        ax.text(1.02, row, beside, transform=ax.get_yaxis_transform(), va="center", fontsize=8, color=QUIET_COLOUR)
    ax.set_yticks(range(len(groups)), [readable(name) for name in names], **PLAIN)
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xlim(max(0, groups.low.min() - 0.05), min(1, groups.high.max() + 0.05))
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="x", color="#e6eaee")
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_title(readable(title), **PLAIN)
    return ax


def training_curves(histories: Mapping[str, pd.DataFrame], *, measure: str = "accuracy", title: str | None = None, ax=None):
    """Training (dashed) and validation (solid) by epoch, a colour per arm.

    Args:
        histories: per arm its history, a row per epoch: `measure` and, where there is one, ``val_<measure>``; its number
            `epoch`, else rows are taken as 1, 2, …. With a column `fold`, lines are means over folds, and bands reach from
            the worst to the best.
        measure: the column's name, such as "loss".
        title: by default what the lines are.
        ax: to draw into.
    """
    ax = ax or plt.subplots(figsize=(6.4, 4), layout="constrained")[1]
    for (arm, history), colour in zip(histories.items(), cycle(ARM_COLOURS), strict=False):
        if measure not in history:
            raise ValueError(f"the history of {arm!r} has no column {measure}; it has {', '.join(history.columns)}")
        own = history.groupby("fold").cumcount() if "fold" in history else pd.Series(range(len(history)), history.index)
        epochs = history.epoch if "epoch" in history else own + 1
        validated = f"val_{measure}" in history
        for column in (measure, f"val_{measure}") if validated else (measure,):
            main = column.startswith("val_") or not validated
            style = dict(linewidth=2) if main else dict(linestyle="--", linewidth=1.1)
            lines = history[column].groupby(epochs.to_numpy()).agg(["mean", "min", "max"])
            ax.plot(lines.index, lines["mean"], color=colour, label=readable(arm) if main else None, **style)
            if main and "fold" in history:
                ax.fill_between(lines.index, lines["min"], lines["max"], color=colour, alpha=0.15, linewidth=0)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("epoch")
    ax.set_ylabel(readable(measure), **PLAIN)
    ax.grid(color="#e6eaee")
    ax.spines[["top", "right"]].set_visible(False)
    _legend(ax)
    both = any(f"val_{measure}" in history for history in histories.values())
    ax.set_title(readable(("solid: validation, dashed: training" if both else "training") if title is None else title), **PLAIN)
    return ax


def against_ratio(report: dict, *, figure: str = "accuracy", ax=None):
    """A figure of each arm (`experiments.compare`) against its ratio, ± one standard error over folds, a line per network."""
    ax = ax or plt.subplots(figsize=(6.4, 3.6), layout="constrained")[1]
    arms = sorted(report["arms"].values(), key=lambda arm: arm["ratio"])
    for network, colour in zip(dict.fromkeys(arm["network"] for arm in arms), cycle(ARM_COLOURS), strict=False):
        own = [arm for arm in arms if arm["network"] == network]
        values = [arm["summary"][figure]["mean"] for arm in own]
        errors = [arm["summary"][figure]["error"] or 0 for arm in own]
        ratios = [100 * arm["ratio"] for arm in own]
        ax.errorbar(ratios, values, errors, marker="o", capsize=3, color=colour, label=readable(network))
    ax.set_xlabel("ratio of the reweighting, %")
    ax.set_ylabel(figure.replace("_", " "))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(color="#e6eaee")
    ax.spines[["top", "right"]].set_visible(False)
    _legend(ax)
    return ax


def _legend(ax):
    for text in ax.legend(frameon=False).texts:
        text.set(**PLAIN)


def gallery(predictions: pd.DataFrame, crops: Sequence[np.ndarray], *, shown: int = 12, columns: int = 6, ax=None):
    """The wrong answers given with most confidence: crop, label → answer, confidence.

    Args:
        predictions: as `evaluation` describes them.
        crops: their faces in the table's order, each H×W×3 uint8, all of one size.
        shown: how many at most.
        columns: crops side by side.
        ax: to draw into.

    Raises:
        ValueError: as many crops as rows are needed.
    """
    if len(crops) != len(predictions):
        raise ValueError(f"a crop for each row is needed; got {len(crops)} crops and {len(predictions)} rows")
    classes = evaluation.check(predictions)
    confidence = predictions[[f"p_{name}" for name in classes]].max(axis=1).to_numpy()
    wrong = np.flatnonzero(predictions.label.astype(str).to_numpy() != predictions.answer.astype(str).to_numpy())
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:shown]
    columns = max(1, min(columns, len(wrong)))
    rows = max(1, -(-len(wrong) // columns))
    ax = ax or plt.subplots(figsize=(1.7 * columns, 2.15 * rows + 0.4), layout="constrained")[1]
    ax.set(xlim=(0, columns), ylim=(rows, 0))
    ax.set_axis_off()
    for place, i in enumerate(wrong):
        row, column = divmod(place, columns)
        cell = ax.inset_axes([column + 0.04, row + 0.2, 0.92, 0.78], transform=ax.transData)
        cell.imshow(crops[i])
        cell.set_axis_off()
        cell.set_anchor("N")
        answer = predictions.iloc[i]
        words = readable(f"{answer.label} → {answer.answer}")
        ax.text(column + 0.5, row + 0.1, words, ha="center", va="bottom", fontsize=9, **PLAIN)
        ax.text(column + 0.5, row + 0.11, f"{confidence[i]:.0%} sure", ha="center", va="top", fontsize=7.5, color=WRONG_COLOUR)
    ax.set_title(f"{len(wrong)} surest of the wrong answers, label → answer" if len(wrong) else "no wrong answer")
    return ax
