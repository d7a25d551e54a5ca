#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_node_drain
short_description: Move pods away from a Node, and give the Node back
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Makes a Node unschedulable and asks for the eviction of its pods, so that PodDisruptionBudgets count. Pods of
    DaemonSets and of the kubelet itself stay.
  - Takes one step and does not wait. Repeat it until RV(left) is empty.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._kubernetes
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
  name:
    description: Name of the Node.
    type: str
    required: true
  state:
    description:
      - V(drained) moves pods away.
      - V(uncordoned) lets pods on the Node again, where this module has made it unschedulable.
    type: str
    choices: [drained, uncordoned]
    default: drained
  force:
    description: Whether pods go that nobody makes anew, and those with data in an C(emptyDir). Both are lost.
    type: bool
    default: false
notes:
  - Needs get and patch for the Node, list for pods, and create for C(pods/eviction).
"""

EXAMPLES = r"""
- name: Drain a node
  podnet.cni.kube_node_drain:
    name: worker-1
  register: drained
  until: drained.left | default(['']) | length == 0
  retries: 60
  delay: 5

- name: Give it back
  podnet.cni.kube_node_drain:
    name: worker-1
    state: uncordoned
"""

RETURN = r"""
msg:
  description: Which pods are still there, and why.
  returned: where some are
  type: str
  sample: 'Pods are still on worker-1: shop/web-0: a PodDisruptionBudget does not allow it now'
left:
  description: Pods that are still there.
  returned: success
  type: list
  elements: str
  sample: [shop/web-0]
waits:
  description: Pods that may not be evicted yet, with the reason.
  returned: success
  type: list
  elements: str
  sample: ['shop/web-0: a PodDisruptionBudget does not allow it now']
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth, drain
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

BUDGET = 10.0
"""Seconds for one request with its repetitions: whoever waits here does so outside."""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["drained", "uncordoned"], "default": "drained"},
            "force": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        no_log=True,
    )
    params, check = module.params, module.check_mode
    module.no_log_values.update(auth.secrets(params["kubeconfig"]))
    try:
        with KubeClient.from_options(params, budget=BUDGET) as client:
            if params["state"] == "drained":
                found = drain.drain(client, params["name"], force=params["force"], check=check)
            else:
                found = drain.uncordon(client, params["name"], check=check)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    texts = ["can take pods\n", "".join(f"{line}\n" for line in ("takes no pods", *found["left"]))]
    before, after = texts if params["state"] == "drained" else reversed(texts)
    diff = {"before": before, "after": after, "before_header": params["name"], "after_header": params["name"]}
    module.exit_json(**found, diff=diff if found["changed"] else {})


if __name__ == "__main__":
    main()
