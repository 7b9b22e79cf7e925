"""``safbage prepare``: turn a data set's pictures into shards of cropped faces with saliency."""

from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import MlNet, Precision, Scheduler, Workers, app, say, stoppable
from safbage.tasks import MARGIN


@app.command()
def prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="A data set's name (see `safbage data list`), synthetic, "
            "or a .csv or .parquet table."
        ),
    ],
    output: Annotated[
        Path, typer.Argument(help="Folder for shards/ and failed.parquet; resumed if it exists.")
    ],
    data_dir: Annotated[
        Path | None,
        typer.Option(help="The data set's folder, or the one that holds it (else SAFBAGE_DATA)."),
    ] = None,
    detect: Annotated[
        str, typer.Option(help="mtcnn, box (the table's own) or none (the whole picture).")
    ] = "mtcnn",
    without_face: Annotated[
        str, typer.Option(help="fail, or whole: take the whole picture where no face is found.")
    ] = "fail",
    min_face: Annotated[
        float, typer.Option(help="Smallest face looked for, as a share of the shorter side.")
    ] = 0.2,
    margin: Annotated[
        float, typer.Option(help="How much wider than the box the crop is.")
    ] = MARGIN,
    saliency: MlNet = "mlnet",
    precision: Precision = "float32",
    image_format: Annotated[str, typer.Option(help="jpeg or png.")] = "jpeg",
    shard_size: Annotated[int, typer.Option(help="Pictures per shard.")] = 128,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="At most this many pictures, drawn at random (seed 0)."),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try shards with failures again.")
    ] = False,
    workers: Workers = 1,
    scheduler: Scheduler = None,
):
    """Detect, crop and map every face of a data set once.

    All later trainings use what it leaves. Ctrl-C or a kill loses at most the shards in flight: the
    same command goes on.
    """
    from safbage.datasets import list_source, sample
    from safbage.datasets.preparation import Preparation
    from safbage.datasets.preparation import prepare as prepare_faces

    with stoppable(f"with the shards that are missing in {output}"):
        options = Preparation(
            detect=detect,
            without_face=without_face,
            min_face=min_face,
            margin=margin,
            saliency=saliency,
            precision=precision,
            image_format=image_format,
            shard_size=shard_size,
        )
        listing = list_source(source, output, limit=limit, data_dir=data_dir)
        say(listing.report())
        prepared = prepare_faces(
            sample(listing.faces, limit),
            output,
            options,
            workers=workers,
            scheduler=scheduler,
            retry_failed=retry_failed,
        )
    for reason, count in prepared.failed.reason.str.split(":").str[0].value_counts().items():
        say(f"{count:,} without a face: {reason}")
    say(f"{len(prepared):,} faces in {output / 'shards'}")
    print(output)
