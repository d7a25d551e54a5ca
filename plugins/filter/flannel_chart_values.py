# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: flannel_chart_values
short_description: Make flannel's settings fit for its Helm chart
version_added: 0.1.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Leaves out what is not set, and quotes C(flannel.tunnelMode), which the chart writes into JSON without quotes.
  - Fails for what the chart cannot express.
positional: _input
options:
  _input:
    description: Values in the shape of the upstream chart's C(values.yaml); null is not set.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Install the chart
  kubernetes.core.helm:
    name: flannel
    namespace: kube-flannel
    chart_ref: flannel
    chart_repo_url: https://flannel-io.github.io/flannel/
    values: "{{ values | podnet.cni.flannel_chart_values }}"
  vars:
    values:
      podCidr: 10.244.0.0/16
      flannel: {backend: wireguard, tunnelMode: auto, enableNFTables: false}
"""

RETURN = r"""
_value:
  description: The values to give to Helm.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._manifests import settings


def flannel_chart_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values for the chart; an error says what is wrong and what to do."""
    try:
        return settings.chart_values(values)
    except PodnetError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"flannel_chart_values": flannel_chart_values}
