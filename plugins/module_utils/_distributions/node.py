# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Gather an owner's files on a node, as texts without secrets, and what else the audit needs to know there.

Nothing is parsed here that needs more than Python: YAML is read where it is judged.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable

from ansible_collections.podnet.cni.plugins.module_utils._distributions import (
    command_line,
    config_file,
    kubeadm,
    kubespray,
    microk8s,
    node_files,
    rancher,
    redact,
    service,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.view import Host
from ansible_collections.podnet.cni.plugins.module_utils._preflight import host_system
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files

LIMIT = 512 * 1024
"""Octets of a file that is read."""

BRIDGE_SETTING = "/proc/sys/net/bridge/bridge-nf-call-iptables"
MODULES_LOAD = (
    "/etc/modules-load.d",
    "/run/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
)
OTHERS = (kubeadm.MANIFEST, kubespray.MARK, microk8s.ARGUMENTS, microk8s.NETWORK_CONFIG, "/run/flannel/subnet.env")
_NAMED = re.compile(
    r"^[ \t]*[\"']?(flannel-conf|flannel-cni-conf|data-dir)\+?[\"']?[ \t]*:[ \t]*[\"']?([^\"'#\n]+)", re.MULTILINE
)


class _Node:
    """One run over one node."""

    def __init__(self, files: Files, path: str) -> None:
        self.files = files
        self.programs = path
        self.read: dict[str, dict[str, Any]] = {}
        self.directories: dict[str, list[dict[str, Any]]] = {}

    def take(self, path: str, hide: Callable[[str], str] = redact.yaml) -> str | None:
        """Read a file once, and keep it without its secrets."""
        if path in self.read:
            kept: str | None = self.read[path]["text"]
            return kept
        problem = self.files.unreadable(path)
        text = None if problem else self.files.text(path)
        if text is None and not problem:
            return None
        if text is not None and len(text) > LIMIT:
            text, problem = None, f"it has more than {LIMIT} characters"
        self.read[path] = {"path": path, "text": None if text is None else hide(text), "problem": problem}
        return self.read[path]["text"]

    def host(self) -> Host:
        """What was read by now."""
        return Host("", {"files": list(self.read.values()), "directories": self.directories})

    def product(self, product: service.Product) -> dict[str, Any] | None:
        """Read everything of one product; None where nothing of it is there."""
        unit = ""
        for name in product.units:
            paths = [path for path in service.unit_paths(name) if self.files.exists(path)]
            if paths and not unit:
                unit = name
                self.take(paths[0], redact.words)
                for folder in service.UNIT_FOLDERS:
                    for path in self.files.matching(f"{folder}/{name}.service.d/*.conf"):
                        self.take(path, redact.words)
        if not unit and not self.files.exists(os.path.dirname(product.config)):
            return None
        parsed = service.unit_of(self.host(), unit)
        for path in parsed.environment_files:
            self.take(path, redact.words)
        environment, _problems = service.environment_of(self.host(), parsed)
        config, explicit = service.config_path(product, environment, parsed.words)
        named = self.configuration(config)
        for key, flag in command_line.flags(parsed.words, parsed.place).items():
            named[key] = flag.values[-1]
        for variable, key in product.variables.items():
            if variable in environment:
                named.setdefault(key, environment[variable][0])
        data = named.get("data-dir") or product.data
        for key in ("flannel-conf", "flannel-cni-conf"):
            if named.get(key):
                self.take(named[key])
        self.take(f"{data}/agent/etc/flannel/net-conf.json")
        self.take(f"{data}/agent/etc/cni/net.d/10-flannel.conflist")
        self.manifests(f"{data}/server/manifests")
        return {"unit": unit, "config": config, "explicit": explicit, "ipset": self.ipset(data)}

    def configuration(self, config: str) -> dict[str, str]:
        """Read the configuration file and its drop-ins; the paths that they name are what is returned."""
        folder = f"{config}.d"
        if self.files.exists(folder):
            self.directories[folder] = [
                {"name": name, "directory": os.path.isdir(self.files.path(f"{folder}/{name}"))}
                for name in self.files.names(folder)
            ]
        named: dict[str, str] = {}
        entries = [
            f"{folder}/{each['name']}" for each in self.directories.get(folder, []) if config_file.is_dropin(**each)
        ]
        for path in [config, *entries]:
            named.update((key, value.strip()) for key, value in _NAMED.findall(self.take(path) or ""))
        return named

    def manifests(self, folder: str) -> None:
        """Read the manifests in which somebody configures a chart; what the product packs or skips is left out."""
        for pattern in ("*", "*/*"):
            for path in self.files.matching(f"{folder}/{pattern}"):
                text = "" if self.files.exists(f"{path}.skip") else self.files.text(path) or ""
                if path.lower().endswith((".yaml", ".yml", ".json")) and "HelmChartConfig" in text:
                    self.take(path)

    def ipset(self, data: str) -> str | None:
        """The program ipset, on PATH or as k3s brings it (https://github.com/k3s-io/k3s-root)."""
        folders = [*self.programs.split(os.pathsep), f"{data}/data/current/bin", f"{data}/data/current/bin/aux"]
        return next((f"{each}/ipset" for each in folders if each and self.files.executable(f"{each}/ipset")), None)

    def br_netfilter(self) -> dict[str, Any]:
        """Whether the kernel hands packets of bridges to the firewall, and what makes it do so at boot."""
        listed = [
            path
            for folder in MODULES_LOAD
            for path in self.files.matching(f"{folder}/*.conf")
            if re.search(r"^[ \t]*br_netfilter\b", self.files.text(path) or "", re.MULTILINE)
        ]
        if re.search(r"^[ \t]*br_netfilter\b", self.files.text("/etc/modules") or "", re.MULTILINE):
            listed.append("/etc/modules")
        return {
            "module": host_system.modules(self.files, ["br_netfilter"])["br_netfilter"],
            "setting": self.files.line(BRIDGE_SETTING),
            "at_boot": listed,
        }


def gather(path: str, root: str = "/") -> dict[str, Any]:
    """The facts of this node. C(path) are the folders of programs, separated as in E(PATH)."""
    node = _Node(Files(root), path)
    products = {name: node.product(product) for name, product in service.PRODUCTS.items()}
    for other in OTHERS:
        node.take(other)
    return {
        "hostname": node.files.line("/proc/sys/kernel/hostname") or "",
        "root": os.geteuid() == 0,
        "products": {name: found for name, found in products.items() if found is not None},
        "rancher_agent": any(node.files.exists(each) for each in service.unit_paths(rancher.AGENT)),
        "files": list(node.read.values()),
        "directories": node.directories,
        "unfinished": node.files.exists(node_files.STATE),
        "links": node.files.names("/sys/class/net"),
        "br_netfilter": node.br_netfilter(),
    }
