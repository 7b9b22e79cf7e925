"""One HTML page over a folder of answered photos: each with its boxes and answers, its faces as
tiles, filters, and what failed.

    album = Album(Path("out"))
    album.begin()
    album.add(seen, seen.rows())    # for each `Explanation`, as soon as it is there
    album.write("face-mobilenet", 0.3)   # out/index.html, as often as you like

Thumbnails and a line for each photo are kept in ``out/page``, so that a run that is killed and goes
on loses none. The page loads nothing else and needs no server.
"""

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from safbage import images
from safbage.pipeline import Explanation
from safbage.runtime.files import fingerprint, visible, write_whole
from safbage.show import pages
from safbage.show.plots.style import age_in_words
from safbage.tasks import BOX, CLASSES, YEARS

BEGINNING = "<!doctype html>\n<!-- by safbage predict -->"
"""How each page begins; so a command can tell its own from another's."""
PHOTO_SIDE, FACE_SIDE = 640, 160
"""Longer side of a photo's thumbnail, and side of a face's, in pixels."""
MOST = 5_000
"""Photos that a page shows; what failed is listed in any case. More would make browsers slow, and
fill disks with thumbnails that nobody sees."""
STATES = {"ok": "with faces", "none": "no face", "failed": "failed"}
"""A photo's state in the page's code, and in words."""


class Album:
    """Records and thumbnails of answered photos below a folder, and the page made of them.

    Attributes:
        folder: gets ``index.html``, and the folder ``page`` for the rest.
    """

    def __init__(self, folder: Path):
        self.folder, self.files = folder, folder / "page"
        self.records, self.pictured = self.files / "photos.jsonl", 0

    def begin(self, *, resume: bool = False) -> None:
        """Make the folder. Unless a run is resumed, records of an earlier one are forgotten."""
        self.files.mkdir(parents=True, exist_ok=True)
        if not resume or not self.records.exists():
            self.records.write_text("")
        self.pictured = sum("thumbnail" in record for _, record in self._records())

    def add(self, seen: Explanation, rows: list[dict], *, figure: str = "") -> None:
        """Keep a photo for the page; one that was added before is replaced.

        Args:
            seen: the photo, explained. Without its `image`, and after `MOST` others, it gets no
                thumbnail.
            rows: its rows of the table, as shown to people.
            figure: path of its figure below the folder, which the page links where it exists.

        Raises:
            OSError: nothing can be written.
        """
        key = [seen.photo, rows[0].get("frame")]  # a film's frames share its name
        stem = fingerprint(json.dumps(key), digits=16)
        record = {
            "key": stem,
            "photo": seen.photo,
            "time": rows[0].get("time_s"),
            "status": seen.status,
            "figure": figure,
            "rows": rows,
        }
        room = self.pictured < MOST
        if seen.image is not None and room:
            record |= self._thumbnail(stem, seen.image)
            self.pictured += 1
        crops = seen.crops if room else ()
        for i, crop in enumerate(crops):
            small = images.resize(crop, (FACE_SIDE, FACE_SIDE))
            images.write(self.files / f"{stem}-{i}.jpg", small)
        record["crops"] = [f"page/{stem}-{i}.jpg" for i in range(len(crops))]
        with open(self.records, "a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(record)}\n")  # the break before ends what was cut off

    def _thumbnail(self, stem, image):
        height, width = image.shape[:2]
        scale = min(1.0, PHOTO_SIDE / max(height, width))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        images.write(self.files / f"{stem}.jpg", images.resize(image, size))
        return {"thumbnail": f"page/{stem}.jpg", "size": size, "scale": scale}

    def write(self, network: str, ratio: float) -> None:
        """Write ``index.html`` from all records.

        Args:
            network: which one answered, and
            ratio: at which ratio of the reweighting; both for the page's head.

        Raises:
            WorkError: it cannot be written.
        """
        places, counts, failed, common = self._surveyed()
        style, script = (
            files("safbage.show").joinpath("templates", name).read_text(encoding="utf-8")
            for name in ("album.css", "album.js")
        )
        page = (
            pages.templates()
            .get_template("album.html.j2")
            .stream(
                beginning=BEGINNING,
                style=style,
                script=script,
                hashes={"style": _hash(style), "script": _hash(script)},
                network=network,
                ratio=f"{ratio:.0%}".replace("%", " %"),
                date=date.today().isoformat(),
                counts=counts,
                total=sum(counts["state"].values()),
                shown=min(len(places), MOST),
                choices=_choices(counts),
                cards=self._cards(places[:MOST], common),
                common=visible(common),
                failed=failed,
                states=STATES,
            )
        )
        write_whole(self.folder / "index.html", lambda aside: page.dump(str(aside), "utf-8"))

    def _records(self) -> Iterator[tuple[int, dict]]:
        """Each whole record with its place in the file."""
        with open(self.records, "rb") as file:
            place = 0
            for line in file:
                with suppress(ValueError):  # half a record of a killed run
                    yield place, json.loads(line)
                place += len(line)

    def _surveyed(self):
        """Places of the photos that were read, in their order; counts of states and answers by
        their columns; names and reasons of those that failed; the folder that all lie in."""
        latest, folders = {}, set()
        for place, record in self._records():
            latest[record["key"]] = place
            folders.add(os.path.dirname(record["photo"]))
        common = _common(folders)
        places, failed = [], []
        counts = {name: Counter() for name in ("state", "quality", *CLASSES)}
        for place, record in self._records():
            if latest[record["key"]] != place:
                continue
            state = _state(record["status"])
            counts["state"][state] += 1
            if state == "failed":
                reason = record["status"].removeprefix("failed: ")
                failed.append(_names(record, common) | {"reason": visible(reason)})
                continue
            places.append(place)
            for row in record["rows"] if state == "ok" else ():
                for task in CLASSES:
                    if row.get(task):
                        counts[task][row[task]] += 1
                counts["quality"].update(_objections(row) or [""])
        return places, counts, failed, common

    def _cards(self, places, common) -> Iterator[dict]:
        """What the template needs of each photo; read one by one."""
        with open(self.records, "rb") as file:
            for number, place in enumerate(places):
                file.seek(place)
                yield self._card(number, json.loads(file.readline()), common)

    def _card(self, number, record, common):
        height, width = record.get("size", (0, 0))
        figure = record["figure"]
        drawn = bool(figure) and (self.folder / figure).is_file()
        return _names(record, common) | {
            "number": number,
            "state": _state(record["status"]),
            "thumbnail": record.get("thumbnail"),
            "width": width,
            "height": height,
            "figure": quote(figure) if drawn else "",
            "faces": [_face(i, record) for i in range(len(record["crops"]))],
        }


def _hash(text):
    """A text's hash as a page's security policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _state(status):
    return "failed" if status.startswith("failed") else "ok" if status == "ok" else "none"


def _common(folders):
    """The folder that all of these are or lie in; "" where there is none."""
    try:
        return os.path.commonpath(folders) if folders else ""
    except ValueError:  # some are absolute, some are not; or several drives
        return ""


def _names(record, common):
    """A photo's name, and its folder below the common one, as people may see them: nothing in them
    turns the writing. A film's frame has its time behind the name."""
    folder, name = os.path.split(record["photo"])
    below = os.path.relpath(folder, common) if common else folder
    if record["time"] is not None:
        name += f", {record['time']:.1f} s"
    return {"name": visible(name), "folder": visible("" if below == "." else below)}


def _objections(row):
    """What speaks against a face's answers, without its numbers: "small: 14 px" is "small"."""
    given = (row.get("quality") or "").split(", ")
    return [reason.partition(":")[0] for reason in given if reason]


def _face(i, record):
    """What the template needs of one face."""
    row, scale = record["rows"][i], record.get("scale", 0)
    answers = []
    for task in CLASSES:
        if not row.get(task):
            continue
        words, beside = row[task], f"{100 * row[f'{task}_p']:.0f} %"
        if task == "age":
            words = f"{row[task].replace('-', '–')} years"
            if row.get(YEARS[0]) is not None:
                beside = f"group {row[task].replace('-', '–')}"
                words = age_in_words([row[name] for name in YEARS])
        answers.append({"task": task, "words": words, "beside": beside})
    return {
        "number": i + 1,
        "crop": record["crops"][i],
        "box": [round(row[side] * scale, 1) for side in BOX],
        "answers": answers,
        "classes": {task: row[task] for task in CLASSES if row.get(task)},
        "quality": row.get("quality") or "",
        "objections": "|".join(_objections(row)),
    }


def _choices(counts):
    """For each task that was answered, and for quality, the values to filter by with their counts:
    a list of (column, heading, [(value, words, count), …])."""
    choices = []
    for task, classes in CLASSES.items():
        if counts[task]:
            given = [
                (name, name.replace("-", "–"), counts[task][name])
                for name in classes
                if counts[task][name]
            ]
            choices.append((task, "age group" if task == "age" else task, given))
    quality = sorted(counts["quality"].items(), key=lambda item: (item[0] != "", -item[1]))
    given = [(value or "good", value or "nothing against it", n) for value, n in quality]
    return [*choices, ("quality", "quality", given)] if given else choices
