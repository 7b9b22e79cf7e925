"""Faces in a photo: which there are, their crops, and what speaks against the answers to them."""

from safbage.faces.crop import crop_face, near_landmarks, square
from safbage.faces.detect import (
    LANDMARKS,
    Face,
    detect_enlarged,
    detect_faces,
    detection_stages,
    largest,
)
from safbage.faces.quality import describe_quality, sharpness

__all__ = [
    "LANDMARKS",
    "Face",
    "crop_face",
    "describe_quality",
    "detect_enlarged",
    "detect_faces",
    "detection_stages",
    "largest",
    "near_landmarks",
    "sharpness",
    "square",
]
