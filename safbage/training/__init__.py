"""Fine-tuning the classifiers on prepared faces: the paper's two recipes (section 3.3), with
frozen layers run only once.

    prepared = Prepared("prepared/utkface")
    with_saliency = fine_tune(prepared, "gender", fold=0, ratio=0.3, work="work/gender-30-fold0")
    without = fine_tune(prepared, "gender", fold=0, ratio=0.0, work="work/gender-0-fold0")
    with_saliency.metrics["accuracy"], without.metrics["accuracy"]

The two differ in nothing but the ratio.
"""

from safbage.training.outcome import FineTuned, load_trained, open_trained
from safbage.training.recipes import (
    AGE_GENDER_RECIPE,
    EXPRESSION_RECIPE,
    RECIPES,
    Recipe,
    Variant,
    first_layer,
)
from safbage.training.tuning import fine_tune

__all__ = [
    "AGE_GENDER_RECIPE",
    "EXPRESSION_RECIPE",
    "RECIPES",
    "FineTuned",
    "Recipe",
    "Variant",
    "fine_tune",
    "first_layer",
    "load_trained",
    "open_trained",
]
