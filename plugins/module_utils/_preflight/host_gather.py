# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gathers what the checks of a host need to know of it, in one run and without changing anything.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, subnet_env, udp_ports
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config as config_codec
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._host import forward_rules, links, prepare
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._preflight import (
    host_network,
    host_runtime,
    host_system,
    pod_routes,
    udp,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files

IPAM_DIR = "/var/lib/cni/networks/cbr0"
PLANNED_LINKS = ("flannel.1", "cni0")
"""Links that are asked after before there are any of flannel's."""

# What may go wrong in reading a host: nothing of it may keep the other facts from being gathered.
_TROUBLE = (PodnetError, OSError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class Question:
    """What is asked of a host. Paths and addresses that are not given are found out."""

    network_config: Mapping[str, Any] | None = None
    interface: str | None = None
    public_ips: tuple[str, ...] = ()
    subnet_file: str = "/run/flannel/subnet.env"
    conf_dir: str | None = None
    plugin_dirs: tuple[str, ...] = ()
    health_port: int = 8081
    peers: tuple[str, ...] = ()


class _Facts:
    """Facts by name; what could not be found out is null, and C(reasons) says why."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}

    def add(self, name: str, gather: Callable[..., Any], *arguments: Any) -> Any:
        """Call C(gather) and keep what it returns."""
        try:
            value = gather(*arguments)
        except _TROUBLE as error:
            value = None
            text = str(error) or type(error).__name__
            self.reasons[name] = text if isinstance(error, PodnetError) else f"{type(error).__name__}: {text}"
        self.values[name] = value
        return value


def gather(question: Question, run: Run, clock: float, root: str = "/") -> dict[str, Any]:
    """Return the facts of this host. C(clock) is its time, in seconds since 1970, when the module began.

    Raises InputError for an invalid network config.
    """
    config = None
    if question.network_config is not None:
        config = config_codec.parse(question.network_config, check_ranges=False)
    files = Files(root)
    facts = _Facts()
    facts.values["clock"] = clock
    facts.values["root"] = os.geteuid() == 0
    facts.add("programs", _programs)
    facts.add("identity", host_system.identity, files)
    facts.add("kernel", lambda: os.uname().release)
    facts.add("sysctls", host_system.sysctls, files)
    modules = facts.add("modules", host_system.modules, files, ("br_netfilter", *host_system.FIREWALL_MODULES))
    # Where modules are listed a trial would load them.
    unlisted = not any((modules or {}).values()) and facts.values["root"]
    facts.add("firewall_trial", host_network.rules_hold if unlisted else dict, *([run] if unlisted else []))
    facts.add("kinds", host_network.can_make, _kinds(config))
    found = facts.add("links", links.read, run) or []
    routes = facts.add("routes", host_network.routes, run) or []
    facts.add("underlay", host_network.underlay, found, routes, question.interface, question.public_ips)
    own = [link["name"] for link in found if links.OUR_LINK.match(link["name"])]
    facts.add("pod_routes", pod_routes.read, run, files, facts.values["links"], question.peers)
    facts.add("checksum_offload", host_network.checksum_offload, own)
    facts.add("udp_checksum_errors", udp.checksum_errors, files)
    facts.add(
        "ports",
        host_network.listeners,
        files,
        udp_ports.of(config),
        (question.health_port,) if question.health_port else (),
    )
    facts.add("firewall", host_network.firewall, files, run)
    facts.add("forward_rules", forward_rules.read, run)
    runtime = facts.add("runtime", host_runtime.runtime, files, run, question.conf_dir, question.plugin_dirs)
    conf_dir = (runtime or {}).get("conf_dir") or host_runtime.CONF_DIR
    plugin_dirs: Sequence[str] = (runtime or {}).get("plugin_dirs") or host_runtime.PLUGIN_DIRS
    facts.add("cni", host_runtime.cni, files, conf_dir, plugin_dirs)
    facts.add("owners", host_runtime.owners, files)
    facts.add("subnet_file", _subnet_file, files, question.subnet_file)
    facts.add("pod_addresses", _pod_addresses, files)
    facts.add("kubelet", host_system.kubelet, files, run)
    facts.add("cgroup_version", host_system.cgroup_version, files)
    names = sorted({*own, *PLANNED_LINKS})
    facts.add("network_manager", host_system.network_manager, files, run, names)
    under = fields.at(facts.values, "underlay", "name")
    facts.add("networkd", host_system.networkd, files, [*names, *([under] if under else [])])
    facts.add("mac_policy", host_system.mac_policy, files, [name for name in names if name != "cni0"])
    return {**facts.values, "reasons": facts.reasons}


def _programs() -> dict[str, bool]:
    """Whether the programs are there that measure the ways between hosts."""
    return {name: not prepare.missing_programs([name], os.environ.get("PATH", "")) for name in ("ping",)}


def _kinds(config: NetworkConfig | None) -> list[str]:
    """The kinds of link that the host has to make: those of the backend, and those of the bridge plugin."""
    kind = backends.link_kind(config) if config is not None else ""
    return [*([kind] if kind else []), "bridge", "veth"]


def _subnet_file(files: Files, path: str) -> dict[str, Any]:
    text = files.text(path)
    problem = files.unreadable(path) if text is None else subnet_env.refusal(text)
    return {
        "path": path,
        "present": text is not None or bool(problem),
        "values": subnet_env.parse(text or ""),
        "problem": problem,
        "directory": os.path.isdir(files.path(path)),
    }


def _pod_addresses(files: Files) -> list[str]:
    """The addresses that the plugin host-local has given out on this host: each is the name of a file."""
    found = []
    for name in files.names(IPAM_DIR):
        try:
            found.append(str(addresses.parse_ip(name)))
        except ValueError:
            continue
    return found
