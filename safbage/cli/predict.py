"""``safbage predict``: photos in, a row per face out."""

import csv
import json
import os
import sys
import time
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from safbage.cli.base import (
    AsJson,
    MlNet,
    Network,
    Shipped,
    app,
    chosen_tasks,
    fail,
    refuse_to_overwrite,
    save_figure,
    say,
    stdout,
    visible,
    wrong_arguments,
)
from safbage.tasks import RATIO, YEARS

SAYS_LITTLE = 20
"""Pixels of a face's shorter side below which its answers say little."""
SECONDS_BETWEEN_LINES = 15
LONGEST = 200
"""Bytes of a figure's name before its number and suffix; file systems take 255."""


@app.command()
def predict(
    photos: Annotated[
        list[str],
        typer.Argument(help="Photos, or folders of photos (every file in them and below)."),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for faces.csv and, under figures/, a figure per photo."),
    ] = None,
    as_json: AsJson = False,
    ratio: Annotated[
        float,
        typer.Option(
            help="How strongly saliency reweights the face, 0 to 1; the networks learnt at 0.3."
        ),
    ] = RATIO,
    tasks: Annotated[
        str, typer.Option(help="What to answer, separated by commas.")
    ] = "age,gender,expression",
    network: Network = Shipped.FACE_MOBILENET,
    saliency: MlNet = "mlnet",
    min_face: Annotated[
        float,
        typer.Option(
            min=0,
            help="Leave out faces of fewer pixels (shorter side); 20 leaves out what says little.",
        ),
    ] = 0,
    max_faces: Annotated[
        int | None, typer.Option(min=1, help="Only so many faces of each photo, the largest.")
    ] = None,
    probabilities: Annotated[bool, typer.Option(help="Add a column per class.")] = False,
    crops: Annotated[
        bool, typer.Option(help="Also store the cropped faces (with --output).")
    ] = False,
):
    """Answer photos: a row per face.

    A photo that has no face, or failed, gets a row that says so. On a terminal a table is printed,
    into a pipe CSV. Ctrl-C keeps what is answered. Exit status: 0, or 1 where not one photo could
    be read.
    """
    say("Starting …")
    from safbage import classifiers
    from safbage.photos import list_photos
    from safbage.pipeline import SafBage
    from safbage.pipeline.explanation import columns

    if crops and not output:
        raise fail("--crops needs --output DIR, the folder to store them in", 2)
    if "" in photos:
        raise fail("a photo's path is empty", 2)
    chosen = chosen_tasks(tasks)
    years = "age" in chosen and classifiers.tail_of(network.value) is not None
    names = columns(chosen, years=years, probabilities=probabilities)
    folder = _ResultFolder(output, names, crops) if output else None
    with wrong_arguments(FileNotFoundError):
        listed = list_photos(photos)
        if output:
            listed = [photo for photo in listed if not _is_result(photo.content, output)]
        model = SafBage.load(tasks=chosen, ratio=ratio, network=network.value, saliency=saliency)
    if not listed:
        raise fail("no photos: there is nothing but results of an earlier run")
    rows, code = [], 0
    with folder.opened() if folder else nullcontext():
        batches = model.explain_batches(
            listed,
            keep_images=output is not None,
            progress=None if sys.stderr.isatty() else False,
            min_face=min_face,
            max_faces=max_faces,
        )
        try:
            for batch in batches if sys.stderr.isatty() else _told(batches, len(listed)):
                answered = [_rows_of(seen, probabilities) for seen in batch]
                rows += chain.from_iterable(answered)
                if folder:
                    folder.add(batch, answered)
        except KeyboardInterrupt:
            code = 130
            say(f"stopped; {len({row['photo'] for row in rows})} photos are answered")
        except OSError as error:
            code = 1
            say(f"safbage: {error}; the answers so far are printed")
    _print_rows(rows, names, as_json)
    _note_small_faces(rows)
    if output:
        say(f"written to {output}: faces.csv, and figures/ with {folder.figures} of the photos")
    if not code and all(row["status"].startswith("failed") for row in rows):
        raise fail("not one of the photos could be read")
    raise typer.Exit(code)


def _told(batches, count):
    """The batches, and now and then a line of how far they are: without a terminal, a bar would
    fill a log."""
    photos = faces = failed = 0
    told = time.monotonic()
    for batch in batches:
        photos += len(batch)
        faces += sum(len(seen.faces) for seen in batch)
        failed += sum(seen.status.startswith("failed") for seen in batch)
        yield batch
        if time.monotonic() - told > SECONDS_BETWEEN_LINES and photos < count:
            told = time.monotonic()
            say(f"{photos} of {count} photos, {faces} faces, {failed} failed")


def _note_small_faces(rows):
    """Say so where a good part of the faces has too few pixels."""
    found = [row for row in rows if row["face"] is not None]
    small = sum(min(row["box_width"], row["box_height"]) < SAYS_LITTLE for row in found)
    if small > len(found) / 4:
        say(
            f"{small} of {len(found)} faces are smaller than {SAYS_LITTLE} px; "
            "their answers are hardly more than guesses "
            f"(--min-face {SAYS_LITTLE} leaves them out)."
        )


def _rows_of(seen, probabilities):
    """A photo's rows, rounded for reading: pixels to one digit, probabilities to four. Where it
    failed, that is said at once."""
    if seen.status.startswith("failed"):
        say(f"{seen.photo}: {seen.status}")
    rows = seen.rows(probabilities=probabilities)
    return [{name: _rounded(name, value) for name, value in row.items()} for row in rows]


def _rounded(name, value):
    if not isinstance(value, float):
        return value
    return round(value, 1 if name.startswith("box_") else 4)


MARK = ".made-by-safbage"


def _is_result(path, output):
    """Whether this command wrote a file: an output folder among the photos is not answered."""
    # Path.resolve raises at a loop of links
    path, output = Path(os.path.realpath(path)), Path(os.path.realpath(output))
    made = [output / name for name in ("figures", "crops") if (output / name / MARK).exists()]
    return path == output / "faces.csv" or any(path.is_relative_to(folder) for folder in made)


class _ResultFolder:
    """``faces.csv``, written batch by batch, and a figure per photo with a face under ``figures``.

    What is there and not of this command is refused, not overwritten.
    """

    def __init__(self, folder, names, crops):
        self.folder, self.names, self.crops = folder, names, crops
        self.figures, self.used, self.begun = 0, set(), False
        self.made = [folder / name for name in (("figures", "crops") if crops else ("figures",))]
        for path in self.made:
            if path.exists() and any(path.iterdir()) and not (path / MARK).exists():
                raise fail(
                    f"{path} holds files of yours, which might be overwritten; "
                    "choose another --output",
                    2,
                )
        marked = (folder / "figures" / MARK).exists()  # a table without it may be someone's copy
        beginning = ",".join(names[: names.index("score")])
        refuse_to_overwrite(folder / "faces.csv", beginning, marked=marked)

    @contextmanager
    def opened(self):
        """Make the folder and keep other processes out; the lock is hidden, so not a photo."""
        from safbage.runtime.work import locked

        with locked(self.folder / ".safbage"):
            for path in self.made:
                path.mkdir(exist_ok=True)
                (path / MARK).touch()
            yield

    def add(self, batch, answered):
        """All rows of a batch first, then its figures, which take longer."""
        for rows in answered:
            self._append(rows)
        for seen in batch:
            if seen.faces:
                try:
                    self._draw(seen)
                except (OSError, ValueError) as error:
                    say(f"{seen.photo}: no figure ({error})")

    def _append(self, rows):
        mode = "a" if self.begun else "w"
        with open(self.folder / "faces.csv", mode, newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.names)
            if not self.begun:
                writer.writeheader()
            writer.writerows(rows)
        self.begun = True

    def _draw(self, seen):
        from safbage import images

        stem = self._free(Path(seen.photo).stem.encode()[:LONGEST].decode(errors="ignore"))
        aside = self.folder / "figures" / ".writing.png"
        save_figure(seen, aside)
        aside.replace(self.folder / "figures" / f"{stem}.png")
        self.figures += 1
        for i, crop in enumerate(seen.crops if self.crops else ()):
            images.write(self.folder / "crops" / f"{stem}-{i}.png", crop)

    def _free(self, stem):
        """The stem, with a number behind it where another photo of the same name came first."""
        name, number = stem, 2
        while name.casefold() in self.used:  # many file systems take A and a for one
            name, number = f"{stem}-{number}", number + 1
        self.used.add(name.casefold())
        return name


def _print_rows(rows, names, as_json):
    if as_json:
        full = [{name: row.get(name) for name in names} for row in rows]
        print(json.dumps(full, indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        short = [
            name
            for name in names
            if not name.startswith("box_")
            and not name.endswith("_p")
            and "[" not in name
            and name not in YEARS[1:]
        ]
        if all(row["status"] == "ok" for row in rows):
            short.remove("status")
        if not any(row.get("quality") for row in rows):
            short.remove("quality")
        table = Table(*(Column(name, overflow="fold") for name in short))
        for row in rows:
            table.add_row(*(visible(_cell(row, name)) for name in short))
        stdout().print(table)
    else:
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _cell(row, name):
    value = row.get(name)
    if value is None:
        return ""
    if name == YEARS[0]:
        low, high = (row[end] for end in YEARS[1:])
        return f"{value:.0f} ({low:.0f}–{high:.0f})"
    sure = f" ({row[f'{name}_p']:.0%})" if f"{name}_p" in row else ""
    return (f"{value:.4f}" if isinstance(value, float) else str(value)) + sure
