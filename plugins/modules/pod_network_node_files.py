#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_network_node_files
version_added: 1.0.0
short_description: Read the CNI configuration and subnet file of a node for a backup, and restore them
description:
  - Without O(files) it reads the files at O(paths) and returns them, all in one run.
  - With O(files) it puts files back as they were, each in one step, so that a container runtime never sees half of one.
    Files that were not there are removed, also those that fit a pattern.
  - M(podnet.cni.pod_network_backup) keeps what it returns.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The content of a file that only its owner may read is not shown.
  idempotent:
    support: full
  platform:
    platforms: linux
options:
  paths:
    description:
      - Absolute paths, or patterns of the shell like C(/etc/cni/net.d/*.conflist). Directories are left out.
      - Files of more than 1 MiB and files that are not UTF-8 text are refused.
    type: list
    elements: str
    default:
      - /etc/cni/net.d/*.conf
      - /etc/cni/net.d/*.conflist
      - /etc/cni/net.d/*.json
      - /run/flannel/subnet.env
  files:
    description:
      - What a run without this option returned as RV(node_files).
    type: dict
"""

EXAMPLES = r"""
- name: Read the files of the pod network
  podnet.cni.pod_network_node_files:
  register: before

- name: Put them back
  podnet.cni.pod_network_node_files:
    files: "{{ before.node_files }}"
"""

RETURN = r"""
node_files:
  description:
    - What was read, text and mode of each file, and the paths without one.
  returned: success, without O(files)
  type: dict
  contains:
    files:
      description: Text and octal mode of each file.
      type: dict
      returned: success
    absent:
      description: Paths, not patterns, at which there is no file.
      type: list
      elements: str
      returned: success
    patterns:
      description: The patterns among the paths.
      type: list
      elements: str
      returned: success
  sample:
    files:
      /run/flannel/subnet.env:
        text: FLANNEL_NETWORK=10.244.0.0/16
        mode: '0644'
    absent: []
    patterns: [/etc/cni/net.d/*.conflist]
actions:
  description: What was done, or would be done.
  returned: success
  type: list
  elements: str
  sample:
    - restore /etc/cni/net.d/10-flannel.conflist
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._backup import files
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError

PATHS = [
    "/etc/cni/net.d/*.conf",
    "/etc/cni/net.d/*.conflist",
    "/etc/cni/net.d/*.json",
    "/run/flannel/subnet.env",
]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "str", "default": PATHS}, "files": {"type": "dict"}},
        supports_check_mode=True,
    )
    try:
        if module.params["files"] is None:
            module.exit_json(changed=False, actions=[], node_files=files.gather(module.params["paths"]))
        changes = files.plan(module.params["files"])
        if not module.check_mode:
            files.apply(changes)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    result = {"changed": bool(changes), "actions": [each.action for each in changes]}
    module.exit_json(**result, diff=[each.diff() for each in changes])


if __name__ == "__main__":
    main()
