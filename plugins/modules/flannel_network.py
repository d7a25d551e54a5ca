#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_network
version_added: 1.0.0
short_description: Write the network config of a flannel network to etcd
description:
  - Writes, changes or deletes the key C(config) that flanneld and M(podnet.cni.flannel_lease) read the network from.
  - The config is checked as flanneld checks it, before anything is written.
  - A change that would strand leases which exist is refused, and every such lease is named.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.flannel
  - podnet.cni._etcd
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
  state:
    description:
      - V(present) makes sure that the network has this config, V(absent) that it has none.
    type: str
    choices: [present, absent]
    default: present
  network_config:
    description:
      - The network config by upstream's names, as a dictionary or as JSON text. Required for O(state=present).
      - Names are matched whatever their case. A stored config that means the same is left as it is.
    type: dict
  force:
    description:
      - Write or delete the config even when leases exist that it does not fit.
      - Such leases stay until M(podnet.cni.flannel_lease) or flanneld replaces them.
      - Those that would hang or stall every flanneld of the new network are deleted in the same transaction, like
        leases with an IPv6 subnet when the network becomes IPv4 only. RV(released) names them. The flannelds that held
        them end; they must be started again for the new config anyway.
    type: bool
    default: false
notes:
  - A flanneld that runs continues with the config it read at its start. Restart it after a change.
seealso:
  - module: podnet.cni.flannel_lease
  - module: podnet.cni.flannel_lease_info
"""

EXAMPLES = r"""
- name: Define the network
  podnet.cni.flannel_network:
    network_config:
      Network: 10.244.0.0/16
      Backend:
        Type: vxlan

- name: Dual stack, with the leases in an etcd that wants client certificates
  podnet.cni.flannel_network:
    etcd_endpoints:
      - https://192.0.2.10:2379
      - https://192.0.2.11:2379
    etcd_cafile: /etc/etcd/ca.pem
    etcd_certfile: /etc/etcd/client.pem
    etcd_keyfile: /etc/etcd/client-key.pem
    network_config:
      EnableIPv6: true
      Network: 10.244.0.0/16
      IPv6Network: fd00:10:244::/48
      Backend:
        Type: vxlan
        VNI: 7

- name: Read the config from a file that flanneld uses elsewhere
  podnet.cni.flannel_network:
    network_config: "{{ lookup('ansible.builtin.file', 'net-conf.json') }}"

- name: Forget a network that has no leases any more
  podnet.cni.flannel_network:
    state: absent
    etcd_prefix: /old/network
"""

RETURN = r"""
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
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: str
  sample: [write /coreos.com/network/config]
stranded:
  description:
    - Leases that the config does not fit, in the shape of RV(podnet.cni.flannel_lease#module:leases).
    - On failure those that stand against the change.
  returned: success, or failure because of them
  type: list
  elements: dict
  sample: []
released:
  description: Leases that were deleted with the change, because no flanneld of the new network could bear them.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import secret_texts
from ansible_collections.podnet.cni.plugins.module_utils._stores import tasks
from ansible_collections.podnet.cni.plugins.module_utils._stores.options import ETCD_ARGUMENT_SPEC


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **ETCD_ARGUMENT_SPEC,
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "network_config": {"type": "dict"},
            "force": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ["network_config"])],
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(secret_texts(module.params["network_config"]))
    try:
        result = tasks.network(module.params, module.warn, check_mode=module.check_mode)
    except tasks.StrandedError as error:
        module.fail_json(msg=str(error), stranded=error.leases)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
