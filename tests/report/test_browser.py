"""The page in a real browser: nothing fails, every chart has a size, nothing hostile runs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from html import unescape
from pathlib import Path

import pytest

from hcs.domain.config.stages import ReportConfig
from hcs.report import write_report

TIMEOUT_S = 240

WATCH = """<script>
const seen = {errors: [], blocked: [], fetched: []};
addEventListener("error", event => seen.errors.push(String(event.message)));
addEventListener("securitypolicyviolation", event => seen.blocked.push(event.blockedURI));
for (const level of ["error", "warn"]) {
  const old = console[level];
  console[level] = (...words) => { seen.errors.push(words.join(" ")); old(...words); };
}
addEventListener("load", () => {
  const look = setInterval(() => {
    const roots = document.querySelectorAll("[data-root-id]");
    if (window.Bokeh && Bokeh.documents.some(d => !d.is_idle)) return;
    clearInterval(look);
    seen.charts = [...document.querySelectorAll(".plot")].map(place => {
      const root = place.querySelector("[data-root-id]").firstElementChild;
      const box = root ? root.getBoundingClientRect() : {width: 0, height: 0};
      const drawn = root ? root.shadowRoot.querySelector(".bk-CartesianFrame, .bk-Canvas") : null;
      return [box.width, box.height, drawn !== null];
    });
    seen.pictures = [...document.images].map(image => image.naturalWidth);
    seen.pwned = window.pwned === 1;
    seen.fetched = performance.getEntriesByType("resource").map(entry => entry.name);
    seen.overflow = document.documentElement.scrollWidth - innerWidth;
    const said = document.createElement("pre");
    said.id = "seen";
    said.textContent = JSON.stringify(seen);
    document.body.append(said);
  }, 50);
});
</script>"""
"""Stands before the page's own policy, so that it may run; the page itself is unchanged."""


@pytest.fixture(scope="module")
def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        message = "no Chromium on this machine: the page is not opened in a browser"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def open_page(chromium: str, page: Path, folder: Path, width: int = 1300) -> dict:
    """Load a page without network and return what happened."""
    html = page.read_text(encoding="utf-8").replace("<head>", f"<head>{WATCH}", 1)
    watched = folder / "watched.html"
    watched.write_text(html, encoding="utf-8")
    command = [
        chromium,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},1200",
        "--virtual-time-budget=20000",
        "--dump-dom",
        watched.as_uri(),
    ]
    found = re.search(r'<pre id="seen">(.*?)</pre>', dump_dom(command, folder), flags=re.DOTALL)
    assert found is not None, (folder / "chromium.log").read_text(errors="replace")[-2000:]
    return json.loads(unescape(found.group(1)))


def dump_dom(command: list[str], folder: Path) -> str:
    """What Chromium prints; its helpers end with it, also when it does not answer in time."""
    said = folder / "dom.html"
    with said.open("wb") as out, (folder / "chromium.log").open("wb") as log:
        browser = subprocess.Popen(command, stdout=out, stderr=log, start_new_session=True)
        try:
            browser.wait(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pytest.fail(f"Chromium did not end within {TIMEOUT_S} s")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
    return said.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def seen(chromium, full_report, tmp_path_factory) -> dict:
    return open_page(chromium, full_report, tmp_path_factory.mktemp("browser"))


def test_it_loads_without_errors_and_without_a_request(seen):
    assert seen["errors"] == []
    assert seen["blocked"] == []
    assert [name for name in seen["fetched"] if not name.startswith("data:")] == []


def test_every_chart_is_drawn(seen):
    assert len(seen["charts"]) == 20
    for width, height, drawn in seen["charts"]:
        assert width > 200
        assert height > 90
        assert drawn


def test_pictures_show(seen):
    assert seen["pictures"] == [64] * 12


def test_nothing_sticks_out_sideways(seen):
    assert seen["overflow"] <= 0


def test_hostile_names_do_not_run(chromium, builder, tmp_path):
    hostile = "$$x^2$$ <img src=x onerror='window.pwned=1'><script>window.pwned=1</script>"
    builder.screen_plate = f"P {hostile}"
    builder.compounds = (f"a {hostile}", f"b </script>{hostile}", "c", "d")
    builder.clones = {name: [f"{hostile} {i}" for i in range(6)] for name in ("ALS", "control")}
    builder.clones["control"] = [f"{name} c" for name in builder.clones["control"]]
    builder.write_evaluation()
    builder.write_hits()
    out = tmp_path / "report.html"
    write_report(ReportConfig(study=str(builder.folder), out=str(out)))
    found = open_page(chromium, out, tmp_path, width=700)
    assert found["pwned"] is False
    assert found["errors"] == []
    assert found["blocked"] == []
    assert found["overflow"] <= 0
