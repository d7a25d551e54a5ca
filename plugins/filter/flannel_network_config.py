# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: flannel_network_config
short_description: Make flannel's network config from the settings of its chart
version_added: 0.1.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Takes values in the shape of the upstream chart's C(values.yaml) and gives the network config that flanneld reads.
  - Fails for what flanneld would refuse, and for a setting that the chosen backend does not have.
positional: _input
options:
  _input:
    description: The values; C(podCidr), C(podCidrv6) and C(flannel) are read.
    type: dict
    required: true
  windows:
    description: Whether Windows nodes share the network, which narrows what is possible.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the network config
  ansible.builtin.debug:
    msg: "{{ values | podnet.cni.flannel_network_config }}"
  vars:
    values:
      podCidr: 10.244.0.0/16
      flannel: {backend: vxlan, vni: 1, enableNFTables: false}
"""

RETURN = r"""
_value:
  description: The network config by upstream's names.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._manifests import settings


def flannel_network_config(values: Mapping[str, Any], windows: bool = False) -> dict[str, Any]:
    """The network config; an error says what is wrong and what to do."""
    try:
        return settings.network_config(values, windows=windows)
    except PodnetError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"flannel_network_config": flannel_network_config}
