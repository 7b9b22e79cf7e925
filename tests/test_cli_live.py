"""`safbage live`: its page as a notebook; and in a real browser, whose camera plays a film of a drawn face."""

import re
import signal
import urllib.request

import made_films
import nbformat
import pytest
from made_servers import WAIT, command_line, jupyterlab, run_notebook, running
from playwright.sync_api import sync_playwright
from test_browser import needed_chromium, shoot
from typer.testing import CliRunner

from safbage import saliency
from safbage.cli import base
from safbage.cli import live as module
from safbage.cli.page import Page
from safbage.cli.serving import write_page

CELL = """from safbage import SafBage
from safbage.show import widgets

widgets.live(SafBage.load(saliency="light"))"""


def test_the_page_is_a_notebook_that_makes_its_widget_once(tmp_path):
    given = dict(ratio=0.5, network="alexnet-gap", saliency="light", max_faces=2)
    cells = module.code(**given)
    options = dict(title="live", above="# Above", below="Below", steps=["a"], largest_message=9)
    write_page(tmp_path / "page.ipynb", cells, **options)
    notebook = nbformat.read(tmp_path / "page.ipynb", 4)
    nbformat.validate(notebook)
    assert [cell.source for cell in notebook.cells] == ["# Above", *cells, "Below"]
    assert notebook.metadata.steps == ["a"] and notebook.metadata.largest_message == 9
    assert "SafBage.load(ratio=0.5, network='alexnet-gap', saliency='light')" in cells[1]
    made = []
    around = {"model": 1, "widgets": None, "camera": 2, "made": made}
    for cell in cells[1:]:
        exec(cell, around)  # what is there is not made again
    assert around["model"] == 1 and around["camera"] == 2


def test_the_networks_that_ship_are_known_without_loading_keras():
    assert set(module.SHIPPED) == set(saliency.SHIPPED)


def test_weights_are_named_by_their_whole_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (load,) = (
        cell
        for cell in module.code(ratio=0, network="x", saliency="my.h5", max_faces=1)
        if "load" in cell
    )
    assert repr(str(tmp_path / "my.h5")) in load


@pytest.mark.parametrize(
    "line, words",
    [
        ("--saliency none.h5", "no such file: none.h5"),
        ("--max-faces 0", "--max-faces"),
        ("--ratio 2", "--ratio"),
        ("--port many", "--port"),
    ],
)
def test_what_cannot_work_is_told_before_the_page_opens(line, words):
    done = CliRunner().invoke(base.app, ["live", "--no-browser", *line.split()])
    assert done.exit_code in (1, 2) and words in done.stderr


def test_a_page_that_is_open_is_not_taken_for_one_that_is_gone(tmp_path):
    """The server first asks after one interval, and looks for the answer before it asks again."""
    settings = Page(
        tmp_path, browser=False, called="", title="", largest_message=1
    ).tornado_settings
    assert settings["ws_ping_timeout"] >= 2 * settings["ws_ping_interval"]


# --- in a browser ------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["live", "jupyterlab"])
def server(request, tmp_path_factory):
    """(name, address, its process) of `safbage live`, or of JupyterLab with a notebook that shows the widget."""
    folder = tmp_path_factory.mktemp(request.param)
    command, end = command_line("live", "--no-browser", "--port", "9867"), signal.SIGINT
    if request.param == "jupyterlab":
        command, end = jupyterlab(folder, CELL), signal.SIGTERM
    with running(command, folder / "log", folder=folder, end=end) as (process, url):
        yield request.param, url, process


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    film = made_films.webcam(tmp_path_factory.mktemp("camera") / "film.mjpeg", seconds=3)
    flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    flags += [f"--use-file-for-fake-video-capture={film}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needed_chromium(), args=flags)
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.browser
def test_ones_face_is_boxed_and_answered_while_the_camera_runs(server, chromium):
    name, url, _ = server
    page, complaints = chromium.new_page(viewport={"width": 1280, "height": 1000}), []
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    asked = set()
    page.on("request", lambda request: asked.add(re.match(r"\w+:(//[^/]*)?", request.url)[0]))
    if name == "jupyterlab":
        run_notebook(page, url)
    else:
        page.goto(url, timeout=WAIT)
    page.get_by_role("button", name="Start the camera").click(timeout=WAIT)
    page.wait_for_selector(".safbage-live .answers [data-class]", timeout=WAIT)
    assert "gender: female" in page.inner_text(".answers") and page.inner_text(".told") == ""
    for overlay, caption in (
        ("where people would look", "where people would look, S"),
        ("what the network sees", "the face at 30%"),
        ("what speaks for a class", "against (−) age"),
    ):
        page.get_by_label("overlay").select_option(label=overlay)
        page.locator(".caption", has_text=caption).wait_for(timeout=WAIT)
        shoot(page, f"live-{name}-{overlay.replace(' ', '-')}")
    page.get_by_label("CAM of").select_option(label="expression")
    page.locator(".caption", has_text="against (−) expression").wait_for(timeout=WAIT)
    page.get_by_role("button", name="Stop the camera").click()
    assert page.evaluate("document.querySelector('.safbage-live video').srcObject") is None
    assert complaints == [] and {one for one in asked if "//" in one} <= {
        re.match(r"\w+://[^/]*", url)[0],
        re.match(r"\w+://[^/]*", url)[0].replace("http", "ws"),
    }
    page.close()
    if name == "live":
        without_token = urllib.request.urlopen(url.partition("?")[0])
        assert "/login" in without_token.url and b"safbage-live" not in without_token.read()
