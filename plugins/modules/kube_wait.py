#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kube_wait
version_added: 1.0.0
short_description: Wait for an API server, CustomResourceDefinitions, podCIDRs, Nodes and rollouts
description:
  - Waits for the API server, for CustomResourceDefinitions, for podCIDRs, for Nodes and for rollouts, all under one
    limit, and shows what it is waiting for.
  - When the time is up, the task fails and says what is missing on which object, in the API server's own words where it
    has some.
  - A podCIDR outside of O(networks), or one of the wrong address family, fails at once, because it never changes.
  - An API server that goes away while it is waited for is waited for too.
  - An action plugin on the controller repeats the module, which looks once and never waits.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._kubernetes
attributes:
  check_mode:
    support: full
    details:
      - Looks once and reports what is missing, without waiting and without failing.
  diff_mode:
    support: N/A
    details:
      - Changes nothing.
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  ready:
    description:
      - Whether to wait until the API server's C(/readyz) is good. Nothing else is looked at before that.
    type: bool
    default: true
  crds:
    description:
      - Names of CustomResourceDefinitions. Each has to have the conditions C(NamesAccepted) and C(Established), and the
        API server has to list objects of it in every version it serves.
    type: list
    elements: str
    default: []
  pod_cidrs:
    description:
      - Address families of which every Linux node has to have a podCIDR. A cluster without nodes lacks nothing.
    type: list
    elements: str
    choices: [ipv4, ipv6]
    default: []
  networks:
    description:
      - Networks in which the podCIDRs have to be, as flannel's C(Network) and C(IPv6Network).
    type: list
    elements: str
    default: []
  nodes_ready:
    description:
      - Whether all Linux nodes have to be ready. They are not before their network is there.
    type: bool
    default: false
  node_selector:
    description:
      - Labels of the nodes that are looked at.
    type: dict
    default: {}
  rollouts:
    description:
      - Workloads of which all pods have to be of the newest template and available.
      - With the update strategy C(OnDelete) nobody replaces pods. Old ones are not waited for then, but warned about.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description:
          - Kind of the workload.
        type: str
        choices: [Deployment, StatefulSet, DaemonSet]
        default: DaemonSet
      namespace:
        description:
          - Its namespace.
        type: str
        required: true
      name:
        description:
          - Its name.
        type: str
        required: true
      left_out:
        description:
          - Nodes on which pods of a DaemonSet are not waited for, as
            RV(podnet.cni.daemonset_rollout#module:left_out) names them. Nodes that do not report any more, whose
            condition C(Ready) is C(Unknown), are not waited for anyway, because pods can neither start nor end there. A
            warning names them.
        type: list
        elements: str
        default: []
  timeout:
    description:
      - Seconds for everything together. The last look may end up to 10 seconds later.
    type: float
    default: 300.0
  poll:
    description:
      - Seconds between two looks.
    type: float
    default: 2.0
notes:
  - Needs get for C(/readyz), which everybody has by default, get for CustomResourceDefinitions and list for their
    objects, list for Nodes, and get for the workloads; only for what is asked for. With the rights to list Pods, Events
    and ControllerRevisions, and to get Nodes and the Leases of C(kube-system), it says what the cause is.
seealso:
  - module: podnet.cni.kube_apply
"""

EXAMPLES = r"""
- name: Wait for an API server that was just started
  podnet.cni.kube_wait:
    kubeconfig: /etc/kubernetes/admin.conf
    timeout: 120

- name: Wait for the podCIDRs before the network is installed
  podnet.cni.kube_wait:
    pod_cidrs: [ipv4, ipv6]
    networks: [10.244.0.0/16, 'fd00:10:244::/56']

- name: Wait until Canal runs everywhere
  podnet.cni.kube_wait:
    crds: [felixconfigurations.crd.projectcalico.org]
    rollouts:
      - {namespace: kube-system, name: canal}
      - {kind: Deployment, namespace: kube-system, name: calico-kube-controllers}
    nodes_ready: true
    timeout: 600
"""

RETURN = r"""
missing:
  description: What is missing; empty unless in check mode or when the time was up.
  returned: always
  type: list
  elements: dict
  contains:
    object:
      description: The object that lacks something.
      type: str
    problem:
      description: What it lacks, with the API server's reason.
      type: str
  sample:
    - object: Node worker-2
      problem: it has no podCIDR of IPv4 yet
    - object: CustomResourceDefinition widgets.example.org
      problem: 'NamesAccepted is False, reason ListKindConflict: "WidgetList" is already in use'
done:
  description: Whether there is nothing more to look at.
  returned: always
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth, channel, wait
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**auth.ARGUMENT_SPEC, **wait.ARGUMENT_SPEC, **channel.spec(wait.TOLD)},
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    told = channel.take(module.params, wait.TOLD)
    limits = {"timeout": wait.ANSWER_TIMEOUT, "budget": wait.ANSWER_TIMEOUT}
    try:
        with KubeClient.from_options(module.params, **limits) as client:
            result = wait.run(client, {**module.params, **told}, module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
