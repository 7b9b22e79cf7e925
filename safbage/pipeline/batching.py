"""Faces of many photos through the networks in batches; threads read photos and detect ahead."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
from tqdm.auto import tqdm

from safbage import faces
from safbage.faces import Face
from safbage.photos import PIXELS, SECONDS, Photo, Stream
from safbage.pipeline import stages
from safbage.pipeline.explanation import Explanation
from safbage.runtime.ahead import ahead
from safbage.tracks import Tracker, follow

PHOTOS = 8
"""Photos that wait, at most, until there are faces enough for a batch; or as many as a batch has
faces, where that is more."""
THREADS = min(8, max(2, os.cpu_count() or 1))
"""Threads that read photos and find their faces while the networks run; each is a photo ahead of
the one it works on."""


@dataclass(eq=False)
class Found:
    """A photo with its faces, and what the networks have answered to them so far.

    Attributes:
        photo, error: which photo, and what went wrong with it.
        image: None where photos are not kept.
        faces, quality: its faces, and what speaks against each.
        crops: N×224×224×3 uint8.
        outputs: a dict of arrays for each face that is answered.
    """

    photo: Photo
    image: np.ndarray | None = None
    faces: list[Face] = field(default_factory=list)
    quality: list[str] = field(default_factory=list)
    crops: Iterable[np.ndarray] = ()
    outputs: list[dict[str, np.ndarray]] = field(default_factory=list)
    error: Exception | None = None

    def is_answered(self) -> bool:
        return self.error is not None or len(self.outputs) == len(self.faces)

    def explanation(self, model, ratio: float) -> Explanation:
        """All of it put together; `model` is the `SafBage` that answered."""
        if self.error:
            return Explanation.failed(self.photo.name, ratio, self.error, self.photo.moment)
        moment = self.photo.moment
        if not self.faces:
            return Explanation(self.photo.name, ratio, image=self.image, moment=moment)
        arrays = {name: np.stack([row[name] for row in self.outputs]) for name in self.outputs[0]}
        return Explanation(
            self.photo.name,
            ratio,
            status="ok",
            image=self.image,
            faces=self.faces,
            crops=self.crops,
            maps=arrays["map"],
            quality=self.quality,
            moment=moment,
            **model.parted(arrays),
        )


class Queue:
    """Photos in their order, and those of their crops that the networks have yet to answer."""

    def __init__(self, model):
        self.model, self.ratio = model, model.ratio
        self.photos: deque[Found] = deque()
        self.crops: deque[tuple[Found, np.ndarray]] = deque()

    def add(self, found: Found):
        self.photos.append(found)
        self.crops.extend((found, crop) for crop in found.crops)

    def is_full(self) -> bool:
        """Whether there are faces enough for a batch, or no more photos may wait for some."""
        size, images = self.model.batch_size, [found.image for found in self.photos]
        held = sum(image.shape[0] * image.shape[1] for image in images if image is not None)
        return len(self.crops) >= size or len(images) >= max(PHOTOS, size) or held >= PIXELS

    def answer(self) -> int:
        """Let the networks answer a batch of faces; how many."""
        count = min(len(self.crops), self.model.batch_size)
        self._answer([self.crops.popleft() for _ in range(count)])
        return count

    def _answer(self, batch):
        """All together, or where that fails each alone, so that one cannot spoil the rest."""
        try:
            outputs = self.model.answer(np.stack([crop for _, crop in batch]), ratio=self.ratio)
        except Exception as error:
            if len(batch) == 1:
                batch[0][0].error = error
                return
            for one in batch:
                self._answer([one])
            return
        for i, (found, _) in enumerate(batch):
            found.outputs.append({name: values[i] for name, values in outputs.items()})

    def pop_answered(self) -> list[Explanation]:
        """The photos at the front whose faces are all answered."""
        left = []
        while self.photos and self.photos[0].is_answered():
            left.append(self.photos.popleft().explanation(self.model, self.ratio))
        return left


def explain(
    photos: Stream,
    model,
    *,
    keep_images: bool,
    progress: bool | None,
    detect_every: int,
    tracker: Tracker,
    **limits,
) -> Iterator[list[Explanation]]:
    """Explain photos in their order, a list at a time, as soon as their last face is answered.

    Photos may be large: nothing here holds those that have left.

    Args:
        photos: with or without a known number.
        model: a `SafBage`.
        keep_images: keep each photo's pixels with what was found.
        progress: show a bar; by default for more than one photo.
        detect_every: of a film's frames that are looked at, faces are detected in every so many.
        tracker: links the faces of films.
        limits: `min_face`, `max_faces` and `align`, as for `stages.find`.
    """
    total = photos.total()
    shown = (total is None or total > 1) if progress is None else progress
    ready = ahead(
        lambda group: _find_all(group, keep_images, limits),
        groups(photos, detect_every),
        threads=THREADS,
        limit=2 * THREADS,
        size=lambda group: sum(photo.pixels() for photo in group),
        budget=PIXELS,
        seconds=SECONDS,
        late=lambda group: [_late(photo) for photo in group],
    )
    queue, answered, failed = Queue(model), 0, 0
    with closing(ready), tqdm(total=total, desc="photos", unit="photo", disable=not shown) as bar:
        for found in chain(chain.from_iterable(ready), [None]):  # None: there are no more
            if found:
                queue.add(found)
            while queue.crops and (queue.is_full() or not found):
                answered += queue.answer()
                bar.set_postfix(faces=answered, failed=failed)
            del found
            if batch := [_tracked(seen, tracker) for seen in queue.pop_answered()]:
                failed += sum(seen.error is not None for seen in batch)
                bar.set_postfix(faces=answered, failed=failed, refresh=False)
                bar.update(len(batch))
                yield batch


def groups(photos: Iterable[Photo], detect_every: int) -> Iterator[list[Photo]]:
    """Photos as one thread takes them: each alone; of a film `detect_every` frames, of which only
    the first is searched for faces. None is asked for before the group that it begins."""
    group = []
    for photo in photos:
        place = photo.moment.place if photo.moment else 0
        if group and place % detect_every == 0:
            yield group
            group = []
        group.append(photo)
        if photo.moment is None or (place + 1) % detect_every == 0:
            yield group
            group = []
    if group:
        yield group


def _late(photo):
    return Found(photo, error=TimeoutError(f"took longer than {SECONDS:g} s"))


def _find_all(group, keep_images, limits):
    """The photos of a group as far as their crops. Faces of the first are followed into the
    others; where one fails, the next is searched."""
    results, before = [], None
    for photo in group:
        found = _find(photo, before, limits)
        before = None if found.error else (found.image, found.faces)
        results.append(found if keep_images else replace(found, image=None))
    return results


def _find(photo, before, limits):
    """A photo as far as its crops; whatever goes wrong must not cost the others theirs."""
    try:
        image = photo.read()
        if before is None:
            found, crops = stages.find(image, **limits)
        else:
            found = follow(before[0], image, before[1])
            crops = stages.crop(image, found, align=limits["align"])
        quality = [faces.describe_quality(image, face) for face in found]
        return Found(photo, image, found, quality, crops)
    except Exception as error:
        return Found(photo, error=error)


def _tracked(seen, tracker):
    """An explanation with the tracks of its faces, where it is of a film."""
    if seen.moment is None or seen.error:
        return seen
    if seen.moment.place == 0:
        tracker.clear()
    return replace(seen, tracks=tracker.link(seen.faces, seen.moment.time_s))
