# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of a network in a real browser: what it shows, sorting, search, keyboard, dark and print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ansible_collections.podnet.cni.plugins.filter.network_status_face import network_status_face
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan
from ansible_collections.podnet.cni.plugins.module_utils._status import document
from ansible_collections.podnet.cni.tests.integration import _browser
from ansible_collections.podnet.cni.tests.unit._gathered import differs, measured, network, route

HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with _browser.running(tmp_path_factory.mktemp("profile")) as found:
        yield found


def show(browser: Any, folder: Path, number: int, name: str = "") -> None:
    """Open the page of a network in which node1 lacks a route to node2, and the last host is silent."""
    gathered = network(number, sample=5 if number > 100 else 0)
    differs(gathered, "node1", Plan(set_routes=[route(2)]))
    entry = gathered["hosts"].pop(f"node{number}")
    gathered["hosts"][name or f"node{number}"] = {
        "reason": "Failed to connect to the host via ssh",
        "public_ips": entry["facts"]["underlay"]["addresses"],
    }
    lost = {"node1", "node2"}
    made = document.build(
        measured(
            gathered, lambda one, to, layer, family, _size: layer == "underlay" or family == 6 or {one, to} != lost
        )
    )
    page = folder / "page.html"
    page.write_text(network_status_face(made, "html"), encoding="utf-8")
    assert page.stat().st_size < 3 * 2**20
    browser.get_log("browser")
    browser.get(page.as_uri())


def rows(browser: Any, table: str) -> list[list[str]]:
    """The cells of the rows that are shown in the table of a section."""
    script = """
        return [...document.querySelectorAll(`section[aria-labelledby=${arguments[0]}] tbody tr`)]
            .filter((row) => row.offsetParent !== null).map((row) => [...row.cells].map((cell) => cell.textContent));
    """
    return list(browser.execute_script(script, table))


@pytest.mark.parametrize("number", [3, 100, 1000])
def test_a_page_of_so_many_hosts(browser: Any, tmp_path: Path, number: int) -> None:
    show(browser, tmp_path, number)
    assert browser.title == "Pod network: broken"
    assert browser.find_element(By.CSS_SELECTOR, "header h1").text == "Broken pod network"
    assert f"{number - 1} of {number} hosts heard" in browser.find_element(By.TAG_NAME, "header").text
    circles = browser.find_elements(By.CSS_SELECTOR, "section[aria-labelledby=map] circle")
    assert len(circles) == number
    red = browser.execute_script("return getComputedStyle(document.querySelector('.verdict')).borderLeftColor")
    colours = browser.execute_script(
        "return [...document.querySelectorAll('section[aria-labelledby=map] g')].map((g) => getComputedStyle(g).color)"
    )
    assert [place for place, colour in enumerate(colours) if colour == red] == [0, 1, number - 1]
    assert len(rows(browser, "hosts")) == number
    assert [row[7] for row in rows(browser, "hosts") if row[1] == "silent"] == ["Failed to connect to the host via ssh"]
    assert ["node1", "node2", "IPv4", "from host to host", "no answer"] in [row[:5] for row in rows(browser, "ways")]
    # It needs nothing but itself, and nothing of it is wider than the window.
    assert browser.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)") == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")] == []


def test_sorting_and_search(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, 100)
    (host,) = [each for each in browser.find_elements(By.CSS_SELECTOR, "#hosts ~ div th button") if each.text == "Host"]
    host.send_keys(Keys.ENTER)
    assert [row[0] for row in rows(browser, "hosts")] == [f"node{number}" for number in range(1, 101)]
    host.send_keys(Keys.SPACE)
    assert [row[0] for row in rows(browser, "hosts")] == [f"node{number}" for number in range(100, 0, -1)]
    sort = host.find_element(By.XPATH, "..").get_attribute("aria-sort")
    assert sort == "descending"

    search = browser.find_element(By.ID, "search")
    search.send_keys("SILENT node100")
    assert [row[0] for row in rows(browser, "hosts")] == ["node100"]
    assert browser.find_element(By.ID, "found").text.startswith("200 of "), "with its ways and the finding"
    search.send_keys(" nothing like that")
    assert rows(browser, "hosts") == []
    search.clear()
    search.send_keys(Keys.SPACE)
    assert len(rows(browser, "hosts")) == 100


def test_keyboard_dark_and_print(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, 3)
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    skip = browser.switch_to.active_element
    assert (skip.text, skip.is_displayed()) == ("To the findings", True)
    skip.send_keys(Keys.ENTER)
    assert browser.switch_to.active_element.get_attribute("id") == "findings"

    back = "return getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(back)
    browser.find_element(By.ID, "theme").send_keys(Keys.ENTER)
    assert browser.execute_script(back) != light
    browser.find_element(By.ID, "theme").click()
    assert browser.execute_script(back) == light

    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not browser.find_element(By.ID, "search").is_displayed()
    assert len(rows(browser, "hosts")) == 3
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    unnamed = """
        return [...document.querySelectorAll("svg[role=img], section, [role=region], input")].filter((each) =>
            !(each.getAttribute("aria-label") || each.getAttribute("aria-labelledby") || each.querySelector("title")
              || (each.labels && each.labels.length))).length
    """
    assert browser.execute_script(unnamed) == 0, "a screen reader has a name for each part"


def test_a_hostile_name_is_text(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, 3, name=HOSTILE)
    with pytest.raises(NoAlertPresentException):
        browser.switch_to.alert.accept()
    assert HOSTILE in [row[0] for row in rows(browser, "hosts")]
    assert browser.execute_script("return document.scripts.length") == 1


def test_long_names_are_whole_on_the_map(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, 8, name="ip-10-0-12-103.internal")
    outside = """
        const box = document.querySelector("section[aria-labelledby=map] svg").getBoundingClientRect();
        return [...document.querySelectorAll("section[aria-labelledby=map] text")].map((each) => [each.textContent,
            each.getBoundingClientRect()]).filter(([_name, each]) => each.left < box.left || each.right > box.right
            || each.top < box.top || each.bottom > box.bottom).map(([name]) => name)
    """
    assert browser.execute_script(outside) == []
