"""Detection's figures against cases worked out by hand, scikit-learn, and a COCO-style reference written out here."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from safbage.evaluation import detection

BOX = ["left", "top", "width", "height"]


def found_of(*rows):
    return pd.DataFrame(rows, columns=["photo", *BOX, "score"])


def faces_of(*rows):
    return pd.DataFrame(rows, columns=["photo", *BOX, "ignore"])


def drawn(generator, photos=12, *, ignored=0.0):
    """Faces at random, and boxes near some of them and elsewhere, all scores different."""
    faces, found = [], []
    for i in range(photos):
        for _ in range(int(generator.integers(0, 6))):
            left, top = generator.uniform(0, 150, 2)
            side = generator.uniform(10, 40)
            faces.append((f"{i}", left, top, side, side, generator.random() < ignored))
            for _ in range(int(generator.integers(0, 3))):
                shift = generator.normal(0, 4, 2)
                found.append((f"{i}", left + shift[0], top + shift[1], side, side))
        for _ in range(int(generator.integers(0, 4))):
            found.append((f"{i}", *generator.uniform(0, 150, 2), 20, 20))
    scores = generator.permutation(len(found)) / len(found)
    return found_of(*((*box, score) for box, score in zip(found, scores, strict=True))), faces_of(
        *faces
    )


def test_overlaps_by_hand():
    a = np.array([[0, 0, 10, 10], [0, 0, 0, 0]])
    b = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [0, 5, 10, 5], [10, 0, 10, 10], [20, 20, 5, 5]])
    overlaps = detection.intersection_over_union(a, b)
    assert overlaps[0] == pytest.approx([1, 50 / 150, 0.5, 0, 0])
    assert not overlaps[1].any()


def test_a_curve_by_hand():
    """Two faces, three boxes: right, wrong, right."""
    faces = faces_of(("a", 0, 0, 10, 10, False), ("b", 0, 0, 10, 10, False))
    found = found_of(("a", 0, 0, 10, 10, 0.9), ("a", 50, 0, 10, 10, 0.8), ("b", 0, 0, 10, 10, 0.7))
    matched = detection.match(found, faces)
    curve = detection.precision_recall(matched)
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert curve.recall.tolist() == [0.5, 0.5, 1]
    assert curve.wrong.tolist() == [0, 0.5, 0.5]
    # precision is 1 up to the recall of 0.5, then 2/3
    assert detection.average_precision(matched) == pytest.approx(0.5 + 0.5 * 2 / 3)
    coco = (51 * 1 + 50 * 2 / 3) / 101
    assert detection.average_precision(matched, points=101) == pytest.approx(coco)


def test_a_second_box_on_a_face_is_wrong_and_a_faint_one_may_be_the_first():
    faces = faces_of(("a", 0, 0, 10, 10, False))
    found = found_of(("a", 0, 0, 10, 9, 0.5), ("a", 0, 0, 10, 10, 0.4))
    matched = detection.match(found, faces)
    assert matched.found.hit.tolist() == [1, 0] and matched.faces.score.tolist() == [0.5]


def test_an_ignored_face_takes_boxes_that_then_do_not_count():
    faces = faces_of(("a", 0, 0, 10, 10, True), ("a", 30, 0, 10, 10, False))
    found = found_of(("a", 0, 0, 10, 10, 0.9), ("a", 0, 1, 10, 10, 0.8), ("a", 30, 0, 10, 10, 0.7))
    matched = detection.match(found, faces)
    assert np.isnan(matched.found.hit[:2]).all() and matched.found.hit[2] == 1
    assert matched.faces.score.tolist() == [0.9, 0.7]
    assert detection.average_precision(matched) == 1


def test_a_face_that_counts_goes_before_an_ignored_one_that_fits_better():
    faces = faces_of(("a", 0, 0, 10, 10, True), ("a", 0, 3, 10, 10, False))
    matched = detection.match(found_of(("a", 0, 0, 10, 10, 0.9)), faces)
    assert matched.found.hit.tolist() == [1]


def test_the_threshold_is_reached_by_equality():
    faces = faces_of(("a", 0, 0, 10, 10, False))
    found = found_of(("a", 0, 5, 10, 5, 0.9))
    assert detection.match(found, faces, threshold=0.5).found.hit.tolist() == [1]
    assert detection.match(found, faces, threshold=0.51).found.hit.tolist() == [0]


def test_equal_scores_are_one_step_of_the_curve():
    faces = faces_of(("a", 0, 0, 10, 10, False))
    both = found_of(("a", 50, 0, 10, 10, 0.5), ("a", 0, 0, 10, 10, 0.5))
    for found in (both, both[::-1]):
        matched = detection.match(found, faces)
        assert len(detection.precision_recall(matched)) == 1
        assert detection.average_precision(matched) == 0.5


def test_nothing_found_and_nothing_to_find():
    faces = faces_of(("a", 0, 0, 10, 10, False))
    empty = found_of()
    assert detection.average_precision(detection.match(empty, faces)) == 0
    with pytest.raises(ValueError, match="no face counts"):
        detection.average_precision(detection.match(empty, faces.assign(ignore=True)))


def test_what_cannot_be_matched_is_explained():
    faces, found = faces_of(("a", 0, 0, 10, 10, False)), found_of(("a", 0, 0, 10, 10, 0.5))
    with pytest.raises(ValueError, match="no column score"):
        detection.match(found.drop(columns="score"), faces)
    with pytest.raises(ValueError, match="not finite"):
        detection.match(found.assign(left=np.nan), faces)
    with pytest.raises(ValueError, match="the threshold lies above 0"):
        detection.match(found, faces, threshold=0)
    with pytest.raises(ValueError, match="1 photos of the tables were not searched, such as a"):
        detection.match(found, faces, photos=["b"])


@pytest.mark.parametrize("seed", range(5))
def test_precision_and_recall_are_scikit_learns(seed):
    found, faces = drawn(np.random.default_rng(seed), ignored=0.3)
    matched = detection.match(found, faces)
    counts = matched.found.dropna(subset="hit")
    precision, recall, scores = metrics.precision_recall_curve(counts.hit, counts.score)
    curve = detection.precision_recall(matched)[::-1]
    count = (~faces.ignore).sum()
    # scikit-learn knows of found faces only, and ends at the score where all of these are found
    assert curve.score.to_numpy() == pytest.approx(scores)
    assert curve.precision.to_numpy() == pytest.approx(precision[:-1])
    assert curve.recall.to_numpy() * count == pytest.approx(recall[:-1] * counts.hit.sum())


def coco_precision(found, faces, threshold):
    """COCO's evaluation of one class, as its paper and its page describe it: greedy matching by score in each picture,
    precision made monotone, its mean at 101 recalls."""
    taken, right = set(), []
    for box in sorted(found.itertuples(), key=lambda row: -row.score):
        best, chosen = threshold, None
        for face in faces[faces.photo == box.photo].itertuples():
            across = min(box.left + box.width, face.left + face.width) - max(box.left, face.left)
            down = min(box.top + box.height, face.top + face.height) - max(box.top, face.top)
            shared = max(across, 0) * max(down, 0)
            overlap = shared / (box.width * box.height + face.width * face.height - shared)
            if face.Index not in taken and overlap >= best:
                best, chosen = overlap, face.Index
        taken |= {chosen} - {None}
        right.append(chosen is not None)
    right = np.cumsum(right)
    recall, precision = right / len(faces), right / np.arange(1, len(right) + 1)
    at = [precision[recall >= point] for point in np.linspace(0, 1, 101)]
    return np.mean([values.max(initial=0) for values in at])


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.75])
@pytest.mark.parametrize("seed", range(5))
def test_average_precision_is_cocos(seed, threshold):
    found, faces = drawn(np.random.default_rng(seed))
    matched = detection.match(found, faces, threshold=threshold)
    expected = coco_precision(found, faces, threshold)
    assert detection.average_precision(matched, points=101) == pytest.approx(expected)
    assert 0 < expected < 1


def test_the_order_of_rows_changes_nothing(generator):
    found, faces = drawn(generator, ignored=0.2)
    first = detection.average_precision(detection.match(found, faces))
    mixed = found.sample(frac=1, random_state=1), faces.sample(frac=1, random_state=2)
    assert detection.average_precision(detection.match(*mixed)) == pytest.approx(first)


# --- sizes, groups, intervals ----------------------------------------------------------------------


def test_sizes_by_hand():
    faces = faces_of(*(("a", 0, 0, side, side, False) for side in (15.9, 16, 40, 64, 300)))
    expected = ["below 16", "16 to 32", "32 to 64", "64 and more", "64 and more"]
    assert detection.sizes(faces).tolist() == expected


def test_recall_by_group_by_hand():
    faces = faces_of(*((p, 0, 0, 10, 10, False) for p in "abcd")).assign(pose=[*"ffpp"])
    found = found_of(("a", 0, 0, 10, 10, 0.9), ("b", 0, 0, 10, 10, 0.6), ("c", 0, 0, 10, 10, 0.9))
    matched = detection.match(found, faces)
    rows = detection.recall_by(matched, "pose").set_index("group")
    assert rows.recall.to_dict() == {"f": 1, "p": 0.5} and rows.faces.tolist() == [2, 2]
    assert rows.loc["f", ["low", "high"]].tolist() == [1, 1]
    assert rows.low["p"] == 0 and rows.high["p"] == 1
    sure = detection.recall_by(matched, "pose", score=0.8).set_index("group")
    assert sure.recall.to_dict() == {"f": 0.5, "p": 0.5}


def test_drawn_precision_is_that_of_a_table_with_photos_repeated(generator):
    found, faces = drawn(generator, ignored=0.2)
    photos = sorted({*found.photo, *faces.photo})
    matched = detection.match(found, faces, photos=photos)
    times = detection.draws(len(photos), 3, seed=4)
    for row, value in zip(times, detection.drawn_precision(matched, times), strict=True):
        names = [(photo, k) for photo, count in zip(photos, row, strict=True) for k in range(count)]
        again = [
            pd.concat(t[t.photo == photo].assign(photo=f"{photo}-{k}") for photo, k in names)
            for t in (found, faces)
        ]
        assert detection.average_precision(detection.match(*again)) == pytest.approx(value)


def test_equal_detectors_do_not_differ_and_a_better_one_does(generator):
    faces = faces_of(*((f"{i}", 0, 0, 10, 10, False) for i in range(60)))
    good = found_of(*((f"{i}", 0, 0, 10, 10, 0.9) for i in range(60)))
    half = good.assign(left=np.where(np.arange(60) % 2, 100, 0))
    photos = [f"{i}" for i in range(60)]
    a, b = (detection.match(t, faces, photos=photos) for t in (half, good))
    same = detection.compare_precision(a, a, repetitions=200)
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)
    test = detection.compare_precision(a, b, repetitions=500)
    assert test["a"] == pytest.approx(0.25) and test["b"] == 1  # half found at a precision of half
    assert 0.5 < test["low"] < test["difference"] < test["high"] < 0.95 and test["p"] < 0.01
    other = detection.match(good, faces, photos=photos[::-1])
    assert detection.compare_precision(other, b, repetitions=50)["high"] == 0
    parts = [detection.match(half, faces, photos=photos)] * 2
    assert detection.compare_precision(parts, [b, b], repetitions=50)["b"] == 1
    with pytest.raises(ValueError, match="same photos and faces"):
        detection.compare_precision(a, detection.match(good, faces.assign(top=1), photos=photos))


def test_intervals_hold_the_value(generator):
    found, faces = drawn(generator, photos=40)
    matched = detection.match(found, faces)
    low, high = detection.precision_interval(matched, repetitions=300)
    assert low < detection.average_precision(matched) < high


# --- what a set calls a face's box -----------------------------------------------------------------


def test_a_convention_is_learnt_and_undone(generator):
    """The set draws boxes twice as wide and 1.5 times as high, moved up by a tenth of the height."""
    corner, side = generator.uniform(0, 400, (60, 2)), generator.uniform(20, 60, 60)
    found = pd.DataFrame(corner, columns=["left", "top"]).assign(width=side, height=side)
    found = found.assign(photo=[f"{i % 20}" for i in range(60)], score=np.arange(60) / 60)
    rule = detection.Convention(right=0, down=-0.1, width=2, height=1.5)
    faces = rule.applied(found).drop(columns="score").assign(ignore=False)
    assert faces.left[0] == pytest.approx(found.left[0] - side[0] / 2)
    assert faces.top[0] == pytest.approx(found.top[0] - side[0] * 0.35)
    learnt = detection.convention(found, faces)
    values = [learnt.right, learnt.down, learnt.width, learnt.height]
    assert values == pytest.approx([0, -0.1, 2, 1.5], abs=0.03)
    photos = sorted(found.photo.unique())
    moved, (first, second) = detection.adapted(found, faces, photos)
    assert detection.average_precision(detection.match(found, faces)) < 0.2
    assert detection.average_precision(detection.match(moved, faces)) > 0.95
    assert first != second and min(first.boxes, second.boxes) >= detection.FEWEST_BOXES
    parts = detection.halves(photos)
    assert sorted(parts[0] + parts[1]) == photos and len(parts[0]) == len(parts[1])
    spoilt = faces.assign(width=faces.width.where(~faces.photo.isin(parts[0]), 1))
    own, other = detection.adapted(found, spoilt, photos)[1]  # of the first half, of the second
    assert own.width == pytest.approx(first.width) and other.boxes == 0


def test_few_boxes_change_nothing():
    faces = faces_of(("a", 0, 0, 20, 20, False))
    found = found_of(("a", 5, 5, 10, 10, 0.9))
    moved, rules = detection.adapted(found, faces, ["a"])
    assert (moved[BOX] == found[BOX]).all(axis=None) and rules[0] == detection.Convention()
