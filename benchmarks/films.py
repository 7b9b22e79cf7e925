"""What films cost: against real time, in memory, by how often faces are detected; and how tracks hold.

    python benchmarks/films.py [speed] [memory] [tracks] [following]

The films are made here, of drawn faces and the embedded photo (`tests/made_films.py`), into a temporary folder.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import made_films

from safbage import SafBage, faces, films
from safbage.tracks import Tracker, follow


def speed(folder):
    """Seconds for a minute of 1280×720 at 25 frames a second, a frame looked at every half second."""
    film = made_films.mixed(folder / "minute.mp4", seconds=60)
    model = SafBage.load(saliency="light")
    model.predict(film, every=20, progress=False)  # graphs are built
    began, busy = time.perf_counter(), time.process_time()
    table = model.predict(film, every=0.5, progress=False)
    took, busy = time.perf_counter() - began, time.process_time() - busy
    print(f"60 s of 720p: {took:.1f} s, {60 / took:.1f} times real time", end="; ")
    print(f"{busy:.1f} s of processors; {len(table)} rows", flush=True)


def memory(folder):
    """What the process holds at each minute of ten; 720p, 10 frames a second."""
    film = made_films.mixed(folder / "ten.mp4", seconds=600, fps=10.0)
    model, process, minutes = SafBage.load(saliency="light"), psutil.Process(), []
    for seen in model.explain_each(film, every=0.5, progress=False, keep_images=False):
        if seen.moment.time_s >= 60 * len(minutes):
            minutes.append(process.memory_info().rss / 2**20)
            print(f"minute {len(minutes) - 1}: {minutes[-1]:.0f} MB", flush=True)


def tracks(folder):
    """How often a person's number changes, and how many numbers are given out."""
    for name, made, half, count in (
        ("three people crossing", made_films.crossing, 56, 3),
        ("six people to and fro", made_films.crowd, 75, 6),
    ):
        film, places = made(folder / "people.mp4")
        for every in (0, 0.2, 0.5):
            tracker, before, switches, seen, numbers = Tracker(), {}, 0, 0, set()
            for moment, image in films.frames(film, every=every):
                found = faces.detect_enlarged(image)
                for face, track in zip(found, tracker.link(found, moment.time_s), strict=True):
                    left, top, width, height = face.box
                    middle = np.array([left + width / 2, top + height / 2])
                    away = [
                        np.linalg.norm(middle - np.array(at) - half) for at in places[moment.frame]
                    ]
                    person = int(np.argmin(away))
                    switches += before.get(person, track) != track
                    before[person] = track
                    seen += 1
                    numbers.add(track)
            print(f"{name}, every {every} s: {switches} switches in {seen} faces", end=", ")
            print(f"{len(numbers)} tracks of {count} people")


def following(folder):
    """Time for each frame, faces found and how exactly they are boxed, by how often they are detected."""
    film, _ = made_films.crowd(folder / "people.mp4")
    frames = list(films.frames(film, every=0))
    truth, began = [], time.perf_counter()
    for _, image in frames:
        truth.append(faces.detect_enlarged(image))
    each = (time.perf_counter() - began) / len(frames)
    total = sum(map(len, truth))
    print(f"detected in every frame: {1000 * each:.0f} ms a frame, {total} faces")
    for k in (2, 3, 5, 10):
        found, overlaps, came, began = [], [], 0, time.perf_counter()
        for i, (_, image) in enumerate(frames):
            if i % k == 0:
                current = faces.detect_enlarged(image)
            else:
                current = follow(frames[i - 1][1], image, current)
            found.append(current)
        each = (time.perf_counter() - began) / len(frames)
        for all_, some in zip(truth, found, strict=True):
            for face in all_:
                best = max((_overlap(face.box, other.box) for other in some), default=0)
                came += best >= 0.5
                overlaps += [best] if best >= 0.5 else []
        false = sum(map(len, found)) - came
        print(
            f"in every {k}.: {1000 * each:.0f} ms a frame; {came / total:.1%} of the faces, "
            f"mean overlap {np.mean(overlaps):.3f}; {false} boxes where none is detected"
        )


def _overlap(one, other):
    a, b, c, d = one[0], one[1], one[0] + one[2], one[1] + one[3]
    e, f, g, h = other[0], other[1], other[0] + other[2], other[1] + other[3]
    common = max(0, min(c, g) - max(a, e)) * max(0, min(d, h) - max(b, f))
    return common / (one[2] * one[3] + other[2] * other[3] - common)


if __name__ == "__main__":
    parts = {"speed": speed, "memory": memory, "tracks": tracks, "following": following}
    for part in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as name:
            parts[part](Path(name))
