#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_network_policy
version_added: 1.0.0
short_description: Add or remove the sidecar that enforces NetworkPolicy in flannel's pods
description:
  - Adds the container C(kube-network-policies) to flannel's DaemonSet, however flannel was installed, with the mounts
    that the chosen release needs and a ClusterRole of its own with what it reads. Flannel's own role is not touched.
  - Plans everything before the first write, and lets the server try each write.
  - With O(state=absent) the DaemonSet is again what it was before, and the role and its binding are gone.
  - The sidecar leaves an nftables table behind on the nodes. M(podnet.cni.network_policy_cleanup) removes it there.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._kubernetes
attributes:
  check_mode:
    support: full
    details:
      - Only reads. Whether the server would refuse a write shows in a real run, before anything is written.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  state:
    description:
      - Whether the sidecar is to be there.
    type: str
    choices: [present, absent]
    default: present
  namespace:
    description:
      - Namespace of flannel's DaemonSet. Without it flannel is found as P(podnet.cni.flannel#lookup) does.
    type: str
  name:
    description:
      - Name of flannel's DaemonSet. Without it all DaemonSets of the installation that is found get the sidecar.
      - Needs O(namespace).
    type: str
  version:
    description:
      - Release of kube-network-policies, the tag of its image. V(v0.4.0) is the oldest.
      - The flavours C(-npa-v1alpha1) (AdminNetworkPolicy, BaselineAdminNetworkPolicy) and C(-npa-v1alpha2)
        (ClusterNetworkPolicy) get the further rights that they need. They are refused where the API server does not
        serve those kinds. The flavour C(-iptracker) is refused, because it needs a server of its own.
    type: str
    default: v1.1.1
  image_repository:
    description:
      - Where the image is taken from, without the tag.
    type: str
    default: registry.k8s.io/networking/kube-network-policies
  nfqueue_id:
    description:
      - Number of the netfilter queue. Nothing else on the nodes may use it.
    type: int
    default: 98
  fail_open:
    description:
      - Whether traffic passes while the sidecar does not run. With V(false) a crashed sidecar cuts new connections of
        all pods that a policy selects.
    type: bool
    default: true
  strict_mode:
    description:
      - Whether established connections are judged again when a policy changes. Since V(v1.0.0), which does it when this
        is not given.
    type: bool
  dns_workaround:
    description:
      - Whether DNS datagrams are judged on a path of their own, which kernels before 6.12 need. Since V(v0.6.0), which
        does it when this is not given.
    type: bool
  nri:
    description:
      - Whether addresses of new pods are also taken from the container runtime. Since V(v0.8.0), which does it when
        this is not given.
    type: bool
  metrics_address:
    description:
      - Address and port of the node at which metrics are served, unencrypted.
    type: str
    default: 127.0.0.1:9080
  verbosity:
    description:
      - How much is logged. V(2) writes several lines for each new connection.
    type: int
    default: 0
  logging_format:
    description:
      - Format of the log.
    type: str
    choices: [text, json]
    default: text
  extra_args:
    description:
      - Further arguments of the sidecar. One that its release does not know makes it exit.
    type: list
    elements: str
    default: []
  resources:
    description:
      - Requests and limits of the container.
      - Every pod of the cluster costs the sidecar about 13 kB on each node, above some 30 MB.
    type: dict
    default:
      requests:
        cpu: 100m
        memory: 50Mi
  nodes:
    description:
      - What M(podnet.cni.network_policy_host_info) returned on each node, by the name of the Node or of the host. The
        API server cannot tell what a kernel can do.
      - A Node without an entry is not known.
    type: dict
    default: {}
  unenforced:
    description:
      - What to do when the sidecar is about to be added and a Node cannot enforce policies, or is not known to.
      - With V(refuse) the module fails before anything is changed. With V(accept) it continues with a warning.
    type: str
    choices: [refuse, accept]
    default: refuse
  adopt:
    description:
      - Whether a container C(kube-network-policies) that somebody else added, like the Helm chart, is taken over.
        O(state=absent) gives it back.
    type: bool
    default: false
notes:
  - Changing the DaemonSet restarts flannel's pods by its update strategy. With the strategy C(OnDelete) nothing happens
    until M(podnet.cni.daemonset_rollout) rolls it out, wave by wave.
  - Refuses a DaemonSet whose rollout by M(podnet.cni.daemonset_rollout) is running or was interrupted.
  - That the pods run does not show that policies hold. M(podnet.cni.network_policy_proof) makes pods and a policy that
    show it.
  - Needs list for Nodes, get for DaemonSets and for Leases in their namespace, what P(podnet.cni.flannel#lookup) needs,
    patch for the
    DaemonSet, and get, list, create, patch, delete and bind for ClusterRoles and ClusterRoleBindings. Whoever creates
    a role needs its rights as well.
  - Policies that no one enforced so far begin to act.
seealso:
  - module: podnet.cni.network_policy_host_info
  - module: podnet.cni.network_policy_proof
  - module: podnet.cni.network_policy_cleanup
  - module: podnet.cni.daemonset_rollout
  - plugin: podnet.cni.flannel
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: See what would be changed
  podnet.cni.flannel_network_policy:
    unenforced: accept
  check_mode: true
  diff: true

# Before that, on the nodes, with become: podnet.cni.network_policy_host_info, registered as policy_host.
- name: Enforce NetworkPolicy
  podnet.cni.flannel_network_policy:
    nodes: "{{ dict(groups['nodes'] | zip(groups['nodes'] | map('extract', hostvars, 'policy_host'))) }}"
    resources:
      requests: {cpu: 100m, memory: 50Mi}
      limits: {memory: 300Mi}

- name: Look closely at one of two flannels for a while
  podnet.cni.flannel_network_policy:
    namespace: kube-flannel
    name: kube-flannel-ds
    verbosity: 2
    logging_format: json

- name: Stop enforcing, then clean the nodes
  podnet.cni.flannel_network_policy:
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or would be done.
  returned: success
  type: list
  elements: str
  sample:
    - create ClusterRole podnet-network-policy:kube-flannel:kube-flannel-ds
    - create ClusterRoleBinding podnet-network-policy:kube-flannel:kube-flannel-ds
    - update DaemonSet kube-flannel/kube-flannel-ds
daemonsets:
  description: The DaemonSets that the task is about.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the DaemonSet.
      type: str
    name:
      description: Its name.
      type: str
  sample:
    - {namespace: kube-flannel, name: kube-flannel-ds}
enforcement:
  description: What is known of each Node that runs flannel.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: Name of the Node.
      type: str
    host:
      description: Under which name O(nodes) has it; empty when it has not.
      type: str
    can_enforce:
      description: V(yes), V(no) or V(unknown).
      type: str
    reason:
      description: Why it is not V(yes).
      type: str
  sample:
    - {node: node-1, host: node-1, can_enforce: "yes", reason: ""}
    - {node: node-2, host: "", can_enforce: unknown, reason: no facts of this node were given}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import run, versions


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "namespace": {"type": "str"},
            "name": {"type": "str"},
            "version": {"type": "str", "default": versions.DEFAULT},
            "image_repository": {"type": "str", "default": versions.REPOSITORY},
            "nfqueue_id": {"type": "int", "default": 98},
            "fail_open": {"type": "bool", "default": True},
            "strict_mode": {"type": "bool"},
            "dns_workaround": {"type": "bool"},
            "nri": {"type": "bool"},
            "metrics_address": {"type": "str", "default": "127.0.0.1:9080"},
            "verbosity": {"type": "int", "default": 0},
            "logging_format": {"type": "str", "choices": ["text", "json"], "default": "text"},
            "extra_args": {"type": "list", "elements": "str", "default": []},
            "resources": {"type": "dict", "default": {"requests": {"cpu": "100m", "memory": "50Mi"}}},
            "nodes": {"type": "dict", "default": {}},
            "unenforced": {"type": "str", "choices": ["refuse", "accept"], "default": "refuse"},
            "adopt": {"type": "bool", "default": False},
        },
        required_by={"name": ["namespace"]},
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        with KubeClient.from_options(module.params) as client:
            result = run.reconcile(client, module.params, module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
