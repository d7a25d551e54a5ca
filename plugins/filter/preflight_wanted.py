# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: preflight_wanted
short_description: Take network config and leases out of the facts of a cluster
version_added: 0.1.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Returns what hosts are compared with, as far as the cluster tells it.
positional: _input
options:
  _input:
    description: The RV(podnet.cni.preflight_cluster_info#module:facts) of the cluster. It may be empty.
    type: dict
    required: true
seealso:
  - module: podnet.cni.preflight_cluster_info
  - plugin: podnet.cni.preflight_findings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the network config that the cluster runs with
  ansible.builtin.debug:
    msg: "{{ (cluster.facts | podnet.cni.preflight_wanted).network_config }}"
"""

RETURN = r"""
_value:
  description:
    - C(network_config), C(plugin), C(flannel) (its version), C(leases) and C(nodes) (their number). What the cluster
      does not tell is left out.
  type: dict
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._preflight.sources import from_cluster


def preflight_wanted(facts: Any) -> dict[str, Any]:
    """Take it out; raises AnsibleFilterError for what is no dictionary."""
    if not isinstance(facts, Mapping):
        raise AnsibleFilterError("preflight_wanted needs the facts of preflight_cluster_info.")
    return from_cluster(facts)


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"preflight_wanted": preflight_wanted}
