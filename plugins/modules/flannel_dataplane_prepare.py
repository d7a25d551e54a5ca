#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_dataplane_prepare
version_added: 1.0.0
short_description: Check that a node's kernel can carry a backend, and find the public IP for its lease
description:
  - Comes before the node's lease. A lease is seen by every peer at once, so whatever would keep the host from
    programming its data plane is found here.
  - Returns what the lease has to publish, RV(public_ip), RV(public_ipv6) and with backend V(wireguard)
    RV(public_key), whose private key is made when there is none.
  - Runs on the node and changes nothing else.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
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
  network_config:
    description:
      - The network config by upstream's names. Without it, what the backend needs is not checked.
    type: dict
  public_ip:
    description:
      - The IPv4 address that the lease will publish. The host must hold it. Without any address those of the underlay
        link are returned.
    type: str
  public_ipv6:
    description:
      - The IPv6 address that the lease will publish.
    type: str
  name:
    description:
      - The node's name, for RV(node). The default is the host's name.
    type: str
    version_added: 1.0.0
  subnet:
    description:
      - The IPv4 subnet that the lease is to have, for RV(node).
    type: str
    version_added: 1.0.0
  ipv6_subnet:
    description:
      - The IPv6 subnet that the lease is to have, for RV(node).
    type: str
    version_added: 1.0.0
  interface:
    description:
      - The link under the overlay. The default is the one that holds O(public_ip), or that of the default route.
    type: str
  firewall:
    description:
      - With V(nftables) a host on which C(nft) cannot list the rules is refused. V(none) looks at no rule.
    type: str
    choices: [nftables, none]
    default: nftables
  subnet_file:
    description:
      - The file that tells the CNI plugin C(flannel) about this node. It is only read, for RV(previous_subnet).
    type: str
    default: /run/flannel/subnet.env
  restore_dir:
    description:
      - Directory for the files that bring the data plane back at boot. With backend V(wireguard) the boot needs the
        program C(wg); a host without it is refused. Empty means that no such files will be written.
    type: str
    default: ''
  wireguard_key_file:
    description:
      - With backend V(wireguard), the file with the node's private key. It is made with mode 0400 when it is missing,
        and its content is never returned.
    type: path
    default: /etc/podnet-cni/wireguard.key
  flanneld:
    description:
      - What to do when a flanneld works in this network namespace, in a unit, a pod or started by hand, or an enabled
        unit starts one at boot. V(refuse) fails and names it, V(ignore) only returns RV(flannelds).
    type: str
    choices: [refuse, ignore]
    default: refuse
  lock_timeout:
    description:
      - Seconds to wait when another run is at work on the data plane of the same host.
    type: float
    default: 60.0
requirements:
  - pyroute2 0.7.2 or newer on the node (C(python3-pyroute2) on Debian and Ubuntu)
  - CAP_NET_ADMIN on the node
  - C(wg) on the node with backend V(wireguard) and O(restore_dir) (package C(wireguard-tools))
notes:
  - The module's arguments are not written to the system log, because a network config can hold a preshared key.
seealso:
  - module: podnet.cni.flannel_lease
  - module: podnet.cni.flannel_dataplane
"""

EXAMPLES = r"""
- name: Check a host before it gets a lease, and make the wireguard key that the lease publishes
  podnet.cni.flannel_dataplane_prepare:
    network_config:
      Network: 10.244.0.0/16
      Backend:
        Type: wireguard
  register: prepared
  become: true

- name: Lease a subnet for it
  podnet.cni.flannel_lease:
    nodes:
      - "{{ prepared.node }}"
  delegate_to: localhost
"""

RETURN = r"""
actions:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - write /etc/podnet-cni/wireguard.key
complete:
  description:
    - Whether everything was looked at. False when a check run lacked something that is not installed yet, or a key that
      is not made yet.
  returned: success
  type: bool
  sample: true
refreshed:
  description:
    - Whether a timer of the role P(podnet.cni.overlay#role) is installed on this host, which follows the leases of its
      peers.
  returned: success
  type: bool
  sample: false
systemd:
  description: Whether systemd runs this host.
  returned: success
  type: bool
  sample: true
node:
  description: This host as an element of O(podnet.cni.flannel_lease#module:nodes).
  returned: success
  type: dict
  sample:
    name: node-1
    public_ip: 198.18.0.1
    public_ipv6: null
    subnet: null
    ipv6_subnet: null
    previous_subnet: 10.244.19.0/24
    previous_ipv6_subnet: null
    wireguard_public_key: null
backend:
  description: The backend of the network, null without O(network_config).
  returned: success
  type: str
  sample: wireguard
interface:
  description: The link under the overlay.
  returned: success
  type: str
  sample: eth0
public_ip:
  description: The IPv4 address by which peers can reach the host, null without one.
  returned: success
  type: str
  sample: 198.18.0.1
public_ipv6:
  description: The IPv6 address by which peers can reach the host, null without one.
  returned: success
  type: str
  sample: null
flannelds:
  description:
    - The flannelds on this host. C(pid) is 0 for a unit that is enabled and does not run, C(unit) empty for a process
      that no unit is known to have started.
  returned: success
  type: list
  elements: dict
  sample:
    - {pid: 4711, unit: flanneld.service, pod: false}
previous_subnet:
  description: The IPv4 subnet that O(subnet_file) names, for a new lease; null without one.
  returned: success
  type: str
  sample: 10.244.19.0/24
previous_ipv6_subnet:
  description: The IPv6 subnet that O(subnet_file) names, null without one.
  returned: success
  type: str
  sample: null
public_key:
  description: With backend V(wireguard), the node's public key, for its lease; otherwise null.
  returned: success
  type: str
  sample: null
"""

import socket

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile import task
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.prepare import prepare, question
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import secret_texts
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "network_config": {"type": "dict"},
            "public_ip": {"type": "str"},
            "public_ipv6": {"type": "str"},
            "name": {"type": "str"},
            "subnet": {"type": "str"},
            "ipv6_subnet": {"type": "str"},
            "interface": {"type": "str"},
            "firewall": {"type": "str", "choices": ["nftables", "none"], "default": "nftables"},
            "subnet_file": {"type": "str", "default": "/run/flannel/subnet.env"},
            "restore_dir": {"type": "str", "default": ""},
            "wireguard_key_file": {"type": "path", "default": "/etc/podnet-cni/wireguard.key", "no_log": False},
            "flanneld": {"type": "str", "choices": ["refuse", "ignore"], "default": "refuse"},
            "lock_timeout": {"type": "float", "default": 60.0},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(secret_texts(module.params["network_config"]))
    try:
        outcome = prepare(socket.gethostname(), question(module.params), module_runner(module), module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**task.result(outcome, module._diff))


if __name__ == "__main__":
    main()
