"""``safbage train`` and ``safbage evaluate``: the paper's fine-tunings and experiments on prepared faces."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from safbage.cli.base import app, fail, refuse_to_overwrite, say, stdout

PAPERS_ARM = "alexnet, ratio 30 %"
"""The arm that the paper's confusion matrices are of."""

Folder = Annotated[Path, typer.Argument(help="Prepared faces: the folder that `safbage prepare` filled.")]
Task = Annotated[str, typer.Option(help="age, gender or expression.")]
Epochs = Annotated[int | None, typer.Option(help="By default the recipe's: 30, for expression 40.", show_default=False)]
Rate = Annotated[float | None, typer.Option(help="Learning rate; by default the recipe's 0.001.", show_default=False)]
Batch = Annotated[int | None, typer.Option(help="Images per step; by default the recipe's 128.", show_default=False)]
Limit = Annotated[int | None, typer.Option(min=1, help="Only so many faces, drawn at random.")]
Seed = Annotated[int, typer.Option(help="Of initial weights, dropout and order.")]
Imagenet = Annotated[bool, typer.Option("--imagenet/--from-scratch", help="Start from what ImageNet weights are at hand.")]
Cache = Annotated[
    Path | None,
    typer.Option(help="Folder for the frozen layers' features; by default features/ in PREPARED.", show_default=False),
]
Precision = Annotated[str, typer.Option(help="mixed_bfloat16 or mixed_float16 where the hardware has it.")]


@app.command()
def train(
    prepared: Folder,
    task: Task,
    work: Annotated[Path, typer.Option(help="Folder for checkpoints and the result; resumed if it exists.")],
    network: Annotated[
        str, typer.Option(help="alexnet, alexnet-caffe, alexnet-gap, gilnet, vgg16, resnet50, densenet121, efficientnet-lite2.")
    ] = "alexnet",
    ratio: Annotated[float, typer.Option(help="Of the reweighting, 0 (without saliency) to 1.")] = 0.3,
    fold: Annotated[int | None, typer.Option(help="Test this fold; without it the table's split is used.")] = None,
    epochs: Epochs = None,
    rate: Rate = None,
    batch: Batch = None,
    limit: Limit = None,
    seed: Seed = 0,
    imagenet: Imagenet = True,
    cache: Cache = None,
    precision: Precision = "float32",
):
    """Fine-tune a network by the paper's recipe.

    Then it answers the faces it did not see. Ctrl-C or a kill loses at most the epoch in flight: the same command goes on.
    """
    from safbage.datasets.shards import Prepared
    from safbage.runtime.backend import keras
    from safbage.training import fine_tune

    try:
        keras.config.set_dtype_policy(precision)
        result = fine_tune(
            Prepared(prepared),
            task,
            work=work,
            network=network,
            ratio=ratio,
            recipe=_recipe(task, epochs, rate, batch),
            fold=fold,
            limit=limit,
            seed=seed,
            imagenet=imagenet,
            cache=cache or True,
        )
    except ValueError as error:
        raise fail(str(error), 2) from error
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on after the last whole epoch in {work}")
        raise typer.Exit(130) from None
    found = result.metrics
    say(f"accuracy {found['accuracy']:.1%}, mean recall {found['mean_recall']:.1%} on {found['faces']:,} unseen faces")
    print(work)


@app.command()
def evaluate(
    prepared: Folder,
    task: Task,
    work: Annotated[Path | None, typer.Option(help="Folder for the trainings; resumed if it exists.")] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="Repeat it for several; by default alexnet, or all that ship.")
    ] = None,
    ratio: Annotated[list[float] | None, typer.Option(help="Repeat it for several; 0 and 0.3 by default.")] = None,
    folds: Annotated[int, typer.Option(min=0, help="How many to test; 0 trains once, by the table's split.")] = 5,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="Train nothing: measure the classifiers that safbage ships.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Write everything measured there, as JSON.")] = None,
    epochs: Epochs = None,
    rate: Rate = None,
    batch: Batch = None,
    limit: Limit = None,
    seed: Seed = 0,
    imagenet: Imagenet = True,
    cache: Cache = None,
    precision: Precision = "float32",
):
    """Cross-validate with and without saliency.

    The paper's tables are printed beside ours, with paired tests. Ctrl-C or a kill loses at most the epoch in flight: the
    same command goes on, and trains nothing twice.
    """
    from safbage import classifiers, experiments
    from safbage.datasets.shards import Prepared
    from safbage.runtime import weights
    from safbage.runtime.backend import keras

    if not shipped and work is None:
        raise fail("say where the trainings may lie: --work FOLDER (or --shipped to train nothing)", 2)
    if output is not None:
        refuse_to_overwrite(output, '{\n "task": ')
    try:
        faces = Prepared(prepared)
        provenance = {"data": prepared.resolve().name, "faces": len(faces), "limit": limit, "shipped": shipped}
        provenance |= {"prepared": faces.provenance}
        if shipped:
            answered = partial(experiments.answer_as_shipped, faces, (task,), limit=limit)
            provenance |= {"weights": weights.shipped_hashes()}
            arms = {
                experiments.Arm(f"shipped {name}", experiments.WITH): answered(network=name)[task]
                for name in network or classifiers.SHIPPED
            }
        else:
            keras.config.set_dtype_policy(precision)
            recipe = _recipe(task, epochs, rate, batch)
            chosen = dict(
                networks=tuple(network or ("alexnet",)),
                ratios=tuple(ratio or (experiments.WITHOUT, experiments.WITH)),
                folds=range(folds) if folds else None,
                recipe=recipe,
                limit=limit,
                seed=seed,
                imagenet=imagenet,
            )
            provenance |= chosen | {"precision": precision, "folds": folds}
            arms = experiments.cross_validate(faces, task, work=work, cache=cache or True, **chosen)
        report = experiments.compare(arms, task)
        if shipped:
            first, *others = arms
            report["verdict"] += [
                experiments.beside(arms[first], arms[other], names=(first.network, other.network)) for other in others
            ]
        provenance |= {"faces_answered": {str(arm): len(table) for arm, table in arms.items()}}
    except ValueError as error:
        raise fail(str(error), 2) from error
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on where it was, in {work}")
        raise typer.Exit(130) from None
    show(report)
    if output is not None:
        experiments.save(report, output, provenance)
        print(output)


@app.command()
def results(
    files: Annotated[list[Path], typer.Argument(help="What `safbage evaluate --output` wrote.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="As the README shows them.")] = False,
    headline: Annotated[
        bool, typer.Option("--headline", help="Those of one arm with saliency in one table, a row each.")
    ] = False,
):
    """Print results that were measured before, as tables."""
    import json

    from safbage import experiments

    reports = []
    for path in files:
        try:
            report = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(report, dict) or not {"task", "arms", "verdict"} <= set(report):
                raise ValueError("it lacks task, arms or verdict")
            experiments.markdown(report)  # whether all that is shown of it is there
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise fail(f"{path} holds no results of `safbage evaluate --output` ({error})", 2) from error
        reports.append(report)
    if headline:
        print(experiments.headline(report for report in reports if len(report["tests"]) == 1))
    for report in () if headline else reports:
        if markdown:
            print(experiments.markdown(report))
        else:
            show(report)


def _recipe(task, epochs, rate, batch):
    """The paper's recipe for a task with what was given instead."""
    from safbage.training import RECIPES

    if task not in RECIPES:
        raise ValueError(f"task is one of {', '.join(RECIPES)}; got {task!r}")
    given = {"epochs": epochs, "rate": rate, "batch": batch}
    return replace(RECIPES[task], **{name: value for name, value in given.items() if value is not None})


def show(report: dict) -> None:
    """Print a report: arms beside the paper's, confusions beside its known cells, groups, verdicts."""
    from safbage import experiments, paper

    task, console = report["task"], stdout()
    console.print(f"\n{task}, % ± standard error over folds, beside what the paper reports on {_dataset(task)}", soft_wrap=True)
    table = Table()
    for name in ("arm", "accuracy", "mean recall", "paper"):
        table.add_column(name, justify="left" if name == "arm" else "right")
    for row in experiments.with_paper(report).to_dict("records"):
        cells = [experiments.plus_minus(row.get(name), row.get(f"± {name}")) for name in ("accuracy", "mean_recall", "paper")]
        table.add_row(row["arm"], *cells)
    console.print(table)
    for line in experiments.notes(report):
        console.print(line, soft_wrap=True)
    for name, arm in report["arms"].items():
        published = {"age": 4, "expression": 5}.get(task)
        known = published and name == PAPERS_ARM and paper.CELLS[published]
        beside = f"; in brackets Table {published}'s cells, where known" if known else ""
        console.print(f"\n{name}: % of each row's faces{beside}", soft_wrap=True)
        console.print(confusion_table(task, arm["confusion"], published if beside else None))
    for name, arm in report["arms"].items():
        for groups in (("race",), ("gender",), ("age_group",), ("race", "gender")):
            rows, of = arm.get(f"by_{'_and_'.join(groups)}"), " and ".join(groups).replace("_", " ")
            if rows:
                few = "; * few faces" if any(row["few"] for row in rows) else ""
                console.print(f"\n{name}: accuracy by {of}, % [95 % interval]{few}", soft_wrap=True)
                console.print(group_table(groups, rows))
    for line in report["verdict"]:
        console.print(line, soft_wrap=True)


def _dataset(task):
    return "AffectNet" if task == "expression" else "Adience"


def confusion_table(task, counts, published=None):
    """Row percentages; where the cell of the paper's table of that number is known, it stands beside in brackets."""
    import pandas as pd

    from safbage import evaluation, paper
    from safbage.tasks import CLASSES

    names = list(CLASSES[task])
    shares = evaluation.percent(pd.DataFrame(counts, index=names, columns=names))
    cells = paper.confusion(published) if published else None
    table = Table()
    for column in ("label", *names):
        table.add_column(column, justify="left" if column == "label" else "right")
    for label in names:
        row = []
        for answer in names:
            known = cells is not None and cells.loc[label, answer] == cells.loc[label, answer]
            row.append(f"{shares.loc[label, answer]:.1f}" + (f" ({cells.loc[label, answer]:.1f})" if known else ""))
        table.add_row(label, *row)
    return table


def group_table(groups, rows):
    """Accuracy by group, with Wilson's interval; groups of few faces have a star."""
    table = Table()
    for name in ("", "faces", "accuracy"):
        table.add_column(name, justify="left" if not name else "right")
    for row in rows:
        low, value, high = (100 * row[name] for name in ("low", "accuracy", "high"))
        faces = f"{row['faces']:,}" + ("*" if row["few"] else "")
        table.add_row(", ".join(row[group] for group in groups), faces, f"{value:.1f} [{low:.1f}, {high:.1f}]")
    return table
