"""Hair of a synthetic face: styles, strands and curls, brows and beard."""

import numpy as np

from safbage.datasets.drawn.canvas import (
    closed_curve,
    ellipse,
    mirrored,
    open_curve,
    outline,
    path,
    shifted,
)
from safbage.datasets.drawn.features import SIDES, mouth_lines

HAIR_RGB = {
    "black": (0.10, 0.09, 0.10),
    "dark brown": (0.22, 0.14, 0.10),
    "brown": (0.38, 0.24, 0.15),
    "auburn": (0.50, 0.22, 0.12),
    "blond": (0.85, 0.66, 0.38),
    "red": (0.74, 0.36, 0.16),
}
GREY_RGB = np.array((0.80, 0.80, 0.81))
LENGTHS = {"bob": 1.25, "long": 2.4}
"""How far down hair hangs beside the face, in face units."""
VOLUMES = {"short": 0.1, "parted": 0.16, "curly": 0.2, "bob": 0.16, "long": 0.16, "bun": 0.08}
"""How far hair stands off the skull."""


def colour(factors) -> np.ndarray:
    """RGB 0–1 of the hair, with its share of grey."""
    return (1 - factors.grey) * np.array(HAIR_RGB[factors.hair_colour]) + factors.grey * GREY_RGB


def behind(canvas, face, rgb):
    """What of the hair is behind neck and head."""
    style, top = face.factors.hair, face.crown
    if style == "bun":
        canvas.paint(ellipse((0, top - 0.28), (0.42, 0.36)), rgb)
        canvas.shade(ellipse((0, top - 0.36), (0.2, 0.12)), 1.2, soft=0.12)
    if style in LENGTHS:
        low = LENGTHS[style]
        right = (0, 0.52, 0.95, 1.16, 1.28, 1.28, 1.14, 0.6, 0)
        down = (top - 0.14, top - 0.04, top + 0.3, -0.5, 0.2, 0.6 * low, low, low + 0.1, low)
        canvas.paint(closed_curve(mirrored(path(right, down))), rgb * 0.8)


def before(canvas, face, rgb, generator):
    """What of the hair is before the head: the cap over the skull, locks beside the face; or a bald
    head's shine."""
    style = face.factors.hair
    if style == "bald":
        canvas.shade(ellipse((-0.25, face.crown + 0.32), (0.3, 0.16)), 1.12, soft=0.18)
        return
    cap = closed_curve(np.vstack([_crest(face), _hairline(face)]))
    canvas.shade(shifted(cap, 0, 0.08), (0.74, 0.68, 0.68), soft=0.1, within=face.head)
    canvas.paint(
        cap, rgb, soft=0.012, opacity=1 - 0.55 * face.baby, within=face.head if face.baby else None
    )
    if style in LENGTHS:
        _locks(canvas, LENGTHS[style], rgb)
    if style == "curly":
        _curls(canvas, face, rgb, generator)
    elif not face.baby:
        _strands(canvas, face, cap, generator)


def _crest(face):
    """The hair's outer outline, from the left ear over the crown to the right ear."""
    volume, top = VOLUMES[face.factors.hair], face.crown
    ear = -0.05 if face.factors.hair in ("short", "parted") else -0.2
    right = np.array((1.03, 1.05 + volume / 3, 0.9 + volume / 3, 0.5))
    down = np.array((ear, -0.5, top + 0.4 - volume, top + 0.1 - volume))
    return np.vstack([path(-right, down), [(0, top - volume)], path(right, down)[::-1]])


def _hairline(face):
    """Where hair meets the face, from the right ear to the left."""
    high = face.crown + 0.42
    right, down = {
        "short": (
            (0.94, 0.84, 0.5, 0, -0.5, -0.84, -0.94),
            (-0.3, -0.66, high - 0.02, high + 0.03, high - 0.02, -0.66, -0.3),
        ),
        "parted": (
            (0.94, 0.86, 0.62, 0.1, -0.42, -0.8, -0.94),
            (-0.3, -0.6, high + 0.22, high + 0.12, high - 0.16, -0.72, -0.3),
        ),
        "curly": (
            (0.93, 0.8, 0.4, 0, -0.4, -0.8, -0.93),
            (-0.3, -0.66, high + 0.08, high + 0.02, high + 0.08, -0.66, -0.3),
        ),
        "bob": (
            (0.93, 0.84, 0.45, 0, -0.45, -0.84, -0.93),
            (-0.2, -0.52, -0.7, -0.74, -0.7, -0.52, -0.2),
        ),
        "long": (
            (0.95, 0.88, 0.5, 0.08, -0.4, -0.86, -0.95),
            (-0.2, -0.6, high + 0.02, high - 0.2, high + 0.04, -0.6, -0.2),
        ),
        "bun": (
            (0.95, 0.86, 0.5, 0, -0.5, -0.86, -0.95),
            (-0.3, -0.7, high - 0.06, high - 0.12, high - 0.06, -0.7, -0.3),
        ),
    }[face.factors.hair]
    return path(right, down)


def _locks(canvas, low, rgb):
    right = (0.8, 1.12, 1.28, 1.28, 1.1, 0.84, 0.91, 0.91)
    lock = closed_curve(path(right, (-0.75, -0.6, 0.2, 0.6 * low, low, low - 0.12, 0.5, -0.1)))
    sheen = outline(open_curve(path((1.05, 1.15, 1.1), (-0.5, 0.2, 0.8 * low))), 0.12)
    for side in SIDES:
        canvas.paint(lock * side, rgb, soft=0.012)
        canvas.shade(sheen * side, 1.14, soft=0.05)


def _curls(canvas, face, rgb, generator):
    """A rim of discs about the skull, and lighter and darker curls on it."""
    circle = ellipse((0, 0), (1, 1), 14)
    middle, radii = np.array((0, -0.4)), np.array((1.02, -0.4 - face.crown))

    def around(angles):
        return radii * path(np.cos(angles), np.sin(angles))

    rim = middle + around(np.linspace(-1.08 * np.pi, 0.08 * np.pi, 19))
    canvas.paint(rim[:, None] + generator.uniform(0.24, 0.3, (19, 1, 1)) * circle, rgb, soft=0.012)
    for factor in (0.8, 1.18):
        places = middle + generator.uniform(0.9, 1.16, (30, 1)) * around(
            generator.uniform(-np.pi, 0, 30)
        )
        canvas.shade(places[:, None] + (0.07, 0.05) * circle, factor, soft=0.04, opacity=0.7)


def _strands(canvas, face, cap, generator):
    """Lighter and darker strands from the crown down, and a soft sheen on the side of the light."""
    spread, fall = np.array([0.55, 0.82, 0.98, 1.1, 1.15]), np.array([-0.08, 0.06, 0.25, 0.48, 0.7])
    half = path(0.028 * np.sin(np.linspace(0.1, 3, 5)), np.zeros(5))
    for factor in (1.22, 0.78):
        x = generator.uniform(-0.95, 0.95, (10, 1)) * spread
        strand = np.stack([x, np.broadcast_to(face.crown + fall, x.shape)], -1)
        outlines = np.concatenate([strand + half, (strand - half)[:, ::-1]], 1)
        canvas.shade(outlines, factor, soft=0.02, within=cap, opacity=0.7)
    side = 1 if face.factors.light[0] > 0 else -1
    canvas.shade(ellipse((0.3 * side, face.crown + 0.12), (0.5, 0.1)), 1.25, soft=0.12, within=cap)


def brows(canvas, face, rgb):
    """Both brows, from thick inner to thin outer ends. Heavy ones are the cliché for "male", arched
    ones for "female"."""
    act, y = face.actions, face.brow_y
    arch = 0.07 - 0.05 * face.male
    down = (y + 0.05 - act.inner, y - arch - 0.5 * (act.inner + act.outer), y + 0.06 - act.outer)
    line = open_curve(path((0.19 - act.together, 0.42 - 0.4 * act.together, 0.72), down), 8)
    brow = outline(
        line,
        face.brow_width
        * np.interp(np.linspace(0, 1, len(line)), [0, 0.12, 0.5, 1], [0.75, 1.1, 1, 0.25]),
    )
    for side in SIDES:
        canvas.paint(
            brow * side,
            0.75 * rgb * (1 - 0.2 * face.factors.grey),
            soft=0.018,
            opacity=0.92 - 0.25 * face.child,
        )


def beard(canvas, face, rgb):
    """Stubble, moustache or beard; it leaves the lips free."""
    kind = face.factors.facial_hair
    if kind == "none":
        return
    opacity = 0.42 if kind == "stubble" else 0.92
    mouth = mouth_lines(face)
    width, corner = mouth.top[-1]
    right = (0, 0.2, width + 0.06, width - 0.06, 0)
    down = (face.nose + 0.1, face.nose + 0.12, corner + 0.04, corner, mouth.above[:, 1].min())
    canvas.paint(closed_curve(mirrored(path(right, down))), rgb * 0.85, soft=0.03, opacity=opacity)
    if kind == "moustache":
        return
    full, under = kind == "beard", mouth.below[:, 1].max() + 0.04
    edge = path(
        (0, 0.1, width + 0.1, 0.62, 0.8, 0.93, 1, 0.99),
        (under, under, corner + 0.02, face.mouth - 0.12, 0.55, 0.1, 0.1, 0.4),
    )
    jaw = path(
        (face.jaw + 0.02, face.chin_width + 0.15, 0),
        (0.66 * face.chin, face.chin - 0.02, face.chin + 0.1 * full),
    )
    area = mirrored(np.vstack([edge, jaw]))
    canvas.paint(
        area,
        rgb * 0.85,
        soft=0.05 if full else 0.1,
        opacity=opacity,
        within=None if full else face.head,
    )
