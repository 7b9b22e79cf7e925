"""The record of a data set: what it is, what it may be used for, and how its pictures are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from safbage.datasets.published import Portraits, Repository
from safbage.datasets.tables import Listing


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        title: as its authors write it.
        what: it holds.
        pictures: how many.
        size: of the download, about; empty where its authors do not say.
        licence: what it may be used for.
        citation: the article.
        where: to get it, and how.
        layout: how to lay out its files.
        folders: usual names of its folder.
        read: from a folder to a `Listing`; None for scenes with fixations, which
            `safbage.fixations.read` reads.
        draw: in place of `read` for a set that is drawn: into a folder so many pictures
            (`count`, `seed`), to a `Listing`.
        hub: its name on the Hugging Face hub, where `datasets.fetch` gets it.
        published: where else `datasets.fetch` gets it, without a form.
        preparation: options of `preparation.Preparation` that its pictures need.
        whole_split: whether the paper tests it by its one split instead of folds.
    """

    title: str
    what: str
    pictures: str
    size: str
    licence: str
    citation: str
    where: str
    layout: str
    folders: tuple[str, ...]
    read: Callable[..., Listing] | None = None
    draw: Callable[..., Listing] | None = None
    hub: str | None = None
    published: Repository | Portraits | None = None
    preparation: Mapping[str, object] = field(default_factory=dict)
    whole_split: bool = False
