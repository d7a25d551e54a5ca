# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_hosts_plan
short_description: Plan the upgrade of hosts that the role overlay programs
version_added: 0.1.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Says what changes in the network config, which hosts are in which batch, what is kept and what a rollback does not
    bring back. The role P(podnet.cni.upgrade#role) uses it.
positional: _input
options:
  _input:
    description:
      - Names of the hosts, in the order of the play.
    type: list
    elements: str
    required: true
  before:
    description:
      - The network config as the store has it. Left out, there is none.
    type: dict
  after:
    description:
      - The wanted network config. Left out, it stays.
    type: dict
  serial:
    description:
      - Sizes of the batches, as C(serial) of a play takes them.
    type: raw
    default: ['1', '10%', '25%', '100%']
  done:
    description:
      - Hosts that an interrupted upgrade has done.
    type: list
    elements: str
    default: []
  files:
    description:
      - What is kept of each host.
    type: list
    elements: str
    default: []
seealso:
  - plugin: podnet.cni.upgrade_plan_text
    plugin_type: filter
"""

EXAMPLES = r"""
- name: What would be done?
  ansible.builtin.debug:
    msg: "{{ groups['overlay'] | podnet.cni.upgrade_hosts_plan(serial=['1', '100%']) | podnet.cni.upgrade_plan_text }}"
"""

RETURN = r"""
_value:
  description: The plan, in the shape of RV(podnet.cni.pod_network_upgrade_plan#module:plan).
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import hosts


def upgrade_hosts_plan(data: Any, before: Any = None, after: Any = None, **options: Any) -> dict[str, Any]:
    """The plan; an error names what is wrong."""
    try:
        return hosts.plan(data, before or None, after or None, **options)
    except (InputError, TypeError, ValueError, AttributeError) as error:
        raise AnsibleFilterError(f"upgrade_hosts_plan: {error}") from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"upgrade_hosts_plan": upgrade_hosts_plan}
