"""``safbage predict``: photos in, a row per face out."""

import csv
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from safbage.cli.base import Network, Shipped, app, chosen_tasks, fail, save_figure, say, stdout


@app.command()
def predict(
    photos: Annotated[list[str], typer.Argument(help="Photos, or folders of photos (every file in them and below).")],
    output: Annotated[Path | None, typer.Option(help="Folder for faces.csv and, under figures/, a figure per photo.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    ratio: Annotated[
        float, typer.Option(help="How strongly saliency reweights the face, 0 to 1; the networks learnt at 0.3.")
    ] = 0.3,
    tasks: Annotated[str, typer.Option(help="What to answer, separated by commas.")] = "age,gender,expression",
    network: Network = Shipped.ALEXNET_GAP,
    saliency: Annotated[str, typer.Option(help="mlnet, light (many times faster), or a file of ML-Net weights.")] = "mlnet",
    probabilities: Annotated[bool, typer.Option(help="Add a column per class.")] = False,
    crops: Annotated[bool, typer.Option(help="Also store the cropped faces (with --output).")] = False,
):
    """Answer photos: a row per face.

    A photo that has no face, or failed, gets a row that says so. On a terminal a table is printed, into a pipe CSV. Ctrl-C
    keeps what is answered. Exit status: 0, or 1 where not one photo could be read.
    """
    from safbage.pipeline import SafBage, columns, list_photos

    if crops and not output:
        raise fail("--crops needs --output DIR, the folder to store them in", 2)
    if "" in photos:
        raise fail("a photo's path is empty", 2)
    chosen = chosen_tasks(tasks)
    try:
        listed = [path for _, path in list_photos(photos) if not (output and _is_result(path, output))]
        model = SafBage.load(tasks=chosen, ratio=ratio, network=network.value, saliency=saliency)
    except (ValueError, FileNotFoundError) as error:
        raise fail(str(error), 2) from error
    if not listed:
        raise fail("no photos: there is nothing but results of an earlier run")
    names = columns(model.tasks, probabilities=probabilities)
    folder = _ResultFolder(output, names, crops) if output else None
    rows, code = [], 0
    try:
        for batch in model.explain_batches(listed, keep_images=output is not None):
            answered = [[_rounded(row) for row in seen.rows(probabilities=probabilities)] for seen in batch]
            rows += [row for of_photo in answered for row in of_photo]
            if folder:
                folder.add(batch, answered)
            for seen in batch:
                if seen.status.startswith("failed"):
                    say(f"{seen.photo}: {seen.status}")
    except KeyboardInterrupt:
        code = 130
        say(f"stopped; {len({row['photo'] for row in rows})} photos are answered")
    except OSError as error:
        code = 1
        say(f"safbage: {error}; the answers so far are printed")
    _print_rows(rows, names, as_json)
    if output:
        say(f"written to {output}: faces.csv, and figures/ with {folder.figures} of the photos")
    if not code and all(row["status"].startswith("failed") for row in rows):
        raise fail("not one of the photos could be read")
    raise typer.Exit(code)


def _rounded(row):
    """The row for reading: pixels to one digit, probabilities to four."""
    return {k: round(v, 1 if k.startswith("box_") else 4) if isinstance(v, float) else v for k, v in row.items()}


MARK = ".made-by-safbage"


def _is_result(path, output):
    """Whether a file is one that this command wrote: an output folder among the photos is not answered itself."""
    path, output = path.resolve(), output.resolve()
    made = [output / name for name in ("figures", "crops") if (output / name / MARK).exists()]
    return path == output / "faces.csv" or any(path.is_relative_to(folder) for folder in made)


class _ResultFolder:
    """``faces.csv``, written batch by batch, and a figure per photo with a face under ``figures``."""

    def __init__(self, folder, names, crops):
        self.folder, self.names, self.crops, self.figures, self.used = folder, names, crops, 0, set()
        self.begun = False
        for name in ("figures", "crops") if crops else ("figures",):
            (folder / name).mkdir(parents=True, exist_ok=True)
            if any((folder / name).iterdir()) and not (folder / name / MARK).exists():
                raise fail(f"{folder / name} holds files of yours, which might be overwritten; choose another --output", 2)
            (folder / name / MARK).touch()

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
        with open(self.folder / "faces.csv", "a" if self.begun else "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.names)
            if not self.begun:
                writer.writeheader()
            writer.writerows(rows)
        self.begun = True

    def _draw(self, seen):
        from safbage import images

        stem = self._free(Path(seen.photo).stem[:100])
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
        print(json.dumps([{name: row.get(name) for name in names} for row in rows], indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        short = [name for name in names if not name.startswith("box_") and not name.endswith("_p") and "[" not in name]
        if all(row["status"] == "ok" for row in rows):
            short.remove("status")
        table = Table(*(Column(name, overflow="fold") for name in short))
        for row in rows:
            table.add_row(*(_cell(row, name) for name in short))
        stdout().print(table)
    else:
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _cell(row, name):
    value = row.get(name)
    if value is None:
        return ""
    sure = f" ({row[f'{name}_p']:.0%})" if f"{name}_p" in row else ""
    return (f"{value:.3f}" if isinstance(value, float) else str(value)) + sure
