# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The subnet file: what flanneld tells the CNI plugin about this node.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig


def render(config: NetworkConfig, lease: Lease, mtu: int, ip_masq: bool) -> str:
    """Return the file's text, byte for byte as flannel v0.28.9 writes it (pkg/subnet/subnet.go WriteSubnetFile).

    C(mtu) is that of the overlay device, in octets. C(ip_masq) says whether the node masquerades traffic that leaves
    the network. The subnet lines hold the first usable address, not the network's.
    """
    lines = []
    if config.enable_ipv4:
        if lease.subnet is None or config.network is None:
            raise InputError(
                f"lease of {lease.name or lease.public_ip}: the network is IPv4, but the lease has no IPv4 subnet"
            )
        lines += [
            f"FLANNEL_NETWORK={config.network}",
            f"FLANNEL_SUBNET={lease.subnet.network_address + 1}/{lease.subnet.prefixlen}",
        ]
    if config.enable_ipv6:
        if lease.ipv6_subnet is None or config.ipv6_network is None:
            raise InputError(
                f"lease of {lease.name or lease.public_ip}: the network is IPv6, but the lease has no IPv6 subnet"
            )
        lines += [
            f"FLANNEL_IPV6_NETWORK={config.ipv6_network}",
            f"FLANNEL_IPV6_SUBNET={lease.ipv6_subnet.network_address + 1}/{lease.ipv6_subnet.prefixlen}",
        ]
    lines += [f"FLANNEL_MTU={mtu}", f"FLANNEL_IPMASQ={'true' if ip_masq else 'false'}"]
    return "\n".join(lines) + "\n"


def parse(text: str) -> dict[str, str]:
    """Return the variables of a subnet file, as flanneld reads its own file of an earlier run: quotes are taken off.

    Lines without C(=) and comments are passed over. What pods get is another question: see C(refusal).
    """
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


_NETWORKS = ("FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK")
_SUBNETS = ("FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET")
_SCALARS = ("FLANNEL_MTU", "FLANNEL_IPMASQ")
_UINT32 = 2**32


def refusal(text: str) -> str:
    """Return why the CNI plugin flannel refuses a subnet file of this text; empty when it takes it.

    The plugin splits each line at its first C(=) and strips nothing: neither quotes nor white space, nor C(export).
    The last line of a name counts, but every line of a name that it knows has to be good. Source: cni-plugin v1.9.1
    flannel.go, loadFlannelSubnetEnv.
    """
    found = set()
    for number, line in enumerate(text.split("\n"), 1):
        name, equals, value = line[:-1].partition("=") if line.endswith("\r") else line.partition("=")
        if name not in (*_NETWORKS, *_SUBNETS, *_SCALARS):
            continue
        if not equals:
            return f"line {number} is {name} without a value, at which the plugin crashes"
        problem = _refused_value(name, value)
        if problem:
            return f"line {number}, {name}: {problem}"
        found.add(name)
    missing = [name for names in (_NETWORKS, _SUBNETS) if not found.intersection(names) for name in names]
    missing += [name for name in _SCALARS if name not in found]
    return f"it is missing {', '.join(missing)}" if missing else ""


def _refused_value(name: str, value: str) -> str:
    if name == "FLANNEL_IPMASQ":
        return ""
    if name == "FLANNEL_MTU":
        good = value.isascii() and value.isdigit() and int(value) < _UINT32
        return "" if good else f"{value!r} is not a number"
    ranges = value.split(",") if name in _NETWORKS else [value]
    return next((f"{each!r} is not a range in CIDR notation" for each in ranges if not _is_cidr(each)), "")


def _is_cidr(text: str) -> bool:
    try:
        addresses.parse_cidr(text)
    except ValueError:
        return False
    return True
