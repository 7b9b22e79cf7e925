"""Synthetic faces: painted caricatures whose every factor is known. They need nothing on disk.

The pictures are drawings, not people, and no stand-in for people: what a classifier reaches on them
says nothing about photos. They serve to learn and to test with: labels are exact, the box is exact,
and a single factor can be changed alone. The cues are deliberately plain. Expressions are textbook
action units. Ages are the textbook's proportions, lines and grey. Gender is *presentation*, drawn
with clichés that are named as such in `features` and `hair`: jaw, brows, lips, lashes, beard, and
hair whose lengths overlap. Clichés are not facts about anybody.

    faces, dropped = datasets.synthetic("/data/synthetic", 1000)
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from safbage import images
from safbage.datasets.drawn import painting
from safbage.datasets.source import Source
from safbage.datasets.splits import with_split
from safbage.datasets.tables import Listing, age_group, listing
from safbage.errors import DatasetError, WorkError
from safbage.runtime import files, work
from safbage.tasks import AGE_GROUPS, AGE_RANGES, BOX, EXPRESSIONS, GENDERS, LABELS

DRAWING = 1
"""Version of how the faces look, raised with every change, so that no folder mixes two of them."""
OLDEST = 85
HAIR_COLOURS = ("black", "dark brown", "brown", "auburn", "blond", "red")
BACKGROUNDS = ("bokeh", "shelf", "foliage", "wall")
HAIR = {
    "male": {
        "short": 0.36,
        "parted": 0.26,
        "curly": 0.14,
        "bob": 0.09,
        "long": 0.06,
        "bun": 0.04,
        "bald": 0.05,
    },
    "female": {
        "short": 0.08,
        "parted": 0.05,
        "curly": 0.17,
        "bob": 0.25,
        "long": 0.31,
        "bun": 0.13,
        "bald": 0.01,
    },
}
"""How often each hair style is drawn: lengths overlap, so hair alone does not tell the gender."""
FACIAL_HAIR = {"none": 0.5, "stubble": 0.24, "moustache": 0.08, "beard": 0.18}
"""How often grown men have which; nobody else is drawn with any."""


@dataclass(frozen=True)
class FaceFactors:
    """All that is known of one synthetic picture; `render` needs nothing else.

    Labels:
        age: years, 0–85.
        gender: "male" or "female": the presentation that is drawn, by clichés.
        expression: one of `tasks.EXPRESSIONS`.

    The person, the same in all pictures of a subject:
        skin: tone, 0 (light) to 1 (deep).
        hair, hair_colour, facial_hair: a key of `HAIR`; of `HAIR_COLOURS`; of `FACIAL_HAIR`.
        grey: share of grey in the hair, 0–1.
        eyes: 0 (brown) to 1 (light).
        glasses: whether the person wears them.
        build: eight numbers about 0 that vary widths, lengths and distances within the face.

    The picture:
        intensity: of the expression, about 1.
        teeth: whether a smile or an angry mouth opens.
        yaw, pitch, roll: of the head, degrees.
        scale: of the face; at 1, its box is about half the picture's height.
        shift: of the face from the middle, (right, down), in sides of the picture.
        light: where it comes from, (right, down), −1 to 1, and its strength, 0–1.
        background, clothes: a name of `BACKGROUNDS`; a hue 0–1.
        blur: standard deviation in pixels of a picture of 256.
        noise: standard deviation in grey levels, 0–255.
        seed: of what is left: clutter, strands of hair and noise.
    """

    age: int
    gender: str
    expression: str
    skin: float = 0.3
    hair: str = "short"
    hair_colour: str = "brown"
    facial_hair: str = "none"
    grey: float = 0.0
    eyes: float = 0.3
    glasses: bool = False
    build: tuple[float, ...] = (0.0,) * 8
    intensity: float = 1.0
    teeth: bool = True
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    light: tuple[float, float, float] = (-0.5, -0.5, 0.5)
    background: str = "wall"
    clothes: float = 0.5
    blur: float = 0.0
    noise: float = 0.0
    seed: int = 0

    @property
    def age_group(self) -> str | None:
        """Adience's group of the age; None in the gaps."""
        return age_group(self.age)


def draw_factors(
    generator: np.random.Generator,
    *,
    age_group: str | None = None,
    gender: str | None = None,
    expression: str | None = None,
) -> FaceFactors:
    """Draw a person and a picture of them at random.

    A label that is not given is drawn too, each class as often as any other.
    Skin, hair colour, eyes, glasses, pose, light, clothes, background, blur and noise do not depend
    on the labels. Hair style, grey hair and facial hair do, being cues of them. Small children's
    hair is short or in a bun.
    """
    age_group = age_group or str(generator.choice(AGE_GROUPS))
    gender = gender or str(generator.choice(GENDERS))
    low, high = AGE_RANGES[AGE_GROUPS.index(age_group)]
    age = int(generator.integers(low, min(high, OLDEST) + 1))
    skin = float(generator.uniform())
    # Light hair on deep skin is drawn seldom.
    shades = np.array([3, 3, 2.5, 1.2, 2, 0.8]) * np.where(np.arange(6) > 2, 1.1 - skin, 1)
    hair, facial_hair = _pick(generator, HAIR[gender]), _pick(generator, FACIAL_HAIR)
    if age < 3:
        hair = {"parted": "short", "bob": "short", "long": "bun"}.get(hair, hair)
    elif age < 25 and hair == "bald":
        hair = "short"
    person = FaceFactors(
        age=age,
        gender=gender,
        expression="neutral",
        skin=skin,
        hair=hair,
        hair_colour=str(generator.choice(HAIR_COLOURS, p=shades / shades.sum())),
        facial_hair=facial_hair if gender == "male" and age >= 22 else "none",
        grey=float(np.clip((age - 42) / 22 + generator.normal(0, 0.12), 0, 1))
        if age >= 38
        else 0.0,
        eyes=float(generator.uniform()),
        glasses=bool(generator.uniform() < 0.15),
        build=tuple(np.clip(generator.normal(0, 1, 8), -2, 2).tolist()),
    )
    return draw_picture(generator, person, expression=expression)


def draw_picture(
    generator: np.random.Generator, person: FaceFactors, *, expression: str | None = None
) -> FaceFactors:
    """Draw another picture of the same person.

    The expression is drawn where it is not given; pose, light, clothes, background and noise are.
    """
    return dataclasses.replace(
        person,
        expression=expression or str(generator.choice(EXPRESSIONS)),
        intensity=float(generator.uniform(0.85, 1.2)),
        teeth=bool(generator.uniform() < 0.6),
        yaw=float(np.clip(generator.normal(0, 8), -16, 16)),
        pitch=float(np.clip(generator.normal(0, 4), -8, 8)),
        roll=float(np.clip(generator.normal(0, 4), -9, 9)),
        scale=float(generator.uniform(0.9, 1.12)),
        shift=tuple(generator.uniform(-0.06, 0.06, 2).tolist()),
        light=(
            float(generator.uniform(-1, 1)),
            float(generator.uniform(-1, 0)),
            float(generator.uniform(0.25, 0.9)),
        ),
        background=str(generator.choice(BACKGROUNDS)),
        clothes=float(generator.uniform()),
        blur=float(generator.choice([0, 0, 0.5, 0.8])),
        noise=float(generator.uniform(0, 5)),
        seed=int(generator.integers(2**31)),
    )


def _pick(generator, shares):
    return str(generator.choice(list(shares), p=list(shares.values())))


def render(factors: FaceFactors, size: tuple[int, int] = (256, 256)) -> np.ndarray:
    """Paint a picture with one face near its middle: height×width×3 uint8, RGB.

    The same factors give the same picture. The face keeps its share of the picture at every size;
    the clutter may differ.

    Raises:
        ValueError: a factor is none of its names, or a side is under 64 pixels.
    """
    _check(factors, size)
    return painting.paint(factors, size)


def face_box(
    factors: FaceFactors, size: tuple[int, int] = (256, 256)
) -> tuple[float, float, float, float]:
    """The face from above the brows to the chin, as MTCNN boxes it.

    Left, top, width and height, in pixels of a picture of `size` (height, width).
    """
    _check(factors, size)
    return painting.box(factors, size)


def _check(factors, size):
    names = {
        "gender": GENDERS,
        "expression": EXPRESSIONS,
        "hair": tuple(HAIR["male"]),
        "hair_colour": HAIR_COLOURS,
        "facial_hair": tuple(FACIAL_HAIR),
        "background": BACKGROUNDS,
    }
    for name, known in names.items():
        if getattr(factors, name) not in known:
            raise ValueError(
                f"{name} is {getattr(factors, name)!r}; expected one of {', '.join(known)}"
            )
    if min(size) < 64:
        raise ValueError(f"expected a picture of at least 64 pixels a side, got {size}")


def factors_of(index: int, *, seed: int = 0, pictures_per_subject: int = 1) -> FaceFactors:
    """The factors of one picture of the set that `synthetic` writes with these settings.

    Every 16 subjects hold each age group of each gender once, and every 7 pictures each expression
    once, in drawn order.
    """
    subject = index // pictures_per_subject
    kind = _shuffled(seed, "person", subject, len(AGE_GROUPS) * len(GENDERS))
    person = draw_factors(
        _generator(seed, "person", subject),
        age_group=AGE_GROUPS[kind // len(GENDERS)],
        gender=GENDERS[kind % len(GENDERS)],
    )
    expression = EXPRESSIONS[_shuffled(seed, "picture", index, len(EXPRESSIONS))]
    return draw_picture(_generator(seed, "picture", index), person, expression=expression)


def _generator(seed, what, number, block=0):
    return np.random.default_rng([seed, ("person", "picture").index(what), number, block])


def _shuffled(seed, what, number, kinds):
    """Which of so many kinds a number gets: every run of so many numbers gets each kind once."""
    return int(_generator(seed, what, number // kinds, 1).permutation(kinds)[number % kinds])


def synthetic(
    folder: str | Path,
    count: int = 1000,
    *,
    size: int = 256,
    seed: int = 0,
    pictures_per_subject: int = 1,
    progress: bool = True,
) -> Listing:
    """Paint synthetic faces into a folder, and list them.

    The folder is created where it is missing. What is there already is not painted again; a killed
    run leaves whole files. A picture depends on its number, the seed and `pictures_per_subject`
    alone: a longer set begins with the shorter one.

    Args:
        folder: for the pictures, JPEG files of quality 95.
        count: how many pictures.
        size: their side in pixels.
        seed: of all that is drawn.
        pictures_per_subject: this many pictures in a row show the same person, each with an
            expression, pose and light of its own.
        progress: show a progress bar.

    Returns:
        A row per picture with image, subject, split (drawn, subjects whole), age, age_group,
        gender, expression, and the face's true box; nothing is left out.

    Raises:
        DatasetError: the folder holds synthetic faces of other settings.
        ValueError: a number is out of its range.
    """
    if not (count >= 1 and size >= 64 and seed >= 0 and pictures_per_subject >= 1):
        raise ValueError(
            "expected count and pictures_per_subject of at least 1, size of at least 64 and seed "
            f"of at least 0; got {count}, {pictures_per_subject}, {size} and {seed}"
        )
    folder = Path(folder).resolve()
    settings = {
        "drawing": DRAWING,
        "size": size,
        "seed": seed,
        "pictures_per_subject": pictures_per_subject,
    }
    try:
        with work.resuming(folder, settings):
            rows = _paint(folder, count, progress, **settings)
    except WorkError as error:
        raise DatasetError(str(error)) from None
    found = listing(rows, [])
    return Listing(with_split(found.faces, seed=seed), found.dropped)


def _paint(folder, count, progress, drawing, size, seed, pictures_per_subject):
    """The pictures that are missing; a row of labels for each."""
    rows = []
    for index in tqdm(range(count), desc="painting faces", disable=not progress):
        factors = factors_of(index, seed=seed, pictures_per_subject=pictures_per_subject)
        path = folder / f"face-{index:06d}.jpg"
        if not path.exists():
            files.write_whole(
                path,
                lambda aside, factors=factors: images.write(aside, render(factors, (size, size))),
            )
        rows.append(_row(path, f"{index // pictures_per_subject:06d}", factors, size))
    return rows


def _row(path, subject, factors, size):
    labels = {name: getattr(factors, name) for name in ("age", *LABELS.values())}
    box = dict(zip(BOX, face_box(factors, (size, size)), strict=True))
    return {"image": str(path), "subject": subject, **labels, **box}


SOURCE = Source(
    title="Drawn faces",
    what="painted caricatures, no people; age, gender, seven expressions, all known exactly",
    pictures="as many as you like",
    size="",
    licence="this library's",
    citation="",
    where="they are drawn by safbage prepare synthetic, or by datasets.synthetic",
    layout="face-000000.jpg …",
    folders=("synthetic",),
    draw=synthetic,
    preparation={"detect": "box", "saliency": "light"},  # the painter knows where it painted
)
