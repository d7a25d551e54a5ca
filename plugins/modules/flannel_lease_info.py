#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_lease_info
version_added: 1.0.0
short_description: List the subnet leases in etcd or Kubernetes and what is wrong with them
description:
  - Lists all leases of a flannel network, whoever wrote them, and the problems a person should look at.
  - A key or value that cannot be read is a problem with its name, never a failure.
  - With O(store=kubernetes) the leases are annotations of Node objects. A Node that flanneld ignores has no lease and
    is not a problem; one that flanneld would skip is one.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.info_module
  - podnet.cni._attributes.flannel_kubernetes
  - podnet.cni._etcd
  - podnet.cni._kubernetes
  - podnet.cni._kubernetes.flannel
attributes:
  platform:
    platforms: posix
options:
  store:
    description:
      - Where the leases live. The options O(etcd_endpoints) and so on count for V(etcd) only, the connection options of
        Kubernetes for V(kubernetes) only.
    type: str
    choices: [etcd, kubernetes]
    default: etcd
  hosts:
    description:
      - The hosts that exist. A lease whose public IP belongs to none of them is an orphan, unless it is that of a
        Node which has the name of one of them.
      - Each is a public IP, or a dictionary with C(public_ip), C(public_ipv6) and C(name).
      - Without it no lease counts as an orphan.
    type: list
    elements: raw
  expiring_within:
    description:
      - Report leases that expire within this many seconds. V(0) reports none.
      - flanneld renews an hour before the end, so by default a lease is reported when its flanneld is a minute late.
    type: int
    default: 3540
notes:
  - The time left is asked of etcd once for every etcd lease. M(podnet.cni.flannel_lease) uses one for a whole run,
    flanneld one for each node.
  - With O(store=kubernetes) the user needs the verb list for nodes and get for the ConfigMap.
seealso:
  - module: podnet.cni.flannel_lease
  - module: podnet.cni.flannel_network
  - module: podnet.cni.flannel_lease_backup
"""

EXAMPLES = r"""
- name: Look at the leases
  podnet.cni.flannel_lease_info:
    hosts: "{{ groups['overlay'] | map('extract', hostvars, 'ansible_host') | list }}"
  register: info

- name: Stop when something is wrong
  ansible.builtin.assert:
    that: info.problems | length == 0
    fail_msg: "{{ info.problems | map(attribute='message') | join('; ') }}"

- name: The leases of a Kubernetes cluster, as peers for a host outside of it
  podnet.cni.flannel_lease_info:
    store: kubernetes
    context: production
  delegate_to: localhost
  register: cluster

- name: Release the leases of hosts that are gone
  podnet.cni.flannel_lease:
    state: absent
    nodes: "{{ dict(orphans | zip(orphans)) | dict2items(key_name='name', value_name='subnet') }}"
  vars:
    orphans: "{{ info.problems | selectattr('kind', 'eq', 'orphan') | map(attribute='key') | list }}"
"""

RETURN = r"""
leases:
  description:
    - All readable leases in the order of their keys, in the shape of RV(podnet.cni.flannel_lease#module:leases).
    - In etcd the name is known only for hosts that O(hosts) names, in Kubernetes it is the Node's.
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
problems:
  description: What a person should look at.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description:
        - What it is. V(hangs_flanneld) and V(stalls_flanneld) come first and are warned of, too.
        - The others are V(unreadable_key), V(unreadable_value), V(unreadable_node), V(irregular_key),
          V(duplicate_public_ip), V(overlap), V(duplicate_vtep_mac), V(misfit) with the network config, V(orphan),
          V(expiring) or V(no_network_config).
      type: str
      returned: always
    key:
      description: The key, subnet or address it is about.
      type: str
      returned: always
    message:
      description: What is wrong.
      type: str
      returned: always
    remedy:
      description: What to do about it.
      type: str
      returned: always
  sample:
    - kind: orphan
      key: 10.244.3.0/24
      message: lease 10.244.3.0/24 of public IP 192.0.2.99 belongs to none of the 3 given hosts
      remedy: release it with flannel_lease, state absent, if the host is gone; its subnet is taken until then
network_config:
  description:
    - The network config by upstream's names with every default filled in, without its secrets.
    - V(none) when there is no usable one, which is a problem of its own.
  returned: success
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
capacity:
  description: How many nodes the network has subnets for, V(none) without a network config and in Kubernetes.
  returned: success
  type: int
  sample: 255
free_subnets:
  description: How many more nodes can get a lease, V(none) without a network config and in Kubernetes.
  returned: success
  type: int
  sample: 252
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._stores import tasks
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_options import KUBERNETES_ARGUMENT_SPEC
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import ETCD_ARGUMENT_SPEC


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ETCD_ARGUMENT_SPEC,
            **KUBERNETES_ARGUMENT_SPEC,
            "store": {"type": "str", "choices": ["etcd", "kubernetes"], "default": "etcd"},
            "hosts": {"type": "list", "elements": "raw"},
            "expiring_within": {"type": "int", "default": 3540},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(tasks.option_secrets(module.params))
    try:
        result = tasks.lease_info(module.params, module.warn)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
