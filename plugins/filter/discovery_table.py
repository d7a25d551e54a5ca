# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: discovery_table
short_description: Render discovery records as a text table
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Turns the records of the discovery lookups into lines of text, a heading and one line per component.
positional: _input
options:
  _input:
    description: Records; summaries among them are left out.
    type: list
    elements: dict
    required: true
seealso:
  - plugin: podnet.cni.cni
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Show what runs in two clusters
  ansible.builtin.debug:
    msg: "{{ query('podnet.cni.cni', 'east', 'west') | podnet.cni.discovery_table }}"
"""

RETURN = r"""
_value:
  description: Lines with cluster, plugin, role, version, namespace, backend, pod CIDRs, service CIDRs and health.
  type: list
  elements: str
"""

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.plugin_utils._text_table import align

_HEADING = ("CLUSTER", "PLUGIN", "ROLE", "VERSION", "NAMESPACE", "BACKEND", "POD CIDRS", "SERVICE CIDRS", "HEALTH")


def discovery_table(data: Any) -> list[str]:
    """Lines of the table; an error names what is not a record."""
    try:
        return align([_HEADING, *(_row(item) for item in data if item["kind"] == "component")])
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(
            f"discovery_table: this is not a list of discovery records ({type(error).__name__}: {error}). "
            "Give it the answer of the lookup podnet.cni.cni or podnet.cni.flannel."
        ) from error


def _row(item: Mapping[str, Any]) -> Sequence[str]:
    networking = item["networking"]
    health = item["health"]
    reasons = ",".join(health["reasons"])
    cells = (
        item["cluster"],
        item["plugin"],
        item["role"],
        item["version"],
        item["namespace"],
        fields.at(networking, "backend", "type") or networking["encapsulation"],
        ",".join(entry["cidr"] for entry in networking["pod_cidrs"]),
        ",".join(entry["cidr"] for entry in networking["service_cidrs"]),
        f"{health['state']} ({reasons})" if reasons else health["state"],
    )
    return [str(cell or "-") for cell in cells]


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[[Any], list[str]]]:
        return {"discovery_table": discovery_table}
