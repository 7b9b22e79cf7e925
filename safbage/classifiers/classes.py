"""What is asked of a face, and the answers there are."""

CLASSES = {
    "age": ("0-2", "4-6", "8-13", "15-20", "25-32", "38-43", "48-53", "60+"),
    "gender": ("male", "female"),
    "expression": ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger"),
}
"""The paper's classes (section IV-A): Adience's age groups and genders, AffectNet's seven expressions, in its order.

All are apparent: what annotators saw in a picture, not what a person is, feels or says of themselves.
"""
