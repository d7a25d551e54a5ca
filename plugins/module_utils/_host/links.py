# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's links as C(ip) shows them, and what stands in the way of an overlay's own.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import re
import socket
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked

OUR_LINK = re.compile(r"flannel(?:\.\d+|-v6\.\d+|-wg|-wg-v6|\.ipip|0)\Z")
"""The names that flanneld gives its links."""

FOREIGN_LINKS: Mapping[str, str] = {
    r"cilium_(host|net|vxlan|geneve)|lxc_health": "cilium",
    r"cali[0-9a-f]{11}|vxlan(-v6)?\.calico|wireguard\.cali|bpfin\.cali": "calico",
    r"weave|vxlan-6784|vethwe-(bridge|datapath)": "weave",
    r"kube-bridge": "kube-router",
    r"antrea-(gw|tun|egress)0": "antrea",
    r"ovn0|mirror0": "kube-ovn",
    r"ovn-k8s-mp\d+": "ovn-kubernetes",
    r"eni[0-9a-f]{11}": "amazon-vpc-cni",
    r"azv[0-9a-f]{8,11}": "azure-cni",
}
"""Names of links -> the CNI that makes them; see each one's own documentation."""

IFF_UP = "UP"


def read(run: Run) -> list[dict[str, Any]]:
    """Return the host's links, without the many that lead into pods, except such as tell of another CNI."""
    out = checked(run, ["ip", "-d", "-j", "addr", "show"], missing="install iproute2")
    return parse_links(out)


def parse_links(text: str) -> list[dict[str, Any]]:
    """Return name, kind, mtu, up, mac, addresses, master, cni and the vxlan's traits of each link in ip's answer."""
    found = []
    for entry in json.loads(text or "[]"):
        if not entry:
            continue
        name = entry["ifname"]
        information = entry.get("linkinfo") or {}
        kind = information.get("info_kind")
        owner = foreign(name)
        if kind == "veth" and not owner and entry.get("master"):
            continue
        link: dict[str, Any] = {
            "name": name,
            "kind": kind,
            "mtu": entry.get("mtu"),
            "up": IFF_UP in entry.get("flags", []),
            "mac": entry.get("address"),
            "addresses": [
                f"{address['local']}/{address['prefixlen']}"
                for address in entry.get("addr_info", [])
                if address.get("scope") == "global" and "local" in address
            ],
            "master": entry.get("master"),
            "cni": owner,
        }
        if kind == "vxlan":
            data = information.get("info_data") or {}
            link["vxlan"] = {name: data.get(name) for name in ("id", "port", "link", "local")}
        found.append(link)
    return found


def foreign(name: str) -> str | None:
    """Return the CNI other than flannel that makes links of this name."""
    return next((cni for pattern, cni in FOREIGN_LINKS.items() if re.fullmatch(pattern, name)), None)


class Claim(NamedTuple):
    """Something that somebody else has of what the overlay needs; C(kind) is port, link or address.

    C(values) are the addresses of a link that is another flannel's.
    """

    kind: str
    seen: str
    remedy: str
    values: Sequence[str] = ()


def claims(
    link_list: Sequence[Mapping[str, Any]], ports: Iterable[int], names: Mapping[str, str], ranges: Sequence[Any]
) -> list[Claim]:
    """Return what other links hold of UDP C(ports) and of the overlay's C(names); a name's value is its link's kind.

    A link with one of the names and an address outside of C(ranges) is another flannel's: it may not be taken over.
    """
    held = set(ports)
    found = []
    for link in link_list:
        name, kind = str(link.get("name")), link.get("kind")
        vxlan = link.get("vxlan") or {}
        port = _number(vxlan.get("port"))
        if name not in names:
            if kind == "vxlan" and port is not None and port in held and not OUR_LINK.match(name):
                remedy = f"Remove {name} if it is left over; else choose another port for all hosts (Backend.Port)."
                found.append(Claim("port", f"link {name} holds UDP {port}", remedy))
            continue
        if kind != names[name]:
            remedy = f"Remove it (ip link del {name}), or choose another VNI for all hosts."
            found.append(Claim("link", f"{name} is a link of kind {kind or 'unknown'}, not {names[name]}", remedy))
            continue
        strange = [text for text in link.get("addresses") or [] if _outside(text, ranges)]
        if strange:
            remedy = (
                f"If that flannel is gone, remove {name} (ip link del {name}); else leave the host to it, or choose "
                "another VNI and port."
            )
            seen = f"{name} has {', '.join(strange)}, of another network: a flannel of somebody else made it"
            found.append(Claim("address", seen, remedy, strange))
    return found


def is_held(port: int) -> bool:
    """Whether somebody holds the UDP port."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            opened.bind(("", port))
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def _outside(text: Any, ranges: Sequence[Any]) -> bool:
    try:
        address = ipaddress.ip_interface(str(text)).ip
    except ValueError:
        return False
    same = [each for each in ranges if each.version == address.version]
    return bool(same) and not any(address in each for each in same)


def _number(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
