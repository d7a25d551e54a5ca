# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs CNI plugins for a network namespace, as a container runtime does.

Private to podnet.cni: may change in any release.

The protocol is that of the CNI specification 1.0.0, section 3 (execution) and section 4 (plugin delegation),
https://github.com/containernetworking/cni/blob/spec-v1.0.0/SPEC.md
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._cni import directory as cni_directory
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked

# The runtime asks plugins to check a pod from this version of the configuration on.
CHECK_SINCE = (0, 4, 0)

# A new address of IPv6 may take a second by chance, and one for each question whether somebody else has it
# (RFC 4862, section 5.4; net.ipv6.conf.*.dad_transmits is 1 unless somebody sets it).
SETTLE_SECONDS = 5.0
SETTLE_POLL = 0.1

# Where ip-netns(8) keeps named namespaces.
NETNS_DIR = "/run/netns"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")


@dataclass(frozen=True)
class Pod:
    """What is asked for: a pod's name, its interface, the arguments and the port mappings for the plugins."""

    name: str
    interface: str
    arguments: Mapping[str, str]
    port_mappings: Sequence[Mapping[str, Any]]

    @property
    def container_id(self) -> str:
        """The identifier under which plugins keep what they gave to the pod."""
        return f"podnet-{self.name}"

    def request(self) -> dict[str, Any]:
        """Return what a change of is a reason to make the pod anew."""
        return {
            "interface": self.interface,
            "arguments": dict(self.arguments),
            "port_mappings": [dict(mapping) for mapping in self.port_mappings],
        }


def check_pod_name(name: str) -> str:
    """Return the name, or raise InputError when it cannot be part of a CNI container identifier."""
    if not _NAME.match(name):
        raise InputError(
            f"name is {name!r}. Use at most 63 letters, digits and the signs _ . -, with a letter or a digit first."
        )
    return name


def find_conflist(conf_dir: str, conf_file: str | None) -> dict[str, Any]:
    """Return the configuration that a runtime would take, or the one in the file named.

    A single plugin (.conf) is returned as a list of one. Raises InputError when none is valid.
    """
    if conf_file:
        conf_dir, name = os.path.split(conf_file)
    found = cni_directory.observe(conf_dir)
    candidates = cni_directory.candidates(found.texts, found.reasons)
    if conf_file:
        candidates = [candidate for candidate in candidates if candidate.file == name]
    winner = cni_directory.winner(candidates)
    text = found.texts.get(winner) if winner else None
    if winner is None or text is None:
        problems = "; ".join(f"{candidate.file}: {candidate.problem}" for candidate in candidates)
        raise InputError(
            f"There is no valid CNI configuration {conf_file or f'in {conf_dir}'}"
            f"{f' ({problems})' if problems else ''}. The role podnet.cni.overlay writes one."
        )
    document: dict[str, Any] = json.loads(text)
    if "plugins" not in document:
        document = {
            "cniVersion": document.get("cniVersion", "0.1.0"),
            "name": document["name"],
            "plugins": [document],
        }
    return document


def supports_check(conflist: Mapping[str, Any]) -> bool:
    """Say whether the plugins of the configuration may be asked to check a pod."""
    parts = [int(part) for part in re.findall(r"\d+", str(conflist.get("cniVersion", "0.1.0")))[:3]]
    return tuple(parts) >= CHECK_SINCE and not conflist.get("disableCheck", False)


def _maps_ports(plugin: Mapping[str, Any]) -> bool:
    capabilities = plugin.get("capabilities", {})
    return bool(capabilities.get("portMappings"))


def plugin_config(
    conflist: Mapping[str, Any], plugin: Mapping[str, Any], pod: Pod, previous: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what a plugin of the list gets on its standard input (CNI 1.0.0, section 3, "Deriving execution ...")."""
    derived = {key: value for key, value in plugin.items() if key != "capabilities"}
    derived.update(cniVersion=conflist.get("cniVersion", "0.1.0"), name=conflist["name"])
    if pod.port_mappings and _maps_ports(plugin):
        derived["runtimeConfig"] = {"portMappings": [dict(mapping) for mapping in pod.port_mappings]}
    if previous is not None:
        derived["prevResult"] = dict(previous)
    return derived


def addresses(result: Mapping[str, Any]) -> list[str]:
    """Return the pod's addresses with their prefix lengths from the result of an ADD."""
    return [entry["address"] for entry in result.get("ips", ())]


def gateways(result: Mapping[str, Any]) -> set[str]:
    """Return the gateways of the pod that are addresses of IPv6. Plugins write them as ip(8) does (RFC 5952)."""
    return {entry["gateway"] for entry in result.get("ips", ()) if ":" in (entry.get("gateway") or "")}


def host_interfaces(result: Mapping[str, Any]) -> list[str]:
    """Return the names of the interfaces that the result places on the host: the bridge and the host's end."""
    return [entry["name"] for entry in result.get("interfaces", ()) if not entry.get("sandbox")]


class Runtime:
    """Executes the plugins found in C(bin_dirs) for network namespaces named below /run/netns.

    C(check) says whether plugins are asked about pods that exist.
    """

    def __init__(self, run: Run, bin_dirs: Sequence[str], *, check: bool = False) -> None:
        self.run = run
        self.check = check
        self.bin_dirs = list(bin_dirs)

    def netns(self, pod: Pod) -> str:
        """Return the path of the pod's network namespace."""
        return os.path.join(NETNS_DIR, pod.name)

    def require(self, conflist: Mapping[str, Any], pod: Pod) -> None:
        """Raise InputError when a plugin is missing or no plugin can map the ports that are asked for."""
        for plugin in conflist["plugins"]:
            self._program(plugin["type"])
        if pod.port_mappings and not any(_maps_ports(plugin) for plugin in conflist["plugins"]):
            raise InputError(
                f"port_mappings are given, but no plugin of the network {conflist['name']} has the capability "
                "portMappings. Add the plugin portmap to its configuration."
            )

    def _program(self, kind: str) -> str:
        for folder in self.bin_dirs:
            path = os.path.join(folder, kind)
            if os.access(path, os.X_OK):
                return path
        raise InputError(
            f"The CNI plugin {kind} is in none of {', '.join(self.bin_dirs)}. "
            "Install the reference plugins (Debian: containernetworking-plugins) or correct bin_dirs."
        )

    def _execute(self, command: str, plugin: str, config: Mapping[str, Any], pod: Pod) -> dict[str, Any]:
        program = self._program(plugin)
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": pod.container_id,
            "CNI_NETNS": self.netns(pod),
            "CNI_IFNAME": pod.interface,
            "CNI_PATH": ":".join(self.bin_dirs),
            "CNI_ARGS": ";".join(f"{key}={value}" for key, value in sorted(pod.arguments.items())),
        }
        argv = ["env", *(f"{key}={value}" for key, value in environment.items()), program]
        code, out, err = self.run(argv, json.dumps(config))
        answer = _parse(out)
        if code != 0:
            reason = " ".join(str(answer[key]) for key in ("msg", "details") if answer.get(key))
            raise PodnetError(
                f"The CNI plugin {program} failed on {command} for the pod {pod.name}: "
                f"{reason or err.strip() or out.strip() or f'exit status {code}'}"
            )
        return answer

    def add(self, conflist: Mapping[str, Any], pod: Pod) -> dict[str, Any]:
        """Make the namespace, run ADD through the list, return the last plugin's result.

        After a failure the plugins are asked to undo what they did, the namespace is removed, and PodnetError is
        raised with the words of the plugin that failed.
        """
        try:
            checked(self.run, ["ip", "netns", "add", pod.name], missing="install iproute2")
        except PodnetError as error:
            raise PodnetError(f"The network namespace of the pod {pod.name} cannot be made: {error}") from error
        try:
            self.run(["ip", "-n", pod.name, "link", "set", "lo", "up"], None)
            result: dict[str, Any] | None = None
            for plugin in conflist["plugins"]:
                result = self._execute("ADD", plugin["type"], plugin_config(conflist, plugin, pod, result), pod)
        except PodnetError as error:
            try:
                self.delete(conflist, pod, None)
            except PodnetError as second:
                raise PodnetError(f"{error}. Undoing it failed as well: {second}") from error
            raise
        self._settle(gateways(result or {}))
        return result or {}

    def _settle(self, wanted: set[str]) -> None:
        """Wait until these addresses of the host answer: the kernel looks for duplicates each time a bridge comes up.

        A duplicate that was found stays one: nothing is waited for then.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while wanted and time.monotonic() < deadline:
            _code, out, _err = self.run(["ip", "-6", "-o", "addr", "show", "tentative"], None)
            tentative = {line.split()[3].partition("/")[0] for line in out.splitlines() if "dadfailed" not in line}
            if not wanted & tentative:
                return
            time.sleep(SETTLE_POLL)

    def delete(self, conflist: Mapping[str, Any], pod: Pod, result: Mapping[str, Any] | None) -> None:
        """Run DEL through the list backwards, then remove the namespace. Nothing to delete is not an error."""
        for plugin in reversed(conflist["plugins"]):
            self._execute("DEL", plugin["type"], plugin_config(conflist, plugin, pod, result), pod)
        if os.path.exists(self.netns(pod)):
            code, _out, err = self.run(["ip", "netns", "del", pod.name], None)
            if code != 0:
                raise PodnetError(f"The network namespace of the pod {pod.name} cannot be removed: {err.strip()}")

    def problem(self, conflist: Mapping[str, Any], pod: Pod, result: Mapping[str, Any]) -> str:
        """Say what is wrong with a pod that was added; empty when nothing is."""
        netns = self.netns(pod)
        if not is_namespace(netns):
            return "its network namespace is gone"
        for name in host_interfaces(result):
            if not os.path.exists(f"/sys/class/net/{name}"):
                return f"the interface {name} is gone from the host"
        _code, out, _err = self.run(["ip", "-n", pod.name, "-j", "addr", "show", "dev", pod.interface], None)
        links = json.loads(out or "[]")
        if not links or "LOWER_UP" not in links[0]["flags"]:
            return f"its interface {pod.interface} is missing or down"
        present = {f"{entry['local']}/{entry['prefixlen']}" for entry in links[0]["addr_info"]}
        missing = [address for address in addresses(result) if address not in present]
        if missing:
            return f"it has lost the address {missing[0]}"
        if self.check and supports_check(conflist):
            try:
                for plugin in conflist["plugins"]:
                    self._execute("CHECK", plugin["type"], plugin_config(conflist, plugin, pod, result), pod)
            except PodnetError as error:
                return str(error)
        return ""


def is_namespace(path: str) -> bool:
    """Say whether the file is a namespace: it has the device number of nsfs, as /proc/self/ns/net has."""
    try:
        return os.stat(path).st_dev == os.stat("/proc/self/ns/net").st_dev
    except OSError:
        return False


def _parse(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text or "{}")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def port_mapping(item: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the module's option into the capability argument (CNI CONVENTIONS.md, "portMappings").

    Raises InputError for a port that is out of range.
    """
    for option in ("host_port", "container_port"):
        if not 1 <= item[option] <= 65535:
            raise InputError(f"port_mappings: {option} is {item[option]}. Give a port from 1 to 65535.")
    mapping = {
        "hostPort": item["host_port"],
        "containerPort": item["container_port"],
        "protocol": item["protocol"],
    }
    if item["host_ip"]:
        mapping["hostIP"] = item["host_ip"]
    return mapping
