# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: distribution_settings
short_description: Name every setting of the network with the file or object that owns it
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Reads the texts of M(podnet.cni.distribution_node_info) and the objects of
    M(podnet.cni.distribution_cluster_info) by the rules of k3s, RKE2, Rancher, RKE1, kubeadm, Kubespray, Talos,
    MicroK8s and kOps, and tells for each setting its value, what decides it, how its owner wants it changed, and who
    would overwrite a change made elsewhere.
  - Asks nothing and changes nothing.
positional: _input
options:
  _input:
    description: For each name of a host the RV(podnet.cni.distribution_node_info#module:facts) of it. May be empty.
    type: dict
    required: true
  cluster:
    description: RV(podnet.cni.distribution_cluster_info#module:facts). Left out, only hosts are read.
    type: dict
seealso:
  - module: podnet.cni.distribution_node_info
  - module: podnet.cni.distribution_cluster_info
"""

EXAMPLES = r"""
- name: Show which file decides the backend of each server
  ansible.builtin.debug:
    msg: "{{ ({inventory_hostname: node.facts} | podnet.cni.distribution_settings).settings
             | selectattr('name', '==', 'flannel-backend') | map(attribute='place') }}"
"""

RETURN = r"""
_value:
  description:
    - C(owners), the names of the owners that the API shows.
    - C(settings), one entry per setting, with C(owner), C(subject) (a host, V(cluster), or an object), C(name),
      C(value), C(place) (a file with its line, or an object), C(change), C(overwritten_by), and C(running), what the
      process runs with by its Node, V(null) where that is not known.
    - C(problems), one entry per place that cannot be read as it stands, with C(kind), C(place), C(text) and C(remedy).
  type: dict
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


def distribution_settings(hosts: Any, cluster: Any = None) -> dict[str, Any]:
    """Read; raises AnsibleFilterError for facts that are not a mapping."""
    if not isinstance(hosts, Mapping) or not all(isinstance(facts, Mapping) for facts in hosts.values()):
        raise AnsibleFilterError("distribution_settings needs a dictionary: names of hosts to their facts.")
    if cluster is not None and not isinstance(cluster, Mapping):
        raise AnsibleFilterError(f"distribution_settings: cluster is {cluster!r}. Give a dictionary.")
    from ansible_collections.podnet.cni.plugins.module_utils._distributions import report

    try:
        return report.settings(hosts, cluster)
    except PodnetError as error:
        raise AnsibleFilterError(f"distribution_settings: {error}") from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"distribution_settings": distribution_settings}
