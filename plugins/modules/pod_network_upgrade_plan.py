#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_network_upgrade_plan
version_added: 1.0.0
short_description: Plan the upgrade of a pod network's DaemonSets in waves of nodes
description:
  - Compares what DaemonSets are to become with what they are, and says what changes, which nodes are updated in which
    wave, what a backup keeps, and what a rollback does not bring back. Changes nothing.
  - Versions are read from the images and looked up in the collection's version matrix. A version that it does not have
    is reported, not refused.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
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
      container:
        description:
          - The container that is the daemon.
        type: str
        default: ''
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
  host_gates:
    description:
      - What is to be looked at on hosts after each wave, for RV(looks).
    type: list
    elements: str
    choices: [dataplane, probe, services]
    default: [dataplane, probe, services]
seealso:
  - module: podnet.cni.daemonset_rollout
  - module: podnet.cni.show_text
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
  podnet.cni.show_text:
    text: "{{ planned.lines | join('\n') }}"
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
lines:
  description: The plan for people.
  returned: success
  type: list
  elements: str
  sample:
    - Upgrade of flannel (installed by manifest)
    - ''
    - Versions
    - '  flannel: 0.27.4 -> 0.28.9'
services:
  description:
    - The Services C(kubernetes) and C(kube-dns) as targets of M(podnet.cni.pod_network_probe). One that cannot be read,
      or has no address, is missing, and a warning says so.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: Service kubernetes, address: 10.96.0.1, protocol: tcp, port: 443}
unfinished:
  description:
    - How far an upgrade of these DaemonSets came that was interrupted or is still running, as their Leases have it.
      Empty when there is none.
  returned: success
  type: dict
  contains:
    directory:
      description: Where its backup is.
      type: str
    done:
      description: The number of its last wave that is done, 0 for none.
      type: int
    kept:
      description: Whether its backup is complete. Nothing is changed before.
      type: bool
    ill:
      description: Nodes that it went on without because their hosts are not well, each with the reason.
      type: dict
    wish:
      description: Tells what is wanted from other wishes.
      type: str
  sample: {}
looks:
  description: What of O(host_gates) can be looked at with the first of O(rollouts), and what that needs to know.
  returned: success
  type: dict
  contains:
    dataplane:
      description: Whether the data plane can be compared with the leases.
      type: bool
    probe:
      description: Whether pods of different nodes can be started and reach each other.
      type: bool
    services:
      description: Whether such a pod can reach Services.
      type: bool
    starts_pods:
      description: Whether one of the last two is so.
      type: bool
    not_looked_at:
      description: What is asked for and cannot be looked at.
      type: list
      elements: str
    writes_sysctls:
      description: Whether flanneld may write to C(/proc/sys).
      type: bool
    health_port:
      description: The port of flanneld's C(--healthz-port), 0 for none.
      type: int
    network_config:
      description: The network config that the new pods find, without the key of a backend.
      type: dict
  sample:
    dataplane: true
    probe: true
    services: true
    starts_pods: true
    not_looked_at: []
    writes_sysctls: false
    health_port: 8081
    network_config:
      Network: 10.244.0.0/16
      Backend:
        Type: vxlan
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
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import progress, services, text
from ansible_collections.podnet.cni.plugins.module_utils._upgrade.looks import HOST_GATES, looks
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
    "container": {"type": "str", "default": ""},
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
            "host_gates": {
                "type": "list",
                "elements": "str",
                "choices": list(HOST_GATES),
                "default": list(HOST_GATES),
            },
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
        seen = looks(options["network"], options["host_gates"], options["rollouts"][0] if options["rollouts"] else {})
        with KubeClient.from_options(options) as client:
            found = plan(wanted, observe(client, options["rollouts"]))
            targets, unknown = services.read(client)
            left, unsure = progress.unfinished(client, options["rollouts"])
            requests = client.requests
    except PodnetError as error:
        module.fail_json(msg=str(error))
    for remark in [*unknown, *unsure]:
        module.warn(remark)
    module.exit_json(
        changed=False,
        plan=found,
        lines=text.lines(found),
        unfinished=left,
        looks=seen,
        services=targets,
        requests=requests,
    )


if __name__ == "__main__":
    main()
