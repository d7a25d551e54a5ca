# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of a network as one HTML page that needs no server and no other file.

Private to podnet.cni: may change in any release.

Everything is drawn here, as SVG and tables; the page's few lines of JavaScript sort and search. Jinja2 escapes values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ansible_collections.podnet.cni.plugins.plugin_utils._status_text import grouped

TEMPLATE = "_status_page.html.j2"
TABLE_UP_TO = 30
"""So many hosts have a heat map with a number in each cell; more have one that is drawn, cells without numbers."""
NAMES_UP_TO = 60
"""So many hosts stand on a circle with their names; more stand in rows, in the order of the table of hosts."""
LINES_UP_TO = 30
FINDINGS_SHOWN = 300
SUBJECTS_SHOWN = 12
BAD_SHOWN = 2000
"""So many ways that are not fine are listed and drawn; the page says when there are more."""
RADIUS = 320.0
CENTRE = 400.0
LETTER = 12
"""The width of a letter of a name on the map."""
GRAVITY = ("fine", "lossy", "cut", "none", "not_measured")
WORDS = {
    "well": "well",
    "impaired": "impaired",
    "not_known": "not known",
    "broken": "broken",
    "fine": "fine",
    "lossy": "loses packets",
    "cut": "large packets are lost",
    "none": "no answer",
    "not_measured": "not measured",
    "heard": "heard",
    "silent": "silent",
    "left_out": "left out",
}
LAYERS = {
    "underlay": "below the overlay",
    "overlay": "from host to host",
    "pod": "from pod to pod",
}


def page(document: Mapping[str, Any]) -> str:
    """Return the page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    hosts, links = document["hosts"], document["links"]
    bad = [each for each in links if each["state"] != "fine" and each["layer"] != "underlay"]
    bad.sort(key=lambda each: GRAVITY.index(each["state"]))
    findings = grouped(document["findings"])
    places = {host["name"]: number for number, host in enumerate(hosts)}
    nodes = list(_nodes(hosts))
    rendered: str = environment.get_template(TEMPLATE).render(
        document=document,
        words=WORDS,
        layers=LAYERS,
        nodes=nodes,
        map_box=_box(nodes),
        lines=list(_lines(links, hosts, bad)),
        heats=list(_heats(document, places)),
        findings=findings[:FINDINGS_SHOWN],
        more_findings=max(0, len(findings) - FINDINGS_SHOWN),
        subjects_shown=SUBJECTS_SHOWN,
        bad=bad[:BAD_SHOWN],
        more_bad=max(0, len(bad) - BAD_SHOWN),
    )
    return rendered


def _point(place: int, number: int, radius: float = RADIUS) -> tuple[float, float]:
    if number > NAMES_UP_TO:
        columns = math.ceil(math.sqrt(number))
        step = 2 * CENTRE / columns
        return round((place % columns + 0.5) * step, 1), round((place // columns + 0.5) * step, 1)
    angle = 2 * math.pi * place / max(1, number) - math.pi / 2
    return round(CENTRE + radius * math.cos(angle), 1), round(CENTRE + radius * math.sin(angle), 1)


def _box(nodes: Sequence[Mapping[str, Any]]) -> str:
    """The part of the plane that the map shows: names stand outside of the circle."""
    longest = max((len(node["label"]) for node in nodes if node["named"]), default=0)
    beside = max(0, LETTER * longest - 60)
    return f"{-beside} 0 {2 * CENTRE + 2 * beside:g} {2 * CENTRE:g}"


def _nodes(hosts: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A dot for each host, on a circle with its name, or in rows where there are many."""
    named = len(hosts) <= NAMES_UP_TO
    for place, host in enumerate(hosts):
        x, y = _point(place, len(hosts))
        label_x, label_y = _point(place, len(hosts), RADIUS + 16)
        yield {
            "x": x,
            "y": y,
            "size": 11
            if len(hosts) <= 20
            else 7
            if named
            else round(0.7 * CENTRE / math.ceil(math.sqrt(len(hosts))), 1),
            "state": host["verdict"] if host["state"] == "heard" else host["state"],
            "name": host["name"],
            "label": host["name"] if len(host["name"]) <= 24 else f"{host['name'][:21]}...",
            "named": named,
            "label_x": label_x,
            "label_y": label_y,
            "anchor": "middle" if abs(label_x - CENTRE) < 30 else "start" if label_x > CENTRE else "end",
            "drift": len(host["drift"]),
        }


def _lines(
    links: Sequence[Mapping[str, Any]],
    hosts: Sequence[Mapping[str, Any]],
    bad: Sequence[Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """A line for each pair of hosts with a way that is not fine; few hosts have one for each pair, the bad on top."""
    places = {host["name"]: number for number, host in enumerate(hosts)}
    drawn = [each for each in links if each["layer"] != "underlay"] if len(hosts) <= LINES_UP_TO else bad[:BAD_SHOWN]
    worst: dict[tuple[int, int], str] = {}
    for each in drawn:
        one, other = sorted((places[each["source"]], places[each["target"]]))
        worst[one, other] = max(worst.get((one, other), "fine"), each["state"], key=GRAVITY.index)
    for (one, other), state in sorted(worst.items(), key=lambda item: GRAVITY.index(item[1])):
        start, end = _point(one, len(hosts)), _point(other, len(hosts))
        yield {
            "x1": start[0],
            "y1": start[1],
            "x2": end[0],
            "y2": end[1],
            "state": state,
        }


def _heats(document: Mapping[str, Any], places: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """A heat map for each family and layer that was measured."""
    names = list(places)
    for family in document["network"]["families"]:
        for layer in ("overlay", "pod"):
            links = [each for each in document["links"] if (each["family"], each["layer"]) == (family, layer)]
            if not links:
                continue
            times = sorted(each["rtt_avg"] for each in links if each["rtt_avg"] is not None)
            slow = times[int(0.95 * (len(times) - 1))] if times else 0.0
            heat: dict[str, Any] = {
                "title": f"IPv{family} {LAYERS[layer]}",
                "counts": [(state, sum(1 for each in links if each["state"] == state)) for state in GRAVITY],
                "slow": slow,
                "rows": None,
                "paths": [],
                "dots": [],
                "number": len(names),
                "columns": math.ceil(math.sqrt(2 * len(names))),
            }
            if len(names) > TABLE_UP_TO and 2 * len(links) < len(names) * (len(names) - 1):
                heat["dots"] = list(_dots(links, names, slow))
            elif len(names) <= TABLE_UP_TO:
                by_pair = {(each["source"], each["target"]): each for each in links}
                heat["rows"] = [
                    (
                        source,
                        [_cell(by_pair.get((source, target)), slow) for target in names],
                    )
                    for source in names
                ]
                heat["names"] = names
            else:
                heat["paths"] = list(_paths(links, places, slow))
            yield heat


def _dots(links: Sequence[Mapping[str, Any]], names: Sequence[str], slow: float) -> Iterator[dict[str, Any]]:
    """A square for each host, with the worst of the ways that it measured: a sample leaves a matrix empty."""
    worst: dict[str, str] = {}
    order = ("fine", "slow", *GRAVITY[1:])
    for each in links:
        worst[each["source"]] = max(worst.get(each["source"], "fine"), _class(each, slow), key=order.index)
    columns = math.ceil(math.sqrt(2 * len(names)))
    for place, name in enumerate(names):
        if name in worst:
            yield {
                "x": place % columns,
                "y": place // columns,
                "class": worst[name],
                "name": name,
            }


def _class(link: Mapping[str, Any], slow: float) -> str:
    if link["state"] != "fine" or link["rtt_avg"] is None:
        return str(link["state"])
    return "slow" if slow and link["rtt_avg"] > slow else "fine"


def _cell(link: Mapping[str, Any] | None, slow: float) -> dict[str, str]:
    if link is None:
        return {"class": "nothing", "text": "", "title": ""}
    time = "" if link["rtt_avg"] is None else f"{link['rtt_avg']:.2f} ms"
    loss = f"{link['loss']:g} %" if link["loss"] else ""
    words = {
        "none": "no answer",
        "not_measured": "not measured",
        "cut": f"{time} large lost",
    }
    return {
        "class": _class(link, slow),
        "text": words.get(link["state"]) or " ".join(part for part in (loss, time) if part),
        "title": f"{link['source']} to {link['target']}: {WORDS[link['state']]} {link['reason']}".strip(),
    }


def _paths(links: Sequence[Mapping[str, Any]], places: Mapping[str, int], slow: float) -> Iterator[tuple[str, str]]:
    """One path for each class of cells: a square at column and row of a pair, neighbours of a row in one."""
    cells: dict[str, list[tuple[int, int]]] = {}
    for each in links:
        cells.setdefault(_class(each, slow), []).append((places[each["source"]], places[each["target"]]))
    for state, found in cells.items():
        parts: list[str] = []
        start: tuple[int, int] | None = None
        width = 0
        for row, column in [*sorted(found), (-1, -1)]:
            if start is not None and (row, column) == (start[0], start[1] + width):
                width += 1
                continue
            if start is not None:
                parts.append(f"M{start[1]} {start[0]}h{width}v1h-{width}z")
            start, width = (row, column), 1
        yield state, "".join(parts)
