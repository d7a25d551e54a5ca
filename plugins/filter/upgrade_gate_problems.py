# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_gate_problems
short_description: Judge what hosts say about themselves after a wave
version_added: 0.1.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Takes the variables of hosts and gives a line for each node that is not well. A node of the wave that says nothing
    is not well. The role P(podnet.cni.upgrade#role) uses it.
positional: _input, nodes
options:
  _input:
    description:
      - Variables of the hosts.
    type: list
    elements: dict
    required: true
  nodes:
    description:
      - Nodes of the wave.
    type: list
    elements: str
    required: true
seealso:
  - plugin: podnet.cni.upgrade_plan_text
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Is the wave well?
  ansible.builtin.assert:
    that: groups['k8s_cluster'] | map('extract', hostvars) | podnet.cni.upgrade_gate_problems(['node-1']) | length == 0
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample:
    - 'worker-1: packets of more than 1400 octets do not get through, but the MTU is 1450'
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.plugin_utils._upgrade_gates import problems


def upgrade_gate_problems(data: Any, nodes: Any) -> list[str]:
    """The lines; an error names what cannot be read."""
    try:
        return problems(data, nodes)
    except (TypeError, ValueError, AttributeError) as error:
        raise AnsibleFilterError(f"upgrade_gate_problems: {error}. Give it the variables of hosts.") from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[[Any, Any], list[str]]]:
        return {"upgrade_gate_problems": upgrade_gate_problems}
