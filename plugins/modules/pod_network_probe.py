#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_network_probe
short_description: Measure what a pod or a host reaches on the network
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Sends echo requests to many addresses at once, or tries their TCP and UDP ports, from a network namespace of the
    host or from the host itself.
  - The namespace can be named, or found by the address of a pod, so that real pods of a cluster are measured from their
    node and need no program of their own.
  - Reports loss, round trip and, when asked for, the largest packet that gets through unfragmented.
  - Give all hosts the same list of targets for all pairs, or a sample of them in a ring where there are many hosts.
  - Each target can have an expectation of its own, so that one task proves that a denied flow is denied and that an
    allowed one passes.
attributes:
  check_mode:
    support: full
    details:
      - The measurement runs in check mode, too. It changes nothing.
  diff_mode:
    support: N/A
    details:
      - This action does not modify state.
  idempotent:
    support: full
    details:
      - This action does not modify state.
  platform:
    platforms: linux
extends_documentation_fragment:
  - podnet.cni._attributes
options:
  targets:
    description: The addresses to reach.
    type: list
    elements: dict
    required: true
    suboptions:
      address:
        description: IPv4 or IPv6 address.
        type: str
        required: true
      name:
        description: Name to report it by. Left out, the address, with port and protocol where there are any.
        type: str
      protocol:
        description:
          - V(icmp) sends echo requests. V(tcp) opens a connection and closes it, V(udp) sends O(payload) and waits for
            a datagram.
        type: str
        choices: [icmp, tcp, udp]
        default: icmp
      port:
        description: Port to reach. V(tcp) and V(udp) need one.
        type: int
      expect:
        description: What is expected of this target. Left out, what O(expect) says.
        type: str
        choices: [any, reachable, unreachable]
      size:
        description: Octets of payload in each echo request to this target. Left out, what O(size) says.
        type: int
        version_added: 1.0.0
      search:
        description:
          - Where no packet of O(targets[].size) is answered, whether to search for the largest that is, see
            RV(probes[].largest_packet). For targets of protocol V(icmp).
        type: bool
        default: false
        version_added: 1.0.0
  source:
    description:
      - Name of the place where the packets come from. A target with the same name is left out.
    type: str
    default: ""
  netns:
    description:
      - Network namespace to send from, the name of one that C(ip netns) shows or the path of its file.
        Left out, the packets come from the host itself.
    type: str
  source_address:
    description:
      - Address of the pod to send from. The network namespace of the host that owns it is used; named ones are looked
        at and those of all processes. Packets of its address family come from this address.
      - Without O(source), it is the name of the place where the packets come from.
    type: str
  sample:
    description:
      - Number of targets to reach, those that follow O(source) in O(targets), from the end on to the start.
        V(0) reaches all.
    type: int
    default: 0
  count:
    description: Packets to each target, or attempts to reach its port.
    type: int
    default: 3
  interval:
    description: Seconds between two packets.
    type: float
    default: 0.2
  timeout:
    description: Seconds to wait for an answer.
    type: float
    default: 1
  insist:
    description:
      - Echo requests that follow where none of the first O(count) was answered, 20 in a second, with three seconds to
        wait for an answer. So a link that loses many packets, or delays them, is not taken for one that carries none.
      - Where some of those are answered, as many follow once more. If all of these are answered, the way had not
        been up yet, as that of a new pod, and they alone count.
      - RV(probes[].sent) counts them. With V(0), none follow. Ports are tried O(count) times, whatever this is.
      - Unless it is V(0), a way that lost some packets while others took more than half of O(timeout) is measured
        again in the same way, with three seconds to wait. What is late is not lost.
    type: int
    default: 10
    version_added: 1.0.0
  size:
    description:
      - Octets of payload in each echo request. The packet is longer by 28 octets with IPv4 and by 48 with IPv6.
    type: int
    default: 56
  fragment:
    description: Whether packets may be fragmented.
    type: bool
    default: false
  payload:
    description:
      - What a datagram to a UDP port holds. Each character is an octet, so that C("\x00\x01") can be written in YAML.
      - A program that does not answer it looks as if the way were closed.
    type: str
    default: podnet.cni probe
  refusal:
    description:
      - What it means when a port answers with a TCP reset or with ICMP port unreachable.
      - With V(reachable), the packet came through and nobody listens. That holds for engines of network policy that
        drop what they deny, like kube-network-policies and Calico.
      - With V(unreachable), it counts as closed. Use it where denied packets are rejected.
    type: str
    choices: [reachable, unreachable]
    default: reachable
  largest_packet:
    description: Whether to search for the largest packet that is answered. For targets of protocol V(icmp).
    type: bool
    default: false
  largest_packet_limit:
    description: The largest packet to try, in octets with the IP header.
    type: int
    default: 9216
  expect:
    description:
      - With V(reachable), the task fails when a target does not answer or loses more than O(max_loss).
      - With V(unreachable), the task fails when a target answers. A target that is not there does not answer either, so
        have another source reach it in the same play.
      - With V(any), the task only reports.
    type: str
    choices: [any, reachable, unreachable]
    default: any
  max_loss:
    description: Percentage of packets that may be lost with O(expect=reachable).
    type: float
    default: 0
  parallel:
    description: Number of targets to measure at once.
    type: int
    default: 50
requirements:
  - ping of iputils (Debian C(iputils-ping)) for targets of protocol V(icmp)
  - root with O(netns) and O(source_address)
seealso:
  - module: podnet.cni.cni_pod
  - plugin: podnet.cni.reachability_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Reach every pod of the lab from the pod of each host
  podnet.cni.pod_network_probe:
    source: "{{ inventory_hostname }}"
    netns: demo
    targets: "{{ pods }}"
    expect: reachable
  vars:
    pods:
      - {name: node1, address: 10.244.7.2}
      - {name: node2, address: 10.244.9.2}

- name: Measure the path MTU to the next three of many hosts
  podnet.cni.pod_network_probe:
    source: "{{ inventory_hostname }}"
    targets: "{{ all_hosts }}"
    sample: 3
    largest_packet: true
  register: measured

- name: Prove that a policy closes the way
  podnet.cni.pod_network_probe:
    netns: web
    targets:
      - address: 10.244.9.2
    expect: unreachable

- name: Prove from a pod's node what the pod may reach and what not
  podnet.cni.pod_network_probe:
    source: shop/web-0
    source_address: 10.244.7.12
    targets:
      - {name: database, address: 10.244.9.31, protocol: tcp, port: 5432, expect: reachable}
      - {name: metrics of the database, address: 10.244.9.31, protocol: tcp, port: 9187, expect: unreachable}
      - {name: name server, address: 10.244.1.5, protocol: udp, port: 53, expect: reachable}
    # A question for the name server's version: id 7, one question, version.bind of type TXT and class CH.
    payload: "\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07version\x04bind\x00\x00\x10\x00\x03"
"""

RETURN = r"""
udp_checksum_errors:
  description:
    - How many UDP packets with a wrong checksum the host itself had got when the measurement ended, since it started;
      V(null) where the kernel does not count them.
  returned: success, and on a failure of O(expect)
  type: int
  sample: 0
probes:
  description: One entry per target that was measured.
  returned: success, and on a failure of O(expect)
  type: list
  elements: dict
  contains:
    source:
      description: The value of O(source) or O(source_address).
      type: str
      sample: node1
    target:
      description: Name of the target.
      type: str
      sample: node2
    address:
      description: Address of the target.
      type: str
      sample: 10.244.9.2
    protocol:
      description: Protocol of the target.
      type: str
      sample: tcp
    port:
      description: Port of the target, or V(null) for V(icmp).
      type: int
      sample: 5432
    reachable:
      description: Whether any packet was answered, or any attempt was; O(refusal) says whether a refusal is an answer.
      type: bool
      sample: true
    answer:
      description:
        - The answer that got furthest. V(replied) is an echo reply or a datagram, V(accepted) a TCP connection,
          V(refused) a TCP reset or ICMP port unreachable, V(failed) says that the host or a router knows no way,
          V(none) that nothing came back in time.
      type: str
      sample: accepted
    expect:
      description: What was expected of the target.
      type: str
      sample: reachable
    as_expected:
      description: Whether it is so.
      type: bool
      sample: true
    sent:
      description: Packets sent.
      type: int
      sample: 3
    received:
      description: Packets answered.
      type: int
      sample: 3
    loss:
      description: Percentage of packets lost.
      type: float
      sample: 0.0
    rtt_min:
      description: Shortest round trip in milliseconds, or V(null) without an answer.
      type: float
      sample: 0.071
    rtt_avg:
      description: Mean round trip in milliseconds, or V(null) without an answer.
      type: float
      sample: 0.083
    rtt_max:
      description: Longest round trip in milliseconds, or V(null) without an answer.
      type: float
      sample: 0.098
    largest_packet:
      description:
        - Octets of the largest packet that was answered, IP header included. V(0) when none was.
        - Only for V(icmp), with O(largest_packet=true), or with O(targets[].search=true) where no packet was answered.
        - A size that is not answered is tried again with ten packets, so that lost packets are not taken for too large.
      type: int
      sample: 1450
    error:
      description: What ping or the system said when no packet was answered.
      type: str
      sample: ""
"""

import contextlib
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import namespace as netns
from ansible_collections.podnet.cni.plugins.module_utils._host.command import is_busybox
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files
from ansible_collections.podnet.cni.plugins.module_utils._preflight.udp import checksum_errors
from ansible_collections.podnet.cni.plugins.module_utils._probe import connect
from ansible_collections.podnet.cni.plugins.module_utils._probe import measure as probe_plan

TARGET: dict[str, Any] = {
    "address": {"type": "str", "required": True},
    "name": {"type": "str"},
    "protocol": {"type": "str", "choices": list(probe_plan.PROTOCOLS), "default": probe_plan.ICMP},
    "port": {"type": "int"},
    "expect": {"type": "str", "choices": list(probe_plan.EXPECTATIONS)},
    "size": {"type": "int"},
    "search": {"type": "bool", "default": False},
}
ARGUMENT_SPEC: dict[str, Any] = {
    "targets": {"type": "list", "elements": "dict", "required": True, "options": TARGET},
    "source": {"type": "str", "default": ""},
    "netns": {"type": "str"},
    "source_address": {"type": "str"},
    "sample": {"type": "int", "default": 0},
    "count": {"type": "int", "default": 3},
    "interval": {"type": "float", "default": 0.2},
    "timeout": {"type": "float", "default": 1},
    "insist": {"type": "int", "default": 10},
    "size": {"type": "int", "default": 56},
    "fragment": {"type": "bool", "default": False},
    "payload": {"type": "str", "default": "podnet.cni probe"},
    "refusal": {"type": "str", "choices": ["reachable", "unreachable"], "default": "reachable"},
    "largest_packet": {"type": "bool", "default": False},
    "largest_packet_limit": {"type": "int", "default": 9216},
    "expect": {"type": "str", "choices": list(probe_plan.EXPECTATIONS), "default": "any"},
    "max_loss": {"type": "float", "default": 0},
    "parallel": {"type": "int", "default": 50},
}


def settings_of(params: dict[str, Any]) -> probe_plan.Settings:
    """How to measure; raises InputError for values that make no sense."""
    for option, least in (("count", 1), ("sample", 0), ("size", 0), ("insist", 0), ("parallel", 1)):
        if params[option] < least:
            raise InputError(f"{option} is {params[option]}. Give at least {least}.")
    try:
        payload = params["payload"].encode("latin-1")
    except UnicodeEncodeError as error:
        raise InputError(f"payload holds {params['payload'][error.start]!r}. Give characters up to \\xff.") from error
    return probe_plan.Settings(
        params["count"],
        params["interval"],
        params["timeout"],
        params["size"],
        params["fragment"],
        params["largest_packet_limit"] if params["largest_packet"] else 0,
        payload,
        params["refusal"] == "reachable",
        params["parallel"],
        params["source_address"] or "",
        params["insist"],
    )


def namespace_of(params: dict[str, Any]) -> netns.Namespace | None:
    """The namespace to send from, opened; None is the host itself. Raises InputError when there is none."""
    if params["netns"]:
        return netns.open_named(params["netns"])
    if params["source_address"]:
        try:
            return netns.open_owner(params["source_address"])
        except ValueError as error:
            raise InputError(
                f"source_address is {params['source_address']!r}. Give an IPv4 or IPv6 address."
            ) from error
    return None


def probe(module: AnsibleModule) -> dict[str, Any]:
    """Measure and return the module's result; raises InputError for values that make no sense."""
    params = module.params
    settings = settings_of(params)
    source = params["source"] or params["source_address"] or ""
    targets = probe_plan.choose(probe_plan.parse_targets(params["targets"], params["expect"]), source, params["sample"])
    pings = any(target.protocol == probe_plan.ICMP for target in targets)
    ping = module.get_bin_path("ping", required=pings) or "ping"
    if pings and is_busybox(ping):
        raise InputError(f"{ping} is that of busybox, which measures no path: install ping of iputils.")
    with contextlib.ExitStack() as stack:
        namespace = namespace_of(params)
        if namespace:
            stack.callback(namespace.close)
        tools = probe_plan.Tools(probe_plan.ping_runner(ping), connect.attempt, namespace.enter if namespace else None)
        probes = probe_plan.measure_all(source, targets, tools, settings)
    complaints = [probe_plan.complaint(each, params["max_loss"]) for each in probes]
    for each, words in zip(probes, complaints):
        each["as_expected"] = not words
    complaints = [words for words in complaints if words]
    result = {"probes": probes, "udp_checksum_errors": checksum_errors(Files())}
    if complaints:
        more = f" (and {len(complaints) - 5} more)" if len(complaints) > 5 else ""
        return {"failed": True, "msg": "; ".join(complaints[:5]) + more, **result}
    return result


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        mutually_exclusive=[("netns", "source_address")],
        supports_check_mode=True,
    )
    try:
        result = probe(module)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
