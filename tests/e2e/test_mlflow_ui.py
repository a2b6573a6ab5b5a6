"""`mlflow ui` on a sweep's result, in a real browser: the tree and the sorted list of configurations."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By

from sweeps.engine.tracking.view import curves_link, links
from tests.e2e.browser import chromium
from tests.e2e.kill_loop import KillLoop
from tests.loopback import answers, free_port
from tests.sweep_process import HANGS, MlflowRuns, poll


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def ui(loop: KillLoop, tmp_path: Path) -> Iterator[tuple[str, MlflowRuns]]:
    """Address of `mlflow ui` on the result of a sweep of two classes, and what is in it."""
    loop.reference(0)
    uri = f"sqlite:///{loop.reference_folder(0) / 'mlflow.db'}"
    port = free_port()
    command = [str(Path(sys.executable).with_name("mlflow")), "ui", "--backend-store-uri", uri]
    log = (tmp_path / "ui.txt").open("w")
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        stdout=log, stderr=log, cwd=tmp_path, start_new_session=True,
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # else ten more processes
    )  # fmt: skip
    try:
        poll(lambda: answers(f"http://127.0.0.1:{port}/health"), "mlflow ui")
        yield f"http://127.0.0.1:{port}", MlflowRuns(uri)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(HANGS)
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
    poll(lambda: "k · search default" in _rows(browser), "the configurations")
    _unfold(browser, "k · search default")
    poll(lambda: "k · search default · class 6" in _rows(browser), "the classes")
    rows = _rows(browser)
    assert {run.info.run_name for run in runs.level("config").values()} <= set(rows)
    assert rows[rows.index("k · search default") + 1].startswith("k · search default · class ")
    _close_assistant(browser)
    browser.save_screenshot(str(shots / "mlflow-tree.png"))


def test_the_link_that_a_sweep_prints_opens_its_configurations_sorted_with_their_values(
    ui: tuple[str, MlflowRuns], browser: webdriver.Chrome, tmp_path: Path
) -> None:
    address, runs = ui
    [(name, link)] = links(runs.client.tracking_uri, address)
    assert name == "k"
    confirmed = list(runs.level("config", "confirm").values())
    best_first = sorted(confirmed, key=lambda run: -run.data.metrics["val_auroc_mean"])
    browser.get(link)
    poll(lambda: len(_rows(browser)) == len(best_first), "the confirmed configurations alone")
    assert _rows(browser) == [run.info.run_name for run in best_first]
    values = [str(run.data.metrics[name])[:8] for run in best_first for name in ("val_auroc_mean", "test_auroc_mean")]
    poll(lambda: all(value in _text(browser) for value in values), "the values")
    _close_assistant(browser)
    poll(lambda: "weight_abc" in _text(browser), "the searched parameters")
    shots = Path(os.environ.get("SCREENSHOTS", str(tmp_path)))
    browser.save_screenshot(str(shots / "mlflow-configurations.png"))


def test_the_link_to_the_curves_draws_each_metric_with_a_line_for_each_class(
    ui: tuple[str, MlflowRuns], browser: webdriver.Chrome, tmp_path: Path
) -> None:
    address, runs = ui
    one = next(iter(runs.level("config", "confirm").values()))
    number, seed = (int(one.data.tags[name]) for name in ("configuration", "seed"))
    browser.get(curves_link(address, one.info.experiment_id, one.data.tags["sweep_id"], number, seed))
    classes = [run for run in runs.level("class").values() if run.data.tags["configuration"] == str(number)]
    shown = {run.info.run_name for run in classes if run.data.tags["stage"] == "confirm"}
    assert len(shown) == 2
    poll(lambda: "val_auroc" in _text(browser), "the chart of AUROC")
    poll(lambda: shown <= set(_text(browser).splitlines()), "both classes in the list beside it")
    _close_assistant(browser)
    shots = Path(os.environ.get("SCREENSHOTS", str(tmp_path)))
    browser.save_screenshot(str(shots / "mlflow-curves.png"))


def _rows(browser: webdriver.Chrome) -> list[str]:
    """Names of the runs shown, from top to bottom."""
    links = browser.execute_script(
        "return [...document.querySelectorAll('a[href*=\"/runs/\"]')].map("
        "a => [a.getBoundingClientRect().top, a.innerText.trim()]).filter(x => x[1])"
    )
    return [name for _, name in sorted(links)]


def _unfold(browser: webdriver.Chrome, name: str) -> None:
    """Click on the arrow in the row of a run."""

    def clicked() -> bool:
        with suppress(WebDriverException, StopIteration):  # the page draws its rows again and again
            links = browser.find_elements(By.CSS_SELECTOR, "a[href*='/runs/']")
            row = next(each for each in links if each.text == name).find_element(
                By.XPATH, "./ancestor::*[@role='row'][1]"
            )
            row.find_element(By.CSS_SELECTOR, "button").click()
            return True
        return False

    poll(clicked, f"the row of {name}")


def _text(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def _close_assistant(browser: webdriver.Chrome) -> None:
    """MLflow's chat takes a third of the page, where it is open."""
    for button in browser.find_elements(
        By.CSS_SELECTOR, "button[data-component-id='mlflow.assistant.chat_panel.close']"
    ):
        button.click()
