"""What the muscles of a synthetic face do, its proportions, and where they fall in the picture.

Face coordinates: the origin lies between the eyes, 1 is half the face's width, x to the viewer's
right, y down.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from safbage.datasets.drawn.canvas import closed_curve, mirrored, path

UNIT = 0.212
"""One face unit at scale 1, as a share of the picture's side; the face's box is then about half as
high as the picture."""


@dataclass(frozen=True)
class Actions:
    """What the muscles do, in face units where it is a shift; after the action units (AU) of the
    textbooks."""

    inner: float = 0.0  # inner ends of the brows raised (AU 1), or lowered
    outer: float = 0.0  # outer ends raised (AU 2), or lowered
    together: float = 0.0  # brows drawn together (AU 4)
    lids: float = 1.0  # opening of the eyes: wide above 1 (AU 5), narrow below (AU 7)
    cheeks: float = 0.0  # cheeks raised (AU 6), 0–1
    wrinkle: float = 0.0  # nose wrinkled (AU 9), 0–1
    corners: float = 0.0  # corners of the mouth raised (AU 12), or lowered (AU 15)
    wide: float = 1.0  # width of the mouth (AU 20)
    upper: float = 0.0  # upper lip raised (AU 10)
    apart: float = 0.0  # lips parted (AU 25)
    jaw: float = 0.0  # jaw dropped (AU 26, 27)
    press: float = 0.0  # lips pressed (AU 24), 0–1
    square: float = (
        0.0  # the open mouth is a box that shows both rows of teeth, not an ellipse, 0–1
    )


ACTIONS = {
    "neutral": Actions(),
    "happy": Actions(outer=0.02, lids=0.86, cheeks=1, corners=0.15, wide=1.25),
    "sad": Actions(inner=0.15, outer=-0.08, together=0.05, lids=0.74, corners=-0.14, wide=0.92),
    "surprise": Actions(inner=0.2, outer=0.19, lids=1.42, wide=0.72, apart=0.34, jaw=0.13),
    "fear": Actions(
        inner=0.2,
        outer=0.0,
        together=0.07,
        lids=1.4,
        corners=-0.08,
        wide=1.22,
        apart=0.13,
        square=0.7,
        jaw=0.04,
    ),
    "disgust": Actions(
        inner=-0.09,
        outer=-0.02,
        together=0.04,
        lids=0.6,
        cheeks=0.5,
        wrinkle=1,
        corners=-0.06,
        upper=0.11,
    ),
    "anger": Actions(
        inner=-0.15, outer=0.06, together=0.1, lids=0.86, corners=-0.05, wide=0.92, press=1
    ),
}
OPENED = {
    "happy": {"apart": 0.17, "jaw": 0.03},
    "anger": {"apart": 0.13, "wide": 1.08, "press": 0.0, "square": 1.0, "upper": 0.03},
}
"""What changes in an open smile, and in anger with bared teeth."""


def actions(factors) -> Actions:
    """What the face does: its expression, as strong as its intensity."""
    full = dataclasses.asdict(ACTIONS[factors.expression])
    if factors.teeth:
        full |= OPENED.get(factors.expression, {})
    rest = dataclasses.asdict(ACTIONS["neutral"])
    return Actions(
        **{name: rest[name] + factors.intensity * (full[name] - rest[name]) for name in rest}
    )


class Face:
    """Proportions of one face in face coordinates, from age, presented gender and build; and where
    they fall in the picture.

    The clichés of gender presentation are here and in `features`: a wide, square jaw, a broader
    nose, heavy low brows and thin lips for "male"; a narrow chin, thin high brows, dark lashes and
    full red lips for "female". They are weaker in children.

    Attributes:
        child, baby, old: 1 for a newborn, 0 from 22 years and from 3; 0 up to 26 years, 1 from 68.
        male: 1 or 0; sex: ±0.5, nearer 0 in children.
        head: its outline.
        unit, origin: of face coordinates, in pixels.
    """

    def __init__(self, factors, size):
        self.factors, self.actions, self.size = factors, actions(factors), size
        self.child = float(np.clip((22 - factors.age) / 21, 0, 1))
        self.baby = float(np.clip(1.5 - factors.age / 2, 0, 1))
        self.old = float(np.clip((factors.age - 26) / 42, 0, 1))
        self.male = float(factors.gender == "male")
        self.grown = 1 - 0.45 * self.child
        self.sex = self.grown * (self.male - 0.5)
        self._proportions()
        self.head = self._head()
        self._place()

    def _proportions(self):
        child, old, sex = self.child, self.old, self.sex
        build = 0.03 * np.asarray(self.factors.build)
        self.crown = -1.36 - 0.24 * child
        self.chin = 1.385 - 0.365 * child + 0.07 * sex + build[0] + self.actions.jaw
        self.jaw = 0.78 + 0.07 * child + 0.12 * sex + 0.05 * old + build[1]
        self.chin_width = 0.33 + 0.06 * child + 0.2 * sex
        self.eye_x = 0.42 + 0.03 * child + build[2] / 2
        self.eye_width = (0.19 + 0.06 * child - 0.01 * sex) * (1 + build[3])
        self.brow_y = -0.355 - 0.02 * child + 0.07 * sex + build[4] / 2
        self.brow_width = (0.085 - 0.03 * child) * (1 + 0.75 * sex)
        self.nose = 0.57 - 0.2 * child + 0.03 * old + build[5]
        self.nose_width = (0.19 - 0.035 * child + 0.02 * old) * (1 + 0.18 * sex)
        self.mouth = self.nose + 0.31 - 0.05 * child + build[6] / 2
        self.mouth_width = (0.32 - 0.07 * child) * (1 + 0.08 * sex) * (1 + build[7])
        self.lips = (0.078 - 0.01 * child) * (1 - 0.45 * old) * (1 - 0.5 * sex)

    def _head(self):
        jaw, chin, chin_width, child = self.jaw, self.chin, self.chin_width, self.child
        right = (
            0,
            0.52,
            0.88 + 0.04 * child,
            1,
            0.97 + 0.03 * child,
            jaw,
            (jaw + chin_width) / 2,
            chin_width,
            0,
        )
        down = (
            self.crown,
            self.crown + 0.11,
            0.58 * self.crown,
            -0.2,
            0.28,
            0.62 * chin,
            0.84 * chin,
            chin - 0.05,
            chin,
        )
        return closed_curve(mirrored(path(right, down)))

    def _place(self):
        factors, side = self.factors, min(self.size)
        height, width = self.size
        self.unit = UNIT * factors.scale * side
        middle = (
            width / 2,
            0.48 * height - 0.25 * (self.crown + self.chin - self.actions.jaw) * self.unit,
        )
        self.origin = np.array(middle) + side * np.asarray(factors.shift)
        self.turn = 0.8 * np.sin(np.radians([factors.yaw, factors.pitch]))
        roll = np.radians(factors.roll)
        self.rotation = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])

    def project(self, points):
        """From face coordinates (N×2) to pixels: a turned head shifts what stands out of it, and
        keeps its silhouette."""
        depth = np.sqrt(np.maximum(1 - points[:, 0] ** 2 - (points[:, 1] - 0.2) ** 2 / 4, 0))
        return (points + depth[:, None] * self.turn) @ self.rotation * self.unit + self.origin
