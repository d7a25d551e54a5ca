#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: overlay_refresh_program
version_added: 1.0.0
short_description: Copy the program that refreshes the peers of an overlay node to it
description:
  - Makes one file out of the utilities of this collection on the controller, and copies it to the node. There it needs
    Python with C(pyroute2), and C(etcd3gw) for leases in etcd, and neither Ansible nor the controller.
  - The file brings the node's peers up to date from the leases in etcd or on Kubernetes Nodes, with the code of
    M(podnet.cni.flannel_dataplane). The role P(podnet.cni.overlay#role) installs it and starts it with a timer.
  - Equal utilities make an equal file, so it changes with the collection's version alone.
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
      - The diff says that the file differs. It does not show the content, which is not text.
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  dest:
    description:
      - Path of the file on the node. Its directory must be there.
    type: path
    required: true
seealso:
  - module: podnet.cni.flannel_dataplane
"""

EXAMPLES = r"""
- name: Put the program where a timer finds it
  podnet.cni.overlay_refresh_program:
    dest: /etc/podnet-cni-refresh/overlay-refresh.pyz
  become: true
"""

RETURN = r"""
dest:
  description: Path of the file.
  returned: success
  type: str
  sample: /etc/podnet-cni-refresh/overlay-refresh.pyz
checksum:
  description: SHA-1 of the file.
  returned: success
  type: str
  sample: 6e642bb8dd5c2e027bf21dd923337cbb4214f827
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Fail: the action plugin of this name makes the file on the controller, and starts no module of this name."""
    module = AnsibleModule(argument_spec={"dest": {"type": "path", "required": True}}, supports_check_mode=True)
    module.fail_json(msg=f"{module.params['dest']} is made on the controller; name podnet.cni.overlay_refresh_program")


if __name__ == "__main__":
    main()
