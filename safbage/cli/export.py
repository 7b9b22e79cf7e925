"""``safbage export``: the network after detection, for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import MlNet, Network, Shipped, app, chosen_tasks, say, wrong_arguments


@app.command()
def export(
    format: Annotated[str, typer.Argument(help="saved-model, onnx, openvino or litert.")],
    output: Annotated[Path, typer.Argument(help="The file; for saved-model, the folder.")],
    tasks: Annotated[
        str, typer.Option(help="What it is to answer, separated by commas.")
    ] = "age,gender,expression",
    network: Network = Shipped.FACE_MOBILENET,
    saliency: MlNet = "mlnet",
):
    """Write the network for other programs, ONNX and others.

    It is all that follows detection, as one TensorFlow SavedModel, ONNX, OpenVINO or LiteRT
    network. Its inputs are "face" (N×224×224×3 uint8, RGB, the crop with 30 % margin) and "ratio"
    (N×1 float32, the paper's 0.3). Its outputs, all float32: "map" (N×28×28 saliency, 0 to 1), and
    for every task its probabilities under its name and its raw class activation maps under "cam_"
    and its name; with age by face-mobilenet, "years" (N×101, the probability of each year from 0 to
    100). N is any number, with LiteRT 1. It is run once, and must answer as safbage. All formats
    but saved-model need the extra "export": in a clone, pip install -e ".[export]".
    """
    from safbage.pipeline import export as exporter
    from safbage.pipeline import networks

    chosen = chosen_tasks(tasks)
    with wrong_arguments(FileExistsError, FileNotFoundError):
        loaded = networks.load(chosen, network.value, saliency, "float32")
        path = exporter.export(loaded.network, format, output)
    say(f"written to {path}; it answers the embedded photo's face as safbage does")
