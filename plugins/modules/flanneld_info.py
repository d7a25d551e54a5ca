#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flanneld_info
version_added: 1.0.0
short_description: Report whether flanneld works on a host as a systemd unit, and who else runs one there
description:
  - Tells whether a unit of flanneld does its work. It is active, and the subnet file is that of the process that runs.
  - Tells what the running process does not have yet, so that a restart which was interrupted is noticed by the next
    run. That is another program, a changed unit or a changed environment file.
  - Names every other flanneld in this network namespace, and the agentless overlay that a unit of this collection
    restores at boot.
  - The role P(podnet.cni.flanneld#role) uses it.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.info_module
attributes:
  platform:
    platforms: linux
options:
  unit:
    description:
      - The unit.
    type: str
    default: podnet-cni-flanneld.service
  subnet_file:
    description:
      - The file in which flanneld tells the node's subnet.
    type: str
    default: /run/flannel/subnet.env
  binary:
    description:
      - The program that the unit starts, or the symbolic link to it. Empty compares no program.
    type: str
    default: ''
  files:
    description:
      - Files that are read when the unit starts.
    type: list
    elements: str
    default: []
  journal_lines:
    description:
      - How many lines of the unit's journal are returned in RV(evidence). V(0) for none, and for no RV(evidence).
    type: int
    default: 0
requirements:
  - systemd on the host
notes:
  - flanneld logs its flags when it starts, and the password of etcd is one of them. That line is left out of
    RV(evidence).
seealso:
  - module: podnet.cni.flannel_dataplane_info
"""

EXAMPLES = r"""
- name: Look at flanneld
  podnet.cni.flanneld_info:
    journal_lines: 20
  register: flanneld
  become: true

- name: Stop where it does not work
  ansible.builtin.assert:
    that: flanneld.problems | length == 0
    fail_msg: "{{ flanneld.problems | join('; ') }}: {{ flanneld.evidence.journal | join(' | ') }}"
"""

RETURN = r"""
unit:
  description:
    - What systemd says of the unit. C(load) is V(not-found) for one that is not there, C(pid) 0 for one that does not
      run.
  returned: success
  type: dict
  sample:
    name: podnet-cni-flanneld.service
    load: loaded
    active: active
    enabled: enabled
    pid: 4711
problems:
  description: Why the unit does not do its work, a sentence each.
  returned: success
  type: list
  elements: str
  sample: []
outdated:
  description: Files of O(binary) and O(files) of which the running process has another version.
  returned: success
  type: list
  elements: str
  sample: [/etc/podnet-cni-flanneld/flanneld.env]
release:
  description: What the symbolic link O(binary) leads to, empty without one.
  returned: success
  type: str
  sample: v0.28.9/flanneld
store:
  description:
    - Where flanneld keeps its lease, V(etcd) or V(kubernetes). By the arguments of its process, or by its unit in
      C(/etc/systemd/system) where none runs. Empty without a unit.
  returned: success
  type: str
  sample: etcd
subnet:
  description: The node's IPv4 subnet by the subnet file, as its lease spells it.
  returned: success
  type: str
  sample: 10.244.19.0/24
ipv6_subnet:
  description: The node's IPv6 subnet by the subnet file.
  returned: success
  type: str
  sample: null
mtu:
  description: The MTU of pods by the subnet file.
  returned: success
  type: int
  sample: 1450
others:
  description:
    - Other flannelds of this host, in the shape of RV(podnet.cni.flannel_dataplane_prepare#module:flannelds).
  returned: success
  type: list
  elements: dict
  sample:
    - {pid: 0, unit: flanneld.service, pod: false}
overlay:
  description:
    - Whether a unit of this collection restores the agentless overlay at boot, and from which directory.
  returned: success
  type: dict
  sample: {restores: false, restore_dir: ""}
evidence:
  description:
    - The exit code of C(systemctl status), and the last lines of the unit's journal.
  returned: success and O(journal_lines) above 0
  type: dict
  sample:
    status: 3
    journal: ["2026-01-01T12:00:00+0000 node-1 flanneld[4711]: Failed to find any valid interface to use"]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flanneld import service
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "podnet-cni-flanneld.service"},
            "subnet_file": {"type": "str", "default": "/run/flannel/subnet.env"},
            "binary": {"type": "str", "default": ""},
            "files": {"type": "list", "elements": "str", "default": []},
            "journal_lines": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    params, run = module.params, module_runner(module)
    asked = service.Service(params["unit"], params["subnet_file"], params["binary"], params["files"])
    try:
        found = service.look(run, asked)
        if params["journal_lines"] > 0:
            found["evidence"] = service.evidence(run, params["unit"], params["journal_lines"])
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
