# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: policy_probes
short_description: Turn NetworkPolicy verdicts on connections into probes that prove them
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Takes the verdicts of M(podnet.cni.network_policy_impact_info) and returns what M(podnet.cni.pod_network_probe) has
    to measure from each source. A connection that is allowed is expected to be reachable, a denied one is not.
  - Left out are connections whose verdict is not known, because nothing is expected of them, and those that cannot be
    tried. The latter are of protocol SCTP, those of a source or destination without an address, and those without a
    path.
positional: _input
options:
  _input:
    description: The RV(podnet.cni.network_policy_impact_info#module:verdicts).
    type: list
    elements: dict
    required: true
seealso:
  - module: podnet.cni.network_policy_impact_info
  - module: podnet.cni.pod_network_probe
"""

EXAMPLES = r"""
- name: Prove on each node what the pods of the node may reach and what not
  podnet.cni.pod_network_probe:
    source: "{{ item.source }}"
    source_address: "{{ item.source_address }}"
    targets: "{{ item.targets }}"
  loop: "{{ impact.verdicts | podnet.cni.policy_probes | selectattr('node', 'equalto', inventory_hostname) }}"
  loop_control:
    label: "{{ item.source }}"
"""

RETURN = r"""
_value:
  description: One entry for each address that connections come from, in the order of the verdicts.
  type: list
  elements: dict
  contains:
    node:
      description: Node to measure on; none where it is not known, as for an address outside of the cluster.
      type: str
    source:
      description: The source as the flow names it.
      type: str
    source_address:
      description: Its address.
      type: str
    targets:
      description: The targets with their expectations.
      type: list
      elements: dict
  sample:
    - node: node-1
      source: shop/web-0
      source_address: 10.244.1.7
      targets:
        - {name: shop/db-0 tcp 5432, address: 10.244.2.9, protocol: tcp, port: 5432, expect: reachable}
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

NEEDED = ("from", "to", "port", "protocol", "verdict", "from_address", "to_address", "from_node")
EXPECTATIONS = {"allow": "reachable", "deny": "unreachable"}
PROTOCOLS = ("icmp", "tcp", "udp")


def policy_probes(verdicts: Any) -> list[dict[str, Any]]:
    """The probes of each source; raises AnsibleFilterError for a value that is not a list of verdicts."""
    if not isinstance(verdicts, Sequence) or isinstance(verdicts, str):
        raise AnsibleFilterError(f"policy_probes needs a list of verdicts, not {type(verdicts).__name__}.")
    found: dict[str, dict[str, Any]] = {}
    for index, verdict in enumerate(verdicts):
        missing = [key for key in NEEDED if not isinstance(verdict, Mapping) or key not in verdict]
        if missing:
            raise AnsibleFilterError(
                f"policy_probes: entry {index} lacks {', '.join(missing)}. "
                "Pass the verdicts that podnet.cni.network_policy_impact_info returned."
            )
        target = _target(verdict)
        if target is None:
            continue
        entry = found.setdefault(
            verdict["from_address"],
            {
                "node": verdict["from_node"],
                "source": verdict["from"],
                "source_address": verdict["from_address"],
                "targets": [],
            },
        )
        if target not in entry["targets"]:
            entry["targets"].append(target)
    return list(found.values())


def _target(verdict: Mapping[str, Any]) -> dict[str, Any] | None:
    protocol = str(verdict["protocol"]).lower()
    expect = EXPECTATIONS.get(verdict["verdict"])
    if expect is None or protocol not in PROTOCOLS or not verdict["from_address"] or not verdict["to_address"]:
        return None
    port = {} if protocol == "icmp" else {"port": verdict["port"]}
    name = " ".join([verdict["to"], protocol, *(str(number) for number in port.values())])
    return {"name": name, "address": verdict["to_address"], "protocol": protocol, **port, "expect": expect}


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"policy_probes": policy_probes}
