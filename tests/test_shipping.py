"""The scripts behind what ships: variants of faces, what is stored, figures by hand, and cards and pages that say them."""

import json
from pathlib import Path

import answer_faces
import augmentation
import distil_light_mlnet
import evaluate_faces
import model_cards
import numpy as np
import pandas as pd
import pytest
import ship_faces
from conftest import REPOSITORY, data_folder

from safbage import SafBage, classifiers, datasets, faces, images
from safbage.datasets import preparation, splits
from safbage.datasets.shards import Prepared
from safbage.runtime import weights
from safbage.runtime.weights import stored
from safbage.saliency.metrics import cc
from safbage.tasks import AGE_GROUPS, AGE_RANGES, CLASSES, GENDERS, SPLITS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight drawn faces, prepared with the light ML-Net's maps."""
    folder = tmp_path_factory.mktemp("faces")
    table, _ = datasets.synthetic(folder / "pictures", 8, progress=False)
    table = table.assign(split=pd.Categorical(["train"] * 8, SPLITS))
    options = preparation.Preparation(detect="box", saliency="light")
    preparation.prepare(table, folder / "drawn", options, progress=False)
    return folder / "drawn"


# --- variants --------------------------------------------------------------------------------------------------------


def variants(face, strength, count=60):
    generators = (np.random.default_rng(seed) for seed in range(count))
    return [augmentation.varied(face, generator, strength=strength) for generator in generators]


def apart(a, b):
    """The largest difference of two pictures, in levels."""
    return int(np.abs(a.astype(int) - b).max())


def test_without_strength_a_face_stays_as_it_is_or_is_mirrored(astronaut):
    face = images.resize(astronaut, (96, 96))
    seen = variants(face, 0.0)
    mirrored = [apart(v, face[:, ::-1]) <= 1 for v in seen]
    assert all(m != (apart(v, face) <= 1) for v, m in zip(seen, mirrored, strict=True))
    assert 0.3 < np.mean(mirrored) < 0.7


def test_variants_differ_keep_their_form_and_follow_the_generator(astronaut):
    face = images.resize(astronaut, (96, 96))
    before = face.copy()
    seen = variants(face, 1.0)
    assert all(v.shape == face.shape and v.dtype == np.uint8 for v in seen)
    assert all(np.array_equal(a, b) for a, b in zip(seen, variants(face, 1.0), strict=True))
    assert len({v.tobytes() for v in seen}) == len(seen) and np.array_equal(face, before)
    mild = variants(face, 0.2)
    sides = (face, face[:, ::-1])

    def change(v):
        return min(np.abs(v.astype(int) - side).mean() for side in sides)

    assert np.mean([change(v) for v in mild]) < 0.6 * np.mean([change(v) for v in seen])


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_faces_move_by_seven_percent_at_most(strength):
    face = np.zeros((101, 101, 3), "uint8")
    face[49:52, 49:52] = 255
    ways = []
    for seed in range(200):
        moved = augmentation.randomly_moved(face, np.random.default_rng(seed), strength)[
            :, :, 0
        ].astype(float)
        y, x = (np.average(np.arange(101), weights=moved.sum(axis=1 - axis)) for axis in (0, 1))
        ways.append(max(abs(y - 50), abs(x - 50)))
    assert 5 * strength < max(ways) < 7.07 * strength + 1.5


def test_covers_are_rectangles_of_the_mean_colour(generator):
    face = generator.integers(0, 100, (100, 100, 3), "uint8")
    mean = face.mean(axis=(0, 1)).astype(int)
    covered = [
        augmentation.randomly_covered(face, np.random.default_rng(seed), 1.0) for seed in range(100)
    ]
    changed = [np.argwhere((c != face).any(axis=2)) for c in covered]
    assert 15 < sum(len(where) > 0 for where in changed) < 45
    for cover, where in zip(covered, changed, strict=True):
        if len(where):
            (top, left), (bottom, right) = where.min(axis=0), where.max(axis=0) + 1
            assert (
                max(bottom - top, right - left) <= 40
                and (np.abs(cover[top:bottom, left:right] - mean) <= 1).all()
            )


def test_the_light_mlnets_faces(folder, tmp_path):
    teacher = SafBage.load(saliency="light", tasks=("gender",))
    faces = distil_light_mlnet.Faces([folder], teacher, tmp_path)
    crops, maps = Prepared(folder).faces(np.arange(8))
    as_they_are = [np.array_equal(a, b) for a, b in zip(faces.crops, crops, strict=True)]
    assert as_they_are == 4 * [True, False]  # every other one is a moved copy, with its own map
    alike = [cc(a, b) for a, b in zip(faces.maps, maps, strict=True)]  # made by the light one, too
    assert min(alike[::2]) > 0.999 > max(alike[1::2])

    drawn = np.random.default_rng(0)
    x, y = faces.batch(np.full(4, 4), np.arange(4), drawn)
    assert np.array_equal(x[0], crops[4]) and np.array_equal(y[0, :, :, 0], faces.maps[4])
    assert np.array_equal(x[1], x[0, :, ::-1]) and np.array_equal(y[1], y[0, :, ::-1])
    for plain, spoilt in ((0, 2), (1, 3)):  # poor pictures, the good ones' maps
        assert not np.array_equal(x[spoilt], x[plain]) and np.array_equal(y[spoilt], y[plain])
    again, _ = faces.batch(np.full(4, 4), np.arange(4), drawn)
    assert np.array_equal(again[:2], x[:2]) and not np.array_equal(again[2:], x[2:])

    (tmp_path / "few").mkdir()
    assert len(distil_light_mlnet.Faces([folder], teacher, tmp_path / "few", most=3).crops) == 3


# --- what ships ------------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """An empty folder in place of ``safbage/trained``."""
    (tmp_path / "trained").mkdir()
    monkeypatch.setattr(stored, "TRAINED", tmp_path / "trained")
    return tmp_path / "trained"


def test_what_training_left_is_parted_into_the_files_that_ship(trained, tmp_path, monkeypatch):
    shared, face = np.full((2, 2), 0.5, "float32"), {"conv1/kernel": np.ones(3, "float32")}
    gap = {"conv1/kernel": shared}
    for number, task in enumerate(CLASSES):
        face[f"softmax_{task}/bias"] = np.full(2, number, "float32")
        gap |= {
            f"{layer}_{task}/bias": np.full(2, number + 1, "float32")
            for layer in ("conv5", "softmax")
        }
    face["softmax_expression_fer2013/bias"] = np.zeros(7, "float32")
    for name, tensors in {"face": face, "alexnet-gap": gap}.items():
        weights.save(tensors, tmp_path / f"{name}.safetensors", {})
    monkeypatch.setattr("sys.argv", ["", str(tmp_path)])
    ship_faces.main()
    assert set(weights.shipped_hashes()) == set(ship_faces.DESCRIPTIONS)
    assert set(weights.load("face-mobilenet")) == set(face) - {"softmax_expression_fer2013/bias"}
    assert np.array_equal(weights.load("alexnet-faces")["conv1/kernel"], shared)
    for number, task in enumerate(CLASSES, 1):
        own = weights.load(f"alexnet-gap-{task}")
        assert set(own) == {"conv5/bias", "softmax/bias"}
        assert all((value == number).all() for value in own.values())
    metadata = weights.shipped_metadata("face-mobilenet")
    assert "years" in metadata["description"] and "non-commercial" in metadata["licence"]


def test_the_network_that_is_measured_is_the_one_that_ships(tmp_path, generator):
    more = {"kernel": np.zeros((1024, 7), "float32"), "bias": np.zeros(7, "float32")}
    tensors = weights.load("face-mobilenet")
    tensors |= {f"softmax_expression_fer2013/{part}": value for part, value in more.items()}
    weights.save(tensors, tmp_path / "face.safetensors", {})
    crops = generator.integers(0, 256, (2, 224, 224, 3)).astype("float32")
    found = answer_faces.face_network(tmp_path).predict_on_batch(crops)
    right = classifiers.load_joint(("gender", "expression"), "face-mobilenet")
    right = right.predict_on_batch(crops)
    assert all(
        np.allclose(found[task], right[task], atol=1e-5) for task in ("gender", "expression")
    )
    assert found["age"].shape == (2, 101) and np.allclose(found["expression_fer2013"], 1 / 7)


def test_boxes_in_shares_are_cut_as_boxes_in_pixels(tmp_path, astronaut):
    path = images.write(tmp_path / "a.png", astronaut[:400])
    crop = answer_faces.crop_of(path, np.array([0.25, 0.1, 0.25, 0.5], "float32"))
    assert np.array_equal(crop, faces.crop_face(astronaut[:400], (128, 40, 128, 200)))


# --- figures ---------------------------------------------------------------------------------------------------------


def test_quantiles_and_intervals_by_hand():
    """Of a year that is certain the probability lies evenly within half a year around it."""
    certain = np.eye(101)[[30, 0]]
    assert evaluate_faces.quantile(certain, 0.5).tolist() == [30, 0]
    assert np.allclose(evaluate_faces.quantile(certain, 0.1), [29.6, -0.4])
    halves = np.zeros((1, 101))
    halves[0, [20, 40]] = 0.5
    assert np.allclose(evaluate_faces.quantile(halves, 0.25), 20)
    low, high = evaluate_faces.interval(halves, 0.25)
    assert (low[0], high[0]) == (20, 40)
    years = np.array([19, 20, 30.4, 40.4, 40.6])
    covered = evaluate_faces.coverage(np.repeat(halves, 5, axis=0), years, 0.25)
    assert covered.tolist() == [False, True, True, True, False]


def test_the_tail_is_the_one_that_covers_four_in_five():
    distribution = np.tile(np.full(101, 1 / 101), (1000, 1))
    years = np.linspace(0, 100, 1000)
    assert abs(evaluate_faces.fitted_tail(distribution, years) - 0.1) < 0.01


def test_groups_are_sums_over_years_given_that_the_age_is_in_one():
    distribution = np.zeros((1, 101))
    distribution[0, [1, 22, 30, 31, 99]] = 0.1, 0.5, 0.1, 0.1, 0.2  # 22 lies in a gap
    groups = evaluate_faces.of_ranges(distribution, AGE_RANGES)
    assert np.allclose(groups, [[0.2, 0, 0, 0, 0.4, 0, 0, 0.4]])


def test_votes_have_a_majority_or_only_the_most_or_neither():
    votes = np.zeros((5, 10), int)
    votes[0, :2] = 6, 4
    votes[1, :3] = 5, 4, 1  # the single one does not count
    votes[2, :3] = 4, 3, 3
    votes[3, :2] = 5, 5
    votes[4, 8] = 10  # unknown
    most, majority = evaluate_faces.votes_of(votes)
    assert most.tolist() == [0, 0, 0, -1, -1]
    assert majority.tolist() == [0, 0, -1, -1, -1]


def predictions(labels, answers, classes, **columns):
    table = pd.DataFrame(
        {"image": [f"{i}.jpg" for i in range(len(labels))], "subject": pd.NA, "label": labels}
    )
    p = np.where(np.array(answers)[:, None] == np.array(classes), 0.9, 0.1 / (len(classes) - 1))
    return table.assign(
        answer=answers, **{f"p_{name}": p[:, i] for i, name in enumerate(classes)}, **columns
    )


def test_standard_errors_keep_subjects_whole():
    table = predictions(["male"] * 4, ["male", "male", "female", "female"], CLASSES["gender"])
    assert evaluate_faces.standard_error(table) == pytest.approx(np.std([1, 1, 0, 0], ddof=1) / 2)
    # two subjects, one always right and one never: as two draws of 1 and 0
    pairs = table.assign(subject=["a", "a", "b", "b"])
    assert evaluate_faces.standard_error(pairs) == pytest.approx(
        np.std([1, 0], ddof=1) / np.sqrt(2)
    )
    # means of two draws of 1 and 0: 0, 1/2, 1/2 or 1
    assert evaluate_faces.recall_error(pairs) == pytest.approx(np.sqrt(1 / 8), rel=0.1)
    alone = table.assign(subject="a")
    assert evaluate_faces.standard_error(alone) is evaluate_faces.recall_error(alone) is None


def test_figures_by_hand():
    labels = ["male", "male", "female", "female", "female"]
    answers = ["male", "female", "female", "female", "male"]
    table = predictions(labels, answers, CLASSES["gender"], race=list("aabbb"), gender=labels)
    found = evaluate_faces.figures(table, "gender")
    assert found["accuracy"] == found["most_frequent_class"] == pytest.approx(0.6)
    assert found["recall"] == {"male": 0.5, "female": pytest.approx(2 / 3)}
    assert found["faces_per_class"] == {"male": 2, "female": 3}
    assert found["calibration_error"] == pytest.approx(0.3) and "one_off_accuracy" not in found
    assert [of["faces"] for of in found["reliability"]] == [5]
    assert found["by_race"]["a"]["accuracy"] == 0.5 and found["by_race"]["b"]["faces"] == 3
    assert found["by_race_and_gender"].keys() == {"a, male", "b, female"}
    json.dumps(evaluate_faces.plain(found), allow_nan=False)


def test_figures_of_years_by_hand():
    distribution = np.eye(101)[[10, 20, 30, 40]]
    found = evaluate_faces.years_figures(
        distribution, np.array([10.0, 24, 29, 40]), 0.1, np.array([2, -1, 4, 5])
    )
    assert found["mae"] == pytest.approx(5 / 4) and found["bias"] == pytest.approx(-3 / 4)
    assert found["covered"] == 0.5 and found["width"] == 0
    assert found["low"] < 0.5 < found["high"]
    assert {name: of["covered"] for name, of in found["by_age_group"].items()} == {
        "8-13": 1,
        "25-32": 0,
        "38-43": 1,
    }


@pytest.fixture
def packs(tmp_path):
    """Made packs and answers: forty faces of each set, the second half for testing; every fourth gender is wrong."""
    sets, splits_of = np.repeat(np.arange(6), 40), np.tile(np.repeat([1, 2], 20), 6)
    n, generator = len(sets), np.random.default_rng(0)
    of = {name: sets == code for code, name in enumerate(evaluate_faces.SETS)}
    faces = of["utkface"] | of["fairface"] | of["adience"]
    gender = np.where(faces, np.arange(n) % 2, -1)
    age = np.where(of["utkface"] | of["appa"], generator.integers(0, 90, n), np.nan)
    expression = np.where(of["fer2013"] | of["rafdb"], np.arange(n) % 7, -1)
    counts = np.zeros((n, 10), int)
    counts[of["fer2013"], expression[of["fer2013"]]] = 10
    table = {
        "set": sets,
        "split": splits_of,
        "row": np.arange(n) + 1000,
        "gender": gender,
        "expression": expression,
        "counts": counts,
        "votes": counts[:, :7] / 10,
        "age_mean": age,
        "real_age": np.where(of["appa"], age, np.nan),
        "age_low": np.where(of["fairface"], 20, -1),
        "group": np.where(of["adience"], 4, -1),
        "race": np.where(of["utkface"] | of["fairface"], "Black", ""),
        "subject": np.where(of["adience"], np.char.add("s", (np.arange(n) % 5).astype(str)), ""),
    }
    np.savez(tmp_path / "faces.npz", **table)

    def logits(codes, count):
        return 9 * np.eye(count)[np.maximum(codes, 0)]

    told = np.where(np.arange(n) % 4 == 0, np.minimum(1 - gender, 1), gender)
    years = logits(np.nan_to_num(age, nan=25).astype(int), 101)
    group = logits(np.full(n, 4), len(AGE_GROUPS))
    found = {"face/age": years, "face/gender": logits(told, 2), "alexnet-gap/age": group}
    found |= {"face/expression": logits(expression, 7), "alexnet-gap/gender": logits(gender, 2)}
    found |= {"face/expression_fer2013": logits(expression, 7)}
    found["alexnet-gap/expression"] = logits(expression, 7)
    found["alexnet-gap/gender"][of["appa"]] = np.nan
    for number, split in ((1, "validation"), (2, "test")):
        chosen = splits_of == number
        answers = {name: values[chosen] for name, values in found.items()}
        np.savez(tmp_path / f"{split}.npz", row=table["row"][chosen], **answers)
    faces_answers = {name: of for name, of in answers.items() if name.startswith("face/")}
    faces_answers["face/gender"] = logits(gender, 2)[chosen]
    faces_answers["face/gender"][(of["fairface"] & (gender == 0))[chosen]] = 0, 9
    np.savez(tmp_path / "without.npz", row=table["row"][chosen], **faces_answers)
    return tmp_path


def test_a_report_is_of_test_parts_and_tells_sets_apart(packs):
    report = evaluate_faces.report(packs, packs / "validation.npz", packs / "test.npz")
    face, gap = report["face-mobilenet"], report["alexnet-gap"]
    assert {part: of["faces"] for part, of in face["gender"].items()} == dict.fromkeys(
        ("utkface", "fairface", "adience"), 20
    )
    assert face["gender"]["utkface"]["accuracy"] == 0.75
    assert gap["gender"]["utkface"]["accuracy"] == 1
    assert face["gender"]["adience"]["subjects"] == 5
    assert face["expression"]["ferplus"]["accuracy"] == 1
    assert set(face["years"]) == {"utkface", "appareal", "appareal_real"} and "years" not in gap
    assert face["age_ranges"]["fairface"]["recall"] == {"20-29": 1}
    assert "expression_fer2013" in face and "expression_fer2013" not in gap
    assert report["compared"]["gender"]["utkface"]["difference"] == pytest.approx(-0.25)
    assert report["data"]["adience"]["test"] == {
        "faces": 20,
        "gender": 20,
        "age": 20,
        "expression": 0,
        "votes": 0,
    }
    assert report["labels_agree"] == {"most_votes": 1, "majority": 1}
    json.dumps(evaluate_faces.plain(report), allow_nan=False)


def test_a_network_without_fairface_stands_beside_the_one_that_ships(packs):
    """The one that ships errs in every second male face of each set, the other in every one of FairFace's alone."""
    table = evaluate_faces.read_table(packs)
    found = evaluate_faces.without_fairface(packs / "without.npz", packs / "test.npz", table)
    of = {name: found[name]["gender"] for name in ("in_set", "out_of_set")}
    assert of["in_set"]["fairface"]["accuracy"] == of["in_set"]["utkface"]["accuracy"] == 0.75
    assert of["out_of_set"]["fairface"]["by_race_and_gender"]["Black, male"]["accuracy"] == 0
    assert of["out_of_set"]["utkface"]["accuracy"] == 1
    assert set(of["out_of_set"]["utkface"]) == set(evaluate_faces.BRIEF)
    assert found["compared"]["gender"]["fairface"]["difference"] == pytest.approx(0.25)
    assert found["compared"]["gender"]["utkface"]["difference"] == pytest.approx(-0.25)
    assert found["compared"]["age_ranges"]["fairface"]["p"] == 1
    assert set(found["out_of_set"]["years"]["utkface"]) == {"faces", "mae", "mae_error", "bias"}
    assert "expression_fer2013" not in found["in_set"]
    json.dumps(evaluate_faces.plain(found), allow_nan=False)


# --- cards -----------------------------------------------------------------------------------------------------------

CARDS = ("face-mobilenet", "alexnet-faces", *(f"alexnet-gap-{task}" for task in CLASSES))


@pytest.fixture(scope="module")
def report():
    return model_cards.read_figures()


@pytest.fixture(scope="module")
def texts(report):
    return model_cards.texts(report)


def test_cards_and_facts_say_what_was_measured(texts):
    """A card that was changed by hand, or figures without their cards, are found here."""
    assert {name.removesuffix(".md") for name in texts if name.endswith(".md")} == set(CARDS)
    for name, text in texts.items():
        assert (stored.TRAINED / name).read_text(encoding="utf-8") == text, name


@pytest.mark.parametrize("name", CARDS)
def test_a_card_has_all_parts(name, texts):
    card = texts[f"{name}.md"]
    for heading in ("Data", "Recipe", "Figures", "Limits", "Licence"):
        assert f"\n## {heading}\n" in card
    assert "{" not in card and "nan" not in card.split()


def test_cards_tell_where_aims_are_missed(report, texts):
    """And a figure that changes changes what they say."""
    face = texts["face-mobilenet.md"]
    assert "8.6 points (Black, female) | **no**" in face
    assert "| expression, FER2013's own labels: accuracy | 71 % | 61.0 % ± 0.9 % | **no** |" in face
    assert "62 % | 60.0 % ± 0.9 % | **no**" in texts["alexnet-gap-expression.md"]
    gender = texts["alexnet-gap-gender.md"]
    assert "11.6 points (Black, female) | **no**" in gender and "teacher reaches 94.0 %" in gender
    better = json.loads(json.dumps(report))
    better["face-mobilenet"]["expression"]["fer2013"]["accuracy"] = 0.72
    assert "| 71 % | 72.0 % ± 0.9 % | yes |" in model_cards.face_card(better)


def test_the_card_tells_of_a_strangers_photo(report, texts):
    face = texts["face-mobilenet.md"]
    strangers = face[face.index("## A stranger's photo") : face.index("## Where it falls short")]
    assert "| gender: accuracy | 93.8 % ± 0.5 % | 90.1 % ± 0.6 % | +3.7 points" in strangers
    assert "| East Asian, male | 93.3 % [88.4, 96.2] | 84.1 % [77.8, 88.9] | 164 |" in strangers
    assert "11,980 faces of UTKFace alone, not from 50,743" in strangers
    assert "learnt for ten epochs, not twenty" in strangers and "adience" not in strangers
    assert model_cards.SETTINGS["face"].epochs == 20
    for task in CLASSES:
        assert "trained\nonce more without FairFace" in texts[f"alexnet-gap-{task}.md"]
    other = json.loads(json.dumps(report))
    other["without_fairface"]["out_of_set"]["gender"]["fairface"]["accuracy"] = 0.5
    assert "is told rightly in 50.0 % of the photos, not in 93.8 %" in model_cards.face_card(other)


def test_sure_answers_are_those_of_the_last_bin():
    bins = [(0.5, 0.9, 6, 0.5), (14 / 15, 1.0, 4, 0.75)]
    names = ("low", "high", "faces", "accuracy")
    figures = {"faces": 10, "reliability": [dict(zip(names, of, strict=True)) for of in bins]}
    assert model_cards.sure(figures) == (0.4, 0.75)


def test_settings_are_on_the_cards(texts):
    for name, card in (("face", "face-mobilenet.md"), ("alexnet-gap", "alexnet-faces.md")):
        settings = model_cards.SETTINGS[name]
        assert f"| {settings.epochs} | {settings.rate:g} |" in texts[card]


def test_the_readme_and_its_page_say_what_was_measured(report):
    page = (REPOSITORY / "docs" / "networks.md").read_text(encoding="utf-8")
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert model_cards.networks_table(report) in page
    unequal = page[page.index("## Not equally right for everyone") :]
    limits = readme[readme.index("## Limits and care") :]
    for network, texts in (("face-mobilenet", (unequal, limits)), ("alexnet-gap", (unequal,))):
        groups = report[network]["gender"]["fairface"]["by_race_and_gender"]
        shares = {name: of["accuracy"] for name, of in groups.items()}
        for end in (min, max):
            said = model_cards.percent(shares[end(shares, key=shares.get)])
            assert all(said in text for text in texts)
    face = report["face-mobilenet"]
    children = face["gender"]["utkface"]["by_age_group"]["0-2"]["accuracy"]
    assert model_cards.percent(children) in unequal
    assert model_cards.percent(face["age"]["utkface"]["recall"]["38-43"]) in unequal
    assert model_cards.percent(face["years"]["appareal_real"]["covered"]) in page
    assert f"{100 * report['labels_agree']['most_votes']:.0f} %" in page


def test_unseen_faces_of_utkface_are_answered():
    paths = sorted(data_folder("UTKFace").glob("*.jpg"))
    table = splits.with_split(pd.DataFrame({"image": paths, "subject": pd.NA}))
    tested = [path for path in table.image[table.split == "test"] if path.name.count("_") == 3][
        ::30
    ]
    answers = SafBage.load(tasks=("gender",), saliency="light").predict(tested, progress=False)
    answers = answers[answers.face == 0]
    genders = answers.photo.map(lambda photo: GENDERS[int(Path(photo).name.split("_")[1])])
    assert len(answers) > 50 and (answers.gender == genders).mean() > 0.8
