"""A real Chromium without a window."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage",
    "--window-size=1900,1000", "--hide-scrollbars",
)  # fmt: skip


@contextmanager
def chromium() -> Generator[webdriver.Chrome]:
    """A browser that keeps its console's messages."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in programs:
        pytest.fail("this test looks at pages in a browser: apt-get install chromium chromium-driver")
    options = Options()
    options.binary_location = str(programs[0])
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options, Service(str(programs[1])))
    try:
        yield browser
    finally:
        browser.quit()
