"""Face data sets as they really are: a function for each, from a folder to one tidy table and what was left out.

    faces, dropped = datasets.utkface("/data/UTKFace")
    print(datasets.load("fairface").report())  # found in the folder that SAFBAGE_DATA names

None is part of this library; `catalogue` says where each is from, and ``safbage data list`` prints it.
"""

from safbage.datasets.catalogue import fetch, find, load
from safbage.datasets.drawn import synthetic
from safbage.datasets.readers.adience import adience
from safbage.datasets.readers.affectnet import affectnet
from safbage.datasets.readers.appareal import appareal
from safbage.datasets.readers.csv import csv
from safbage.datasets.readers.fairface import fairface
from safbage.datasets.readers.fer2013 import fer2013, ferplus
from safbage.datasets.readers.folders import folders
from safbage.datasets.readers.rafdb import rafdb
from safbage.datasets.readers.utkface import utkface
from safbage.datasets.tables import Listing
from safbage.errors import DatasetError

__all__ = [
    "DatasetError",
    "Listing",
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
    "load",
    "rafdb",
    "synthetic",
    "utkface",
]
