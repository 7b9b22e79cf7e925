"""The first two of SAF-BAGE's five steps (section 3): find the faces, crop them. The others (see
where people look, darken the rest, answer) are `networks`."""

import numpy as np

from safbage import faces
from safbage.faces import Face
from safbage.tasks import FACE_SIZE


def find(
    image: np.ndarray, *, min_face: float = 0, max_faces: int | None = None, align: bool = False
) -> tuple[list[Face], np.ndarray]:
    """Steps 1 and 2: a photo's faces, and each with 30 % around it, N×224×224×3 uint8; with `align`
    its eyes are level."""
    found = faces.largest(faces.detect_enlarged(image), min_face=min_face, max_faces=max_faces)
    return found, crop(image, found, align=align)


def crop(image: np.ndarray, found: list[Face], *, align: bool = False) -> np.ndarray:
    """Step 2 alone: each face with 30 % around it, N×224×224×3 uint8."""
    crops = [faces.crop_face(image, face, align=align) for face in found]
    return np.array(crops, "uint8").reshape(-1, FACE_SIZE, FACE_SIZE, 3)
