"""``safbage weights`` and ``safbage doctor``: is everything here?"""

import json
from typing import Annotated

import typer
from rich.table import Table

from safbage.cli.base import AsJson, app, fail, say, stdout


@app.command()
def weights(
    names: Annotated[
        list[str] | None, typer.Argument(help="With --fetch: which (default: the two trunks).")
    ] = None,
    fetch: Annotated[
        bool,
        typer.Option(
            "--fetch",
            help="Fetch, verify and convert what is missing or damaged. Without names, "
            "the networks are also prepared for the engine that answers.",
        ),
    ] = False,
    as_json: AsJson = False,
):
    """Show the networks' weights, or fetch them."""
    from safbage.runtime import weights as store

    if fetch:
        unknown = [name for name in names or [] if name not in store.REGISTRY]
        if unknown:
            raise fail(
                f"no weights named {', '.join(unknown)}; there are {', '.join(store.REGISTRY)}", 2
            )
        missing = [name for name in names or store.TRUNKS if not store.is_cached(name)]
        if missing:
            say(
                f"Fetching {', '.join(missing)} into {store.home()}, once; this may take a minute …"
            )
        store.fetch(*(names or []))
        say(f"{', '.join(names or store.TRUNKS)}: in {store.home()}, whole")
        if not names:
            _prepare()
        return
    rows = store.status()
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table(
        "name",
        "state",
        "MB",
        "what",
        "source",
        "licence",
        caption=f"fetched weights lie in {store.home()}",
    )
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f}" if row["bytes"] else ""
        table.add_row(
            row["name"], row["state"], size, row["description"], row["source"], row["licence"]
        )
    stdout().print(table)


def _prepare():
    """Make what the engine that answers needs, so that the first answer is fast, and offline."""
    from safbage.pipeline import answering, deployed

    engine = answering.fastest()
    if engine == "keras":
        return
    deployed.ensure(engine, *deployed.USUAL)
    say(f"{', '.join(deployed.USUAL)}: for {engine} in {deployed.folder()}, whole")


@app.command()
def doctor():
    """Check what is here, and say how to fix what is not."""
    from safbage.runtime import doctor as examiner

    findings = examiner.examine()
    print(examiner.report(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
