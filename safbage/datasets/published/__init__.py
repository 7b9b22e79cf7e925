"""Sets that are published as plain files: scenes in their authors' repositories, and portraits."""

from safbage.datasets.published.portraits import Portraits
from safbage.datasets.published.repository import Repository

__all__ = ["Portraits", "Repository"]
