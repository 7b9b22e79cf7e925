"""Body, head, lines, nose, mouth, eyes and glasses of a synthetic face."""

from typing import NamedTuple

import numpy as np

from safbage.datasets.drawn.backdrop import hue_rgb
from safbage.datasets.drawn.canvas import (
    between,
    blend,
    closed_curve,
    ellipse,
    mirrored,
    open_curve,
    outline,
    path,
    shifted,
)

IRISES = np.array([(0.25, 0.14, 0.08), (0.42, 0.28, 0.14), (0.38, 0.45, 0.25), (0.30, 0.48, 0.62)])
DARK = np.array((0.16, 0.09, 0.08))
"""Colour of lashes, and of the line between the lips."""
FURROW = (0.62, 0.53, 0.51)
"""What skin in a furrow is multiplied by: shadows on skin are red."""
SIDES = ((-1, 1), (1, 1))


def body(canvas, face, skin):
    """Neck with the head's shadow on it, shoulders and a round collar."""
    neck = 0.46 + 0.12 * face.grown * face.male - 0.08 * face.child
    wide = 1.75 - 0.45 * face.child
    base = face.chin - face.actions.jaw + 0.34
    collar, cloth = base + 0.12, hue_rgb(face.factors.clothes, 0.45, 0.62)
    throat = mirrored(
        path((0, neck, neck, neck + 0.2, 0), (0.6, 0.6, base, base + 0.3, base + 0.9))
    )
    canvas.paint(throat, skin * 0.93)
    canvas.shade(
        ellipse((0, face.chin - 0.05), (0.72, 0.42)), (0.62, 0.55, 0.54), soft=0.22, within=throat
    )
    cut = path((0, 0.7 * neck, neck + 0.08), (collar + 0.42, collar + 0.3, collar - 0.06))
    shoulder = path(
        (0.7 * wide, 0.95 * wide, 1.08 * wide, 1.12 * wide),
        (collar + 0.15, collar + 0.42, collar + 1.0, 5.2),
    )
    canvas.paint(
        mirrored(np.vstack([cut[:2], open_curve(np.vstack([cut[2:], shoulder])), [(0, 5.2)]])),
        cloth,
    )
    rim = open_curve(np.vstack([(cut * (-1, 1))[::-1], cut[1:]]))
    canvas.paint(outline(rim, np.full(len(rim), 0.1)), cloth * 0.8)
    canvas.shade(shifted(rim, 0, 0.1), 0.8, soft=0.1)


def head(canvas, face, skin):
    """Ears, the head, and what is round on it: jaw, forehead, cheeks and chin."""
    lobe = 0.4 + 0.03 * face.old
    ear = closed_curve(
        path((0.93, 1.06, 1.16, 1.1, 1.02, 0.93), (-0.14, -0.24, -0.1, 0.2, lobe, 0.3))
    )
    canvas.paint(np.stack([ear * side for side in SIDES]), skin * (0.97, 0.9, 0.88))
    for side in SIDES:
        canvas.shade(ellipse((1.04, 0.03), (0.045, 0.15)) * side, (0.72, 0.6, 0.58), soft=0.04)
    canvas.paint(face.head, skin)
    jaw = closed_curve(path((0.55, 0.95, 1.1, 0.3), (1.3, 0.5, 1.2, 1.7)))
    canvas.shade(np.stack([jaw * side for side in SIDES]), 0.86, soft=0.3, within=face.head)
    canvas.shade(ellipse((0, -0.72), (0.5, 0.3)), 1.06, soft=0.3, within=face.head)
    cheek_y = 0.52 - 0.12 * face.child - 0.06 * face.actions.cheeks
    blush = 0.86 - 0.05 * face.child
    for side in SIDES:
        canvas.shade(
            ellipse((0.56, cheek_y), (0.24, 0.17)) * side,
            (1.02, blush, blush),
            soft=0.22,
            within=face.head,
        )
        canvas.shade(
            ellipse((0.54, cheek_y - 0.1), (0.2, 0.1)) * side,
            1.05 + 0.04 * face.actions.cheeks,
            soft=0.14,
        )
    canvas.shade(ellipse((0, face.chin - 0.17), (0.16, 0.09)), 1.05, soft=0.1)


# --- lines ---------------------------------------------------------------------------------------


def lines(canvas, face):
    """Furrows of the forehead and about eyes and mouth: of age, and of what the face does."""
    act, old = face.actions, face.old
    raised = max(act.inner, act.outer, 0)
    forehead = np.clip(1.1 * old - 0.25 + 3.2 * raised, 0, 0.9) * (1 - 0.5 * face.child)
    folds = np.clip(1.2 * old + 0.55 * act.cheeks + 0.6 * act.wrinkle - 0.05, 0, 1)
    frown = np.clip(7 * act.together + 0.4 * old - 0.15, 0, 1)
    crows_feet = np.clip(1.3 * old - 0.35 + 0.3 * act.cheeks * (1 - face.child), 0, 0.8)
    mouth, mouth_x, eye_x = face.mouth, face.mouth_width * act.wide, face.eye_x
    outer = eye_x + face.eye_width
    if forehead:
        _forehead(canvas, face.brow_y - 0.2 - 0.7 * raised, forehead)
    fold = path(
        (face.nose_width + 0.04, mouth_x + 0.1, mouth_x + 0.13),
        (face.nose - 0.1, mouth - 0.14, mouth + 0.06),
    )
    jowl = path(
        (mouth_x + 0.1, mouth_x + 0.17, mouth_x + 0.1),
        (mouth + 0.12, mouth + 0.3, face.chin - 0.12),
    )
    bag = path((eye_x - 0.17, eye_x, eye_x + 0.18), (0.17, 0.25, 0.17))
    _furrow(canvas, fold, 0.05, 0.025, folds)
    _furrow(
        canvas,
        shifted(path((0.07, 0.08, 0.065), (-0.34, -0.22, -0.1)), 0, -0.5 * act.inner),
        0.04,
        0.012,
        frown,
    )
    _furrow(canvas, bag, 0.05, 0.025, 0.8 * np.clip(1.1 * old - 0.15, 0, 1))
    _furrow(canvas, jowl, 0.07, 0.06, np.clip(old - 0.55, 0, 1))
    for slant in (-0.11, 0.0, 0.1):
        foot = path((outer + 0.06, outer + 0.2), (0.02 + 0.4 * slant, 0.02 + 1.3 * slant))
        _furrow(canvas, foot, 0.028, 0.012, crows_feet)


def _furrow(canvas, line, width, soft, opacity):
    """One furrow on the right, and its mirror image."""
    if opacity < 0.02:
        return
    furrow = outline(open_curve(line), width)
    for side in SIDES:
        canvas.shade(furrow * side, FURROW, soft=soft, opacity=opacity)


def _forehead(canvas, lowest, opacity):
    for step in range(3):
        half, y = 0.5 - 0.07 * step, lowest - 0.13 * step
        line = path((-half, -0.2, 0, 0.2, half), (y + 0.03, y - 0.02, y + 0.01, y - 0.02, y + 0.03))
        canvas.shade(outline(open_curve(line), 0.035), FURROW, soft=0.015, opacity=0.9 * opacity)


# --- nose and mouth ------------------------------------------------------------------------------


def nose(canvas, face):
    """Bridge with its shadow away from the light, tip, wings and nostrils; wrinkled if the face
    does that."""
    wrinkle = face.actions.wrinkle
    tip, wide = face.nose - 0.03 * wrinkle, face.nose_width * (1 + 0.12 * wrinkle)
    dark = 1 if face.factors.light[0] <= 0 else -1
    shadow = path(
        (0.07, 0.13, 0.13, wide, 0.08, 0.06), (-0.16, 0.02, tip - 0.2, tip - 0.02, tip, 0.1)
    )
    canvas.shade(closed_curve(shadow * (dark, 1)), (0.8, 0.73, 0.71), soft=0.06)
    canvas.shade(ellipse((-0.03 * dark, 0.5 * tip), (0.045, 0.42 * tip)), 1.1, soft=0.08)
    canvas.shade(ellipse((0, tip + 0.03), (wide, 0.05)), (0.72, 0.62, 0.6), soft=0.06)
    canvas.shade(ellipse((-0.03 * dark, tip - 0.09), (0.075, 0.06)), 1.14, soft=0.06)
    wing = outline(
        open_curve(
            path((0.86 * wide, 1.08 * wide, 0.92 * wide), (tip - 0.15, tip - 0.06, tip + 0.02))
        ),
        0.045,
    )
    nostril = ellipse((0.48 * wide, tip + 0.005), (0.28 * wide, 0.028 + 0.01 * wrinkle))
    for side in SIDES:
        canvas.shade(wing * side, (0.55, 0.45, 0.43), soft=0.015)
        canvas.shade(nostril * side, (0.3, 0.2, 0.2), soft=0.015)
    for down in (-0.04, 0.06):
        _furrow(
            canvas,
            shifted(path((0.04, 0.1, 0.16), (0, 0.02, 0.08)), 0, down),
            0.035,
            0.02,
            min(1, 0.85 * wrinkle),
        )


class Mouth(NamedTuple):
    """The four lines of a mouth, each N×2 from its left corner to its right: rim and inner edge of
    the upper and lower lip."""

    above: np.ndarray
    top: np.ndarray
    low: np.ndarray
    below: np.ndarray


def mouth_lines(face) -> Mouth:
    """The mouth as what the face does shapes it."""
    act = face.actions
    t = np.linspace(-1, 1, 25)
    raised = act.upper * face.mouth_width / 0.32
    rest = face.mouth + 0.3 * act.corners - 0.4 * raised - act.corners * np.abs(t) ** 1.7
    gape = (1 - t**2) ** (0.5 - 0.3 * np.clip(act.square, 0, 1))
    top = rest - 0.35 * act.apart * gape
    low = rest + (0.65 * act.apart + 0.5 * act.jaw) * gape
    thick = face.lips * (1 - 0.55 * np.clip(act.press, 0, 1)) * (1 - t**2) ** 0.6
    cupids_bow = 1 - 0.3 * np.exp(-((t / 0.16) ** 2))
    above = top - 0.9 * thick * cupids_bow - raised * (1 - t**2) ** 2
    return Mouth(
        *(path(face.mouth_width * act.wide * t, y) for y in (above, top, low, low + 1.25 * thick))
    )


def mouth(canvas, face, skin):
    """Lips, what is between them, and the shadows about them. Full red lips are the cliché for
    "female"."""
    act, lines = face.actions, mouth_lines(face)
    width, lowest = lines.top[-1, 0], lines.below[:, 1].max()
    female = np.array((0.92, 0.38, 0.42)) * face.grown + np.array((0.96, 0.56, 0.56)) * (
        1 - face.grown
    )
    tint = np.array((0.93, 0.68, 0.66)) if face.male else female
    canvas.shade(ellipse((0, lowest + 0.07), (0.6 * width, 0.05)), (0.76, 0.68, 0.66), soft=0.07)
    canvas.shade(ellipse((0, face.nose + 0.14), (0.04, 0.07)), 0.88, soft=0.05)
    canvas.paint(between(lines.above, lines.below), skin * tint, soft=0.012)
    canvas.shade(between(lines.above, lines.top), 0.86, soft=0.012)
    gloss = ellipse((0, lines.low[:, 1].max() + 0.55 * face.lips), (0.4 * width, 0.35 * face.lips))
    canvas.shade(gloss, 1.2 - 0.08 * face.male, soft=0.03)
    if act.apart > 0:
        _open_mouth(canvas, face, lines)
    canvas.paint(outline(lines.top, 0.026 + 0.02 * act.press), DARK * 1.3, soft=0.008, opacity=0.8)
    for side in SIDES:
        canvas.shade(ellipse(lines.top[-1], (0.035, 0.03)) * side, 0.6, soft=0.03)


def _open_mouth(canvas, face, lines):
    act, inside, gap = face.actions, between(lines.top, lines.low), lines.low - lines.top
    canvas.paint(inside, (0.22, 0.05, 0.06))
    tongue = ellipse((0, lines.low[:, 1].max() - 0.02), (0.6 * lines.top[-1, 0], 0.4 * act.apart))
    canvas.paint(tongue, (0.72, 0.3, 0.32), soft=0.02, within=inside)
    # A round mouth covers the teeth.
    upper_teeth = np.minimum(0.55 * gap, 0.09 * np.clip(5 * act.wide - 4, 0, 1))
    canvas.paint(between(lines.top, lines.top + upper_teeth), (0.97, 0.95, 0.91), within=inside)
    if act.square > 0.5:
        canvas.paint(between(lines.low - 0.3 * gap, lines.low), (0.9, 0.88, 0.84), within=inside)
    canvas.shade(outline(lines.top, 0.04), 0.7, soft=0.015, within=inside)


# --- eyes ----------------------------------------------------------------------------------------


def eyes(canvas, face):
    """Both eyes in their sockets: the ball, lids and lashes. Dark lashes and eye shadow are the
    cliché for "female"."""
    act, female = face.actions, 1 - face.male
    width = face.eye_width
    up = width * (0.52 + 0.06 * face.child + 0.04 * female - 0.1 * face.old) * act.lids
    down = (
        width
        * (0.36 + 0.05 * face.child)
        * (1 - 0.6 * act.cheeks)
        * (1 + 0.3 * max(0, act.lids - 1))
    )
    t = np.linspace(-1, 1, 17)
    tilt = 0.02 * face.old * t - 0.025 * female * t
    upper = path(width * t, tilt - up * (1 - t**2) ** 0.7)
    lower = path(width * t, tilt + down * (1 - t**2) ** 0.8)
    for side in SIDES:
        x = face.eye_x * side[0]
        top, bottom = shifted(upper * side, x, 0), shifted(lower * side, x, 0)
        canvas.shade(
            ellipse((0.97 * x, -0.08), (width + 0.06, 0.17)), (0.84, 0.77, 0.76), soft=0.12
        )
        canvas.shade(ellipse((x, 0.1), (width, 0.09)), (0.9, 0.84, 0.84), soft=0.08)
        _eyeball(canvas, face, x, top, between(top, bottom))
        canvas.shade(
            outline(shifted(top, 0, -0.055 - 0.02 * act.lids), 0.028), (0.6, 0.5, 0.48), soft=0.012
        )
        canvas.shade(outline(shifted(bottom, 0, 0.012), 0.025), (0.62, 0.5, 0.48), soft=0.01)
        thick = (0.038 + 0.034 * female * (1 - 0.4 * face.child)) * np.linspace(0.6, 1.15, len(top))
        canvas.paint(outline(top, thick), DARK, soft=0.006, opacity=0.75 + 0.25 * female)
        if female:
            _lashes(canvas, face, top, side[0])


def _eyeball(canvas, face, x, upper_lid, eye):
    radius = 0.105 + 0.035 * face.child
    colour = blend(IRISES, face.factors.eyes)
    canvas.paint(eye, (0.95, 0.94, 0.93))
    canvas.paint(ellipse((x, -0.02), (radius, radius)), 0.45 * colour, within=eye, lit=False)
    canvas.paint(
        ellipse((x, -0.008), (0.8 * radius, 0.8 * radius)),
        1.15 * colour,
        soft=0.012,
        within=eye,
        lit=False,
    )
    canvas.paint(
        ellipse((x, -0.02), (0.45 * radius, 0.45 * radius)),
        (0.03, 0.02, 0.02),
        within=eye,
        lit=False,
    )
    canvas.shade(outline(shifted(upper_lid, 0, 0.03), 0.12), 0.62, soft=0.03, within=eye)
    glint = 0.035 if face.factors.light[0] > 0 else -0.035
    canvas.paint(ellipse((x + glint, -0.06), (0.028, 0.028)), (1, 1, 1), within=eye, lit=False)


def _lashes(canvas, face, upper_lid, side):
    x, y = upper_lid[-1]
    roots = [(x - 0.03 * k * side, y - 0.035 * k) for k in range(3)]
    tips = [(x + (0.085 - 0.03 * k) * side, y - 0.05 - 0.05 * k) for k in range(3)]
    strokes = [outline(np.array(ends), 0.03) for ends in zip(roots, tips, strict=True)]
    canvas.paint(np.stack(strokes), DARK, opacity=0.95 * (1 - 0.6 * face.child))
    canvas.shade(
        outline(shifted(upper_lid, 0, -0.05), 0.1),
        (0.78, 0.62, 0.68),
        soft=0.03,
        opacity=0.6 * (1 - face.child),
    )


def glasses(canvas, face):
    """A dark frame with clear lenses."""
    frame, thick = (0.12, 0.11, 0.13), 0.045
    half = 0.31 + 0.02 * face.child
    corners = path((-0.8, 0.8, 1, 0.75, -0.75, -1), (-0.75, -0.75, 0, 0.85, 0.85, 0)) * (half, 0.25)
    lens = shifted(closed_curve(corners), face.eye_x, 0.05)
    rim = outline(np.vstack([lens, lens[:1]]), np.full(len(lens) + 1, thick))
    arm = outline(path((face.eye_x + half, 1.0), (0, -0.08)), np.full(2, thick))
    bridge = open_curve(path((half - face.eye_x, 0, face.eye_x - half), (0.02, -0.04, 0.02)))
    for side in SIDES:
        canvas.shade(lens * side, (1.04, 1.06, 1.08), opacity=0.7)
        canvas.paint(rim * side, frame, lit=False)
        canvas.paint(arm * side, frame, lit=False)
    canvas.paint(outline(bridge, np.full(len(bridge), thick)), frame, lit=False)
