#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_dataplane
version_added: 1.0.0
short_description: Program links, routes, neighbours and forwarding entries of a node as flanneld would
description:
  - Makes the links, addresses, routes, neighbours and forwarding entries that flanneld v0.28 makes on a node, from the
    network config, the node's own lease and its peers' leases. Nodes that run flanneld are peers like any other.
  - Removes what is stale and repairs what drifted, in one run, and touches nothing else; traffic to peers that need no
    change is not disturbed. A link that a backend used before, or the routes it left, go as well.
  - Runs on the node. Many peers are one task; C(etcd) is not needed unless O(store) says so.
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
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: linux
options:
  state:
    description:
      - V(present) makes the node part of the network, V(absent) removes what this module made for it.
      - With V(absent), O(interface) names the link from which routes through peers' own addresses (backend V(host-gw))
        are removed. Without it, and with the backend's option C(DirectRouting), they are removed from every link.
      - V(handed_over) is for a node on which flanneld has started. It removes the firewall tables and the files for the
        boot that this module made, and leaves links, routes, keys and the subnet file to flanneld.
    type: str
    choices: [present, absent, handed_over]
    default: present
  network_config:
    description:
      - The network config by upstream's names. Required unless O(store) is given; always with O(state=absent)
        and O(state=handed_over).
      - Backends V(vxlan), V(host-gw), V(ipip), V(wireguard) and V(alloc) work without flanneld.
    type: dict
  lease:
    description:
      - The node's own lease, in the shape of RV(podnet.cni.flannel_lease#module:leases). Required with
        O(state=present) unless O(store) is given.
      - Its VTEP MAC is the truth; the device is given that MAC.
      - With O(store) only the subnet in it counts, and names the lease to take. With O(store=kubernetes) the C(name) of
        the Node does as well. Without it the node's lease is the one whose public IP this host holds.
    type: dict
  peers:
    description:
      - The leases of all other nodes, in the same shape. The node's own lease must not be among them.
      - Peers of another backend are passed over with a warning, as flanneld does. Anything else that is wrong with one
        of them fails before the kernel is changed.
    type: list
    elements: dict
  foreign_peers:
    description:
      - More peers, whose leases somebody else wrote, like those of nodes that run flanneld.
      - One that cannot be programmed is passed over with a warning that names it, so that it costs this node no other
        peer. That is one without a VTEP MAC, outside the network, or in conflict with this node or another peer.
      - Leases that O(store) holds are treated so, too.
    type: list
    elements: dict
  leases_from:
    description:
      - The name of a variable with a result of M(podnet.cni.flannel_lease), instead of O(lease), O(peers) and
        O(foreign_peers). Of its RV(podnet.cni.flannel_lease#module:leases) the one called O(name) is the node's own and
        the others are its peers; its RV(podnet.cni.flannel_lease#module:others) are foreign.
      - It is for many hosts. Ansible templates a list of leases that stands in a task anew for each host, and keeps
        those of all hosts at once; here they are only sent.
    type: str
    version_added: 1.0.0
  foreign_peers_from:
    description:
      - The name of a variable with a result of M(podnet.cni.flannel_lease_info), instead of O(foreign_peers). All of
        its RV(podnet.cni.flannel_lease_info#module:leases) but the node's own are foreign.
      - The node's own is O(lease), or the one called O(name) where O(lease) is left out.
      - It is for many hosts, as O(leases_from) is.
    type: str
    version_added: 1.0.0
  name:
    description:
      - With O(leases_from) or O(foreign_peers_from), the name of this node's lease. The default is
        C(inventory_hostname).
    type: str
    version_added: 1.0.0
  store:
    description:
      - Read network config and leases from this store on the node, instead of O(network_config), O(peers) and
        O(foreign_peers).
      - V(etcd) needs the Python package C(etcd3gw) on the node, V(kubernetes) the package C(kubernetes).
      - With V(kubernetes) O(network_config) replaces the cluster's ConfigMap.
    type: str
    choices: [etcd, kubernetes]
  interface:
    description:
      - The link under the overlay. The default is the one that holds the lease's public IP.
      - With it, the lease's public IP may be on no interface of the host, as behind NAT and with the annotation
        C(public-ip-overwrite) of a Node. The link's own address is then used on the host, and a warning says so.
    type: str
  move_bridge:
    description:
      - The bridge of this host's pods, like V(cni0). When it has an address of a subnet that is this node's no longer,
        it is given the first address of the node's subnet and loses the other, so that new pods start.
      - Left out or empty, the bridge stays as it is, and a warning says what is wrong with it.
      - Either way a warning names the pods that hold addresses of another subnet. They have to be started anew.
    type: str
    default: ''
    version_added: 1.0.0
  flanneld:
    description:
      - What to do with O(state=present) when a flanneld works in this network namespace. V(refuse) fails before
        anything is changed, V(ignore) is for one that serves another network.
    type: str
    choices: [refuse, ignore]
    default: ignore
    version_added: 1.0.0
  firewall:
    description:
      - V(nftables) keeps masquerade and forward rules in tables of this collection's own, V(none) leaves them to
        others and touches no rule.
    type: str
    choices: [nftables, none]
    default: nftables
  remove_firewall_leftovers:
    description:
      - Also remove the firewall rules that a flanneld left behind. They are reported in any case, except with
        O(state=handed_over), where they are those of a flanneld that runs and stay.
    type: bool
    default: false
  ip_masq:
    description:
      - Whether traffic that leaves the network is masqueraded.
    type: bool
    default: true
  subnet_file:
    description:
      - The file that tells the CNI plugin C(flannel) about this node. Empty writes none.
    type: str
    default: /run/flannel/subnet.env
  restore_dir:
    description:
      - Directory for the files that bring the data plane back at boot without Python. Empty writes none.
      - With backend V(wireguard) the boot needs the program C(wg); a host without it is refused.
    type: str
    default: ''
  wireguard_key_file:
    description:
      - With backend V(wireguard), the file with the node's private key, which
        M(podnet.cni.flannel_dataplane_prepare) makes. O(state=absent) removes it.
    type: path
    default: /etc/podnet-cni/wireguard.key
  lock_timeout:
    description:
      - Seconds to wait when another run of this module is at work on the same host.
    type: float
    default: 60.0
requirements:
  - pyroute2 0.7.2 or newer on the node (C(python3-pyroute2) on Debian and Ubuntu)
  - CAP_NET_ADMIN on the node
  - C(wg) on the node with backend V(wireguard) and O(restore_dir) (package C(wireguard-tools))
notes:
  - A node on which flanneld runs for the same network must not be programmed; they would fight over the same links.
  - The module's arguments are not written to the system log, because a network config can hold a preshared key.
seealso:
  - module: podnet.cni.flannel_dataplane_prepare
  - module: podnet.cni.flannel_dataplane_info
  - module: podnet.cni.flannel_lease
"""

EXAMPLES = r"""
- name: Lease a subnet for every host, once
  podnet.cni.flannel_lease:
    nodes:
      - name: node-1
        public_ip: 198.18.0.1
      - name: node-2
        public_ip: 198.18.0.2
  register: leases
  run_once: true
  delegate_to: localhost

- name: Program the kernel of each
  podnet.cni.flannel_dataplane:
    network_config: "{{ leases.network_config }}"
    leases_from: leases
  become: true

- name: Read the leases that flanneld has written, once
  podnet.cni.flannel_lease_info:
    store: kubernetes
  register: written
  run_once: true
  delegate_to: localhost

- name: Compare the kernel of each node with them, and change nothing
  podnet.cni.flannel_dataplane:
    network_config: "{{ written.network_config }}"
    foreign_peers_from: written
    name: "{{ node_name }}"
    firewall: none
    subnet_file: ""
  check_mode: true
  become: true

- name: Let a node of a large network read config and leases itself
  podnet.cni.flannel_dataplane:
    store: etcd
    etcd_endpoints:
      - http://198.18.0.10:2379
  become: true

- name: Let an external host read the leases of a Kubernetes cluster itself
  podnet.cni.flannel_dataplane:
    store: kubernetes
    kubeconfig: /etc/podnet-cni/kubeconfig
  become: true

- name: Leave links and routes to a flanneld that has started
  podnet.cni.flannel_dataplane:
    state: handed_over
    restore_dir: /etc/podnet-cni
    network_config:
      Network: 10.244.0.0/16
      Backend:
        Type: vxlan
  become: true

- name: Leave the network
  podnet.cni.flannel_dataplane:
    state: absent
    network_config:
      Network: 10.244.0.0/16
      Backend:
        Type: vxlan
  become: true
"""

RETURN = r"""
actions:
  description:
    - What was done, or would be done in check mode, in order. More than 200 operations of one kind are one line.
  returned: success
  type: list
  elements: str
  sample:
    - remove route 10.5.9.0/24 via 10.5.9.0 dev flannel.1 onlink
    - set route 10.5.4.0/24 via 10.5.4.0 dev flannel.1 onlink
parts:
  description:
    - RV(actions) by what they concern, V(wireguard_key), V(kernel), V(bridge), V(firewall), V(boot) or V(subnet_file).
      What is as it should be is left out.
  returned: success
  type: dict
  sample:
    kernel: [set route 10.5.4.0/24 via 10.5.4.0 dev flannel.1 onlink]
operations:
  description:
    - The part of RV(actions) that concerns the kernel, as data, at most 200 of a kind.
    - C(action) is V(add), V(change), V(configure), V(remove) or V(set); C(kind) is the kind of object, like V(link) or
      V(route); C(attribute) is what changes of a link, V(mtu), V(learning), V(address), V(up) or V(accept_ra).
    - C(family) is V(4) or V(6), null where it concerns both or neither; C(device) is the link; C(addresses) are what it
      concerns of the network and then of the underlay; C(mac) is the MAC address of an FDB or neighbour entry.
  returned: success
  type: list
  elements: dict
  sample:
    - action: set
      kind: route
      attribute: ''
      family: 4
      device: flannel.1
      addresses: [10.5.4.0/24, 10.5.4.0]
      mac: ''
      text: set route 10.5.4.0/24 via 10.5.4.0 dev flannel.1 onlink
backend:
  description: The backend of the network.
  returned: success
  type: str
  sample: vxlan
devices:
  description: The names of the node's links for the overlay; empty for backends without one.
  returned: success
  type: list
  elements: str
  sample: [flannel.1]
mtu:
  description: The MTU that pods get, null without O(state=present).
  returned: success
  type: int
  sample: 1450
ipv6_mtu:
  description:
    - The largest IPv6 packet that pods can send to pods of peers, null without IPv6. Over vxlan it may be less than
      RV(mtu), since the outer header is larger; the kernel tells pods.
  returned: success
  type: int
  sample: 1430
  version_added: 1.0.0
mac:
  description: The VTEP MAC of the IPv4 device, null without one.
  returned: success
  type: str
  sample: 02:42:ac:14:00:07
ipv6_mac:
  description: The VTEP MAC of the IPv6 device, null without one.
  returned: success
  type: str
  sample: null
lease:
  description:
    - The node's own lease, in the shape of RV(podnet.cni.flannel_lease#module:leases); null without O(state=present).
  returned: success
  type: dict
  sample:
    name: node-1
    subnet: 10.244.1.0/24
    ipv6_subnet: null
    public_ip: 198.18.0.1
    public_ipv6: null
    backend_type: vxlan
    backend_data:
      VNI: 1
      VtepMAC: 02:42:ac:14:00:07
    backend_v6_data: null
    ttl: null
peers:
  description: How many peers are programmed.
  returned: success
  type: int
  sample: 29
public_key:
  description: With backend V(wireguard), the node's public key, for its lease; otherwise null.
  returned: success
  type: str
  sample: null
"""

import socket
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import kernel
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile import task
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.run import reconcile
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import secret_texts
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner
from ansible_collections.podnet.cni.plugins.module_utils._kube.argument_spec import secrets
from ansible_collections.podnet.cni.plugins.module_utils._stores import options
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_options import KUBERNETES_ARGUMENT_SPEC

ARGUMENT_SPEC: dict[str, Any] = {
    **options.ETCD_ARGUMENT_SPEC,
    **KUBERNETES_ARGUMENT_SPEC,
    "state": {"type": "str", "choices": ["present", "absent", "handed_over"], "default": "present"},
    "network_config": {"type": "dict"},
    "lease": {"type": "dict"},
    "peers": {"type": "list", "elements": "dict"},
    "foreign_peers": {"type": "list", "elements": "dict"},
    "leases_from": {"type": "str"},
    "foreign_peers_from": {"type": "str"},
    "name": {"type": "str"},
    "store": {"type": "str", "choices": ["etcd", "kubernetes"]},
    "interface": {"type": "str"},
    "move_bridge": {"type": "str", "default": ""},
    "flanneld": {"type": "str", "choices": ["refuse", "ignore"], "default": "ignore"},
    "firewall": {"type": "str", "choices": ["nftables", "none"], "default": "nftables"},
    "remove_firewall_leftovers": {"type": "bool", "default": False},
    "ip_masq": {"type": "bool", "default": True},
    "subnet_file": {"type": "str", "default": "/run/flannel/subnet.env"},
    "restore_dir": {"type": "str", "default": ""},
    "wireguard_key_file": {"type": "path", "default": "/etc/podnet-cni/wireguard.key", "no_log": False},
    "lock_timeout": {"type": "float", "default": 60.0},
}


def read_leases(module: AnsibleModule) -> Any:
    """What the store holds. The clients of both stores are imported here, because most runs are given their peers."""
    from ansible_collections.podnet.cni.plugins.module_utils._stores.tasks import read_store

    return read_store(module.params, module.warn)


def main() -> None:
    """Run the module."""
    # Thousands of peers, or a preshared key, are nothing for the system log.
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        mutually_exclusive=[("store", "peers"), ("store", "foreign_peers")],
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(secret_texts(module.params["network_config"]))
    module.no_log_values.update(secrets(module.params["kubeconfig"]))
    host = socket.gethostname()
    try:
        request = task.request(
            module.params,
            (lambda: read_leases(module)) if module.params["store"] else None,
            kernel.host_address_texts,
        )
        outcome = reconcile(host, request, module_runner(module), module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    task.shorten(module.params)
    module.exit_json(**task.result(outcome, module._diff))


if __name__ == "__main__":
    main()
