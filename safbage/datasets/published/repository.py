"""Scenes from their authors' repository: every file verified, fetched once, and laid out for
`safbage.fixations`.

The list of a set's files, `<set>.txt` beside this module, has a line for each: SHA-256, bytes, and
path in the repository at the commit that was checked.
"""

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage.errors import FetchError
from safbage.runtime.files import clear_asides, sha256, write_text, write_whole

HOST = "https://raw.githubusercontent.com"
AT_ONCE = 8
"""Files fetched at the same time."""
TRIES = 3
PATIENCE = 30
"""Seconds that the server may be silent."""
SLOWEST = 10_000
"""Bytes a second below which a file is given up, `PATIENCE` seconds aside."""
CHUNK = 65536
FIXATIONS, FACES = "fixations.mat", "labels.mat"


@dataclass(frozen=True)
class File:
    """One file of a set: where it is in the repository, and what it must be."""

    sha256: str
    bytes: int
    path: str

    @property
    def place(self) -> PurePosixPath:
        """Where it lies in the set's folder: pictures in ``stimuli/``, all else at its top."""
        path = PurePosixPath(self.path)
        inside = path.parent.name == "stimuli"
        return PurePosixPath("stimuli", path.name) if inside else PurePosixPath(path.name)

    def lies_in(self, folder: Path) -> bool:
        """Whether it is there, whole."""
        path = folder / self.place
        if not path.is_file() or path.stat().st_size != self.bytes:
            return False
        return sha256(path) == self.sha256


@dataclass(frozen=True)
class Repository:
    """A set in a GitHub repository, `name` as ``owner/name``, at the `commit` that was checked."""

    name: str
    commit: str
    listing: str
    """The list of its files, beside this module."""

    def files(self) -> list[File]:
        text = files(__package__).joinpath(self.listing).read_text(encoding="utf-8")
        rows = (line.split(" ", 2) for line in text.splitlines())
        return [File(digest, int(size), path) for digest, size, path in rows]

    def fetch(self, title: str, folder: Path, *, progress: bool = True) -> None:
        """Fetch what `folder` lacks, and write the tables that `safbage.fixations` reads.

        Files that are there and whole are kept, so the same call goes on after a break.

        Raises:
            FetchError: a file could not be fetched, or is not the one that was checked.
            WorkError: nothing can be written to the folder.
        """
        (folder / "stimuli").mkdir(parents=True, exist_ok=True)
        for part in (folder, folder / "stimuli"):
            clear_asides(part)
        wanted = [file for file in self.files() if not file.lies_in(folder)]
        total = sum(file.bytes for file in wanted)
        bar = tqdm(total=total, unit="B", unit_scale=True, desc=title, disable=not progress)
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            with bar:
                running = {pool.submit(self._fetch, file, folder): file for file in wanted}
                for done in as_completed(running):
                    done.result()
                    bar.update(running[done].bytes)
        except (OSError, http.client.HTTPException, FetchError) as error:
            lacking = sum(not file.lies_in(folder) for file in wanted)
            raise FetchError(
                f"{title} could not be fetched from github.com/{self.name} ({reason(error)}); "
                f"{lacking} of its files are lacking. Check the connection and give the command "
                f"again: it goes on where it was. Or get the repository elsewhere, at commit "
                f"{self.commit}, put data/stimuli and the .mat files of data into {folder}, and "
                "give the command again"
            ) from error
        finally:  # an interrupt, too, leaves only whole files
            pool.shutdown(cancel_futures=True)
        write_tables(folder)

    def _fetch(self, file, folder):
        address = f"{HOST}/{self.name}/{self.commit}/{file.path}"
        for tried in range(1, TRIES + 1):
            try:
                content = receive(address, file)
                break
            except (OSError, http.client.HTTPException) as error:
                if tried == TRIES or isinstance(error, urllib.error.HTTPError):
                    raise
                time.sleep(tried)
        write_whole(folder / file.place, lambda aside: aside.write_bytes(content))


def receive(address: str, file: File) -> bytes:
    """What lies at an address: that file, or an error.

    Raises:
        FetchError: it is not the file that was checked, or comes too slowly.
        OSError, HTTPException: of the connection.
    """
    late = time.monotonic() + PATIENCE + file.bytes / SLOWEST
    content = bytearray()
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
        while len(content) <= file.bytes and (part := answer.read1(CHUNK)):
            content += part
            if time.monotonic() > late:
                raise FetchError(f"{file.path} comes too slowly")
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise FetchError(f"{file.path} is not the file that was checked")
    return bytes(content)


def reason(error: Exception) -> str:
    """An error in a line."""
    told = getattr(error, "reason", None) or error
    return (str(told).strip().splitlines() or [type(error).__name__])[0]


def write_tables(folder: Path) -> None:
    """``fixations.csv`` from the set's MATLAB file, and ``face_boxes.csv`` where it has faces.

    Raises:
        FetchError: a file has another content than the published one.
    """
    for source, target, rows in (
        (FIXATIONS, "fixations.csv", fixation_rows),
        (FACES, "face_boxes.csv", face_rows),
    ):
        if (folder / source).is_file():
            try:
                table = pd.DataFrame(rows(read_matlab(folder / source)))
            except Exception as error:  # SciPy raises whatever it stumbles over
                raise FetchError(f"{folder / source} could not be read ({error})") from error
            write_text(folder / target, table.to_csv(index=False))


def read_matlab(path: Path) -> list[dict]:
    """The one list of structs that a file holds."""
    import scipy.io

    found = scipy.io.loadmat(path, simplify_cells=True)
    (name,) = (name for name in found if not name.startswith("__"))
    return list(found[name])


def fixation_rows(scenes: list[dict]) -> Iterator[dict]:
    """A row for each fixation: its picture, the viewer's number, x, y in pixels, and how long."""
    for scene in scenes:
        for subject, gaze in enumerate(_listed(scene["subjects"])):
            parts = (np.ravel(gaze[name]) for name in ("fix_x", "fix_y", "fix_duration"))
            for x, y, duration in zip(*parts, strict=True):
                at = {"image": scene["img"], "subject": subject}
                yield at | {"x": x, "y": y, "duration_ms": duration}


def face_rows(scenes: list[dict]) -> Iterator[dict]:
    """A row for each labelled head: its picture, its box in pixels, how it is held and covered."""
    for scene in scenes:
        for face in _listed(scene["faces"]):
            box = {side: round(face[side], 1) for side in ("left", "top", "width", "height")}
            flags = {
                "frontal": face["isFrontalFace"],
                "profile": face["isProfileFace"],
                "back": face["isBackFace"],
                "occluded": face["isOccluded"],
            }
            yield {"image": scene["img"]} | box | flags


def _listed(structs):
    """MATLAB makes no difference between one struct and a list of one."""
    return [structs] if isinstance(structs, dict) else list(structs)
