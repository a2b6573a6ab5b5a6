"""`mlflow ui` on a sweep's result, in a real browser: the tree and the sorted list of configurations."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.e2e.kill_loop import KillLoop
from tests.sweep_process import MlflowRuns, poll

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
    "--window-size=1900,1000", "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.fail("this test looks at MLflow in a browser: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = str(programs[0])
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options, Service(str(programs[1])))
    yield browser
    browser.quit()


@pytest.fixture
def ui(loop: KillLoop, tmp_path: Path) -> Iterator[tuple[str, MlflowRuns]]:
    """Address of `mlflow ui` on the result of a sweep of two classes, and what is in it."""
    loop.reference(0)
    uri = f"sqlite:///{loop.reference_folder(0) / 'mlflow.db'}"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("mlflow")), "ui", "--backend-store-uri", uri]
    log = (tmp_path / "ui.txt").open("w")
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        stdout=log, stderr=log, cwd=tmp_path, start_new_session=True,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # else ten more processes
    )  # fmt: skip
    try:
        poll(lambda: _answers(f"http://127.0.0.1:{port}/health"), "mlflow ui")
        yield f"http://127.0.0.1:{port}", MlflowRuns(uri)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)
        log.close()


def test_the_tree_and_the_sorted_configurations_are_seen(
    ui: tuple[str, MlflowRuns], browser: webdriver.Chrome, tmp_path: Path
) -> None:
    address, runs = ui
    experiment = runs.runs[0].info.experiment_id
    shots = Path(os.environ.get("SCREENSHOTS", str(tmp_path)))
    shots.mkdir(parents=True, exist_ok=True)
    page = f"{address}/#/experiments/{experiment}/runs"

    browser.get(page)
    poll(lambda: "k" in _rows(browser), "the sweep's run")
    assert not any("class" in row for row in _rows(browser)), "children are folded under the sweep"
    _unfold(browser, "k")
    poll(lambda: "search 000" in _rows(browser), "the configurations")
    _unfold(browser, "search 000")
    poll(lambda: "search 000 class 6" in _rows(browser), "the classes")
    rows = _rows(browser)
    assert {run.info.run_name for run in runs.level("config", "search").values()} <= set(rows)
    assert rows[rows.index("search 000") + 1].startswith("search 000 class ")
    _close_assistant(browser)
    browser.save_screenshot(str(shots / "mlflow-tree.png"))

    query = f"searchFilter={quote('tags.level = ' + repr('config') + ' and tags.stage = ' + repr('search'))}"
    searched = runs.level("config", "search").values()
    means = {run.info.run_name: run.data.metrics["val_auroc_at_rung"] for run in searched}
    for ascending in (True, False):
        order = f"orderByKey={quote('metrics.`val_auroc_at_rung`')}&orderByAsc={str(ascending).lower()}"
        browser.get("about:blank")  # an address that differs behind the # alone loads nothing
        browser.get(f"{page}?{query}&{order}")
        poll(lambda: len(_rows(browser)) == len(means), "the configurations alone")
        assert _rows(browser) == sorted(means, key=means.__getitem__, reverse=not ascending)
    _show_column(browser, "val_auroc_at_rung")
    best_first = [str(value) for value in sorted(means.values(), reverse=True)]
    poll(lambda: all(value in _text(browser) for value in best_first), "the means")
    assert [line for line in _text(browser).splitlines() if line in best_first] == best_first
    browser.save_screenshot(str(shots / "mlflow-configurations.png"))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _rows(browser: webdriver.Chrome) -> list[str]:
    """Names of the runs shown, from top to bottom."""
    links = browser.execute_script(
        "return [...document.querySelectorAll('a[href*=\"/runs/\"]')].map("
        "a => [a.getBoundingClientRect().top, a.innerText.trim()]).filter(x => x[1])"
    )
    return [name for _, name in sorted(links)]


def _unfold(browser: webdriver.Chrome, name: str) -> None:
    """Click on the arrow in the row of a run."""
    link = next(each for each in browser.find_elements(By.CSS_SELECTOR, "a[href*='/runs/']") if each.text == name)
    row = link.find_element(By.XPATH, "./ancestor::*[@role='row'][1]")
    row.find_element(By.CSS_SELECTOR, "button").click()


def _text(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def _close_assistant(browser: webdriver.Chrome) -> None:
    """MLflow's chat takes a third of the page, where it is open."""
    for button in browser.find_elements(
        By.CSS_SELECTOR, "button[data-component-id='mlflow.assistant.chat_panel.close']"
    ):
        button.click()


def _show_column(browser: webdriver.Chrome, name: str) -> None:
    """Tick a metric in the list behind the button Columns."""
    button = next(each for each in browser.find_elements(By.TAG_NAME, "button") if each.text.strip() == "Columns")
    button.click()
    path = "//input[@placeholder='Search columns']"
    poll(lambda: browser.find_elements(By.XPATH, path), "the list of columns")[0].send_keys(name)
    match = f"//*[contains(@class,'tree')]//*[normalize-space(text())='{name}']"
    poll(lambda: browser.find_elements(By.XPATH, match), f"the column {name}")[0].click()
    button.click()
