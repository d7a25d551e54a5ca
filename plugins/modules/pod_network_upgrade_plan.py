#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_network_upgrade_plan
version_added: 0.1.0
short_description: Plan the upgrade of a pod network
description:
  - Compares what DaemonSets are to become with what they are, and says what changes, which nodes are updated in which
    wave, what a backup keeps, and what a rollback does not bring back. Changes nothing.
  - Versions are read from the images and looked up in the collection's version matrix. A version that it does not have
    is reported, not refused.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.info_module
  - podnet.cni._kubernetes
attributes:
  platform:
    platforms: posix
options:
  network:
    description:
      - Name of the network, for the plan.
    type: str
    default: flannel
  install_method:
    description:
      - Who installed it, for the plan.
    type: str
    default: manifest
  rollouts:
    description:
      - What the DaemonSets are to become, in the order in which they are updated. The options mean the same as for
        M(podnet.cni.daemonset_rollout).
    type: list
    elements: dict
    required: true
    suboptions:
      namespace:
        description:
          - Namespace of the DaemonSet.
        type: str
        required: true
      name:
        description:
          - Name of the DaemonSet.
        type: str
        required: true
      template:
        description:
          - What changes in the pod template.
        type: dict
        default: {}
      replace_template:
        description:
          - Whether O(rollouts[].template) is a whole pod template.
        type: bool
        default: false
      config_map:
        description:
          - ConfigMap that changes too.
        type: str
        default: ''
      config_data:
        description:
          - Its keys and their texts.
        type: dict
        default: {}
      os:
        description:
          - Operating system of its nodes. Nodes of each get waves of their own.
        type: str
        choices: [linux, windows]
        default: linux
  canary_nodes:
    description:
      - Nodes of the first wave. Without them and O(canary_selector) it is one worker.
    type: list
    elements: str
    default: []
  canary_selector:
    description:
      - Nodes of the first wave by label.
    type: str
    default: ''
  batch:
    description:
      - Sizes of the waves after canaries and one node of the control plane, each a number of nodes or a percentage of
        all. The last one repeats.
    type: list
    elements: str
    default: ['5%', '25%', '100%']
  soak:
    description:
      - Seconds for which a wave has to stay well, for the estimate.
    type: float
    default: 30.0
  features:
    description:
      - What else the version matrix judges by, as the filter P(podnet.cni.version_support#filter) takes it. It counts
        more than what is read from the network config and the nodes, which is backend, nftables mode, families, number
        of nodes and Windows.
    type: dict
    default: {}
  node_files:
    description:
      - Nodes whose files are kept, because they are hosts of the inventory.
    type: list
    elements: str
    default: []
seealso:
  - module: podnet.cni.daemonset_rollout
  - plugin: podnet.cni.upgrade_plan_text
    plugin_type: filter
"""

EXAMPLES = r"""
- name: What would the new image change?
  podnet.cni.pod_network_upgrade_plan:
    rollouts:
      - namespace: kube-flannel
        name: kube-flannel-ds
        template:
          spec:
            containers:
              - name: kube-flannel
                image: ghcr.io/flannel-io/flannel:v0.28.9
  register: planned

- name: Show it
  ansible.builtin.debug:
    msg: "{{ planned.plan | podnet.cni.upgrade_plan_text }}"
"""

RETURN = r"""
plan:
  description: The plan.
  returned: success
  type: dict
  contains:
    action:
      description: V(upgrade), or V(none) when every node runs what is wanted.
      type: str
      returned: success
    current:
      description: Version by product.
      type: dict
      returned: success
    target:
      description: Version by product after the upgrade.
      type: dict
      returned: success
    changes:
      description: What the version matrix says about the way from the one to the other.
      type: list
      elements: dict
      returned: success
    waves:
      description: Number, DaemonSet, operating system, kind and nodes of each wave.
      type: list
      elements: dict
      returned: success
    left_out:
      description: Nodes that are not ready.
      type: list
      elements: str
      returned: success
    backup:
      description: What is kept.
      type: list
      elements: str
      returned: success
    not_reversible:
      description: What a rollback does not bring back.
      type: list
      elements: str
      returned: success
    problems:
      description: Why the version matrix does not support the target.
      type: list
      elements: dict
      returned: success
  sample:
    action: upgrade
    current: {kubernetes: v1.36.2, flannel: 0.27.4}
    target: {kubernetes: v1.36.2, flannel: 0.28.9}
requests:
  description: How many requests were sent.
  returned: success
  type: int
  sample: 7
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth, hiding
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._upgrade.observe import observe
from ansible_collections.podnet.cni.plugins.module_utils._upgrade.plan import plan
from ansible_collections.podnet.cni.plugins.module_utils._upgrade.waves import Choice

ROLLOUT = {
    "namespace": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "template": {"type": "dict", "default": {}},
    "replace_template": {"type": "bool", "default": False},
    "config_map": {"type": "str", "default": ""},
    "config_data": {"type": "dict", "default": {}},
    "os": {"type": "str", "choices": ["linux", "windows"], "default": "linux"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "network": {"type": "str", "default": "flannel"},
            "install_method": {"type": "str", "default": "manifest"},
            "rollouts": {"type": "list", "elements": "dict", "required": True, "options": ROLLOUT},
            "canary_nodes": {"type": "list", "elements": "str", "default": []},
            "canary_selector": {"type": "str", "default": ""},
            "batch": {"type": "list", "elements": "str", "default": ["5%", "25%", "100%"]},
            "soak": {"type": "float", "default": 30.0},
            "features": {"type": "dict", "default": {}},
            "node_files": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
        no_log=True,
    )
    options = module.params
    module.no_log_values.update(auth.secrets(options["kubeconfig"]))
    for rollout in options["rollouts"]:
        module.no_log_values.update(hiding.config_secrets(rollout["config_data"]))
    wanted = {
        **{name: options[name] for name in ("network", "install_method", "soak", "features", "node_files")},
        "choice": Choice(options["canary_nodes"], options["canary_selector"], options["batch"]),
    }
    try:
        with KubeClient.from_options(options) as client:
            found = plan(wanted, observe(client, options["rollouts"]))
            requests = client.requests
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, plan=found, requests=requests)


if __name__ == "__main__":
    main()
