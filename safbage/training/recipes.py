"""The paper's two recipes as data (section 3.3), to be changed with `dataclasses.replace`."""

from dataclasses import dataclass
from typing import NamedTuple

from safbage import classifiers


class Variant(NamedTuple):
    """How training changes a face: perhaps mirrored, and turned counter-clockwise by degrees."""

    mirrored: bool = False
    turned: float = 0.0


AS_IS = Variant()


@dataclass(frozen=True)
class Recipe:
    """Settings of a fine-tuning. The loss is cross-entropy, the optimizer SGD with momentum.

    The paper names neither the momentum nor a weight decay. 0.9 is AlexNet's own (Krizhevsky et al.
    2012); there is no decay.

    Attributes:
        epochs: an epoch shows every variant of every face once.
        rate: learning rate.
        drop_after: epochs after which the rate is divided by 10; never where None.
        dropout: the share of values that dropout leaves out, from 0 to below 1.
        batch: pictures in a batch.
        momentum: of SGD.
        variants: the pictures made of each face to train on; the face itself is the first, and
            answers are always given to it.
        class_weighted: weigh a face's loss by mean count / count of its class, so that all classes
            weigh the same in sum.
        keep: the epoch whose weights are the result: "last", or "best", by mean
            recall on the validation split. The paper names neither.
        train_from: the first trained layer, all below it is frozen; None for the layer that the
            network's record names for the task.
    """

    epochs: int
    rate: float = 0.001
    drop_after: int | None = None
    dropout: float = 0.4
    batch: int = 128
    momentum: float = 0.9
    variants: tuple[Variant, ...] = (AS_IS,)
    class_weighted: bool = False
    keep: str = "last"
    train_from: str | None = None

    def __post_init__(self):
        if self.epochs < 1 or self.batch < 1 or self.rate <= 0:
            raise ValueError(
                f"epochs {self.epochs} and batch {self.batch} must be at least 1, "
                f"and rate {self.rate} above 0"
            )
        if not 0 <= self.dropout < 1 or not 0 <= self.momentum < 1:
            raise ValueError(
                f"dropout {self.dropout} and momentum {self.momentum} lie from 0 to below 1"
            )
        if self.drop_after is not None and self.drop_after < 1:
            raise ValueError(
                f"drop_after is a number of epochs, at least 1, or None; got {self.drop_after}"
            )
        if self.keep not in ("last", "best"):
            raise ValueError(f'keep is "last" or "best"; got {self.keep!r}')
        variants = tuple(Variant(bool(m), float(t)) for m, t in self.variants)
        if variants[:1] != (AS_IS,) or len(set(variants)) < len(variants):
            raise ValueError(f"variants differ, and the first is the face as it is; got {variants}")
        object.__setattr__(self, "variants", variants)

    def rate_in(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        dropped = self.drop_after is not None and epoch >= self.drop_after
        return self.rate / 10 if dropped else self.rate


def first_layer(recipe: Recipe, network: str, task: str) -> str:
    """The first layer that a recipe trains for a task; ValueError where there is no such network to
    train."""
    record = classifiers.trainable(network)
    return recipe.train_from or record.trained_from[task]


AGE_GENDER_RECIPE = Recipe(
    epochs=30,
    dropout=0.4,
    variants=(AS_IS, Variant(mirrored=True), Variant(turned=3.0), Variant(turned=-3.0)),
)
"""Age and gender: 4 pictures of each face."""

EXPRESSION_RECIPE = Recipe(epochs=40, drop_after=30, dropout=0.35, class_weighted=True)
"""Expression: no augmentation; classes weighted, since AffectNet's are very unequal."""

RECIPES = {"age": AGE_GENDER_RECIPE, "gender": AGE_GENDER_RECIPE, "expression": EXPRESSION_RECIPE}
"""By task."""
