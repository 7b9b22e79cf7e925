"""Portraits of public officials by their government's photographers, out of a source package.

PyPI's source package of ``face_recognition`` has them among its tests. Nothing of it is installed.
"""

import hashlib
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from safbage.errors import FetchError, WeightsError
from safbage.runtime.files import write_text, write_whole
from safbage.runtime.weights.fetching import download_with_pip
from safbage.runtime.weights.registry import Origin

PACKAGE = Origin(
    "face_recognition-1.3.0.tar.gz",
    3_182_249,
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
    requirement="face_recognition==1.3.0",
)
WITHIN = "face_recognition-1.3.0/tests/test_images"
CONDITIONS = (
    "may not be manipulated in any way and may not be used in commercial or political materials, "
    "advertisements, emails, products, promotions that in any way suggests approval or endorsement "
    "of the President, the First Family, or the White House"
)
"""What the White House wrote into the pictures."""


@dataclass(frozen=True)
class Portrait:
    """A picture, and what its own metadata say of it."""

    file: str
    sha256: str
    shows: str
    taken: str


PICTURES = (
    Portrait(
        "obama.jpg",
        "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
        "President Barack Obama, at the sitting for an official portrait in the Oval Office",
        "6 December 2012",
    ),
    Portrait(
        "obama2.jpg",
        "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
        "President Barack Obama, before a joint session of Congress",
        "9 September 2009",
    ),
    Portrait(
        "biden.jpg",
        "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
        "Vice President Joe Biden, cut from a photo with two others in the White House",
        "10 May 2010",
    ),
)
"""All by Pete Souza, official White House photographer."""


class Portraits:
    """The portraits, as `safbage data fetch portraits` gets them."""

    def fetch(self, title: str, folder: Path, *, progress: bool = True) -> None:
        """Put the pictures and a README into a folder. What is there already is kept.

        Raises:
            FetchError: pip could not fetch the package, or it has another content.
            WorkError: nothing can be written to the folder.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if not all(whole(folder, portrait) for portrait in PICTURES):
            with tempfile.TemporaryDirectory(dir=folder, prefix="writing-") as aside:
                try:
                    package = download_with_pip(PACKAGE, Path(aside))
                except WeightsError as error:
                    raise FetchError(
                        f"pip could not fetch {PACKAGE.requirement} (its last words: "
                        f"{last_words(error)}). Check the connection and pip's settings and give "
                        f"the command again, or put {', '.join(p.file for p in PICTURES)} of its "
                        f"{WITHIN} into {folder}"
                    ) from error
                unpack(package, folder)
        write_text(folder / "README.md", readme())


def whole(folder: Path, portrait: Portrait) -> bool:
    """Whether a picture is there, the right one."""
    path = folder / portrait.file
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == portrait.sha256


def unpack(package: Path, folder: Path) -> None:
    """Write the pictures of a package into a folder.

    Raises:
        FetchError: the package lacks one, or has another in its place.
    """
    with tarfile.open(package) as archive:
        for portrait in PICTURES:
            try:
                content = archive.extractfile(f"{WITHIN}/{portrait.file}").read()
            except (KeyError, AttributeError, tarfile.TarError) as error:
                raise FetchError(f"{package.name} lacks {portrait.file}") from error
            if hashlib.sha256(content).hexdigest() != portrait.sha256:
                raise FetchError(f"{portrait.file} in {package.name} is another picture")
            write_whole(
                folder / portrait.file, lambda aside, bytes=content: aside.write_bytes(bytes)
            )


def last_words(error: WeightsError) -> str:
    """Pip's last line, within the message of `download_with_pip`."""
    lines = [line for line in str(error).splitlines() if line.startswith("ERROR")]
    return lines[-1].removeprefix("ERROR: ") if lines else str(error).splitlines()[0]


def readme() -> str:
    """Who is shown, by whom, and on what conditions."""
    rows = [f"| {p.file} | {p.shows} | {p.taken} |" for p in PICTURES]
    return "\n".join(
        [
            "# Portraits",
            "",
            "Official White House photos by Pete Souza, cut and stored anew by the authors of the "
            "package `face_recognition` 1.3.0 (MIT), from whose source package they come. As works "
            "of the United States government they are in the public domain in that country.",
            "",
            "| file | shows, by the picture's own metadata | taken |",
            "|---|---|---|",
            *rows,
            "",
            f"The White House wrote into its photos that they *{CONDITIONS}*. Look at them, and "
            "learn from what a network answers. Do not publish altered ones, and use them for "
            "nothing that looks like approval by those who are shown.",
            "",
        ]
    )
