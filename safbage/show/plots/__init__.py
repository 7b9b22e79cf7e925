"""Figures: photos and maps, an answer with its evidence, the method, charts of evaluations and
comparisons.

A function that takes `ax` draws into it, or into new axes where it is None, and returns the axes.

Maps have a fixed scale from 0 to 1. Evidence has a scale around zero, and zero is drawn as nothing.
Titles, labels and names are drawn as they stand: a dollar sign does not begin a formula, and a
character that matplotlib's fonts lack becomes □ (to see it, put a font that has it into
``font.family`` of matplotlib's ``rcParams``).

What a part lists in its ``__all__`` is called from here: `plots.boxes`, `plots.explanation`.
Parts are imported when something of theirs is first asked for, since the last bring Keras. So no
function may bear the name of a part.
"""

import importlib

PARTS = (
    "style",
    "pictures",
    "answers",
    "films",
    "method",
    "schematics",
    "charts",
    "detection",
    "retrieval",
    "comparisons",
)


def __getattr__(name):
    if not name.startswith("_"):
        for part in map(_part, PARTS):
            if name in part.__all__:
                return getattr(part, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *(name for part in map(_part, PARTS) for name in part.__all__)})


def _part(name):
    return importlib.import_module(f"{__name__}.{name}")
