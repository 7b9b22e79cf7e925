"""The live page in a browser: answers a second, how far they lag behind the camera, memory over minutes.

    python benchmarks/live.py [--seconds 300] [--jupyterlab] [--overlay "what speaks for a class"]

Headless Chromium plays a made film of 1280×720 as its camera: one drawn person, who sways. It opens the page of `safbage live`,
or with `--jupyterlab` a notebook in JupyterLab with `widgets.live`, and starts the camera. The lag is from the moment at which the
browser captured a frame to its answer painted over the picture. Memory is that of the kernel's process, of the browser's
process of the page, and of the page's JavaScript after its garbage was collected.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import made_films
from made_servers import WAIT, chromium_path, command_line, jupyterlab, run_notebook, running

CELL = """from safbage import SafBage
from safbage.show import widgets

widgets.live(SafBage.load(saliency="light"))"""
STATE = """() => {
    const root = document.querySelector('.safbage-live'), video = root.querySelector('video');
    return {...root.dataset, shown: video.getVideoPlaybackQuality().totalVideoFrames, told: root.querySelector('.told').textContent};
}"""


def server(folder, in_jupyterlab):
    """A server that runs: its process, and the address with the token."""
    if in_jupyterlab:
        command, end = jupyterlab(folder, CELL), signal.SIGTERM
    else:
        command, end = command_line("live", "--no-browser"), signal.SIGINT
    return running(command, folder / "log", folder=folder, end=end)


def begin(page, url, in_jupyterlab):
    """Open the page, and start the camera."""
    # JupyterLab's favicon tells busy from idle, so it changes with every frame. The protocol by which the browser is driven here keeps
    # each one (some 45 KB an answer), which is not memory that a person's browser would need.
    page.route("**/static/favicons/*", lambda route: route.abort())
    if in_jupyterlab:
        run_notebook(page, url)
    else:
        page.goto(url, timeout=WAIT)
    page.wait_for_selector(".safbage-live .start", timeout=WAIT)
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_selector(".safbage-live .answers [data-class]", timeout=WAIT)


def megabytes(process):
    return process.memory_info().rss / 1e6


def computed(processes):
    """Seconds of computing so far, of all of them."""
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def watch(page, kernel, browser, seconds):
    """Two lists of rows, one every five seconds: what is at that moment, and what was a second since the row before."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    renderer = max((p for p in browser if "--type=renderer" in p.cmdline()), key=megabytes)
    states, rates, before, start = [], [], None, time.monotonic()
    while time.monotonic() - start < seconds:
        page.wait_for_timeout(5000)
        session.send("HeapProfiler.collectGarbage")
        told = session.send("Performance.getMetrics")["metrics"]
        metrics = {one["name"]: one["value"] for one in told}
        page_says = page.evaluate(STATE)
        state = {"ms behind the camera": float(page_says["delay"]), "told": page_says["told"]}
        state |= {"kernel, MB": megabytes(kernel), "page's process, MB": megabytes(renderer)}
        state |= {"page's script, MB": metrics["JSHeapUsedSize"] / 1e6, "nodes": metrics["Nodes"]}
        state |= {"load of the machine": os.getloadavg()[0]}
        states.append(state)
        counts = {"answers": int(page_says["number"]), "picture's frames": page_says["shown"]}
        counts |= {"kernel's cores": computed([kernel]), "browser's cores": computed(browser)}
        counts |= {"seconds": time.monotonic()}
        if before:
            passed = counts["seconds"] - before["seconds"]
            rates.append({name: (counts[name] - before[name]) / passed for name in counts})
        before = counts
    return states, rates


def summary(states, rates):
    def quantile(rows, name, share=0.5):
        return round(float(np.quantile([row[name] for row in rows], share)), 2)

    found = {f"{name} a second": quantile(rates, name) for name in ("answers", "picture's frames")}
    found["answers a second, lowest tenth"] = quantile(rates, "answers", 0.1)
    found["ms behind the camera"] = quantile(states, "ms behind the camera")
    found["ms behind the camera, 90 %"] = quantile(states, "ms behind the camera", 0.9)
    for name in ("kernel's cores", "browser's cores"):
        found[name] = quantile(rates, name)
    found["load of the machine"] = quantile(states, "load of the machine")
    fifth = max(1, len(states) // 5)
    for name in ("kernel, MB", "page's process, MB", "page's script, MB", "nodes"):
        parts = states[:fifth], states[-fifth:]
        found[f"{name}, first and last fifth"] = [quantile(part, name) for part in parts]
    return found | {"told": sorted({row["told"] for row in states if row["told"]})}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--jupyterlab", action="store_true", help="in JupyterLab, not the command's page"
    )
    parser.add_argument("--overlay", default="where people would look", help="as the menu calls it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder = Path(folder)
        film = made_films.webcam(folder / "camera.mjpeg")
        flags = [
            "--no-sandbox",
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
        ]
        flags += [f"--use-file-for-fake-video-capture={film}"]
        with server(folder, options.jupyterlab) as (process, url):
            chromium = playwright.chromium.launch(executable_path=chromium_path(), args=flags)
            page = chromium.new_page(viewport={"width": 1280, "height": 1000})
            begin(page, url, options.jupyterlab)
            page.get_by_label("overlay").select_option(label=options.overlay)
            page.wait_for_timeout(15_000)
            below = psutil.Process(process.pid).children(recursive=True)
            (kernel,) = (one for one in below if "ipykernel_launcher" in one.cmdline())
            browser = psutil.Process().children(recursive=True)
            browser = [one for one in browser if one not in below and one.pid != process.pid]
            states, rates = watch(page, kernel, browser, options.seconds)
            chromium.close()
    print(json.dumps(summary(states, rates), indent=1))


if __name__ == "__main__":
    main()
