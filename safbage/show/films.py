"""A film with its faces boxed and answered, written anew from the table of its answers."""

import bisect
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont
from tqdm.auto import tqdm

from safbage import cam, faces, films, images
from safbage.errors import FilmError
from safbage.show import plots
from safbage.tasks import BOX, CLASSES, YEARS

SIDE = 1280
"""Longer side, in pixels, to which larger films are reduced."""
FASTEST = 30.0
"""Frames a second, at most."""
CODECS = {".webm": "VP80", ".mp4": "mp4v"}
"""What is written, by suffix. Browsers play WebM."""
BRIDGED = 2.5
"""Boxes are drawn on between two frames of a track that lie so many steps apart, at most."""


def annotate(
    film: Path,
    table: pd.DataFrame,
    target: Path,
    *,
    overlay: "Overlay | None" = None,
    name: str | None = None,
    progress: bool | None = None,
) -> Path:
    """Write a film with a box for each face, and its track and answers.

    Between the frames that were looked at, boxes move evenly. Sound is left out. Of a film that
    breaks off, what can be read is written.

    Args:
        film: the film's file.
        table: its rows, of `SafBage.predict`.
        target: the file to write, ``.webm`` or ``.mp4``.
        overlay: what to lay over each face; None for nothing.
        name: what the bar calls the film.
        progress: show a bar; by default yes.

    Returns:
        `target`.

    Raises:
        OSError, FilmError: the film cannot be read, or the target not written.
    """
    shown, writer, written = Shown(table), None, 0
    fps = min(FASTEST, films.rate(film))
    total = films.count(film, every=0)
    bar = tqdm(total=total, desc=name or "drawing", unit="frame", disable=progress is False)
    try:
        with bar:
            for moment, frame in films.frames(film, every=0):
                bar.update()
                due = round(moment.time_s * fps) + 1
                if due <= written:  # the film shows more frames a second than are written
                    continue
                drawn = _drawn(frame, shown.at(moment.time_s), overlay)
                writer = writer or _writer(target, fps, drawn)
                picture = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)
                for _ in range(min(due - written, round(10 * fps))):
                    writer.write(picture)
                written = due
    except FilmError as error:
        if writer is None or error.moment is None:
            raise
    finally:
        if writer is not None:
            writer.release()
    return target


def _writer(target, fps, frame):
    code = cv2.VideoWriter_fourcc(*CODECS[Path(target).suffix])
    with _without_stderr():
        writer = cv2.VideoWriter(str(target), cv2.CAP_FFMPEG, code, fps, frame.shape[1::-1])
    if not writer.isOpened():
        raise FilmError(f"{target} cannot be written")
    return writer


@contextmanager
def _without_stderr():
    """OpenCV prints, whatever its level of logging, that WebM knows no tag of four letters."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class Shown:
    """Which faces are shown when, each with its box and label, by the rows of a film's table."""

    def __init__(self, table: pd.DataFrame):
        rows = table[table.track.notna()] if "track" in table else table[:0]
        times = sorted(table.time_s.dropna().unique()) if "time_s" in table else []
        steps = np.diff(times)
        self.step = float(np.median(steps)) if len(steps) else films.EVERY
        self.tracks = {}
        for track, frames in rows.sort_values("time_s").groupby("track"):
            boxes = frames[list(BOX)].to_numpy(float)
            labels = [label(row) for row in frames.to_dict("records")]
            self.tracks[int(track)] = (frames.time_s.tolist(), boxes, labels)

    def at(self, time_s: float) -> list[tuple[int, tuple[float, ...], str, int]]:
        """The faces shown at a time: of each its track, box and label, and which of the track's
        rows these are of."""
        found = []
        for track, (times, boxes, labels) in self.tracks.items():
            i = bisect.bisect_right(times, time_s + 1e-6) - 1
            if i < 0:
                continue
            apart = times[i + 1] - times[i] if i + 1 < len(times) else np.inf
            if apart <= BRIDGED * self.step:
                share = min(1, max(0, (time_s - times[i]) / apart))
                box = (1 - share) * boxes[i] + share * boxes[i + 1]
            elif time_s - times[i] < self.step / 2:
                box = boxes[i]
            else:
                continue
            found.append((track, tuple(box.tolist()), labels[i], i))
        return found


class Overlay:
    """A map laid over the faces of a film: where people would look, or what speaks for an answer.

    It is computed at each frame that was looked at, and drawn over the frames until the next.

    Args:
        model: a `SafBage`.
        kind: "saliency", or a task of the model, for the class activation map of its answer.

    Raises:
        ValueError: `kind` is neither.
    """

    def __init__(self, model, kind: str):
        if kind not in ("saliency", *model.tasks):
            raise ValueError(
                f"expected saliency or a task ({', '.join(model.tasks)}) as overlay; got {kind!r}"
            )
        self.model, self.kind, self.kept = model, kind, {}

    def lay(self, frame: np.ndarray, box: tuple[float, ...], key: tuple[int, int]) -> None:
        """Paint over a face's box in a frame, H×W×3 uint8; `key` is its track and row."""
        left, top = (max(0, round(side)) for side in box[:2])
        part = frame[top : round(box[1] + box[3]), left : round(box[0] + box[2])]
        if not part.size:
            return
        track, row = key
        if self.kept.get(track, (None,))[0] != row:
            self.kept[track] = row, self._map(faces.crop_face(frame, box))
        values = self._within(self.kept[track][1], box, part.shape[:2])
        if self.kind == "saliency":
            part[:] = plots.blended(part, values)
        else:
            reach = max(plots.LEAST_REACH, float(np.abs(values).max()))
            part[:] = plots.tinted(part, values, reach=reach)

    def _map(self, crop):
        """The map of a face's crop, h×w."""
        outputs = self.model.answer(crop[None])
        if self.kind == "saliency":
            return outputs["map"][0]
        best = int(outputs[self.kind][0].argmax())
        return cam.contrast(outputs[f"cam_{self.kind}"][0])[:, :, best]

    def _within(self, values, box, size):
        """The part of a crop's map that lies in the face's box, in the box's pixels."""
        left, top, side = faces.square(box)
        whole = images.resize(np.ascontiguousarray(values, "float32"), (side, side))
        y, x = max(0, round(box[1])) - top, max(0, round(box[0])) - left
        return images.resize(np.ascontiguousarray(whole[y : y + size[0], x : x + size[1]]), size)


def label(row: dict) -> str:
    """A face's track and answers in a line: "#0  30 years, female, happy"."""
    words = {task: row[task] for task in CLASSES if row.get(task)}
    if row.get(YEARS[0]) is not None and not pd.isna(row[YEARS[0]]):
        words["age"] = f"{row[YEARS[0]]:.0f} years"
    return f"#{int(row['track'])}  {', '.join(words.values())}"


def _drawn(frame, found, overlay):
    """A frame, reduced where it is large, with boxes and labels. Sides are even, as codecs want."""
    if overlay is not None:
        frame = frame.copy()
        for track, box, _, row in found:
            overlay.lay(frame, box, (track, row))
    height, width = frame.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = tuple(max(2, round(side * scale) // 2 * 2) for side in (height, width))
    frame = images.resize(frame, size) if size != (height, width) else frame
    picture = Image.fromarray(frame)
    draw, font = ImageDraw.Draw(picture), _font(size[0])
    for track, box, text, _ in found:
        left, top, width, height = (scale * side for side in box)
        colour = tuple(round(255 * part) for part in to_rgb(plots.track_colour(track)))
        thickness = max(2, size[0] // 240)
        corners = (left, top, left + width, top + height)
        draw.rectangle(corners, outline=colour, width=thickness)
        _write(draw, font, text, corners, colour, size)
    return np.asarray(picture)


def _write(draw, font, text, corners, colour, size):
    """A label on a plate of its track's colour, above the box or, where there is no room, below."""
    left, top, _, bottom = corners
    *_, right, low = draw.textbbox((0, 0), text, font=font)
    wide, high = right + 6, low + 4
    x = max(0, min(left, size[1] - wide))
    y = top - high if top >= high else min(bottom, size[0] - high)
    draw.rectangle((x, y, x + wide, y + high), fill=colour)
    draw.text((x + 3, y + 1), text, fill="white", font=font)


def _font(height):
    return ImageFont.truetype(findfont("DejaVu Sans"), max(11, height // 36))
