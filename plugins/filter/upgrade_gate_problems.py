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
  - Takes the variables of hosts and says which nodes of a wave are not well, and whether they are too many. A node of
    the wave that says nothing is not well. The role P(podnet.cni.upgrade#role) uses it.
  - A node that other nodes do not reach, and that reaches none itself, is not well; the others are.
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
      - Nodes of the wave that have to be well.
    type: list
    elements: str
    required: true
  max_failed:
    description:
      - How many nodes may fail after the first wave, as a number or a percentage of O(total).
    type: str
    default: '0'
  total:
    description:
      - How many nodes there are.
    type: int
    default: 0
  first:
    description:
      - Whether it is the first wave, in which none may fail.
    type: bool
    default: true
  before:
    description:
      - Nodes that failed earlier. They count.
    type: list
    elements: str
    default: []
seealso:
  - plugin: podnet.cni.upgrade_plan_text
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Is the wave well?
  ansible.builtin.assert:
    that: not (groups['k8s_cluster'] | map('extract', hostvars) | podnet.cni.upgrade_gate_problems(['node-1'])).stop
"""

RETURN = r"""
_value:
  description:
    - C(failed) maps nodes to what is wrong with them, C(others) does so for hosts that are not of the wave, C(stop)
      says whether too many failed.
  type: dict
  sample:
    failed: {worker-1: 'packets of more than 1400 octets do not get through, but the MTU is 1450'}
    others: {}
    stop: true
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.plugin_utils._upgrade_gates import judge


def upgrade_gate_problems(data: Any, nodes: Any, **options: Any) -> dict[str, Any]:
    """The verdict; an error names what cannot be read."""
    try:
        return judge(data, nodes, **options)
    except InputError as error:
        raise AnsibleFilterError(f"upgrade_gate_problems: {error}") from error
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise AnsibleFilterError(f"upgrade_gate_problems: {error}. Give it the variables of hosts.") from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"upgrade_gate_problems": upgrade_gate_problems}
