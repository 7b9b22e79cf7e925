"""Face data sets: from a folder to one tidy table, and from the table to prepared faces.

    faces, dropped = datasets.utkface("/data/UTKFace")
    print(datasets.load("fairface").report())  # found in the folder that SAFBAGE_DATA names
    prepared = datasets.open_prepared("synthetic", "prepared/drawn", limit=100)

None of the sets is part of this library; `catalogue` says where each is from, and
``safbage data list`` prints it.
"""

from safbage.datasets.catalogue import fetch, find, list_source, load, open_prepared, sample
from safbage.datasets.drawn import synthetic
from safbage.datasets.readers.adience import adience
from safbage.datasets.readers.affectnet import affectnet
from safbage.datasets.readers.appareal import appareal
from safbage.datasets.readers.csv import csv
from safbage.datasets.readers.fairface import fairface
from safbage.datasets.readers.fer2013 import fer2013
from safbage.datasets.readers.ferplus import ferplus
from safbage.datasets.readers.folders import folders
from safbage.datasets.readers.lfw import lfw
from safbage.datasets.readers.people import people
from safbage.datasets.readers.rafdb import rafdb
from safbage.datasets.readers.utkface import utkface
from safbage.datasets.shards import Prepared
from safbage.datasets.tables import Listing
from safbage.errors import DatasetError as DatasetError  # told of in `errors`

__all__ = [
    "Listing",
    "Prepared",
    "adience",
    "affectnet",
    "appareal",
    "csv",
    "fairface",
    "fer2013",
    "ferplus",
    "fetch",
    "find",
    "folders",
    "lfw",
    "list_source",
    "load",
    "open_prepared",
    "people",
    "rafdb",
    "sample",
    "synthetic",
    "utkface",
]
