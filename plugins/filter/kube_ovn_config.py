# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kube_ovn_config
short_description: Check which Kube-OVN annotations pods inherit and fill in the defaults
version_added: 0.1.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Reads the configuration that the role P(podnet.cni.kube_ovn_inheritance#role), the admission server and
    M(podnet.cni.kube_ovn_inheritance_sync) share, refuses mistakes, and gives it back in full.
positional: _input
options:
  _input:
    description: The configuration, as option O(podnet.cni.kube_ovn_inheritance_sync#module:config) has it.
    type: dict
    required: true
seealso:
  - plugin: podnet.cni.kube_ovn_policies
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the whole configuration
  ansible.builtin.debug:
    msg: "{{ {'annotations': ['routes', 'port_security']} | podnet.cni.kube_ovn_config }}"
"""

RETURN = r"""
_value:
  description: The configuration with every default filled in.
  type: dict
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config


def kube_ovn_config(document: Any) -> dict[str, Any]:
    """Read the configuration and give it back in full; raises AnsibleFilterError for a mistake in it."""
    try:
        return config.parse(document).to_dict()
    except InputError as error:
        raise AnsibleFilterError(f"kube_ovn_config: {error}") from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"kube_ovn_config": kube_ovn_config}
