#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_host_info
short_description: Read what a host is like before flannel is installed or upgraded there
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Reads everything that the checks of the role podnet.cni.preflight need to know of a host, in one run. That is the
    kernel and its settings, links and routes, open ports, the firewall, the container runtime with its CNI
    configurations and plugins, the kubelet, cgroups, and services that manage links.
  - Changes nothing. The kernel itself is asked whether it can make the links of the backend. It may load a kernel
    module to answer.
  - What cannot be found out is V(null), with the reason. Only a network config that is not valid fails the task.
  - The filter P(podnet.cni.preflight_findings#filter) judges the facts.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.info_module
attributes:
  platform:
    platforms: linux
options:
  network_config:
    description:
      - The network config that the host is to join or has joined, with upstream's names such as C(Network).
      - Left out, nothing is asked that depends on the backend.
    type: dict
  interface:
    description:
      - The link to the underlay. Left out, it is the link that holds O(public_ip) or O(public_ipv6), or else that of
        the default route.
    type: str
  public_ip:
    description: The IPv4 address by which peers reach this host.
    type: str
  public_ipv6:
    description: The IPv6 address by which peers reach this host.
    type: str
  subnet_file:
    description: Path of the subnet file.
    type: path
    default: /run/flannel/subnet.env
  cni_conf_dir:
    description: Directory of CNI configurations. Left out, it is the one that the container runtime is configured for.
    type: path
  cni_plugin_dirs:
    description: Directories of CNI plugins. Left out, they are those that the container runtime is configured for.
    type: list
    elements: path
    default: []
  reference_clock:
    description:
      - The time on the controller when it starts this task, in seconds since 1970. It is returned with the facts, so
        that clocks of many hosts can be compared.
    type: float
  health_port:
    description: The TCP port at which flanneld answers health probes. V(0) for none.
    type: int
    default: 8081
  peers:
    description:
      - Subnets of other hosts, like V(10.244.2.0/24). The kernel is asked which way it takes packets between a pod of
        this host and one there, up to 20 of each address family.
    type: list
    elements: str
    default: []
    version_added: 1.0.0
notes:
  - Needs root for most of what it tells, and the program C(ip) of iproute2.
seealso:
  - module: podnet.cni.preflight_udp_probe
  - plugin: podnet.cni.preflight_findings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read what this host is like
  podnet.cni.preflight_host_info:
    network_config:
      Network: 10.244.0.0/16
      Backend:
        Type: vxlan
  register: host
  become: true

- name: Show the network that pods of this host get
  ansible.builtin.debug:
    msg: "{{ host.facts.cni.winner }} in {{ host.facts.cni.conf_dir }}"
"""

RETURN = r"""
facts:
  description:
    - What the host is like. Each of the entries is V(null) when it could not be found out.
  returned: success
  type: dict
  contains:
    clock:
      description: The host's time when the module began, in seconds since 1970.
      type: float
      sample: 1795182641.75
    clock_end:
      description: The host's time when the module ended.
      type: float
    reference_clock:
      description: The value of O(reference_clock).
      type: float
    root:
      description: Whether the module ran as root.
      type: bool
    programs:
      description: Whether programs are there that measure the ways between hosts.
      type: dict
      sample: {ping: true}
    identity:
      description: Host name, machine id and boot id.
      type: dict
    kernel:
      description: Release of the kernel.
      type: str
      sample: 6.12.9-amd64
    sysctls:
      description: Kernel settings by name; V(null) where the kernel has no such setting.
      type: dict
      sample: {net.ipv4.ip_forward: '1', net.bridge.bridge-nf-call-iptables: null}
    modules:
      description:
        - Kernel modules by name. V(loaded), V(builtin), V(available) or V(missing), and V(null) on a kernel that lists
          no modules.
      type: dict
      sample: {br_netfilter: loaded}
    kinds:
      description: Whether the kernel can make each kind of link that the backend and the bridge plugin need.
      type: dict
      sample: {vxlan: true, bridge: true, veth: true}
    links:
      description: Links with kind, MTU, MAC address and addresses, without those that lead into pods.
      type: list
      elements: dict
    routes:
      description: Routes of the main table that do not lead over flannel's links.
      type: list
      elements: dict
    underlay:
      description: The link under the overlay, and the host's addresses there.
      type: dict
    checksum_offload:
      description: For each of flannel's links, whether it leaves checksums to the hardware.
      type: dict
      sample: {flannel.1: true}
    udp_checksum_errors:
      description: Number of UDP packets with a wrong checksum since boot.
      type: int
      sample: 0
    ports:
      description: Who holds the ports of the backend and of the health probes; V(null) for a free one.
      type: dict
      sample: {udp: {'8472': null}, tcp: {'8081': {process: nginx, pid: 812}}}
    firewall:
      description: Programs, modes of iptables, tables, and where flannel's own rules lie.
      type: dict
    forward_rules:
      description: The chains of the forward hook and those that they lead to, with their rules as nft's JSON has them.
      type: list
      elements: dict
    runtime:
      description: The container runtime, its version, its configuration and its directories for CNI.
      type: dict
    cni:
      description: CNI configurations in the order in which runtimes take them, the one that wins, and its plugins.
      type: dict
    owners:
      description: V(k3s) and V(rke2), as far as they are on the host.
      type: list
      elements: str
    subnet_file:
      description: Whether the subnet file is there, and its values.
      type: dict
    pod_addresses:
      description: Addresses that the plugin host-local has given out.
      type: list
      elements: str
    kubelet:
      description: Version, flags with their source, and configuration of the kubelet.
      type: dict
    cgroup_version:
      description: V(1) or V(2).
      type: int
      sample: 2
    network_manager:
      description: Whether NetworkManager runs, and whether it leaves flannel's links and C(cni0) alone.
      type: dict
    networkd:
      description:
        - Whether systemd-networkd runs and removes routes of others, and for flannel's links, C(cni0) and the underlay
          whether it manages them.
      type: dict
    mac_policy:
      description: Whether udev runs, and which of its files applies to flannel's links.
      type: dict
    pod_routes:
      description:
        - The ways between a pod of this host and pods in O(peers), as the kernel takes them (C(dev)) and as the main
          table has them (C(main)). Empty without O(peers) and before the first pod.
      type: list
      elements: dict
      sample:
        - source: 10.244.1.2
          target: 10.244.2.2
          iif: cni0
          dev: flannel.1
          main: flannel.1
          problem: ''
          rp_filter: '2'
    reasons:
      description: Why entries are V(null), by their name.
      type: dict
      sample: {links: 'ip is not on PATH: install iproute2'}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import secret_texts
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_gather import Question, gather

ARGUMENT_SPEC: dict[str, Any] = {
    "network_config": {"type": "dict"},
    "interface": {"type": "str"},
    "public_ip": {"type": "str"},
    "public_ipv6": {"type": "str"},
    "subnet_file": {"type": "path", "default": "/run/flannel/subnet.env"},
    "cni_conf_dir": {"type": "path"},
    "cni_plugin_dirs": {"type": "list", "elements": "path", "default": []},
    "reference_clock": {"type": "float"},
    "health_port": {"type": "int", "default": 8081},
    "peers": {"type": "list", "elements": "str", "default": []},
}


def main() -> None:
    """Run the module."""
    clock = time.time()
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True, no_log=True)
    params = module.params
    module.no_log_values.update(secret_texts(params["network_config"]))
    question = Question(
        network_config=params["network_config"],
        interface=params["interface"] or None,
        public_ips=tuple(address for address in (params["public_ip"], params["public_ipv6"]) if address),
        subnet_file=params["subnet_file"],
        conf_dir=params["cni_conf_dir"] or None,
        plugin_dirs=tuple(params["cni_plugin_dirs"]),
        health_port=params["health_port"],
        peers=tuple(params["peers"]),
    )
    try:
        facts = {**gather(question, module_runner(module), clock), "clock_end": time.time()}
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, facts={**facts, "reference_clock": params["reference_clock"]})


if __name__ == "__main__":
    main()
