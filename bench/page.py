"""The report page in a browser: its size, how soon it stands, and how fast it follows a slider."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench.timing import Row
from breadth.catalog import load_task
from breadth.models.load import load_model
from breadth.report.page.page import write_page
from breadth.study import Unit, open_units, run_unit

DEMO = Path("runs/demo")
SMALL = ("us-states-fewshot", "digits-fewshot")  # where the demo has not run
LARGE = "digits-fewshot:length=3"
STEPS = 20
PAUSE = 100  # ms between steps: what is out of sight is still being drawn for the last one
LOADS = 5
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

WATCH = """
new MutationObserver((_, watching) => {
  if (!document.querySelector("[data-number]")) return;
  watching.disconnect();
  requestAnimationFrame(() => { window.stands = performance.now(); });
}).observe(document, { childList: true, subtree: true });
window.steps = [];
addEventListener("keydown", ({ timeStamp }) => {
  const next = () => window.steps.push(performance.now() - timeStamp);
  requestAnimationFrame(() => requestAnimationFrame(next));
}, true);
"""
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
SECTIONS = "[...document.querySelectorAll('section[id]')].map(({ id }) => id)"


def followed(page: Any) -> list[float]:
    """Milliseconds from each of some keys on the slider to the frame after what is in sight is drawn."""
    page.evaluate("document.getElementById('temperature-range').focus({ preventScroll: true })")
    page.evaluate("window.steps = []")
    for _ in range(STEPS):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(PAUSE)
    steps: list[float] = page.evaluate("window.steps")
    return steps


def measure(browser: Any, name: str, path: Path, megabytes: str) -> list[Row]:
    painted, stands = [], []
    for load in range(LOADS):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(WATCH)
        page.goto(path.as_uri())
        page.wait_for_selector("[data-number=validity]")
        page.evaluate(TWO_FRAMES)
        painted.append(page.evaluate(PAINTED))
        stands.append(page.evaluate("window.stands"))
        if load < LOADS - 1:
            page.close()
    opened = followed(page)
    views = {}
    for section in page.evaluate(SECTIONS):
        page.evaluate("id => document.getElementById(id).scrollIntoView()", section)
        views[section] = statistics.median(followed(page))
    page.close()
    slowest = max(views, key=lambda section: views[section])
    return [
        Row(f"{name}: size", path.stat().st_size / 1e6, "MB", megabytes),
        Row(f"{name}: first contentful paint, worst of {LOADS}", max(painted) / 1e3, "s", "< 1"),
        Row(f"{name}: until the numbers stand, worst of {LOADS}", max(stands) / 1e3, "s"),
        Row(f"{name}: a slider step, median of {STEPS}", statistics.median(opened), "ms", "< 50"),
        Row(f"{name}: a slider step, worst of {STEPS}", max(opened), "ms", "< 50"),
        Row(f"{name}: … median with #{slowest} in sight, the slowest", views[slowest], "ms"),
    ]


def run() -> list[Row]:
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        print("  no browser: install chromium or google-chrome")
        return []

    def units(*tasks: str) -> list[Unit]:
        model = load_model("smollm2-135m")
        return [run_unit(model, load_task(task)) for task in tasks]

    demo = DEMO.is_dir()
    pages: list[tuple[str, list[Unit], str]] = [
        ("demo" if demo else "two runs", open_units(DEMO) if demo else units(*SMALL), "< 4"),
        (LARGE, units(LARGE), "< 8"),
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for name, shown, megabytes in pages:
            path = Path(folder) / "report.html"
            write_page(shown, path)
            rows += [
                Row(f"{name}: prefixes", sum(len(unit.probe.trie.prefixes) for unit in shown)),
                *measure(browser, name, path, megabytes),
            ]
        browser.close()
    return rows
