#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: distribution_network_files
short_description: Write the files of a change of k3s's or RKE2's network on a node, and put the former ones back
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Writes files that the role P(podnet.cni.distribution_network#role) has planned, all or none of them, and keeps on
    the node what was there before until the change has ended.
  - A file that somebody else has changed since it was read is not written over. The task fails then.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Values of secret keys are hidden.
  idempotent:
    support: full
  platform:
    platforms: linux
options:
  state:
    description:
      - V(present) writes O(files).
      - V(restored) puts back what was there before a change that has not ended.
      - V(settled) ends the change, and forgets what was there before.
    type: str
    choices: [present, restored, settled]
    default: present
  files:
    description: The files of O(state=present).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where the file is.
        type: path
        required: true
      text:
        description: What it has to hold, with names of O(secrets) in place of these.
        type: str
        required: true
      before:
        description: What it held when it was read, without secrets. Left out, there was no file.
        type: str
  secrets:
    description: Texts that take the place of their names in the files.
    type: dict
    default: {}
  begun:
    description: Whether a change is under way on the node although none of O(files) differs.
    type: bool
    default: false
notes:
  - Needs root. New files are readable by root alone.
seealso:
  - module: podnet.cni.distribution_network_restart
  - module: podnet.cni.distribution_network_info
"""

EXAMPLES = r"""
- name: Give k3s another backend
  podnet.cni.distribution_network_files:
    files:
      - path: /etc/rancher/k3s/config.yaml.d/60-podnet-network.yaml
        text: "flannel-backend: host-gw\n"

- name: Put the former files back
  podnet.cni.distribution_network_files:
    state: restored
"""

RETURN = r"""
files:
  description: Paths of the files that differed.
  returned: success
  type: list
  elements: str
  sample: [/etc/rancher/k3s/config.yaml.d/60-podnet-network.yaml]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._distributions import node_files
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError

FILE = {
    "path": {"type": "path", "required": True},
    "text": {"type": "str", "required": True},
    "before": {"type": "str"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "restored", "settled"], "default": "present"},
            "files": {"type": "list", "elements": "dict", "default": [], "options": FILE},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "begun": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params, check = module.params, module.check_mode
    module.no_log_values.update(str(each) for each in params["secrets"].values())
    try:
        if params["state"] == "settled":
            module.exit_json(changed=node_files.settle(check=check), files=[])
        if params["state"] == "restored":
            diff = node_files.restore(check=check)
        else:
            diff = node_files.write(params["files"], params["secrets"], begun=params["begun"], check=check)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(diff), files=[each["after_header"] for each in diff], diff=diff)


if __name__ == "__main__":
    main()
