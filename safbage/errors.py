"""What can go wrong. Messages say what was expected, what came, and what to do."""


class SafbageError(Exception):
    """The base of all errors below; the command shows its message in one line."""


class ImageError(SafbageError, ValueError):
    """A file or array is not a readable photo; the message says why and what to do."""


class FilmError(ImageError):
    """A film cannot be read, or not to its end; the message says where it broke.

    `moment` is where it broke, a `films.Moment`; None where nothing could be read.
    """

    def __init__(self, message: str, moment=None):
        super().__init__(message)
        self.moment = moment


class AddressError(SafbageError, OSError):
    """What an http(s) address gives could not be fetched, or must not be; the message says why."""


class CheckpointError(SafbageError, ValueError):
    """A checkpoint file is damaged, of another layout, or names what is not an array."""


class WeightsError(SafbageError, RuntimeError):
    """Weights are missing, damaged, or could not be fetched; the message says what to do."""


class EngineError(SafbageError, RuntimeError):
    """An engine cannot open a network's file, as where it is damaged; the message says why."""


class DatasetError(SafbageError, ValueError):
    """A folder or file is not the data set it is taken for."""


class SceneError(SafbageError, ValueError):
    """A folder or table of fixations has another layout; the message says what is missing."""


class FetchError(SafbageError, RuntimeError):
    """A data set could not be fetched; the message says why and what to do."""


class WorkError(SafbageError, RuntimeError):
    """A work folder cannot be used or written; the message says why and what to do."""


class ExportError(SafbageError, RuntimeError):
    """The exported network does not answer as ours, or could not be written."""


def install_extra(name: str) -> str:
    """How to get the packages that only some uses need."""
    return f'install the extra "{name}" (in a clone: pip install -e ".[{name}]")'
