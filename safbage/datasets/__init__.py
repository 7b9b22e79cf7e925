"""Face data sets as they really are: a function for each, from a folder to one tidy table and what was left out.

faces, dropped = datasets.utkface("/data/UTKFace")
"""

from safbage.datasets.base import DatasetError, Listing
from safbage.datasets.synthetic import synthetic

__all__ = ["DatasetError", "Listing", "synthetic"]
