#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_adopt
version_added: 1.0.0
short_description: Decide how flannel is installed in a cluster, and remove what is in the way
description:
  - Finds the network that a cluster has, as the lookup P(podnet.cni.flannel#lookup) does, and decides what installing
    flannel means there. That is a new installation, an upgrade in place, a replacement or a move.
  - Refuses where another network carries the pods, where flannel is installed twice, where the network would change,
    and where DaemonSets may not be listed in all namespaces.
  - Where flannel has lost its DaemonSet, as after a run that was interrupted, its place is that of its pods, or of the
    account in the ClusterRoleBinding C(flannel) if its ConfigMap is there.
  - With O(prepare=true) it does what has to come before the objects are applied. It deletes a DaemonSet whose selector
    cannot be kept, and takes over the fields that another installer wrote, so that they do not stay behind.
  - The role C(podnet.cni.flannel) uses it.
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
      - Namespace of a new installation, and of one that is replaced with O(adopt=replace).
    type: str
    default: kube-flannel
  network_config:
    description:
      - The network config that flannel is going to have, by upstream's names.
    type: dict
    required: true
  install_method:
    description:
      - Who applies the objects. V(helm) can keep neither names nor selectors of another installer.
    type: str
    choices: [manifest, helm]
    default: manifest
  adopt:
    description:
      - What to do about flannel that is there already.
      - With V(in_place) it keeps its namespace, its names and its selector where that is possible.
      - With V(replace) it moves to O(namespace) and gets the names and the selector of a new installation.
      - With V(never) the module fails, unless this collection installed it.
    type: str
    choices: [in_place, replace, never]
    default: in_place
  wanted:
    description:
      - The objects that are going to be applied, without anything of O(adopt_values). What the old installation has and
        they have not is in RV(takeover). Without them nothing is compared.
    type: list
    elements: dict
    default: []
    version_added: 1.0.0
  adopt_values:
    description:
      - What becomes of the values of the old installation where O(wanted) has nothing but defaults.
      - With V(keep) they are in RV(adopted), for whoever applies the objects. With V(drop) they go.
      - Where something that carries traffic would go, the module fails.
    type: str
    choices: [keep, drop]
    default: keep
    version_added: 1.0.0
  adopt_drop:
    description:
      - Names out of RV(takeover) of values that may go.
    type: list
    elements: str
    default: []
    version_added: 1.0.0
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
  network_policy:
    description:
      - Whether the sidecar kube-network-policies is wanted. Without it, the one that is there is kept, whoever added
        it. RV(network_policy) says what to apply.
      - With V(false) a warning tells how many policies stop acting. One that M(podnet.cni.flannel_network_policy) added
        is refused, because it has its own way of removing it.
    type: bool
  network_policy_version:
    description:
      - Tag of the sidecar's image. For a flavour of it, the API server has to serve the kinds that it reads.
    type: str
    default: ""
  network_policy_nodes:
    description:
      - What M(podnet.cni.network_policy_host_info) returned on each node, by the name of the Node or of the host.
    type: dict
    default: {}
  network_policy_unenforced:
    description:
      - What to do when the sidecar is about to be added and a Node cannot enforce policies, or is not known to.
    type: str
    choices: [refuse, accept]
    default: refuse
  purpose:
    description:
      - What is to be done. With V(remove) the module says where flannel is and refuses what is somebody else's.
    type: str
    choices: [install, remove]
    default: install
  allow_foreign:
    description:
      - Whether O(purpose=remove) may be about a flannel that neither this collection nor a Helm release made,
        whichever O(install_method) names.
    type: bool
    default: false
  rollout:
    description:
      - What a rollout of M(podnet.cni.daemonset_rollout) means that is running or was interrupted. With V(refuse) the
        module fails. With V(resume) it fails only while somebody holds the Lease, because the next task continues with
        the rollout. With V(ignore) it is not looked for.
    type: str
    choices: [refuse, resume, ignore]
    default: refuse
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
"""

EXAMPLES = r"""
- name: What would installing flannel mean here?
  podnet.cni.flannel_adopt:
    network_config:
      Network: 10.244.0.0/16
      Backend:
        Type: vxlan
  register: plan

- name: Remove what is in the way
  podnet.cni.flannel_adopt:
    network_config:
      Network: 10.244.0.0/16
      Backend:
        Type: vxlan
    prepare: true
"""

RETURN = r"""
action:
  description:
    - What installing means. V(install) where there is no flannel; V(upgrade) in place; V(replace) when the DaemonSet
      has to be made anew; V(move) when that is in another namespace. V(remove) with O(purpose=remove).
  returned: success
  type: str
  sample: upgrade
place:
  description: Where the objects go, under which names, with which selector and further labels of the pods.
  returned: success
  type: dict
  sample:
    namespace: kube-system
    daemonset: kube-flannel-ds
    config_map: kube-flannel-cfg
    service_account: flannel
    selector:
      matchLabels:
        app: flannel
    labels: {}
release:
  description: Name of the Helm release that owns the installation, empty when none does.
  returned: success
  type: str
  sample: flannel
leftovers:
  description:
    - Objects of the former installation that nothing uses once the new one is applied. With O(purpose=remove) its
      further DaemonSets.
  returned: success
  type: list
  elements: dict
  sample: []
rules:
  description: Rules of the ClusterRole C(flannel) as they are; empty where it is not there or may not be read.
  returned: success
  type: list
  elements: dict
  sample:
    - apiGroups: ['']
      resources: [nodes]
      verbs: [get, list, watch]
takeover:
  description:
    - What the old installation has that O(wanted) has not, and what becomes of it.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The argument, variable of the environment, field or option of the backend.
      type: str
    was:
      description: Its value there.
      type: raw
    variable:
      description: The variable of the role that sets it.
      type: str
    traffic:
      description: Whether packets or the reach of nodes depend on it.
      type: bool
    becomes:
      description: V(kept), V(replaced) by a variable that was set, or V(dropped).
      type: str
    text:
      description: All of that in a line.
      type: str
  sample:
    - name: --iface
      was: eth1
      variable: flannel_args
      traffic: true
      becomes: kept
      text: '--iface = eth1 (flannel_args): kept'
adopted:
  description:
    - What is kept.
  returned: success
  type: dict
  contains:
    names:
      description: What the annotation C(podnet.cni/adopted) gets, by which the next run knows what to keep.
      type: list
      elements: str
    settings:
      description: By the names of the chart's values below C(flannel), with further C(args).
      type: dict
    patches:
      description: Fields to merge into the DaemonSet.
      type: list
      elements: dict
  sample:
    names: [--iface]
    settings:
      args: [--iface=eth1]
    patches: []
interruptions:
  description: Changes of the network that were allowed, each with what it breaks.
  returned: success
  type: list
  elements: str
  sample: []
network_policy:
  description: Whether what is applied next has to bring the sidecar kube-network-policies.
  returned: success
  type: bool
  sample: false
prove_enforcement:
  description: Whether the sidecar is about to be added, so that it is still to be shown that policies hold.
  returned: success
  type: bool
  sample: false
enforcement:
  description: What is known of each Node that gets the sidecar, as M(podnet.cni.flannel_network_policy) returns it.
  returned: success
  type: list
  elements: dict
  sample: []
actions:
  description: What was done, or would be done, to make room.
  returned: success
  type: list
  elements: str
  sample:
    - take over the fields of DaemonSet kube-system/kube-flannel-ds
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import adopt_run, adoption, takeover
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import secret_texts
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "namespace": {"type": "str", "default": "kube-flannel"},
            "network_config": {"type": "dict", "required": True},
            "install_method": {"type": "str", "choices": list(adoption.METHODS), "default": "manifest"},
            "adopt": {"type": "str", "choices": list(adoption.POLICIES), "default": "in_place"},
            "wanted": {"type": "list", "elements": "dict", "default": []},
            "adopt_values": {"type": "str", "choices": [takeover.KEEP, takeover.DROP], "default": takeover.KEEP},
            "adopt_drop": {"type": "list", "elements": "str", "default": []},
            "allow_network_change": {"type": "bool", "default": False},
            "allow_unknown_network": {"type": "bool", "default": False},
            "network_policy": {"type": "bool"},
            "network_policy_version": {"type": "str", "default": ""},
            "network_policy_nodes": {"type": "dict", "default": {}},
            "network_policy_unenforced": {"type": "str", "choices": ["refuse", "accept"], "default": "refuse"},
            "purpose": {"type": "str", "choices": ["install", "remove"], "default": "install"},
            "allow_foreign": {"type": "bool", "default": False},
            "rollout": {"type": "str", "choices": ["refuse", "resume", "ignore"], "default": "refuse"},
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
