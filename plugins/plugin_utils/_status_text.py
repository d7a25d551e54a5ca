# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of a network as text for a terminal, the verdict first.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.podnet.cni.plugins.plugin_utils._text_table import align, fold, many

WIDTH = 100
MATRIX = 7
"""So many hosts fit side by side into the columns of a matrix."""
WORST = 10
SHORT = 28
VERDICTS = {"well": "WELL", "impaired": "IMPAIRED", "not_known": "NOT KNOWN", "broken": "BROKEN"}
HOSTS = {"well": "well", "impaired": "impaired", "not_known": "not known", "broken": "broken"}
FAMILIES = {4: "IPv4", 6: "IPv6"}
LAYERS = {"overlay": "from host to host", "pod": "from pod to pod"}
COLOURS = {"well": "32", "impaired": "33", "not_known": "35", "broken": "31"}
_GRAVITY = ("not_measured", "none", "cut", "lossy", "fine")


def text(document: Mapping[str, Any], explain: bool = False, colour: bool = False) -> str:
    """Return the lines of a document, folded to 100 columns; C(explain) adds to each finding what it means."""
    verdict = document["verdict"]
    lines = fold(f"{VERDICTS[verdict['state']]}: {verdict['sentence']}", WIDTH)
    if colour:
        lines = [f"\x1b[1;{COLOURS[verdict['state']]}m{line}\x1b[0m" for line in lines]
    lines += ["", *fold(_network(document), WIDTH), "", *_hosts(document["hosts"])]
    for family in document["network"]["families"]:
        for layer, words in LAYERS.items():
            links = [each for each in document["links"] if (each["family"], each["layer"]) == (family, layer)]
            if links:
                lines += ["", f"{FAMILIES[family]} {words}: loss, mean round trip", *_heat(links)]
    if document["findings"]:
        lines += ["", *_findings(document["findings"], explain)]
    return "\n".join(clean(line) if not line.startswith("\x1b[") else line for line in lines)


def clean(line: str) -> str:
    """Return a line without characters that would move a terminal's cursor or hide text; they are shown as \\x..."""
    return "".join(
        char if char == "\t" or unicodedata.category(char)[0] != "C" else f"\\x{ord(char):02x}" for char in line
    )


def _network(document: Mapping[str, Any]) -> str:
    network, store = document["network"], document["store"]
    options = ", ".join(f"{name} {value}" for name, value in network["options"].items())
    what = " and ".join(network["ranges"]) or "Network without a config"
    backend = f", backend {network['backend']}" if network["backend"] else ""
    state = {"read": "leases read from", "away": "the leases were NOT read from", "not_asked": "no lease store asked"}
    where = f"{state.get(store['state'], store['state'])} {store['kind']}".strip()
    return f"{what}{backend}{f' ({options})' if options else ''}; {where}; {document['taken']}"


def _hosts(hosts: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [["host", "state", "peers", "MTU", "data plane", "subnet"]]
    for host in hosts:
        drift = len(host["drift"])
        if host["state"] != "heard":
            plane = host["reason"]
        elif not host["compared"]:
            plane = "not compared"
        else:
            plane = many(drift, "difference") if drift else "as the leases say"
        rows.append(
            [
                host["name"],
                HOSTS[host["verdict"]] if host["state"] == "heard" else host["state"].replace("_", " "),
                "-" if host["peers"] is None else str(host["peers"]),
                str(host["mtu"] or "-"),
                plane if len(plane) <= SHORT else f"{plane[: SHORT - 3]}...",
                " ".join(host["subnets"].values()) or "no lease",
            ]
        )
    found: list[str] = []
    for line in align(rows):
        found += fold(line, WIDTH)
    return found


def _heat(links: Sequence[Mapping[str, Any]]) -> list[str]:
    sources = list(dict.fromkeys(each["source"] for each in links))
    targets = [*sources, *(name for name in dict.fromkeys(each["target"] for each in links) if name not in sources)]
    if len(targets) <= MATRIX and len(links) == len(sources) * (len(targets) - 1):
        by_pair = {(each["source"], each["target"]): each for each in links}
        rows = [["from \\ to", *targets]]
        rows += [[source, *(cell(by_pair.get((source, target))) for target in targets)] for source in sources]
        table = align(rows)
        if max(map(len, table)) <= WIDTH:
            return table
    rows = [["from", "fine", "worst", "loss", "round trip mean, max"]]
    for source in sources:
        own = [each for each in links if each["source"] == source]
        times = [each["rtt_avg"] for each in own if each["rtt_avg"] is not None]
        losses = [each["loss"] for each in own if each["loss"] is not None]
        worst = min(own, key=lambda each: _GRAVITY.index(each["state"]))
        rows.append(
            [
                source,
                f"{sum(1 for each in own if each['state'] == 'fine')} of {len(own)}",
                "-" if worst["state"] == "fine" else f"{cell(worst)} to {worst['target']}",
                f"{sum(losses) / len(losses):.3g} %" if losses else "-",
                f"{sum(times) / len(times):.2f}, {max(times):.2f} ms" if times else "-",
            ]
        )
    return [part for line in align(rows) for part in fold(line, WIDTH)]


def cell(link: Mapping[str, Any] | None) -> str:
    """Return what a table shows of one way."""
    if link is None:
        return "-"
    if link["state"] in ("not_measured", "none"):
        return {"not_measured": "not measured", "none": "no answer"}[link["state"]]
    words = f"{link['loss']:g} %  {link['rtt_avg']:.2f} ms" if link["rtt_avg"] is not None else f"{link['loss']:g} %"
    return f"{words} <{link['full_size']}" if link["state"] == "cut" else words


def grouped(findings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the findings, those that say the same of several subjects as one that names them, in C(subjects)."""
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for each in findings:
        key = tuple(str(each[name]) for name in ("id", "status", "severity", "seen", "remedy"))
        groups.setdefault(key, {**each, "subjects": []})["subjects"].append(each["subject"])
    return list(groups.values())


def _findings(findings: Sequence[Mapping[str, Any]], explain: bool) -> list[str]:
    """Every finding with its remedy; what could not be found out by the preflight's checks is one line at the end."""
    lines = ["Findings"]
    aside = [each for each in findings if each["status"] == "unknown" and each["id"].startswith("host.")]
    aside = [each for each in aside if each["id"] != "host.silent"]
    told_aside = {(each["id"], each["subject"]) for each in aside}
    for each in grouped([each for each in findings if (each["id"], each["subject"]) not in told_aside]):
        grade = each["severity"] if each["status"] == "failed" else "not known"
        more = f" and {len(each['subjects']) - WORST} more" if len(each["subjects"]) > WORST else ""
        subjects = ", ".join(each["subjects"][:WORST]) + more
        lines += fold(f"- {grade}: {each['id']} on {subjects}: {each['seen']}", WIDTH)
        told = [("effect", each["effect"]), ("cause", each["cause"])] if explain else []
        told += [("do", each["remedy"])]
        told += [("see", each["source"])] if explain else []
        for word, what in told:
            if what:
                lines += fold(f"    {word + ':':<8}{what}", WIDTH)
    if len(lines) == 1:
        lines = ["No findings"]
    if aside:
        names = list(dict.fromkeys(f"{each['id']} ({each['subject']})" for each in aside))
        more = f" and {len(names) - WORST} more" if len(names) > WORST else ""
        lines += ["", *fold(f"Could not be looked at: {', '.join(names[:WORST])}{more}", WIDTH)]
    return lines
