"""Widgets for notebooks, `safbage explore` and `safbage live`: thin layers over tested functions.

Each is one call that returns a widget. Pictures are redrawn in place, so that nothing flickers. An
error in a callback, which nobody would see otherwise, is shown in the widget in words.
"""

from safbage.show.widgets.camera import Live, live
from safbage.show.widgets.explorer import RatioExplorer, ratio_explorer
from safbage.show.widgets.small import class_evidence, margin, thresholds

__all__ = [
    "Live",
    "RatioExplorer",
    "class_evidence",
    "live",
    "margin",
    "ratio_explorer",
    "thresholds",
]
