#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: network_policy_host_info
version_added: 1.0.0
short_description: Report whether a node's kernel can enforce NetworkPolicy by the sidecar
description:
  - Tells whether the sidecar of M(podnet.cni.flannel_network_policy) can enforce policies on this node. It needs
    nftables with its queue statement, netfilter queues, connection labels, and a bridge whose packets netfilter sees.
  - The kernel is not asked for a list of what it has. In a network namespace that ends with the task, the rules are
    really set, and a packet is really denied and really let through by a queue. The kernel may load modules for that.
  - Reports what another program has taken, and the nftables table that a removed sidecar left behind. What the
    sidecar itself holds is not a finding.
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
  - module: podnet.cni.network_policy_proof
  - module: podnet.cni.network_policy_cleanup
  - module: podnet.cni.flannel_network_policy
"""

EXAMPLES = r"""
- name: Look at every node before policies are enforced
  podnet.cni.network_policy_host_info:
  register: policy_host
  become: true

- name: Stop where they would not hold
  ansible.builtin.assert:
    that: policy_host.can_enforce == 'yes'
    fail_msg: "{{ policy_host.reasons | join(' ') }}"
"""

RETURN = r"""
can_enforce:
  description:
    - V(yes) when everything worked that the sidecar needs. V(no) when something does not, and RV(reasons) has what and
      the remedy. V(unknown) when it could not be tried, as without the program C(nft).
    - Whether policies hold is shown by a connection that is denied, see M(podnet.cni.network_policy_proof).
  returned: success
  type: str
  sample: "no"
reasons:
  description: Why RV(can_enforce) is not V(yes).
  returned: success
  type: list
  elements: str
  sample:
    - >-
      the kernel lacks the nftables queue statement (Error: Could not process rule: No such file or directory): the
      sidecar cannot work. It needs kernel option NFT_QUEUE, module nft_queue.
hostname:
  description: Name of the host as its kernel has it, by which M(podnet.cni.flannel_network_policy) finds its Node.
  returned: success
  type: str
  sample: node-1
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
        - What was tried. V(nftables), V(queue), V(conntrack_labels) or V(verdicts).
        - What was looked at. V(kernel), V(conntrack), V(bridge), V(queue_taken), V(port_taken), V(rules_missing) or
          V(leftover).
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

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import host


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
    can_enforce, reasons = host.can_enforce(facts, findings)
    version = host.kernel_version(facts.kernel)
    running = facts.running(queue)
    module.exit_json(
        changed=False,
        can_enforce=can_enforce,
        reasons=reasons,
        hostname=os.uname().nodename,
        ready=all(each.level != "error" for each in findings),
        findings=[{"check": each.check, "level": each.level, "text": each.text} for each in findings],
        kernel=facts.kernel,
        dns_workaround_needed=version is None or version < host.DNS_FIXED,
        running=running,
        leftover=None if facts.table is None else facts.table and not facts.listens(queue),
    )


if __name__ == "__main__":
    main()
