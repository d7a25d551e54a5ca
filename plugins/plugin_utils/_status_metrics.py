# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of a network as metrics for the textfile collector of Prometheus' node_exporter.

Private to podnet.cni: may change in any release.

Names and base units after https://prometheus.io/docs/practices/naming/, the format after
https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4). A silent host or a way that nobody
measured has no value where none is known, and a state of its own.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Sample = tuple[Mapping[str, str], float]
VERDICTS = ("well", "impaired", "not_known", "broken")
LINKS = ("fine", "lossy", "cut", "none", "not_measured")
HOSTS = ("heard", "silent", "left_out")


def metrics(document: Mapping[str, Any]) -> str:
    """Return the text of the file, which ends in a line feed."""
    lines: list[str] = []
    for name, meaning, samples in _families(document):
        lines += [f"# HELP podnet_network_{name} {meaning}", f"# TYPE podnet_network_{name} gauge"]
        lines += [f"podnet_network_{name}{_labels(labels)} {value:g}" for labels, value in samples]
    stamp = datetime.datetime.fromisoformat(document["taken"]).timestamp()
    name = "podnet_network_taken_timestamp_seconds"
    lines += [f"# HELP {name} When the picture was taken.", f"# TYPE {name} gauge", f"{name} {stamp:.0f}"]
    return "\n".join(lines) + "\n"


def _families(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Sequence[Sample]]]:
    verdict, hosts, links = document["verdict"], document["hosts"], document["links"]
    yield (
        "verdict",
        "1 for the verdict on the network, 0 for the others.",
        [({"verdict": state}, float(state == verdict["state"])) for state in VERDICTS],
    )
    yield (
        "hosts",
        "Number of hosts that are expected, by whether they told about themselves.",
        [({"state": state}, verdict["hosts"][state]) for state in HOSTS],
    )
    yield (
        "host_verdict",
        "1 for the verdict on the host, 0 for the others.",
        [
            ({"host": host["name"], "verdict": state}, float(state == host["verdict"]))
            for host in hosts
            for state in VERDICTS
        ],
    )
    yield (
        "host_differences",
        "Number of differences between the kernel and files of a host and its leases.",
        [({"host": host["name"]}, len(host["drift"])) for host in hosts if host["compared"]],
    )
    counted = Counter((str(each["family"]), each["layer"], each["state"]) for each in links)
    layers = sorted({(str(each["family"]), each["layer"]) for each in links})
    yield (
        "links",
        "Number of ways from host to host, by address family, layer and state.",
        [
            ({"family": family, "layer": layer, "state": state}, counted[family, layer, state])
            for family, layer in layers
            for state in LINKS
        ],
    )
    for name, meaning, key, scale in (
        ("link_loss_ratio", "Part of the packets that were lost on a way.", "loss", 100),
        ("link_full_size_loss_ratio", "Part of the full-size packets that were lost on a way.", "full_loss", 100),
        ("link_round_trip_seconds", "Mean round trip on a way.", "rtt_avg", 1000),
    ):
        yield name, meaning, [(_way(each), each[key] / scale) for each in links if each[key] is not None]
    failed = Counter((each["id"], each["severity"], each["status"]) for each in document["findings"])
    yield (
        "findings",
        "Number of findings, by check, severity and status (failed or unknown).",
        [
            ({"check": name, "severity": severity, "status": status}, number)
            for (name, severity, status), number in sorted(failed.items())
        ],
    )


def _way(link: Mapping[str, Any]) -> dict[str, str]:
    return {
        "source": link["source"],
        "target": link["target"],
        "family": str(link["family"]),
        "layer": link["layer"],
    }


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {
        name: str(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
