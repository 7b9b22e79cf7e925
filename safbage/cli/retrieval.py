"""``safbage evaluate-retrieval``: does saliency help to find a face again?"""

from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import MlNet, Workers, app, refuse_to_overwrite, say, stoppable

BEGINNING = '{\n "faces": '
"""How every result begins."""


@app.command("evaluate-retrieval")
def evaluate_retrieval(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A folder of pictures per person; with LFW's pairs.txt or pairs.csv, also pairs."
        ),
    ],
    output: Annotated[
        Path, typer.Option(help="Folder for faces, embeddings and retrieval.json; resumed.")
    ],
    pairs: Annotated[Path | None, typer.Option(help="A list of pairs that lies elsewhere.")] = None,
    trunk: Annotated[
        list[str] | None,
        typer.Option(
            help="face-mobilenet, alexnet or efficientnet-lite2; repeat it. By default all."
        ),
    ] = None,
    ratio: Annotated[
        list[float] | None,
        typer.Option(help="Of the arms with saliency; repeat it. By default 0.1 to 0.9."),
    ] = None,
    clip: Annotated[
        list[float] | None,
        typer.Option(
            help="Saliency below which an arm's pixels are black; repeat it. By default 0.3, "
            "or none where ratios are given."
        ),
    ] = None,
    fewest: Annotated[
        int, typer.Option(min=2, help="Pictures that a person has at least who is looked for.")
    ] = 5,
    saliency: MlNet = "light",
    workers: Workers = 1,
):
    """Find faces again, and measure how well.

    Each arm is one way of seeing them: without saliency, or reweighted by it.

    Within that folder alone: nothing is kept that would find its people elsewhere. Ctrl-C or a kill
    loses at most the batch in flight: the same command goes on.
    """  # fmt: skip
    path = output / "retrieval.json"
    refuse_to_overwrite(path, BEGINNING)
    from safbage import retrieval
    from safbage.retrieval import study
    from safbage.show import retrieval as shown

    with stoppable(f"where it was, in {output}"):
        compared = retrieval.arms(
            trunk or tuple(retrieval.TRUNKS),
            ratio or study.RATIOS,
            clip or (() if ratio else study.CLIPS),
        )
        result = retrieval.evaluate(
            folder,
            output,
            pairs=pairs,
            compared=compared,
            saliency=saliency,
            fewest=fewest,
            workers=workers,
        )
        verdict = shown.verdicts(result)
        retrieval.save(result, path, verdict=verdict)
    say(shown.counts(result))
    print(shown.table(result))
    for line in verdict:
        say(line)
    print(path)
