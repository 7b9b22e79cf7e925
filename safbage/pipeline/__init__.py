"""The whole way of a photo: its faces found, looked at as people would, and answered, a row per
face.

    model = SafBage.load()
    table = model.predict("holiday/")           # a DataFrame, a row per face
    seen = model.explain("holiday/beach.jpg")   # crops, maps, reweighted faces and CAMs

The paper's five steps are in `stages`; `batching` takes many photos through them.
"""

from safbage.pipeline.explanation import Explanation
from safbage.pipeline.model import SafBage

__all__ = ["Explanation", "SafBage"]
