"""Look through the built book for what a reader would trip over; the exit status is 1 where there is any.

python docs/book/book_checks.py HTML
"""

import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

MACHINE = re.compile(r"(?<![\w.])/(?:home|root|Users|tmp|work|private)/[\w.-]+")
EXAMPLES = {"/home/me"}
"""Paths that the texts give as examples."""


def faults(folder: Path) -> list[str]:
    """What is wrong with the pages of a folder, a line each: links and anchors that lead nowhere, pictures without a text, what a
    page would load from elsewhere, errors of notebooks, paths of the machine that built it, widgets without their kernel."""
    files = sorted(folder.resolve().rglob("*.html"))
    pages = {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in files}
    anchors = {path: {tag["id"] for tag in page.find_all(id=True)} for path, page in pages.items()}
    found = [] if pages else [f"{folder}: there is no page"]
    for path, page in pages.items():
        wrong = []
        for tag in page.find_all(["a", "img", "link", "script", "iframe", "source"]):
            link = tag.get("href") or tag.get("src")
            parts = urlsplit(link or "")
            if not link or parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc:
                wrong += [f"loaded from elsewhere: {link}"] * (tag.name != "a")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                wrong.append(f"leads nowhere: {link}")
            elif parts.fragment and unquote(parts.fragment) not in anchors.get(target, ()):
                wrong.append(f"no such anchor: {link}")
        pictures = [image for image in page.find_all("img") if not image.get("alt", "").strip()]
        wrong += [f"picture without a text: {image.get('src', '')[:80]}" for image in pictures]
        text = page.get_text()
        wrong += ["an error of a notebook"] * ("Traceback (most recent call last)" in text)
        wrong += [
            f"a path of a machine: {place}"
            for place in MACHINE.findall(text)
            if place not in EXAMPLES
        ]
        wrong += ["a widget without its kernel"] * bool(
            page.find("script", type=re.compile("jupyter.widget"))
        )
        found += [f"{path.relative_to(folder.resolve())}: {line}" for line in wrong]
    return found


if __name__ == "__main__":
    lines = faults(Path(sys.argv[1]))
    print("\n".join(lines) or "The book's links, pictures and pages are in order.")
    sys.exit(bool(lines))
