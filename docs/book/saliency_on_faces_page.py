"""Write what `results/saliency_on_faces.json` holds into `docs/saliency-on-faces.md`, between the marks that it has for it, and draw
`docs/saliency-on-faces.png`.

python docs/book/saliency_on_faces_page.py
"""

import json
from pathlib import Path

import blocks
import matplotlib.pyplot as plt
from blocks import table
from matplotlib.ticker import PercentFormatter

from safbage.show.plots import style

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "saliency-on-faces.md"
PICTURE = REPOSITORY / "docs" / "saliency-on-faces.png"
RESULT = REPOSITORY / "results" / "saliency_on_faces.json"
BLOCK = blocks.marks("saliency")
TITLES = {"mlnet": "full ML-Net", "light": "light ML-Net"}
SETS = {"lfw": "LFW", "rafdb": "RAF-DB", "fer2013": "FER2013"}
TASKS = ("age", "gender", "expression")
PLAIN = "as it stands"
MOVED = ("mirrored", "shifted", "20 %", "turned")
LIT = ("lighter", "darker")
CROPS = ("no margin", "photo ends", "aligned")
LINES = {"mlnet": (style.ANSWER_COLOUR, -0.16), "light": (style.ARM_COLOURS[1], 0.16)}
"""Colour of each network in the picture, and how far below its row it stands."""
AIMS = {"unseen": 0.96, "worse": 0.94}
"""The CC with the full network that the light one is meant to reach: on unseen faces, on grey and degraded ones."""


def load() -> dict:
    return json.loads(RESULT.read_text(encoding="utf-8"))


# --- words ----------------------------------------------------------------------------------------


def percent(found: dict, sign: str = "") -> str:
    """ "35.6 (34.9 to 36.3)" of shares."""
    value, low, high = (f"{100 * found[name]:{sign}.1f}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def plain(found: dict, digits: int = 3) -> str:
    """ "0.912 (0.905 to 0.919)"."""
    value, low, high = (f"{found[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def part_of(result: dict, network: str, of: str, group: str = "all", part: str = "all") -> dict:
    (row,) = [
        row
        for row in result["parts"]
        if (row["network"], row["set"], row["group"], row["part"]) == (network, of, group, part)
    ]
    return row


def way_of(result: dict, network: str, way: str) -> dict:
    (row,) = [row for row in result["moved"] if (row["network"], row["way"]) == (network, way)]
    return row


def ways(result: dict, kinds: tuple[str, ...] = ()) -> list[str]:
    """Names of the ways, in order; those that begin with some words."""
    names = [row["way"] for row in result["moved"] if row["network"] == "mlnet"]
    return [name for name in names if not kinds or name.startswith(kinds)]


def degraded(result: dict) -> list[str]:
    """Names of the ways that make a picture worse."""
    return [name for name in ways(result) if not name.startswith((*MOVED, *LIT, *CROPS))]


def light_of(result: dict, of: str, way: str = PLAIN) -> dict:
    (row,) = [row for row in result["light"] if (row["set"], row["way"]) == (of, way)]
    return row


# --- blocks ---------------------------------------------------------------------------------------


def data(result: dict) -> str:
    counts = {row["set"]: row for row in result["data"]}
    lfw, rafdb, fer = (counts[name] for name in SETS)
    without = sum(sum(row["left_out"].values()) for row in counts.values())
    return (
        f"{lfw['faces']:,} faces of LFW, one of each person; {rafdb['faces']:,} of RAF-DB's test part, up to 100 of each expression; and "
        f"{fer['faces']:,} of FER2013's small grey ones. In {without} more pictures the detector found no face. {result['moved_faces']} of "
        "LFW's faces are also shown in other ways."
    )


def verdict(result: dict) -> str:
    lines = [
        of_parts(result),
        of_pose(result),
        of_expression(result),
        of_moves(result),
        of_light_and_quality(result),
        of_crops(result),
        of_answers(result),
        of_light_network(result),
    ]
    return "\n".join(f"- {line}" for line in lines)


def of_parts(result: dict) -> str:
    row = part_of(result, "mlnet", "lfw")
    more = row["over_others"]
    follows = f"So {percent(more)} points of it follow the face at hand."
    if more["low"] <= 0:
        follows = (
            f"That any of it follows the face at hand is not shown: {percent(more, '+')} points."
        )
    return (
        f"**Eyes, nose and mouth** hold {100 * row['share']['value']:.1f} % of the map's mass, on {100 * row['area']:.1f} % of the area: "
        f"{row['share']['value'] / row['area']:.1f} times their share. A centre prior alone has {100 * row['prior']:.1f} % there, and the mean "
        f"map of all other faces {100 * row['others']:.1f} %. {follows}"
    )


def apart(one: dict, other: dict) -> bool:
    """Whether two intervals have nothing in common."""
    return one["low"] > other["high"] or other["low"] > one["high"]


def of_pose(result: dict) -> str:
    front = part_of(result, "mlnet", "lfw", "yaw below 10°")["over_others"]
    aside = part_of(result, "mlnet", "lfw", "yaw 20° and more")["over_others"]
    says = "So the map goes along when a head turns."
    if not (apart(front, aside) and aside["low"] > 0):
        says = "That the map goes along when a head turns is not shown."
    rolled = way_of(result, "mlnet", "turned by 30°")["share_more"]
    return (
        f"**Pose.** On the three parts of a head that is turned aside by 20° or more, the map has {percent(aside, '+')} points more than the "
        f"mean map of the others, most of whom look straight ahead; below 10° it has {percent(front, '+')}. {says} Turning faces by 30° "
        f"within the picture changes the share by {percent(rolled, '+')} points."
    )


def of_expression(result: dict) -> str:
    rows = [
        row
        for row in result["parts"]
        if (row["network"], row["set"], row["part"]) == ("mlnet", "rafdb", "mouth")
        and row["group"] != "all"
    ]
    least, most = (pick(rows, key=lambda row: row["share"]["value"]) for pick in (min, max))
    says = "differs little between expressions"
    if apart(least["share"], most["share"]):
        says = "depends on the expression"
    return (
        f"**Expression.** The mouth's share {says}: from {percent(least['share'])} % ({least['group']}) to {percent(most['share'])} % "
        f"({most['group']})."
    )


def of_moves(result: dict) -> str:
    two = result["floor"]["mlnet"]["two_faces"]
    mirror, small, large = (
        way_of(result, "mlnet", way) for way in ("mirrored", "shifted by 2 px", "shifted by 16 px")
    )
    rolled = way_of(result, "mlnet", "turned by 30°")
    return (
        f"**Moved.** The maps of two different faces have a CC of {two['cc']['value']:.3f}. A face and its mirror image have "
        f"{mirror['cc']['value']:.3f}, a face and itself moved by 2 pixels {small['cc']['value']:.3f}, by 16 pixels "
        f"{large['cc']['value']:.3f}, turned by 30° {rolled['cc']['value']:.3f}."
    )


def of_light_and_quality(result: dict) -> str:
    rows = [way_of(result, "mlnet", way) for way in (*ways(result, LIT), *degraded(result))]
    rows.sort(key=lambda row: row["cc"]["value"])
    least, most = rows[0], rows[-1]
    return (
        f"**Lit and degraded.** The CC lies between {least['cc']['value']:.3f} ({least['way']}) and {most['cc']['value']:.3f} "
        f"({most['way']})."
    )


def of_crops(result: dict) -> str:
    said = []
    for way in ways(result, CROPS):
        row = way_of(result, "mlnet", way)
        said.append(f"{way}, {row['cc']['value']:.3f}")
    return (
        "**Cropped otherwise.** Where the crops overlap, their maps' CC with that of the paper's crop (30 % around the box) is: "
        + "; ".join(said)
        + "."
    )


def of_answers(result: dict) -> str:
    found = [row[task]["difference"] for row in moved_answers(result) for task in TASKS]
    more, less = sum(one["low"] > 0 for one in found), sum(one["high"] < 0 for one in found)
    says = "Chance alone brings about as many."
    if more + less > 0.05 * len(found):
        says = "Chance alone brings about fewer."
    return (
        f"**Answers.** The same face, moved or cropped otherwise, sometimes gets another answer. In {more} of {len(found)} comparisons "
        f"({len(found) // len(TASKS)} ways, {len(TASKS)} tasks) that happens more often with saliency than without, and in {less} less often, as far "
        f"as 95 % intervals show. {says}"
    )


def moved_answers(result: dict) -> list[dict]:
    return [row for row in result["answers"] if row["way"].startswith((*MOVED, *CROPS))]


def of_light_network(result: dict) -> str:
    unseen = {SETS[of]: light_of(result, of)["cc"] for of in ("lfw", "rafdb")}
    worse = {way: light_of(result, "lfw", way)["cc"] for way in degraded(result)}
    worse |= {"FER2013": light_of(result, "fer2013")["cc"]}
    short = [name for name, cc in worse.items() if cc["value"] < AIMS["worse"]]
    missed = [name for name, cc in unseen.items() if cc["value"] < AIMS["unseen"]]
    reached = (
        f"the first is not reached on {' and '.join(missed)}" if missed else "the first is reached"
    )
    values = " and ".join(f"{cc['value']:.3f} ({name})" for name, cc in unseen.items())
    rest = f"all of the {len(worse)} kinds of grey and degraded faces"
    if short:
        rest = f"{len(worse) - len(short)} of the {len(worse)} kinds of grey and degraded faces (not: {'; '.join(short)})"
    return (
        f"**The light ML-Net** has a CC with the full one of {values}. The aims are {AIMS['unseen']} on unseen faces and {AIMS['worse']} on grey and "
        f"degraded ones: {reached}, the second is reached on {rest}. {of_steadiness(result)}"
    )


def of_steadiness(result: dict) -> str:
    """Whose maps stay nearer to those of the unspoilt picture."""
    steadier = [
        way
        for way in degraded(result)
        if way_of(result, "light", way)["cc"]["low"] > way_of(result, "mlnet", way)["cc"]["high"]
    ]
    if not steadier:
        return "Degraded pictures move its maps as much as the full one's."
    return (
        f"Often it is the full one that moves: in {len(steadier)} of {len(degraded(result))} kinds of degraded pictures, the light one's maps stay "
        f"nearer to those of the unspoilt picture ({'; '.join(steadier)})."
    )


PART_HEAD = [
    "network, faces",
    "part",
    "of the map's mass, %",
    "of the area, %",
    "of the centre prior, %",
    "of the other faces' mean map, %",
    "more than that, points",
]


def parts(result: dict) -> str:
    rows = []
    for network, title in TITLES.items():
        for of in ("lfw", "rafdb"):
            for part in ("eyes", "nose", "mouth", "all"):
                row = part_of(result, network, of, part=part)
                name = f"{title}, {row['faces']:,} of {SETS[of]}" if part == "eyes" else ""
                rows.append([name, "all three" if part == "all" else part, *of_mass(row)])
    return table(PART_HEAD, rows)


def of_mass(row: dict) -> list[str]:
    others = [f"{100 * row[name]:.1f}" for name in ("area", "prior", "others")]
    return [percent(row["share"]), *others, percent(row["over_others"], "+")]


def groups(result: dict) -> str:
    rows = []
    for row in result["parts"]:
        if (row["network"], row["part"]) == ("mlnet", "all") and row["group"] != "all":
            rows.append([row["group"], f"{row['faces']:,}", *of_mass(row)])
    return table(["faces", "number", *PART_HEAD[2:]], rows)


def moves(result: dict) -> str:
    rows = []
    for way in ways(result):
        full, light = (way_of(result, network, way) for network in TITLES)
        cells = [plain(full["cc"]), f"{full['kl']['value']:.3f}"]
        cells += [f"{full['distance']['value']:.1f}", percent(full["share_more"], "+")]
        rows.append([way, *cells, plain(light["cc"])])
    for name, title in (
        ("two_faces", "two faces"),
        ("mean_of_others", "a face and the others' mean"),
    ):
        full, light = (result["floor"][network][name] for network in TITLES)
        cells = [plain(full["cc"]), f"{full['kl']['value']:.3f}"]
        cells += [f"{full['distance']['value']:.1f}", "", plain(light["cc"])]
        rows.append([f"*{title}*", *cells])
    head = ["compared with the crop as it stands", "CC", "KL", "centre of mass moves, px"]
    head += ["eyes, nose and mouth: more, points", "light ML-Net: CC"]
    return table(head, rows)


def lights(result: dict) -> str:
    rows = []
    for row in result["light"]:
        same = [f"{100 * row['same_answer'][task]:.1f}" for task in TASKS]
        name = f"{SETS[row['set']]}, {row['way']}"
        rows.append(
            [name, f"{row['faces']:,}", plain(row["cc"]), f"{row['kl']['value']:.3f}", *same]
        )
    head = ["faces", "number", "CC with the full ML-Net", "KL"]
    return table([*head, "same age, %", "same gender, %", "same expression, %"], rows)


def answers(result: dict) -> str:
    rows = []
    for row in moved_answers(result):
        cells = []
        for task in TASKS:
            found = row[task]
            both = (f"{100 * found[arm]['value']:.1f}" for arm in ("with", "without"))
            cells += [" / ".join(both), percent(found["difference"], "+")]
        rows.append([row["way"], *cells])
    head = ["way"]
    for task in TASKS:
        head += [f"{task}: with / without saliency, %", "difference, points"]
    return table(head, rows)


def command(result: dict) -> str:
    line = result["provenance"]["command"].replace(" --faces", " \\\n  --faces")
    return f"```bash\n{line}\n```"


BLOCKS = {
    "data": data,
    "verdict": verdict,
    "parts": parts,
    "groups": groups,
    "moves": moves,
    "answers": answers,
    "lights": lights,
    "command": command,
}


def filled(text: str, result: dict) -> str:
    """The page's text with every block as the result has it.

    Raises:
        KeyError: nobody knows a block of that name.
    """
    return blocks.filled(text, "saliency", lambda name: BLOCKS[name](result))


# --- picture --------------------------------------------------------------------------------------


def drawn(result: dict):
    """Left, what eyes, nose and mouth hold, by group; right, how far the map moves, by way."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(13, 7.2), layout="constrained", width_ratios=(1, 1.05)
    )
    draw_groups(result, left)
    draw_ways(result, right)
    return figure


def draw_groups(result: dict, ax):
    names = [
        (row["set"], row["group"])
        for row in result["parts"]
        if (row["network"], row["part"]) == ("mlnet", "all")
    ]
    marks = {
        "area": ("|", "area"),
        "prior": ("d", "centre prior"),
        "others": ("s", "others' mean map"),
    }
    for place, (of, group) in enumerate(names):
        row = part_of(result, "mlnet", of, group)
        for name, (mark, _) in marks.items():
            ax.plot(row[name], place, mark, color=style.QUIET_COLOUR, markersize=7)
        draw_interval(ax, row["share"], place, style.ANSWER_COLOUR)
    first = part_of(result, "mlnet", *names[0])
    for name, (_, words) in marks.items():
        above(ax, first[name], words, style.QUIET_COLOUR, "right")
    above(ax, first["share"]["value"], "its own map", style.ANSWER_COLOUR, "left")
    labels = [f"{SETS[of]}: {'all faces' if group == 'all' else group}" for of, group in names]
    finish(ax, labels, breaks=[i for i, (of, group) in enumerate(names) if i and group == "all"])
    ax.set(xlim=(0, None), xlabel="share of the mass on eyes, nose and mouth")
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def draw_ways(result: dict, ax):
    names = ways(result)
    for network, (colour, down) in LINES.items():
        for place, way in enumerate(names):
            draw_interval(ax, way_of(result, network, way)["cc"], place + down, colour)
        floor = result["floor"][network]["two_faces"]["cc"]["value"]
        ax.axvline(floor, color=colour, linestyle=(0, (2, 3)), linewidth=1.4)
        lower = min(TITLES, key=lambda of: result["floor"][of]["two_faces"]["cc"]["value"])
        side = "right" if network == lower else "left"
        above(ax, floor, f" {network_words(network)}: two faces ", colour, side)
    kinds = (MOVED, LIT, CROPS)
    group = [next((i for i, kind in enumerate(kinds) if way.startswith(kind)), 9) for way in names]
    finish(ax, names, breaks=[i for i in range(1, len(names)) if group[i] != group[i - 1]])
    ax.set(xlabel="CC with the map of the crop as it stands", xlim=(None, 1.03))
    name_lines(result, names, ax)


def name_lines(result: dict, names: list[str], ax):
    """Write each network's name beside its dot where the two are furthest apart."""
    pairs = [[way_of(result, network, way)["cc"] for network in LINES] for way in names]
    place = max(range(len(names)), key=lambda i: abs(pairs[i][0]["value"] - pairs[i][1]["value"]))
    left = min(pairs[place], key=lambda cc: cc["value"])
    for (network, (colour, down)), cc in zip(LINES.items(), pairs[place], strict=True):
        x, side = (cc["low"] - 0.006, "right") if cc is left else (cc["high"] + 0.006, "left")
        words = dict(color=colour, ha=side, va="center", fontsize=9)
        ax.text(x, place + down, network_words(network), **words)


def network_words(network: str) -> str:
    return TITLES[network].split()[0]


def draw_interval(ax, found: dict, place: float, colour: str):
    ax.plot([found["low"], found["high"]], [place, place], color=colour, linewidth=2.5)
    ax.plot(found["value"], place, "o", color=colour, markersize=6)


def above(ax, x: float, words: str, colour: str, side: str = "center"):
    """Words over the first row."""
    ax.text(x, -0.75, words, color=colour, ha=side, va="bottom", fontsize=9)


def finish(ax, labels: list[str], breaks: list[int]):
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.7)
    for place in breaks:
        ax.axhline(place - 0.5, color=style.GRID_COLOUR)
    ax.grid(axis="x", color=style.GRID_COLOUR)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)


def main():
    result = load()
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), result), encoding="utf-8")
    drawn(result).savefig(PICTURE, dpi=90, pil_kwargs={"optimize": True})
    plt.close("all")
    print(PAGE)


if __name__ == "__main__":
    main()
