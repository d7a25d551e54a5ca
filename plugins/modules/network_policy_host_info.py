#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: network_policy_host_info
version_added: 0.1.0
short_description: Tell whether a node can enforce NetworkPolicy by the sidecar
description:
  - Looks on a node for what the sidecar of M(podnet.cni.flannel_network_policy) needs. That is nftables with its queue
    statement, netfilter queues, connection labels, and a bridge whose packets netfilter sees.
  - The kernel itself is asked, with a transaction of C(nft) that is only checked. It may load kernel modules for that.
  - Reports what another program has taken, and the nftables table that a removed sidecar left behind.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.info_module
attributes:
  platform:
    platforms: linux
options:
  nfqueue_id:
    description:
      - The netfilter queue that the sidecar uses or is to use.
    type: int
    default: 98
  metrics_port:
    description:
      - The port of its metrics, V(0) for none.
    type: int
    default: 9080
notes:
  - Needs root and, for most of the checks, the program C(nft) on the node.
seealso:
  - module: podnet.cni.network_policy_host
  - module: podnet.cni.flannel_network_policy
"""

EXAMPLES = r"""
- name: Look at every node before policies are enforced
  podnet.cni.network_policy_host_info:
  register: policy_host
  become: true

- name: Stop where they would not hold
  ansible.builtin.assert:
    that: policy_host.ready
    fail_msg: "{{ policy_host.findings | map(attribute='text') | join(' ') }}"
"""

RETURN = r"""
ready:
  description: Whether nothing of level V(error) was found.
  returned: success
  type: bool
  sample: false
findings:
  description: What speaks against the sidecar on this node.
  returned: success
  type: list
  elements: dict
  contains:
    check:
      description:
        - What was looked at. V(nftables), V(queue), V(conntrack_labels), V(queue_module), V(kernel), V(conntrack),
          V(bridge), V(queue_taken), V(port_taken) or V(leftover).
      type: str
    level:
      description: V(error) when policies would not hold or traffic is cut, else V(warning).
      type: str
    text:
      description: What it means and what to do.
      type: str
  sample:
    - check: bridge
      level: error
      text: 'br_netfilter is not loaded: traffic between two pods of this node is not judged.'
kernel:
  description: Release of the kernel.
  returned: success
  type: str
  sample: 6.12.9-amd64
dns_workaround_needed:
  description: Whether the kernel is older than 6.12, so that the sidecar has to judge DNS on a path of its own.
  returned: success
  type: bool
  sample: false
running:
  description: Whether a sidecar is at work.
  returned: success
  type: bool
  sample: false
leftover:
  description: Whether a table of a sidecar is there that is not at work. Null without C(nft).
  returned: success
  type: bool
  sample: false
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils import _network_policy_host as host
from ansible_collections.podnet.cni.plugins.module_utils._command import module_runner
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "nfqueue_id": {"type": "int", "default": 98},
            "metrics_port": {"type": "int", "default": 9080},
        },
        supports_check_mode=True,
    )
    queue = module.params["nfqueue_id"]
    try:
        facts = host.gather(module_runner(module))
    except PodnetError as error:
        module.fail_json(msg=str(error))
    findings = host.evaluate(facts, queue, module.params["metrics_port"])
    version = host.kernel_version(facts.kernel)
    running = facts.running(queue)
    module.exit_json(
        changed=False,
        ready=all(each.level != "error" for each in findings),
        findings=[{"check": each.check, "level": each.level, "text": each.text} for each in findings],
        kernel=facts.kernel,
        dns_workaround_needed=version is None or version < host.DNS_FIXED,
        running=running,
        leftover=None if facts.table is None else facts.table and not running,
    )


if __name__ == "__main__":
    main()
