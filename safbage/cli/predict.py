"""``safbage predict``: photos and films in, a row per face out."""

import csv
import json
import os
import sys
import time
from contextlib import nullcontext, suppress
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from safbage.cli.answered import ResultFolder, is_result, per_track_table
from safbage.cli.base import (
    AsJson,
    Computing,
    Engine,
    MlNet,
    MlNetPrecision,
    Network,
    Shipped,
    app,
    chosen_tasks,
    fail,
    say,
    stdout,
    visible,
    wrong_arguments,
)
from safbage.tasks import LANDMARK_COLUMNS, RATIO, YEARS

SAYS_LITTLE = 20
"""Pixels of a face's shorter side below which its answers say little."""
SECONDS_BETWEEN_LINES = 15


Drawn = StrEnum("Drawn", {"WEBM": "webm", "MP4": "mp4"})
"""The kinds of annotated films."""


@app.command()
def predict(
    photos: Annotated[
        list[str],
        typer.Argument(
            help="Photos, films, folders of them (every file in them and below), quoted globs, "
            "http(s) addresses."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for faces.csv, a page to browse (index.html), and figures/ of the photos "
            "and films. Killed or stopped, the same command goes on."
        ),
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
    engine: Engine = "auto",
    precision: MlNetPrecision = Computing.AUTO,
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
    landmarks: Annotated[
        bool,
        typer.Option(
            help="Add columns of eyes, nose and mouth, and of the head's pose in degrees."
        ),
    ] = False,
    align: Annotated[
        bool,
        typer.Option(help="Level the eyes before cropping, for leaning heads; the paper does not."),
    ] = False,
    crops: Annotated[
        bool, typer.Option(help="Also store the cropped faces (with --output).")
    ] = False,
    every: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Of a film, a frame is looked at every 0.5s, 200ms, …; 0: all."
        ),
    ] = "0.5s",
    detect_every: Annotated[
        int,
        typer.Option(
            min=1,
            help="Detect faces in every so many of these frames, and follow them in between.",
        ),
    ] = 1,
    per_track: Annotated[
        bool,
        typer.Option(
            help="Answer once for each track of a film from all its frames (--probabilities, too)."
        ),
    ] = False,
    draw: Annotated[
        Drawn | None,
        typer.Option(help="Also write each film anew with its boxes and answers (with --output)."),
    ] = None,
    overlay: Annotated[
        str | None,
        typer.Option(
            metavar="MAP", help="Over the faces of these films: saliency, or a task, for its CAM."
        ),
    ] = None,
    jsonl: Annotated[
        bool, typer.Option(help="Also write faces.jsonl, an object per row (with --output).")
    ] = False,
    parquet: Annotated[
        bool, typer.Option(help="Also write the tables as Parquet (with --output).")
    ] = False,
    allow_private: Annotated[
        bool,
        typer.Option(help="Fetch also from addresses of this machine and of private networks."),
    ] = False,
):
    """Answer photos and films: a row per face.

    A photo that has no face, or failed, gets a row that says so. On a terminal a table is printed,
    into a pipe CSV. Ctrl-C keeps what is answered. Exit status: 0, or 1 where not one photo could
    be read.
    """
    say("Starting …")
    from safbage import classifiers
    from safbage.photos import Stream, list_photos
    from safbage.pipeline import SafBage
    from safbage.pipeline.explanation import columns

    folder_needed = {"--crops": crops, "--draw": draw, "--parquet": parquet, "--jsonl": jsonl}
    for option, wanted in folder_needed.items():
        if wanted and not output:
            raise fail(f"{option} needs --output DIR, the folder to write to", 2)
    if "" in photos:
        raise fail("a photo's path is empty", 2)
    chosen, seconds = chosen_tasks(tasks), seconds_of(every)
    if overlay and (not draw or overlay not in ("saliency", *chosen)):
        raise fail(f"--overlay takes saliency or one of {', '.join(chosen)}, with --draw", 2)
    years = "age" in chosen and classifiers.tail_of(network.value) is not None
    with wrong_arguments(FileNotFoundError):
        listed = list_photos(photos, allow_private=allow_private)
        if output:
            listed = [photo for photo in listed if not is_result(photo.content, output)]
        films = [photo for photo in listed if photo.is_film()]
        if per_track and not films:
            raise fail("--per-track needs a film", 2)
        probabilities = probabilities or per_track
        options = dict(probabilities=probabilities, landmarks=landmarks, films=bool(films))
        names = columns(chosen, years=years, **options)
        folder = ResultFolder(output, names, crops=crops, jsonl=jsonl) if output else None
        named = dict(network=network.value, saliency=saliency, engine=engine)
        computing = {} if precision == Computing.AUTO else {"precision": precision.value}
        model = SafBage.load(tasks=chosen, ratio=ratio, **named, **computing)
    if not listed:
        raise fail("no photos: there is nothing but results of an earlier run")
    settings = {
        "photos": [_identity(photo) for photo in listed],
        **dict(ratio=ratio, tasks=chosen, network=network.value, saliency=saliency),
        **dict(min_face=min_face, max_faces=max_faces, probabilities=probabilities, crops=crops),
        **dict(every=seconds, detect_every=detect_every, landmarks=landmarks, align=align),
        **computing,
    }
    rows, code = [], 0
    with folder.opened(settings) if folder else nullcontext():
        rows += folder.rows if folder else []
        stream = Stream(listed, every=seconds, begin=folder.answered if folder else 0)
        given = dict(progress=None if sys.stderr.isatty() else False)
        given |= dict(min_face=min_face, max_faces=max_faces, detect_every=detect_every)
        given |= dict(align=align, tracker=folder.tracker if folder else None)
        batches = model.explain_batches(stream, keep_images=output is not None, **given)
        try:
            for batch in batches if sys.stderr.isatty() else _told(batches, stream.total()):
                answered = [_rows_of(seen, probabilities, landmarks) for seen in batch]
                rows += chain.from_iterable(answered)
                if folder:
                    folder.add(batch, answered)
            if folder:
                laid = _overlay(model, overlay) if overlay else None
                folder.draw_films(rows, films, draw, laid)
                folder.finish(rows, parquet, chosen if per_track else ())
        except KeyboardInterrupt:
            code = 130
            count = len({(row["photo"], row.get("frame")) for row in rows})
            goes_on = "; the same command goes on with the others" if output else ""
            say(f"stopped; {count} photos are answered{goes_on}")
        except OSError as error:
            code = 1
            say(f"safbage: {error}; the answers so far are printed")
    shown = _tracks_of(rows, names, chosen) if per_track else (rows, names)
    _print_rows(*shown, as_json)
    _note_small_faces(rows)
    if output:
        say(f"written to {output}: {folder.told()}")
    if not code and all(row["status"].startswith("failed") for row in rows):
        raise fail("not one of the photos could be read")
    raise typer.Exit(code)


def _overlay(model, kind):
    from safbage.show.films import Overlay

    return Overlay(model, kind)


def seconds_of(text):
    """The seconds that ``--every`` means: "0.5s", "200ms", "2"."""
    number, unit = text.strip().lower(), 1.0
    for ending, factor in (("ms", 0.001), ("s", 1.0)):
        if number.endswith(ending):
            number, unit = number[: -len(ending)], factor
            break
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise fail(f"--every takes a time such as 0.5s or 200ms, or 0 for all; got {text!r}", 2)
    return seconds


def _identity(photo):
    """By what a photo is known again: its name, and its file's size and time."""
    with suppress(OSError, TypeError):
        file = os.stat(photo.content)
        return [photo.name, file.st_size, file.st_mtime_ns]
    return [photo.name]


def _tracks_of(rows, names, tasks):
    """A row for each track in place of those of its frames, and the names of its columns."""
    table = per_track_table(rows, names, tasks)
    return table.astype(object).where(table.notna(), None).to_dict("records"), list(table.columns)


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
        if time.monotonic() - told > SECONDS_BETWEEN_LINES and photos < (count or float("inf")):
            told = time.monotonic()
            of = f" of {count}" if count else ""
            say(f"{photos}{of} photos, {faces} faces, {failed} failed")


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


def _rows_of(seen, probabilities, landmarks):
    """A photo's rows, rounded for reading: pixels and degrees to one digit, probabilities to four.
    Where it failed, that is said at once."""
    if seen.status.startswith("failed"):
        say(f"{seen.photo}: {seen.status}")
    rows = seen.rows(probabilities=probabilities, landmarks=landmarks)
    return [{name: _rounded(name, value) for name, value in row.items()} for row in rows]


def _rounded(name, value):
    if not isinstance(value, float):
        return value
    return round(value, 1 if name.startswith("box_") or name in LANDMARK_COLUMNS else 4)


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
            and name not in (*YEARS[1:], *LANDMARK_COLUMNS)
        ]
        if "status" in short and all(row["status"] == "ok" for row in rows):
            short.remove("status")
        if "quality" in short and not any(row.get("quality") for row in rows):
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
    digits = 2 if name.endswith("_s") else 4
    return (f"{value:.{digits}f}" if isinstance(value, float) else str(value)) + sure
