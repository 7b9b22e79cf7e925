"""A camera's frames, one after another: faces found or followed, answered, and smoothed over the
last second."""

from dataclasses import replace

import numpy as np

from safbage import faces
from safbage.faces import Face
from safbage.pipeline import Explanation, SafBage
from safbage.tracks import Tracker, follow, pooled

DETECT_EVERY = 3
"""Faces are searched for in every so many frames; between them boxes are carried on."""
SMOOTH = 1.0
"""Seconds whose frames are answered together."""
SMALLEST = 40
"""Pixels of the smallest face that is looked for: half a metre to two metres from a camera."""


class Watcher:
    """Takes a camera's frames through the stages, and remembers the last second of them.

    Args:
        model: from `SafBage.load`.
        max_faces: how many faces are answered, the largest; the others are passed over.
        detect_every: see `DETECT_EVERY`; a frame is searched in any case where no face is known.
        smooth_s: see `SMOOTH`; 0 answers each frame by itself.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        model: SafBage,
        *,
        max_faces: int = 1,
        detect_every: int = DETECT_EVERY,
        smooth_s: float = SMOOTH,
    ):
        if not (max_faces >= 1 and detect_every >= 1 and smooth_s >= 0):
            raise ValueError(
                "expected max_faces ≥ 1, detect_every ≥ 1 and smooth_s ≥ 0; "
                f"got {max_faces!r}, {detect_every!r} and {smooth_s!r}"
            )
        self.model, self.max_faces, self.smooth_s = model, max_faces, smooth_s
        self.detect_every = detect_every
        self.clear()

    def clear(self) -> None:
        """Forget all frames: tracks begin at 0 again."""
        self._tracker, self._recent = Tracker(), []
        self._before, self._found, self._carried = None, [], 0

    def look(self, frame: np.ndarray, time_s: float, *, ratio: float) -> Explanation:
        """What is in the next frame.

        Args:
            frame: RGB, H×W×3 uint8.
            time_s: when it is, in seconds; later than the frame before.
            ratio: of the reweighting, 0–1.

        Returns:
            The frame's faces with their tracks. Probabilities, maps, CAMs and years are those of
            the track in the last second, as far as the ratio was this one: probabilities pooled
            (`tracks.pooled`), the others as means.
        """
        found = self._find(frame)
        self._before, self._found = frame, found
        tracks = self._tracker.link(found, time_s)
        if not found:
            return Explanation("the camera", ratio, image=frame)
        crops = np.stack([faces.crop_face(frame, face) for face in found])
        outputs = self.model.answer(crops, ratio=ratio)
        seen = Explanation(
            "the camera",
            ratio,
            status="ok",
            image=frame,
            faces=found,
            crops=crops,
            maps=outputs["map"],
            quality=[faces.describe_quality(frame, face) for face in found],
            tracks=tracks,
            **self.model.parted(outputs),
        )
        return self._smoothed(seen, time_s)

    def _find(self, frame) -> list[Face]:
        """The faces of a frame, carried on from the one before or searched for."""
        self._carried += 1
        if self._found and self._carried < self.detect_every:
            carried = follow(self._before, frame, self._found)
            if len(carried) == len(self._found):
                return carried
        self._carried = 0
        found = faces.detect_faces(frame, min_face_size=SMALLEST)
        return faces.largest(found, max_faces=self.max_faces)

    def _smoothed(self, seen, time_s):
        """An explanation with the answers of the last second's frames."""
        self._recent = [
            (when, past)
            for when, past in self._recent
            if time_s - when < self.smooth_s and past.ratio == seen.ratio
        ]
        self._recent.append((time_s, replace(seen, image=None)))
        looks = [_looks(track, self._recent) for track in seen.tracks]
        return replace(
            seen,
            maps=_means(looks, lambda past: past.maps),
            probabilities={
                task: np.stack([_pooled(task, own) for own in looks]) for task in seen.probabilities
            },
            cams={
                task: _means(looks, lambda past, task=task: past.cams[task]) for task in seen.cams
            },
            years=None if seen.years is None else _means(looks, lambda past: past.years),
        )


def _looks(track, recent):
    """The explanations that have a track, each with the track's place in it."""
    return [(past, past.tracks.index(track)) for _, past in recent if track in past.tracks]


def _pooled(task, looks):
    return pooled(np.stack([past.probabilities[task][i] for past, i in looks]))[0]


def _means(looks, values):
    """For each track the mean of what `values` gives of its explanations."""
    return np.stack([np.mean([values(past)[i] for past, i in own], axis=0) for own in looks])
