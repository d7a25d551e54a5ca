#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netns_lab
short_description: Create or remove lab hosts in network namespaces of one machine
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Makes any number of hosts on one machine, for trials and tests. A host is a network, a mount and a UTS
    namespace. The connection plugin P(podnet.cni.netns#connection) runs tasks in it.
  - Each host has its own interfaces, routes, firewall, C(net.*) sysctls and C(/sys), its own host name, its
    own C(/run), and copies of C(/etc), C(/opt) and C(/var/lib) that keep their changes to themselves.
  - The hosts are joined by a bridge, the underlay, that lives in a network namespace of its own. The
    machine gets no interface and no address, and nothing that the hosts send leaves the machine.
  - Processes can be kept running in a host, for example a lease store.
  - The whole lab is one task. A host that differs from what is asked for is made anew and loses its files.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: linux
extends_documentation_fragment:
  - podnet.cni._attributes
options:
  name:
    description:
      - Name of the lab. Labs with different names do not touch each other and may use the same addresses.
    type: str
    required: true
  state:
    description:
      - With V(present), exactly the hosts in O(hosts) exist.
      - With V(absent), every trace of the lab is removed. Its processes end first.
    type: str
    choices: [present, absent]
    default: present
  state_dir:
    description:
      - Directory for all labs. The lab has a directory in it that is named after O(name), on a C(tmpfs) of
        its own.
    type: path
    default: /run/podnet-lab
  hosts:
    description: All hosts of the lab.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host and of its directory.
        type: str
        required: true
      offset:
        description:
          - The address of the host, counted from the first address of O(underlay_cidr) and
            O(underlay_ipv6_cidr). V(11) is C(198.18.0.11) in C(198.18.0.0/24). The bridge has the number 1.
          - A host without it gets the next free number from 11 on, in the order of the list.
        type: int
      containers:
        description:
          - Whether a container runtime can run in the host. It then sees the control groups of the machine, and
            has C(/var/lib/containerd) and C(/var/lib/kubelet) below O(data_dir).
          - M(podnet.cni.netns_kubernetes) makes a Kubernetes node of such a host.
        type: bool
        default: false
      guest:
        description:
          - Whether the host is a machine of its own, in place of namespaces. It is emulated by qemu, boots Debian's
            kernel and systemd, and can be rebooted. C(ssh -F) with the file RV(lab.hosts[].ssh_config) reaches it.
          - It sees the files of this machine as they were when it booted, save C(/run), and keeps its changes on a
            disk below O(data_dir).
          - The kernel is the newest that the package sources of this machine have. It is downloaded into the cache of
            the user and not installed.
        type: bool
        default: false
      processes:
        description: Processes that run in the host.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Name of the process in the lab.
            type: str
            required: true
          argv:
            description:
              - Program and arguments. C({address}) stands for the host's first address and
                C({ipv6_address}) for its IPv6 address.
              - The process is started anew when this changes.
            type: list
            elements: str
            required: true
          environment:
            description: Environment variables besides E(PATH) and E(LC_ALL).
            type: dict
          ready_url:
            description:
              - URL that answers with a success status once the process serves. The task waits for it, at
                most 30 seconds.
              - The same placeholders as in O(hosts[].processes[].argv) may be used.
            type: str
  guest_memory:
    description: Memory of each guest in MiB.
    type: int
    default: 2048
  underlay_cidr:
    description: IPv4 network of the underlay. An empty string gives a lab without IPv4.
    type: str
    default: 198.18.0.0/24
  underlay_ipv6_cidr:
    description: IPv6 network of the underlay. An empty string gives a lab without IPv6.
    type: str
    default: fd00:18::/64
  mtu:
    description: MTU of the underlay in octets.
    type: int
    default: 1500
  default_route:
    description: Whether the hosts have a default route to the bridge. It leads nowhere else.
    type: bool
    default: true
  copy_on_write_dirs:
    description:
      - Directories of the machine that each host sees as they are and may change for itself only.
        A directory that does not exist is left out.
      - C(/etc) has to be in this list or in O(private_dirs).
      - Hosts that exist already are not changed.
    type: list
    elements: path
    default: [/etc, /opt, /var/lib]
  private_dirs:
    description:
      - Directories that are empty at first in each host.
      - C(/run) has to be in this list or in O(copy_on_write_dirs).
      - Hosts that exist already are not changed.
    type: list
    elements: path
    default: [/run]
  data_dir:
    description:
      - Directory on a disk for what hosts with O(hosts[].containers) keep there, removed with them. It has to
        lie outside of O(copy_on_write_dirs), O(private_dirs) and O(state_dir).
    type: path
    default: /var/cache/podnet-lab
requirements:
  - root with C(CAP_SYS_ADMIN)
  - overlayfs, veth and bridge in the kernel
  - iproute2 and util-linux
  - for guests Debian or a derivative on amd64, qemu (C(qemu-system-x86)), C(busybox-static), C(openssh-client),
    C(e2fsprogs), systemd, and C(/dev/net/tun)
notes:
  - The task fails when O(underlay_cidr) or O(underlay_ipv6_cidr) overlaps a route of the machine.
seealso:
  - plugin: podnet.cni.netns
    plugin_type: connection
"""

EXAMPLES = r"""
- name: Make two hosts and a lease store
  podnet.cni.netns_lab:
    name: demo
    hosts:
      - name: store1
        offset: 10
        processes:
          - name: etcd
            argv:
              - etcd
              - --data-dir=/run/etcd
              - --listen-client-urls=http://{address}:2379
              - --advertise-client-urls=http://{address}:2379
            ready_url: http://{address}:2379/health
      - name: node1
      - name: node2

- name: Make a host with a small MTU and without IPv6
  podnet.cni.netns_lab:
    name: small
    underlay_cidr: 198.18.7.0/28
    underlay_ipv6_cidr: ""
    mtu: 1280
    hosts:
      - name: edge
        offset: 2

- name: Remove the lab
  podnet.cni.netns_lab:
    name: demo
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample: [create the underlay, create host node1, write /etc/hosts in node1]
lab:
  description: The lab as it was asked for.
  returned: when O(state=present)
  type: dict
  contains:
    name:
      description: Name of the lab.
      type: str
      sample: demo
    pins_dir:
      description:
        - The directory with the pins of all hosts, for O(podnet.cni.netns#connection:netns_state_dir).
      type: str
      sample: /run/podnet-lab/demo/hosts
    hosts:
      description: The hosts, in the order given.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the host.
          type: str
          sample: node1
        interface:
          description: The host's interface on the underlay.
          type: str
          sample: eth0
        address:
          description: IPv4 address, or an empty string.
          type: str
          sample: 198.18.0.11
        ipv6_address:
          description: IPv6 address, or an empty string.
          type: str
          sample: "fd00:18::b"
        guest:
          description: Whether the host is a guest.
          type: bool
          sample: false
        ssh_config:
          description: The configuration for C(ssh -F) to a guest, an empty string for other hosts.
          type: str
          sample: ""
        processes:
          description: Names of the processes that run in the host.
          type: list
          elements: str
          sample: []
"""

import contextlib
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner
from ansible_collections.podnet.cni.plugins.module_utils._lab import plan as lab
from ansible_collections.podnet.cni.plugins.module_utils._lab.system import (
    System,
    exclusive,
    machine_routes,
)

PROCESS = {
    "name": {"type": "str", "required": True},
    "argv": {"type": "list", "elements": "str", "required": True},
    "environment": {"type": "dict"},
    "ready_url": {"type": "str"},
}

ARGUMENT_SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "state_dir": {"type": "path", "default": "/run/podnet-lab"},
    "hosts": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "offset": {"type": "int"},
            "containers": {"type": "bool", "default": False},
            "guest": {"type": "bool", "default": False},
            "processes": {"type": "list", "elements": "dict", "default": [], "options": PROCESS},
        },
    },
    "guest_memory": {"type": "int", "default": 2048},
    "underlay_cidr": {"type": "str", "default": "198.18.0.0/24"},
    "underlay_ipv6_cidr": {"type": "str", "default": "fd00:18::/64"},
    "mtu": {"type": "int", "default": 1500},
    "default_route": {"type": "bool", "default": True},
    "copy_on_write_dirs": {"type": "list", "elements": "path", "default": ["/etc", "/opt", "/var/lib"]},
    "private_dirs": {"type": "list", "elements": "path", "default": ["/run"]},
    "data_dir": {"type": "path", "default": "/var/cache/podnet-lab"},
}


def wanted(module: AnsibleModule, run: Any) -> lab.Lab:
    """Return the lab that the options ask for; raises InputError before anything is changed."""
    options = module.params
    lab.check_name("name", options["name"])
    lab.check_path("state_dir", options["state_dir"])
    lab.check_private(options["copy_on_write_dirs"], options["private_dirs"])
    lab.check_data_dir(
        options["data_dir"], [*options["copy_on_write_dirs"], *options["private_dirs"], options["state_dir"]]
    )
    if options["state"] == "absent":
        return lab.NOTHING
    networks = lab.parse_networks([(name, options[name] or "") for name in ("underlay_cidr", "underlay_ipv6_cidr")])
    want = lab.desired(options["hosts"], networks, options["mtu"], options["default_route"], options["guest_memory"])
    if options["underlay_ipv6_cidr"] and not os.path.exists("/proc/sys/net/ipv6"):
        raise InputError("The kernel has no IPv6. Set underlay_ipv6_cidr to an empty string.")
    lab.check_overlap(networks, machine_routes(run))
    return want


def main() -> None:
    """Read the lab, plan, apply, report."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    options = module.params
    run = module_runner(module)
    try:
        if os.geteuid() != 0:
            raise InputError(f"Making namespaces needs root, and the task runs as user id {os.geteuid()}. Use become.")
        want = wanted(module, run)
        system = System(
            run,
            options["state_dir"],
            options["name"],
            copy_on_write_dirs=options["copy_on_write_dirs"],
            private_dirs=options["private_dirs"],
            data_dir=options["data_dir"],
            warn=module.warn,
        )
        with contextlib.nullcontext() if module.check_mode else exclusive(options["state_dir"]):
            have = system.observe()
            operations = lab.plan(want, have)
            system.check_guests(operations, want)
            if not module.check_mode:
                system.apply(operations, want)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    result: dict[str, Any] = {
        "changed": bool(operations),
        "actions": [str(operation) for operation in operations],
        "diff": {"before": lab.describe(have), "after": lab.describe(want if operations else have)},
    }
    if options["state"] == "present":
        result["lab"] = {
            "name": options["name"],
            "pins_dir": os.path.join(options["state_dir"], options["name"], "hosts"),
            "hosts": [
                {**host, "ssh_config": system.guests.ssh_config(host["name"]) if host["guest"] else ""}
                for host in lab.host_records(want)
            ],
        }
    module.exit_json(**result)


if __name__ == "__main__":
    main()
