#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_network_backup
version_added: 1.0.0
short_description: Back up the Kubernetes objects of a pod network with checksums, and restore them
description:
  - Writes DaemonSets with all that belongs to them, custom resources, Node annotations and files of the nodes to a
    directory, as JSON. What belongs to a DaemonSet is its namespace, its account with the rights it has, and the
    ConfigMaps that its pods use. No Secret is read.
  - A list with checksums is written last, so a backup that was interrupted or damaged is refused, with the name of the
    file.
  - Only the owner may read the directory, because a network config can hold a preshared key.
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
    details:
      - Secrets of a network config are shown as hashes.
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  path:
    description:
      - Directory of this one backup, on the host where the module runs.
    type: path
    required: true
  state:
    description:
      - V(present) makes the backup. One that is there already is checked and never written over.
      - V(verified) checks the backup and returns what the nodes and the records hold. It asks no cluster.
      - V(restored) puts objects and annotations back, but for DaemonSets that are there and the ConfigMap with their
        network config. These are returned as RV(rollouts), because their pods have to be restarted in waves.
        Annotations are put back where they are missing only. CustomResourceDefinitions are left as they are.
    type: str
    choices: [present, verified, restored]
    default: present
  daemonsets:
    description:
      - The DaemonSets of the pod network. Without any the cluster is not asked.
    type: list
    elements: dict
    default: []
    suboptions:
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
  custom_resource_groups:
    description:
      - API groups whose custom resources and definitions are kept, like C(crd.projectcalico.org). What only says
        what is, like address blocks, is left out.
    type: list
    elements: str
    default: []
  annotation_prefixes:
    description:
      - Prefixes of the Node annotations that are kept.
    type: list
    elements: str
    default:
      - flannel.alpha.coreos.com
  node_files:
    description:
      - Files of the nodes by the node's name, as M(podnet.cni.pod_network_node_files) returned them.
    type: dict
    default: {}
  records:
    description:
      - Further documents by their names, like a plan.
    type: dict
    default: {}
notes:
  - V(present) needs get for Namespaces, DaemonSets, ServiceAccounts, ConfigMaps and roles, list for bindings, Nodes and
    what O(custom_resource_groups) names. V(restored) needs create and update for them, and patch for Nodes.
seealso:
  - module: podnet.cni.pod_network_node_files
  - module: podnet.cni.daemonset_rollout
"""

EXAMPLES = r"""
- name: Keep what flannel is made of
  podnet.cni.pod_network_backup:
    path: /var/backups/podnet/2026-11-20
    daemonsets:
      - namespace: kube-flannel
        name: kube-flannel-ds

- name: Is it complete?
  podnet.cni.pod_network_backup:
    path: /var/backups/podnet/2026-11-20
    state: verified

- name: Put objects and annotations back
  podnet.cni.pod_network_backup:
    path: /var/backups/podnet/2026-11-20
    state: restored
  register: restored
"""

RETURN = r"""
actions:
  description: What was done, or would be done.
  returned: success
  type: list
  elements: str
  sample:
    - restore ClusterRole flannel
created:
  description: When the backup was made; empty in check mode.
  returned: success
  type: str
  sample: '2026-11-20T14:03:11Z'
documents:
  description: Names of the files in the backup.
  returned: success
  type: list
  elements: str
  sample:
    - nodes/annotations.json
    - objects/daemonset/kube-flannel/kube-flannel-ds.json
node_files:
  description: Files of the nodes by the node's name.
  returned: success
  type: dict
  sample: {}
records:
  description: The further documents.
  returned: success
  type: dict
  sample: {}
rollouts:
  description:
    - DaemonSets that are there, with what M(podnet.cni.daemonset_rollout) needs to put them back, with
      O(podnet.cni.daemonset_rollout#module:replace_template=true). The texts of a ConfigMap stay in the backup, because
      a network config can hold a preshared key; see O(podnet.cni.daemonset_rollout#module:config_backup).
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._backup import run
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth

PLACE = {"namespace": {"type": "str", "required": True}, "name": {"type": "str", "required": True}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["present", "verified", "restored"], "default": "present"},
            "daemonsets": {"type": "list", "elements": "dict", "default": [], "options": PLACE},
            "custom_resource_groups": {"type": "list", "elements": "str", "default": []},
            "annotation_prefixes": {"type": "list", "elements": "str", "default": ["flannel.alpha.coreos.com"]},
            "node_files": {"type": "dict", "default": {}},
            "records": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        result = run.run(module.params, module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
