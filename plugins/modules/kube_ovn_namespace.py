#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kube_ovn_namespace
version_added: 1.0.0
short_description: Set the Kube-OVN annotations of namespaces that their pods inherit
description:
  - Sets, changes and removes annotations of namespaces. The role P(podnet.cni.kube_ovn_inheritance#role) makes pods
    inherit them.
  - Values are checked before anything is written, because Kube-OVN skips a wrong route without a word. A gateway has to
    be inside the namespace's subnets, as soon as Kube-OVN has written them to the namespace.
  - The annotations that Kube-OVN itself writes to a namespace, like C(logical_switch), are never touched.
  - New pods get the new values. For running pods see M(podnet.cni.kube_ovn_inheritance_sync).
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
  namespaces:
    description:
      - Names of the namespaces; all get the same values.
    type: list
    elements: str
    required: true
    aliases: [namespace]
  provider:
    description:
      - Which network of the pods the short names are about. V(ovn) is the pods' own network.
      - For an attached network it is C(<attachment>.<namespace>.ovn), without C(.ovn) when Kube-OVN only
        gives addresses.
    type: str
    default: ovn
  routes:
    description:
      - Routes inside the pods. They are installed when a pod starts.
      - An empty list says that pods inherit none, not even the cluster-wide default.
      - As text they may have 8192 octets, which is some 180 routes.
    type: list
    elements: dict
    suboptions:
      dst:
        description:
          - Destination prefix with its length. Without it the entry is the default route.
        type: str
      gw:
        description:
          - Next hop. It has to be an address inside the pods' subnet. Without it the route leads straight over the
            pods' link.
        type: str
  port_security:
    description:
      - Whether pods may only use the addresses they were given. Kube-OVN follows on running pods.
    type: bool
  security_groups:
    description:
      - Names of security groups of the pods' ports.
    type: list
    elements: str
  ingress_rate:
    description:
      - Limit towards the pods in Mbit/s, V(0) for none.
    type: int
  egress_rate:
    description:
      - Limit from the pods in Mbit/s, V(0) for none.
    type: int
  annotations:
    description:
      - Further inheritable annotations by short name or full key. Values are texts, booleans, numbers or lists.
    type: dict
  remove:
    description:
      - Annotations to remove, by short name or full key.
    type: list
    elements: str
    default: []
  inherit:
    description:
      - Sets or removes the label that makes a namespace take part. Not given, the label is left alone.
    type: bool
  annotation_prefix:
    description:
      - Prefix of the label, as the role has it.
    type: str
    default: podnet.cni
notes:
  - Needs the verbs get and patch for the namespaces.
seealso:
  - module: podnet.cni.kube_ovn_inheritance_sync
"""

EXAMPLES = r"""
- name: Pods of two tenants leave through their own gateway and may not use foreign addresses
  podnet.cni.kube_ovn_namespace:
    namespaces: [team-a, team-b]
    routes:
      - gw: 10.16.0.254
    port_security: true
    inherit: true

- name: A route on the attached network net1 of namespace default
  podnet.cni.kube_ovn_namespace:
    namespace: [team-a]
    provider: net1.default.ovn
    routes:
      - dst: 10.32.0.0/16
        gw: 10.17.0.1

- name: Mirror the pods' traffic, and no limit any more
  podnet.cni.kube_ovn_namespace:
    namespace: [team-a]
    annotations:
      mirror: true
    remove: [ingress_rate, egress_rate]
"""

RETURN = r"""
namespaces:
  description: The namespaces with the annotations and labels that the task is about, as they are afterwards.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the namespace.
      type: str
    annotations:
      description: Annotations, and the label when O(inherit) is given, by full key.
      type: dict
  sample:
    - name: team-a
      annotations:
        ovn.kubernetes.io/routes: '[{"gw":"10.16.0.254"}]'
        ovn.kubernetes.io/port_security: 'true'
actions:
  description: What was done, or would be done.
  returned: success
  type: list
  elements: str
  sample:
    - set annotation ovn.kubernetes.io/routes of namespace team-a
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import namespace

ROUTE = {"dst": {"type": "str"}, "gw": {"type": "str"}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "namespaces": {"type": "list", "elements": "str", "required": True, "aliases": ["namespace"]},
            "provider": {"type": "str", "default": "ovn"},
            "routes": {"type": "list", "elements": "dict", "options": ROUTE},
            "port_security": {"type": "bool"},
            "security_groups": {"type": "list", "elements": "str"},
            "ingress_rate": {"type": "int"},
            "egress_rate": {"type": "int"},
            "annotations": {"type": "dict"},
            "remove": {"type": "list", "elements": "str", "default": []},
            "inherit": {"type": "bool"},
            "annotation_prefix": {"type": "str", "default": "podnet.cni"},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        want = namespace.wanted(module.params)
        with KubeClient.from_options(module.params) as client:
            plans = namespace.reconcile(client, module.params["namespaces"], want, module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    for each in plans:
        for finding in each.findings:
            module.warn(f"namespace {each.name}: {finding}")
    module.exit_json(
        changed=any(plans),
        namespaces=[{"name": each.name, "annotations": each.after} for each in plans],
        actions=[line for each in plans for line in each.actions()],
        diff=[
            {"before_header": each.name, "after_header": each.name, "before": each.before, "after": each.after}
            for each in plans
        ],
    )


if __name__ == "__main__":
    main()
