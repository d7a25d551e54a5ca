#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kernel settings, kernel modules and files that a node of the overlay needs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_prepare
short_description: Prepare a node's operating system for the overlay
version_added: 1.0.0
description:
  - Sets kernel settings, loads kernel modules, and keeps udev, systemd-networkd and NetworkManager away from the
    overlay's links, now and for the next boot.
  - Tells which programs, CNI plugins and Python modules are missing, so that a role installs packages only where it
    has to.
  - Does in one run what generic modules would do in six or more, since over many hosts the runs cost more than their
    work.
extends_documentation_fragment:
  - podnet.cni._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(absent) removes the files that this module writes. The settings and modules of the running kernel stay as they
        are, because other software may rely on them.
    type: str
    choices: [present, absent]
    default: present
  sysctl:
    description:
      - Kernel settings by name. A name whose link part holds a dot is written with slashes, as in
        V(net/ipv6/conf/eth0.5/forwarding).
    type: dict
    default: {}
  sysctl_file:
    description:
      - Where O(sysctl) is kept for the next boot; empty for nowhere.
    type: str
    default: /etc/sysctl.d/90-podnet-cni.conf
  kernel_modules:
    description:
      - Kernel modules to load. One that is built in is left alone, and so are all on a kernel that comes without
        modules. Where modules cannot be loaded from (a container), a warning names them.
    type: list
    elements: str
    default: []
  modules_file:
    description:
      - Where O(kernel_modules) is kept for the next boot; empty for nowhere.
    type: str
    default: /etc/modules-load.d/podnet-cni.conf
  unmanaged_links:
    description:
      - Names of links, with C(*) and C(?), that systemd-networkd and NetworkManager leave alone where these are
        installed. Empty for none.
      - Where it is not empty, udev is also told to keep the MAC address of links named C(flannel*).
    type: list
    elements: str
    default: []
  programs:
    description:
      - Programs to look for on the search path. One that busybox brings does not count.
    type: list
    elements: str
    default: []
  plugins:
    description:
      - CNI plugins to look for in O(plugin_dirs).
    type: list
    elements: str
    default: []
  plugin_dirs:
    description:
      - Where CNI plugins are looked for.
    type: list
    elements: path
    default:
      - /opt/cni/bin
      - /usr/lib/cni
      - /usr/libexec/cni
  python_modules:
    description:
      - Python modules to look for, in the Python that runs this module.
    type: list
    elements: str
    default: []
  hold:
    description:
      - Whether nothing is changed where something is missing. RV(missing) says what.
    type: bool
    default: false
    version_added: 1.0.0
seealso:
  - module: podnet.cni.flannel_dataplane
  - module: podnet.cni.cni_conflist
author:
  - podnet.cni contributors (@podnet)
"""

EXAMPLES = r"""
- name: Prepare a node
  podnet.cni.node_prepare:
    sysctl:
      net.ipv4.ip_forward: 1
    kernel_modules:
      - vxlan
    unmanaged_links:
      - flannel*
      - cni0
    programs:
      - nft
    plugins:
      - bridge
      - host-local
  register: node

- name: Install what is missing
  ansible.builtin.package:
    name: nftables
  when: "'nft' in node.missing.programs"

- name: Remove what was left for the next boot
  podnet.cni.node_prepare:
    state: absent
    unmanaged_links:
      - flannel*
"""

RETURN = r"""
actions:
  description: What was done, or would be done.
  returned: always
  type: list
  elements: str
  sample:
    - set net.ipv4.ip_forward = 1
    - write /etc/sysctl.d/90-podnet-cni.conf
missing:
  description: What was looked for and not found.
  returned: always
  type: dict
  contains:
    programs:
      description: Those of O(programs).
      type: list
      elements: str
      sample: [nft]
    plugins:
      description: Those of O(plugins).
      type: list
      elements: str
      sample: []
    python_modules:
      description: Those of O(python_modules).
      type: list
      elements: str
      sample: []
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import prepare
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "sysctl": {"type": "dict", "default": {}},
    "sysctl_file": {"type": "str", "default": "/etc/sysctl.d/90-podnet-cni.conf"},
    "kernel_modules": {"type": "list", "elements": "str", "default": []},
    "modules_file": {"type": "str", "default": "/etc/modules-load.d/podnet-cni.conf"},
    "unmanaged_links": {"type": "list", "elements": "str", "default": []},
    "programs": {"type": "list", "elements": "str", "default": []},
    "plugins": {"type": "list", "elements": "str", "default": []},
    "plugin_dirs": {
        "type": "list",
        "elements": "path",
        "default": ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"],
    },
    "python_modules": {"type": "list", "elements": "str", "default": []},
    "hold": {"type": "bool", "default": False},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        module.exit_json(**reconcile(module))
    except PodnetError as error:
        module.fail_json(msg=str(error))


def reconcile(module: AnsibleModule) -> dict[str, Any]:
    """Bring the node to what the parameters ask for and return the module's result."""
    params = module.params
    want = prepare.desired(
        present=params["state"] == "present",
        sysctls=prepare.sysctl_texts(params["sysctl"]),
        sysctl_file=params["sysctl_file"] or "",
        modules=params["kernel_modules"],
        modules_file=params["modules_file"] or "",
        unmanaged_links=params["unmanaged_links"],
    )
    plan = prepare.plan(want, prepare.observe(want))
    missing = {
        "programs": prepare.missing_programs(params["programs"], os.environ.get("PATH", "")),
        "plugins": prepare.missing_plugins(params["plugins"], params["plugin_dirs"]),
        "python_modules": prepare.missing_python_modules(params["python_modules"]),
    }
    if params["hold"] and any(missing.values()):
        return {"changed": False, "actions": [], "missing": missing, "diff": {"before": "", "after": ""}}
    warnings = list(plan.warnings)
    if not module.check_mode:
        warnings += prepare.apply(module_runner(module), plan)
    for message in warnings:
        module.warn(message)
    return {
        "changed": bool(plan.actions),
        "actions": plan.actions,
        "missing": missing,
        "diff": {"before": plan.before, "after": plan.after},
    }


if __name__ == "__main__":
    main()
