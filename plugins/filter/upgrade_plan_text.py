# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: upgrade_plan_text
short_description: Show the plan of an upgrade
version_added: 0.1.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Turns the plan of M(podnet.cni.pod_network_upgrade_plan) into lines for people.
positional: _input
options:
  _input:
    description:
      - The plan.
    type: dict
    required: true
seealso:
  - module: podnet.cni.pod_network_upgrade_plan
"""

EXAMPLES = r"""
- name: Show the plan
  ansible.builtin.debug:
    msg: "{{ planned.plan | podnet.cni.upgrade_plan_text }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._upgrade import text


def upgrade_plan_text(data: Any) -> list[str]:
    """The lines of a plan; an error names what is no plan."""
    try:
        return text.lines(data)
    except (TypeError, KeyError, AttributeError) as error:
        raise AnsibleFilterError(
            f"upgrade_plan_text: this is no plan ({type(error).__name__}: {error}). Give it what the module "
            "podnet.cni.pod_network_upgrade_plan returned as plan."
        ) from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[[Any], list[str]]]:
        return {"upgrade_plan_text": upgrade_plan_text}
