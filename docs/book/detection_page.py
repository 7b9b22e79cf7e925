"""Write what `results/detection.json` holds into `docs/detection.md`, between the marks that it has for it, and draw
`docs/detection.png`.

python docs/book/detection_page.py
"""

from pathlib import Path

import blocks
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from safbage.experiments import detection
from safbage.show import detection as words
from safbage.show import plots

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "detection.md"
PICTURE = REPOSITORY / "docs" / "detection.png"
BLOCKS = {"figures": words.markdown}


def load() -> dict:
    return detection.load(REPOSITORY / "results" / "detection.json")


def filled(text: str, result: dict) -> str:
    """The page's text with every block as the result has it.

    Raises:
        KeyError: nobody knows a block of that name.
    """
    return blocks.filled(text, "detection", lambda name: BLOCKS[name](result))


def main():
    result = load()
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")
    plots.detectors(result).savefig(PICTURE, dpi=100)
    plt.close("all")


if __name__ == "__main__":
    main()
