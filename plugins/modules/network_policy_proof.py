#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: network_policy_proof
version_added: 1.0.0
short_description: Show with probe pods and a NetworkPolicy whether a denied connection is denied
description:
  - Makes a namespace with three pods on each node and a NetworkPolicy that closes one of them, waits until the pods
    have addresses, and returns what M(podnet.cni.pod_network_probe) has to measure on each node. On the same node and
    on the next, an open pod has to be reachable and a closed one must not be.
  - The open pods are the check of the measurement. Without them, a network that carries nothing would look as if
    policies held.
  - The pods run nothing that answers. A port that refuses shows that the packet came through.
  - With O(state=absent) everything is gone again.
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
    support: partial
    details:
      - With O(state=present) the pods are made anew each time.
  platform:
    platforms: posix
options:
  state:
    description:
      - Whether the namespace is to be there.
    type: str
    choices: [present, absent]
    default: present
  namespace:
    description:
      - Name of the namespace. One of this name that another task left is replaced; one that somebody else made is
        refused.
    type: str
    default: podnet-policy-proof
  nodes:
    description:
      - Names of the Nodes on which policies are to hold. O(state=present) needs at least one.
    type: list
    elements: str
    default: []
  image:
    description:
      - Image of the pods. One that every node has already needs no registry, like that of flannel.
      - O(state=present) needs it.
    type: str
  command:
    description:
      - What the pods run; it has to be in the image. A pod whose program does not start still counts once it has an
        address.
    type: list
    elements: str
    default: [sleep, "900"]
  wait_timeout:
    description:
      - Seconds to wait for the addresses of the pods, and for the namespace to be gone.
    type: float
    default: 120.0
notes:
  - Pods that nobody removes end after 15 minutes.
  - Needs list for Nodes, get, create and delete for Namespaces, create and list for Pods, create for NetworkPolicies.
seealso:
  - module: podnet.cni.pod_network_probe
  - module: podnet.cni.network_policy_host_info
  - module: podnet.cni.flannel_network_policy
"""

EXAMPLES = r"""
- name: Show that policies hold
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Make pods and a policy
      podnet.cni.network_policy_proof:
        nodes: [node-1, node-2]
        image: ghcr.io/flannel-io/flannel:v0.28.9
      register: proof

- name: Measure from the pods of each node
  hosts: nodes # by their names in the cluster
  gather_facts: false
  become: true
  tasks:
    - name: Try what is open and what is closed
      podnet.cni.pod_network_probe:
        source: "{{ item.source }}"
        source_address: "{{ item.source_address }}"
        targets: "{{ item.targets }}"
      loop: "{{ hostvars.localhost.proof.probes | selectattr('node', 'equalto', inventory_hostname) }}"
      loop_control:
        label: "{{ item.source }}"

- name: Clean up
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Remove pods and policy
      podnet.cni.network_policy_proof:
        state: absent
"""

RETURN = r"""
probes:
  description:
    - What to measure, one entry for each node and address family, with the options of M(podnet.cni.pod_network_probe).
      Empty in check mode and with O(state=absent).
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: Node to measure on.
      type: str
    source:
      description: Name of the pod to measure from.
      type: str
    source_address:
      description: Its address.
      type: str
    targets:
      description: The targets with their expectations.
      type: list
      elements: dict
  sample:
    - node: node-1
      source: client pod on node-1
      source_address: 10.244.1.7
      targets:
        - {name: open pod on node-1, address: 10.244.1.8, protocol: tcp, port: 9, expect: reachable}
        - {name: closed pod on node-1, address: 10.244.1.9, protocol: tcp, port: 9, expect: unreachable}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import proof


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "namespace": {"type": "str", "default": "podnet-policy-proof"},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "image": {"type": "str"},
            "command": {"type": "list", "elements": "str", "default": ["sleep", "900"]},
            "wait_timeout": {"type": "float", "default": 120.0},
        },
        required_if=[("state", "present", ["nodes", "image"])],
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    act = proof.start if module.params["state"] == "present" else proof.remove
    try:
        with KubeClient.from_options(module.params) as client:
            result = act(client, module.params, module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
