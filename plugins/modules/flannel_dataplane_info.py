#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_dataplane_info
version_added: 1.0.0
short_description: Report links, routes, neighbours and forwarding entries of flannel on a node
description:
  - Lists the links with flannel's names, and the addresses, routes, permanent neighbours, forwarding entries and
    wireguard peers that belong to them, whoever made them.
  - Runs on the node.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.info_module
  - podnet.cni._attributes.flannel
attributes:
  platform:
    platforms: linux
options:
  network_config:
    description:
      - The network config by upstream's names. With it, all routes inside the network are listed, as the backend
        V(host-gw) makes them over the underlay. Without it, only routes over flannel's links are.
    type: dict
  wireguard_key_file:
    description:
      - The file with the node's private key, whose public half is returned.
    type: path
    default: /etc/podnet-cni/wireguard.key
  subnet_file:
    description:
      - The file that tells the CNI plugin C(flannel) about this node, for RV(subnet_file).
    type: path
    default: /run/flannel/subnet.env
    version_added: 1.0.0
requirements:
  - pyroute2 0.7.2 or newer on the node (C(python3-pyroute2) on Debian and Ubuntu)
seealso:
  - module: podnet.cni.flannel_dataplane
  - module: podnet.cni.flannel_lease
    description: Its option O(podnet.cni.flannel_lease#module:recover_from) rebuilds lost leases from the result.
"""

EXAMPLES = r"""
- name: See what the node holds
  podnet.cni.flannel_dataplane_info:
  register: dataplane
  become: true

- name: Is every peer there?
  ansible.builtin.assert:
    that: dataplane.routes | length == groups['overlay'] | length - 1
"""

RETURN = r"""
links:
  description: The links with flannel's names. Which members a link has depends on its kind.
  returned: success
  type: list
  elements: dict
  sample:
    - name: flannel.1
      kind: vxlan
      mtu: 1450
      up: true
      mac: 02:42:ac:14:00:07
      addresses: [10.5.7.0/32]
      vni: 1
      port: 8472
      underlay: eth0
      learning: false
      gbp: false
      local: 198.18.0.7
routes:
  description: Routes to peers.
  returned: success
  type: list
  elements: dict
  sample:
    - {dst: 10.5.4.0/24, gateway: 10.5.4.0, dev: flannel.1, onlink: true}
neighbours:
  description: Permanent neighbours on the links.
  returned: success
  type: list
  elements: dict
  sample:
    - {dev: flannel.1, dst: 10.5.4.0, lladdr: "fa:0b:6b:1a:87:b5"}
fdb:
  description: Permanent forwarding entries of the vxlan links.
  returned: success
  type: list
  elements: dict
  sample:
    - {dev: flannel.1, mac: "fa:0b:6b:1a:87:b5", dst: 198.18.0.3}
wireguard_peers:
  description: Peers of the wireguard links, without their preshared key.
  returned: success
  type: list
  elements: dict
  sample: []
subnet_file:
  description: The variables of the subnet file, V(none) when there is no such file.
  returned: success
  type: dict
  sample:
    FLANNEL_NETWORK: 10.5.0.0/16
    FLANNEL_SUBNET: 10.5.7.1/24
    FLANNEL_MTU: '1450'
    FLANNEL_IPMASQ: 'true'
public_key:
  description: The public half of the node's wireguard key, null when the node has none.
  returned: success
  type: str
  sample: null
"""

import socket

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.survey import survey
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import secret_texts


def main() -> None:
    """Run the module."""
    # A network config can hold a preshared key, which the system log must not.
    module = AnsibleModule(
        argument_spec={
            "network_config": {"type": "dict"},
            "wireguard_key_file": {"type": "path", "default": "/etc/podnet-cni/wireguard.key", "no_log": False},
            "subnet_file": {"type": "path", "default": "/run/flannel/subnet.env"},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(secret_texts(module.params["network_config"]))
    try:
        found = survey(socket.gethostname(), module.params)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
