"""``safbage train``, ``evaluate`` and ``results``: the paper's experiments on prepared faces."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import Precision, app, fail, refuse_to_overwrite, say, stdout, stoppable
from safbage.tasks import NETWORKS, RATIO, SHIPPED

Folder = Annotated[
    Path, typer.Argument(help="Prepared faces: the folder that `safbage prepare` filled.")
]
Task = Annotated[str, typer.Option(help="age, gender or expression.")]
Epochs = Annotated[
    int | None,
    typer.Option(help="By default the recipe's: 30, for expression 40.", show_default=False),
]
Rate = Annotated[
    float | None,
    typer.Option(help="Learning rate; by default the recipe's 0.001.", show_default=False),
]
Batch = Annotated[
    int | None,
    typer.Option(help="Images per step; by default the recipe's 128.", show_default=False),
]
Limit = Annotated[int | None, typer.Option(min=1, help="At most this many faces, drawn at random.")]
Seed = Annotated[int, typer.Option(help="Seed of initial weights, dropout and order.")]
Imagenet = Annotated[
    bool,
    typer.Option("--imagenet/--from-scratch", help="Start from what ImageNet weights are at hand."),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder for the frozen layers' features; by default features/ in PREPARED.",
        show_default=False,
    ),
]


@app.command()
def train(
    prepared: Folder,
    task: Task,
    work: Annotated[
        Path, typer.Option(help="Folder for checkpoints and the result; resumed if it exists.")
    ],
    network: Annotated[
        str,
        typer.Option(help=f"{', '.join(NETWORKS)}."),
    ] = "alexnet",
    ratio: Annotated[
        float, typer.Option(help="Ratio of the reweighting, 0 (without saliency) to 1.")
    ] = RATIO,
    fold: Annotated[
        int | None, typer.Option(help="Test this fold; without it the table's split is used.")
    ] = None,
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

    Then it answers the faces it did not see. Ctrl-C or a kill loses at most the epoch in flight:
    the same command goes on.
    """
    from safbage.datasets.shards import Prepared
    from safbage.runtime import backend
    from safbage.training import fine_tune

    with stoppable(f"after the last whole epoch in {work}"), backend.precision(precision):
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
    found = result.metrics
    reached = f"accuracy {found['accuracy']:.1%}, mean recall {found['mean_recall']:.1%}"
    say(f"{reached} on {found['faces']:,} unseen faces")
    print(work)


@app.command()
def evaluate(
    prepared: Folder,
    task: Task,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the trainings; resumed if it exists.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(help="Repeat it for several; by default alexnet, or all that ship."),
    ] = None,
    ratio: Annotated[
        list[float] | None, typer.Option(help="Repeat it for several; 0 and 0.3 by default.")
    ] = None,
    folds: Annotated[
        int,
        typer.Option(min=0, help="How many folds to test; 0 trains once, by the table's split."),
    ] = 5,
    shipped: Annotated[
        bool,
        typer.Option(
            "--shipped", help="Train nothing; measure the classifiers that ship with safbage."
        ),
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write everything measured there, as JSON.")
    ] = None,
    epochs: Epochs = None,
    rate: Rate = None,
    batch: Batch = None,
    limit: Limit = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            min=0,
            help="Of weights and order, 0 by default. Repeat it: then the intervals also hold "
            "the chance in trainings.",
        ),
    ] = None,
    imagenet: Imagenet = True,
    cache: Cache = None,
    precision: Precision = "float32",
):
    """Cross-validate with and without saliency.

    The paper's tables are printed beside ours, with paired tests. Ctrl-C or a kill loses at most
    the epoch in flight: the same command goes on, and trains nothing twice.
    """
    from safbage import experiments
    from safbage.datasets.shards import Prepared
    from safbage.show import console, words

    if not shipped and work is None:
        raise fail(
            "say where the trainings may lie: --work FOLDER (or --shipped to train nothing)", 2
        )
    if output is not None:
        refuse_to_overwrite(output, '{\n "task": ')
    with stoppable(f"where it was, in {work}"):
        faces = Prepared(prepared)
        made = {"data": prepared.resolve().name, "faces": len(faces), "prepared": faces.provenance}
        made |= {"limit": limit, "shipped": shipped}
        if shipped:
            comparison, more = _compare_shipped(faces, task, network, limit)
        else:
            options = dict(
                networks=tuple(network or ("alexnet",)),
                ratios=tuple(ratio or (experiments.NO_SALIENCY, RATIO)),
                folds=range(folds) if folds else None,
                recipe=_recipe(task, epochs, rate, batch),
                limit=limit,
                seeds=tuple(seed or (0,)),
                imagenet=imagenet,
            )
            more = options | {"precision": precision, "folds": folds}
            comparison = _compare_trained(
                faces, task, precision, work=work, cache=cache or True, **options
            )
    made |= more | {"faces_answered": {str(result.arm): result.faces for result in comparison.arms}}
    console.show(comparison, stdout())
    if output is not None:
        experiments.save(comparison, output, made, verdict=words.verdicts(comparison))
        print(output)


def _compare_shipped(faces, task, networks, limit):
    """The classifiers that ship, each beside the first; and which weights they are."""
    from safbage import experiments
    from safbage.runtime import weights

    runs = {}
    for name in networks or SHIPPED:
        answers = experiments.answer_as_shipped(faces, (task,), network=name, limit=limit)
        runs[experiments.Arm(f"shipped {name}", RATIO)] = experiments.Run(answers[task])
    comparison = experiments.compare(runs, task)
    networks = experiments.compare_networks(runs)
    return replace(comparison, networks=networks), {"weights": weights.shipped_hashes()}


def _compare_trained(faces, task, precision, **options):
    from safbage import experiments
    from safbage.runtime import backend

    with backend.precision(precision):
        runs = experiments.cross_validate(faces, task, **options)
        comparison = experiments.compare(runs, task)
    return replace(comparison, claims=experiments.claims.measure(runs, comparison))


@app.command()
def results(
    files: Annotated[list[Path], typer.Argument(help="What `safbage evaluate --output` wrote.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="As in docs/results.md.")] = False,
    headline: Annotated[
        bool,
        typer.Option(
            "--headline", help="One table for results with one saliency arm, a row for each."
        ),
    ] = False,
):
    """Print results that were measured before, as tables."""
    from safbage import experiments
    from safbage.show import console
    from safbage.show import markdown as as_markdown

    comparisons = []
    for path in files:
        try:
            comparison = experiments.load(path)
            as_markdown.comparison(comparison)  # whether all that is shown of it is there
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise fail(
                f"{path} holds no results of `safbage evaluate --output` ({error})", 2
            ) from error
        comparisons.append(comparison)
    if headline:
        print(as_markdown.headline(found for found in comparisons if len(found.tests) == 1))
        return
    for comparison in comparisons:
        if markdown:
            print(as_markdown.comparison(comparison))
        else:
            console.show(comparison, stdout())


def _recipe(task, epochs, rate, batch):
    """The paper's recipe for a task with what was given instead."""
    from safbage.training import RECIPES

    if task not in RECIPES:
        raise ValueError(f"task is one of {', '.join(RECIPES)}; got {task!r}")
    given = {"epochs": epochs, "rate": rate, "batch": batch}
    return replace(
        RECIPES[task], **{name: value for name, value in given.items() if value is not None}
    )
