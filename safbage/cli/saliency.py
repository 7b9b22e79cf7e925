"""``safbage train-saliency`` and ``safbage evaluate-saliency``: ML-Net on recorded fixations."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from safbage.cli.base import (
    AsJson,
    Precision,
    app,
    fail,
    refuse_to_overwrite,
    say,
    stdout,
    stoppable,
    wrong_arguments,
)

Folders = Annotated[
    list[Path],
    typer.Argument(
        help="Scenes with fixations: stimuli/ with fixations.csv (OSIE, EyeCrowd) or a "
        "fixations.mat (MIT1003, Scene), or images/ with maps/ (SALICON)."
    ),
]
Fixations = Annotated[
    Path | None,
    typer.Option(
        help="A CSV with image, subject, x, y; FOLDERS is then one folder of images alone."
    ),
]
Sigma = Annotated[float, typer.Option(help="Gaussian of a fixation, in degrees of visual angle.")]
PixelsPerDegree = Annotated[
    float | None,
    typer.Option(
        help="By default 3 % of the width. With 1, --sigma counts pixels.", show_default=False
    ),
]
Split = Annotated[str, typer.Option(help="SALICON's train or val.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most this many scenes of each folder.")]
Share = Annotated[
    float, typer.Option(help="Share of each folder's scenes that training leaves for evaluation.")
]
Seed = Annotated[
    int, typer.Option(help="Seed of everything random, including the draw of --hold-back.")
]


@app.command("train-saliency")
def train_saliency(
    folders: Folders,
    work: Annotated[
        Path,
        typer.Option(
            help="Folder for frozen features, checkpoints and the result; resumed if it exists."
        ),
    ],
    recipe: Annotated[
        str, typer.Option(help="paper (whole network at 480×640, for a GPU) or shipped (conv4 up).")
    ] = "paper",
    train: Annotated[
        str | None,
        typer.Option(help="What is trained: head, conv5, conv4 or all. The rest is frozen."),
    ] = None,
    size: Annotated[
        tuple[int, int] | None, typer.Option(help="Height and width of the scenes.")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="mlnet (published) or kl-cc.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="sgd (published) or adam.")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate at the start.")] = None,
    decay: Annotated[str | None, typer.Option(help="time (published) or cosine.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most this many.")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better CC before it stops.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Scenes per step.")] = None,
    mirror: Annotated[
        bool | None, typer.Option("--mirror/--no-mirror", help="Mirror half of the scenes.")
    ] = None,
    scale: Annotated[
        list[float] | None,
        typer.Option(help="Show batches at these multiples of the size (repeat it).", min=0.25),
    ] = None,
    fixations: Fixations = None,
    sigma: Sigma = 1.0,
    pixels_per_degree: PixelsPerDegree = None,
    salicon_split: Split = "val",
    hold_back: Share = 0.2,
    limit: Limit = None,
    seed: Seed = 0,
    precision: Precision = "float32",
):
    """Train ML-Net on recorded fixations.

    It begins with ImageNet's VGG-16. Ctrl-C or a kill loses at most the epoch in flight: the same
    command goes on. Options left out are the recipe's.
    """
    from safbage.runtime import backend
    from safbage.saliency import training

    if recipe not in training.RECIPES:
        raise fail(f"no recipe {recipe!r}; there are {', '.join(training.RECIPES)}", 2)
    given = dict(train=train, size=size, loss=loss, optimizer=optimizer, rate=rate, decay=decay)
    given |= dict(epochs=epochs, patience=patience, batch=batch, mirror=mirror)
    given |= dict(scales=tuple(scale) if scale else None)
    with stoppable(f"after the last whole epoch in {work}"):
        chosen = replace(
            training.RECIPES[recipe], **{k: v for k, v in given.items() if v is not None}
        )
        how = dict(table=fixations, sigma=sigma, pixels_per_degree=pixels_per_degree)
        split = _read(folders, salicon_split, hold_back, seed, **how)
        scenes = [scene for rest, _ in split.values() for scene in rest[:limit]]
        settings = ", ".join(f"{name} {value}" for name, value in asdict(chosen).items())
        say(f"{len(scenes)} scenes; {settings}")
        with backend.precision(precision):
            path = training.train(scenes, work, chosen, seed=seed)
    say("Measure it: safbage evaluate-saliency FOLDERS --model " + str(path))
    print(path)


@app.command("evaluate-saliency")
def evaluate_saliency(
    folders: Folders,
    model: Annotated[
        str,
        typer.Option(help="mlnet, light, a .safetensors of train-saliency, or the authors' .pkl."),
    ] = "mlnet",
    fixations: Fixations = None,
    sigma: Sigma = 1.0,
    pixels_per_degree: PixelsPerDegree = None,
    salicon_split: Split = "val",
    hold_back: Share = 0.2,
    limit: Limit = None,
    viewers: Annotated[
        bool, typer.Option("--viewers/--no-viewers", help="Measure the viewers against each other.")
    ] = True,
    seed: Seed = 0,
    output: Annotated[
        Path | None, typer.Option(help="Also write the values of every scene to this CSV.")
    ] = None,
    as_json: AsJson = False,
):
    """Measure a saliency model on scenes it has not seen.

    Beside it stand a centre prior, a uniform map and other viewers. Which scenes it has seen, its
    file tells; where it does not, or has seen none of a folder, a share is held back.

    Mean ± standard error over scenes. Better is more, but for KL. IG is over the centre prior, in
    bits per fixation.
    """
    import pandas as pd

    from safbage import saliency
    from safbage.saliency import metrics

    if output:
        refuse_to_overwrite(output, "scene,model,")
        output.parent.mkdir(parents=True, exist_ok=True)
    trained = saliency.load(model)
    how = dict(table=fixations, sigma=sigma, pixels_per_degree=pixels_per_degree)
    with wrong_arguments(ValueError):
        split = _read(folders, salicon_split, hold_back, seed, seen=trained.seen, **how)
    tables, figures = [], {}
    for name, (rest, held_back) in split.items():
        predictors = {Path(model).name: lambda picture: saliency.predict(picture, trained)}
        table = metrics.evaluate(held_back[:limit], predictors, rest, viewers=viewers)
        tables.append(table.assign(data=name))
        summary = metrics.summarise(table)
        figures[name] = _as_dict(summary, table.scene.nunique())
        if not as_json:
            _print_summary(name, summary, table.scene.nunique())
    if as_json:
        print(json.dumps(figures, indent=2, allow_nan=False))
    if output:
        pd.concat(tables).to_csv(output, index=False)
        say(f"written to {output}")


def _read(folders, salicon_split, share, seed, *, seen=frozenset(), table=None, **options):
    """Folder to (the rest, those held back); held back are those not `seen`, where that is told."""
    from safbage import fixations

    if not 0 < share < 1:
        raise ValueError(f"--hold-back lies between 0 and 1; got {share}")
    if table and len(folders) != 1:
        raise ValueError("with --fixations, give one folder of images")
    read = {}
    for folder in folders:
        if table:
            found = fixations.read_table(folder, table, **options)
        else:
            found = fixations.read(folder, split=salicon_split, **options)
        rest, apart = [s for s in found if s.name in seen], [s for s in found if s.name not in seen]
        if not rest:
            rest, apart = fixations.hold_back(found, share, seed=seed)
        if not apart or not rest:
            raise ValueError(f"{folder} has {len(found)} scenes, too few to hold back {share:.0%}")
        read[str(folder)] = rest, apart
    return read


def _as_dict(summary, scenes):
    def values(row):
        figures = row.astype(object).where(row.notna(), None)  # JSON knows no NaN
        return {
            m: {"mean": figures[m, "mean"], "standard_error": figures[m, "error"]}
            for m in row.index.unique(0)
        }

    return {"scenes": scenes} | {model: values(row) for model, row in summary.iterrows()}


def _print_summary(name, summary, scenes):
    metrics = summary.columns.unique(0)
    table = Table("", *metrics, title=f"{name}: {scenes} scenes it has not seen")
    for model, row in summary.iterrows():
        cells = [f"{row[m, 'mean']:.3f} ± {row[m, 'error']:.3f}" for m in metrics]
        table.add_row(str(model), *cells)
    stdout().print(table)
