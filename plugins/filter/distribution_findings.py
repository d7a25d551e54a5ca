# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: distribution_findings
short_description: Judge how k3s, RKE2, Rancher and others are told to make the network
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Runs every check of the role podnet.cni.distribution over the facts of hosts and of a cluster. Findings have the
    shape of P(podnet.cni.preflight_findings#filter), so P(podnet.cni.preflight_table#filter) shows them.
  - Asks nothing and changes nothing, so facts that were saved can be judged later.
positional: _input
options:
  _input:
    description: For each name of a host the RV(podnet.cni.distribution_node_info#module:facts) of it. May be empty.
    type: dict
    required: true
  cluster:
    description: RV(podnet.cni.distribution_cluster_info#module:facts). Left out, none is judged.
    type: dict
  skip:
    description: Ids of checks to leave out.
    type: list
    elements: str
    default: []
seealso:
  - module: podnet.cni.distribution_node_info
  - module: podnet.cni.distribution_cluster_info
  - plugin: podnet.cni.preflight_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ {inventory_hostname: node.facts} | podnet.cni.distribution_findings | podnet.cni.preflight_table }}"
"""

RETURN = r"""
_value:
  description:
    - One entry per finding, the gravest first. Each has C(id), C(subject), C(status) (V(ok), V(failed), V(unknown) or
      V(skipped)), C(severity) (V(info), V(warning) or V(error)), C(seen), C(expected) and C(remedy), which names the
      source of the fact.
  type: list
  elements: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


def distribution_findings(hosts: Any, cluster: Any = None, skip: Any = ()) -> list[dict[str, str]]:
    """Judge; raises AnsibleFilterError for facts that are not a mapping, and for an unknown check."""
    if not isinstance(hosts, Mapping) or not all(isinstance(facts, Mapping) for facts in hosts.values()):
        raise AnsibleFilterError("distribution_findings needs a dictionary: names of hosts to their facts.")
    if cluster is not None and not isinstance(cluster, Mapping):
        raise AnsibleFilterError(f"distribution_findings: cluster is {cluster!r}. Give a dictionary.")
    if isinstance(skip, (str, Mapping)) or not isinstance(skip, Sequence):
        raise AnsibleFilterError(f"distribution_findings: skip is {skip!r}. Give a list of ids of checks.")
    from ansible_collections.podnet.cni.plugins.module_utils._distributions import audit

    try:
        return audit.findings(hosts, cluster, [str(name) for name in skip])
    except PodnetError as error:
        raise AnsibleFilterError(f"distribution_findings: {error}") from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"distribution_findings": distribution_findings}
