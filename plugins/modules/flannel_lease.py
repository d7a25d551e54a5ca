#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_lease
version_added: 1.0.0
short_description: Give nodes their subnet leases in etcd or Kubernetes
description:
  - Allocates the subnet leases of any number of nodes in one run, or releases them.
  - Keys and values are those of flanneld, so agentless nodes and nodes that run flanneld share one network.
  - With O(store=kubernetes) the leases are annotations of Node objects. The cluster then gives each Node its subnet,
    and O(nodes[].name) is the Node's name. A host outside the cluster joins its network with O(create_nodes).
  - A node keeps the lease that names its public IP. Otherwise it gets the subnet that is pinned, or had before, or a
    free one.
  - In etcd, what was written is read back. A lease that a flanneld has answered meanwhile with its own is a failure.
  - Leases are written in transactions that fail when anybody else changed a lease meanwhile. They are then decided
    anew, so that controllers and flannelds which run at the same time never hand out one subnet twice.
  - What the store holds under its prefix and nobody can read is a warning; M(podnet.cni.flannel_lease_info) lists more.
  - With O(recover_from) it gives hosts that still run the leases back that the store has lost.
  - Run it once for all nodes, with C(delegate_to) and C(run_once), instead of once for each.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.flannel_kubernetes
  - podnet.cni._etcd
  - podnet.cni._kubernetes
  - podnet.cni._kubernetes.flannel
attributes:
  check_mode:
    support: full
    details:
      - With O(choice=random) and no O(seed) the subnets of new leases are examples; the real run draws again.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  state:
    description:
      - V(present) makes sure that every node of O(nodes) has a lease, V(absent) that none of them has.
    type: str
    choices: [present, absent]
    default: present
  store:
    description:
      - Where the leases live. The options O(etcd_endpoints) and so on count for V(etcd) only, the connection options of
        Kubernetes for V(kubernetes) only.
    type: str
    choices: [etcd, kubernetes]
    default: etcd
  create_nodes:
    description:
      - With O(store=kubernetes), make a Node object for each of O(nodes) that the cluster does not have.
      - Such a Node stands for a host outside the cluster. It takes no Pods; it is unschedulable and tainted.
      - Its pod CIDR is O(nodes[].subnet), or what the cluster gives it within half a minute.
      - O(state=absent) deletes Nodes made so. From any other Node it removes flannel's annotations only; flannelds
        that run keep such a peer until they restart.
    type: bool
    default: false
  nodes:
    description:
      - The nodes. Either this or O(recover_from) is required.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - The node's name. A new lease's VTEP MAC is derived from it.
        type: str
        required: true
      public_ip:
        description:
          - The node's IPv4 address on the underlay. It tells which lease is the node's.
          - Required for O(state=present) unless the network has IPv6 only.
          - With O(store=kubernetes) the address that its lease has, or the Node's internal address, is used without it;
            the annotation C(public-ip-overwrite) wins over all of them.
        type: str
      public_ipv6:
        description:
          - The node's IPv6 address on the underlay. Required for O(state=present) where the network has IPv6.
        type: str
      subnet:
        description:
          - The IPv4 subnet that the node shall have, like V(10.244.7.0/24). A lease of another subnet is replaced.
          - For O(state=absent) and a node without public IP it tells which lease to release.
          - With O(store=kubernetes) it must be the Node's pod CIDR, which cannot change.
        type: str
      ipv6_subnet:
        description:
          - The IPv6 subnet that the node shall have.
        type: str
      previous_subnet:
        description:
          - The IPv4 subnet that the node had, from its C(subnet.env). It gets that again if it is free and fits.
        type: str
      previous_ipv6_subnet:
        description:
          - The IPv6 subnet that the node had.
        type: str
      vtep_mac:
        description:
          - MAC address of the node's IPv4 VXLAN device. Backend V(vxlan) only.
          - Without it a lease keeps the address it has, and a new lease gets one that follows from the node's name.
        type: str
      vtep_mac_v6:
        description:
          - MAC address of the node's IPv6 VXLAN device.
        type: str
      wireguard_public_key:
        description:
          - The node's WireGuard public key. Required for backend V(wireguard).
        type: str
      wireguard_public_key_v6:
        description:
          - Public key of the node's IPv6 WireGuard device, when that has a key of its own.
        type: str
  ttl:
    description:
      - Seconds until a lease expires unless it is renewed. V(0) means never.
      - A lease is renewed once less than half of O(ttl) is left.
      - With V(0) a lease that would expire is made permanent. Nothing renews the leases of agentless nodes.
      - Leases with O(store=kubernetes) do not expire; only V(0) is possible.
    type: int
    default: 0
  choice:
    description:
      - How a free subnet is chosen. V(random) draws from the first hundred, as flanneld does. V(by_name) starts looking
        at a place that follows from the node's name, so that the same inventory gets the same subnets elsewhere.
      - Means nothing with O(store=kubernetes).
    type: str
    choices: [random, by_name]
    default: random
  seed:
    description:
      - Makes O(choice=random) repeatable for the same nodes and the same existing leases.
    type: int
  recover_from:
    description:
      - Hosts that still run, whose leases the store has lost. Each gets back the subnet, the VTEP MAC and the public IP
        that it has.
      - Contradictions are named, and nothing is written. These are two hosts with one subnet, MAC or public IP, a host
        without a subnet file, a subnet outside the network, a lease in the store that another host has, a host whose
        peers reach it by another address.
      - A subnet to which hosts have routes, and which none of them has, is a warning.
      - O(choice), O(seed) and O(others) mean nothing with it. Leases that stand already are left alone, their expiry
        too.
    type: list
    elements: dict
    version_added: 1.0.0
    suboptions:
      name:
        description:
          - The node's name.
        type: str
        required: true
      dataplane:
        description:
          - What M(podnet.cni.flannel_dataplane_info) returned on the host.
        type: dict
        required: true
      public_ip:
        description:
          - The IPv4 address that the lease named. Required where no link of the backend tells it, as with V(host-gw)
            and V(wireguard). It wins over what the host and its peers tell, for a host behind a NAT.
        type: str
      public_ipv6:
        description:
          - The IPv6 address that the lease named.
        type: str
  others:
    description:
      - Also return RV(others), so that nobody has to read the leases once more. Means nothing with O(state=absent).
    type: bool
    default: false
    version_added: 1.0.0
notes:
  - The network config must exist; write it with M(podnet.cni.flannel_network). With O(store=kubernetes) it is read from
    flannel's ConfigMap.
  - With O(store=kubernetes) the user needs the verbs get and list for nodes, patch for nodes/status, get for the
    ConfigMap, and for O(create_nodes) create and delete for nodes.
seealso:
  - module: podnet.cni.flannel_network
  - module: podnet.cni.flannel_lease_info
  - module: podnet.cni.flannel_lease_backup
  - module: podnet.cni.flannel_dataplane_info
"""

EXAMPLES = r"""
- name: Leases for all hosts of the overlay, in one task
  podnet.cni.flannel_lease:
    nodes: "{{ dict(groups['overlay'] | zip(addresses)) | dict2items(key_name='name', value_name='public_ip') }}"
  vars:
    addresses: "{{ groups['overlay'] | map('extract', hostvars, 'ansible_host') | list }}"
  delegate_to: localhost
  run_once: true
  register: overlay_leases

- name: Pin the subnet of one node
  podnet.cni.flannel_lease:
    nodes:
      - name: gateway
        public_ip: 192.0.2.7
        subnet: 10.244.7.0/24

- name: Reproducible subnets, whatever etcd they are in
  podnet.cni.flannel_lease:
    choice: by_name
    nodes:
      - name: node-1
        public_ip: 192.0.2.1
      - name: node-2
        public_ip: 192.0.2.2

- name: Leases that expire after a day; run this more often than every twelve hours
  podnet.cni.flannel_lease:
    ttl: 86400
    nodes:
      - name: node-1
        public_ip: 192.0.2.1

- name: Let a gateway outside a Kubernetes cluster join its pod network
  podnet.cni.flannel_lease:
    store: kubernetes
    kubeconfig: ~/.kube/config
    create_nodes: true
    nodes:
      - name: gateway
        public_ip: 192.0.2.7
        subnet: 10.244.240.0/24
  delegate_to: localhost

- name: Rebuild the leases of an etcd that was lost, once its network config is written again
  podnet.cni.flannel_lease:
    recover_from: "{{ dict(hosts | zip(planes)) | dict2items(key_name='name', value_name='dataplane') }}"
  vars:
    hosts: "{{ groups['overlay'] }}"
    planes: "{{ hosts | map('extract', hostvars, 'dataplane') | list }}"
  delegate_to: localhost
  run_once: true

- name: Release the lease of a node that is gone
  podnet.cni.flannel_lease:
    state: absent
    nodes:
      - name: node-2
        public_ip: 192.0.2.2
"""

RETURN = r"""
leases:
  description:
    - For O(state=present) the leases of O(nodes) or O(recover_from), in their order.
    - For O(state=absent) the leases that were released.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
      returned: always
    subnet:
      description: The IPv4 subnet, V(none) where the network has IPv6 only.
      type: str
      returned: always
    ipv6_subnet:
      description: The IPv6 subnet, V(none) where the network has IPv4 only.
      type: str
      returned: always
    public_ip:
      description: The node's IPv4 address on the underlay.
      type: str
      returned: always
    public_ipv6:
      description: The node's IPv6 address on the underlay.
      type: str
      returned: always
    backend_type:
      description: The backend, empty for backends that write none.
      type: str
      returned: always
    backend_data:
      description: The backend's data, for V(vxlan) C(VNI) and C(VtepMAC), for V(wireguard) C(PublicKey) and C(Port).
      type: raw
      returned: always
    backend_v6_data:
      description: The same for IPv6.
      type: raw
      returned: always
    ttl:
      description: Seconds left, V(none) for a lease that does not expire.
      type: int
      returned: always
  sample:
    - name: node-1
      subnet: 10.244.19.0/24
      ipv6_subnet: null
      public_ip: 192.0.2.1
      public_ipv6: null
      backend_type: vxlan
      backend_data: {VNI: 1, VtepMAC: "4a:1f:2b:9d:33:07"}
      backend_v6_data: null
      ttl: null
others:
  description:
    - The leases of all other nodes, in the shape of RV(leases). C(name) is known with O(store=kubernetes) only.
  returned: success and O(state=present) and O(others) and O(nodes)
  type: list
  elements: dict
  sample: []
network_config:
  description: The network config by upstream's names with every default filled in, without its secrets.
  returned: success and O(state=present)
  type: dict
  sample:
    EnableIPv4: true
    EnableIPv6: false
    EnableNFTables: false
    Network: 10.244.0.0/16
    SubnetLen: 24
    SubnetMin: 10.244.1.0
    SubnetMax: 10.244.255.0
    Backend: {Type: vxlan, VNI: 1, Port: 0, MTU: 0, GBP: false, Learning: false, DirectRouting: false}
actions:
  description: What was done, or would be done in check mode, a line each.
  returned: success
  type: list
  elements: str
  sample: ["lease 10.244.19.0/24 to node-1: allocated"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._stores import tasks
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_options import KUBERNETES_ARGUMENT_SPEC
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import ETCD_ARGUMENT_SPEC

NODE_SPEC = {
    "name": {"type": "str", "required": True},
    "public_ip": {"type": "str"},
    "public_ipv6": {"type": "str"},
    "subnet": {"type": "str"},
    "ipv6_subnet": {"type": "str"},
    "previous_subnet": {"type": "str"},
    "previous_ipv6_subnet": {"type": "str"},
    "vtep_mac": {"type": "str"},
    "vtep_mac_v6": {"type": "str"},
    "wireguard_public_key": {"type": "str", "no_log": False},
    "wireguard_public_key_v6": {"type": "str", "no_log": False},
}
HOST_SPEC = {
    "name": {"type": "str", "required": True},
    "dataplane": {"type": "dict", "required": True},
    "public_ip": {"type": "str"},
    "public_ipv6": {"type": "str"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ETCD_ARGUMENT_SPEC,
            **KUBERNETES_ARGUMENT_SPEC,
            "store": {"type": "str", "choices": ["etcd", "kubernetes"], "default": "etcd"},
            "create_nodes": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "nodes": {"type": "list", "elements": "dict", "options": NODE_SPEC},
            "recover_from": {"type": "list", "elements": "dict", "options": HOST_SPEC},
            "ttl": {"type": "int", "default": 0},
            "choice": {"type": "str", "choices": ["random", "by_name"], "default": "random"},
            "seed": {"type": "int"},
            "others": {"type": "bool", "default": False},
        },
        required_one_of=[("nodes", "recover_from")],
        mutually_exclusive=[("nodes", "recover_from")],
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(tasks.option_secrets(module.params))
    try:
        result = tasks.lease(module.params, module.warn, check_mode=module.check_mode, diff=module._diff)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
