# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The faces of the picture of a network: text, metrics, and the page, with hostile names and with 1,000 hosts."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.filter.network_status_face import (
    network_status_face,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan
from ansible_collections.podnet.cni.plugins.module_utils._status import document
from ansible_collections.podnet.cni.tests.unit._gathered import (
    differs,
    measured,
    network,
    route,
)

HOSTILE = "<script>alert(1)</script>\"'&\x1b[2J\n"
VOID = {"meta", "link", "input"}


def faulty(name: str = "node3", number: int = 3) -> dict[str, Any]:
    """A network of which one host is called *name*, lacks a peer and does not reach the others' pods over IPv4."""
    gathered = network(number)
    gathered["hosts"] = {name if host == "node3" else host: entry for host, entry in gathered["hosts"].items()}
    differs(gathered, name, Plan(set_routes=[route(1)]))
    return document.build(
        measured(
            gathered,
            lambda one, to, layer, family, _size: layer != "pod" or family == 6 or name not in (one, to),
        )
    )


class Page(HTMLParser):
    """Text, tags and attributes of a page; open and closing tags have to match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_text_has_the_verdict_first_and_100_columns() -> None:
    made = faulty("a-host-with-a-rather-long-name.of.a.domain")
    lines = network_status_face(made).splitlines()
    assert lines[0].startswith("BROKEN: 3 of 3 hosts heard; IPv4: 2 of 6 pairs fine; IPv6: 6 of 6 pairs fine")
    assert max(map(len, lines)) <= 100
    assert "peer node1 over IPv4: route missing" in " ".join(" ".join(lines).split())
    assert not any("effect:" in line for line in lines)
    assert any("effect:" in line for line in network_status_face(made, explain=True).splitlines())


def test_text_of_few_hosts_is_a_matrix_and_of_many_a_line_each() -> None:
    assert "from \\ to  node1         node2" in network_status_face(document.build(measured(network(3))))
    text = network_status_face(document.build(measured(network(30, sample=2))))
    assert "from \\ to" not in text
    assert re.search(r"^node30 +2 of 2 +- +0 % +0.20, 0.20 ms$", text, re.MULTILINE)


def test_the_page_of_all_pairs_of_many_hosts_has_a_matrix() -> None:
    text = network_status_face(document.build(measured(network(40, ipv6=False, pods=False))), "html")
    Page(text)
    assert "<rect" not in text
    [path] = re.findall(r'<path class="fine" d="([^"]*)"', text)
    assert path.startswith("M1 0h39v1h-39zM0 1h1v1h-1zM2 1h38v1h-38z")


def test_text_moves_no_cursor() -> None:
    text = network_status_face(faulty(HOSTILE))
    assert "\x1b" not in text
    assert "\\x1b[2J" in text


def test_json_is_the_document() -> None:
    made = faulty()
    assert json.loads(network_status_face(made, "json")) == json.loads(json.dumps(made))


def test_metrics_are_well_formed() -> None:
    text = network_status_face(faulty('a"b\\c\nd'), "prometheus")
    name = r"[a-z_]+"
    label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
    sample = re.compile(rf"(?:# HELP {name} .+|# TYPE {name} gauge|{name}(?:\{{{label}(?:,{label})*\}})? [-+0-9.e]+)")
    assert [line for line in text.splitlines() if not sample.fullmatch(line)] == []
    assert 'podnet_network_verdict{verdict="broken"} 1' in text
    assert 'podnet_network_links{family="4",layer="pod",state="none"} 4' in text
    assert 'podnet_network_link_loss_ratio{source="node1",target="node2",family="4",layer="pod"} 0' in text
    assert 'podnet_network_link_round_trip_seconds{source="node1",target="node2",family="4",layer="pod"} 0.0002' in text
    assert r'host="a\"b\\c\nd"' in text
    assert "podnet_network_taken_timestamp_seconds 1795921200" in text
    families = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(families) == len(set(families))


def test_the_page_escapes_what_hosts_are_called() -> None:
    text = network_status_face(faulty(HOSTILE), "html")
    page = Page(text)
    assert sum(1 for tag, _attributes in page.tags if tag == "script") == 1
    assert "alert(1)" not in "".join(re.findall(r"<script>(.*?)</script>", text, re.DOTALL))
    assert any("<script>alert(1)</script>" in words for words in page.words)


def test_the_page_needs_no_other_file() -> None:
    page = Page(network_status_face(faulty(), "html"))
    for tag, attributes in page.tags:
        assert tag not in ("iframe", "object", "embed", "img")
        assert "src" not in attributes
        assert tag != "link" or attributes["href"] == "data:,"
    [policy] = [each["content"] for tag, each in page.tags if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy and policy.startswith("default-src 'none'")


def test_the_page_can_be_used_without_seeing_it() -> None:
    page = Page(network_status_face(faulty(), "html"))
    assert dict(page.tags[0][1]) or page.tags[0][0] == "html"
    assert next(attributes for tag, attributes in page.tags if tag == "html")["lang"] == "en"
    known = {attributes["id"] for _tag, attributes in page.tags if "id" in attributes}
    for tag, attributes in page.tags:
        if "aria-labelledby" in attributes:
            assert attributes["aria-labelledby"] in known
        if tag == "label":
            assert attributes["for"] in known
        if tag == "svg":
            assert attributes["role"] == "img"
        if tag == "th":
            assert attributes["scope"] in ("row", "col")


def test_the_page_has_findings_hosts_and_heat() -> None:
    text = network_status_face(faulty(), "html")
    words = " ".join(" ".join(Page(text).words).split())
    assert "error: dataplane.peers_missing on node3" in words
    assert "What to do" in words and "Effect" in words
    assert "IPv4 from pod to pod" in words
    assert text.count('<td class="none"') == 4
    assert text.count("<circle") == 3


@pytest.mark.parametrize("number", [100, 1000])
def test_the_page_of_many_hosts_is_small(number: int) -> None:
    gathered = network(number, sample=3)
    gathered["hosts"]["node7"] = {"reason": "unreachable", "public_ips": ["198.18.0.8"]}
    made = document.build(
        measured(
            gathered,
            lambda one, _to, layer, _family, _size: one != "node9" or layer != "pod",
        )
    )
    text = network_status_face(made, "html")
    Page(text)
    assert len(text.encode()) < 3_000_000
    assert text.count("<circle") == number
    # A sample: a square for each host and map of heat, with the worst of its ways.
    assert text.count("<rect") == 4 * number - 2
    assert text.count('class="none"><title>node9: no answer') == 2
    # What each host's checks say alike is told once, with their names.
    assert text.count("host.gathered on node1, node2,") <= 1


def test_the_rules_of_the_page_alert_on_metrics_that_there_are() -> None:
    page = (Path(__file__).parents[4] / "docs" / "status.md").read_text(encoding="utf-8")
    [rules] = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(groups:.*?)```", page, re.DOTALL)]
    written = network_status_face(faulty(), "prometheus")
    samples = dict(re.findall(r"^(podnet_network_\w+)(.*)$", written, re.MULTILINE))
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert alerts
    for rule in alerts:
        for name, labels in re.findall(r"(podnet_network_\w+)(?:\{(.*?)\})?", rule["expr"]):
            assert name in samples
            assert labels in written
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert f'{label}="' in samples[re.findall(r"podnet_network_\w+", rule["expr"])[0]]
    mentioned = set(re.findall(r"`(podnet_network_\w+)`", page))
    assert mentioned == set(samples)


@pytest.mark.parametrize(
    ("made", "options", "message"),
    [
        ({}, {"format": "xml"}, "format is 'xml'"),
        ({}, {}, "is not a podnet.cni/status document; podnet.cni.report writes it"),
        (
            {"schema": "podnet.cni/status", "version": 2},
            {},
            "has version 2, this release reads 1",
        ),
    ],
)
def test_other_documents_are_refused(made: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        network_status_face(made, **options)
