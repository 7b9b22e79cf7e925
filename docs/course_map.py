"""Draw docs/course-map.png: the notebooks with their minutes, and which build on which.

    python docs/course_map.py

All of it is read from the notebooks' first cells. A solid arrow is what a notebook needs, a broken one what helps.
Every notebook needs 00; that arrow is drawn only where no other leads to a notebook.
"""

import argparse
import json
import re
import textwrap
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path as Line
from matplotlib.transforms import Bbox

from safbage.show.plots.schematics import Sheet

REPOSITORY = Path(__file__).parents[1]
PICTURE = Path(__file__).with_name("course-map.png")
NUMBERS = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
COLOURS = {"00": "#e4e9ef", "01": "#dbe9f7", "02": "#dbe9f7", "03": "#dbe9f7"}
COLOURS |= dict.fromkeys(("04", "05", "06", "08"), "#dcefe1")
OTHERS = "#fbe9d2"
"""Blue shows the stages, green trains and measures, orange asks further."""
CARD, GAP = (1.62, 1.3), (0.34, 0.25)
"""Width and height of a card, and the room between two, in inches."""
LANE = 0.22
"""How far above or below all cards an arrow runs that would cross one, in inches."""
INK, QUIET = "#33404d", "#56616c"


@dataclass(frozen=True)
class Notebook:
    """What the first cell of a notebook says of it."""

    number: str
    title: str
    minutes: str
    needs: tuple[str, ...]
    helped_by: tuple[str, ...]


def read(path: Path) -> Notebook:
    """A notebook by its first cell.

    Raises:
        ValueError: a line is not as the other notebooks have it.
    """
    text = nbformat.read(path, 4).cells[0].source
    found = re.search(r"^# (\d\d) · (.+)$", text, re.MULTILINE)
    before = re.search(r"^- \*\*Before this:\*\* (.+)$", text, re.MULTILINE)
    time = re.search(r"^- \*\*Time:\*\* (.+?) minutes?\b", text, re.MULTILINE)
    if not (found and before and time):
        raise ValueError(f"{path}: the first cell lacks title, Before this or Time")
    needs, _, helps = before[1].partition(";")
    if re.search(r"\bhelps?\b", needs):
        needs, helps = "", before[1]
    title = re.split(r"[:,]", found[2])[0]
    return Notebook(found[1], title, minutes(time[1]), numbers(needs), numbers(helps))


def numbers(text: str) -> tuple[str, ...]:
    """The notebooks that a text names: their links, files or bare numbers."""
    return tuple(dict.fromkeys(re.findall(r"(?<![\w.])(\d\d)(?=[_` ])", text)))


def minutes(words: str) -> str:
    """ "two to four" as "2–4".

    Raises:
        ValueError: a word is no number from one to six.
    """
    parts = words.removeprefix("about ").split(" to ")
    if not all(part in NUMBERS for part in parts):
        raise ValueError(f"minutes are words from one to six; got {words!r}")
    return "–".join(str(NUMBERS[part]) for part in parts)


def arrows(course: list[Notebook]) -> dict[tuple[str, str], bool]:
    """By (from, to) whether it is needed; without what other arrows lead to anyway."""
    found, place = {}, columns(course)
    for notebook in course:
        found |= {(one, notebook.number): False for one in notebook.helped_by if one in place}
        found |= {(one, notebook.number): True for one in notebook.needs if one in place}
    found = {arrow: needed for arrow, needed in found.items() if place[arrow[0]] < place[arrow[1]]}
    needed = {arrow for arrow in found if found[arrow]}
    return {
        (start, end): found[start, end]
        for start, end in found
        if not detour(start, end, needed if found[start, end] and start != "00" else set(found))
    }


def detour(start: str, end: str, ways: set[tuple[str, str]]) -> bool:
    """Whether arrows lead from one notebook to another by way of a third."""
    nexts = {to for one, to in ways if one == start and to != end}
    return any((to, end) in ways or detour(to, end, ways) for to in nexts)


def columns(course: list[Notebook]) -> dict[str, int]:
    """How many notebooks, one building on another, come before each."""
    place = {}
    for notebook in course:  # a notebook may name later ones; those do not count
        before = (*notebook.needs, *notebook.helped_by)
        place[notebook.number] = 1 + max((place[one] for one in before if one in place), default=-1)
    return place


def ordered(place: dict[str, int], ways) -> list[list[str]]:
    """The notebooks of each column, from top to bottom, near to those that lead to them."""
    found, rows = [], {}
    for at in range(1 + max(place.values())):
        heights = {
            number: [rows[start] for start, end in ways if end == number]
            for number in place
            if place[number] == at
        }
        found.append(sorted(heights, key=lambda one: sum(heights[one]) / max(1, len(heights[one]))))
        middle = (len(found[-1]) - 1) / 2
        rows |= {number: row - middle for row, number in enumerate(found[-1])}
    return found


def draw(course: list[Notebook]) -> Figure:
    """The course as cards, from left to right as they build on each other."""
    place = columns(course)
    ways = arrows(course)
    by_column = ordered(place, ways)
    rows = max(map(len, by_column))
    across, down = (card + gap for card, gap in zip(CARD, GAP, strict=True))
    width, height = across * len(by_column) + GAP[0], down * rows + GAP[1] + 0.45 + 2 * LANE
    sheet = Sheet(width, height)
    middle, corners = (height + 0.4) / 2, {}
    for at, own in enumerate(by_column):
        top = middle + (len(own) * down - GAP[1]) / 2
        for row, number in enumerate(own):
            corners[number] = GAP[0] + at * across, top - row * down - CARD[1]
    for notebook in course:
        _card(sheet, notebook, *corners[notebook.number])
    for (start, end), needed in ways.items():
        others = [corner for number, corner in corners.items() if number not in (start, end)]
        _arrow(sheet, _route(corners[start], corners[end], others, middle), needed)
    words = "Solid: what a notebook needs. Broken: what helps. Minutes are those of two CPU cores; reading comes on top."
    sheet.words(width / 2, 0.3, words, size=10, color=QUIET)
    return sheet.figure


def _card(sheet, notebook, left, low):
    width, height = CARD
    shape = dict(boxstyle="round,pad=0,rounding_size=0.12", edgecolor="none")
    ground = COLOURS.get(notebook.number, OTHERS)
    sheet.ax.add_patch(FancyBboxPatch((left, low), width, height, facecolor=ground, **shape))
    at = left + 0.14
    sheet.words(at, low + height - 0.24, notebook.number, size=14, weight="bold", ha="left")
    title = textwrap.fill(notebook.title, 19)
    sheet.words(at, low + height - 0.45, title, size=10.5, ha="left", va="top")
    sheet.words(at, low + 0.18, f"{notebook.minutes} min", size=9.5, ha="left", color=QUIET)


def _route(start, end, others, middle):
    """From the right side of one card to the left side of another; where a third card stands in
    between, above or below all cards."""
    width, height = CARD
    first = start[0] + width, start[1] + height / 2
    last = end[0], end[1] + height / 2
    if not any(Line([first, last]).intersects_bbox(_room(corner)) for corner in others):
        return [first, last]
    every = [start, end, *others]
    above = start[1] + height / 2 > middle
    lane = (
        max(low + height for _, low in every) + LANE
        if above
        else min(low for _, low in every) - LANE
    )
    edge = height if above else 0
    first, last = start[0] + width / 2, end[0] + width / 2
    return [(first, start[1] + edge), (first, lane), (last, lane), (last, end[1] + edge)]


def _room(corner):
    """What a card covers."""
    left, low = corner
    return Bbox.from_bounds(left, low, *CARD)


def _arrow(sheet, points, needed):
    """A line through points, with a head at the last."""
    line = dict(linestyle="-", color=INK) if needed else dict(linestyle=(0, (4, 2.5)), color=QUIET)
    shape = dict(arrowstyle="-|>", mutation_scale=12, linewidth=1.3, zorder=-1)
    ends = dict(shrinkA=2, shrinkB=2)
    if len(points) == 2:
        arrow = FancyArrowPatch(*points, **ends, **shape, **line)
    else:
        arrow = FancyArrowPatch(path=Line(points), fill=False, **shape, **line)
    sheet.ax.add_patch(arrow)


def facts(course: list[Notebook]) -> str:
    """What the picture shows, as it is kept in the file beside the pixels."""
    return json.dumps([asdict(notebook) for notebook in course])


def load() -> list[Notebook]:
    return [read(path) for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=PICTURE)
    args = parser.parse_args()
    course = load()
    options = {"optimize": True}
    draw(course).savefig(
        args.output, dpi=90, metadata={"Course": facts(course)}, pil_kwargs=options
    )
    print(args.output)


if __name__ == "__main__":
    main()
