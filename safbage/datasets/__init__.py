"""Face data sets as they really are: a function for each, from a folder to one tidy table and what was left out.

    faces, dropped = datasets.utkface("/data/UTKFace")
    print(datasets.load("fairface").report())  # found in the folder that SAFBAGE_DATA names

None is part of this library; `catalogue` says where each is from, and ``safbage data list`` prints it.
"""

from safbage.datasets.adience import adience
from safbage.datasets.affectnet import affectnet
from safbage.datasets.appareal import appareal
from safbage.datasets.base import DatasetError, Listing
from safbage.datasets.catalogue import fetch, find, load
from safbage.datasets.csv import csv
from safbage.datasets.fairface import fairface
from safbage.datasets.fer2013 import fer2013, ferplus
from safbage.datasets.folders import folders
from safbage.datasets.rafdb import rafdb
from safbage.datasets.synthetic import synthetic
from safbage.datasets.utkface import utkface

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
