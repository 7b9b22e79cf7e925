"""Face data sets as they really are: a function for each, from a folder to one tidy table and what was left out.

faces, dropped = datasets.utkface("/data/UTKFace")
"""

from safbage.datasets.base import DatasetError, Listing

__all__ = ["DatasetError", "Listing"]
