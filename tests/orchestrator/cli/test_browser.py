"""What a user looks at, in a real browser: the report's page, and MLflow as `kd ui` opens it.

Debian's Chromium is wanted (`apt-get install chromium`), and Playwright, which comes with the development's packages. Pictures
of what was seen are left in the folder that KD_SCREENSHOTS names.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.cli.app import main
from tests.support.command_line import complete
from tests.support.paths import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


class Seen:
    """A page, what it asked for, and what it complained of."""

    def __init__(self, browser, width, height=900):
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self.asked, self.complaints = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def keep(self, name):
        if folder := os.environ.get("KD_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    @property
    def hosts(self):
        """The machines that were asked for something."""
        return {urlsplit(url).hostname for url in self.asked if urlsplit(url).scheme in ("http", "https", "ws", "wss")}


@pytest.fixture
def page_of_report(toy, tmp_path, capsys):
    complete(toy)
    assert main(["report", toy, "--format", "html", "-o", str(tmp_path / "toy.html")]) == 0
    return (tmp_path / "toy.html").as_uri()


@pytest.mark.parametrize("width", [1400, 400])
def test_the_report_is_sorted_turned_dark_and_asks_nobody(browser, page_of_report, width):
    seen = Seen(browser, width)
    page = seen.page
    page.goto(page_of_report)
    probes = page.locator("section", has=page.get_by_role("heading", name="Probes", exact=True)).locator("table")
    heading = probes.locator("thead th").last
    column = "tbody tr > :last-child"
    heading.click()
    up = [float(text) for text in probes.locator(column).all_inner_texts()]
    assert up == sorted(up)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.press("Enter")
    down = [float(text) for text in probes.locator(column).all_inner_texts()]
    assert (down, heading.get_attribute("aria-sort")) == (up[::-1], "descending")

    def background():
        return [int(part) for part in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]]

    assert min(background()) > 240
    seen.keep(f"report-{width}")
    page.click("#scheme")
    assert max(background()) < 40
    seen.keep(f"report-{width}-dark")
    page.emulate_media(media="print")
    assert min(background()) > 240, "paper is white"
    page.emulate_media(media="screen")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing but wide tables moves sideways"
    assert seen.complaints == []
    assert [url for url in seen.asked if not url.startswith(("file:", "data:"))] == []


def test_the_report_follows_the_system_where_nobody_chose(browser, page_of_report):
    seen = Seen(browser, 800)
    seen.page.emulate_media(color_scheme="dark")
    seen.page.goto(page_of_report)
    assert seen.page.locator("#scheme").inner_text() == "Light"


@pytest.fixture
def served(toy, capfd):
    """The address that `kd ui` prints, of an experiment that is done."""
    text = Path(toy).read_text().replace("tracking: {enabled: false}\n", "")
    Path(toy).write_text(text)
    complete(toy)
    assert main(["track", toy]) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "ui", toy, "--port", str(port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        printed = ""
        while "http://" not in printed:
            printed = process.stdout.readline()
            assert printed, "`kd ui` ended"
        deadline = time.monotonic() + 180
        while not answers(port):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.5)
        yield re.search(r"http://\S+", printed)[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def answers(port):
    with contextlib.suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/health")
        return connection.getresponse().read() == b"OK"
    return False


def test_mlflow_has_charts_of_the_methods(browser, served):
    seen = Seen(browser, 1400)
    page = seen.page
    page.set_default_timeout(120_000)
    page.goto(f"{served}&compareRunsMode=CHART")
    page.get_by_text("Methods compared").first.wait_for()
    page.locator(".js-plotly-plot").nth(2).wait_for(state="attached")
    seen.keep("mlflow-charts")
    assert seen.hosts == {"127.0.0.1"}


def test_mlflow_opens_at_the_runs_best_cell_first(browser, served):
    seen = Seen(browser, 1400)
    page = seen.page
    page.set_default_timeout(120_000)
    page.goto(served)
    page.get_by_role("link", name="resnet8/kd", exact=True).wait_for()
    names = page.locator("a[href*='/runs/']").all_inner_texts()
    first = [name for name in names if name.strip()][:2]
    assert set(first) == {"resnet8/kd", "resnet8/none"}, "cells come first"
    for column in ("test/accuracy.mean", "test/accuracy.std"):
        page.get_by_text(column).first.wait_for()
    seen.keep("mlflow-runs")
    page.get_by_role("link", name="resnet8/kd", exact=True).click()
    page.get_by_text("mean and standard deviation over seeds").first.wait_for()
    page.get_by_text("test/accuracy.vs_plain").first.wait_for()
    seen.keep("mlflow-cell")
    page.go_back()
    page.get_by_role("link", name="student/resnet8/kd/s0", exact=True).click()
    page.get_by_text("validation/accuracy_chosen").first.wait_for()
    seen.keep("mlflow-student")
    assert seen.hosts == {"127.0.0.1"}
