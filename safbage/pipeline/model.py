"""`SafBage`: detector, ML-Net and classifiers together, as one calls them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from safbage import classifiers, films, reweighting
from safbage.classifiers import years
from safbage.photos import Stream, list_photos
from safbage.pipeline import batching
from safbage.pipeline.answering import Answering, by_engine
from safbage.pipeline.explanation import Explanation, answer_columns, answers, columns
from safbage.runtime import process
from safbage.tasks import CLASSES, FACE_SIZE
from safbage.tracks import Tracker

if TYPE_CHECKING:  # the command makes no table, and starts half a second sooner without pandas
    import pandas as pd


class SafBage:
    """Detector, ML-Net and classifiers together. Build it with `SafBage.load`.

    `ratio` may be set at any time; a run that has begun keeps the one that it began with. To see
    what it does to a face, give `at_ratio` what `explain` found: then only the classifiers run
    again. `tail` is what the 80 % interval of an age leaves out at each end; None where age is not
    answered in years.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        ratio: float,
        answering: Answering,
        batch_size: int,
        tail: float | None = None,
    ):
        self.tasks, self.ratio, self.batch_size = tuple(tasks), ratio, batch_size
        self.answering, self.tail = answering, tail

    @classmethod
    def load(
        cls,
        *,
        tasks: tuple[str, ...] = tuple(CLASSES),
        ratio: float = reweighting.RATIO,
        network: str = classifiers.SHIPPED[0],
        saliency: str | Path = "mlnet",
        batch_size: int | None = None,
        precision: str | None = None,
        engine: str = "auto",
    ) -> Self:
        """Load the networks.

        Args:
            tasks: which of "age", "gender", "expression" to answer.
            ratio: how strongly saliency reweights the face, 0–1; the paper's 0.3.
            network: "face-mobilenet", which answers best, and age in years, too; or "alexnet-gap",
                after the paper, right less often (the cards have the figures).
            saliency: "mlnet", the shipped ML-Net; "light", its approximation on AlexNet, many times
                cheaper (its effect is on the model card); or a file of ML-Net weights, as
                `saliency.load` takes.
            batch_size: faces that go through the networks together, a power of two; by default what
                suits the machine, see `backend.batch_size`.
            precision: what convolutions compute in; answers are float32 in any case. For Keras its
                dtype policy: by default "mixed_bfloat16" on a GPU, Keras's own (float32) on a CPU.
                For an engine "float32" or "bfloat16", of ML-Net alone: by default the fastest of
                these that the engine has on this processor. "int8" is OpenVINO's: ML-Net quantised
                by NNCF, once, in a minute or two (see `quantising`).
            engine: who answers: "keras"; "openvino" or "onnxruntime", which are several times
                faster on a CPU and import no TensorFlow; "auto", the fastest that is installed, or
                Keras (see `answering.by_engine`). An engine's networks are made once, in half a
                minute, and kept (see `deployed`).

        Raises:
            ValueError: a task, the network, the ratio, the batch size or an engine's precision is
                unknown or out of range.
            WeightsError: weights are missing and cannot be fetched, or are damaged.
            CheckpointError, FileNotFoundError: the file of ML-Net weights is of another kind, or
                not there.
            ImportError: the engine, or NNCF for int8, is not installed; the message says how to
                install it.
            ExportError, EngineError: the engine's networks cannot be made or opened.
            RuntimeError: in a process forked from one that has loaded networks, see
                `process.check_process`.
        """
        process.check_process()
        named = isinstance(tasks, list | tuple) and len(tasks) > 0
        if not named or any(task not in CLASSES for task in tasks):
            raise ValueError(
                f"tasks is a tuple of one or more of {', '.join(CLASSES)}; got {tasks!r}"
            )
        tasks, ratio = tuple(dict.fromkeys(tasks)), reweighting.check_ratio(ratio)
        classifiers.check_network(network)
        size = process.batch_size() if batch_size is None else batch_size
        if not isinstance(size, int) or size < 1 or size & (size - 1):
            raise ValueError(f"batch_size is a power of two, such as 16; got {size!r}")
        tail = classifiers.tail_of(network) if "age" in tasks else None
        answering = by_engine(engine, saliency, network, tasks, precision)
        if answering is None:
            from safbage.pipeline.networks import load

            answering = load(tasks, network, saliency, precision)
            size = answering.batch_size if batch_size is None else size
        return cls(tasks, ratio, answering, size, tail)

    @property
    def engine(self) -> str:
        """Who answers: "keras", "openvino" or "onnxruntime"."""
        return self.answering.engine

    @property
    def ratio(self) -> float:
        """How strongly saliency reweights the face, 0–1; ValueError if set to anything else."""
        return self._ratio

    @ratio.setter
    def ratio(self, ratio: float):
        self._ratio = reweighting.check_ratio(ratio)

    @property
    def in_years(self) -> bool:
        """Whether age is answered in years, besides its group."""
        return self.tail is not None

    def predict(
        self,
        photos,
        *,
        probabilities: bool = False,
        landmarks: bool = False,
        progress: bool | None = None,
        min_face: float = 0,
        max_faces: int | None = None,
        align: bool = False,
        every: float = films.EVERY,
        detect_every: int = 1,
        allow_private: bool = False,
    ) -> pd.DataFrame:
        """Answer photos and films.

        Args:
            photos: a path, a folder (every file in it and below), a glob, an http(s) address, a
                file's bytes, an open binary file, an array (H×W×3 RGB), a PIL image, or several of
                these: a list, or anything that gives one after the other. Files named like films
                (`films.SUFFIXES`) are films, and their frames photos.
            probabilities: add a column per class, such as ``age[25-32]``.
            landmarks: add columns of the detector's five points, in pixels, and of the head's roll,
                yaw and pitch, in degrees (`tasks.LANDMARK_COLUMNS`; see `faces.Pose`).
            progress: show a bar; by default for more than one photo.
            min_face: pass over faces whose box has a shorter side of fewer pixels.
            max_faces: answer only so many faces of each photo, the largest.
            align: turn each face before it is cropped, so that its eyes are level. The paper does
                not, and the networks learnt from faces as they stand.
            every: of a film, seconds from one frame that is looked at to the next; 0 for all.
            detect_every: of these frames, detect faces in every so many; between, their boxes are
                carried on (`tracks.follow`), and a face that is new there is passed over.
            allow_private: fetch also from addresses of this machine and of private networks.

        Returns:
            A row per face, in the order of the photos, surest face first; and one for each photo
            without a face (status "no face") or that could not be read ("failed: …"): nothing is
            lost. Columns: photo, face, status, box_left, box_top, box_width, box_height (pixels),
            score, quality (what speaks against the answers, see `faces.describe_quality`; "" where
            nothing does), and per task its class and that class's probability. Where age is
            answered in years, behind it age_years, the median, and age_low and age_high, between
            which 80 % of ages lie. Where there are films, also, before the answers, time_s
            (seconds), frame and track (`tracks.per_track` then answers once for each track). A
            film that breaks off has a row that says where.

        Raises:
            TypeError: `photos` is none of these.
            ValueError: an option is out of its range.
            RuntimeError: in a process forked from the one that loaded the networks.
        """
        rows, chosen = [], dict(probabilities=probabilities, landmarks=landmarks)
        options = dict(progress=progress, min_face=min_face, max_faces=max_faces, align=align)
        options |= dict(every=every, detect_every=detect_every, allow_private=allow_private)
        for seen in self.explain_each(photos, keep_images=False, **options):
            rows += seen.rows(**chosen)
        return self.table(rows, **chosen)

    def table(
        self, rows: list[dict], *, probabilities: bool = False, landmarks: bool = False
    ) -> pd.DataFrame:
        """Rows of `Explanation.rows` as the DataFrame that `predict` returns."""
        import pandas as pd

        of_films = any("time_s" in row for row in rows)
        chosen = dict(probabilities=probabilities, landmarks=landmarks, films=of_films)
        names = columns(self.tasks, years=self.in_years, **chosen)
        table = pd.DataFrame(rows, columns=names, dtype=object)
        plain = ["photo", "face", "status", "quality", *self.tasks]
        plain += ["frame", "track"] if of_films else []
        table[plain] = table[plain].where(table[plain].notna(), None)  # missing numbers are NaN
        return table.astype({name: float for name in names if name not in plain})

    def explain(
        self, photo, *, min_face: float = 0, max_faces: int | None = None, align: bool = False
    ) -> Explanation:
        """All that is computed for one photo (a path, an array or a PIL image).

        `min_face`, `max_faces` and `align` are those of `predict`.

        Raises:
            FileNotFoundError, ImageError: the photo cannot be read.
            TimeoutError: it took longer than `photos.SECONDS`.
            ValueError: not exactly one photo was given, or an option is out of its range.
        """
        listed = list(islice(list_photos(photo), 2))
        if len(listed) != 1 or listed[0].is_film():
            raise ValueError(
                "explain takes one photo, neither none, nor several, nor a film; see explain_each"
            )
        limits = dict(min_face=min_face, max_faces=max_faces, align=align)
        (seen,) = self.explain_each(listed, progress=False, **limits)
        if seen.error:
            raise seen.error
        return seen

    def at_ratio(self, seen: Explanation, ratio: float, *, mode: str = "blend") -> Explanation:
        """The faces of an explanation at another ratio: neither the detector nor ML-Net runs again.

        Args:
            seen: what `explain` gave.
            ratio: of the reweighting, 0–1.
            mode: its formula, one of `reweighting.MODES`.

        Raises:
            ValueError: the ratio or the mode is unknown or out of range, or there is no face.
        """
        if not len(seen.crops):
            raise ValueError(f"{seen.photo} has no face to reweight: {seen.status}")
        outputs = self.answer(seen.crops, maps=seen.maps, ratio=ratio, mode=mode)
        return replace(seen, ratio=ratio, mode=mode, **self.parted(outputs))

    def explain_each(self, photos, **options) -> Iterator[Explanation]:
        """Explain photos one after the other, while their faces go through the networks in batches.

        A photo that fails comes back with its status; the others go on. Memory is bounded whatever
        the number of photos and their size. Options are those of `explain_batches`.
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
        align: bool = False,
        every: float = films.EVERY,
        detect_every: int = 1,
        allow_private: bool = False,
        tracker: Tracker | None = None,
    ) -> Iterator[list[Explanation]]:
        """As `explain_each`, a list at a time: the photos whose last face has been answered.

        Threads read photos and find faces ahead, while the networks run on batches of faces of the
        photos before. No more photos are asked for than that takes.

        Args:
            photos: as for `predict`; or a `photos.Stream`, which has its own `every`.
            keep_images: keep each photo's pixels with what was found; it takes less memory without.
            progress: show a bar of photos, with their faces and how many failed; as for `predict`.
            min_face: as for `predict`.
            max_faces: as for `predict`.
            align: as for `predict`.
            every: as for `predict`.
            detect_every: as for `predict`.
            allow_private: as for `predict`.
            tracker: links the faces of films; by default a new one.

        Raises:
            TypeError, ValueError, RuntimeError: as for `predict`.
        """
        counted = max_faces is None or (isinstance(max_faces, int) and max_faces >= 1)
        if not (min_face >= 0 and counted):
            raise ValueError(
                "expected min_face ≥ 0 and max_faces None or ≥ 1; "
                f"got {min_face!r} and {max_faces!r}"
            )
        if not (isinstance(detect_every, int) and detect_every >= 1):
            raise ValueError(f"detect_every is a whole number, 1 or more; got {detect_every!r}")
        if not isinstance(photos, Stream):
            photos = Stream(list_photos(photos, allow_private=allow_private), every=every)
        process.check_process()
        return batching.explain(
            photos,
            self,
            keep_images=keep_images,
            progress=progress,
            detect_every=detect_every,
            tracker=Tracker() if tracker is None else tracker,
            min_face=min_face,
            max_faces=max_faces,
            align=align,
        )

    def classify(
        self, crops: np.ndarray, *, maps: np.ndarray | None = None, probabilities: bool = False
    ) -> pd.DataFrame:
        """Answer face crops, without detection.

        Args:
            crops: N×224×224×3 uint8 RGB, cropped as by `faces.crop_face`.
            maps: their saliency, N×28×28 in [0, 1] (another size is stretched); predicted if None.
            probabilities: as for `predict`.

        Returns:
            A row per crop: face, and the answers as `predict` gives them.

        Raises:
            ValueError: the crops or maps have another shape or type.
        """
        import pandas as pd

        crops = np.asarray(crops)
        if crops.shape[1:] != (FACE_SIZE, FACE_SIZE, 3) or crops.dtype != np.uint8:
            raise ValueError(
                f"expected crops N×224×224×3 of uint8; got {crops.shape} of {crops.dtype}"
            )
        if maps is not None:
            maps = np.asarray(maps, "float32")
            shaped = maps.ndim == 3 and len(maps) == len(crops) and 0 not in maps.shape[1:]
            if not shaped or not ((maps >= 0) & (maps <= 1)).all():
                raise ValueError(
                    f"expected {len(crops)} maps N×h×w in [0, 1], one for each crop; "
                    f"got shape {maps.shape}"
                )
        rows = []
        if len(crops):
            outputs = self.answer(crops, maps=maps)
            found = self.parted(outputs)
            given = dict(years=found["years"], probabilities=probabilities)
            for i in range(len(crops)):
                rows.append({"face": i, **answers(found["probabilities"], i, **given)})
        options = dict(years=self.in_years, probabilities=probabilities)
        return pd.DataFrame(rows, columns=["face", *answer_columns(self.tasks, **options)])

    def parted(self, outputs: dict[str, np.ndarray]) -> dict:
        """What `answer` gave, as an `Explanation` holds it: probabilities, cams and years."""
        return {
            "probabilities": {task: outputs[task] for task in self.tasks},
            "cams": {task: outputs[f"cam_{task}"] for task in self.tasks},
            "years": years.summary(outputs["years"], self.tail) if self.in_years else None,
        }

    def answer(
        self,
        crops: np.ndarray,
        *,
        maps: np.ndarray | None = None,
        ratio: float | None = None,
        mode: str = "blend",
    ) -> dict[str, np.ndarray]:
        """What the networks give for face crops, as arrays: the outputs of `networks.network`.

        Args:
            crops: N×224×224×3 uint8 RGB, at least one.
            maps: their saliency, N×h×w in [0, 1]. Where they are given, ML-Net does not run, and
                "map" is not among the outputs.
            ratio: of the reweighting, 0–1; the model's own by default.
            mode: one of `reweighting.MODES`; any but "blend" needs `maps`.

        Raises:
            ValueError: the ratio, the mode or the maps are not as described.
        """
        ratio = self.ratio if ratio is None else reweighting.check_ratio(ratio)
        if maps is None:
            if mode != "blend":
                raise ValueError(f"the formula {mode!r} needs maps")
            return self.answering.answer(crops, ratio, self.batch_size)
        darkened = reweighting.reweight(crops, maps, ratio, mode=mode, rounded=False)
        return self.answering.classify(darkened, self.batch_size)
