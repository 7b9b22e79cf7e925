"""The ratio explorer: seconds to its first view, milliseconds per move, memory over many moves.

    python benchmarks/explorer.py [--moves 500] [--browser]

Without `--browser`, what the kernel does: the widget is built and moved from code. With it, what a person waits for: the page of
`safbage explore` in headless Chromium, from its address to the first bars, loaded again, and from a key press to the moved bars;
and what its kernels take after twenty more loads.
"""

import argparse
import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil


def resident():
    """This process's resident memory in MB (Linux)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def kernel(moves):
    from safbage import SafBage
    from safbage.show import widgets

    start = time.perf_counter()
    model = SafBage.load()
    found = {"load, s": time.perf_counter() - start}
    for name in ("first view, s", "second explorer, s"):
        start = time.perf_counter()
        explorer = widgets.ratio_explorer(model)
        found[name] = time.perf_counter() - start
    for percent in range(50):  # warm
        explorer.ratio.value = percent
    gc.collect()
    before, times = resident(), []
    for i in range(moves):
        start = time.perf_counter()
        explorer.ratio.value = (i * 37) % 101
        times.append(1000 * (time.perf_counter() - start))
    assert not explorer.message.value, explorer.message.value
    gc.collect()
    found |= {"move, ms, median": np.median(times), "move, ms, 95 %": np.quantile(times, 0.95)}
    return found | {f"memory over {moves} moves, MB": resident() - before, "memory, MB": resident()}


def browser(moves):
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "safbage.cli", "explore", "--no-browser"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = next(
            found[0] for line in server.stderr if (found := re.search(r"http://\S+", line))
        )
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = chromium.new_page(viewport={"width": 1280, "height": 1000})
            start = time.perf_counter()
            page.goto(address, timeout=120_000)
            page.wait_for_selector("[data-class]", timeout=120_000)
            first = time.perf_counter() - start
            page.wait_for_timeout(2000)
            page.locator(".noUi-handle").first.focus()
            times = page.evaluate(KEYS, moves)
            reloads = [reload(page) for _ in range(20)]
            kernels = [
                child.memory_info().rss / 1e6
                for child in psutil.Process(server.pid).children(recursive=True)
            ]
            chromium.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)
    return {
        "address to first bars, s": first,
        "loaded again, s, median": np.median(reloads),
        "kernels after 20 reloads": len(kernels),
        "their memory, MB": sum(kernels),
        "key to bars, ms, median": np.median(times),
        "key to bars, ms, 95 %": np.quantile(times, 0.95),
    }


def reload(page):
    """Seconds from loading again to the bars."""
    start = time.perf_counter()
    page.reload(timeout=120_000)
    page.wait_for_selector("[data-class]", timeout=120_000)
    return time.perf_counter() - start


KEYS = """async moves => {
    const handle = document.activeElement, times = [];
    const caption = () => [...document.querySelectorAll('.safbage-picture')].map(one => one.textContent).join();
    for (let i = 0; i < moves; i++) {
        const start = performance.now();
        const key = Math.floor(i / 20) % 2 ? 'ArrowLeft' : 'ArrowRight';
        handle.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
        const shown = `at ${Number(handle.getAttribute('aria-valuenow'))} %:`;
        while (!caption().includes(shown) && performance.now() - start < 5000) await new Promise(done => setTimeout(done, 1));
        times.push(performance.now() - start);
    }
    return times;
}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--moves", type=int, default=500)
    parser.add_argument(
        "--browser",
        action="store_true",
        help="in headless Chromium (needs the test extra and Chromium)",
    )
    options = parser.parse_args()
    found = (browser if options.browser else kernel)(options.moves)
    print(json.dumps({name: round(float(value), 2) for name, value in found.items()}, indent=1))


if __name__ == "__main__":
    main()
