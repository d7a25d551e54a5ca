# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_rollouts
short_description: Complete what is to be rolled out
version_added: 0.1.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Gives rollouts all their keys, or picks some of them. The role P(podnet.cni.upgrade#role) uses it.
positional: _input, keys
options:
  _input:
    description:
      - Rollouts with C(namespace) and C(name), and what they need of C(template), C(replace_template), C(config_map),
        C(config_data), C(os), C(container) and C(log_others), as M(podnet.cni.daemonset_rollout) knows them.
    type: list
    elements: dict
    required: true
  keys:
    description:
      - The keys to pick. All when it is empty.
    type: list
    elements: str
    default: []
  written:
    description:
      - Leave out what is to be changed, because somebody else has written it.
    type: bool
    default: false
seealso:
  - plugin: podnet.cni.upgrade_plan_text
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Where are they?
  ansible.builtin.debug:
    msg: "{{ upgrade_daemonsets | podnet.cni.upgrade_rollouts(['namespace', 'name']) }}"
"""

RETURN = r"""
_value:
  description: The rollouts.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.plugin_utils._upgrade_gates import rollouts


def upgrade_rollouts(data: Any, keys: Any = (), written: bool = False) -> list[dict[str, Any]]:
    """The rollouts; an error names what is wrong."""
    try:
        return rollouts(data, keys, written)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(f"upgrade_rollouts: {error}. Mend upgrade_daemonsets.") from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"upgrade_rollouts": upgrade_rollouts}
