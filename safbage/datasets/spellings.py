"""Other spellings of the classes: how data sets write them, to this library's names."""

import re

from safbage.tasks import AGE_GROUPS


def _by_spelling(names):
    return {spelling: name for name, spellings in names.items() for spelling in spellings}


_EXPRESSIONS = _by_spelling(
    {
        "neutral": ("neutral", "neutrality"),
        "happy": ("happy", "happiness", "joy"),
        "sad": ("sad", "sadness"),
        "surprise": ("surprise", "surprised"),
        "fear": ("fear", "fearful", "afraid"),
        "disgust": ("disgust", "disgusted"),
        "anger": ("anger", "angry"),
    }
)
_GENDERS = _by_spelling(
    {"male": ("male", "m", "man", "men"), "female": ("female", "f", "woman", "women")}
)
_SPLITS = _by_spelling(
    {
        "train": ("train", "training"),
        "validation": ("validation", "val", "valid", "publictest"),
        "test": ("test", "testing", "privatetest"),
    }
)
ADIENCE_RANGES = ((0, 2), (4, 6), (8, 12), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100))
"""Years of the groups in Adience's own labels; the paper calls the third 8-13."""
_GROUPS = dict(zip(ADIENCE_RANGES, AGE_GROUPS, strict=True)) | {(8, 13): "8-13"}


def expression(text: str) -> str | None:
    """``angry``, ``Happiness`` … to one of the seven expressions; None for anything else."""
    return _EXPRESSIONS.get(text.strip().lower())


def gender(text: str) -> str | None:
    """``m``, ``Female`` … to male or female; None for anything else.

    Numbers mean different things in different sets, so they give None.
    """
    return _GENDERS.get(text.strip().lower())


def split(text: str) -> str | None:
    """``training``, ``val``, ``PrivateTest`` … to train, validation or test; None for others."""
    return _SPLITS.get(text.strip().lower())


def years(text: str) -> tuple[int, int] | None:
    """``(25, 32)``, ``25-32``, ``25_32`` or ``35`` to (first, last); None for anything else."""
    found = re.fullmatch(r"\(?\s*(\d{1,3})(?:\s*[-–,_]\s*(\d{1,3}))?\s*\)?", text.strip())
    if not found:
        return None
    first, last = int(found[1]), int(found[2] or found[1])
    return min(first, last), max(first, last)


def age_group(text: str) -> str | None:
    """An age group, as the paper (``8-13``) or Adience (``(8, 12)``) spells it; None for others."""
    return text.strip() if text.strip() in AGE_GROUPS else _GROUPS.get(years(text))


def nearest_age_group(text: str) -> str | None:
    """The age group nearest to a single age, or to the middle of a range of ages.

    The younger of two that are equally near; None where the text is not an age.
    """
    span = years(text)
    if span is None:
        return None
    middle = sum(span) / 2
    distances = [max(low - middle, middle - high, 0) for low, high in ADIENCE_RANGES]
    return age_group(text) or AGE_GROUPS[distances.index(min(distances))]
