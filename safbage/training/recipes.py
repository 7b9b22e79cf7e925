"""The paper's two recipes as data (section IV-B), to be read, and changed with `dataclasses.replace`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Variant(NamedTuple):
    """One of the pictures that training makes of a face: perhaps mirrored, and turned by some degrees (counter-clockwise)."""

    mirrored: bool = False
    turned: float = 0.0


AS_IS = Variant()

FROM_FC6 = {
    "alexnet": "fc6",
    "alexnet-caffe": "fc6",
    "alexnet-gap": "softmax",
    "gilnet": "conv1",
    "vgg16": "fc8",
    "resnet50": "softmax",
    "densenet121": "softmax",
    "efficientnet-lite2": "softmax",
}
"""First trained layer by network, for age and gender: AlexNet's fully connected layers; of VGG-16 the last alone, and GilNet
whole (the paper's section IV-C); of networks that have but one fully connected layer, that one."""
FROM_CONV5 = FROM_FC6 | {"alexnet": "conv5", "alexnet-caffe": "conv5", "alexnet-gap": "conv5"}
"""The same for expression: AlexNet from conv5 on."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a fine-tuning. The loss is cross-entropy, the optimizer SGD with momentum.

    The paper names neither the momentum nor a weight decay. 0.9 is AlexNet's own (Krizhevsky et al. 2012); there is no decay.

    Attributes:
        train_from: by network its first trained layer; all below it is frozen.
        epochs, batch, dropout: as they say. An epoch shows every variant of every face once.
        rate: learning rate.
        drop_after: epochs after which the rate is divided by 10; never where None.
        momentum: of SGD.
        variants: the pictures made of each face that is trained on; answers are always given to the face as it is.
        class_weighted: weigh a face's loss by mean count / count of its class, so that all classes weigh the same in sum.
        keep: the epoch whose weights are the result: "last", as in the paper, or "best", by mean recall on the validation split.
    """

    train_from: Mapping[str, str]
    epochs: int
    rate: float = 0.001
    drop_after: int | None = None
    dropout: float = 0.4
    batch: int = 128
    momentum: float = 0.9
    variants: tuple[Variant, ...] = (AS_IS,)
    class_weighted: bool = False
    keep: str = "last"

    def __post_init__(self):
        if self.epochs < 1 or self.batch < 1 or self.rate <= 0:
            raise ValueError(f"epochs {self.epochs} and batch {self.batch} are at least 1, and rate {self.rate} above 0")
        if not 0 <= self.dropout < 1 or not 0 <= self.momentum < 1:
            raise ValueError(f"dropout {self.dropout} and momentum {self.momentum} lie from 0 to below 1")
        if self.drop_after is not None and self.drop_after < 1:
            raise ValueError(f"drop_after is a number of epochs, at least 1, or None; got {self.drop_after}")
        if self.keep not in ("last", "best"):
            raise ValueError(f'keep is "last" or "best"; got {self.keep!r}')
        object.__setattr__(self, "variants", tuple(Variant(bool(m), float(t)) for m, t in self.variants))
        if not self.variants or self.variants[0] != AS_IS or len(set(self.variants)) < len(self.variants):
            raise ValueError(f"variants differ, and the first is the face as it is; got {self.variants}")

    def rate_in(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        return self.rate / 10 if self.drop_after is not None and epoch >= self.drop_after else self.rate

    def first_layer(self, network: str) -> str:
        """The first trained layer of a network; ValueError where the recipe names none."""
        if network not in self.train_from:
            raise ValueError(f"the recipe trains {', '.join(self.train_from)}; add {network!r} to its train_from")
        return self.train_from[network]


AGE_GENDER_RECIPE = Recipe(
    train_from=FROM_FC6,
    epochs=30,
    dropout=0.4,
    variants=(AS_IS, Variant(mirrored=True), Variant(turned=3.0), Variant(turned=-3.0)),
)
"""Age and gender: from fc6 on; 4 pictures of each face."""

EXPRESSION_RECIPE = Recipe(train_from=FROM_CONV5, epochs=40, drop_after=30, dropout=0.35, class_weighted=True)
"""Expression: from conv5 on; no augmentation; classes weighted, since AffectNet's are very unequal."""

RECIPES = {"age": AGE_GENDER_RECIPE, "gender": AGE_GENDER_RECIPE, "expression": EXPRESSION_RECIPE}
"""By task."""
