"""Photos, maps, and maps laid over faces."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox

from safbage import images
from safbage.faces import Face
from safbage.fixations import Scene
from safbage.show.plots import style

__all__ = [
    "EVIDENCE_COLOURS",
    "MAP_COLOURS",
    "SHOWN_SIDE",
    "blended",
    "boxes",
    "by_size",
    "ends",
    "evidence",
    "evidence_scale",
    "fixations",
    "image",
    "map",
    "overlay",
    "saliency",
    "tinted",
]

MAP_COLOURS = "viridis"
EVIDENCE_COLOURS = ("#ff8f00", "#2196f3")
"""For what speaks for a class and what speaks against it: orange and blue.

They are alike in lightness, and colour-blind eyes can tell them apart too.
"""
EVIDENCE_OPACITY = 0.85
BOX_COLOUR = "#ffb000"
VIEWER_COLOURS = ("#ffb000", "#fe6100", "#648fff")
SHOWN_SIDE = 900
"""The longer side to which larger photos are reduced before they are drawn, in pixels."""
LABEL = dict(
    fontsize=8,
    bbox=dict(facecolor=BOX_COLOUR, edgecolor="none", pad=1.5),
    clip_on=True,
    **style.PLAIN,
)
"""How the label of a box is drawn."""


def image(picture: np.ndarray, *, title: str = "", ax=None):
    """A picture, H×W×3 uint8, without axes."""
    ax = style.axes(ax)
    ax.imshow(picture)
    ax.set_axis_off()
    return style.titled(ax, title)


def map(values: np.ndarray, *, title: str = "", colour_bar: bool = True, ax=None):
    """A map in [0, 1] (h×w) by itself, cell by cell."""
    ax = style.axes(ax)
    drawn = ax.imshow(values, cmap=MAP_COLOURS, vmin=0, vmax=1)
    if colour_bar:
        _colour_bar(drawn, ax)
    ax.set_axis_off()
    return style.titled(ax, title)


def _colour_bar(drawn, ax):
    beside = ax.inset_axes([1.03, 0, 0.05, 1])
    colours = plt.cm.ScalarMappable(drawn.norm, drawn.cmap)
    return ax.figure.colorbar(colours, cax=beside, ticks=[0, 0.5, 1])


def fixations(scene: Scene, *, highlight: int = 3, title: str = "", ax=None):
    """A scene with its fixations as dots.

    A few viewers have a strong colour each, and their dots are joined in order. All others are
    white.
    """
    ax = image(scene.pixels(), title=title, ax=ax)
    viewers = np.unique(scene.subjects)
    others = scene.fixations[~np.isin(scene.subjects, viewers[:highlight])]
    ax.scatter(*others.T, c="white", s=12, edgecolors="black", linewidths=0.4)
    dots = dict(markersize=5, linewidth=0.8, mec="black", mew=0.4)
    for viewer, colour in zip(viewers[:highlight], VIEWER_COLOURS, strict=False):
        ax.plot(*scene.fixations[scene.subjects == viewer].T, "o-", color=colour, **dots)
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
    """A photo (H×W×3 uint8) with its faces boxed and, where `labels` are given, labelled.

    With `short` labels as well, no label covers another. Larger faces are labelled first. Where a
    label finds no room beside its box, the short one is tried, and then none is drawn. For that,
    the axes must already have their final size.
    """
    height, width = photo.shape[:2]
    scale = min(1.0, SHOWN_SIDE / max(height, width))
    if scale < 1:
        size = max(1, round(height * scale)), max(1, round(width * scale))
        photo = images.resize(photo, size)
    ax = image(photo, title=title, ax=ax)
    outlines = [tuple(side * scale for side in face.box) for face in faces]
    for left, top, width, height in outlines:
        thickness = 2 if width > 25 else 1.2
        border = dict(fill=False, edgecolor=BOX_COLOUR, linewidth=thickness)
        ax.add_patch(Rectangle((left, top), width, height, **border))
    if not short:
        for (left, top, *_), label in zip(outlines, labels, strict=False):
            if label:
                ax.text(left, top, style.readable(label), va="bottom", **LABEL)
        return ax
    ax.apply_aspect()  # from here on, the axes' pixels are those of the picture
    taken = []
    for i in by_size(faces):
        _label(ax, outlines[i], [labels[i], short[i]], outlines[:i] + outlines[i + 1 :], taken)
    return ax


def by_size(faces: Sequence[Face]) -> list[int]:
    """The faces' indices, the one with the largest box first."""
    return sorted(range(len(faces)), key=lambda i: -faces[i].area)


def _label(ax, outline, wordings, others, taken):
    """Write the first wording that finds room at a box, and add its extent to `taken`.

    It covers nothing that is taken, and none of the other boxes. Only the last wording may cover
    boxes, rather than leave the face without a label.
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
            text = ax.text(x, y, style.readable(wording), ha=horizontal, va=vertical, **LABEL)
            extent = text.get_window_extent()
            inside = Bbox.union([extent, ax.bbox]).bounds == ax.bbox.bounds
            if inside and not extent.count_overlaps(avoided):
                taken.append(extent.padded(1))
                return
            text.remove()


def blended(face: np.ndarray, values: np.ndarray, *, colours: str = MAP_COLOURS) -> np.ndarray:
    """A map in [0, 1] laid over a grey face, more opaque where it is higher.

    Args:
        face: H×W×3 uint8.
        values: the map, h×w of any size.
        colours: one of matplotlib's colour maps.

    Returns:
        A picture like `face`.
    """
    smooth = np.clip(images.resize(np.ascontiguousarray(values, "float32"), face.shape[:2]), 0, 1)
    return _painted(face, plt.get_cmap(colours)(smooth)[..., :3] * 255, 0.25 + 0.55 * smooth)


def _painted(face, colours, opacity):
    """Colours (H×W×3, 0–255) over a face in grey; where opacity (H×W) is 0, the grey alone."""
    opacity, grey = opacity[..., None], face.mean(axis=2, keepdims=True)
    return np.round(opacity * colours + (1 - opacity) * grey).astype("uint8")


def overlay(
    face: np.ndarray,
    values: np.ndarray,
    *,
    colours: str = MAP_COLOURS,
    title: str = "",
    colour_bar: bool = True,
    ax=None,
):
    """`blended`, with a colour bar."""
    ax = image(blended(face, values, colours=colours), title=title, ax=ax)
    if colour_bar:
        _colour_bar(plt.cm.ScalarMappable(plt.Normalize(0, 1), colours), ax)
    return ax


def saliency(
    face: np.ndarray,
    values: np.ndarray,
    *,
    colours: str = MAP_COLOURS,
    title: str = "saliency",
    ax=None,
):
    """Where people would look: a map of ML-Net over its face."""
    return overlay(face, values, colours=colours, title=title, ax=ax)


def tinted(
    face: np.ndarray,
    values: np.ndarray,
    *,
    reach: float,
    colours: tuple[str, str] = EVIDENCE_COLOURS,
) -> np.ndarray:
    """A signed map laid over a grey face: one hue for, another against, and zero drawn as nothing.

    The larger the value, the more opaque its hue. Over a face that is black all over nothing is
    drawn: the network gives it scores all the same, but it holds nothing that could be evidence.

    Args:
        face: H×W×3 uint8.
        values: the map, h×w of any size, sign and unit.
        reach: the value, for or against, that gets the strongest colour, as does all beyond it.
        colours: for and against.

    Returns:
        A picture like `face`.
    """
    strength = images.resize(np.ascontiguousarray(values, "float32"), face.shape[:2]) / reach
    strength = np.clip(strength, -1, 1)
    speaks_for, against = (255 * np.array(to_rgb(colour)) for colour in colours)
    painted = np.where(strength[..., None] > 0, speaks_for, against)
    return _painted(face, painted, EVIDENCE_OPACITY * np.abs(strength) * face.any())


def evidence_scale(colours: tuple[str, str] = EVIDENCE_COLOURS) -> ListedColormap:
    """The colours of `tinted` from −reach to reach, over a middle grey."""
    grey = np.full((1, 255, 3), 128, "uint8")
    return ListedColormap(
        tinted(grey, np.linspace(-1, 1, 255)[None], reach=1, colours=colours)[0] / 255
    )


def evidence(
    face: np.ndarray,
    values: np.ndarray,
    *,
    reach: float | None = None,
    colours: tuple[str, str] = EVIDENCE_COLOURS,
    title: str = "",
    colour_bar: bool = True,
    ax=None,
):
    """`tinted`, with a colour bar that runs from against to for, zero in the middle.

    `reach` is the end of the scale, by default the map's own largest value. Give the same to all
    pictures that are to be compared.
    """
    reach = (float(np.abs(values).max()) or 1.0) if reach is None else reach
    ax = image(tinted(face, values, reach=reach, colours=colours), title=title, ax=ax)
    if colour_bar:
        drawn = plt.cm.ScalarMappable(plt.Normalize(-reach, reach), evidence_scale(colours))
        low, high = ends(reach)
        words = [f"{low}\nagainst", "0", f"for\n{high}"]
        _colour_bar(drawn, ax).set_ticks([-reach, 0, reach], labels=words, fontsize=8)
    return ax


def ends(reach: float) -> tuple[str, str]:
    """The ends of a scale around zero in words, such as "−53" and "+53"."""
    size = f"{reach:,.0f}" if reach >= 10 else f"{reach:.2g}"
    return f"−{size}", f"+{size}"
