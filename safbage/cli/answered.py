"""What ``safbage predict --output`` writes: tables, figures, films; and how far it has come."""

import csv
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from safbage.cli.base import draw_into_files, fail, refuse_to_overwrite, save_figure, say
from safbage.errors import WorkError
from safbage.tasks import CLASSES

LONGEST = 200
"""Bytes of a figure's name before its number and suffix; file systems take 255."""
MARK = ".made-by-safbage"
FOLDERS = ("figures", "page", "crops")
WRITTEN = (
    "faces.csv",
    "faces.jsonl",
    "faces.parquet",
    "tracks.csv",
    "tracks.parquet",
    "index.html",
)


def is_result(path, output):
    """Whether this command wrote a file: an output folder among the photos is not answered."""
    if not isinstance(path, Path):
        return False
    # Path.resolve raises at a loop of links
    path, output = Path(os.path.realpath(path)), Path(os.path.realpath(output))
    made = [output / name for name in FOLDERS if (output / name / MARK).exists()]
    written = path.parent == output and path.name in WRITTEN
    return written or any(path.is_relative_to(folder) for folder in made)


class ResultFolder:
    """``faces.csv``, written batch by batch, the page ``index.html`` with its thumbnails under
    ``page``, and a figure per photo with a face under ``figures``.

    What is there and not of this command is refused, not overwritten. Until all is done, a note
    tells how far the run has come, and with what settings; the same settings go on from there.

    Attributes:
        answered, rows, tracker: how many photos, and frames of films, an earlier run has answered,
            its rows, and what it knew of the tracks.
    """

    def __init__(self, folder, names, *, crops, jsonl):
        from safbage.show import album
        from safbage.tracks import Tracker

        self.folder, self.names, self.crops, self.jsonl = folder, names, crops, jsonl
        self.album = album.Album(folder)
        self.figures, self.used, self.written, self.begun = 0, set(), [], False
        self.answered, self.rows, self.tracker = 0, [], Tracker()
        self.note, self.settings = folder / ".safbage" / "unfinished.json", None
        self.made = [folder / name for name in FOLDERS if crops or name != "crops"]
        for path in self.made:
            if path.exists() and any(path.iterdir()) and not (path / MARK).exists():
                raise fail(
                    f"{path} holds files of yours, which might be overwritten; "
                    "choose another --output",
                    2,
                )
        marked = (folder / "figures" / MARK).exists()  # a table without it may be someone's copy
        refuse_to_overwrite(
            folder / "faces.csv", ",".join(names[: names.index("score")]), marked=marked
        )
        refuse_to_overwrite(folder / "index.html", album.BEGINNING)
        if jsonl:
            refuse_to_overwrite(folder / "faces.jsonl", '{"photo": ', marked=marked)
        refuse_to_overwrite(folder / "tracks.csv", "photo,track,frames,", marked=marked)
        for name in ("faces.parquet", "tracks.parquet"):
            refuse_to_overwrite(folder / name, "PAR1", marked=marked)

    @contextmanager
    def opened(self, settings):
        """Make the folder and keep other processes out; the lock is hidden, so not a photo. Go on
        where an earlier run with these settings was stopped. In the end, also after Ctrl-C, the
        page is written."""
        from safbage.runtime.files import clear_asides
        from safbage.runtime.work import locked

        with locked(self.folder / ".safbage"):
            for path in self.made:
                path.mkdir(exist_ok=True)
                (path / MARK).touch()
                clear_asides(path)
            self.settings = json.loads(json.dumps(settings))
            self._go_on()
            self.album.begin(resume=self.begun)
            if self.jsonl:
                self._append_json(self.rows, "w")
            try:
                yield
            finally:
                self._write_page()

    def _write_page(self):
        try:
            self.album.write(self.settings["network"], self.settings["ratio"])
        except (WorkError, OSError) as error:
            say(f"no page ({error})")

    def _go_on(self):
        from safbage.runtime.files import read_json
        from safbage.tracks import Tracker

        table = self.folder / "faces.csv"
        try:
            noted = read_json(self.note, dict)
            if noted["settings"] == self.settings and table.stat().st_size >= noted["bytes"]:
                os.truncate(table, noted["bytes"])  # what came after the note is answered again
                self.rows, self.begun = _read_rows(table), True
                self.answered, self.tracker = noted["photos"], Tracker.from_state(noted["tracker"])
                self.figures, self.used = noted["figures"], set(noted["used"])
                say(f"going on after {self.answered} photos")
                return
        except (OSError, WorkError, KeyError, TypeError):  # none, or of another version
            pass
        self.note.unlink(missing_ok=True)

    def add(self, batch, answered):
        """All rows of a batch and its part of the page first, then its figures, which take
        longer."""
        stems = [self._stem(seen) for seen in batch]
        for seen, rows, stem in zip(batch, answered, stems, strict=True):
            self._append(rows)
            try:
                self.album.add(seen, rows, figure=f"figures/{stem}.png" if stem else "")
            except (OSError, ValueError) as error:
                say(f"{seen.photo}: not on the page ({error})")
        for seen, stem in zip(batch, stems, strict=True):
            if stem:
                try:
                    self._draw(seen, stem)
                except (OSError, ValueError) as error:
                    say(f"{seen.photo}: no figure ({error})")
        self.answered += len(batch)
        self.take_note()

    def take_note(self):
        from safbage.runtime.files import write_text

        noted = {
            "settings": self.settings,
            "photos": self.answered,
            "bytes": (self.folder / "faces.csv").stat().st_size,
            "figures": self.figures,
            "used": sorted(self.used),
            "tracker": self.tracker.state(),
        }
        write_text(self.note, json.dumps(noted))

    def _append(self, rows):
        mode = "a" if self.begun else "w"
        with open(self.folder / "faces.csv", mode, newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.names)
            if not self.begun:
                writer.writeheader()
            writer.writerows(rows)
        if self.jsonl:
            self._append_json(rows, "a")
        self.begun = True

    def _append_json(self, rows, mode):
        with open(self.folder / "faces.jsonl", mode, encoding="utf-8") as file:
            for row in rows:
                full = {name: row.get(name) for name in self.names}
                file.write(json.dumps(full, ensure_ascii=False) + "\n")

    def _stem(self, seen):
        """The name of a photo's files, "" where none are written."""
        if not (seen.faces and (seen.moment is None or self.crops)):
            return ""
        name = Path(seen.photo).stem
        if seen.moment is not None:
            name = f"{name}-{seen.moment.frame}"
        return self._free(name)

    def _draw(self, seen, stem):
        from safbage import images

        if seen.moment is None:
            aside = self.folder / "figures" / ".writing.png"
            save_figure(seen, aside)
            aside.replace(self.folder / "figures" / f"{stem}.png")
            self.figures += 1
        for i, crop in enumerate(seen.crops if self.crops else ()):
            images.write(self.folder / "crops" / f"{stem}-{i}.png", crop)

    def _free(self, name):
        """The name as a file may have it, with a number behind it where another photo of the same
        name came first."""
        stem = name.encode()[:LONGEST].decode(errors="ignore")
        free, number = stem, 2
        while free.casefold() in self.used:  # many file systems take A and a for one
            free, number = f"{stem}-{number}", number + 1
        self.used.add(free.casefold())
        return free

    def draw_films(self, rows, films, kind, overlay):
        """A chart of each film's tracks and, where a `kind` of film is given, the film anew."""
        table = typed(rows, self.names)
        for film in films:
            try:
                self._draw_film(film, table[table.photo == film.name], kind, overlay)
            except (OSError, ValueError) as error:
                say(f"{film.name}: not drawn ({error})")

    def _draw_film(self, film, rows, kind, overlay):
        from safbage.runtime.files import write_whole

        if rows.track.isna().all():
            return
        draw_into_files()
        import matplotlib.pyplot as plt

        from safbage.show import plots
        from safbage.show.films import annotate

        name, figures = Path(film.name).name, self.folder / "figures"
        stem = self._free(f"{Path(name).stem}-tracks")
        figure = plots.tracks_over_time(rows, title=name)
        write_whole(figures / f"{stem}.png", lambda path: figure.savefig(path, dpi=110))
        plt.close(figure)
        self.figures += 1
        if kind:
            say(f"{name}: drawing its boxes …")
            options = dict(overlay=overlay, name=name)
            options |= dict(progress=None if sys.stderr.isatty() else False)
            with film.as_file() as path:
                write_whole(
                    figures / f"{stem.removesuffix('-tracks')}.{kind.value}",
                    lambda aside: annotate(path, rows, aside, **options),
                )

    def finish(self, rows, parquet, tracked):
        """What is written once all is answered: tables as Parquet and, for the tasks of `tracked`,
        one of tracks."""
        from safbage.runtime.files import write_whole

        tables = {"faces": typed(rows, self.names)}
        if tracked:
            tables["tracks"] = tracks = per_track_table(rows, self.names, tracked)
            write_whole(self.folder / "tracks.csv", lambda path: tracks.to_csv(path, index=False))
            self.written.append("tracks.csv")
        for name, each in tables.items() if parquet else ():
            path = self.folder / f"{name}.parquet"
            write_whole(path, lambda aside, each=each: each.to_parquet(aside, index=False))
            self.written.append(path.name)
        self.note.unlink(missing_ok=True)

    def told(self):
        """What was written, for a sentence."""
        tables = ", ".join(["faces.csv", *self.written, "index.html to browse"])
        return f"{tables}, and figures/ with {self.figures} of the photos"


def _read_rows(path):
    """The rows of ``faces.csv`` with values of the kinds that they were written with."""
    with open(path, newline="", encoding="utf-8") as file:
        return [
            {name: _value(name, text, row) for name, text in row.items()}
            for row in csv.DictReader(file)
        ]


def _value(name, text, row):
    if text == "":
        return "" if name == "quality" and row["face"] else None
    return kind_of(name)(text)


def per_track_table(rows, names, tasks):
    from safbage import tracks

    return tracks.per_track(typed(rows, names), tasks, probabilities=True).round(4)


def typed(rows, names):
    """Rows as a DataFrame whose columns have one type each."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=names, dtype=object)
    kinds = {name: kind_of(name) for name in names}
    pandas_kinds = {int: "Int64", float: "float64", str: "object"}
    for name, kind in kinds.items():
        values = pd.to_numeric(table[name]) if kind is not str else table[name]
        table[name] = values.astype(pandas_kinds[kind])
    return table


def kind_of(name):
    """The type of a column's values."""
    if name in ("face", "frame", "track"):
        return int
    return str if name in ("photo", "status", "quality", *CLASSES) else float
