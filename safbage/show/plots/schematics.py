"""The networks as schematics: MTCNN, ML-Net and AlexNet-GAP, each layer a slab.

A slab is as high as its feature maps and as thick as it has channels, neither to scale. The ground
is white whatever theme surrounds it, so that the pictures can be read on a dark page, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle
from matplotlib.path import Path as Outline

from safbage import images
from safbage.show.plots.method import INK, PANEL_COLOURS
from safbage.show.plots.pictures import BOX_COLOUR

__all__ = ["SCHEMATICS", "schematic"]

FACE, SALIENCY, CONVOLUTION = PANEL_COLOURS.values()
QUIET, NOTE = "#f3f4f6", "#56616c"
PLAIN, POOLED, HEAD, LOOK = "#6f9fd0", "#b9cfe6", "#7db493", "#e8a355"
"""Colours of convolutions, poolings, what answers, and what predicts gaze."""
ASTRONAUTS_FACE = (slice(48, 191), slice(154, 297))
"""Rows and columns of her cropped face in the embedded photo."""
SLANT = (0.20, 0.13)
"""Of a slab's depth, to the right and upwards, in shares of its height."""


@dataclass(frozen=True)
class Layer:
    """What is drawn of a layer: its name, how it works, and its output's shape."""

    name: str
    how: str
    shape: tuple[int, ...]
    """Rows, columns and channels; or units alone."""
    colour: str = PLAIN

    @property
    def size(self) -> str:
        return "×".join(str(side) for side in self.shape)


ALEXNET = (
    Layer("conv1", "11×11, stride 4", (55, 55, 64)),
    Layer("pool1", "3×3, stride 2", (27, 27, 64), POOLED),
    Layer("conv2", "5×5", (27, 27, 192)),
    Layer("pool2", "3×3, stride 2", (13, 13, 192), POOLED),
    Layer("conv3", "3×3", (13, 13, 384)),
    Layer("conv4", "3×3", (13, 13, 256)),
    Layer("conv5", "3×3", (13, 13, 256)),
)
"""Convolutions of AlexNet and AlexNet-GAP on a face of 224×224."""
GAP = Layer("gap", "each channel's mean", (256,), HEAD)
FULLY_CONNECTED = (
    Layer("pool5", "3×3, stride 2", (6, 6, 256), POOLED),
    Layer("fc6", "", (4096,), POOLED),
    Layer("fc7", "", (4096,), POOLED),
    Layer("fc8", "softmax", (8,), POOLED),
)
"""What AlexNet has behind conv5, and AlexNet-GAP has not."""
VGG16 = (
    Layer("conv1", "2 × 3×3", (224, 224, 64)),
    Layer("conv2", "pool, 2 × 3×3", (112, 112, 128)),
    Layer("conv3", "pool, 3 × 3×3", (56, 56, 256)),
    Layer("pool3", "2×2, stride 2", (28, 28, 256), LOOK),
    Layer("conv4", "3 × 3×3", (28, 28, 512)),
    Layer("pool4", "2×2, stride 1", (28, 28, 512), LOOK),
    Layer("conv5", "3 × 3×3", (28, 28, 512), LOOK),
)
"""ML-Net's trunk on a face of 224×224; the orange ones are its levels."""
SALIENCY_HEAD = (
    Layer("levels", "side by side, dropout", (28, 28, 1280), LOOK),
    Layer("int_conv", "3×3", (28, 28, 64)),
    Layer("pre_final_conv", "1×1", (28, 28, 1)),
    Layer("prior", "times 1 + W", (28, 28, 1)),
    Layer("saliency", "ReLU", (28, 28, 1), LOOK),
)
CASCADE = {
    "P-Net": (
        Layer("conv1", "3×3", (10, 10, 10)),
        Layer("pool1", "2×2", (5, 5, 10), POOLED),
        Layer("conv2", "3×3", (3, 3, 16)),
        Layer("conv3", "3×3", (1, 1, 32)),
    ),
    "R-Net": (
        Layer("conv1", "3×3", (22, 22, 28)),
        Layer("pool1", "3×3", (11, 11, 28), POOLED),
        Layer("conv2", "3×3", (9, 9, 48)),
        Layer("pool2", "3×3", (4, 4, 48), POOLED),
        Layer("conv3", "2×2", (3, 3, 64)),
        Layer("fc4", "", (128,), HEAD),
    ),
    "O-Net": (
        Layer("conv1", "3×3", (46, 46, 32)),
        Layer("pool1", "3×3", (23, 23, 32), POOLED),
        Layer("conv2", "3×3", (21, 21, 64)),
        Layer("pool2", "3×3", (10, 10, 64), POOLED),
        Layer("conv3", "3×3", (8, 8, 64)),
        Layer("pool3", "2×2", (4, 4, 64), POOLED),
        Layer("conv4", "2×2", (3, 3, 128)),
        Layer("fc5", "", (256,), HEAD),
    ),
}
"""MTCNN's networks on one window of 12, 24 and 48 px."""
CELLS = {"P-Net": 12, "R-Net": 24, "O-Net": 48}
"""Sides of their windows, in pixels."""
PYRAMID_STEP = 0.709
PARTS = {
    "P-Net": (
        "P-Net proposes, at every place of every level",
        ("is it a face? 2", "offsets of the box, 4"),
        "score above 0.6;\nof boxes that overlap,\nthe best one stays",
    ),
    "R-Net": (
        "R-Net refuses most proposals",
        ("is it a face? 2", "offsets of the box, 4"),
        "score above 0.7;\nof boxes that overlap,\nthe best one stays",
    ),
    "O-Net": (
        "O-Net decides, and finds eyes, nose and mouth",
        ("is it a face? 2", "offsets of the box, 4", "five landmarks, 10"),
        "score above 0.8;\nof boxes that overlap,\nthe best one stays",
    ),
}
"""By network: what it does, what it gives, and what goes on to the next one."""


def schematic(name: str) -> Figure:
    """A network as a picture: its layers from left to right, with the shapes of their outputs.

    Args:
        name: one of `SCHEMATICS`.

    Raises:
        ValueError: another name.
    """
    if name not in SCHEMATICS:
        raise ValueError(f"a schematic is one of {', '.join(SCHEMATICS)}; got {name!r}")
    return SCHEMATICS[name]()


class Sheet:
    """A white figure that is drawn on in inches, from its lower left corner."""

    def __init__(self, width: float, height: float):
        self.figure = plt.figure(figsize=(width, height), facecolor="white")
        self.ax = self.figure.add_axes((0, 0, 1, 1))
        self.ax.set(xlim=(0, width), ylim=(0, height))
        self.ax.set_axis_off()

    def words(self, x, y, text, *, size=9.5, **options):
        options = dict(ha="center", va="center", color=INK, linespacing=1.35) | options
        self.ax.text(x, y, text, fontsize=size, **options)

    def panel(self, left, bottom, width, height, title, colour):
        """A part's ground and its name."""
        shape = dict(boxstyle="round,pad=0,rounding_size=0.14", edgecolor="none", zorder=-3)
        self.ax.add_patch(FancyBboxPatch((left, bottom), width, height, facecolor=colour, **shape))
        corner = (left + 0.15, bottom + height - 0.29)
        self.words(*corner, title, size=12, weight="bold", ha="left", va="baseline")

    def arrow(self, points, colour=INK):
        codes = [Outline.MOVETO] + [Outline.LINETO] * (len(points) - 1)
        look = dict(arrowstyle="-|>", mutation_scale=12, linewidth=1.3, color=colour)
        self.ax.add_patch(FancyArrowPatch(path=Outline(points, codes), shrinkA=0, **look))

    def picture(self, left, middle, side, pixels):
        """A square picture with a hairline around it; its right edge."""
        low, high = middle - side / 2, middle + side / 2
        box = (left, left + side, low, high)
        self.ax.imshow(pixels, extent=box, interpolation="nearest", aspect="auto", zorder=1)
        line = dict(fill=False, edgecolor="white", linewidth=1, zorder=2)
        self.ax.add_patch(Rectangle((left, low), side, side, **line))
        return left + side

    def shown(self, left, middle, side, name, pixels, *, above, below, size=9.5):
        """A picture that goes into a network, with its name and size; its right edge."""
        at = left + side / 2
        self.words(at, above, name, size=size + 0.5, weight="bold", va="baseline")
        shape = "×".join(str(length) for length in pixels.shape)
        self.words(at, below, shape, size=size, va="baseline")
        return self.picture(left, middle, side, pixels)

    def slab(self, left, middle, layer: Layer, scale=1.0):
        """A layer as a slab; its right edge at half its height."""
        height, thick = slab_size(layer, scale)
        if len(layer.shape) == 1:
            aside = up = 0.0
        else:
            aside, up = SLANT[0] * height, SLANT[1] * height
        low, right = middle - (height + up) / 2, left + thick
        front = [(left, low), (right, low), (right, low + height), (left, low + height)]
        top = [front[3], front[2], (right + aside, low + height + up)]
        top.append((left + aside, low + height + up))
        side = [front[1], (right + aside, low + up), (right + aside, low + height + up), front[2]]
        for corners, light in ((side, -0.16), (top, 0.35), (front, 0.0)):
            face = dict(facecolor=lit(layer.colour, light), edgecolor="white", linewidth=0.7)
            self.ax.add_patch(Polygon(corners, closed=True, **face))
        return right + aside

    def row(self, layers: Sequence[Layer], lefts, middle, *, scale=1.0, above, below, size=9.5):
        """Slabs from left to right with arrows between; each slab's left and right edge.

        Names stand at the height `above`, shapes at `below`.
        """
        edges = []
        for layer, left in zip(layers, lefts, strict=True):
            right = self.slab(left, middle, layer, scale)
            at = (left + right) / 2
            self.words(at, above, layer.name, size=size + 0.5, weight="bold", va="baseline")
            self.words(at, above - 0.21, layer.how, size=size - 0.5, va="baseline", color=NOTE)
            self.words(at, below, layer.size, size=size, va="baseline")
            edges.append((left, right))
        for (_, right), (left, _) in pairwise(edges):
            self.arrow([(right + 0.04, middle), (left - 0.03, middle)])
        return edges


def slab_size(layer: Layer, scale: float) -> tuple[float, float]:
    """Height and thickness of a slab in inches."""
    if len(layer.shape) == 1:
        return min(scale, 1.0) * (0.3 + 0.11 * float(np.log2(layer.shape[0]))), 0.13
    rows, _, channels = layer.shape
    return scale * (0.16 + 0.12 * rows**0.5), 0.05 + 0.016 * channels**0.5


def lit(colour: str, light: float) -> tuple[float, ...]:
    """A colour nearer to white (light > 0) or to black, in shares of the way."""
    towards = 1.0 if light > 0 else 0.0
    return tuple(float(c + abs(light) * (towards - c)) for c in to_rgb(colour))


def seen_at(side: int) -> np.ndarray:
    """The astronaut's face at a few pixels, as a network sees it."""
    return images.resize(images.astronaut()[ASTRONAUTS_FACE], (side, side))


def _alexnet_gap() -> Figure:
    sheet = Sheet(13, 6.3)
    sheet.panel(0.15, 2.7, 9.35, 3.45, "Convolutions, as in AlexNet", CONVOLUTION)
    sheet.panel(9.65, 2.7, 3.2, 3.45, "AlexNet-GAP's head", FACE)
    middle, notes = 4.15, dict(above=5.45, below=2.92)
    right = sheet.shown(0.35, middle, 1.3, "face", seen_at(224), **notes)
    lefts = (2.05, 3.25, 4.3, 5.35, 6.35, 7.45, 8.45)
    edges = sheet.row(ALEXNET, lefts, middle, scale=1.6, **notes)
    answers = Layer("softmax", "a class each", (8,), HEAD)
    ends = sheet.row((GAP, answers), (10.5, 11.95), middle, **notes)
    for before, after in ((right, edges[0][0]), (edges[-1][1], ends[0][0])):
        sheet.arrow([(before + 0.05, middle), (after - 0.03, middle)])
    sheet.words(11.3, 3.85, "2,056\nweights", size=9)
    _draw_cam(sheet)
    _draw_fully_connected(sheet)
    return sheet.figure


def _draw_cam(sheet):
    """Why the head is built so: its weights read the last convolution's channels."""
    sheet.panel(0.15, 0.15, 6.6, 2.4, "Its class activation map", SALIENCY)
    middle, below = 1.3, 0.42
    right = sheet.slab(0.85, middle, ALEXNET[-1], 1.4)
    sheet.words(1.1, below, "conv5's channels")
    sheet.words(1.95, middle, "×", size=16)
    sheet.slab(2.6, middle, Layer("", "", (8,), HEAD))
    sheet.words(2.67, below, "one class's weights")
    sheet.arrow([(right + 1.75, middle), (right + 2.5, middle)])
    sheet.words(right + 2.1, middle + 0.17, "summed")
    sheet.slab(4.2, middle, Layer("", "", (13, 13, 1), LOOK), 1.4)
    sheet.words(4.3, below, "map, 13×13")
    sheet.words(5.75, middle, "The map's mean,\nplus the bias, is\nthe class's score.")


def _draw_fully_connected(sheet):
    sheet.panel(6.9, 0.15, 5.95, 2.4, "AlexNet has these instead", QUIET)
    lefts = (7.5, 8.95, 10.35, 11.75)
    sheet.row(FULLY_CONNECTED, lefts, 1.2, scale=0.5, above=1.88, below=0.6)
    sheet.words(9.87, 0.36, "54,566,920 weights with eight classes, and no map")


def _mlnet() -> Figure:
    sheet = Sheet(13, 6.5)
    sheet.panel(0.15, 2.85, 12.7, 3.5, "Trunk: VGG-16's convolutions", CONVOLUTION)
    sheet.panel(0.15, 0.15, 12.7, 2.4, "Head: three levels become one map", SALIENCY)
    middle, notes = 4.35, dict(above=5.73, below=3.1)
    right = sheet.shown(0.4, middle, 1.45, "face or scene", seen_at(224), **notes)
    lefts = (2.35, 4.15, 5.65, 7.15, 8.55, 10.1, 11.65)
    edges = sheet.row(VGG16, lefts, middle, scale=0.92, **notes)
    sheet.arrow([(right + 0.05, middle), (edges[0][0] - 0.03, middle)])
    _draw_saliency_head(sheet, [(left + right) / 2 for left, right in edges])
    return sheet.figure


def _draw_saliency_head(sheet, middles):
    """The levels' way down, and the head beneath the trunk, from right to left."""
    ends = [middles[place] for place, layer in enumerate(VGG16) if layer.colour == LOOK]
    lefts, middle = (11.25, 9.2, 7.2, 4.2, 1.9), 1.15
    notes = dict(above=1.95, below=0.32)
    edges = [
        sheet.row((layer,), (left,), middle, **notes)[0]
        for layer, left in zip(SALIENCY_HEAD, lefts, strict=True)
    ]
    goal = sum(edges[0]) / 2
    for at in ends:
        sheet.arrow([(at, 3.02), (at, 2.7), (goal, 2.7), (goal, 2.2)], LOOK)
    for (left, _), (_, right) in pairwise(edges):
        sheet.arrow([(left - 0.05, middle), (right + 0.05, middle)])
    _draw_prior(sheet, edges[3][1] + 0.4, middle - 0.6)


def _draw_prior(sheet, left, low, cell=0.075):
    """The learned prior's coarse grid, beside the map that it is stretched over."""
    for row, column in np.ndindex(6, 8):
        corner = (left + column * cell, low + row * cell)
        line = dict(facecolor=lit(LOOK, 0.55), edgecolor="white", linewidth=0.7)
        sheet.ax.add_patch(Rectangle(corner, cell, cell, **line))
    words = "W: 6×8 learned\nnumbers, stretched"
    sheet.words(left + 9.5 * cell, low + 3 * cell, words, size=9, ha="left", color=NOTE)


def _mtcnn() -> Figure:
    sheet = Sheet(13, 8.3)
    sheet.panel(0.15, 0.15, 2.75, 8.0, "Image pyramid", FACE)
    _draw_pyramid(sheet)
    for place, (name, layers) in enumerate(CASCADE.items()):
        _draw_network(sheet, name, layers, bottom=5.55 - 2.7 * place)
    return sheet.figure


def _draw_pyramid(sheet):
    """The photo at several sizes, in each the window that P-Net slides over all of them."""
    photo, side, middle = images.astronaut(), 2.2, 6.5
    for _ in range(4):
        left = 1.52 - side / 2
        sheet.picture(left, middle, side, photo)
        corner = (left + 0.44 * side - 0.13, middle + 0.266 * side - 0.13)
        window = dict(fill=False, edgecolor=BOX_COLOUR, linewidth=1.6, zorder=3)
        sheet.ax.add_patch(Rectangle(corner, 0.26, 0.26, **window))
        middle -= side * (1 + PYRAMID_STEP) / 2 + 0.14
        side *= PYRAMID_STEP
    words = (
        f"Each level has {PYRAMID_STEP} times the",
        "size of the one above. The",
        "window stays: it fits a small",
        "face in a large picture, and a",
        "large face in a small one.",
    )
    sheet.words(1.52, 0.8, "\n".join(words), size=9)


def _draw_network(sheet, name, layers, bottom):
    """One of the three: its window, its layers, what it gives, and which boxes go on."""
    title, outputs, kept = PARTS[name]
    sheet.panel(3.05, bottom, 9.8, 2.6, title, CONVOLUTION)
    middle, cell = bottom + 1.15, CELLS[name]
    notes = dict(above=bottom + 2.0, below=bottom + 0.22)
    side = 0.3 + cell / 60
    right = sheet.shown(3.85 - side / 2, middle, side, "window", seen_at(cell), size=8, **notes)
    step = 5.9 / len(layers)
    lefts = [4.75 + step * place for place in range(len(layers))]
    edges = sheet.row(layers, lefts, middle, scale=1.1, size=8, **notes)
    sheet.arrow([(right + 0.05, middle), (edges[0][0] - 0.03, middle)])
    sheet.arrow([(edges[-1][1] + 0.04, middle), (10.78, middle)])
    text = "\n".join(outputs)
    sheet.words(10.88, middle + 0.32, text, ha="left", size=9.5, weight="bold")
    sheet.words(10.88, middle - 0.5, kept, ha="left", size=9)


SCHEMATICS = {"mtcnn": _mtcnn, "mlnet": _mlnet, "alexnet-gap": _alexnet_gap}
"""By a network's name what draws it."""
