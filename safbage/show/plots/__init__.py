"""Figures: photos and maps, an answer with its evidence, the method, charts of evaluations and
comparisons.

A function that takes `ax` draws into it, or into new axes where it is None, and returns the axes.

Maps have a fixed scale from 0 to 1. Evidence has a scale around zero, and zero is drawn as nothing.
Titles, labels and names are drawn as they stand: a dollar sign does not begin a formula, and a
character that matplotlib's fonts lack becomes □ (to see it, put a font that has it into
``font.family`` of matplotlib's ``rcParams``).

What a part lists in its ``__all__`` is called from here: `plots.boxes`, `plots.explanation`.
"""

from safbage.show.plots.answers import *  # noqa: F403
from safbage.show.plots.charts import *  # noqa: F403
from safbage.show.plots.comparisons import *  # noqa: F403
from safbage.show.plots.detection import *  # noqa: F403
from safbage.show.plots.films import *  # noqa: F403
from safbage.show.plots.method import *  # noqa: F403
from safbage.show.plots.pictures import *  # noqa: F403
from safbage.show.plots.schematics import *  # noqa: F403
from safbage.show.plots.style import *  # noqa: F403
