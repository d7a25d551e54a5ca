#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: distribution_network_restart
short_description: Restart k3s or RKE2 on a node, without what its former network leaves behind
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Restarts the service once for a change that M(podnet.cni.distribution_network_files) has begun, and does not wait
    for it. M(podnet.cni.distribution_network_info) tells whether it came up.
  - With O(renew) flannel's links, and routes over the underlay that would win over those of the new network, are
    removed while the service is down. A daemon keeps a link that is there whatever its MTU, and after a change to
    wireguard narrower routes would keep traffic in the clear.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows what was removed.
  idempotent:
    support: full
  platform:
    platforms: linux
options:
  unit:
    description:
      - The service, V(k3s) or V(k3s-agent) for example. Left out, none is restarted, and what the former network has
        left is removed beside O(keep).
    type: str
  keep:
    description: Without O(unit), the link over which the new network is at work.
    type: str
    default: ""
  renew:
    description: Whether links and routes of the former network are removed.
    type: bool
    default: false
  network:
    description: The ranges of all pods. Routes outside of them are left alone.
    type: list
    elements: str
    default: []
  backend:
    description: The backend of the network after the restart.
    type: str
    choices: [vxlan, host-gw, wireguard]
    default: vxlan
requirements:
  - systemd and C(ip) of iproute2 on the node
notes:
  - Needs root.
seealso:
  - module: podnet.cni.distribution_network_info
"""

EXAMPLES = r"""
- name: Restart an agent with its new backend
  podnet.cni.distribution_network_restart:
    unit: k3s-agent
    renew: true
    network: [10.42.0.0/16]
    backend: host-gw
  register: restarted
"""

RETURN = r"""
since:
  description: When the service was started for the change, in seconds since 1970, 0 for not at all.
  returned: success
  type: float
  sample: 1780000000.5
removed:
  description: What was removed, as arguments of C(ip).
  returned: success
  type: list
  elements: str
  sample: [link delete flannel.1]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._distributions import change, node_device
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str"},
            "keep": {"type": "str", "default": ""},
            "renew": {"type": "bool", "default": False},
            "network": {"type": "list", "elements": "str", "default": []},
            "backend": {"type": "str", "choices": list(change.BACKENDS), "default": "vxlan"},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        run, network, backend = module_runner(module), params["network"], params["backend"]
        if params["unit"]:
            found = node_device.restart(
                run, params["unit"], renew=params["renew"], network=network, backend=backend, check=module.check_mode
            )
        else:
            found = node_device.clear(
                run, network=network, backend=backend, keep=params["keep"], check=module.check_mode
            )
    except PodnetError as error:
        module.fail_json(msg=str(error))
    before = "".join(f"{each}\n" for each in found["removed"])
    module.exit_json(**found, diff={"before_header": params["unit"] or "left behind", "before": before, "after": ""})


if __name__ == "__main__":
    main()
