#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: distribution_network_info
short_description: Tell whether a node's network is the one that k3s or RKE2 was asked for
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Looks at the service, at flannel's links and at the way of packets to pods of other nodes, and tells what of it is
    not as expected.
  - Looks once, and does not wait.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.info_module
attributes:
  platform:
    platforms: linux
options:
  unit:
    description: The service that has to run. Left out, none is looked at.
    type: str
  since:
    description:
      - When the service was started for the change, as RV(podnet.cni.distribution_network_restart#module:since) has it.
    type: float
    default: 0
  subnet_file:
    description:
      - Whether flannel has to have written C(/run/flannel/subnet.env) after O(since), as it does in k3s.
    type: bool
    default: false
  expect:
    description:
      - What the network has to be, C(backend), C(device), C(vni), C(port), C(mtu) (of the underlay) and C(direct), as
        the plan of the role P(podnet.cni.distribution_network#role) has it. What is 0 or empty is not looked at.
    type: dict
    default: {}
  peers:
    description: Ranges of pods of other nodes.
    type: list
    elements: str
    default: []
  journal_lines:
    description: How many of the last lines that the service has logged are returned.
    type: int
    default: 0
requirements:
  - C(ip) of iproute2 on the node, and systemd with O(unit)
seealso:
  - module: podnet.cni.distribution_network_restart
  - module: podnet.cni.pod_network_probe
"""

EXAMPLES = r"""
- name: See whether packets to other nodes leave encrypted
  podnet.cni.distribution_network_info:
    expect: {backend: wireguard, device: flannel-wg}
    peers: [10.42.1.0/24, 10.42.2.0/24]
  register: network
  failed_when: network.problems | length > 0
"""

RETURN = r"""
msg:
  description: What is not as expected, with the last lines that the service has logged.
  returned: where something is not as expected
  type: str
  sample: packets to 10.42.1.2 leave over flannel.1, not over flannel-wg
problems:
  description: What is not as expected.
  returned: success
  type: list
  elements: str
  sample: ['packets to 10.42.1.2 leave over flannel.1, not over flannel-wg']
broken:
  description: Whether it will not get better by waiting, since the service has failed.
  returned: success
  type: bool
devices:
  description: flannel's links.
  returned: success
  type: list
  elements: str
  sample: [flannel-wg]
ways:
  description: The way to a pod of each of O(peers).
  returned: success
  type: list
  elements: dict
  sample: [{peer: 10.42.1.0/24, address: 10.42.1.2, dev: flannel-wg, gateway: ''}]
journal:
  description: The last lines that the service has logged, without secrets.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._distributions import node_device
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str"},
            "since": {"type": "float", "default": 0},
            "subnet_file": {"type": "bool", "default": False},
            "expect": {"type": "dict", "default": {}},
            "peers": {"type": "list", "elements": "str", "default": []},
            "journal_lines": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    try:
        found = node_device.look(module_runner(module), module.params)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
