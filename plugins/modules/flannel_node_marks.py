#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flannel_node_marks
version_added: 1.0.0
short_description: Remove flanneld's annotations and its condition NetworkUnavailable from Nodes
description:
  - Removes the annotations that flanneld writes. Those that an administrator sets, like C(public-ip-overwrite), stay.
  - Removes the condition C(NetworkUnavailable) from the Nodes in O(cleaned). There the kubelet says itself that the
    node has no network.
  - On other Nodes flannel's CNI configuration is still there, so that pods would be started and fail. There the
    condition becomes V(True), which keeps new pods away until another network says otherwise.
  - A condition that another network wrote is left alone.
  - Use it after flannel was removed. A flanneld that runs writes all of it again. The role P(podnet.cni.flannel#role)
    uses it.
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
  cleaned:
    description:
      - Names of the Nodes whose hosts have no CNI configuration of flannel any more.
    type: list
    elements: str
    default: []
  annotation_prefix:
    description:
      - Prefix of the annotations, as flanneld's C(--kube-annotation-prefix) has it.
    type: str
    default: flannel.alpha.coreos.com
notes:
  - Needs list and patch for Nodes, and patch for C(nodes/status).
seealso:
  - module: podnet.cni.flannel_dataplane
"""

EXAMPLES = r"""
- name: Take back what flanneld wrote, after its files were removed from two nodes
  podnet.cni.flannel_node_marks:
    cleaned: [worker-1, worker-2]
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - remove 4 annotations of Node worker-1
    - remove condition NetworkUnavailable of Node worker-1
uncleaned:
  description: Nodes that flannel has run on and that are not among O(cleaned).
  returned: success
  type: list
  elements: str
  sample: [control-1]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import node_marks
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "cleaned": {"type": "list", "elements": "str", "default": []},
            "annotation_prefix": {"type": "str", "default": "flannel.alpha.coreos.com"},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    params = module.params
    try:
        with KubeClient.from_options(params) as client:
            result = node_marks.run(client, params["cleaned"], params["annotation_prefix"], module.check_mode)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
