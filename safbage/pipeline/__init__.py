"""The whole way: photos in, a row per face out.

model = SafBage.load()
table = model.predict("holiday/")           # a DataFrame, a row per face
seen = model.explain("holiday/beach.jpg")   # crops, maps, reweighted faces and CAMs, for plotting
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage import classifiers, faces, reweighting, saliency
from safbage.errors import ImageError
from safbage.faces import Face
from safbage.photos import PIXELS, SECONDS, list_photos, pixels, printable, read
from safbage.pipeline import stages
from safbage.runtime import backend, parallel
from safbage.runtime.backend import keras
from safbage.saliency import mlnet
from safbage.tasks import BOX, CLASSES

PHOTOS = 8
"""Photos that wait, at most, until there are faces enough for a batch; or as many as a batch has faces, where that is more."""
THREADS = min(8, max(2, os.cpu_count() or 1))
"""Threads that read photos and find their faces while the networks run; each is a photo ahead of the one it works on."""


@dataclass(repr=False)
class Explanation:
    """All that was computed for one photo, faces surest first.

    Attributes:
        photo: its path (with control characters escaped), or "photo <i>" for an array or image.
        status: "ok", "no face", or "failed: " and why.
        image: the photo, H×W×3 uint8; None when not kept or not readable.
        faces: N detected faces.
        crops: N×224×224×3 uint8.
        maps: ML-Net's saliency of the crops, N×28×28 float32 in [0, 1].
        ratio: the reweighting ratio used.
        mode: its formula, as `reweighting.reweight` has them; "blend" is the paper's.
        probabilities: task to N×C float32.
        cams: task to N×h×w×C float32, one raw class activation map per class: of 13×13 cells by AlexNet-GAP,
            of 4×4 by EfficientNet-Lite2.
        error: the exception behind a failure.
        quality: of each face what speaks against its answers, as `faces.quality` has it; "" where nothing does.
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
    quality: list[str] = field(default_factory=list)

    def __repr__(self):
        return f"<Explanation of {self.photo}: {self.status}, {len(self.faces)} faces, ratio {self.ratio:g}>"

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
                **dict(zip(BOX, face.box, strict=True)),
                "score": face.score,
                "quality": self.quality[i],
                **answers(self.probabilities, i, probabilities=probabilities),
            }
            for i, face in enumerate(self.faces)
        ]


def answers(outputs: dict[str, np.ndarray], i: int, *, probabilities: bool = False) -> dict:
    """The answers to face `i` as plain values: per task the class and its probability, with all of them if asked for."""
    row = {}
    for task, values in outputs.items():
        best = int(values[i].argmax())
        row |= {task: CLASSES[task][best], f"{task}_p": float(values[i, best])}
    if probabilities:
        for task, values in outputs.items():
            names = CLASSES[task]
            row |= {f"{task}[{name}]": float(p) for name, p in zip(names, values[i], strict=True)}
    return row


def columns(tasks: Iterable[str], *, probabilities: bool = False) -> list[str]:
    """Names of `SafBage.predict`'s columns, in order."""
    return ["photo", "face", "status", *BOX, "score", "quality", *answer_columns(tasks, probabilities=probabilities)]


def answer_columns(tasks: Iterable[str], *, probabilities: bool = False) -> list[str]:
    """Names of the columns that hold answers, in order."""
    names = [name for task in tasks for name in (task, f"{task}_p")]
    if probabilities:
        names += [f"{task}[{name}]" for task in tasks for name in CLASSES[task]]
    return names


def _fail(seen: Explanation, error: Exception) -> Explanation:
    """Keep what went wrong with a photo as its status."""
    seen.error, seen.faces, seen.quality = error, [], []
    kind = "" if isinstance(error, ImageError | OSError) else f"{type(error).__name__}: "
    seen.status = printable(f"failed: {kind}{error}")
    return seen


def _mlnet(source):
    return saliency.load_default() if source == "mlnet" else mlnet.load(source)


class SafBage:
    """Detector, ML-Net and classifier together. Build it with `SafBage.load`.

    `ratio` may be set at any time; a run that has begun keeps the one that it began with. To see what it does to a face, give
    `at_ratio` what `explain` found: then only the classifier runs again.
    """

    def __init__(self, tasks: tuple[str, ...], ratio: float, mlnet: keras.Model, classifier: keras.Model, batch_size: int):
        self.tasks, self.ratio, self.batch_size = tuple(tasks), ratio, batch_size
        self.classifier = classifier
        self.network = stages.join(mlnet, classifier)

    @classmethod
    def load(
        cls,
        *,
        tasks: tuple[str, ...] = tuple(CLASSES),
        ratio: float = reweighting.RATIO,
        network: str = "alexnet-gap",
        saliency: str | Path = "mlnet",
        batch_size: int | None = None,
        precision: str | None = None,
    ) -> "SafBage":
        """Load the networks.

        Args:
            tasks: which of "age", "gender", "expression" to answer.
            ratio: how strongly saliency reweights the face, 0–1; the paper's 0.3.
            network: "alexnet-gap", after the paper; or "efficientnet-lite2", of today, right more often on
                test faces of its own data sets (its card has the figures).
            saliency: "mlnet", the shipped ML-Net; "light", its approximation on AlexNet, many times cheaper (its effect
                is on the model card); or a file of ML-Net weights, as `mlnet.load` takes.
            batch_size: faces that go through the networks together, a power of two; by default what suits the machine, see
                `backend.batch_size`.
            precision: Keras's dtype policy for the convolutions; by default "mixed_bfloat16" on a GPU, Keras's own policy
                (float32) on a CPU. Answers are float32 in any case.

        Raises:
            ValueError: a task, the network, the ratio or the batch size is unknown or out of range.
            WeightsError: weights are missing and cannot be fetched, or are damaged.
            CheckpointError, FileNotFoundError: the file of ML-Net weights is of another kind, or not there.
            RuntimeError: in a process forked from one that has loaded networks, see `backend.check_process`.
        """
        backend.check_process()
        named = isinstance(tasks, list | tuple) and len(tasks) > 0
        if not named or any(task not in CLASSES for task in tasks):
            raise ValueError(f"tasks is a tuple of some of {', '.join(CLASSES)}; got {tasks!r}")
        tasks, ratio = tuple(dict.fromkeys(tasks)), reweighting.check_ratio(ratio)
        classifiers.check_network(network)
        batch_size = backend.batch_size() if batch_size is None else batch_size
        if not isinstance(batch_size, int) or batch_size < 1 or batch_size & (batch_size - 1):
            raise ValueError(f"batch_size is a power of two, such as 16; got {batch_size!r}")
        policy = precision or ("mixed_bfloat16" if backend.has_gpu() else keras.config.dtype_policy().name)
        with backend.precision(policy):
            return cls(tasks, ratio, _mlnet(saliency), classifiers.load_joint(tasks, network), batch_size)

    @property
    def ratio(self) -> float:
        """How strongly saliency reweights the face, 0–1; ValueError where it is set to anything else."""
        return self._ratio

    @ratio.setter
    def ratio(self, ratio: float):
        self._ratio = reweighting.check_ratio(ratio)

    def predict(
        self,
        photos,
        *,
        probabilities: bool = False,
        progress: bool | None = None,
        min_face: float = 0,
        max_faces: int | None = None,
    ) -> pd.DataFrame:
        """Answer photos.

        Args:
            photos: a path, an array (H×W×3 RGB), a PIL image, a folder (every file in it and below), or a list of these.
            probabilities: add a column per class, such as ``age[25-32]``.
            progress: show a progress bar; by default for more than one photo.
            min_face: faces whose box has a shorter side of fewer pixels are passed over.
            max_faces: of each photo, only so many faces are answered, the largest.

        Returns:
            A row per face, in the order of the photos, surest face first; and one for each photo without a face (status
            "no face") or that could not be read ("failed: …"): nothing is lost. Columns: photo, face, status, box_left,
            box_top, box_width, box_height (pixels), score, quality (what speaks against the answers, see `faces.quality`; ""
            where nothing does), and per task its class and that class's probability.

        Raises:
            TypeError: `photos` is nothing of this.
            ValueError: `min_face` or `max_faces` is out of its range.
            RuntimeError: in a process forked from the one that loaded the networks.
        """
        rows = []
        chosen = dict(min_face=min_face, max_faces=max_faces)
        for seen in self.explain_each(photos, keep_images=False, progress=progress, **chosen):
            rows += seen.rows(probabilities=probabilities)
        return self.table(rows, probabilities=probabilities)

    def table(self, rows: list[dict], *, probabilities: bool = False) -> pd.DataFrame:
        """Rows of `Explanation.rows` as the DataFrame that `predict` returns."""
        table = pd.DataFrame(rows, columns=columns(self.tasks, probabilities=probabilities), dtype=object)
        plain = ["photo", "face", "status", "quality", *self.tasks]  # missing: None; in the columns of numbers: NaN
        table[plain] = table[plain].where(table[plain].notna(), None)
        return table.astype({name: float for name in table.columns if name not in plain})

    def explain(self, photo, *, min_face: float = 0, max_faces: int | None = None) -> Explanation:
        """All that is computed for one photo (a path, an array or a PIL image); options as `predict`.

        Raises:
            FileNotFoundError, ImageError: the photo cannot be read.
            TimeoutError: it took longer than `SECONDS`.
            ValueError: more than one photo was given, or an option is out of its range.
        """
        listed = list_photos(photo)
        if len(listed) != 1:
            raise ValueError(f"explain takes one photo, got {len(listed)}; see explain_each")
        (seen,) = self.explain_each([listed[0][1]], progress=False, min_face=min_face, max_faces=max_faces)
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
        outputs = self.run(seen.crops, maps=seen.maps, ratio=ratio, mode=mode)
        probabilities = {task: outputs[task] for task in self.tasks}
        cams = {task: outputs[f"cam_{task}"] for task in self.tasks}
        return replace(seen, ratio=ratio, mode=mode, probabilities=probabilities, cams=cams)

    def explain_each(self, photos, **options) -> Iterator[Explanation]:
        """Explain photos one after the other, in order, while their faces go through the networks in batches.

        A photo that fails comes back with its status; the others go on. Memory is bounded whatever the number of photos and
        their size. Options are those of `explain_batches`.
        """
        for batch in self.explain_batches(photos, **options):
            while batch:
                yield batch.pop(0)  # nobody but the caller holds it then

    def explain_batches(
        self,
        photos,
        *,
        keep_images: bool = True,
        progress: bool | None = None,
        min_face: float = 0,
        max_faces: int | None = None,
    ) -> Iterator[list[Explanation]]:
        """As `explain_each`, a list at a time: all photos whose last face has gone through the networks.

        Threads read photos and find faces ahead, while the networks run on batches of faces of the photos before.

        Args:
            photos: as `predict`.
            keep_images: keep each photo's pixels with what was found; without, less memory is needed.
            progress: show a bar of the photos that are answered, with their faces and how many failed; by default for more
                than one photo.
            min_face: as `predict`.
            max_faces: as `predict`.

        Raises:
            TypeError, ValueError, RuntimeError: as `predict`.
        """
        if not min_face >= 0 or not (max_faces is None or (isinstance(max_faces, int) and max_faces >= 1)):
            raise ValueError(f"expected min_face ≥ 0 and max_faces None or ≥ 1; got {min_face!r} and {max_faces!r}")
        backend.check_process()
        ratio, listed = self.ratio, list_photos(photos)
        waiting: list[Explanation] = []
        unanswered: list[tuple[Explanation, int]] = []
        found = parallel.ahead(
            lambda one: self._detect(*one, ratio, keep_images, min_face, max_faces),
            listed,
            threads=THREADS,
            limit=2 * THREADS,
            size=lambda one: pixels(one[1]),
            room=PIXELS,
            seconds=SECONDS,
            late=lambda one: _fail(Explanation(one[0], ratio), TimeoutError(f"took longer than {SECONDS:g} s")),
        )
        shown = len(listed) > 1 if progress is None else progress
        with closing(found), tqdm(total=len(listed), desc="photos", unit="photo", disable=not shown) as bar:
            done = failed = 0
            for number, seen in enumerate(found, 1):
                waiting.append(seen)
                unanswered += [(seen, i) for i in range(len(seen.faces))]
                held = sum(other.image.shape[0] * other.image.shape[1] for other in waiting if other.image is not None)
                full = number == len(listed) or len(waiting) >= max(PHOTOS, self.batch_size) or held >= PIXELS
                while unanswered and (full or len(unanswered) >= self.batch_size):
                    self._answer(unanswered[: self.batch_size])
                    done += len(unanswered[: self.batch_size])
                    del unanswered[: self.batch_size]
                    bar.set_postfix(faces=done, failed=failed)
                first = unanswered[0][0] if unanswered else None
                answered = next((i for i, other in enumerate(waiting) if other is first), len(waiting))
                batch = waiting[:answered]
                del waiting[:answered], seen  # photos may be large: whoever takes them is to be the only one that holds them
                if batch:
                    failed += sum(other.error is not None for other in batch)
                    bar.set_postfix(faces=done, failed=failed, refresh=False)
                    bar.update(answered)
                    yield batch

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
        if len(crops):
            outputs = self.run(crops, maps=maps)
            found = {task: outputs[task] for task in self.tasks}
            rows = [{"face": i, **answers(found, i, probabilities=probabilities)} for i in range(len(crops))]
        return pd.DataFrame(rows, columns=["face", *answer_columns(self.tasks, probabilities=probabilities)])

    def _detect(self, name, photo, ratio, keep_image, min_face, max_faces):
        """A photo as far as its crops; whatever goes wrong with it is kept as its status."""
        seen = Explanation(name, ratio)
        try:
            image = read(photo)
            seen.image = image if keep_image else None
            seen.faces = faces.largest(faces.detect_enlarged(image), min_face=min_face, max_faces=max_faces)
            if seen.faces:
                seen.quality = [faces.quality(image, face) for face in seen.faces]
                seen.crops = np.stack([faces.crop_face(image, face) for face in seen.faces])
                room = {name: np.zeros((len(seen.faces), *y.shape[1:]), "float32") for name, y in self.network.output.items()}
                seen.maps = room["map"]
                seen.probabilities = {task: room[task] for task in self.tasks}
                seen.cams = {task: room[f"cam_{task}"] for task in self.tasks}
                seen.status = "ok"
        except Exception as error:  # one bad photo must not cost the others theirs
            _fail(seen, error)
        return seen

    def _answer(self, batch):
        """Fill in maps, probabilities and CAMs of faces, (photo, number) each.

        All together, or where that fails each alone, so that one cannot spoil the rest.
        """
        try:
            outputs = self.run(np.stack([seen.crops[i] for seen, i in batch]), ratio=batch[0][0].ratio)
        except Exception as error:
            if len(batch) == 1:
                _fail(batch[0][0], error)
                return
            for one in batch:
                self._answer([one])
            return
        for row, (seen, i) in enumerate(batch):
            seen.maps[i] = outputs["map"][row]
            for task in self.tasks:
                seen.probabilities[task][i] = outputs[task][row]
                seen.cams[task][i] = outputs[f"cam_{task}"][row]

    def run(self, crops, *, maps=None, ratio=None, mode="blend"):
        """What `stages.join` gives for crops; where there are maps already, the reweighting and the classifiers alone run."""
        ratio = self.ratio if ratio is None else reweighting.check_ratio(ratio)
        if mode != "blend":  # the model's own formula; faces reweighted by another go in with ratio 0
            crops, ratio = reweighting.reweight(crops, maps, ratio, mode=mode), 0.0
        inputs = {"face": crops, "ratio": np.full((len(crops), 1), ratio, "float32")}
        if maps is None:
            return backend.predict_batches(self.network, inputs, self.batch_size)
        return backend.predict_batches(self.classifier, inputs | {"map": np.asarray(maps, "float32")}, self.batch_size)
