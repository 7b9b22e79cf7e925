"""Faces of successive frames linked into tracks, by where they are and where they were going.

Each face is expected where its last movement leads. Which face continues which track is then one
assignment of all at once (Kuhn 1955), so that of two that meet neither takes the other's place
merely by being looked at first.
"""

from dataclasses import asdict, dataclass

import numpy as np

from safbage.faces import LANDMARKS, Face

GAP = 2.0
"""Seconds for which a track waits for its face, hidden or not found, before it ends."""
INTERVALS = 2.5
"""It waits for as many intervals between frames, where that is longer."""
REACH = 2.0
"""How far from where it is expected a face may be, in widths of the two boxes."""
GROWTH = 1.8
"""How many times wider or narrower it may have become."""
STEADY = 0.8
"""The share of the newest movement in what is expected of the next."""
LOST = 0.1
"""What each frame without its face takes from a track's likeness to a face, which is at most 1."""
FORBIDDEN = -1e6


@dataclass
class _Track:
    """A track as it was when its face was last seen; in pixels and seconds.

    `points` are the landmarks, x and y by turns, or none. `movement` is that of the box's middle,
    in pixels a second.
    """

    number: int
    box: list[float]
    points: list[float]
    movement: list[float]
    time_s: float
    missed: int = 0

    def shift(self, time_s):
        """How far it is expected to have moved."""
        return np.array(self.movement) * (time_s - self.time_s)


class Tracker:
    """Numbers the faces of a film, or of a camera, so that one person keeps one number.

    Args:
        gap_s: seconds for which a track waits for its face, see `GAP`.
    """

    def __init__(self, gap_s: float = GAP):
        self.gap_s = gap_s
        self.clear()

    def clear(self) -> None:
        """Begin another film: numbers from 0."""
        self._tracks, self._next, self._before = [], 0, None

    def link(self, found: list[Face], time_s: float) -> list[int]:
        """The track of each face of the next frame, in the faces' order.

        Args:
            found: the frame's faces.
            time_s: when it is, in seconds; later than the frame before.
        """
        interval = 0 if self._before is None else time_s - self._before
        gap = max(self.gap_s, INTERVALS * interval)
        self._tracks = [track for track in self._tracks if time_s - track.time_s <= gap]
        self._before = time_s
        continued = self._assigned(found, time_s)
        numbers = []
        for i, face in enumerate(found):
            numbers.append(self._see(continued.get(i), face, time_s))
        for track in self._tracks:
            track.missed += track.time_s < time_s
        return numbers

    def _assigned(self, found, time_s):
        """The track that each face continues, by the face's place."""
        if not found or not self._tracks:
            return {}
        from scipy.optimize import linear_sum_assignment  # half a second, and only films need it

        likeness = [[_likeness(track, face, time_s) for track in self._tracks] for face in found]
        rows, columns = linear_sum_assignment(likeness, maximize=True)
        return {
            int(row): self._tracks[column]
            for row, column in zip(rows, columns, strict=True)
            if likeness[row][column] > FORBIDDEN
        }

    def _see(self, track, face, time_s):
        """Note that a track's face was seen, or begin a track; its number."""
        box, points = list(face.box), [v for point in _points(face) for v in point]
        if track is None:
            track = _Track(self._next, box, points, [0.0, 0.0], time_s)
            self._tracks.append(track)
            self._next += 1
            return track.number
        passed = time_s - track.time_s
        if passed > 0:
            moved = (_middle(box) - _middle(track.box)) / passed
            first = not any(track.movement)
            newest = moved if first else STEADY * moved + (1 - STEADY) * np.array(track.movement)
            track.movement = newest.tolist()
        track.box, track.points, track.time_s, track.missed = box, points, time_s, 0
        return track.number

    def state(self) -> dict:
        """All that it knows, as plain values, ready for JSON."""
        return {
            "gap_s": self.gap_s,
            "next": self._next,
            "before": self._before,
            "tracks": [asdict(track) for track in self._tracks],
        }

    @classmethod
    def from_state(cls, state: dict) -> "Tracker":
        """The tracker whose `state` this was: it goes on as that one would have."""
        tracker = cls(state["gap_s"])
        tracker._next, tracker._before = state["next"], state["before"]
        tracker._tracks = [_Track(**track) for track in state["tracks"]]
        return tracker


def _likeness(track, face, time_s):
    """How well a face continues a track: the mean of how far the boxes overlap and how near the
    landmarks are, 0 to 1; FORBIDDEN where it cannot."""
    shift = track.shift(time_s)
    expected = [*(np.array(track.box[:2]) + shift), *track.box[2:]]
    width, growth = (expected[2] + face.box[2]) / 2, face.box[2] / max(expected[2], 1e-6)
    if not 1 / GROWTH <= growth <= GROWTH:
        return FORBIDDEN
    points = np.array(_points(face))
    if len(points) and track.points:
        distances = np.linalg.norm(points - np.reshape(track.points, (-1, 2)) - shift, axis=1)
    else:
        distances = np.linalg.norm(_middle(face.box) - _middle(expected), keepdims=True)
    distance = distances.mean() / width
    if distance > REACH:
        return FORBIDDEN
    return (_overlap(expected, face.box) + 1 - distance / REACH) / 2 - LOST * track.missed


def _points(face):
    return [face.landmarks[name] for name in LANDMARKS if name in face.landmarks]


def _middle(box):
    left, top, width, height = box
    return np.array([left + width / 2, top + height / 2])


def _overlap(one, other):
    """Intersection over union of two boxes."""
    corners = [(left, top, left + width, top + height) for left, top, width, height in (one, other)]
    (a, b, c, d), (e, f, g, h) = corners
    common = max(0, min(c, g) - max(a, e)) * max(0, min(d, h) - max(b, f))
    return common / max(one[2] * one[3] + other[2] * other[3] - common, 1e-6)
