"""Lists of pairs, in LFW's own form and as a table."""

import pandas as pd
import pytest

from safbage import retrieval
from safbage.errors import DatasetError

LINES = ["A\t1\t2", "B\t1\t3", "A\t1\tB\t2", "B\t4\tC\t1", "D\t2\t1", "E\t1\t9", "D\t1\tE\t1", "D\t3\tF\t7"]  # fmt: skip
FOLDS = [0, 0, 0, 0, 1, 1, 1, 1]


def written(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_lfws_own_form(tmp_path):
    found = retrieval.read_pairs(written(tmp_path / "pairs.txt", ["2\t2", *LINES]))
    assert found.fold.tolist() == FOLDS
    assert found.same.tolist() == [True, True, False, False] * 2
    assert found[["first", "second"]].values.tolist()[:3] == [
        ["A_0001", "A_0002"],
        ["B_0001", "B_0003"],
        ["A_0001", "B_0002"],
    ]


def test_a_csv_with_empty_fields_says_the_same(tmp_path):
    rows = [line.replace("\t", ",") + "," * (line.count("\t") == 2) for line in LINES]
    as_csv = written(tmp_path / "pairs.csv", ["name,imagenum1,imagenum2,", *rows, ""])
    as_text = written(tmp_path / "pairs.txt", ["2\t2", *LINES])
    pd.testing.assert_frame_equal(retrieval.read_pairs(as_csv), retrieval.read_pairs(as_text))


def test_a_list_without_folds_is_one(tmp_path):
    found = retrieval.read_pairs(written(tmp_path / "pairsDevTest.txt", ["2", *LINES[:4]]))
    assert found.fold.tolist() == [0] * 4


def test_its_own_file_is_found_before_a_table(tmp_path):
    assert retrieval.find_pairs(tmp_path) is None
    table = written(tmp_path / "pairs.csv", LINES)
    assert retrieval.find_pairs(tmp_path) == table
    own = written(tmp_path / "pairs.txt", LINES)
    assert retrieval.find_pairs(tmp_path) == own


@pytest.mark.parametrize(
    "lines, told",
    [
        (["2\t2", *LINES[:-1]], "holds 7 pairs in 2 folds; its first line promises 2 folds of 2"),
        (["10\t300", *LINES], "promises 10 folds of 300"),
        (["2\t2", "A\t1", *LINES], r"pairs.txt:2 is no pair: 'A\\t1'"),
        (["A\t1\ttwo"], "pairs.txt:1 is no pair"),
        (["A\t1\t²"], "pairs.txt:1 is no pair"),
        (["A\t1\t" + "9" * 400], "pairs.txt:1 is no pair"),
        (["2\t2"], "holds no pairs"),
        ([], "holds no pairs"),
    ],
)
def test_a_damaged_list_is_refused(tmp_path, lines, told):
    with pytest.raises(DatasetError, match=told):
        retrieval.read_pairs(written(tmp_path / "pairs.txt", lines))


def test_what_is_no_list_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file of pairs"):
        retrieval.read_pairs(tmp_path / "pairs.txt")
    (tmp_path / "noise.txt").write_bytes(bytes(range(256)) * 30)
    with pytest.raises(DatasetError, match="is no pair"):
        retrieval.read_pairs(tmp_path / "noise.txt")
    (tmp_path / "huge.txt").write_bytes(b"A\t1\t2\n" * 10**6)
    with pytest.raises(DatasetError, match="larger than any list"):
        retrieval.read_pairs(tmp_path / "huge.txt")


def test_pairs_of_which_a_picture_is_missing_are_left_out(tmp_path):
    pairs = retrieval.read_pairs(written(tmp_path / "pairs.txt", LINES))
    table = pd.DataFrame({"image": ["/x/B/B_0002.jpg", "/x/A/A_0002.png", "/x/A/A_0001.jpg"]})
    found = retrieval.locate(pairs, table)
    assert found[["a", "b"]].values.tolist() == [[2, 1], [2, 0]]
    assert found.same.tolist() == [True, False]
    with pytest.raises(DatasetError, match=r"of 8 pairs none .* A_0001 and A_0002"):
        retrieval.locate(pairs, table[:1])
