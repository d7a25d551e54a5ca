# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: preflight_findings
short_description: Judge the facts of hosts and of a cluster, as findings of the preflight
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Runs every check of the role podnet.cni.preflight over the facts of all hosts, and over those of a cluster.
  - Asks nothing and changes nothing, so facts that were saved can be judged later.
positional: _input
options:
  _input:
    description:
      - For each name of a host the RV(podnet.cni.preflight_host_info#module:facts) of it. What was measured between
        hosts lies among them as C(udp_listeners), C(udp_probes), C(path_probes) and C(overlay_probes).
      - A host that did not answer has C(lost) alone, which is V(true).
    type: dict
    required: true
  cluster:
    description: The facts of the cluster. Left out, none is judged.
    type: dict
  wanted:
    description:
      - What the facts are compared with. C(network_config) (the network config), C(plugin) (V(flannel) or V(canal)),
        C(kubernetes) and C(flannel) (versions), C(leases) (as RV(podnet.cni.flannel_lease_info#module:leases)),
        C(nodes) (their number), C(clock_skew) (seconds), C(skip) (ids of checks to leave out). Each may be missing.
    type: dict
    default: {}
seealso:
  - module: podnet.cni.preflight_host_info
  - plugin: podnet.cni.preflight_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Judge what was gathered
  ansible.builtin.set_fact:
    findings: "{{ {inventory_hostname: host.facts} | podnet.cni.preflight_findings(wanted={'kubernetes': '1.36'}) }}"

- name: Stop where something is wrong
  ansible.builtin.assert:
    that: findings | selectattr('status', '==', 'failed') | selectattr('severity', '==', 'error') | length == 0
"""

RETURN = r"""
_value:
  description:
    - One entry per finding, the gravest first. Each has C(id), C(subject), C(status) (V(ok), V(failed), V(unknown) or
      V(skipped)), C(severity) (V(info), V(warning) or V(error)), C(seen), C(expected) and C(remedy).
  type: list
  elements: dict
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


def preflight_findings(hosts: Any, cluster: Any = None, wanted: Any = None) -> list[dict[str, str]]:
    """Judge; raises AnsibleFilterError for facts that are not a mapping, and for an unknown check."""
    if not isinstance(hosts, Mapping) or not all(isinstance(facts, Mapping) for facts in hosts.values()):
        raise AnsibleFilterError("preflight_findings needs a dictionary: names of hosts to their facts.")
    for name, value in (("cluster", cluster), ("wanted", wanted)):
        if value is not None and not isinstance(value, Mapping):
            raise AnsibleFilterError(f"preflight_findings: {name} is {value!r}. Give a dictionary.")
    from ansible_collections.podnet.cni.plugins.module_utils._preflight import report

    try:
        return report.to_dicts(report.findings(hosts, cluster, wanted or {}))
    except PodnetError as error:
        raise AnsibleFilterError(f"preflight_findings: {error}") from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"preflight_findings": preflight_findings}
