# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's Chromium without a screen, driven by Selenium."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service


def require() -> tuple[str, str]:
    """The programs, or the test is skipped."""
    found = tuple(shutil.which(name) or "" for name in ("chromium", "chromedriver"))
    if not all(found):
        pytest.skip("there is no browser: install chromium and chromium-driver")
    return found[0], found[1]


@contextlib.contextmanager
def running(profile: Path, width: int = 1280, height: int = 1100) -> Iterator[Any]:
    """A browser with an empty profile in a folder, which asks nobody for anything."""
    chromium, driver = require()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in ("headless=new", "disable-gpu", "disable-dev-shm-usage", f"user-data-dir={profile}"):
        options.add_argument(f"--{word}")
    options.add_argument(f"--window-size={width},{height}")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, Service(driver))
    try:
        yield browser
    finally:
        browser.quit()
