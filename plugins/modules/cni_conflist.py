#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CNI configuration list of a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cni_conflist
short_description: Manage the CNI network configuration list of a node
version_added: 1.0.0
description:
  - Renders a network configuration list, checks it, and puts it where the container runtime looks for it.
  - The file is written to a temporary file, synced and renamed, so a runtime never sees half of it.
  - Tells which file the runtime will take, and warns when that is another one.
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
      - Whether the file is to be there.
    type: str
    choices: [present, absent]
    default: present
  conf_dir:
    description:
      - The directory that the runtime reads. It is created when it is missing.
    type: path
    default: /etc/cni/net.d
  filename:
    description:
      - Name of the file. Runtimes take the file whose name sorts first.
    type: str
    default: 10-flannel.conflist
  network_name:
    description:
      - Name of the network. C(host-local) keeps its addresses under this name, so a change of it forgets which
        addresses are in use.
    type: str
    default: cbr0
  cni_version:
    description:
      - Version of the CNI specification that the plugins are called with.
    type: str
    choices: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']
    default: '0.3.1'
  preset:
    description:
      - V(flannel) is the list that flannel's own manifest installs. It needs the C(flannel) plugin and a subnet file.
      - V(bridge) is what the C(flannel) plugin would hand on to the C(bridge) plugin, with the values given here. It
        needs only the reference plugins.
    type: str
    choices: [flannel, bridge]
  plugins:
    description:
      - The plugins of the list as they stand, instead of a O(preset).
    type: list
    elements: dict
  subnet:
    description:
      - The node's IPv4 subnet, with O(preset=bridge).
    type: str
  ipv6_subnet:
    description:
      - The node's IPv6 subnet, with O(preset=bridge).
    type: str
  network:
    description:
      - The overlay's IPv4 network, with O(preset=bridge). Pods get a route to it.
    type: str
  ipv6_network:
    description:
      - The overlay's IPv6 network, with O(preset=bridge). Pods get a route to it.
    type: str
  mtu:
    description:
      - MTU of the pods' links in octets, with O(preset=bridge). The plugin decides when it is not given.
    type: int
  bridge_name:
    description:
      - Name of the bridge, with O(preset=bridge).
    type: str
    default: cni0
  data_dir:
    description:
      - Where C(host-local) keeps the addresses in use, with O(preset=bridge). The plugin's default is
        C(/var/lib/cni/networks).
    type: path
  subnet_file:
    description:
      - The subnet file, with O(preset=flannel), when it is not C(/run/flannel/subnet.env).
    type: path
  obsolete:
    description:
      - Names of other files in O(conf_dir) that are to be removed, with either O(state).
    type: list
    elements: str
    default: []
  plugin_dirs:
    description:
      - Where the plugins' binaries are looked for.
    type: list
    elements: path
    default:
      - /opt/cni/bin
      - /usr/lib/cni
      - /usr/libexec/cni
  validate_plugins:
    description:
      - Whether every plugin, those called for addresses included, must be an executable file in one of O(plugin_dirs).
      - In check mode a missing plugin is a warning, because an earlier task may be about to install it.
    type: bool
    default: true
notes:
  - A file that holds the same JSON in another layout is left as it is. Mode and owner of an existing file are kept; a
    new one is C(0644).
  - containerd and CRI-O take the first file by name that ends in C(.conf), C(.conflist) or C(.json). CRI-O passes over
    invalid files, containerd does not.
seealso:
  - module: podnet.cni.flannel_dataplane
  - name: CNI specification
    description: What a network configuration list is.
    link: https://www.cni.dev/docs/spec/
author:
  - podnet.cni contributors (@podnet)
"""

EXAMPLES = r"""
- name: Pods get addresses of the node's subnet, without the flannel plugin
  podnet.cni.cni_conflist:
    preset: bridge
    subnet: 10.5.57.0/24
    network: 10.5.0.0/16
    mtu: 1450

- name: The list of flannel's own manifest, in place of the one that containerd came with
  podnet.cni.cni_conflist:
    preset: flannel
    obsolete:
      - 10-containerd-net.conflist

- name: A list of our own
  podnet.cni.cni_conflist:
    filename: 20-storage.conflist
    network_name: storage
    cni_version: 1.0.0
    plugins:
      - type: macvlan
        master: eth1
        ipam:
          type: dhcp

- name: No list
  podnet.cni.cni_conflist:
    state: absent
"""

RETURN = r"""
path:
  description: The file.
  returned: always
  type: str
  sample: /etc/cni/net.d/10-flannel.conflist
conflist:
  description: What the file holds, or would hold; V(none) with O(state=absent).
  returned: always
  type: dict
  sample:
    cniVersion: 0.3.1
    name: cbr0
    plugins:
      - type: flannel
        delegate:
          hairpinMode: true
          isDefaultGateway: true
      - type: portmap
        capabilities:
          portMappings: true
winner:
  description: Name of the file that the runtime takes afterwards; V(none) when there is no valid one.
  returned: always
  type: str
  sample: 10-flannel.conflist
candidates:
  description: The files that the runtime reads, in its order, after this run.
  returned: always
  type: list
  elements: dict
  contains:
    file:
      description: Name of the file.
      type: str
      sample: 10-flannel.conflist
    network:
      description: Name of the network, empty when the file does not tell.
      type: str
      sample: cbr0
    problem:
      description: What is wrong with the file, empty when it is valid.
      type: str
      sample: ''
    delegate:
      description:
        - Name or file of the network that a file of Multus hands pods on to, empty when it does not tell; V(none) for a
          file of anybody else.
      type: str
actions:
  description: What was done, or would be done.
  returned: always
  type: list
  elements: str
  sample:
    - create 10-flannel.conflist
    - remove 10-containerd-net.conflist
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._cni import conflist
from ansible_collections.podnet.cni.plugins.module_utils._cni import directory as cni_directory
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError

ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
    "filename": {"type": "str", "default": "10-flannel.conflist"},
    "network_name": {"type": "str", "default": "cbr0"},
    "cni_version": {"type": "str", "choices": list(conflist.CNI_VERSIONS), "default": "0.3.1"},
    "preset": {"type": "str", "choices": ["flannel", "bridge"]},
    "plugins": {"type": "list", "elements": "dict"},
    "subnet": {"type": "str"},
    "ipv6_subnet": {"type": "str"},
    "network": {"type": "str"},
    "ipv6_network": {"type": "str"},
    "mtu": {"type": "int"},
    "bridge_name": {"type": "str", "default": "cni0"},
    "data_dir": {"type": "path"},
    "subnet_file": {"type": "path"},
    "obsolete": {"type": "list", "elements": "str", "default": []},
    "plugin_dirs": {
        "type": "list",
        "elements": "path",
        "default": ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"],
    },
    "validate_plugins": {"type": "bool", "default": True},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        mutually_exclusive=[("preset", "plugins")],
        required_if=[
            ("state", "present", ("preset", "plugins"), True),
            ("preset", "bridge", ("subnet", "ipv6_subnet"), True),
        ],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**reconcile(module))
    except PodnetError as error:
        module.fail_json(msg=str(error))


def reconcile(module: AnsibleModule) -> dict[str, Any]:
    """Bring the directory to what the parameters ask for and return the module's result."""
    params = module.params
    conf_dir, filename = params["conf_dir"], params["filename"]
    document = conflist.wanted(params)
    if document is not None and params["validate_plugins"]:
        problem = cni_directory.missing_plugins(document, params["plugin_dirs"])
        if problem and not module.check_mode:
            raise InputError(problem)
        if problem:
            module.warn(problem)
    observed = cni_directory.observe(conf_dir, params["obsolete"])
    plan = cni_directory.plan(filename, document, observed)
    if not module.check_mode:
        cni_directory.apply(conf_dir, filename, plan)
    candidates = cni_directory.candidates(plan.texts, plan.reasons)
    if document is not None:
        for message in cni_directory.warnings(filename, candidates, plan.texts):
            module.warn(message)
    return {
        "changed": bool(plan),
        "path": os.path.join(conf_dir, filename),
        "conflist": document,
        "winner": cni_directory.winner(candidates),
        "candidates": [candidate._asdict() for candidate in candidates],
        "actions": list(plan.actions),
        "diff": cni_directory.diff(conf_dir, observed, plan),
    }


if __name__ == "__main__":
    main()
