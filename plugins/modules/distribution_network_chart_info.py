#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: distribution_network_chart_info
short_description: Tell whether RKE2's Helm controller has installed a network's chart with the values that it was given
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Looks at the HelmChart, its HelmChartConfig, the controller's job and flannel's ConfigMap, and tells what is
    missing.
  - Looks once, and does not wait.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._attributes.info_module
  - podnet.cni._kubernetes
attributes:
  platform:
    platforms: posix
options:
  name:
    description: Name of the chart.
    type: str
    choices: [rke2-canal, rke2-flannel]
    required: true
  values:
    description: Values by their dotted names that the HelmChartConfig has to have.
    type: dict
    default: {}
  expect:
    description: What flannel's network config has to say, C(backend), C(vni) and C(mtu). What is 0 is not looked at.
    type: dict
    default: {}
  former_job:
    description: RV(job) of before the change. The controller makes a new one.
    type: str
    default: ""
  evidence:
    description: Whether events and the last log lines of the job are read.
    type: bool
    default: false
notes:
  - Needs get for the HelmChart, its HelmChartConfig, the job and the ConfigMap in C(kube-system), and for
    O(evidence=true) list for pods and events and get for C(pods/log).
"""

EXAMPLES = r"""
- name: Wait for the chart
  podnet.cni.distribution_network_chart_info:
    kubeconfig: rke2.yaml
    name: rke2-canal
    expect: {backend: vxlan, mtu: 9000}
  register: chart
  until: chart.problem | length == 0 or chart.final
  retries: 60
  delay: 5
"""

RETURN = r"""
problem:
  description: What is missing, empty for nothing.
  returned: success
  type: str
  sample: job helm-install-rke2-canal has not ended
final:
  description: Whether waiting does not help, since the job has failed.
  returned: success
  type: bool
job:
  description: The uid of the controller's job now, empty for none.
  returned: success
  type: str
events:
  description: Events of the job and its pods, with O(evidence=true).
  returned: success
  type: list
  elements: str
log:
  description: The last lines that the job has logged, with O(evidence=true).
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._distributions import chart_job
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "name": {"type": "str", "choices": sorted(chart_job.CONFIG_MAPS), "required": True},
            "values": {"type": "dict", "default": {}},
            "expect": {"type": "dict", "default": {}},
            "former_job": {"type": "str", "default": ""},
            "evidence": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        no_log=True,
    )
    params = module.params
    module.no_log_values.update(auth.secrets(params["kubeconfig"]))
    try:
        with KubeClient.from_options(params) as client:
            found = chart_job.look(client, params)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
