#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_udp_probe
short_description: Find out whether UDP ports are open between hosts
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Takes three tasks, each of which runs once on every host. The first starts a listener that echoes, the second asks
    the listeners of other hosts, the third ends the listener.
  - A listener answers only packets that begin with O(token), with an answer as long as the question, and ends by itself
    after O(lifetime). No file is written on the host.
  - With O(watch) it also sees which questions arrive at the host and which of them get past its firewall, at a port
    that is held, too. So it can be told whether the host that asks, the one that is asked, or something between them
    drops what goes in one direction.
  - A port that is held already, as by the kernel's vxlan link of a host that has joined the overlay, is reported as
    V(held). Then a measurement over the overlay itself tells more, see M(podnet.cni.pod_network_probe).
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
  state:
    description:
      - V(listening) starts the listener, V(asked) asks those of other hosts, V(stopped) ends the listener.
    type: str
    choices: [listening, asked, stopped]
    required: true
  addresses:
    description:
      - This host's own addresses. It listens at them, and asks from them.
      - Required with O(state=listening) and O(peers).
    type: list
    elements: str
    default: []
  ports:
    description:
      - The UDP ports to listen at or to ask.
      - Required with O(state=listening), O(state=asked) and O(peers).
    type: list
    elements: int
    default: []
  token:
    description:
      - A text that is the same for all hosts of a run, and known to nobody else.
      - Required with O(state=listening) and O(state=asked).
    type: str
  watch:
    description:
      - With O(state=listening), also see questions at ports that somebody else holds. This needs root.
    type: bool
    default: false
  peers:
    description:
      - With O(state=stopped), addresses of other hosts. The rules of this host's firewall are read that may drop
        packets at O(ports) from or to them.
    type: list
    elements: str
    default: []
  interface:
    description: The link to the other hosts, which rules may name. Used with O(peers).
    type: str
    default: ""
  lifetime:
    description: Seconds after which the listener ends, if nobody has stopped it.
    type: float
    default: 60
  source:
    description: Name of this host. A target with the same name is left out.
    type: str
    default: ""
  targets:
    description:
      - The hosts to ask.
      - Required with O(state=asked).
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: IPv4 or IPv6 address.
        type: str
        required: true
      name:
        description: Name to report it by. Left out, the address.
        type: str
  sample:
    description:
      - Number of targets to ask, those that follow O(source) in O(targets), from the end on to the start.
        V(0) asks all.
    type: int
    default: 0
  attempts:
    description:
      - How often a host is asked that does not answer. A link that loses a third of the packets is not taken for a port
        that is closed.
    type: int
    default: 10
  timeout:
    description:
      - Seconds from one attempt to the next. An answer counts until the last of them is over, whichever attempt it is
        for.
    type: float
    default: 0.3
  pid:
    description: What the task with O(state=listening) returned. Without it there is nothing to stop.
    type: int
  start_time:
    description: What the task with O(state=listening) returned. It tells the listener from a later process.
    type: int
seealso:
  - module: podnet.cni.pod_network_probe
  - module: podnet.cni.preflight_host_info
"""

EXAMPLES = r"""
- name: Listen at flannel's port
  podnet.cni.preflight_udp_probe:
    state: listening
    addresses: ["{{ public_ip }}"]
    ports: [8472]
    token: "{{ run_token }}"
  register: listener

- name: Ask every other host
  podnet.cni.preflight_udp_probe:
    state: asked
    addresses: ["{{ public_ip }}"]
    ports: [8472]
    token: "{{ run_token }}"
    source: "{{ inventory_hostname }}"
    targets:
      - {name: node1, address: 198.18.0.11}
      - {name: node2, address: 198.18.0.12}
  register: answers

- name: End the listener
  podnet.cni.preflight_udp_probe:
    state: stopped
    pid: "{{ listener.pid }}"
    start_time: "{{ listener.start_time }}"
"""

RETURN = r"""
listeners:
  description: What became of each pair of address and port.
  returned: with O(state=listening)
  type: list
  elements: dict
  contains:
    address:
      description: One of O(addresses).
      type: str
      sample: 198.18.0.11
    port:
      description: One of O(ports).
      type: int
      sample: 8472
    state:
      description: V(listening), V(held) when somebody else has the port, or V(failed).
      type: str
      sample: listening
    reason:
      description: The system's reason unless it listens.
      type: str
      sample: ""
pid:
  description: Number of the listener's process, or V(null) when it could listen nowhere.
  returned: with O(state=listening)
  type: int
  sample: 4711
watch_problem:
  description: Why the host cannot be watched, empty where it is or was not to be.
  returned: with O(state=listening)
  type: str
  sample: ""
start_time:
  description: When the listener started, in clock ticks since boot, or V(null).
  returned: with O(state=listening)
  type: int
  sample: 120934
probes:
  description: One entry per target and port.
  returned: with O(state=asked)
  type: list
  elements: dict
  contains:
    source:
      description: The value of O(source).
      type: str
      sample: node1
    target:
      description: Name of the target.
      type: str
      sample: node2
    address:
      description: Address of the target.
      type: str
      sample: 198.18.0.12
    port:
      description: The port that was asked.
      type: int
      sample: 8472
    open:
      description: Whether the listener there answered.
      type: bool
      sample: true
    refused:
      description: Whether this host's own firewall did not let the question out.
      type: bool
      sample: false
    rtt:
      description: Milliseconds until the answer, or V(null) without one.
      type: float
      sample: 0.214
    error:
      description: Why there was no answer, as far as the system tells.
      type: str
      sample: ""
stopped:
  description: Whether there was a listener to stop.
  returned: with O(state=stopped)
  type: bool
  sample: true
heard:
  description: What a listener with O(watch) has seen, an entry for each source, address family and port.
  returned: with O(state=stopped)
  type: list
  elements: dict
  contains:
    source:
      description: The O(source) of who asked.
      type: str
      sample: node2
    family:
      description: 4 or 6.
      type: int
      sample: 4
    port:
      description: The port that was asked.
      type: int
      sample: 8472
    arrived:
      description: Number of questions that a link of this host received.
      type: int
      sample: 3
    passed:
      description: Number of questions that this host's firewall let in.
      type: int
      sample: 0
rules:
  description: Rules of this host that may drop packets from or to O(peers).
  returned: with O(state=stopped)
  type: list
  elements: dict
  contains:
    direction:
      description: V(in) for packets that arrive, V(out) for those that leave.
      type: str
      sample: in
    program:
      description:
        - Whose rule it is, V(nft), V(iptables), V(iptables-legacy), V(ip6tables-legacy), V(firewalld) or V(ufw).
      type: str
      sample: nft
    family:
      description: 4 or 6, or 0 for both.
      type: int
      sample: 0
    chain:
      description: Family, table and name of the chain; for iptables-legacy its name.
      type: str
      sample: inet filter input
    rule:
      description: The rule, or its chain's policy.
      type: str
      sample: udp dport 8472 drop
    sure:
      description: Whether it drops these packets. V(false) where that depends on something that is not known.
      type: bool
      sample: true
    peers:
      description: Which of O(peers) it is for.
      type: list
      elements: str
      sample: [198.18.0.12]
rules_problem:
  description: Why rules could not be read, empty where all were.
  returned: with O(state=stopped)
  type: str
  sample: ""
udp_checksum_errors:
  description:
    - Number of UDP packets with a wrong checksum since boot, V(null) where the kernel does not count them. The
      difference to what M(podnet.cni.preflight_host_info) returned is that of the measurement.
  returned: with O(state=stopped)
  type: int
  sample: 0
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import datagram_rules
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, module_runner
from ansible_collections.podnet.cni.plugins.module_utils._host.datagram_rules import Ways
from ansible_collections.podnet.cni.plugins.module_utils._preflight import udp, watch
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files
from ansible_collections.podnet.cni.plugins.module_utils._probe import measure as probe

ARGUMENT_SPEC: dict[str, Any] = {
    "state": {"type": "str", "choices": ["listening", "asked", "stopped"], "required": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "ports": {"type": "list", "elements": "int", "default": []},
    "token": {"type": "str", "no_log": True},
    "watch": {"type": "bool", "default": False},
    "peers": {"type": "list", "elements": "str", "default": []},
    "interface": {"type": "str", "default": ""},
    "lifetime": {"type": "float", "default": 60},
    "source": {"type": "str", "default": ""},
    "targets": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"address": {"type": "str", "required": True}, "name": {"type": "str"}},
    },
    "sample": {"type": "int", "default": 0},
    "attempts": {"type": "int", "default": 10},
    "timeout": {"type": "float", "default": 0.3},
    "pid": {"type": "int"},
    "start_time": {"type": "int"},
}


def run(params: dict[str, Any], runner: Run) -> dict[str, Any]:
    """Do what the state says and return the module's result; raises PodnetError."""
    if params["state"] == "stopped":
        known = params["pid"] is not None and params["start_time"] is not None
        ways = Ways(*[params[name] for name in ("interface", "addresses", "peers", "ports")])
        rules, problem = datagram_rules.read(runner, ways) if params["peers"] else ([], "")
        return {
            "heard": watch.ask(params["pid"], params["start_time"]) if known else [],
            "rules": rules,
            "rules_problem": problem,
            "stopped": known and udp.stop(params["pid"], params["start_time"]),
            "udp_checksum_errors": udp.checksum_errors(Files()),
        }
    if params["state"] == "asked":
        targets = probe.choose(probe.parse_targets(params["targets"]), params["source"], params["sample"])
        settings = {name: params[name] for name in ("token", "attempts", "timeout")}
        return {"probes": udp.ask(params["source"], params["addresses"], targets, params["ports"], **settings)}
    sockets, listeners = udp.listen(params["addresses"], params["ports"])
    watching, problem = udp.watch(params["ports"], params["token"]) if params["watch"] else (None, "")
    spawned = udp.spawn(sockets, params["token"], params["lifetime"], watching)
    return {"listeners": listeners, "watch_problem": problem, **spawned}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENT_SPEC,
        required_if=[
            ("state", "listening", ["addresses", "ports", "token"]),
            ("state", "asked", ["ports", "token", "targets"]),
        ],
        supports_check_mode=True,
    )
    try:
        result = run(module.params, module_runner(module))
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
