#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cni_pod
short_description: Connect a network namespace to the pod network through CNI plugins
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Makes a network namespace on the host and runs the CNI plugins of the host's configuration for it, as a container
    runtime does for a pod. Nothing runs in the namespace.
  - Use it to try a pod network before a container runtime is there, and to measure it from where a pod stands, see
    M(podnet.cni.pod_network_probe).
  - A pod that lost its interface, its addresses or its namespace is made anew.
  - A change of the CNI configuration does not touch pods that exist.
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
      - Name of the pod on this host. The network namespace has the same name, so that C(ip netns exec) finds it.
    type: str
    required: true
  state:
    description: Whether the pod exists.
    type: str
    choices: [present, absent]
    default: present
  conf_dir:
    description:
      - Directory of the CNI configurations. The first valid one by name is taken, as a container runtime does.
    type: path
    default: /etc/cni/net.d
  conf_file:
    description: Path of the CNI configuration to use instead of the first one in O(conf_dir).
    type: path
  bin_dirs:
    description: Directories in which plugins are looked for.
    type: list
    elements: path
    default: [/opt/cni/bin, /usr/lib/cni, /usr/libexec/cni]
  interface:
    description: Name of the pod's interface.
    type: str
    default: eth0
  arguments:
    description: Pairs for E(CNI_ARGS).
    type: dict
    default: {}
  port_mappings:
    description: Ports of the host that lead to the pod. A plugin with the capability C(portMappings) is needed.
    type: list
    elements: dict
    default: []
    suboptions:
      host_port:
        description: Port of the host.
        type: int
        required: true
      container_port:
        description: Port of the pod.
        type: int
        required: true
      protocol:
        description: Transport protocol.
        type: str
        choices: [tcp, udp, sctp]
        default: tcp
      host_ip:
        description: Address of the host. Left out, all its addresses.
        type: str
  check:
    description:
      - Whether to ask the plugins, too, whether the pod is sound (the operation CHECK), and to make it anew when they
        say it is not. The configuration needs C(cniVersion) 0.4.0 or newer for that.
      - The bridge plugin 1.1.1 of Debian 12 finds fault with a sound pod when a route in C(ipam) names no gateway.
    type: bool
    default: false
  state_dir:
    description: Directory of the records of pods. A record keeps what DEL has to be given.
    type: path
    default: /var/lib/cni/podnet
requirements:
  - root
  - iproute2
  - the CNI plugins that the configuration names
seealso:
  - module: podnet.cni.cni_conflist
  - module: podnet.cni.pod_network_probe
"""

EXAMPLES = r"""
- name: Start a pod with the host's own CNI configuration
  podnet.cni.cni_pod:
    name: web
  register: web

- name: Show its address
  ansible.builtin.debug:
    var: web.pod.address

- name: Lead port 8080 of the host to the pod
  podnet.cni.cni_pod:
    name: web
    port_mappings:
      - host_port: 8080
        container_port: 80

- name: Remove the pod
  podnet.cni.cni_pod:
    name: web
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample: [create pod web]
pod:
  description: The pod. In check mode it is V(null) when it would be made.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the pod.
      type: str
      sample: web
    container_id:
      description: The identifier that the plugins know the pod by.
      type: str
      sample: podnet-web
    netns:
      description: Path of its network namespace.
      type: str
      sample: /run/netns/web
    interface:
      description: Name of its interface.
      type: str
      sample: eth0
    network:
      description: Name of the network in the CNI configuration.
      type: str
      sample: cbr0
    ips:
      description: Its addresses with prefix lengths.
      type: list
      elements: str
      sample: [10.244.7.2/24]
    address:
      description: Its first IPv4 address, or an empty string.
      type: str
      sample: 10.244.7.2
    ipv6_address:
      description: Its first IPv6 address, or an empty string.
      type: str
      sample: ""
    result:
      description: The result of the last plugin.
      type: dict
      sample: {cniVersion: 0.3.1, ips: [{address: 10.244.7.2/24, interface: 2, version: "4"}]}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._cni import pod as cni_pod
from ansible_collections.podnet.cni.plugins.module_utils._cni.runtime import (
    Pod,
    Runtime,
    check_pod_name,
    find_conflist,
    port_mapping,
)
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner

PORT_MAPPING = {
    "host_port": {"type": "int", "required": True},
    "container_port": {"type": "int", "required": True},
    "protocol": {"type": "str", "choices": ["tcp", "udp", "sctp"], "default": "tcp"},
    "host_ip": {"type": "str"},
}

ARGUMENT_SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "conf_dir": {"type": "path", "default": "/etc/cni/net.d"},
    "conf_file": {"type": "path"},
    "bin_dirs": {
        "type": "list",
        "elements": "path",
        "default": ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"],
    },
    "interface": {"type": "str", "default": "eth0"},
    "arguments": {"type": "dict", "default": {}},
    "port_mappings": {"type": "list", "elements": "dict", "default": [], "options": PORT_MAPPING},
    "check": {"type": "bool", "default": False},
    "state_dir": {"type": "path", "default": "/var/lib/cni/podnet"},
}


def reconcile(module: AnsibleModule) -> dict[str, Any]:
    """Bring the pod to what the parameters ask for and return the module's result."""
    params = module.params
    pod = Pod(
        check_pod_name(params["name"]),
        params["interface"],
        {str(key): str(value) for key, value in params["arguments"].items()},
        [port_mapping(item) for item in params["port_mappings"]],
    )
    runtime = Runtime(module_runner(module), params["bin_dirs"], check=params["check"])
    observed = cni_pod.observe(runtime, params["state_dir"], pod)
    steps = cni_pod.plan(pod, params["state"] == "present", observed)
    conflist: dict[str, Any] = {}
    if steps.create:
        try:
            conflist = find_conflist(params["conf_dir"], params["conf_file"])
            runtime.require(conflist, pod)
        except InputError as error:
            # on a clean host it is the play's earlier tasks that would provide what is missing
            if not module.check_mode:
                raise
            module.warn(str(error))
    before = cni_pod.describe(runtime, pod, observed.record)
    after = None if steps.create or steps.remove else before
    if not module.check_mode:
        record = cni_pod.apply(runtime, params["state_dir"], pod, conflist=conflist, observed=observed, steps=steps)
        after = cni_pod.describe(runtime, pod, record)
    actions = steps.actions(pod.name)
    wanted = after or ({"name": pod.name, **pod.request()} if steps.create else None)
    return {
        "changed": bool(actions),
        "actions": actions,
        "pod": after,
        "diff": {"before": before or {}, "after": wanted or {}},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        module.exit_json(**reconcile(module))
    except PodnetError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
