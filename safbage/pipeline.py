"""The whole way: photos in, a row per face out.

model = SafBage.load()
table = model.predict("holiday/")           # a DataFrame, a row per face
seen = model.explain("holiday/beach.jpg")   # crops, maps, reweighted faces and CAMs, for plotting
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage import cam, classifiers, faces, images, mlnet, reweighting, saliency
from safbage.backend import keras
from safbage.faces import Face

BATCH = 16
"""Photos held, and faces that go through the classifier, together."""


@dataclass
class Explanation:
    """All that was computed for one photo, faces surest first.

    Attributes:
        photo: its path, or "photo <i>" for an array.
        status: "ok", "no face", or "failed: " and why.
        image: the photo, H×W×3 uint8; None when not kept or not readable.
        faces: N detected faces.
        crops: N×224×224×3 uint8.
        maps: ML-Net's saliency of the crops, N×28×28 float32 in [0, 1].
        ratio: the reweighting ratio used.
        mode: its formula, as `reweighting.reweight` has them; "blend" is the paper's.
        probabilities: task to N×C float32.
        cams: task to N×13×13×C float32, one raw class activation map per class.
        error: the exception behind a failure.
    """

    photo: str
    ratio: float
    status: str = "no face"
    image: np.ndarray | None = None
    faces: list[Face] = field(default_factory=list)
    crops: np.ndarray = field(default_factory=lambda: np.zeros((0, classifiers.SIZE, classifiers.SIZE, 3), "uint8"))
    maps: np.ndarray = field(default_factory=lambda: np.zeros((0, *saliency.MAP_SIZE), "float32"))
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)
    cams: dict[str, np.ndarray] = field(default_factory=dict)
    error: Exception | None = None
    mode: str = "blend"

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
        )

    def rows(self, *, probabilities: bool = False) -> list[dict]:
        """A dict of plain values per face, or the one row that says why there is none."""
        if not self.faces:
            return [{"photo": self.photo, "face": None, "status": self.status}]
        return [
            {
                "photo": self.photo,
                "face": i,
                "status": self.status,
                **dict(zip(BOX_COLUMNS, face.box, strict=True)),
                "score": face.score,
                **answers(self.probabilities, i, probabilities=probabilities),
            }
            for i, face in enumerate(self.faces)
        ]


BOX_COLUMNS = ("box_left", "box_top", "box_width", "box_height")


def answers(outputs: dict[str, np.ndarray], i: int, *, probabilities: bool = False) -> dict:
    """The answers to face `i` as plain values: per task the class and its probability, with all of them if asked for."""
    row = {}
    for task, values in outputs.items():
        best = int(values[i].argmax())
        row |= {task: classifiers.CLASSES[task][best], f"{task}_p": float(values[i, best])}
    if probabilities:
        for task, values in outputs.items():
            names = classifiers.CLASSES[task]
            row |= {f"{task}[{name}]": float(p) for name, p in zip(names, values[i], strict=True)}
    return row


def columns(tasks: Iterable[str], *, probabilities: bool = False) -> list[str]:
    """Names of `SafBage.predict`'s columns, in order."""
    return ["photo", "face", "status", *BOX_COLUMNS, "score", *answer_columns(tasks, probabilities=probabilities)]


def answer_columns(tasks: Iterable[str], *, probabilities: bool = False) -> list[str]:
    """Names of the columns that hold answers, in order."""
    names = [name for task in tasks for name in (task, f"{task}_p")]
    if probabilities:
        names += [f"{task}[{name}]" for task in tasks for name in classifiers.CLASSES[task]]
    return names


def printable(text: str | Path) -> str:
    """A path or message as text that any file or terminal can take: odd bytes and control characters are escaped."""
    text = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def list_photos(photos) -> list[tuple[str, object]]:
    """(name, path or array) of every photo in a path, an array, a folder (every file in it and below), or a list of these.

    Hidden files are left out; a folder without files stands for itself, so that nothing vanishes without a row.
    """
    if isinstance(photos, str | Path):
        if not str(photos):
            raise ValueError("a photo's path is empty")
        path = Path(photos)
        inside = _files_below(path) if os.path.isdir(path) else []
        return [(printable(p), p) for p in inside or [path]]
    if isinstance(photos, np.ndarray):
        return [("photo 0", photos)]
    if isinstance(photos, bytes) or not isinstance(photos, Iterable):
        raise TypeError(f"expected a path, an array, a folder or a list of these; got a {type(photos).__name__}")
    listed = []
    for i, photo in enumerate(photos):
        named = isinstance(photo, str | Path) and str(photo) != ""
        listed += list_photos(photo) if named else [(f"photo {i}", photo)]
    return listed


def _fail(seen: Explanation, error: Exception) -> None:
    """Keep what went wrong with a photo as its status."""
    seen.error, seen.faces = error, []
    kind = "" if isinstance(error, images.ImageError | OSError) else f"{type(error).__name__}: "
    seen.status = printable(f"failed: {kind}{error}")


def _files_below(folder: Path) -> list[Path]:
    """All files in a folder and below but hidden ones, links followed; a folder that cannot be read stands for itself."""
    seen, files, closed = set(), [], []
    for here, folders, names in os.walk(folder, onerror=closed.append, followlinks=True):
        seen.add(os.path.realpath(here))
        folders[:] = [f for f in folders if not f.startswith(".") and os.path.realpath(os.path.join(here, f)) not in seen]
        files += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(files + [Path(error.filename) for error in closed])


def _saliency_network(source: str | Path) -> keras.Model:
    return saliency.shipped() if source == "mlnet" else mlnet.load(source)


class SafBage:
    """Detector, ML-Net and AlexNet-GAP together. Build it with `SafBage.load`.

    `ratio` may be set at any time. To see what it does to a face, give `at_ratio` what `explain` found: then only the classifier
    runs again.
    """

    def __init__(self, tasks: tuple[str, ...], ratio: float, mlnet: keras.Model, classifier: keras.Model):
        self.tasks, self.ratio = tuple(tasks), ratio
        self.mlnet, self.classifier = mlnet, classifier
        self._kernels = {t: np.asarray(classifier.get_layer(f"softmax_{t}").kernel) for t in self.tasks}

    @classmethod
    def load(
        cls,
        *,
        tasks: tuple[str, ...] = tuple(classifiers.CLASSES),
        ratio: float = reweighting.RATIO,
        saliency: str | Path = "mlnet",
    ) -> "SafBage":
        """Load the networks.

        Args:
            tasks: which of "age", "gender", "expression" to answer.
            ratio: how strongly saliency reweights the face, 0–1; the paper's 0.3.
            saliency: "mlnet", the shipped ML-Net; "light", its approximation on AlexNet, many times cheaper (its effect
                is on the model card); or a file of ML-Net weights, as `mlnet.load` takes.

        Raises:
            ValueError: a task or the ratio is unknown or out of range.
            WeightsError: weights are missing and cannot be fetched, or are damaged.
            CheckpointError, FileNotFoundError: the file of ML-Net weights is of another kind, or not there.
        """
        named = isinstance(tasks, list | tuple) and len(tasks) > 0
        if not named or any(task not in classifiers.CLASSES for task in tasks):
            raise ValueError(f"tasks is a tuple of some of {', '.join(classifiers.CLASSES)}; got {tasks!r}")
        tasks = tuple(dict.fromkeys(tasks))
        return cls(tasks, reweighting.check_ratio(ratio), _saliency_network(saliency), classifiers.load(tasks))

    @property
    def ratio(self) -> float:
        """How strongly saliency reweights the face, 0–1; ValueError where it is set to anything else."""
        return self._ratio

    @ratio.setter
    def ratio(self, ratio: float):
        self._ratio = reweighting.check_ratio(ratio)

    def predict(self, photos, *, probabilities: bool = False, progress: bool | None = None) -> pd.DataFrame:
        """Answer photos.

        Args:
            photos: a path, an array (H×W×3 RGB), a folder (every file in it and below), or a list of these.
            probabilities: add a column per class, such as ``age[25-32]``.
            progress: show a progress bar; by default for more than one photo.

        Returns:
            A row per face, in the order of the photos, surest face first; and one for each photo without a face (status
            "no face") or that could not be read ("failed: …"): nothing is lost. Columns: photo, face, status, box_left,
            box_top, box_width, box_height (pixels), score, and per task its class and that class's probability.
        """
        rows = []
        for seen in self.explain_each(photos, keep_images=False, progress=progress):
            rows += seen.rows(probabilities=probabilities)
        return self.table(rows, probabilities=probabilities)

    def table(self, rows: list[dict], *, probabilities: bool = False) -> pd.DataFrame:
        """Rows of `Explanation.rows` as the DataFrame that `predict` returns."""
        table = pd.DataFrame(rows, columns=columns(self.tasks, probabilities=probabilities), dtype=object)
        plain = ["photo", "face", "status", *self.tasks]  # missing: None; in the columns of numbers: NaN
        table[plain] = table[plain].where(table[plain].notna(), None)
        return table.astype({name: float for name in table.columns if name not in plain})

    def explain(self, photo) -> Explanation:
        """All that is computed for one photo (a path or an array).

        Raises:
            FileNotFoundError, ImageError: the photo cannot be read.
            ValueError: more than one photo was given.
        """
        listed = list_photos(photo)
        if len(listed) != 1:
            raise ValueError(f"explain takes one photo, got {len(listed)}; see explain_each")
        (seen,) = self.explain_each([listed[0][1]], progress=False)
        if seen.error:
            raise seen.error
        return seen

    def at_ratio(self, seen: Explanation, ratio: float, *, mode: str = "blend") -> Explanation:
        """The faces of an explanation at another ratio: neither the detector nor ML-Net runs again.

        Args:
            seen: what `explain` gave.
            ratio: of the reweighting, 0–1.
            mode: its formula, as `reweighting.reweight` has them.

        Raises:
            ValueError: the ratio or the mode is unknown or out of range, or there is no face.
        """
        if not len(seen.crops):
            raise ValueError(f"{seen.photo} has no face to reweight: {seen.status}")
        found = []
        for i in range(0, len(seen.crops), BATCH):
            found.append(self._run(seen.crops[i : i + BATCH], seen.maps[i : i + BATCH], ratio, mode))
        probabilities = {task: np.concatenate([part[task] for part, _ in found]) for task in self.tasks}
        cams = {task: np.concatenate([part[task] for _, part in found]) for task in self.tasks}
        return replace(seen, ratio=ratio, mode=mode, probabilities=probabilities, cams=cams)

    def explain_each(self, photos, *, keep_images: bool = True, progress: bool | None = None) -> Iterator[Explanation]:
        """Explain photos one after the other, in order, while their faces go through the networks in batches.

        A photo that fails comes back with its status; the others go on. Memory is bounded whatever the number of photos.
        """
        for batch in self.explain_batches(photos, keep_images=keep_images, progress=progress):
            yield from batch

    def explain_batches(self, photos, *, keep_images: bool = True, progress: bool | None = None) -> Iterator[list[Explanation]]:
        """As `explain_each`, a list at a time: all photos whose faces went through the networks together."""
        listed = list_photos(photos)
        shown = len(listed) > 1 if progress is None else progress
        waiting = []
        with tqdm(total=len(listed), desc="photos", unit="photo", disable=not shown) as bar:
            for name, photo in listed:
                waiting.append(self._detect(name, photo, keep_images))
                bar.update()
                if sum(len(seen.faces) for seen in waiting) >= BATCH or len(waiting) >= BATCH:
                    yield self._answered(waiting)
                    waiting = []
            if waiting:
                yield self._answered(waiting)

    def classify(self, crops: np.ndarray, *, maps: np.ndarray | None = None, probabilities: bool = False) -> pd.DataFrame:
        """Answer ready face crops, without detection.

        Args:
            crops: N×224×224×3 uint8 RGB, cropped as by `faces.crop_face`.
            maps: their saliency, N×28×28 in [0, 1] (another size is stretched); predicted where not given.
            probabilities: as `predict`.

        Returns:
            A row per crop: face, and per task its class and that class's probability.

        Raises:
            ValueError: the crops or maps have another shape or type.
        """
        crops = np.asarray(crops)
        if crops.shape[1:] != (classifiers.SIZE, classifiers.SIZE, 3) or crops.dtype != np.uint8:
            raise ValueError(f"expected crops N×224×224×3 of uint8; got {crops.shape} of {crops.dtype}")
        if maps is not None:
            maps = np.asarray(maps, "float32")
            if maps.ndim != 3 or len(maps) != len(crops) or 0 in maps.shape[1:] or not ((maps >= 0) & (maps <= 1)).all():
                raise ValueError(f"expected {len(crops)} maps N×h×w in [0, 1], one for each crop; got shape {maps.shape}")
        rows = []
        for i in range(0, len(crops), BATCH):
            part = crops[i : i + BATCH]
            own = saliency.predict_faces(part, self.mlnet) if maps is None else maps[i : i + BATCH]
            outputs, _ = self._run(part, own, self.ratio)
            rows += [{"face": i + k, **answers(outputs, k, probabilities=probabilities)} for k in range(len(part))]
        return pd.DataFrame(rows, columns=["face", *answer_columns(self.tasks, probabilities=probabilities)])

    def _detect(self, name, photo, keep_image):
        """A photo as far as its crops; whatever goes wrong with it is kept as its status."""
        seen = Explanation(name, self.ratio)
        try:
            if isinstance(photo, Path) and os.path.isdir(photo):
                os.listdir(photo)  # where it may not be read, that is what went wrong
                raise FileNotFoundError(f"the folder {photo} holds no files")
            image = images.read(photo) if isinstance(photo, Path) else images.as_rgb(photo)
            seen.image = image if keep_image else None
            seen.faces = faces.detect_enlarged(image)
            if seen.faces:
                seen.crops = np.stack([faces.crop_face(image, face) for face in seen.faces])
                seen.status = "ok"
        except Exception as error:  # one bad photo must not cost the others theirs
            _fail(seen, error)
        return seen

    def _answered(self, waiting):
        """These photos, their faces answered: together, or where that fails each alone, so that one cannot spoil the rest."""
        try:
            self._answer(waiting)
        except Exception:
            for seen in waiting:
                try:
                    self._answer([seen])
                except Exception as error:
                    _fail(seen, error)
        return waiting

    def _answer(self, waiting):
        """Fill in maps, probabilities and CAMs of all faces of these photos."""
        crops = np.concatenate([seen.crops for seen in waiting]) if waiting else []
        parts = []
        for i in range(0, len(crops), BATCH):
            part = crops[i : i + BATCH]
            maps = saliency.predict_faces(part, self.mlnet)
            parts.append((maps, *self._run(part, maps, self.ratio)))
        if not parts:
            return
        maps = np.concatenate([maps for maps, _, _ in parts])
        outputs = {t: np.concatenate([outputs[t] for _, outputs, _ in parts]) for t in self.tasks}
        cams = {t: np.concatenate([cams[t] for _, _, cams in parts]) for t in self.tasks}
        start = 0
        for seen in waiting:
            own = slice(start, start + len(seen.faces))
            seen.maps = maps[own]
            seen.probabilities = {task: outputs[task][own] for task in self.tasks}
            seen.cams = {task: cams[task][own] for task in self.tasks}
            start = own.stop

    def _run(self, crops, maps, ratio, mode="blend"):
        """Reweight and classify a batch: probabilities and CAMs by task."""
        ratio = reweighting.check_ratio(ratio)
        if mode != "blend":  # the model's own formula; faces reweighted by another go in with ratio 0
            crops, ratio = reweighting.reweight(crops, maps, ratio, mode=mode), 0.0
        inputs = {
            "face": crops.astype("float32"),
            "map": np.asarray(maps, "float32"),
            "ratio": np.full((len(crops), 1), ratio, "float32"),
        }
        outputs = {name: np.asarray(value) for name, value in self.classifier.predict_on_batch(inputs).items()}
        cams = {t: cam.class_activation_maps(outputs[f"conv5_{t}"], self._kernels[t]) for t in self.tasks}
        return {task: outputs[task] for task in self.tasks}, cams
