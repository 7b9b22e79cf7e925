"""What was measured of detection, in words and pictures."""

import blocks
import detection_page
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pytest

from safbage.show import detection, plots


def arm(name, value, curve=((0.2, 1.0), (0.8, 0.9))):
    """An arm with this average precision."""
    figures = {"value": value, "low": value - 0.05, "high": value + 0.05}
    rows = [
        {"group": group, "faces": 40, "found": 30, "recall": 0.75, "low": 0.7, "high": 0.8}
        for group in ("below 16", "16 to 32")
    ]
    return {
        "name": name,
        "boxes": 1234,
        "average_precision": {
            "adapted": figures,
            "plain": figures | {"value": 0.01},
            "lenient": figures | {"value": 0.5},
        },
        "recall": {"size": rows, "pose": [rows[0] | {"group": "frontal"}]},
        "curve": [list(point) for point in curve],
    }


def compared(name, difference, p):
    low, high = difference - 0.02, difference + 0.02
    return {"name": name, "a": 0.7, "b": 0.7 + difference, "difference": difference} | dict(
        low=low, high=high, p=p, p_holm=p, photos=50, faces=200
    )


@pytest.fixture
def result():
    return {
        "data": {"kind": "eyecrowd", "photos": 1250, "faces": 5134, "counted": 1619},
        "arms": [arm("mtcnn", 0.7), arm("cost $5", 0.8)],
        "thresholds": [{"score": 0.8, "precision": 0.9, "recall": 0.77, "wrong": 1.104}],
        "tests": [compared("YuNet", 0.1, 0.0005), compared("pyramid 0.5", -0.1, 0.01)],
        "saliency": None,
    }


def of_saliency(rescored, windows, unseen=None):
    inside = {"right": {"boxes": 9, "median": 1.5}, "wrong": {"boxes": 3, "median": 0.9}}
    return {
        "inside": inside,
        "rescored": rescored | {"weights": [0.5, 1.0]},
        "windows": {"count": 4, "beside_alone": windows, "beside_random": windows},
        "unseen": unseen,
        "photos_seen": 200,
    }


def test_rows(result):
    assert detection.arms(result)[0] == ("mtcnn", "1,234", "70.0 (65.0 to 75.0)", "1.0", "50.0")
    assert detection.thresholds(result) == [("0.8", "90.0", "77.0", "1.10")]
    assert detection.recalls(result)[0] == ("size, px: below 16", "40", "75.0 (70.0 to 80.0)")
    assert detection.recalls(result)[2][0] == "pose: frontal"
    with pytest.raises(ValueError, match="no detector 'none'; there are"):
        detection.recalls(result, "none")


def test_verdicts(result):
    first, better, worse = detection.verdicts(result)
    assert "70.0 (65.0 to 75.0) % (95 % interval) at an IoU of 0.5" in first
    assert "As they are it is 1.0 %, and 50.0 % at an IoU of 0.3." in first
    points = "+10.0 (+8.0 to +12.0) points of average precision, p < 0.001"
    assert better == f"YuNet: finds faces better: {points}"
    assert worse.startswith("pyramid 0.5: finds faces worse: -10.0 (-12.0 to -8.0)")
    result["tests"] = [compared("YuNet", 0.1, 0.06)]
    assert "no difference from MTCNN's is shown" in detection.verdicts(result)[1]


@pytest.mark.parametrize(
    "difference, p, answer",
    [(0.1, 0.01, "Yes"), (-0.1, 0.01, "No, worse"), (0.1, 0.2, "Not shown")],
)
def test_verdicts_on_saliency(result, difference, p, answer):
    test = compared("", difference, p)
    result["saliency"] = of_saliency(test, test, test | {"weight": 0.5})
    inside, rank, unseen, alone, anywhere = detection.verdicts(result)[3:]
    assert "1.50 times as salient" in inside and "0.90 times" in inside
    assert rank.startswith(f"Does saliency rank boxes better? {answer}: ")
    assert rank.endswith("The weights chosen on the other half are 0.5 and 1.")
    assert unseen.startswith(f"On the 50 photos that ML-Net has never seen: {answer.lower()}, ")
    assert alone.startswith("Do 4 windows around salient peaks, searched again, add to the photo? ")
    assert anywhere.startswith(f"Are they better than 4 windows anywhere? {answer}: ")
    assert anywhere.endswith("(50 photos).")
    result["saliency"]["inside"]["wrong"]["median"] = None
    assert len(detection.verdicts(result)) == 7


def test_markdown(result):
    text = detection.markdown(result)
    assert "1,250 photos, 5,134 faces, of which 1,619 count." in text
    assert "| mtcnn | 1,234 | 70.0 (65.0 to 75.0) | 1.0 | 50.0 |" in text
    assert "- YuNet: finds faces better" in text


# --- pictures ------------------------------------------------------------------------------------


def test_curves_have_names_and_the_best_comes_first(result):
    ax = plots.precision_recall(result, title="a $title$")
    labels = [text.get_text() for text in ax.get_legend().texts]
    assert labels == ["80.0 %  cost $5", "70.0 %  mtcnn"]
    assert ax.lines[0].get_xdata().tolist() == [0.2, 0.8]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("recall", "precision")
    assert len(plots.precision_recall(result, names=["mtcnn"]).lines) == 1
    with pytest.raises(ValueError, match="no detector 'none'; there are mtcnn"):
        plots.precision_recall(result, names=["none"])
    plt.close("all")


def test_a_detector_that_finds_nothing_has_an_empty_line(result):
    result["arms"].append(arm("blind", 0.0, curve=()))
    assert len(plots.precision_recall(result).lines[-1].get_xdata()) == 0
    plt.close("all")


def test_recall_by_group(result):
    ax = plots.recall_by_group(result)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["size, px: below 16", "size, px: 16 to 32", "pose: frontal"]
    assert {text.get_text() for text in ax.texts} == {"n = 40"}
    assert "0.8" in ax.get_title()
    with pytest.raises(ValueError, match="no detector 'none'"):
        plots.recall_by_group(result, name="none")
    plt.close("all")


def test_both_side_by_side(result):
    figure = plots.detectors(result)
    assert len(figure.axes) == 2
    figure.canvas.draw()
    plt.close("all")


# --- the project's own measurement -----------------------------------------------------------------


def test_the_page_shows_what_was_measured():
    """`python docs/book/detection_page.py` writes it there."""
    result = detection_page.load()
    text = detection_page.PAGE.read_text(encoding="utf-8")
    assert len(blocks.marks("detection").findall(text)) == 1
    assert detection_page.filled(text, result) == text, "run python docs/book/detection_page.py"
    assert result["verdict"] == detection.verdicts(result)
    assert detection_page.PICTURE.is_file()


def test_the_measurement_tells_how_it_was_made():
    made = detection_page.load()["provenance"]
    assert made["command"].startswith("safbage evaluate-detection eyecrowd ")
    assert "/" not in made["command"] and made["versions"]["safbage"]
