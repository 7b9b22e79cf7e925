"""Servers whose pages a browser opens, and the browser: a command of safbage's own, or JupyterLab with a notebook of one cell."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nbformat
from playwright.sync_api import Error as PlaywrightError

WAIT = 120_000
"""Milliseconds, for what starts a kernel and loads networks."""
NOTEBOOK = "page.ipynb"


def chromium_path():
    """Where Chromium is: on the path, or where CHROMIUM says; None where it is not."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def command_line(*words):
    """That of a command of safbage, as the installed one: with -P."""
    return ["-P", "-m", "safbage.cli", *words]


def jupyterlab(folder, cell):
    """The command line of JupyterLab, in a folder where a notebook with this one cell is written."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(cell)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / NOTEBOOK)
    options = {
        "ServerApp.port": 0,
        "ServerApp.root_dir": folder,
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    given = [f"--{name}={value}" for name, value in options.items()]
    return ["-m", "jupyterlab", "--no-browser", "--allow-root", *given]


@contextlib.contextmanager
def running(command, log, *, folder, end=signal.SIGINT, **environment):
    """Run a server: its process, and its address with the token. What it says goes into `log`; `end` ends it."""
    with open(log, "w") as file:
        options = dict(stdout=file, stderr=subprocess.STDOUT, cwd=folder)
        options["env"] = os.environ | environment
        options["preexec_fn"] = lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # ignored in a background job
        process = subprocess.Popen([sys.executable, *command], **options)
    try:
        yield process, _address(process, log)
    finally:
        process.send_signal(end)
        process.wait(60)


def _address(process, log):
    deadline = time.monotonic() + WAIT / 1000
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/\S*token=\w+", log.read_text())
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"the server did not start: {log.read_text()}")


def run_notebook(page, url):
    """Open the notebook of `jupyterlab`, and run its cell. Keys pressed before JupyterLab listens are lost, so they are pressed
    until it has begun."""
    page.goto(url.replace("/lab?", f"/lab/tree/{NOTEBOOK}?"), timeout=WAIT)
    cell = page.locator(".jp-Notebook .jp-CodeCell").first
    begun = cell.locator(".jp-InputPrompt", has_text=re.compile(r"\[(\*|\d+)\]"))
    deadline = time.monotonic() + WAIT / 1000
    while True:
        cell.locator(".cm-content").click(timeout=WAIT)
        page.wait_for_selector('[data-status="idle"]', timeout=WAIT, state="attached")
        page.keyboard.press("Control+Enter")
        try:
            return begun.wait_for(timeout=10_000)
        except PlaywrightError:
            assert time.monotonic() < deadline, page.inner_text("body")[-3000:]
