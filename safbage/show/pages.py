"""Templates of the pages that are written: the report, and the page of a folder."""

from jinja2 import Environment, PackageLoader, StrictUndefined


def templates() -> Environment:
    """Those in `show/templates`; what is put in is escaped, and a name without a value is an
    error."""
    return Environment(
        loader=PackageLoader("safbage.show"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
