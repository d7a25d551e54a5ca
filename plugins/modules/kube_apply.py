#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kube_apply
version_added: 1.0.0
short_description: Apply or delete a list of Kubernetes objects in order, by server-side apply
description:
  - Applies all objects of a list in one run, in their order, by server-side apply. Deletes them in reverse order.
  - Every object is tried with a dry run first. When the server refuses one, nothing is changed; when a dry run changes
    nothing, nothing is written.
  - CustomResourceDefinitions are waited for before anything after them is applied. Each has to be C(Established), its
    names accepted (C(NamesAccepted)), and the server has to list objects of its kind in every version it serves. When
    O(wait_timeout) runs out, the message says which condition is missing on which of them, with the server's reason.
  - Waits of more than some seconds are shown while they last, by an action plugin on the controller, which runs the
    module again then.
  - The roles of this collection use it, so that they need no other collection. One run takes a whole manifest, where a
    module that takes one object costs a task for each.
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
      - An object whose namespace or kind an earlier object of the list is going to make cannot be tried; it is reported
        as to be created.
  diff_mode:
    support: full
    details:
      - Values of Secrets are shown as hashes, and so are flannel's preshared keys in ConfigMaps.
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  definitions:
    description:
      - The objects, each with C(apiVersion), C(kind) and C(metadata.name). Lists are taken apart, empty documents left
        out, so the result of a template read with C(from_yaml_all) can be given.
    type: list
    elements: raw
    required: true
  order:
    description:
      - In which order the objects are applied. With V(given) it is that of the list; a namespace or a
        CustomResourceDefinition has to stand before what needs it, which is looked at before anything is changed.
      - With V(start) they are sorted into the order in which they have to come into being - namespaces;
        CustomResourceDefinitions; service accounts, their rights and priority classes; ConfigMaps and Secrets; custom
        resources and everything else; Services, disruption budgets and network policies; workloads; webhooks and
        aggregated APIs. Within one of these groups they stay as given.
      - With O(state=absent) it is the reverse.
    type: str
    choices: [given, start]
    default: given
  state:
    description:
      - Whether the objects are to be there. For V(absent) their contents do not matter.
    type: str
    choices: [present, absent]
    default: present
  namespace_label:
    description:
      - Key of the label by which the namespaces of the list are known as made by it. Every Namespace of the list has to
        carry it. A namespace that is in the cluster without this label, or with another value of it, belongs to
        somebody else. It is used as it is, never changed and never deleted.
      - By default every object of the list is taken over, and deleted with O(state=absent), whoever made it.
    type: str
  wait:
    description:
      - Whether to wait until Deployments, StatefulSets and DaemonSets of the list are rolled out, and until deleted
        objects are gone.
      - With the update strategy C(OnDelete) nobody replaces pods, so old ones are not waited for.
    type: bool
    default: false
  wait_timeout:
    description:
      - Seconds to wait for one object, or for the CustomResourceDefinitions that follow each other.
    type: float
    default: 300.0
seealso:
  - module: podnet.cni.kube_wait
    description: Waits for the same and more, and shows its progress.
notes:
  - Fields that the objects name are taken over from whoever owned them. Fields they do not name are left alone.
  - A field that is no longer named is removed, when it was applied by this module before.
"""

EXAMPLES = r"""
- name: Apply a manifest
  podnet.cni.kube_apply:
    definitions: "{{ lookup('ansible.builtin.file', 'manifest.yml') | from_yaml_all }}"
    wait: true

- name: Apply a manifest whose objects are in any order
  podnet.cni.kube_apply:
    definitions: "{{ lookup('ansible.builtin.file', 'canal.yaml') | from_yaml_all }}"
    order: start
    wait_timeout: 60

- name: A namespace and something in it
  podnet.cni.kube_apply:
    context: production
    definitions:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: team-a
      - apiVersion: v1
        kind: ConfigMap
        metadata:
          name: colours
          namespace: team-a
        data:
          sky: blue

- name: Take it away again
  podnet.cni.kube_apply:
    state: absent
    wait: true
    definitions:
      - {apiVersion: v1, kind: Namespace, metadata: {name: team-a}}
"""

RETURN = r"""
actions:
  description: What was done, or would be done.
  returned: success
  type: list
  elements: str
  sample:
    - create Namespace team-a
    - update ConfigMap team-a/colours
done:
  description: Whether there is nothing more to do. Always true unless the module is run without its action plugin.
  returned: success
  type: bool
  sample: true
objects:
  description: Every object of the list, in the order it was looked at.
  returned: success
  type: list
  elements: dict
  contains:
    api_version:
      description: API version of the object.
      type: str
    kind:
      description: Kind of the object.
      type: str
    namespace:
      description: Its namespace, empty for a cluster-wide one.
      type: str
    name:
      description: Its name.
      type: str
    action:
      description:
        - What was done. V(create), V(update), V(adopt) when only the ownership of fields changed, V(delete) or V(none).
      type: str
  sample:
    - {api_version: v1, kind: Namespace, namespace: '', name: team-a, action: create}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import applier, auth, channel, hiding, objects
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "definitions": {"type": "list", "elements": "raw", "required": True},
            "order": {"type": "str", "choices": list(objects.ORDERS), "default": objects.GIVEN},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "namespace_label": {"type": "str"},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "float", "default": 300.0},
            **channel.spec(applier.TOLD),
        },
        supports_check_mode=True,
        no_log=True,
    )
    params = {**module.params, **channel.take(module.params, applier.TOLD)}
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    module.no_log_values.update(hiding.secrets(module.params["definitions"]))
    try:
        with KubeClient.from_options(module.params) as client:
            result = applier.run(client, params, module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
