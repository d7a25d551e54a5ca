# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: reachability_table
short_description: Render who reaches whom as a text table
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Takes what M(podnet.cni.pod_network_probe) returned on several hosts and renders one table.
  - Up to O(matrix_limit) sources and targets the table is a matrix with loss and mean round trip in each cell. Above
    that it has one line per source, and every pair that loses packets is listed below.
positional: _input
options:
  _input:
    description: The RV(podnet.cni.pod_network_probe#module:probes) of all hosts in one list.
    type: list
    elements: dict
    required: true
  matrix_limit:
    description: The largest number of sources or targets for which a matrix is rendered.
    type: int
    default: 10
seealso:
  - module: podnet.cni.pod_network_probe
  - plugin: podnet.cni.text_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Measure all pairs
  podnet.cni.pod_network_probe:
    source: "{{ inventory_hostname }}"
    targets: "{{ pods }}"
  register: measured

- name: Show the table
  ansible.builtin.debug:
    msg: "{{ probes | podnet.cni.reachability_table }}"
  run_once: true
  vars:
    probes: >-
      {{ ansible_play_hosts | map('extract', hostvars, ['measured', 'probes']) | flatten }}
# msg: |-
#   from \ to  node1         node2
#   node1      -             0 %  0.08 ms
#   node2      0 %  0.07 ms  -
#
#   2 of 2 pairs reach each other, loss 0 %, round trip 0.07 to 0.08 ms
"""

RETURN = r"""
_value:
  description: The table, lines separated by line feeds, without one at the end.
  type: str
"""

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.plugin_utils._text_table import align

NEEDED = ("source", "target", "sent", "received", "loss", "rtt_avg")


def cell(probe: Mapping[str, Any] | None) -> str:
    """Return what the matrix shows for one pair; a pair that was not measured is a dash."""
    if probe is None:
        return "-"
    if not probe["received"]:
        return "no answer"
    return f"{probe['loss']:g} %  {probe['rtt_avg']:.2f} ms"


def summary(probes: Sequence[Mapping[str, Any]]) -> str:
    """Return one line about all pairs."""
    answered = [probe for probe in probes if probe["received"]]
    sent = sum(probe["sent"] for probe in probes)
    lost = sent - sum(probe["received"] for probe in probes)
    text = f"{len(answered)} of {len(probes)} pairs reach each other, loss {100 * lost / sent if sent else 0:.3g} %"
    if answered:
        times = [probe["rtt_avg"] for probe in answered]
        text += f", round trip {min(times):.2f} to {max(times):.2f} ms"
    return text


def matrix(probes: Sequence[Mapping[str, Any]], sources: Sequence[str], targets: Sequence[str]) -> list[str]:
    """Return a line per source with a cell per target."""
    by_pair = {(probe["source"], probe["target"]): probe for probe in probes}
    rows = [["from \\ to", *targets]]
    rows += [[source, *(cell(by_pair.get((source, target))) for target in targets)] for source in sources]
    return align(rows)


def per_source(probes: Sequence[Mapping[str, Any]], sources: Sequence[str]) -> list[str]:
    """Return a line per source, and a line per pair that loses packets."""
    rows = [["from", "reached", "loss", "round trip min / mean / max"]]
    for source in sources:
        own = [probe for probe in probes if probe["source"] == source]
        times = [probe["rtt_avg"] for probe in own if probe["received"]]
        sent = sum(probe["sent"] for probe in own)
        lost = sent - sum(probe["received"] for probe in own)
        rows.append(
            [
                source,
                f"{len(times)} of {len(own)}",
                f"{100 * lost / sent if sent else 0:.3g} %",
                f"{min(times):.2f} / {sum(times) / len(times):.2f} / {max(times):.2f} ms" if times else "-",
            ]
        )
    bad = [
        f"{probe['source']} -> {probe['target']}: {'no answer' if not probe['received'] else cell(probe)}"
        for probe in probes
        if probe["received"] < probe["sent"] or not probe["sent"]
    ]
    return align(rows) + (["", *bad] if bad else [])


def reachability_table(probes: Any, matrix_limit: int = 10) -> str:
    """Render the probes of all hosts; raises AnsibleFilterError for what the module did not return."""
    if not isinstance(probes, Sequence) or isinstance(probes, str):
        raise AnsibleFilterError(f"reachability_table needs a list of probes, not {type(probes).__name__}.")
    for index, probe in enumerate(probes):
        missing = [key for key in NEEDED if not isinstance(probe, Mapping) or key not in probe]
        if missing:
            raise AnsibleFilterError(
                f"reachability_table: entry {index} lacks {', '.join(missing)}. "
                "Pass the probes that podnet.cni.pod_network_probe returned."
            )
    if not probes:
        return "nothing was measured"
    sources = list(dict.fromkeys(str(probe["source"]) for probe in probes))
    targets = list(dict.fromkeys(str(probe["target"]) for probe in probes))
    # hosts in one order on both sides, whoever was measured first
    targets.sort(key=lambda name: sources.index(name) if name in sources else len(sources))
    large = max(len(sources), len(targets)) > matrix_limit
    lines = per_source(probes, sources) if large else matrix(probes, sources, targets)
    return "\n".join([*lines, "", summary(probes)])


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"reachability_table": reachability_table}
