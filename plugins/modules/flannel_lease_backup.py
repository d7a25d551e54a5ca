#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_lease_backup
version_added: 1.0.0
short_description: Back up the network config and all leases to a file with a checksum, and restore them to any store
description:
  - Writes the network config and every lease of a flannel network to one JSON file, with a SHA-256 checksum. A file
    that is damaged, not complete, edited, of a newer version or something else is refused by name.
  - Restores such a file to etcd, be it another prefix, another cluster or another release, or to Kubernetes Nodes. What
    stands against that is found before anything is written, and all of it is named.
  - The leases keep subnet, public IP and backend data, so hosts and their peers go through it without a change.
  - No secret is in the file, so the preshared key of a network config has to come from elsewhere. The file has mode
    0600 all the same.
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
  path:
    description:
      - The file, on the host where the module runs.
    type: path
    required: true
  state:
    description:
      - V(present) makes sure that the file holds what the store holds.
      - V(verified) checks the file and returns what it holds. It asks no store.
      - V(restored) makes sure that the store holds what the file holds. Other leases in the store stay. One that the
        store holds already is left alone, its expiry too.
      - An etcd without a network config gets that of the file. One with another config is refused, and so is a cluster,
        whose config belongs to flannel's manifest.
    type: str
    choices: [present, verified, restored]
    default: present
  store:
    description:
      - Where the leases live. The options O(etcd_endpoints) and so on count for V(etcd) only, the connection options of
        Kubernetes for V(kubernetes) only.
      - A Kubernetes cluster gives its Nodes their subnets. A lease is restored to the Node that has its name, and whose
        pod CIDR is its subnet.
    type: str
    choices: [etcd, kubernetes]
    default: etcd
  hosts:
    description:
      - The hosts by their public IPs, as dictionaries with C(name), C(public_ip) and C(public_ipv6), as
        M(podnet.cni.flannel_lease_info) takes them. They give leases their names, which etcd does not hold.
      - O(state=restored) with O(store=kubernetes) needs the names, from here or from the file.
    type: list
    elements: raw
  force:
    description:
      - With O(state=present) write over a backup that holds something else. Without it such a file is refused. A file
        that is not a backup of leases is always refused.
    type: bool
    default: false
  exclude:
    description:
      - With O(state=restored), subnets of leases in the file that are not wanted, like those of hosts that are gone.
    type: list
    elements: str
  ttl:
    description:
      - With O(state=restored) to etcd, the lifetime in seconds of a lease that had one in its old store. Its flanneld
        has to start within this time. The default is flanneld's own. V(0) means that it does not expire.
      - A lease without a lifetime, because it is reserved or of a host without an agent, has none in its new store
        either.
    type: int
    default: 86400
  create_nodes:
    description:
      - With O(state=restored) and O(store=kubernetes), make a Node object for each lease whose Node the cluster does
        not have, as O(podnet.cni.flannel_lease#module:create_nodes) does.
    type: bool
    default: false
notes:
  - O(network_config) has one more use here. For O(state=restored) to an etcd without a network config it is what is
    written, and must be that of the file, with its secrets.
  - What changes in the old store after the backup is not in the new one. Make another backup and restore it, too.
  - The rights in a cluster are those that M(podnet.cni.flannel_lease) needs.
seealso:
  - module: podnet.cni.flannel_lease
  - module: podnet.cni.flannel_lease_info
  - module: podnet.cni.flannel_network
  - module: podnet.cni.pod_network_backup
"""

EXAMPLES = r"""
- name: Back up the leases
  podnet.cni.flannel_lease_backup:
    path: /var/backups/podnet/leases-2026-11-20.json
    hosts: "{{ dict(groups['overlay'] | zip(addresses)) | dict2items(key_name='name', value_name='public_ip') }}"
  vars:
    addresses: "{{ groups['overlay'] | map('extract', hostvars, 'ansible_host') | list }}"

- name: Is the file good, and what is in it?
  podnet.cni.flannel_lease_backup:
    path: /var/backups/podnet/leases-2026-11-20.json
    state: verified
  register: backup

- name: Put the network into another etcd, without the lease of a host that is gone
  podnet.cni.flannel_lease_backup:
    path: /var/backups/podnet/leases-2026-11-20.json
    state: restored
    exclude: [10.244.3.0/24]
    etcd_endpoints: [https://192.0.2.20:2379]
    etcd_cafile: /etc/etcd/ca.pem
    etcd_certfile: /etc/etcd/client.pem
    etcd_keyfile: /etc/etcd/client-key.pem

- name: Give the Nodes of a cluster the leases that their hosts had in etcd
  podnet.cni.flannel_lease_backup:
    path: /var/backups/podnet/leases-2026-11-20.json
    state: restored
    store: kubernetes
    context: production
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode, a line each.
  returned: success
  type: list
  elements: str
  sample:
    - write /coreos.com/network/config
    - "lease 10.244.19.0/24 to node-1: restored"
created:
  description: When the backup was made.
  returned: success
  type: str
  sample: '2026-11-20T14:03:11Z'
leases:
  description:
    - For O(state=restored) the leases that were wanted, as the store holds them. Else those of the file, with the
      seconds that were left when it was made.
    - They have the shape of RV(podnet.cni.flannel_lease#module:leases).
  returned: success
  type: list
  elements: dict
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
network_config:
  description:
    - The network config without its secrets, as it is written in the file. For O(state=restored) with every default
      filled in.
  returned: success
  type: dict
  sample:
    Network: 10.244.0.0/16
    Backend: {Type: vxlan}
secrets_left_out:
  description: The members of the network config that are secrets, and not in the file.
  returned: success
  type: list
  elements: str
  sample: [Backend.PSK]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._stores import backup, tasks
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_options import KUBERNETES_ARGUMENT_SPEC
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import ETCD_ARGUMENT_SPEC


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ETCD_ARGUMENT_SPEC,
            **KUBERNETES_ARGUMENT_SPEC,
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "verified", "restored"], "default": "present"},
            "store": {"type": "str", "choices": ["etcd", "kubernetes"], "default": "etcd"},
            "hosts": {"type": "list", "elements": "raw"},
            "force": {"type": "bool", "default": False},
            "exclude": {"type": "list", "elements": "str"},
            "ttl": {"type": "int", "default": 86400},
            "create_nodes": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(tasks.option_secrets(module.params))
    try:
        result = backup.run(module.params, module.warn, check_mode=module.check_mode, diff=module._diff)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
