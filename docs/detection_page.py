"""Write what `results/detection.json` holds into `docs/detection.md`, and draw `docs/detection.png` of it.

python docs/detection_page.py
"""

import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from safbage.experiments import detection
from safbage.show import detection as words
from safbage.show import plots

DOCS = Path(__file__).parent
BLOCK = re.compile(r"<!-- detection -->\n.*?<!-- end -->", re.DOTALL)


def main():
    result = detection.load(DOCS.parent / "results" / "detection.json")
    page = DOCS / "detection.md"
    block = f"<!-- detection -->\n{words.markdown(result).strip()}\n<!-- end -->"
    text = BLOCK.sub(lambda _: block, page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")
    plots.detectors(result).savefig(DOCS / "detection.png", dpi=100)
    plt.close("all")


if __name__ == "__main__":
    main()
