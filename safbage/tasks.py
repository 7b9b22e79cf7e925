"""What is asked of a face, the answers there are, and the names that tables give them."""

AGE_GROUPS = ("0-2", "4-6", "8-13", "15-20", "25-32", "38-43", "48-53", "60+")
AGE_RANGES = ((0, 2), (4, 6), (8, 13), (15, 20), (25, 32), (38, 43), (48, 53), (60, 200))
"""Adience's groups as the paper names them, and the years of each.

Ages in the gaps belong to none.
"""
GENDERS = ("male", "female")
EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger")

CLASSES = {"age": AGE_GROUPS, "gender": GENDERS, "expression": EXPRESSIONS}
"""The paper's classes by task (section 3.1).

They are Adience's age groups and genders, and AffectNet's seven expressions, in its order. All are
apparent: what annotators saw in a picture, not what a person is, feels or says of themselves.
"""
LABELS = {"age": "age_group", "gender": "gender", "expression": "expression"}
"""The column of a task's labels in tables of faces."""
GROUPS = ("race", "gender", "age_group")
"""Columns by which accuracies are compared."""
YEARS = ("age_years", "age_low", "age_high")
"""Columns of an age in whole years: the median, and the interval that holds 80 % of ages."""
SPLITS = ("train", "validation", "test")
BOX = ("box_left", "box_top", "box_width", "box_height")
"""Columns of a face's box, in pixels of its photo."""
FILM = ("time_s", "frame", "track")
"""Columns of a film's rows: seconds from its beginning, the frame's number, the face's track."""
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""The five points that the detector finds; left and right are the viewer's."""
POSE = ("roll", "yaw", "pitch")
"""How a head is held, in degrees; see `faces.Pose`."""
LANDMARK_COLUMNS = (*(f"{name}_{axis}" for name in LANDMARKS for axis in "xy"), *POSE)
"""Columns of the landmarks, in pixels of the photo, and of the head's pose."""
FACE_SIZE = 224
"""Side of a cropped face, in pixels."""
MAP_SIZE = (28, 28)
"""Rows and columns of a face's saliency map."""
MARGIN = 0.3
"""How much wider than its squared box a face is cropped (section 3)."""
RATIO = 0.3
"""How strongly saliency reweights a face, 0–1: what the paper settles on (Figure 3)."""

NETWORKS = (
    "alexnet",
    "alexnet-caffe",
    "alexnet-gap",
    "gilnet",
    "vgg16",
    "resnet50",
    "densenet121",
    "efficientnet-lite2",
)
"""The networks that can be trained; `classifiers` has a file for each."""
SHIPPED = ("face-mobilenet", "alexnet-gap")
"""Those that ship, trained for all tasks; the first answers where none is named."""
IN_YEARS = ("face-mobilenet",)
"""Those of the shipped that answer age in years, besides its group."""
