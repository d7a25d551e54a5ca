# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network of a host: links, routes, open ports, firewall, and what its kernel can make.

Private to podnet.cni: may change in any release.

Links and routes are read with C(ip) in its JSON form, so that no Python library is needed.
"""

from __future__ import annotations

import array
import errno
import fcntl
import json
import os
import re
import socket
import struct
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import rtnetlink
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.firewall import table as firewall_table
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.addresses import parse_ip
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked
from ansible_collections.podnet.cni.plugins.module_utils._host.links import OUR_LINK, foreign
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files

ROUTE_OWNERS: Mapping[str, str] = {"80": "calico"}
"""Protocol of a route -> the CNI that writes it: Felix's DeviceRouteProtocol and RemovedRoute default (calico v3.32
felix/config/config_params.go)."""

LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp; an unconnected UDP socket has state 07."""
ETHTOOL_GTXCSUM = 0x16
SIOCETHTOOL = 0x8946
RTM_NEWLINK = 16
NLM_F_EXCL = 0x200
IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND = 3, 18, 1
_IFINFO = struct.Struct("=BxHiII")
_SHOWN_ROUTES = 200


def routes(run: Run) -> list[dict[str, Any]]:
    """Return the routes of the main table that do not lead over flannel's or the pods' links."""
    found: list[dict[str, Any]] = []
    for family in ("-4", "-6"):
        out = checked(run, ["ip", "-j", family, "route", "show", "table", "main"], missing="install iproute2")
        found += parse_routes(out, family == "-6")
    return found


def parse_routes(text: str, ipv6: bool) -> list[dict[str, Any]]:
    """Return destination, device, gateway, type, protocol and owner of each route in ip's answer that is of interest.

    The type is ip's own, such as blackhole, for one that leads over no device; the owner is the CNI other than flannel
    that makes such routes.
    """
    found: list[dict[str, Any]] = []
    for route in json.loads(text or "[]"):
        device = route.get("dev") or ""
        destination = route["dst"]
        if OUR_LINK.match(device) or device == "cni0" or destination.startswith(("fe80:", "ff00:")):
            continue
        if destination == "default":
            destination = "::/0" if ipv6 else "0.0.0.0/0"
        if len(found) < _SHOWN_ROUTES:
            protocol = str(route.get("protocol") or "")
            found.append(
                {
                    "dst": destination,
                    "dev": device or None,
                    "gateway": route.get("gateway"),
                    "type": route.get("type") or "unicast",
                    "protocol": protocol,
                    "cni": foreign(device) or ROUTE_OWNERS.get(protocol),
                }
            )
    return found


def underlay(
    link_list: Sequence[Mapping[str, Any]],
    route_list: Sequence[Mapping[str, Any]],
    interface: str | None,
    public_ips: Sequence[str],
) -> dict[str, Any]:
    """Return the link under the overlay with its MTU and the host's addresses there.

    It is C(interface), or the link that holds one of C(public_ips), or that of the default route. Raises PodnetError,
    saying why, when there is none.
    """
    by_name = {link["name"]: link for link in link_list}
    wanted = [str(parse_ip(address)) for address in public_ips]
    chosen = interface
    if not chosen and wanted:
        for link in link_list:
            if any(address.split("/")[0] in wanted for address in link["addresses"]):
                chosen = link["name"]
                break
        if not chosen:
            raise PodnetError(f"no link of this host has the address {', '.join(wanted)}")
    if not chosen:
        default = [route for route in route_list if route["dst"] in ("0.0.0.0/0", "::/0") and route["dev"]]
        if not default:
            raise PodnetError("there is no default route, and neither an interface nor a public IP is named")
        chosen = default[0]["dev"]
    if chosen not in by_name:
        raise PodnetError(f"there is no link {chosen}")
    link = by_name[chosen]
    addresses = [address.split("/")[0] for address in link["addresses"]]
    own = {4: [a for a in addresses if ":" not in a], 6: [a for a in addresses if ":" in a]}
    for address in wanted:
        own[6 if ":" in address else 4].insert(0, address)
    return {
        "name": chosen,
        "mtu": link["mtu"],
        "mac": link["mac"],
        "up": link["up"],
        "addresses": addresses,
        "public_ip": own[4][0] if own[4] else None,
        "public_ipv6": own[6][0] if own[6] else None,
    }


def can_make(kinds: Iterable[str]) -> dict[str, bool]:
    """Return for each kind of link whether the kernel can make it. Nothing is made.

    The kernel looks a kind up, and loads its module, before it finds that a name with a slash is none. Raises
    PodnetError when this process may not ask.
    """
    found = {}
    with rtnetlink.Connection() as connection:
        for kind in kinds:
            failures = connection.send([_link_request(kind)])
            code = failures[0].errno if failures else 0
            if code in (errno.EPERM, errno.EACCES):
                raise PodnetError("only a process with CAP_NET_ADMIN may ask the kernel; set become to true")
            found[kind] = code != errno.EOPNOTSUPP
    return found


def _link_request(kind: str) -> bytes:
    nested = _attribute(IFLA_INFO_KIND, kind.encode())
    body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    body += _attribute(IFLA_IFNAME, b"podnet/cni\0") + _attribute(IFLA_LINKINFO, nested)
    flags = rtnetlink.NLM_F_REQUEST | rtnetlink.NLM_F_CREATE | NLM_F_EXCL | rtnetlink.NLM_F_ACK
    return struct.pack("=IHHII", 16 + len(body), RTM_NEWLINK, flags, 0, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    size = 4 + len(value)
    return struct.pack("=HH", size, kind) + value + bytes(-size % 4)


def checksum_offload(names: Iterable[str]) -> dict[str, bool | None]:
    """Return for each link whether it leaves checksums to the hardware; null where the link does not tell."""
    found: dict[str, bool | None] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for name in names:
            value = array.array("B", struct.pack("=II", ETHTOOL_GTXCSUM, 0))
            request = struct.pack("16sP", name.encode(), value.buffer_info()[0])
            try:
                fcntl.ioctl(control.fileno(), SIOCETHTOOL, request + bytes(40 - len(request)))
                found[name] = bool(struct.unpack("=II", value.tobytes())[1])
            except OSError:
                found[name] = None
    return found


def parse_sockets(text: str, listening_only: bool) -> list[dict[str, Any]]:
    """Return port and inode of each socket in /proc/net/udp or tcp, of TCP only such as listen."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and (not listening_only or fields[3] == LISTEN):
            found.append({"port": int(fields[1].rsplit(":", 1)[1], 16), "inode": int(fields[9])})
    return found


def listeners(files: Files, udp_ports: Iterable[int], tcp_ports: Iterable[int]) -> dict[str, dict[str, Any]]:
    """Return who holds each port: C({"udp": {"8472": {"process": ..., "pid": ...}}}); a free port is null.

    A port whose holder is not a process is the kernel's own, as that of a vxlan or wireguard link: its process is null.
    """
    found: dict[str, dict[str, Any]] = {}
    for protocol, ports in (("udp", udp_ports), ("tcp", tcp_ports)):
        held: dict[int, set[int]] = {}
        for name in (protocol, f"{protocol}6"):
            # The thread's own entry: a process may have entered a network namespace with one thread only.
            text = files.text(f"/proc/thread-self/net/{name}") or files.text(f"/proc/net/{name}") or ""
            for entry in parse_sockets(text, protocol == "tcp"):
                held.setdefault(entry["port"], set()).add(entry["inode"])
        found[protocol] = {str(port): _holder(files, held[port]) if port in held else None for port in ports}
    return found


def _holder(files: Files, inodes: Iterable[int]) -> dict[str, Any]:
    wanted = {f"socket:[{inode}]" for inode in inodes if inode}
    for pid in (name for name in files.names("/proc") if name.isdigit()):
        for descriptor in files.names(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(files.path(f"/proc/{pid}/fd/{descriptor}"))
            except OSError:
                continue
            if target in wanted:
                return {"process": files.line(f"/proc/{pid}/comm"), "pid": int(pid)}
    return {"process": None, "pid": None}


def firewall(files: Files, run: Run) -> dict[str, Any]:
    """Return the programs of the firewall, in which way each iptables works, and where rules of flannel lie."""
    found: dict[str, Any] = {
        "iptables": _iptables(run, "iptables"),
        "ip6tables": _iptables(run, "ip6tables"),
        "nft": _first_line(run, ["nft", "--version"]),
        "legacy_tables": (files.line("/proc/net/ip_tables_names") or "").split(),
        "legacy_forward": _lines(run, ["iptables-legacy", "-S", "FORWARD"])
        if "filter" in (files.line("/proc/net/ip_tables_names") or "").split()
        else [],
        "legacy_tables_ipv6": (files.line("/proc/net/ip6_tables_names") or "").split(),
        "tables": None,
        "flannel": None,
    }
    if found["nft"]:
        listing = json.loads(checked(run, ["nft", "-j", "list", "tables"], missing="install nftables"))["nftables"]
        found["tables"] = [
            f"{entry['table']['family']} {entry['table']['name']}" for entry in listing if "table" in entry
        ]
        observed = firewall_table.observe(run, proc_net=files.path("/proc/net"))
        found["flannel"] = [leftover.describe() for leftover in observed.leftovers]
        found["flannel"] += [table.describe() for table in observed.legacy]
    return found


def rules_hold(run: Run) -> dict[str, str | None]:
    """Try rules as flannel writes them in a network namespace of their own, and return what each program says of it.

    An empty text stands for success, null for a program that is not there.
    """
    scripts = {"iptables": _IPTABLES_TRIAL, "nft": _NFT_TRIAL}
    found: dict[str, str | None] = {}
    for program, script in scripts.items():
        if _first_line(run, [program, "--version"]) is None:
            found[program] = None
            continue
        code, out, err = run(["unshare", "--net", "--", "sh", "-ec", script], None)
        found[program] = "" if code == 0 else ((err or out).strip().splitlines() or [f"exit code {code}"])[-1]
    return found


# What flannel v0.28.9 writes: pkg/trafficmngr/iptables/iptables.go and pkg/trafficmngr/nftables/nftables.go.
_IPTABLES_TRIAL = """
iptables -w -t nat -A POSTROUTING -m comment --comment trial -m mark --mark 0x4000/0x4000 -j MASQUERADE
iptables -w -A FORWARD -s 198.18.0.0/15 -m comment --comment trial -j ACCEPT
"""
_NFT_TRIAL = """
nft add table ip trial
nft 'add chain ip trial post { type nat hook postrouting priority 100; }'
nft add rule ip trial post ip saddr 198.18.0.0/15 masquerade
"""


def _iptables(run: Run, program: str) -> dict[str, Any] | None:
    """Version and mode of a program, as in "iptables v1.8.9 (nf_tables)"; before 1.8 there was only legacy."""
    line = _first_line(run, [program, "--version"])
    matched = re.search(r"v(\d[\w.]*)(?:\s+\((\w+)\))?", line or "")
    return {"version": matched.group(1), "mode": matched.group(2) or "legacy"} if matched else None


def _lines(run: Run, command: Sequence[str]) -> list[str] | None:
    """What a program prints, None where it cannot be asked."""
    try:
        code, out, _err = run(command, None)
    except FileNotFoundError:
        return None
    return out.strip().splitlines() if code == 0 else None


def _first_line(run: Run, command: Sequence[str]) -> str | None:
    try:
        code, out, _err = run(command, None)
    except FileNotFoundError:
        return None
    return out.strip().splitlines()[0] if code == 0 and out.strip() else None
