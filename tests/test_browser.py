"""The ratio explorer in a real browser, driven as a person would: in JupyterLab and as the page of `safbage explore`; and the
page of a folder.

Needs Chromium: from the path, or where CHROMIUM says. Screenshots are left in outputs/browser (or SAFBAGE_ARTEFACTS), to be seen.
"""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import REPOSITORY
from made_servers import WAIT, chromium_path, command_line, jupyterlab, run_notebook, running
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright
from test_show_album import HOSTILE, answered, filled

from safbage import images, reweighting
from safbage.tasks import CLASSES

pytestmark = pytest.mark.browser
ARTEFACTS = Path(os.environ.get("SAFBAGE_ARTEFACTS") or REPOSITORY / "outputs" / "browser")
CELL = """from safbage import SafBage
from safbage.show import widgets

widgets.ratio_explorer(SafBage.load())"""
PLANTED = (
    "voila",
    "voila_config",
    "jupyter_config",
    "jupyter_server_config",
    "ipython_config",
    "ipython_kernel_config",
)
PLANTED += (
    "sitecustomize",
    "usercustomize",
    "safbage",
    "ipykernel_launcher",
    "IPython",
    "tornado",
    "traitlets",
    "numpy",
    "keras",
)
"""Python files that something between the command and its kernel might read, by name."""
BROWSER = """#!/bin/sh
echo "$@" > "$(dirname "$0")/opened"
"""


def test_a_host_that_others_can_reach_is_warned_of(tmp_path):
    command = [
        "-P",
        "-m",
        "safbage.cli",
        "explore",
        "--no-browser",
        "--host",
        "192.0.2.1",
    ]  # an address that no machine has
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
    assert "At 192.0.2.1, others in the network can reach the page, unencrypted" in done.stderr
    assert done.returncode == 1


def needed_chromium():
    """Where Chromium is; a skip where it is not."""
    path, advice = chromium_path(), "needs Chromium (install it, or say where it is in CHROMIUM)"
    if path is None and os.environ.get("CI"):
        pytest.fail(advice)
    return path or pytest.skip(advice)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=needed_chromium(), args=["--no-sandbox"]
        )  # root has no sandbox
        yield browser
        browser.close()


def plant(folder):
    """A folder of photos as a stranger might send it: what is executed or obeyed leaves a trace."""
    for name in PLANTED:
        (folder / f"{name}.py").write_text(
            f"import pathlib; pathlib.Path({str(folder)!r}, 'executed').open('a').write({name!r})"
        )
    (folder / "voila.json").write_text(json.dumps({"Voila": {"base_url": "/planted/"}}))


def foreign_kernel(folder):
    """Another one's kernel named python3, which only leaves a trace."""
    (folder / "kernels" / "python3").mkdir(parents=True)
    spec = {
        "argv": ["touch", str(folder / "started")],
        "display_name": "Python 3",
        "language": "python",
    }
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))


@pytest.fixture(
    scope="module", params=["explore", pytest.param("jupyterlab", marks=pytest.mark.slow)]
)
def server(request, tmp_path_factory):
    """(name, address, working folder, its process, folder of things around it) of `safbage explore`, or of JupyterLab with a
    notebook."""
    folder, around = tmp_path_factory.mktemp(request.param), tmp_path_factory.mktemp("around")
    environment, end = {}, signal.SIGINT
    if request.param == "jupyterlab":
        command, end = jupyterlab(folder, CELL), signal.SIGTERM
    else:
        plant(folder)
        foreign_kernel(around)
        (around / "browser").write_text(BROWSER)
        (around / "browser").chmod(0o700)
        environment = {"JUPYTER_PATH": str(around), "BROWSER": f"{around / 'browser'} %s"}
        command = command_line("explore", "--port", "9866")
    with running(command, around / "log", folder=folder, end=end, **environment) as (process, url):
        yield request.param, url, folder, process, around


explore_only = pytest.mark.parametrize("server", ["explore"], indirect=True)


def kernels(process):
    """The kernels of a server."""
    return [
        child
        for child in process.children(recursive=True)
        if "ipykernel_launcher" in child.cmdline()
    ]


KEEP_WORDS = """window.said = new Set();
new MutationObserver(() => said.add(document.getElementById('loading_text')?.textContent))
    .observe(document, {childList: true, characterData: true, subtree: true});"""
"""What a page says while it is loading is kept in `said`."""


@pytest.fixture(scope="module")
def opened(chromium, server):
    """(name, page with the explorer in view, its working folder, what the console had to complain about)."""
    name, url, folder, *_ = server
    page = chromium.new_page(viewport={"width": 1280, "height": 1100})
    page.add_init_script(KEEP_WORDS)
    complaints = []
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    if name == "jupyterlab":
        run_notebook(page, url)
    else:
        page.goto(url, timeout=WAIT)
    try:
        page.wait_for_selector("[data-class]", timeout=WAIT)
    except PlaywrightError as error:
        shoot(page, f"{name}-failed")
        raise AssertionError(
            f"no explorer; the page says: {page.inner_text('body')[-3000:]}; {complaints}"
        ) from error
    yield name, page, folder, complaints
    page.close()


@pytest.fixture(scope="module")
def seen(model):
    return model.explain(images.astronaut())


def picture(page, title):
    """The picture under a title, as the browser holds it."""
    box = page.locator(".safbage-picture", has=page.get_by_text(title, exact=True)).locator("img")
    source = box.evaluate(
        """async image => {
            const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
            return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''));
        }"""
    )
    return images.decode(base64.b64decode(source)).astype(int)


def bars(page, task):
    """Class to percentage, as written beside the bars."""
    cells = page.locator(f'[data-class^="{task} "]')
    pairs = cells.evaluate_all("all => all.map(one => [one.dataset.class, one.textContent])")
    return {name.removeprefix(f"{task} "): float(text.rstrip("%")) for name, text in pairs}


def ratio(page):
    return int(
        page.locator(".widget-slider", has_text="ratio").locator(".widget-readout").inner_text()
    )


def settle(page, words, seconds=20):
    """Wait until these words are in view."""
    page.get_by_text(words).first.wait_for(timeout=seconds * 1000)


def agrees(page, model, seen, percent, mode="blend", seconds=20):
    """Bars and the reweighted face come to be what the library computes; the page draws them one after the other."""
    expected = model.at_ratio(seen, percent / 100, mode=mode).probabilities
    wanted = reweighting.reweight(seen.crops[0], seen.maps[0], percent / 100, mode=mode)
    deadline = time.monotonic() + seconds
    while True:
        found = {task: bars(page, task) for task in expected}
        assert all(list(found[task]) == list(CLASSES[task]) for task in expected)
        off = {
            task: np.abs(list(found[task].values()) - 100 * values[0]).max()
            for task, values in expected.items()
        }
        off["reweighted"] = np.abs(picture(page, "reweighted") - wanted).mean()
        allowed = dict.fromkeys(expected, 0.11) | {"reweighted": 3}
        if all(off[name] < most for name, most in allowed.items()):
            return
        assert time.monotonic() < deadline, (
            f"at {percent} % still off after {seconds} s: {off}, {found}"
        )
        page.wait_for_timeout(100)


def drag(page, share):
    """Drag the ratio's handle to a share of the slider's length, in small steps."""
    handle = page.locator(".widget-slider", has_text="ratio").locator(".noUi-handle").first
    track = (
        page.locator(".widget-slider", has_text="ratio")
        .locator(".noUi-target")
        .first.bounding_box()
    )
    at = handle.bounding_box()
    page.mouse.move(at["x"] + at["width"] / 2, at["y"] + at["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + share * track["width"], track["y"] + track["height"] / 2, steps=25)
    page.mouse.up()


def shoot(page, name):
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


@explore_only
def test_a_page_says_what_is_being_done(opened):
    _, page, *_ = opened
    said = page.evaluate("[...said].filter(Boolean)")
    assert any("Loading the library" in words for words in said) and any(
        "Loading the networks" in words for words in said
    )
    assert not any("Executing" in words for words in said)


@explore_only
def test_the_browsers_command_line_has_no_token(opened, server, chromium):
    *_, around = server
    (command,) = (around / "opened").read_text().splitlines()
    redirect = Path(command.removeprefix("file://"))
    assert "token" not in command and redirect.stat().st_mode & 0o777 == 0o600
    page = chromium.new_page()
    page.goto(command)
    page.wait_for_url("http://localhost:9866/?token=*", timeout=WAIT)
    page.wait_for_selector("[data-class]", timeout=WAIT)
    page.close()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"http://localhost:9866/voila/files/{redirect.name}")


def test_it_shows_the_papers_ratio_first(opened, model, seen):
    name, page, _, _ = opened
    assert ratio(page) == 30
    agrees(page, model, seen, 30)
    assert np.abs(picture(page, "face") - seen.crops[0]).mean() < 3
    shoot(page, f"{name}-1-first")


def test_dragging_changes_pictures_and_bars_to_what_the_library_computes(opened, model, seen):
    name, page, _, _ = opened
    before = bars(page, "age")
    for share in (0.9, 0.5, 0.62):
        drag(page, share)
        settle(page, f"at {ratio(page)} %:")
        agrees(page, model, seen, ratio(page))
        assert abs(ratio(page) - 100 * share) <= 3
    assert bars(page, "age") != before
    shoot(page, f"{name}-2-dragged")


def test_the_keyboard_moves_it_and_a_button_brings_the_papers_ratio_back(opened, model, seen):
    _, page, _, _ = opened
    start = ratio(page)
    page.locator(".widget-slider", has_text="ratio").locator(".noUi-handle").first.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    settle(page, f"at {start + 5} %:")
    agrees(page, model, seen, start + 5)
    page.get_by_role("button", name="as the paper").click()
    settle(page, "at 30 %:")
    agrees(page, model, seen, 30)


def test_the_formula_can_be_chosen(opened, model, seen):
    name, page, _, _ = opened
    page.get_by_label("formula").select_option(label="clip: where S ≥ r")
    agrees(page, model, seen, 30, mode="clip")
    shoot(page, f"{name}-3-clipped")
    page.get_by_label("formula").select_option(label="blend: (1 − r) + r · S")
    agrees(page, model, seen, 30)


def test_a_view_is_saved(opened):
    _, page, folder, _ = opened
    page.get_by_role("button", name="save this view").click()
    settle(page, "saved ")
    assert (folder / "views" / "astronaut-face0-ratio30-blend-age.png").stat().st_size > 50_000


def upload(page, path):
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="choose a photo").click()
    chooser.value.set_files(path)


def test_an_upload_is_explored_and_a_broken_one_fails_in_words(opened, model, tmp_path):
    name, page, _, _ = opened
    page.get_by_label("look at").select_option(label="a photo of your own")
    settle(page, "Choose a photo")
    mirrored = np.ascontiguousarray(images.astronaut()[:, ::-1])
    upload(page, images.write(tmp_path / "mine.png", mirrored))
    settle(page, "mine.png: the face found is boxed", 60)
    own = model.explain(mirrored)
    agrees(page, model, own, 30)
    shoot(page, f"{name}-4-uploaded")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no photo")
    upload(page, tmp_path / "broken.jpg")
    settle(page, "Error: broken.jpg is")
    (tmp_path / "endless.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n{} loop\n%%EOF\n"
    )
    upload(page, tmp_path / "endless.jpg")
    settle(page, "Error: endless.jpg is")
    agrees(page, model, own, 30)  # what was in view stays
    shoot(page, f"{name}-5-broken")
    page.get_by_label("look at").select_option(label="the embedded photo")
    settle(page, "astronaut: the face found is boxed")


def test_the_console_had_nothing_to_complain_about(opened):
    *_, complaints = opened
    assert complaints == []


@pytest.mark.slow
@explore_only
def test_an_upload_that_is_too_large_is_told(opened, tmp_path):
    _, page, *_ = opened
    with open(tmp_path / "film.jpg", "wb") as file:
        file.truncate(201 * 2**20)
    page.get_by_label("look at").select_option(label="a photo of your own")
    with page.expect_event("dialog") as dialog:
        upload(page, tmp_path / "film.jpg")
    assert "202 MB. At most 200 MB" in dialog.value.message
    dialog.value.accept()
    page.get_by_label("look at").select_option(label="the embedded photo")
    settle(page, "astronaut: the face found is boxed")


@pytest.mark.slow
@explore_only
def test_one_kernel_serves_all_pages_and_ends_after_the_last(opened, server, chromium):
    _, url, _, process, _ = server
    _, page, _, complaints = opened
    process = psutil.Process(process.pid)
    (kernel,) = kernels(process)
    page.get_by_role("button", name="as the paper").focus()
    drag(page, 0.6)
    settle(page, f"at {ratio(page)} %:")
    percent = ratio(page)
    second = chromium.new_page()
    for one in (page, second, page):
        one.goto(url, timeout=WAIT)
        one.wait_for_selector("[data-class]", timeout=WAIT)
        assert ratio(one) == percent
    for _ in range(5):
        urllib.request.urlopen(url).close()  # no page follows
    second.close()
    assert kernels(process) == [kernel] and complaints == []
    page.close()
    kernel.wait(WAIT / 1000)
    assert kernels(process) == []


@explore_only
def test_nothing_in_the_working_folder_or_among_foreign_kernels_was_executed(server):
    _, url, folder, _, around = server
    assert not (folder / "executed").exists() and not (around / "started").exists()
    assert "/planted/" not in url


@pytest.mark.slow
@explore_only
def test_ctrl_c_leaves_nothing_even_while_the_networks_are_loading(server):
    _, url, _, process, _ = server
    urllib.request.urlopen(url).close()
    (kernel,) = kernels(psutil.Process(process.pid))
    folder = Path(kernel.cwd())
    assert (folder / "open.html").exists()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    kernel.wait(60)
    assert not folder.exists()


# --- the page of a folder ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder_page(tmp_path_factory):
    """The page of six photos with hostile names, one of them failed too, a crowd of eight faces and a photo without any."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "figures").mkdir()
    (folder / "figures" / "crowd.jpg.png").write_bytes(images.encode(images.astronaut(), "png"))
    photos = [answered(f"holiday/{name.replace('/', '-')}") for name in HOSTILE]
    photos += [answered("crowd.jpg", faces=8, gender="male", quality="small: 14 px")]
    photos += [answered("holiday/cat.jpg", faces=0, size=(700, 500))]
    photos += [answered(name, faces=0, status=f"failed: {name} is no photo") for name in HOSTILE]
    filled(folder, *photos)
    return (folder / "index.html").as_uri()


@pytest.fixture
def browse(chromium, folder_page):
    """A function that opens the page of a folder; in the end nothing was complained about, and nothing was loaded from
    elsewhere."""
    pages, complaints, asked = [], [], []

    def browse(width=1280, height=900, scheme="light"):
        page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(folder_page)
        pages.append(page)
        return page

    yield browse
    for page in pages:
        page.close()
    root = folder_page.removesuffix("index.html")
    assert not complaints and asked and all(url.startswith(root) for url in asked)


def shown(page):
    return page.locator(".count").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_folder_can_be_browsed_on_a_phone_and_a_desk_by_day_and_night(browse, width, scheme):
    page = browse(width, 844, scheme)
    assert shown(page) == "8 photos, 14 faces, 6 failed"
    for view in ("photos", "faces"):
        page.get_by_label(view, exact=True).check()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shoot(page, f"folder-{view}-{width}-{scheme}")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", ground))) < 128) == (scheme == "dark")


def test_names_are_text_to_the_browser(browse):
    page = browse()
    names = page.locator("article h2 bdi:first-child").all_inner_texts()
    assert set(names) >= {name.replace("/", "-").replace("\u202e", "\\u202e") for name in HOSTILE}
    assert page.locator("script").count() == 1 and not page.locator("img[src=x]").count()


def test_the_browser_runs_no_script_but_the_pages_own_and_loads_nothing_else(chromium, folder_page):
    page, complaints = chromium.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(folder_page)
    planted = '<img src="https://192.0.2.1/x.png" onerror="window.ran = true">'
    page.evaluate(f"document.body.insertAdjacentHTML('beforeend', {planted!r})")
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    assert sum("Content Security Policy" in text for text in complaints) == 2
    page.close()


def test_faces_are_filtered_by_answer_quality_status_and_name(browse):
    page = browse()
    page.get_by_label("gender").select_option("male")
    assert shown(page) == "1 photo, 8 faces" and not page.locator("#failed").is_visible()
    page.get_by_label("quality").select_option("good")
    assert shown(page) == "0 photos, 0 faces"
    page.get_by_role("button", name="show all").click()
    page.get_by_label("status").select_option("none")
    assert shown(page) == "1 photo, 0 faces"
    page.get_by_label("status").select_option("failed")
    assert shown(page) == "0 photos, 0 faces, 6 failed"
    page.get_by_label("status").select_option("")
    page.get_by_label("name has").fill("ONERROR")
    assert shown(page) == "1 photo, 1 face, 1 failed"


def test_a_folder_can_be_browsed_by_keyboard_alone(browse):
    page = browse()

    def focus():
        return page.evaluate(
            "[document.activeElement.tagName, document.activeElement.id || document.activeElement.name]"
        )

    page.keyboard.press("Tab")
    assert page.locator(".skip").bounding_box()["x"] > 0  # it comes into view
    for _ in range(3):
        page.keyboard.press("Tab")
    assert focus() == ["INPUT", "view"]
    page.keyboard.press("ArrowRight")
    assert page.get_by_label("faces", exact=True).is_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert focus() == ["SELECT", "gender"]
    page.keyboard.press("ArrowDown")
    assert shown(page) == "1 photo, 8 faces"
    for _ in range(6):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the first face: to its photo
    assert focus() == ["ARTICLE", "p6"] and page.locator("#p6 .photo").is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/figures/crowd.jpg.png")


def test_pictures_are_loaded_as_they_come_near(browse):
    page = browse(390, 300)
    loaded = "[...document.images].filter(i => i.complete && i.naturalWidth).length"
    page.wait_for_function(f"{loaded} > 0")
    assert page.evaluate(loaded) < page.locator("img").count()
