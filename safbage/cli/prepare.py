"""``safbage prepare``: a data set's pictures to shards of cropped faces with their saliency."""

from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import app, fail, say


@app.command()
def prepare(
    source: Annotated[
        str, typer.Argument(help="A data set's name (see `safbage data list`), synthetic, or a .csv or .parquet table.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder for shards/ and failed.parquet; resumed if it exists.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="The data set's folder, or the one it lies in (else SAFBAGE_DATA).")
    ] = None,
    detect: Annotated[str, typer.Option(help="mtcnn, box (the table's own) or none (the whole picture).")] = "mtcnn",
    without_face: Annotated[str, typer.Option(help="fail, or whole: take the whole picture where no face is found.")] = "fail",
    min_face: Annotated[float, typer.Option(help="Smallest face looked for, as a share of the shorter side.")] = 0.2,
    margin: Annotated[float, typer.Option(help="How much wider than the box the crop is.")] = 0.3,
    saliency: Annotated[str, typer.Option(help="mlnet, light, or a file of ML-Net weights.")] = "mlnet",
    precision: Annotated[str, typer.Option(help="mixed_bfloat16 is faster where the hardware has it.")] = "float32",
    image_format: Annotated[str, typer.Option(help="jpeg or png.")] = "jpeg",
    shard_size: Annotated[int, typer.Option(help="Pictures per shard.")] = 128,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many pictures, drawn at random (seed 0).")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Make shards with failures again.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler whose workers do it instead.")] = None,
):
    """Detect, crop and map every face of a data set once.

    All later trainings use what it leaves. Ctrl-C or a kill loses at most the shards in flight: the same command goes on.
    """
    from safbage.datasets import preparation

    try:
        options = preparation.Preparation(
            detect=detect,
            without_face=without_face,
            min_face=min_face,
            margin=margin,
            saliency=saliency,
            precision=precision,
            image_format=image_format,
            shard_size=shard_size,
        )
        listing = _read(source, output, data_dir, limit)
        say(listing.report())
        table = listing.faces if limit is None else listing.faces.sample(min(limit, len(listing.faces)), random_state=0)
        report = preparation.prepare(table, output, options, workers=workers, scheduler=scheduler, retry_failed=retry_failed)
    except ValueError as error:
        raise fail(str(error), 2) from error
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on with the shards that are missing in {output}")
        raise typer.Exit(130) from None
    for reason, count in report.failed.reason.str.split(":").str[0].value_counts().items():
        say(f"{count:,} without a face: {reason}")
    say(f"{report.prepared:,} faces in {output / 'shards'}")
    print(output)


def _read(source, output, data_dir, limit):
    """The pictures that `source` names."""
    import pandas as pd

    from safbage import datasets

    if source == "synthetic":
        return datasets.synthetic(output / "pictures", limit or 1000)
    path = Path(source)
    if path.suffix == ".csv":
        return datasets.csv(path)
    if path.suffix == ".parquet":
        return datasets.Listing(pd.read_parquet(path), pd.DataFrame(columns=["image", "reason"]))
    folder = datasets.find(source, data_dir)
    if folder is None:
        where = f"in {data_dir}" if data_dir else "here: give --data-dir, or set SAFBAGE_DATA to the folder of the data sets"
        raise ValueError(f"no {source} {where} (`safbage data list` says where it is from)")
    return datasets.load(source, folder)
