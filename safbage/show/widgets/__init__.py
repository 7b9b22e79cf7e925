"""Widgets for notebooks and for `safbage explore`: thin layers over tested functions, redrawn in place so that nothing flickers.

Each is one call that gives a widget. What goes wrong in a callback, which nobody would see, is shown in the widget in words.
"""

from safbage.show.widgets.explorer import RatioExplorer, ratio_explorer
from safbage.show.widgets.small import class_evidence, margin, thresholds

__all__ = ["RatioExplorer", "class_evidence", "margin", "ratio_explorer", "thresholds"]
