# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure the page of a network in a browser: size, what it costs to make, and the time to its first view.

Run as: python tests/bench/bench_page.py [HOSTS ...]        (default: 100 1000)

Hosts have measured three others each over two families, from host to host and from pod to pod. The first view is First
Contentful Paint in Chromium, "loaded" the end of the load event; both are the median of 5 views after one that counts
for nothing.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.plugins.filter.network_status_face import network_status_face
from ansible_collections.podnet.cni.plugins.module_utils._status import document
from ansible_collections.podnet.cni.tests.integration import _browser
from ansible_collections.podnet.cni.tests.unit._gathered import measured, network

VIEWS = 6
PAINTED = "return (performance.getEntriesByName('first-contentful-paint')[0] || {}).startTime"
LOADED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"


def view(browser: Any, address: str) -> tuple[float, float]:
    """Milliseconds until something was seen, and until all was there."""
    browser.get("about:blank")
    browser.get(address)
    deadline = time.monotonic() + 30
    while (painted := browser.execute_script(PAINTED)) is None:
        if time.monotonic() > deadline:
            raise SystemExit("nothing was painted")
        time.sleep(0.05)
    return painted, browser.execute_script(LOADED)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hosts", nargs="*", type=int, default=[100, 1000])
    print("hosts     MiB  CPU s to make  first view ms  loaded ms")
    for hosts in parser.parse_args().hosts:
        with tempfile.TemporaryDirectory() as work:
            made = document.build(measured(network(hosts, sample=3)))
            begin = time.process_time()
            text = network_status_face(made, "html")
            spent = time.process_time() - begin
            file = Path(work) / "page.html"
            file.write_text(text, encoding="utf-8")
            with _browser.running(Path(work) / "profile") as browser:
                views = [view(browser, file.as_uri()) for _view in range(VIEWS)][1:]
            first, loaded = (statistics.median(each) for each in zip(*views))
            print(f"{hosts:>5}  {file.stat().st_size / 2**20:>6.2f}  {spent:>13.2f}  {first:>13.0f}  {loaded:>9.0f}")


if __name__ == "__main__":
    main()
