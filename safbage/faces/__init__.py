"""Faces in a photo: which there are, their crops, and what speaks against the answers to them."""

from safbage.faces.crop import crop_face, near_landmarks, square
from safbage.faces.detect import Face, detect_enlarged, detect_faces, detection_stages, largest
from safbage.faces.pose import Pose, eye_angle, head_pose, landmark_values
from safbage.faces.quality import describe_quality, sharpness
from safbage.tasks import LANDMARKS

__all__ = [
    "LANDMARKS",
    "Face",
    "Pose",
    "crop_face",
    "describe_quality",
    "detect_enlarged",
    "detect_faces",
    "detection_stages",
    "eye_angle",
    "head_pose",
    "landmark_values",
    "largest",
    "near_landmarks",
    "sharpness",
    "square",
]
