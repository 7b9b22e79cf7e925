"""What was computed for a photo: arrays for figures, and rows for tables."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from safbage import reweighting
from safbage.errors import ImageError
from safbage.faces import Face, landmark_values
from safbage.films import Moment
from safbage.runtime.files import printable
from safbage.tasks import BOX, CLASSES, FACE_SIZE, FILM, LANDMARK_COLUMNS, MAP_SIZE, YEARS


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """All that was computed for one photo, faces surest first.

    Attributes:
        photo: its path (with control characters escaped), or "photo <i>" for an array or image.
        ratio: the reweighting ratio used.
        status: "ok", "no face", or "failed: " and why.
        image: the photo, H×W×3 uint8; None when not kept, or when the photo failed.
        faces: N detected faces.
        crops: N×224×224×3 uint8.
        maps: ML-Net's saliency of the crops, N×28×28 float32 in [0, 1].
        probabilities: task to N×C float32.
        cams: task to N×h×w×C float32, one raw class activation map per class: of 7×7 cells by
            face-mobilenet, of 13×13 by AlexNet-GAP.
        error: the exception behind a failure.
        mode: the formula of the reweighting, one of `reweighting.MODES`; "blend" is the paper's.
        quality: for each face what speaks against the answers to it, "" where nothing does; see
            `faces.describe_quality`.
        moment: of a film's frame, where in the film it is.
        tracks: of a film's frame, the number of each face's track.
        years: N×3, age in whole years: the median, and low and high, between which 80 % of ages
            lie. None where the network answers age groups alone, or age is not asked.
    """

    photo: str
    ratio: float
    status: str = "no face"
    image: np.ndarray | None = None
    faces: list[Face] = field(default_factory=list)
    crops: np.ndarray = field(
        default_factory=lambda: np.zeros((0, FACE_SIZE, FACE_SIZE, 3), "uint8")
    )
    maps: np.ndarray = field(default_factory=lambda: np.zeros((0, *MAP_SIZE), "float32"))
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)
    cams: dict[str, np.ndarray] = field(default_factory=dict)
    error: Exception | None = None
    mode: str = "blend"
    quality: list[str] = field(default_factory=list)
    years: np.ndarray | None = None
    moment: Moment | None = None
    tracks: list[int] = field(default_factory=list)

    def __repr__(self):
        return (
            f"<Explanation of {self.photo}: {self.status}, {len(self.faces)} faces, "
            f"ratio {self.ratio:g}>"
        )

    @classmethod
    def failed(
        cls, photo: str, ratio: float, error: Exception, moment: Moment | None = None
    ) -> "Explanation":
        """The explanation of a photo that could not be answered."""
        kind = "" if isinstance(error, ImageError | OSError) else f"{type(error).__name__}: "
        return cls(photo, ratio, printable(f"failed: {kind}{error}"), error=error, moment=moment)

    @property
    def reweighted(self) -> np.ndarray:
        """The reweighted crops, N×224×224×3 uint8."""
        return reweighting.reweight(self.crops, self.maps, self.ratio, mode=self.mode)

    def only(self, face: int) -> "Explanation":
        """The same of one face alone; IndexError where there is no such face."""
        if not 0 <= face < len(self.faces):
            raise IndexError(f"face {face} of {len(self.faces)}, counted from 0")
        one = slice(face, face + 1)
        return replace(
            self,
            faces=self.faces[one],
            crops=self.crops[one],
            maps=self.maps[one],
            probabilities={task: values[one] for task, values in self.probabilities.items()},
            cams={task: values[one] for task, values in self.cams.items()},
            quality=self.quality[one],
            tracks=self.tracks[one],
            years=None if self.years is None else self.years[one],
        )

    def rows(self, *, probabilities: bool = False, landmarks: bool = False) -> list[dict]:
        """A dict of plain values per face, or the one row that says why there is none.

        `landmarks` adds the detector's five points and the head's pose.
        """
        when = self._when()
        if not self.faces:
            return [{"photo": self.photo, "face": None, "status": self.status, **when}]
        return [
            {
                "photo": self.photo,
                "face": i,
                "status": self.status,
                **dict(zip(BOX, face.box, strict=True)),
                "score": face.score,
                "quality": self.quality[i],
                **(landmark_values(face) if landmarks else {}),
                **when,
                **({"track": self.tracks[i]} if self.tracks else {}),
                **answers(self.probabilities, i, years=self.years, probabilities=probabilities),
            }
            for i, face in enumerate(self.faces)
        ]

    def _when(self):
        if self.moment is None:
            return {}
        return {"time_s": self.moment.time_s, "frame": self.moment.frame}


def answers(
    outputs: dict[str, np.ndarray],
    i: int,
    *,
    years: np.ndarray | None = None,
    probabilities: bool = False,
) -> dict:
    """The answers to one face as plain values: per task the class and its probability.

    Args:
        outputs: task to probabilities, N×C.
        i: which of the N faces.
        years: as in `Explanation`; where given, they stand behind the age group.
        probabilities: give those of all classes, too.
    """
    row = {}
    for task, values in outputs.items():
        best = int(values[i].argmax())
        row |= {task: CLASSES[task][best], f"{task}_p": float(values[i, best])}
        if task == "age" and years is not None:
            row |= dict(zip(YEARS, map(float, years[i]), strict=True))
    if probabilities:
        for task, values in outputs.items():
            named = zip(CLASSES[task], values[i], strict=True)
            row |= {f"{task}[{name}]": float(p) for name, p in named}
    return row


def columns(
    tasks: Iterable[str],
    *,
    years: bool = False,
    probabilities: bool = False,
    landmarks: bool = False,
    films: bool = False,
) -> list[str]:
    """Names of the columns of `Explanation.rows`, in order; `years` for a network that answers age
    in years, `films` where frames of films are among the photos."""
    of_face = ["photo", "face", "status", *BOX, "score", "quality"]
    of_face += [*(LANDMARK_COLUMNS if landmarks else ()), *(FILM if films else ())]
    return of_face + answer_columns(tasks, years=years, probabilities=probabilities)


def answer_columns(
    tasks: Iterable[str], *, years: bool = False, probabilities: bool = False
) -> list[str]:
    """Names of the columns that hold answers, in order."""
    names = []
    for task in tasks:
        names += [task, f"{task}_p", *(YEARS if years and task == "age" else ())]
    if probabilities:
        names += [f"{task}[{name}]" for task in tasks for name in CLASSES[task]]
    return names
