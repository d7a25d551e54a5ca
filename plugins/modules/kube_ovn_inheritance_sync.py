#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kube_ovn_inheritance_sync
version_added: 1.0.0
short_description: Set the Kube-OVN annotations of running pods to those of their namespaces
description:
  - Admission acts on new pods only. This module does the same for pods that exist.
  - Annotations that Kube-OVN follows on a running pod, like C(port_security), security groups and rates, are patched.
  - Annotations that it reads when a pod starts, like C(routes), are reported with the owners to restart, and restarted
    on demand, one owner at a time.
  - Only values that a pod inherited are changed. A value that somebody set or edited on the pod is never touched.
  - A pod keeps what it inherited when its namespace no longer takes part, and a value when the namespace's new one is
    unusable. Such pods are listed in RV(held).
author:
  - podnet.cni contributors (@podnet-cni)
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
  config:
    description:
      - What is inherited, as the role P(podnet.cni.kube_ovn_inheritance#role) has it.
    type: dict
    required: true
    suboptions:
      annotations:
        description:
          - Annotations that are inherited. Each is a short name like V(routes), a full key, or a dictionary with
            C(annotation), C(provider), C(mode), C(default), C(pod_selector) and C(namespace_selector).
        type: list
        elements: raw
        required: true
      prefix:
        description:
          - Prefix of the annotations C(inherit) and C(inherited) on pods and of the label on namespaces.
        type: str
        default: podnet.cni
      namespace_selector:
        description:
          - Label selector for the namespaces that take part. By default the label
            C(podnet.cni/kube-ovn-inheritance=enabled) selects them; an empty dictionary selects all.
        type: dict
      excluded_namespaces:
        description:
          - Names of namespaces that never take part.
        type: list
        elements: str
        default: [kube-system, kube-public, kube-node-lease]
  state:
    description:
      - With V(absent) everything that pods inherited is taken away from them, as their record tells. What a running pod
        holds in its network namespace stays until it is restarted.
    type: str
    choices: [present, absent]
    default: present
  namespaces:
    description:
      - Names of the namespaces to look at. By default all that take part, with O(state=absent) all there are.
    type: list
    elements: str
  confirm:
    description:
      - The word V(unprotect) lets port security be taken from pods whose namespace does not ask for it any more.
        Without it such pods keep it and are listed in RV(held). A namespace that says C(false) needs no word.
    type: str
    choices: [unprotect]
  restart:
    description:
      - Whether to restart the owners in RV(owners) that can be. One at a time; the next one only when all pods of the
        one before are new and available, and have what their namespace says.
      - Before each, every PodDisruptionBudget of its pods has to allow as many disruptions as its rolling update takes
        pods away at once. An owner for which a budget never does is not restarted; its C(reason) says so.
    type: bool
    default: false
  restart_timeout:
    description:
      - Seconds to wait for one owner. When it is not enough the task fails and no further owner is touched.
    type: float
    default: 600.0
  rate:
    description:
      - Pods to patch per second at most. Each patch makes Kube-OVN write to its database.
    type: float
    default: 20.0
notes:
  - Needs the verbs get and list for namespaces, pods and, where pods drifted, replicasets, deployments, statefulsets
    and daemonsets; patch for pods. With O(restart) also patch for the workloads and list for poddisruptionbudgets.
  - A pod that was changed between our reading and writing is left for the next run and listed in RV(stale).
  - A pod that the API server refuses to patch holds up no other. The task fails at the end and lists it in
    RV(failures).
seealso:
  - module: podnet.cni.kube_ovn_namespace
"""

EXAMPLES = r"""
- name: See what running pods do not have yet
  podnet.cni.kube_ovn_inheritance_sync:
    config:
      annotations: [routes, port_security]
  check_mode: true
  register: drift

- name: Change what can be changed live, then restart the rest one owner at a time
  podnet.cni.kube_ovn_inheritance_sync:
    namespaces: [team-a]
    config:
      annotations:
        - routes
        - annotation: port_security
          mode: enforce
    restart: true

- name: Take everything away that pods inherited, port security too
  podnet.cni.kube_ovn_inheritance_sync:
    state: absent
    confirm: unprotect
    config:
      annotations: [routes, port_security]
"""

RETURN = r"""
actions:
  description: What was done, or would be done.
  returned: success
  type: list
  elements: str
  sample:
    - set ovn.kubernetes.io/port_security on pod team-a/web-6c9-x2f
    - restart Deployment team-a/web
owners:
  description: Workloads with pods that only a restart brings in step.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the workload.
      type: str
    api_version:
      description: API version of the workload. Only those of C(apps/v1) are restarted.
      type: str
    kind:
      description: Kind of the workload, V(Pod) for a pod that has no owner.
      type: str
    name:
      description: Name of the workload.
      type: str
    pods:
      description: Names of the pods.
      type: list
      elements: str
    annotations:
      description: Keys of the annotations that differ.
      type: list
      elements: str
    restartable:
      description: Whether O(restart) restarts it.
      type: bool
    reason:
      description: Why not, empty when it does.
      type: str
  sample:
    - namespace: team-a
      api_version: apps/v1
      kind: Deployment
      name: web
      pods: [web-6c9-x2f]
      annotations: [ovn.kubernetes.io/routes]
      restartable: true
      reason: ''
held:
  description:
    - What pods keep although their namespace does not hand it out (any more).
    - That is port security until O(confirm) says the word, everything of a namespace that takes no part
      (O(state=absent) with O(namespaces) takes it away), and values for which the namespace has an unusable one.
    - Pods of a namespace that takes no part are only looked at when O(namespaces) names it.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the pod.
      type: str
    pod:
      description: Name of the pod.
      type: str
    annotation:
      description: Key of the annotation.
      type: str
    reason:
      description: Why it is kept.
      type: str
  sample: []
failures:
  description: What went wrong, a text for each pod or owner.
  returned: success, or when single pods or owners failed
  type: list
  elements: str
  sample: []
stale:
  description: Pods that were changed or removed while we looked at them, as namespace and name.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import sync_run

CONFIG = {
    "annotations": {"type": "list", "elements": "raw", "required": True},
    "prefix": {"type": "str", "default": "podnet.cni"},
    "namespace_selector": {"type": "dict"},
    "excluded_namespaces": {
        "type": "list",
        "elements": "str",
        "default": ["kube-system", "kube-public", "kube-node-lease"],
    },
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "config": {"type": "dict", "required": True, "options": CONFIG},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "namespaces": {"type": "list", "elements": "str"},
            "confirm": {"type": "str", "choices": ["unprotect"]},
            "restart": {"type": "bool", "default": False},
            "restart_timeout": {"type": "float", "default": 600.0},
            "rate": {"type": "float", "default": 20.0},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        with KubeClient.from_options(module.params) as client:
            result = sync_run.run(client, module.params, module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    if result["failures"]:
        module.fail_json(msg=sync_run.summary(result["failures"]), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
