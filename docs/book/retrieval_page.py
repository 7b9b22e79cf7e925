"""Write what `results/lfw.json` holds into `docs/retrieval.md`, between the marks that it has for it, and draw
`docs/retrieval.png` and `docs/retrieval-roc.png`.

python docs/book/retrieval_page.py
"""

from pathlib import Path

import blocks
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from safbage import retrieval
from safbage.show import plots
from safbage.show import retrieval as shown

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "retrieval.md"
RESULT = REPOSITORY / "results" / "lfw.json"
BLOCK = blocks.marks("retrieval")


def counts(result: dict) -> str:
    found = result["faces"]
    return (
        f"{shown.counts(result)}. In {found['without_a_face_found']} pictures the detector found no face, and the whole picture "
        "was taken."
    )


def verdict(result: dict) -> str:
    """The sentences on whole figures; the arms' own are in the table of differences."""
    return "\n".join(f"- {line}" for line in shown.in_short(result))


def groups(result: dict) -> str:
    """Of the arms of the first trunk that are without saliency and at the paper's 30 %."""
    first = next(iter(result["arms"].values()))["network"]
    names = [
        name
        for name, of in result["arms"].items()
        if of["network"] == first and of["mode"] == "blend" and of["ratio"] in (0, 0.3)
    ]
    parts = [shown.groups_table(result, names, group) for group in ("gender", "age_group")]
    return "\n".join(parts)


def trunks(result: dict) -> str:
    return "\n".join(
        f"- **{name}** has learnt from {told}." for name, told in result["trunks"].items()
    )


def command(result: dict) -> str:
    return f"```bash\n{result['provenance']['command']}\n```"


BLOCKS = {
    "counts": counts,
    "verdict": verdict,
    "table": shown.table,
    "differences": shown.differences_table,
    "groups": groups,
    "trunks": trunks,
    "command": command,
}


def filled(text: str, result: dict) -> str:
    """The page's text with every block as the result has it.

    Raises:
        KeyError: nobody knows a block of that name.
    """
    return blocks.filled(text, "retrieval", lambda name: BLOCKS[name](result))


def draw(result: dict) -> None:
    """The page's figures, beside it."""
    plots.retrieved(result).savefig(PAGE.with_suffix(".png"), dpi=100)
    plots.match_curves(result).figure.savefig(PAGE.with_name("retrieval-roc.png"), dpi=100)
    plt.close("all")


if __name__ == "__main__":
    stored = retrieval.load(RESULT)
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), stored), encoding="utf-8")
    draw(stored)
    print(PAGE)
