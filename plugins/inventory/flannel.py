# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: flannel
short_description: The hosts of a flannel network, from its subnet leases
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Makes an inventory of the subnet leases in etcd or on Kubernetes Nodes, so that hosts which are in nobody's file are
    looked at, too.
  - The file has to end in C(flannel.yml) or C(flannel.yaml).
  - A host is called as its Node is, as O(status_file) calls it, or by its public IP.
  - Each host has the variables C(ansible_host), which is its public IP, and C(pod_network_lease), in the shape of
    RV(podnet.cni.flannel_lease#module:leases). Of a Kubernetes Node there is C(pod_network_node) with C(labels) and
    C(ready). With O(status_file) there is C(pod_network_status) with C(verdict), C(state),
    C(compared) (whether the kernel was compared with the leases), C(drift) and C(taken), the time of that look.
  - All hosts are in the group O(group). Below it are C(flannel_backend_vxlan) and so on by the backend of the lease,
    C(flannel_zone_east) and so on by the label C(topology.kubernetes.io/zone) of the Node, C(flannel_silent) and
    C(flannel_drift).
  - C(flannel_silent) holds hosts whose Node is not Ready, whose flanneld is late to renew the lease
    (O(expiring_within)), or that O(status_file) knows as silent. A lease in etcd without an end says nothing of that.
  - C(flannel_drift) holds hosts whose kernel differed from the leases when O(status_file) was written.
options:
  plugin:
    description: Marks the file as one of this plugin.
    type: str
    required: true
    choices: [podnet.cni.flannel]
  store:
    description:
      - Where the leases live. The options O(etcd_endpoints) and so on count for V(etcd) only, the connection options of
        Kubernetes for V(kubernetes) only.
    type: str
    choices: [etcd, kubernetes]
    default: etcd
  group:
    description: Name of the group of all hosts, with which the names of the other groups begin.
    type: str
    default: flannel
  status_file:
    description:
      - A status document, which playbook C(podnet.cni.report) writes with C(report_format=json).
      - It is read anew each time, whatever O(cache) says. A relative path is relative to the inventory file.
    type: str
  expiring_within:
    description:
      - A lease that expires within this many seconds makes its host silent; V(0) for none.
      - flanneld renews an hour before the end, so by default a host is silent when its flanneld is a minute late.
    type: int
    default: 3540
extends_documentation_fragment:
  - constructed
  - inventory_cache
  - podnet.cni._etcd
  - podnet.cni._kubernetes
  - podnet.cni._kubernetes.flannel
seealso:
  - module: podnet.cni.flannel_lease_info
notes:
  - Options may be templates, like V({{ lookup('ansible.builtin.env', 'ETCD_PASSWORD'\) }}).
"""

EXAMPLES = r"""
# flannel.yml: the hosts that hold leases in etcd
plugin: podnet.cni.flannel
etcd_endpoints:
  - https://192.0.2.10:2379
etcd_cafile: /etc/etcd/ca.pem
etcd_username: reader
etcd_password: "{{ lookup('ansible.builtin.env', 'ETCD_PASSWORD') }}"

---
# nodes.flannel.yml: the Nodes of a cluster, with groups of our own
plugin: podnet.cni.flannel
store: kubernetes
context: production
keyed_groups:
  - key: pod_network_node.labels['kubernetes.io/os']
    prefix: os
compose:
  ansible_user: "'admin'"

---
# flannel.yml: what the last look at the network found; ansible-playbook podnet.cni.doctor --limit flannel_drift
plugin: podnet.cni.flannel
status_file: status.json
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/podnet.cni/inventory
"""

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.plugin_utils import _lease_inventory as leases


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Leases as hosts."""

    NAME = "podnet.cni.flannel"

    def verify_file(self, path: str) -> bool:
        """Whether the file is named as one of this plugin."""
        return bool(super().verify_file(path)) and path.endswith(("flannel.yml", "flannel.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the hosts; see the documentation."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        options = {name: self._templated(value) for name, value in self.get_options().items()}
        try:
            document = leases.read_document(self._beside(path, options["status_file"]))
            answer = self._answer(options, self.get_cache_key(path), cache)
            found = leases.hosts(answer, document, options["group"], options["expiring_within"])
        except PodnetError as error:
            raise AnsibleParserError(f"{path}: {error}") from error
        for problem in answer["problems"]:
            self.display.warning(f"{path}: {problem}")
        self.inventory.add_group(options["group"])
        for host in found:
            self._add(host, options)

    def _answer(self, options: dict[str, Any], key: str, cache: bool) -> leases.Answer:
        """What the store holds, out of the cache where that is wanted."""
        wanted = self.get_option("cache")
        if wanted and cache:
            try:
                remembered: leases.Answer = self._cache[key]
                return remembered
            except KeyError:
                pass
        answer = leases.read(options)
        if wanted:
            self._cache[key] = dict(answer)
        return answer

    def _add(self, host: leases.Host, options: dict[str, Any]) -> None:
        name = self.inventory.add_host(host.name, group=options["group"])
        for text in host.groups:
            group = self.inventory.add_group(self._sanitize_group_name(text))
            self.inventory.add_child(options["group"], group)
            self.inventory.add_child(group, name)
        for variable, value in host.variables.items():
            # Who may write leases or label Nodes must not run templates here.
            self.inventory.set_variable(name, variable, wrap_var(value))
        self._set_composite_vars(options["compose"], host.variables, name, strict=options["strict"])
        self._add_host_to_composed_groups(options["groups"], host.variables, name, strict=options["strict"])
        self._add_host_to_keyed_groups(options["keyed_groups"], host.variables, name, strict=options["strict"])

    def _templated(self, value: Any) -> Any:
        return self.templar.template(value) if isinstance(value, str) else value

    @staticmethod
    def _beside(path: str, name: str | None) -> Path | None:
        return Path(path).parent / Path(name).expanduser() if name else None
