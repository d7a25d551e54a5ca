#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_lease_migration
version_added: 1.0.0
short_description: Keep the leases of hosts that move between etcd and Kubernetes the same in both
description:
  - Makes etcd and the Nodes of a cluster hold the same leases, with their subnets, public IPs and backend data, so that
    hosts which have moved and hosts which have not are peers of each other.
  - A lease is right in the store that the host's flanneld uses. From there it is written to the other one, also when it
    changed since the last time.
  - A Node without a podCIDR is given that of its host's lease. What stands against the migration is found before
    anything is written, and all of it is named.
  - In etcd, a lease whose flanneld uses the cluster is kept without an end. flanneld gives it one when it comes back.
  - What was written is read back. Nothing is remembered between runs, so one that was interrupted is repeated.
  - The role P(podnet.cni.migrate_leases#role) uses it before and after each wave of hosts.
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
    platforms: posix
options:
  to:
    description:
      - The store that the hosts move to. The way back is the other value.
    type: str
    choices: [kubernetes, etcd]
    required: true
  state:
    description:
      - V(mirrored) makes sure that both stores hold the leases of O(hosts). Once the old store was emptied nothing is
        written to it any more.
      - V(emptied) removes the leases of O(hosts) from the store that they have left. It is refused while a flanneld
        still uses that store, and where the new store does not hold the same lease. The network config stays.
      - V(bridged) carries over what changes while hosts are being moved, for as long as nobody takes, prolongs or gives
        back the lock, which has to be held by O(lock), and no longer than O(lock_seconds). It ends by itself, so run it
        with C(async) and C(poll=0). Whoever takes the lock waits until it has ended.
    type: str
    choices: [mirrored, emptied, bridged]
    default: mirrored
  hosts:
    description:
      - All hosts of the network.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The name of the host's Node.
        type: str
        required: true
      subnet:
        description:
          - The IPv4 subnet that the host uses, by its subnet file. This or O(hosts[].ipv6_subnet) is required.
        type: str
      ipv6_subnet:
        description:
          - The IPv6 subnet that the host uses.
        type: str
      store:
        description:
          - The store that the host's flanneld uses now, as RV(podnet.cni.flanneld_info#module:store) tells it. Empty
            for a host without an agent.
        type: str
        choices: ['', etcd, kubernetes]
        default: ''
      release:
        description:
          - The release of the host's flanneld.
        type: str
  leave:
    description:
      - Subnets of leases in the old store that are of none of O(hosts) and are left behind. Without it such a lease is
        refused, since hosts that have moved would lose that peer.
    type: list
    elements: str
    default: []
  create_nodes:
    description:
      - Make a Node object for each host that the cluster does not have, as
        O(podnet.cni.flannel_lease#module:create_nodes) does.
    type: bool
    default: false
  moving:
    description:
      - Names of the O(hosts) that are being moved. O(state=bridged) leaves their leases alone, because nobody knows
        which one is right until they have been moved.
    type: list
    elements: str
    default: []
  interval:
    description:
      - Seconds between two looks at both stores with O(state=bridged).
    type: float
    default: 5.0
  lock:
    description:
      - Who migrates, in words that nobody else uses. It is written to the key C(migration) under O(etcd_prefix), and a
        migration with other words is refused meanwhile. Required unless in check mode.
    type: str
    default: ''
  lock_seconds:
    description:
      - After how many seconds the lock ends by itself. Each call prolongs it.
    type: int
    default: 300
  force_lock:
    description:
      - Take the lock from a migration that was interrupted.
    type: bool
    default: false
  unlock:
    description:
      - Give the lock back in the end. After a failure of this module it is given back anyway.
    type: bool
    default: false
notes:
  - O(network_config) takes the place of the ConfigMap, as for hosts that run flanneld under systemd.
  - The rights in a cluster are those that M(podnet.cni.flannel_lease) needs, and C(patch) of C(nodes) where a podCIDR
    is to be set.
seealso:
  - module: podnet.cni.flannel_lease
  - module: podnet.cni.flannel_lease_backup
  - module: podnet.cni.flanneld_info
"""

EXAMPLES = r"""
- name: What would be written, and what stands against it?
  podnet.cni.flannel_lease_migration:
    to: kubernetes
    etcd_endpoints: [http://192.0.2.10:2379]
    kubeconfig: /etc/kubernetes/admin.conf
    hosts:
      - {name: node-1, subnet: 10.244.19.0/24, store: etcd}
      - {name: node-2, subnet: 10.244.20.0/24, store: etcd}
  check_mode: true
  register: plan

- name: Copy the leases to the Nodes
  podnet.cni.flannel_lease_migration:
    to: kubernetes
    lock: alice on admin-1, 2026-11-20
    etcd_endpoints: [http://192.0.2.10:2379]
    kubeconfig: /etc/kubernetes/admin.conf
    hosts:
      - {name: node-1, subnet: 10.244.19.0/24, store: etcd}
      - {name: node-2, subnet: 10.244.20.0/24, store: etcd}
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, a line each.
  returned: success
  type: list
  elements: str
  sample:
    - set podCIDR 10.244.19.0/24 of Node node-1
    - lease 10.244.19.0/24 of node-1 to the cluster
hosts:
  description:
    - The hosts, each with its lease in C(etcd) and in C(kubernetes) as they are after the run, V(none) where a store
      has none. They have the shape of RV(podnet.cni.flannel_lease#module:leases).
  returned: success
  type: list
  elements: dict
  sample:
    - name: node-1
      store: etcd
      etcd: {name: node-1, subnet: 10.244.19.0/24, public_ip: 192.0.2.1, backend_type: vxlan, ttl: 81200}
      kubernetes: {name: node-1, subnet: 10.244.19.0/24, public_ip: 192.0.2.1, backend_type: vxlan, ttl: null}
network_config:
  description: The network config by upstream's names with every default filled in, without its secrets.
  returned: success
  type: dict
  sample:
    Network: 10.244.0.0/16
    Backend: {Type: vxlan, VNI: 1}
problems:
  description: Everything that stands against the migration, a sentence each.
  returned: failure, when something stands against it
  type: list
  elements: str
  sample:
    - the cluster has no Node node-3. Let its kubelet register one, ...
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._stores import migration, tasks
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_options import KUBERNETES_ARGUMENT_SPEC
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import ETCD_ARGUMENT_SPEC

HOST_SPEC = {
    "name": {"type": "str", "required": True},
    "subnet": {"type": "str"},
    "ipv6_subnet": {"type": "str"},
    "store": {"type": "str", "choices": ["", "etcd", "kubernetes"], "default": ""},
    "release": {"type": "str"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ETCD_ARGUMENT_SPEC,
            **KUBERNETES_ARGUMENT_SPEC,
            "to": {"type": "str", "choices": ["kubernetes", "etcd"], "required": True},
            "state": {"type": "str", "choices": ["mirrored", "emptied", "bridged"], "default": "mirrored"},
            "hosts": {"type": "list", "elements": "dict", "options": HOST_SPEC, "required": True},
            "leave": {"type": "list", "elements": "str", "default": []},
            "moving": {"type": "list", "elements": "str", "default": []},
            "interval": {"type": "float", "default": 5.0},
            "create_nodes": {"type": "bool", "default": False},
            "lock": {"type": "str", "default": ""},
            "lock_seconds": {"type": "int", "default": 300},
            "force_lock": {"type": "bool", "default": False},
            "unlock": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(tasks.option_secrets(module.params))
    try:
        result = migration.run(module.params, module.warn, check_mode=module.check_mode, diff=module._diff)
    except migration.StandsAgainstError as error:
        module.fail_json(msg=str(error), problems=error.problems)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
