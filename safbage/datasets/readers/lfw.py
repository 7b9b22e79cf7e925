"""LFW, "Labeled Faces in the Wild": press photos of people by name, to tell people apart by."""

from pathlib import Path

from safbage.datasets.readers.people import people
from safbage.datasets.reading import compare_with_published
from safbage.datasets.source import Source
from safbage.datasets.tables import Listing

PUBLISHED = {"pictures": 13_233, "people": 5_749}


def lfw(folder: str | Path) -> Listing:
    """LFW in any of its alignments (Huang et al. 2007): pictures with the person as `subject`.

    It has labels of no task. Its pairs, in ``pairs.txt``, are read by `retrieval.read_pairs`.

    Args:
        folder: ``Aaron_Eckhart/Aaron_Eckhart_0001.jpg`` …, in it or below.

    Raises:
        FileNotFoundError: there is no such folder.
        DatasetError: no picture lies in a person's folder.
    """
    found = people(folder)
    counts = {"pictures": len(found.faces), "people": int(found.faces.subject.nunique())}
    compare_with_published("LFW", {what: (counts[what], PUBLISHED[what]) for what in counts})
    return found


SOURCE = Source(
    title="LFW",
    what="press photos of 5,749 people by name, 250×250; pairs in ten folds",
    pictures="13,233",
    size="110 MB",
    licence="research; its authors name no licence",
    citation="Huang, Ramesh, Berg, Learned-Miller, Labeled Faces in the Wild: a database for "
    "studying face recognition in unconstrained environments, UMass Amherst 07-49, 2007",
    where="the project page, vis-www.cs.umass.edu/lfw: the deep-funnelled pictures and pairs.txt",
    layout="Aaron_Eckhart/Aaron_Eckhart_0001.jpg …, in it or below; pairs.txt or pairs.csv",
    folders=("lfw", "lfw-deepfunneled", "lfw_funneled", "lfwa"),
    read=lfw,
    preparation={"without_face": "whole"},  # its protocol needs an answer for every pair
)
