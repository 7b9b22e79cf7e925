"""What stands between a page's marks, from ``<!-- page: name -->`` to ``<!-- end -->``, written from results."""

import re
from collections.abc import Callable


def marks(page: str) -> re.Pattern:
    """Finds the blocks of a page; its group is a block's name."""
    return re.compile(rf"<!-- {page}: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(text: str, page: str, written: Callable[[str], str]) -> str:
    """A page's text with every block as `written(name)` has it."""

    def block(found):
        return f"<!-- {page}: {found[1]} -->\n{written(found[1]).strip()}\n<!-- end -->"

    return marks(page).sub(block, text)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
