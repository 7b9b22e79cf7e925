"""The paper's experiments on any prepared faces: arms over folds, compared with each other and with
what the paper reports.

    prepared = Prepared("prepared/utkface")
    runs = cross_validate(prepared, "gender", work="work/gender")  # without and with saliency
    comparison = compare(runs, "gender")
    print(*show.words.verdicts(comparison))

An arm is a network at a ratio; ratio 0 is the arm without saliency. All arms answer the same faces,
so that paired tests hold. Here are numbers; `show.words` and its neighbours say them.
"""

from safbage.experiments import claims
from safbage.experiments.arms import (
    NO_SALIENCY,
    Arm,
    Run,
    Training,
    answer_as_shipped,
    check,
    cross_validate,
    name_of,
)
from safbage.experiments.comparison import (
    FIGURES,
    LEVEL,
    RESULTS,
    ArmResult,
    Comparison,
    PairedTest,
    base,
    compare,
    compare_networks,
    describe,
    load,
    load_saved,
    mean_history,
    save,
)
from safbage.experiments.finished import CHOSEN, histories, predictions, runs

__all__ = [
    "CHOSEN",
    "FIGURES",
    "LEVEL",
    "NO_SALIENCY",
    "RESULTS",
    "Arm",
    "ArmResult",
    "Comparison",
    "PairedTest",
    "Run",
    "Training",
    "answer_as_shipped",
    "base",
    "check",
    "claims",
    "compare",
    "compare_networks",
    "cross_validate",
    "describe",
    "histories",
    "load",
    "load_saved",
    "mean_history",
    "name_of",
    "predictions",
    "runs",
    "save",
]
