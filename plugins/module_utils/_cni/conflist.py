# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""CNI network configuration lists: what they may hold, and the two that fit flannel. Pure.

Private to podnet.cni: may change in any release.

Rules are those of the CNI specification 1.0.0 section 1 (https://www.cni.dev/docs/spec/).
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses

# Versions whose configuration is a list of plugins.
CNI_VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
_NETWORK_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*\Z")
_LINK_NAME = re.compile(r"[^\s/:]{1,15}\Z")
_BRIDGE_OPTIONS = ("subnet", "ipv6_subnet", "network", "ipv6_network", "mtu", "bridge_name", "data_dir")


def wanted(params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the document that the options of the module cni_conflist ask for, None for state absent.

    Raises InputError naming the option, its value and the rule.
    """
    check_conflist_name("filename", params["filename"])
    for name in params["obsolete"]:
        check_file_name("obsolete", name)
        if name == params["filename"]:
            raise InputError(f"obsolete names {name}, the file itself: use state=absent to remove it")
    if params["state"] == "absent":
        return None
    plugins = params["plugins"]
    if params["preset"] == "flannel":
        plugins = flannel_plugins(params["subnet_file"])
    elif params["preset"] == "bridge":
        plugins = bridge_plugins(**{name: params[name] for name in _BRIDGE_OPTIONS})
    return desired(params["network_name"], params["cni_version"], plugins)


def flannel_plugins(subnet_file: str | None = None) -> list[dict[str, Any]]:
    """Return the plugins that flannel's own manifest installs (flannel v0.28.9 Documentation/kube-flannel.yml).

    C(subnet_file) is written only when it is not the plugin's default, /run/flannel/subnet.env.
    """
    flannel: dict[str, Any] = {"type": "flannel"}
    if subnet_file and subnet_file != "/run/flannel/subnet.env":
        flannel["subnetFile"] = subnet_file
    flannel["delegate"] = {"hairpinMode": True, "isDefaultGateway": True}
    return [flannel, {"type": "portmap", "capabilities": {"portMappings": True}}]


def bridge_plugins(
    *,
    subnet: str | None,
    ipv6_subnet: str | None = None,
    network: str | None = None,
    ipv6_network: str | None = None,
    mtu: int | None = None,
    bridge_name: str = "cni0",
    data_dir: str | None = None,
) -> list[dict[str, Any]]:
    """Return what the flannel plugin would hand to the bridge plugin, from the lease itself.

    No flannel binary and no subnet file is needed. Masquerading stays off: the node's firewall table does it.
    Raises InputError naming the option.
    """
    ranges, routes = [], []
    for version, option, value, outer in (
        (4, "subnet", subnet, network),
        (6, "ipv6_subnet", ipv6_subnet, ipv6_network),
    ):
        prefix = "" if version == 4 else "ipv6_"
        if value:
            inside = _range(option, value, version)
            ranges.append([{"subnet": str(inside)}])
            if outer:
                # flanneld, too, drops the host bits of a network.
                around = _range(f"{prefix}network", outer, version, strict=False)
                if not (around.prefixlen <= inside.prefixlen and inside.network_address in around):
                    raise InputError(
                        f"{option} {inside} lies outside of {prefix}network {around}: take it from the lease"
                    )
                routes.append({"dst": str(around)})
        elif outer:
            raise InputError(f"{prefix}network {outer} is given without {option}: give both or none")
    if not ranges:
        raise InputError("preset bridge needs subnet, ipv6_subnet or both: the node's own lease holds them")
    if not _LINK_NAME.match(bridge_name) or bridge_name in (".", ".."):
        raise InputError(f"bridge_name {bridge_name!r} is not a link name: use 1 to 15 characters without / : or space")
    bridge: dict[str, Any] = {
        "type": "bridge",
        "bridge": bridge_name,
        "isDefaultGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
    }
    if mtu is not None:
        least = 1280 if ipv6_subnet else 68
        if not least <= mtu <= 65535:
            raise InputError(f"mtu {mtu} is out of range: it must be {least} to 65535")
        bridge["mtu"] = mtu
    ipam: dict[str, Any] = {"type": "host-local", "ranges": ranges}
    if routes:
        ipam["routes"] = routes
    if data_dir:
        ipam["dataDir"] = data_dir
    bridge["ipam"] = ipam
    return [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]


def _range(option: str, value: str, version: int, strict: bool = True) -> Any:
    try:
        parsed = addresses.parse_subnet(value) if strict else addresses.parse_cidr(value)
    except ValueError as error:
        raise InputError(f"{option} {value!r} is not a CIDR range: {error}") from error
    if parsed.version != version:
        raise InputError(f"{option} {value!r} is not IPv{version}")
    return parsed


def render(document: Mapping[str, Any]) -> str:
    """Return the file's text: JSON with two spaces of indent and a newline at the end, members in the given order."""
    return json.dumps(document, indent=2) + "\n"


def desired(network_name: str, cni_version: str, plugins: Sequence[Any]) -> dict[str, Any]:
    """Return the checked document. Raises InputError naming the member, its value and the rule."""
    if cni_version not in CNI_VERSIONS:
        raise InputError(f"cni_version {cni_version!r} is not supported: use one of {', '.join(CNI_VERSIONS)}")
    if not _NETWORK_NAME.match(network_name):
        raise InputError(
            f"network_name {network_name!r} is not allowed: it must start with a letter or digit and hold only "
            "letters, digits, underscore, dot and hyphen"
        )
    if not plugins:
        raise InputError("plugins is empty: a network needs at least one plugin")
    for index, plugin in enumerate(plugins):
        _check_plugin(f"plugins[{index}]", plugin)
    return {"cniVersion": cni_version, "name": network_name, "plugins": list(plugins)}


def _check_plugin(where: str, plugin: Any) -> None:
    if not isinstance(plugin, Mapping):
        raise InputError(f"{where} is {plugin!r}: each plugin is a mapping with a type")
    _check_type(where, plugin.get("type"))
    for member in ("name", "cniVersion"):
        if member in plugin:
            raise InputError(
                f"{where}.{member} {plugin[member]!r} does not belong there: the list has one for all plugins"
            )
    capabilities = plugin.get("capabilities", {})
    if not isinstance(capabilities, Mapping) or not all(isinstance(value, bool) for value in capabilities.values()):
        raise InputError(f"{where}.capabilities {capabilities!r} must be a mapping of names to true or false")
    for member in ("ipam", "delegate"):
        if member in plugin and not isinstance(plugin[member], Mapping):
            raise InputError(f"{where}.{member} {plugin[member]!r} must be a mapping")
    if plugin.get("ipam"):
        _check_type(f"{where}.ipam", plugin["ipam"].get("type"))
    try:
        json.dumps(plugin, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} cannot be written as JSON: {error}") from error


def _check_type(where: str, value: Any) -> None:
    if not isinstance(value, str) or not value or "/" in value or value in (".", ".."):
        raise InputError(f"{where}.type {value!r} is not a plugin: give the file name of a plugin, without a path")


def check_file_name(option: str, name: str) -> None:
    """Raise InputError unless C(name) is a plain file name."""
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise InputError(f"{option} {name!r} is not a file name: give the name without a directory")


def check_conflist_name(option: str, name: str) -> None:
    """Raise InputError unless runtimes read a file of this name as a list of plugins."""
    check_file_name(option, name)
    if not name.endswith(".conflist"):
        raise InputError(f"{option} {name!r} must end in .conflist: runtimes read other files as a single plugin")


def programs(document: Mapping[str, Any]) -> list[str]:
    """Return the plugin binaries that the network needs, each once, in the order they are called."""
    names: list[str] = []
    for plugin in document["plugins"]:
        names.append(plugin["type"])
        delegate, ipam = plugin.get("delegate", {}), plugin.get("ipam", {})
        if plugin["type"] == "flannel":
            # The flannel plugin calls two others; these are its defaults (flannel-io/cni-plugin flannel_linux.go).
            names.append(delegate.get("type", "bridge"))
            names.append(ipam.get("type", "host-local"))
        elif delegate.get("type"):
            names.append(delegate["type"])
        if ipam.get("type"):
            names.append(ipam["type"])
    return list(dict.fromkeys(names))
