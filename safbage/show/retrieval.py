"""What an evaluation of retrieval comes to: sentences, and a table in Markdown."""

from safbage.evaluation import FEWEST
from safbage.experiments import LEVEL
from safbage.retrieval import FIGURES

HEAD = {
    "accuracy": "pairs, accuracy, %",
    "auc": "area under the ROC",
    "true_match_at_0.01": "true matches at 1 % false, %",
    "rank_1": "rank 1, %",
    "mean_average_precision": "mean average precision, %",
}
"""The table's columns behind the arm; those that nobody measured are left out."""


def in_short(result: dict) -> list[str]:
    """A sentence for each figure: how many arms are shown to be better or worse than without.

    Args:
        result: of `retrieval.evaluate`.
    """
    return [_in_short(FIGURES[figure], tests) for figure, tests in _by_figure(result).items()]


def verdicts(result: dict) -> list[str]:
    """A sentence for each figure, then one for each arm that is shown to differ.

    Args:
        result: of `retrieval.evaluate`.
    """
    lines = []
    for figure, tests in _by_figure(result).items():
        lines.append(_in_short(FIGURES[figure], tests))
        lines += [f"{test['arm']}: {difference(test)}." for test in tests if _shown(test)]
    return lines


def _by_figure(result):
    tests = {name: [t for t in result["tests"] if t["figure"] == name] for name in FIGURES}
    return {name: found for name, found in tests.items() if found}


def _shown(test):
    return test["p_holm"] < LEVEL


def _in_short(name, tests):
    shown = [test["difference"] > 0 for test in tests if _shown(test)]
    better, worse = sum(shown), len(shown) - sum(shown)
    of = f"of {len(tests)} arms with saliency," if len(tests) > 1 else "the arm with saliency:"
    says = "no difference to the arm without is shown"
    if shown:
        says = f"{better or 'none'} shown to be better than without, {worse or 'none'} to be worse"
    return f"{name[0].upper()}{name[1:]}: {of} {says}."


def difference(test: dict) -> str:
    """A test's difference: "-0.7 points (95 % interval -1.2 to -0.2; p = 0.03)"."""
    points, low, high = (100 * test[name] for name in ("difference", "low", "high"))
    several = f" after Holm's correction over {test['tests']} tests" if test["tests"] > 1 else ""
    return (
        f"{points:+.1f} points (95 % interval {low:+.1f} to {high:+.1f}; "
        f"p = {test['p_holm']:.2g}{several})"
    )


def counts(result: dict) -> str:
    """What was compared, in a sentence."""
    found = result["faces"]
    parts = []
    if "pairs" in found:
        parts.append(f"{found['pairs']:,} pairs in {found['folds']} folds")
    if found["people_looked_for"]:
        parts.append(
            f"{found['pictures_looked_for']:,} pictures of {found['people_looked_for']:,} people "
            f"with {found['fewest']} or more"
        )
    return f"{found['pictures']:,} pictures of {found['people']:,} people: " + ", ".join(parts)


def table(result: dict) -> str:
    """A row per arm, in Markdown: pairs with their standard error over folds, then ranks.

    A star marks what is shown to differ from the arm of the same trunk without saliency.
    """
    measured = [{**of.get("pairs", {}), **of.get("people", {})} for of in result["arms"].values()]
    columns = [name for name in HEAD if all(name in figures for figures in measured)]
    starred = {(test["arm"], test["figure"]) for test in result["tests"] if _shown(test)}
    lines = [_row(["arm", *(HEAD[name] for name in columns)]), "|---" * (len(columns) + 1) + "|"]
    for name, figures in zip(result["arms"], measured, strict=True):
        cells = [_cell(figures, column, (name, column) in starred) for column in columns]
        lines.append(_row([name, *cells]))
    return "\n".join(lines) + "\n"


def differences_table(result: dict) -> str:
    """A row per arm with saliency, in Markdown: what it changes, in points, with 95 % intervals.

    A star marks what is shown. The intervals are not corrected for the number of arms; the stars
    are (Holm).

    Args:
        result: of `retrieval.evaluate`.
    """
    by_figure = _by_figure(result)
    lines = [_row(["arm", *(FIGURES[name] for name in by_figure)])]
    lines.append("|---" * (len(by_figure) + 1) + "|")
    for row in zip(*by_figure.values(), strict=True):
        lines.append(_row([row[0]["arm"], *map(_difference_cell, row)]))
    return "\n".join(lines) + "\n"


def _difference_cell(test):
    points, low, high = (
        round(100 * test[name], 1) + 0.0  # no "-0.0"
        for name in ("difference", "low", "high")
    )
    return f"{points:+.1f} ({low:+.1f} to {high:+.1f})" + (" *" if _shown(test) else "")


def _cell(figures, column, starred):
    value = figures[column]
    text = f"{value:.3f}" if column == "auc" else f"{100 * value:.1f}"
    if column == "accuracy":
        text += f" ± {100 * figures['error']:.1f}"
    return text + (" *" if starred else "")


def groups_table(result: dict, arms: list[str], group: str = "gender") -> str:
    """Rates of both errors by apparent group, in Markdown, with Wilson's 95 % intervals.

    A rate of fewer than `evaluation.FEWEST` pairs is not told, and a group that has no other is
    left out; a line below the table says so.

    Args:
        result: of `retrieval.evaluate`.
        arms: names of those that are shown.
        group: "gender" or "age_group".
    """
    lines = [_row(["arm", f"apparent {group.replace('_', ' ')}", "false matches, %",
                   "false non-matches, %"]), "|---" * 4 + "|"]  # fmt: skip
    left_out = {}
    for arm in arms:
        rows = result["arms"][arm]["apparent_groups"][group]
        for name in dict.fromkeys(row["group"] for row in rows):
            found = {row["error"]: row for row in rows if row["group"] == name}
            if max(row["pairs"] for row in found.values()) < FEWEST:
                left_out[name] = True
                continue
            cells = [_rate(found.get(kind)) for kind in ("false match", "false non-match")]
            lines.append(_row([arm, name, *cells]))
    if left_out:
        lines += [
            "",
            f"Left out, with fewer than {FEWEST} pairs of each kind: {_listed(left_out)}.",
        ]
    return "\n".join(lines) + "\n"


def _rate(row):
    pairs = row["pairs"] if row else 0
    if pairs < FEWEST:
        return f"too few pairs ({pairs})"
    rate, low, high = (100 * row[name] for name in ("rate", "low", "high"))
    return f"{rate:.1f} ({low:.1f} to {high:.1f}) of {pairs:,}"


def _listed(names):
    """ "a", "a and b", "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _row(cells):
    return "|" + "".join(f" {cell} |" for cell in cells)
