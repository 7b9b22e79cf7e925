"""Where each data set is from, what it may be used for, how to lay it out, and where it lies on this machine."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from safbage.datasets.readers.adience import adience
from safbage.datasets.readers.affectnet import affectnet
from safbage.datasets.readers.appareal import appareal
from safbage.datasets.readers.fairface import fairface
from safbage.datasets.readers.fer2013 import fer2013, ferplus
from safbage.datasets.readers.rafdb import rafdb
from safbage.datasets.readers.utkface import utkface
from safbage.datasets.tables import Listing
from safbage.errors import DatasetError, FetchError

HUB_CONFIGS = ("0.25", "1.25")


@dataclass(frozen=True)
class Source:
    """One data set.

    Attributes:
        title: as its authors write it.
        what: is in it.
        pictures: how many.
        size: of the download, about; empty where its authors do not say.
        licence: what it may be used for.
        citation: the article.
        where: to get it, and how.
        layout: how to lay out its files.
        folders: usual names of its folder.
        read: from a folder to a `Listing`; None for scenes with fixations, which `safbage.fixations.read` reads.
        hub: its name on the Hugging Face hub, where `fetch` gets it.
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
    hub: str | None = None


SOURCES = {
    "fairface": Source(
        title="FairFace",
        what="faces balanced over seven groups of race; nine age ranges, gender",
        pictures="97,698",
        size="560 MB (1.25: 2.1 GB)",
        licence="CC BY 4.0",
        citation="Kärkkäinen and Joo, FairFace: face attribute dataset for balanced race, gender, and age, WACV 2021",
        where="safbage data fetch fairface; or github.com/joojs/fairface",
        layout="0.25/train-….parquet and 0.25/validation-….parquet; or fairface_label_train.csv, fairface_label_val.csv, "
        "train/, val/",
        folders=("FairFace",),
        read=fairface,
        hub="HuggingFaceM4/FairFace",
    ),
    "utkface": Source(
        title="UTKFace",
        what="aligned faces, 200×200; age 0 to 116, gender, five groups of race in the file name",
        pictures="23,708",
        size="110 MB",
        licence="non-commercial research",
        citation="Zhang, Song, Qi, Age progression/regression by conditional adversarial autoencoder, CVPR 2017",
        where="the project page, susanqq.github.io/UTKFace: aligned and cropped faces",
        layout="25_0_2_20170116174525125.jpg.chip.jpg … (age_gender_race_time), in it or in part folders",
        folders=("UTKFace", "UTKFaces", "crop_part1"),
        read=utkface,
    ),
    "fer2013": Source(
        title="FER2013",
        what="grey faces, 48×48; seven expressions",
        pictures="35,887",
        size="300 MB as csv, 60 MB as pictures",
        licence="the terms of its Kaggle challenge",
        citation="Goodfellow et al., Challenges in representation learning, ICONIP 2013",
        where="kaggle.com, challenges-in-representation-learning-facial-expression-recognition-challenge, with an account",
        layout="fer2013.csv (emotion, pixels, Usage); or train/<class>/ and test/<class>/ or validation/<class>/",
        folders=("fer2013", "FER-2013", "fer_2013"),
        read=fer2013,
    ),
    "ferplus": Source(
        title="FER+",
        what="FER2013 by ten votes a picture: seven expressions, contempt, unknown, not a face",
        pictures="35,887",
        size="2 MB, beside FER2013",
        licence="the votes MIT; the pictures as FER2013",
        citation="Barsoum et al., Training deep networks for facial expression recognition with crowd-sourced label "
        "distribution, ICMI 2016",
        where="github.com/microsoft/FERPlus: fer2013new.csv",
        layout="fer2013new.csv beside fer2013.csv; or, beside train/ and test/, the same table with the pictures' names in a "
        "column image: ferplus_votes.csv",
        folders=("fer2013", "FER-2013", "fer_2013"),
        read=ferplus,
    ),
    "rafdb": Source(
        title="RAF-DB",
        what="aligned faces in colour, 100×100; seven expressions (its basic part)",
        pictures="15,339",
        size="40 MB aligned",
        licence="non-commercial research",
        citation="Li, Deng, Du, Reliable crowdsourcing and deep locality-preserving learning for expression recognition in the "
        "wild, CVPR 2017",
        where="its authors, by the form on the project page, whdeng.cn/RAF/model1.html",
        layout="EmoLabel/list_patition_label.txt, or train_labels.csv and test_labels.csv (image, label); and below it "
        "train_00001_aligned.jpg … and test_0001_aligned.jpg …",
        folders=("RAF-DB", "RAFDB", "raf_db"),
        read=rafdb,
    ),
    "appareal": Source(
        title="APPA-REAL",
        what="face crops; real age, and mean and spread of some 38 guesses of it",
        pictures="7,591",
        size="",
        licence="research",
        citation="Agustsson et al., Apparent and real age estimation in still images with deep residual regressors on APPA-REAL "
        "database, FG 2017",
        where="chalearnlap.cvc.uab.cat/dataset/26; CLAP2016.json (MIT): "
        "github.com/paplhjak/Facial-Age-Estimation-Benchmark-Databases",
        layout="train/, valid/, test/ and gt_avg_train.csv …; or train_labels.csv … (file name, real age) and CLAP2016.json",
        folders=("APPA-REAL", "appa-real-release", "appareal", "appa_real"),
        read=appareal,
    ),
    "adience": Source(
        title="Adience",
        what="photos of 2,284 people; eight age groups, gender, five folds",
        pictures="19,370",
        size="",
        licence="research, by the form's terms",
        citation="Eidinger, Enbar, Hassner, Age and gender estimation of unfiltered faces, IEEE TIFS 2014",
        where="the form of the Open University of Israel, talhassner.github.io/home/projects/Adience",
        layout="fold_0_data.txt … fold_4_data.txt and faces/<user_id>/coarse_tilt_aligned_face.<face_id>.<original_image>",
        folders=("Adience", "AdienceBenchmarkGenderAndAgeClassification"),
        read=adience,
    ),
    "affectnet": Source(
        title="AffectNet",
        what="faces from web searches; eight expressions, valence, arousal",
        pictures="291,651 labelled by people with an expression",
        size="",
        licence="research, by the form's terms",
        citation="Mollahosseini, Hasani, Mahoor, AffectNet, IEEE Transactions on Affective Computing 2017",
        where="the form on the project page, mohammadmahoor.com/affectnet, signed by a professor or laboratory manager",
        layout="training.csv, validation.csv and the pictures' numbered folders; or train_set/ and val_set/, each with "
        "images/<id>.jpg and annotations/<id>_exp.npy",
        folders=("AffectNet",),
        read=affectnet,
    ),
    "osie": Source(
        title="OSIE",
        what="scenes, 800×600; eye movements of 15 viewers",
        pictures="700",
        size="",
        licence="MIT",
        citation="Xu et al., Predicting human gaze beyond pixels, Journal of Vision 2014",
        where="github.com/NUS-VIP/predicting-human-gaze-beyond-pixels",
        layout="stimuli/1001.jpg … and fixations.csv (image, subject, x, y in pixels)",
        folders=("OSIE",),
    ),
    "eyecrowd": Source(
        title="EyeCrowd",
        what="crowded scenes; eye movements of 16 viewers",
        pictures="500",
        size="",
        licence="MIT",
        citation="Jiang, Xu, Zhao, Saliency in crowd, ECCV 2014",
        where="the NUS VIP laboratory, Saliency in Crowd",
        layout="stimuli/….jpg and fixations.csv (image, subject, x, y in pixels)",
        folders=("EyeCrowd",),
    ),
    "salicon": Source(
        title="SALICON",
        what="scenes of COCO, 640×480; crowd workers' mouse movements",
        pictures="20,000",
        size="",
        licence="see salicon.net",
        citation="Jiang et al., SALICON: saliency in context, CVPR 2015",
        where="salicon.net",
        layout="images/[val/]….jpg, maps/val/….png and, if wanted, fixations/val/….mat",
        folders=("SALICON",),
    ),
}


def source(name: str) -> Source:
    """A set by its name, upper or lower case. DatasetError where there is none, with those that there are."""
    if name.lower() not in SOURCES:
        raise DatasetError(f"no data set named {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name.lower()]


def find(name: str, data_dir: str | Path | None = None) -> Path | None:
    """The folder of a data set, or None where it is not on this machine: ``datasets.find("utkface")``.

    Looked for by its usual names, upper or lower case, in `data_dir`, or where that is empty in the folder that the environment
    variable ``SAFBAGE_DATA`` names. Where that folder has one of the names itself, it is taken.

    Raises:
        DatasetError: there is no set of this name.
        FileNotFoundError: the folder to look in does not exist.
    """
    names = {folder.lower() for folder in source(name).folders}
    where = data_dir or os.environ.get("SAFBAGE_DATA")
    if not where:
        return None
    where = Path(where).expanduser().resolve()
    if not where.is_dir():
        origin = "" if data_dir else " (from SAFBAGE_DATA)"
        raise FileNotFoundError(f"no such folder of data sets: {where}{origin}")
    inside = sorted(path for path in where.iterdir() if path.name.lower() in names and path.is_dir())
    return inside[0] if inside else where if where.name.lower() in names else None


def load(name: str, folder: str | Path | None = None, **options) -> Listing:
    """A data set by its name: ``datasets.load("utkface", seed=1)``; the options are its reader's.

    Args:
        name: as in `SOURCES`.
        folder: where it lies; by default where `find` finds it.
        options: for the reader.

    Raises:
        DatasetError: there is no such set, it is not found, or its folder holds something else.
        FileNotFoundError: the folder does not exist.
    """
    chosen = source(name)
    if chosen.read is None:
        raise DatasetError(f"{chosen.title} holds scenes with fixations, no labelled faces; read it with safbage.fixations.read")
    found = folder or find(name)
    if found is None:
        raise DatasetError(
            f"{chosen.title} is not found: set SAFBAGE_DATA to the folder that holds {chosen.folders[0]}/, or name its folder. "
            f"It is had from: {chosen.where}"
        )
    return chosen.read(found, **options)


def fetch(name: str, to: str | Path, *, config: str = "0.25") -> Path:
    """Fetch a data set that is free to fetch into its own folder in `to`, and return that folder.

    What is there already and whole is not fetched again, and an interrupted download goes on: that is huggingface_hub's doing.

    Raises:
        DatasetError: there is no such set, or it must be asked for; the message says where, and how to lay out its files.
        ValueError: there is no such `config`.
        FetchError: the download failed.
    """
    chosen = source(name)
    folder = Path(to).expanduser().resolve() / chosen.folders[0]
    if chosen.hub is None:
        raise DatasetError(
            f"{chosen.title} cannot be fetched by a command. It is had from: {chosen.where}. "
            f"Licence: {chosen.licence}. Lay it out in {folder} as {chosen.layout}"
        )
    if config not in HUB_CONFIGS:
        raise ValueError(f"config is one of {', '.join(HUB_CONFIGS)}; got {config!r}")
    import huggingface_hub

    try:
        huggingface_hub.snapshot_download(
            chosen.hub, repo_type="dataset", allow_patterns=[f"{config}/*.parquet"], local_dir=folder
        )
    except Exception as error:  # the library passes on errors of its transport, whose kinds change with its version
        raise FetchError(
            f"{chosen.title} could not be fetched from huggingface.co ({_first_line(error)}). Check the connection and the disk "
            f"and give the command again: it goes on where it was. Or fetch {config}/*.parquet of the data set {chosen.hub} "
            f"elsewhere and put it into {folder}/{config}"
        ) from error
    return folder


def _first_line(error):
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
