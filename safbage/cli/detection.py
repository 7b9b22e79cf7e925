"""``safbage evaluate-detection``: how well MTCNN finds annotated faces."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from safbage.cli.base import (
    AsJson,
    app,
    draw_into_files,
    fail,
    refuse_to_overwrite,
    say,
    stdout,
    stoppable,
)


@app.command("evaluate-detection")
def evaluate_detection(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Photos, laid out as EyeCrowd (stimuli/ and face_boxes.csv), WIDER FACE, FDDB, "
            "or any folder with boxes.csv (image, left, top, width, height)."
        ),
    ],
    work: Annotated[
        Path, typer.Option(help="Folder for what was found in each photo; resumed if it exists.")
    ],
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="The boxes, if they lie elsewhere: a CSV, wider_face_…_bbx_gt.txt, or FDDB's "
            "ellipseList.txt or folder of these."
        ),
    ] = None,
    min_face: Annotated[
        float, typer.Option(help="Side of the smallest face to look for, in pixels.")
    ] = 20,
    thresholds: Annotated[
        tuple[float, float, float],
        typer.Option(help="Of the three networks. A low last one shows the whole curve."),
    ] = (0.6, 0.7, 0.3),
    scale_factor: Annotated[
        float, typer.Option(help="Ratio between the levels of the image pyramid.")
    ] = 0.709,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help="Other settings to measure: 'all thresholds lower', 'smallest face 12 px', "
            "'smallest face 40 px', 'pyramid 0.5', or all. Repeat it for several."
        ),
    ] = None,
    saliency: Annotated[
        str | None,
        typer.Option(help="Does saliency help? mlnet, light, or a file of ML-Net weights."),
    ] = None,
    windows: Annotated[
        int,
        typer.Option(
            min=0,
            help="With --saliency: in so many photos, windows around salient peaks are searched.",
        ),
    ] = 0,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FILE: what another detector found, a CSV with photo, left, top, width, "
            "height, score. Repeat it for several."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many photos, spread evenly.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write everything measured there, as JSON.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw precision over recall into this PNG or PDF.")
    ] = None,
    repetitions: Annotated[
        int, typer.Option(min=100, help="Draws of photos for the intervals.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of these draws.")] = 0,
    as_json: AsJson = False,
):
    """Measure how well faces are found.

    Average precision, its curve, recall by size and by the groups that the set tells, with
    intervals from drawing photos again. Ctrl-C or a kill loses at most the photo in flight: the
    same command goes on.
    """
    from safbage.datasets import boxes as readers
    from safbage.experiments import detection, searching
    from safbage.show import detection as words

    if output:
        refuse_to_overwrite(output, f'{{\n "kind": "{detection.KIND}"')
    with stoppable(f"after the last whole photo in {work}"):
        annotated = readers.read(folder, boxes).first(limit)
        _say_what_was_dropped(annotated)
        others = {
            name: searching.read_found(file, annotated) for name, file in _named(beside or [])
        }
        result = detection.measure(
            annotated,
            work,
            how=searching.Search(min_face, thresholds, scale_factor),
            arms=[*detection.ARMS] if arm == ["all"] else arm or (),
            saliency=saliency,
            windows=windows,
            others=others,
            repetitions=repetitions,
            seed=seed,
        )
    for name, why in result["data"]["failed"].items():
        say(f"left out: {name}: {why}")
    if as_json:
        print(json.dumps(result, indent=2, allow_nan=False))
    else:
        _print(result)
    if figure:
        _draw(result, figure)
    if output:
        detection.save(result, output, command=_command(), verdict=words.verdicts(result))
        say(f"written to {output}")


def _named(texts):
    """(name, file) of each NAME=FILE."""
    from safbage.experiments import detection

    taken = [detection.BASE, *detection.ARMS]
    for text in texts:
        name, equals, file = text.partition("=")
        if not (name and equals and file) or name in taken:
            raise fail(
                f"--beside takes NAME=FILE, each name once, and none of {', '.join(taken)}; "
                f"got {text!r}",
                2,
            )
        taken.append(name)
        yield name, file


def _say_what_was_dropped(annotated, shown=5):
    rows = annotated.dropped.to_dict("records")
    for row in rows[:shown]:
        say(f"left out: {row['photo']}, {row['where']}: {row['reason']}")
    if len(rows) > shown:
        say(f"left out: {len(rows) - shown:,} more; --output names them all")


def _print(result):
    from safbage.show import detection as words

    console, data = stdout(), result["data"]
    console.print(
        f"{data['photos']:,} photos, {data['faces']:,} faces, of which {data['counted']:,} count"
    )
    console.print(_table(words.HEAD, words.arms(result)))
    console.print(_table(words.THRESHOLD_HEAD, words.thresholds(result)))
    console.print(_table(words.RECALL_HEAD, words.recalls(result)))
    for line in words.verdicts(result):
        console.print(line, soft_wrap=True)


def _table(head, rows):
    table = Table()
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _draw(result, path):
    draw_into_files()
    import matplotlib.pyplot as plt

    from safbage.show import plots

    drawn = plots.detectors(result)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(path, dpi=110)
    plt.close(drawn)
    say(f"drawn into {path}")


def _command():
    """The command as it was given, paths by their last part."""
    words = [word.rpartition("=") for word in sys.argv]
    return " ".join(f"{name}{equals}{Path(value).name}" for name, equals, value in words)
