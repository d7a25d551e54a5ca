#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: network_support_bundle
version_added: 1.0.0
short_description: Write facts and logs to an archive without keys, tokens and passwords
description:
  - Writes one gzipped tar archive for somebody who helps. The role P(podnet.cni.doctor#role) fills it.
  - Texts that look like a private key, a token, a password or a preshared key are replaced, and so is what stands under
    a key of such a name.
  - The archive has a list of what it holds, C(podnet-support/CONTENTS.txt). Look through it before you hand it out.
    What no rule knows as a secret stays.
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
      - Shows the list of what the archive holds.
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  path:
    description:
      - The archive. It is readable by its owner only.
    type: path
    required: true
  files:
    description:
      - What it holds, by relative paths. A value that is not text is written as JSON.
    type: dict
    required: true
  show_addresses:
    description:
      - Whether IP and MAC addresses stay. V(false) puts names like C(ipv4-1) in their place, the same name for the same
        address in all files. Host names stay.
    type: bool
    default: true
seealso:
  - module: podnet.cni.preflight_host_info
"""

EXAMPLES = r"""
- name: Write what may be sent to somebody else
  podnet.cni.network_support_bundle:
    path: /tmp/network.tar.gz
    files:
      status.json: "{{ doctor_picture }}"
      logs/node1.txt: "{{ journal.stdout }}"
    show_addresses: false
  delegate_to: localhost
"""

RETURN = r"""
path:
  description: The archive.
  returned: success
  type: str
  sample: /tmp/network.tar.gz
files:
  description: What it holds.
  returned: success
  type: list
  elements: str
  sample: [CONTENTS.txt, logs/node1.txt, status.json]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file
from ansible_collections.podnet.cni.plugins.module_utils._status import bundle

MODE = 0o600


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "files": {"type": "dict", "required": True},
            "show_addresses": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
        no_log=True,
    )
    path = module.params["path"]
    try:
        before = atomic_file.read_bytes(path)
        made = bundle.contents(module.params["files"], show_addresses=module.params["show_addresses"])
        archive = bundle.archive(made)
        if archive != before and not module.check_mode:
            atomic_file.write(path, archive, MODE)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    changed = module.set_mode_if_different(path, MODE, archive != before) if os.path.exists(path) else True
    diff = {"before": bundle.listing(before), "after": made[bundle.CONTENTS].decode()}
    module.exit_json(changed=changed, path=path, files=sorted(made), diff=diff)


if __name__ == "__main__":
    main()
