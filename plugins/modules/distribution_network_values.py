#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: distribution_network_values
short_description: Merge values of the network into a HelmChartConfig or Rancher's cluster object, and take them back
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Merges values into the object that owns them, key by key, so that values of others stay what they are. Of a
    HelmChartConfig this is C(spec.valuesContent), and C(spec.values) where that has the key. Of a Cluster it is
    C(spec.rkeConfig).
  - Writes by the version that it has read. When somebody else was faster, it reads again and merges anew. It refuses
    where they changed one of the same values.
  - What was there before stays in an annotation of the object until the change has ended.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._kubernetes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Values of secret keys are hidden. Comments in C(spec.valuesContent) are not kept.
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  state:
    description:
      - V(present) merges O(values).
      - V(restored) takes back a change that has not ended. An object that was made by it goes, where nobody else wrote.
      - V(settled) ends the change, and forgets what was there before.
    type: str
    choices: [present, restored, settled]
    default: present
  kind:
    description: Kind of the object. V(Cluster) is that of C(provisioning.cattle.io) in a management cluster of Rancher.
    type: str
    choices: [HelmChartConfig, Cluster]
    default: HelmChartConfig
  name:
    description: Name of the object, which for a HelmChartConfig is that of the chart.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    default: kube-system
  values:
    description: Values as Helm takes them. Of a V(Cluster), what is merged into its C(spec).
    type: dict
    default: {}
  seen:
    description:
      - Values by their dotted names that were there when the change was planned, null for those that were not. One that
        is something else now is a conflict.
    type: dict
    default: {}
requirements:
  - PyYAML
notes:
  - Needs get, create, patch and delete for C(helmchartconfigs) of C(helm.cattle.io), or get and patch for C(clusters)
    of C(provisioning.cattle.io).
seealso:
  - module: podnet.cni.distribution_network_chart_info
"""

EXAMPLES = r"""
- name: Change Canal's MTUs, and leave other values alone
  podnet.cni.distribution_network_values:
    kubeconfig: rke2.yaml
    name: rke2-canal
    values:
      flannel: {mtu: 9000}
      calico: {vethuMTU: 8950}
"""

RETURN = r"""
conflicts:
  description: How often somebody else wrote first, so that the object was read again.
  returned: success
  type: int
  sample: 0
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._distributions import helm, object_values
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "state": {"type": "str", "choices": ["present", "restored", "settled"], "default": "present"},
            "kind": {"type": "str", "choices": ["HelmChartConfig", "Cluster"], "default": "HelmChartConfig"},
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "default": "kube-system"},
            "values": {"type": "dict", "default": {}},
            "seen": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
        no_log=True,
    )
    params, check = module.params, module.check_mode
    module.no_log_values.update(auth.secrets(params["kubeconfig"]))
    target = object_values.Target(params["kind"], params["namespace"], params["name"])
    values = {tuple(name.split(".")): value for name, value in helm.flat(params["values"])}
    seen = {tuple(name.split(".")): value for name, value in params["seen"].items()}
    try:
        with KubeClient.from_options(params) as client:
            if params["state"] == "present":
                found = object_values.merge(client, target, values, seen, check=check)
            elif params["state"] == "restored":
                found = object_values.restore(client, target, check=check)
            else:
                found = object_values.settle(client, target, check=check)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**found)


if __name__ == "__main__":
    main()
