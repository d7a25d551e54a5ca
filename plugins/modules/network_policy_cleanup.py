#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: network_policy_cleanup
version_added: 1.0.0
short_description: Remove what the NetworkPolicy sidecar leaves behind on a node
description:
  - Removes the nftables table C(inet kube-network-policies). The sidecar leaves it on purpose when it ends, so that
    policies hold while it restarts; nothing else removes it.
  - Run it on the nodes after M(podnet.cni.flannel_network_policy) has removed the sidecar and flannel's pods have
    restarted.
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
  state:
    description:
      - The table can only be removed; the sidecar makes it. What a node needs for the sidecar is the business of
        M(podnet.cni.node_prepare).
    type: str
    choices: [absent]
    default: absent
  nfqueue_id:
    description:
      - The netfilter queue that the sidecar used, for a table that names none.
    type: int
    default: 98
  force:
    description:
      - Whether the table is removed although a sidecar is at work. It puts it back within the hour.
    type: bool
    default: false
notes:
  - Needs root and the program C(nft) on the node.
seealso:
  - module: podnet.cni.network_policy_host_info
  - module: podnet.cni.flannel_network_policy
"""

EXAMPLES = r"""
- name: Clean the nodes after the sidecar was removed
  podnet.cni.network_policy_cleanup:
    state: absent
  become: true
"""

RETURN = r"""
actions:
  description: What was done, or would be done.
  returned: success
  type: list
  elements: str
  sample:
    - remove nftables table inet kube-network-policies
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import host


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["absent"], "default": "absent"},
            "nfqueue_id": {"type": "int", "default": 98},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        before = host.remove(
            module_runner(module), params["nfqueue_id"], force=params["force"], check_mode=module.check_mode
        )
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(before),
        actions=[f"remove nftables table inet {host.TABLE}"] if before else [],
        diff={"before": before, "after": ""},
    )


if __name__ == "__main__":
    main()
