#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: canal_adopt
version_added: 1.0.0
short_description: Decide how Canal is installed in a cluster, and remove what is in the way
description:
  - Finds the network that a cluster has, as the lookup P(podnet.cni.cni#lookup) does, and decides what installing Canal
    means there. That is a new installation, an upgrade in place, or a replacement of the DaemonSet.
  - Refuses where another network carries the pods, where Canal is installed twice or belongs to RKE2 or another Helm
    release, where the network would change, and where a Node's range is not in the network.
  - With O(prepare=true) it does what has to come before the objects are applied. It deletes a DaemonSet whose selector
    cannot be kept, and takes over the fields that another installer wrote, so that they do not stay behind.
  - The role C(podnet.cni.canal) uses it.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._kubernetes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  namespace:
    description:
      - Namespace of a new installation.
    type: str
    default: kube-system
  daemonset:
    description:
      - Name of its DaemonSet.
    type: str
    default: canal
  config_map:
    description:
      - Name of its ConfigMap.
    type: str
    default: canal-config
  service_account:
    description:
      - Name of the account of its pods.
    type: str
    default: canal
  selector:
    description:
      - Label selector of its DaemonSet.
    type: dict
    default: {matchLabels: {k8s-app: canal}}
  pod_labels:
    description:
      - Labels of its pods. A selector that these fulfil is kept.
    type: dict
    default: {k8s-app: canal}
  network_config:
    description:
      - The network config that flannel in Canal is going to have, by upstream's names.
    type: dict
    required: true
  crds:
    description:
      - Names of the CustomResourceDefinitions that the manifest brings.
    type: list
    elements: str
    default: []
  needed_crds:
    description:
      - Names of those that its pods need. One that is neither in O(crds) nor served fails the module, in check mode
        too, unless the purpose is to remove Canal.
    type: list
    elements: str
    default: []
  adopt:
    description:
      - What to do about Canal that is there already.
      - With V(in_place) it keeps its namespace, its names and its selector where that is possible.
      - With V(never) the module fails, unless this collection installed it.
    type: str
    choices: [in_place, never]
    default: in_place
  allow_network_change:
    description:
      - Whether ranges, backend or what identifies its packets may change, although that interrupts the network.
    type: bool
    default: false
  allow_unknown_network:
    description:
      - Whether to continue where Nodes are Ready although no network is known that serves their pods.
    type: bool
    default: false
  purpose:
    description:
      - What the decision is for.
      - With V(install) a flannel that carries the pods is refused.
      - With V(from_flannel) it may be there. Its network is compared with the wanted one, and RV(replaced) has its
        objects.
      - With V(to_flannel) the network config is that of the flannel that is to take Canal's place. Canal, flannel or
        both may be there.
      - With V(remove) any network may be there, and none is compared.
    type: str
    choices: [install, from_flannel, to_flannel, remove]
    default: install
  node_names:
    description:
      - Names of the Nodes whose files are changed in the same run. They are compared with the cluster's Nodes.
      - Another Node fails the module with the purposes V(to_flannel) and V(remove), because it would keep Canal's
        configuration. With V(from_flannel) it is a warning.
      - Without it, nothing is compared.
    type: list
    elements: str
  allow_missing_nodes:
    description:
      - Whether to continue where O(node_names) lacks Nodes of the cluster.
    type: bool
    default: false
  prepare:
    description:
      - Whether to make room. Otherwise the module only reads.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds to wait for a deleted DaemonSet to be gone.
    type: float
    default: 120.0
seealso:
  - module: podnet.cni.flannel_adopt
"""

EXAMPLES = r"""
- name: What would installing Canal mean here?
  podnet.cni.canal_adopt:
    network_config:
      Network: 10.244.0.0/16
      Backend:
        Type: vxlan
  register: plan
"""

RETURN = r"""
action:
  description:
    - What installing means. V(install) where there is no Canal; V(upgrade) in place; V(replace) when the DaemonSet has
      to be made anew.
  returned: success
  type: str
  sample: upgrade
place:
  description: Where the objects go, under which names, with which selector and further labels of the pods.
  returned: success
  type: dict
  sample:
    namespace: kube-system
    daemonset: canal
    config_map: canal-config
    service_account: canal
    selector:
      matchLabels:
        k8s-app: canal
    labels: {}
network_name:
  description: Name under which the nodes keep the addresses in use. Empty where there is no network yet.
  returned: success
  type: str
  sample: k8s-pod-network
replaced:
  description: Objects of a flannel that Canal takes the place of, in the order to apply them.
  returned: success
  type: list
  elements: dict
  sample: []
flannel:
  description: Whether there is a flannel beside Canal or without it.
  returned: success
  type: bool
  sample: false
interruptions:
  description: Changes of the network that were allowed, each with what it breaks.
  returned: success
  type: list
  elements: str
  sample: []
former_crds:
  description: CustomResourceDefinitions of other releases of Calico, which the manifest does not bring.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the CustomResourceDefinition.
      type: str
    objects:
      description: How many objects of it there are; V(none) when that may not be read.
      type: int
    definition:
      description: Its identity, to delete it by.
      type: dict
  sample:
    - name: adminnetworkpolicies.policy.networking.k8s.io
      objects: 2
      definition:
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata:
          name: adminnetworkpolicies.policy.networking.k8s.io
actions:
  description: What was done, or would be done, to make room.
  returned: success
  type: list
  elements: str
  sample:
    - take over the fields of DaemonSet kube-system/canal
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import adopt_run, adoption
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import secret_texts
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    labels = {"k8s-app": "canal"}
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "namespace": {"type": "str", "default": "kube-system"},
            "daemonset": {"type": "str", "default": "canal"},
            "config_map": {"type": "str", "default": "canal-config"},
            "service_account": {"type": "str", "default": "canal"},
            "selector": {"type": "dict", "default": {"matchLabels": dict(labels)}},
            "pod_labels": {"type": "dict", "default": dict(labels)},
            "network_config": {"type": "dict", "required": True},
            "crds": {"type": "list", "elements": "str", "default": []},
            "needed_crds": {"type": "list", "elements": "str", "default": []},
            "adopt": {"type": "str", "choices": list(adoption.POLICIES), "default": "in_place"},
            "allow_network_change": {"type": "bool", "default": False},
            "allow_unknown_network": {"type": "bool", "default": False},
            "purpose": {"type": "str", "choices": list(adoption.PURPOSES), "default": "install"},
            "node_names": {"type": "list", "elements": "str"},
            "allow_missing_nodes": {"type": "bool", "default": False},
            "prepare": {"type": "bool", "default": False},
            "wait_timeout": {"type": "float", "default": 120.0},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    module.no_log_values.update(secret_texts(module.params["network_config"]))
    try:
        with KubeClient.from_options(module.params) as client:
            result = adopt_run.run(client, module.params, module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
