"""What can go wrong, and is told in a message to the person: what was expected, what came, what to do."""


class SafbageError(Exception):
    """Of all errors below; the command tells its message in one line."""


class ImageError(SafbageError, ValueError):
    """A file or array is not a readable photo; the message says why and what to do."""


class CheckpointError(SafbageError, ValueError):
    """A checkpoint file is damaged, laid out otherwise than expected, or names what is not an array."""


class WeightsError(SafbageError, RuntimeError):
    """Weights are missing, damaged, or could not be fetched; the message says what to do."""


class DatasetError(SafbageError, ValueError):
    """A folder or file is not the data set it is taken for."""


class SceneError(SafbageError, ValueError):
    """A folder or table of fixations is not laid out as expected; the message says what is missing."""


class FetchError(SafbageError, RuntimeError):
    """A data set could not be fetched; the message says why and what to do."""


class WorkError(SafbageError, RuntimeError):
    """A work folder cannot be used or written; the message says why and what to do."""


class ExportError(SafbageError, RuntimeError):
    """The exported network does not answer as ours, or could not be written."""
