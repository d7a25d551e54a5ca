# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a lab of namespaced hosts should look like, and the steps from what is there to that.

Private to podnet.cni: may change in any release. Pure: no command is run and no file is read here.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence, Union

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

LINK = "eth0"
GUEST_TARGET = "podnet-guest.target"
"""What a guest's systemd starts."""

GATEWAY_OFFSET = 1
FIRST_OFFSET = 11
# IPv6 needs 1280 octets (RFC 8200, section 5).
MTU_RANGE = range(1280, 65536)
# Less does not hold the kernel, systemd and a module of Ansible's.
GUEST_MIB_RANGE = range(512, 1048577)

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
# A colon or a comma would end the value in the mount options of overlayfs.
_PATH = re.compile(r"/[A-Za-z0-9._+@/-]*\Z")

LOOPBACK_NAMES = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


@dataclass(frozen=True)
class Process:
    """A program that runs in a host.

    C(ready_url) answers with status 200 once it serves; empty: do not wait. C(revision) stands for the files that the
    program read when it started: a process of another revision has to be started anew.
    """

    name: str
    argv: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    ready_url: str = ""
    revision: str = ""


@dataclass(frozen=True)
class Host:
    """A host as it should be, or as it was found. Addresses carry their prefix length, C(198.18.0.11/24).

    C(containers) says whether it can run containers: it sees the control groups and keeps them on a real file system.
    C(guest) is the memory of a guest in MiB, 0 for a host of namespaces. C(down) says why a guest that was found has to
    be switched on; nothing else is known of such a one.
    """

    name: str
    hostname: str
    mtu: int
    addresses: tuple[str, ...]
    gateways: tuple[str, ...]
    hosts_file: str
    running: tuple[tuple[str, tuple[str, ...]], ...] = ()
    link_up: bool = True
    containers: bool = False
    guest: int = 0
    down: str = ""


@dataclass(frozen=True)
class Underlay:
    """The bridge that joins the hosts, in a network namespace of its own."""

    mtu: int
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Lab:
    """A whole lab: the underlay, the hosts by name in the order given, and the processes of each host."""

    underlay: Underlay | None
    hosts: Mapping[str, Host | None]
    processes: Mapping[str, tuple[Process, ...]]


@dataclass(frozen=True)
class Operation:
    """One step. C(kind) is remove_lab, create_lab, remove_host, create_host, boot, write_hosts_file,
    start or stop."""

    kind: str
    host: str = ""
    process: str = ""
    why: str = ""

    def __str__(self) -> str:
        texts = {
            "remove_lab": "remove the lab",
            "create_lab": "create the underlay",
            "remove_host": f"remove host {self.host}",
            "create_host": f"create host {self.host}",
            "boot": f"switch on {self.host}",
            "write_hosts_file": f"write /etc/hosts in {self.host}",
            "start": f"start {self.process} in {self.host}",
            "stop": f"stop {self.process} in {self.host}",
        }
        return texts[self.kind] + (f": {self.why}" if self.why else "")


def check_name(what: str, name: str) -> str:
    """Return the name, or raise InputError when it cannot serve as host name and as directory name."""
    if not _NAME.match(name):
        raise InputError(
            f"{what} is {name!r}. Use at most 63 lower-case letters, digits and hyphens, "
            "with a letter or a digit at both ends."
        )
    return name


def check_path(what: str, path: str) -> str:
    """Return the path, or raise InputError when it is not absolute or holds what a mount option cannot hold."""
    if not _PATH.match(path) or "/../" in f"{path}/" or path == "/":
        raise InputError(
            f"{what} is {path!r}. Give an absolute path below / of letters, digits and the signs . _ + @ - /."
        )
    return path


def check_private(copy_on_write_dirs: Sequence[str], private_dirs: Sequence[str]) -> None:
    """Raise InputError unless /etc and /run belong to the host: what is written there must not reach the machine."""
    for path in [*copy_on_write_dirs, *private_dirs]:
        check_path("A directory in copy_on_write_dirs or private_dirs", path)
    for needed in ("/etc", "/run"):
        if needed not in copy_on_write_dirs and needed not in private_dirs:
            raise InputError(
                f"{needed} is neither in copy_on_write_dirs nor in private_dirs, so that hosts would write to the "
                f"{needed} of this machine. Add it to one of them."
            )


def check_data_dir(data_dir: str, hidden: Sequence[str]) -> str:
    """Return the directory for container images, or raise InputError when hosts would not see it as it is."""
    check_path("data_dir", data_dir)
    for path in hidden:
        if f"{data_dir}/".startswith(f"{path.rstrip('/')}/"):
            raise InputError(
                f"data_dir is {data_dir!r}, below {path}, of which each host has a version of its own. "
                "Choose a directory on a disk outside of copy_on_write_dirs, private_dirs and state_dir."
            )
    return data_dir


def lab_key(state_dir: str, name: str) -> str:
    """Return the name that the lab has among all labs of the machine, for its control groups and its data."""
    return f"{name}-{hashlib.sha256(state_dir.rstrip('/').encode()).hexdigest()[:8]}"


def port_name(host: str) -> str:
    """Return the name of the host's port on the underlay bridge; an interface name has at most 15 characters."""
    short = host if len(host) <= 12 else hashlib.sha256(host.encode()).hexdigest()[:12]
    return f"to-{short}"


def mounts_to_detach(mount_points: Iterable[str], roots: Sequence[str]) -> list[str]:
    """Return the outermost mount points at or below one of the roots, as often as each is mounted.

    What is mounted below them goes with them when they are detached.
    """
    inside = [point for point in mount_points if any(f"{point}/".startswith(f"{root.rstrip('/')}/") for root in roots)]
    return [point for point in inside if not any(point.startswith(f"{other}/") for other in inside)]


def parse_networks(cidrs: Iterable[tuple[str, str]]) -> list[Network]:
    """Turn pairs of option name and CIDR into networks. An empty CIDR is left out.

    Raises InputError for text that is not a network, for host bits, and when no network is left.
    """
    networks: list[Network] = []
    for option, cidr in cidrs:
        if not cidr:
            continue
        try:
            networks.append(ipaddress.ip_network(cidr))
        except ValueError as error:
            raise InputError(f"{option} is {cidr!r}: {error}. Give a network such as 198.18.0.0/24.") from error
    if not networks:
        raise InputError("underlay_cidr and underlay_ipv6_cidr are both empty. Give at least one network.")
    return networks


def check_overlap(networks: Sequence[Network], routes: Iterable[str]) -> None:
    """Raise InputError when a route of the machine overlaps one of the networks.

    C(routes) are destinations in CIDR form. The default route does not count: it overlaps everything.
    """
    for text in routes:
        route = ipaddress.ip_network(text, strict=False)
        if route.prefixlen == 0:
            continue
        for network in networks:
            if network[0] in route or route[0] in network:
                raise InputError(
                    f"The underlay {network} overlaps the route {route} of this machine. "
                    "Choose another network for the lab, for example 198.18.0.0/24 or fd00:18::/64."
                )


def address_at(network: Network, offset: int, what: str) -> str:
    """Return the address C(offset) places behind the network's own address, with the prefix length."""
    # the last IPv4 address is the broadcast address
    last = network.num_addresses - (2 if network.version == 4 else 1)
    if not GATEWAY_OFFSET <= offset <= last:
        raise InputError(
            f"{what} wants address number {offset} of the underlay {network}, which has the numbers 2 to {last}. "
            "Choose a larger underlay or a smaller offset."
        )
    return f"{network[offset]}/{network.prefixlen}"


def plain(address: str) -> str:
    """Return the address without its prefix length."""
    return address.split("/", maxsplit=1)[0]


def _substitute(text: str, addresses: Sequence[str]) -> str:
    ipv4 = next((plain(address) for address in addresses if ":" not in address), "")
    ipv6 = next((plain(address) for address in addresses if ":" in address), "")
    return text.replace("{address}", ipv4 or f"[{ipv6}]").replace("{ipv6_address}", ipv6)


def _processes(where: str, items: Sequence[Mapping[str, Any]], addresses: Sequence[str]) -> tuple[Process, ...]:
    processes: list[Process] = []
    for item in items:
        name = check_name(f"The name of a process of {where}", item["name"])
        if name in [process.name for process in processes]:
            raise InputError(f"{where} lists the process {name} twice. Give each process a name of its own.")
        if not item["argv"]:
            raise InputError(f"The process {name} of {where} has an empty argv. Name the program to start.")
        processes.append(
            Process(
                name,
                tuple(_substitute(str(word), addresses) for word in item["argv"]),
                tuple(sorted((str(key), str(value)) for key, value in (item["environment"] or {}).items())),
                _substitute(item["ready_url"] or "", addresses),
            )
        )
    return tuple(processes)


def _offsets(hosts: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    offsets: dict[str, int] = {}
    taken: dict[int, str] = {GATEWAY_OFFSET: "the underlay bridge"}
    free = FIRST_OFFSET
    given = {host["offset"] for host in hosts if host["offset"] is not None}
    for position, host in enumerate(hosts):
        name = check_name(f"hosts[{position}].name", host["name"])
        if name in offsets:
            raise InputError(f"hosts[{position}].name is {name!r}, which an earlier host has. Use each name once.")
        offset = host["offset"]
        if offset is None:
            while free in given:
                free += 1
            offset, free = free, free + 1
        if offset in taken:
            raise InputError(
                f"hosts[{position}].offset of {name} is {offset}, which {taken[offset]} has. Use each offset once."
            )
        offsets[name] = offset
        taken[offset] = name
    return offsets


def desired(
    hosts: Sequence[Mapping[str, Any]],
    networks: Sequence[Network],
    mtu: int,
    default_route: bool,
    guest_memory: int = GUEST_MIB_RANGE.start,
) -> Lab:
    """Return the lab that the module options ask for.

    Each host is a mapping with C(name), C(offset) (or None), C(processes) and, where it runs containers, C(containers),
    and C(guest) where it is a guest, with C(guest_memory) MiB.
    Raises InputError for a name, an offset or an MTU that cannot be.
    """
    if mtu not in MTU_RANGE:
        raise InputError(f"mtu is {mtu}. Give a value from {MTU_RANGE.start} to {MTU_RANGE.stop - 1}.")
    offsets = _offsets(hosts)
    addresses = {
        name: tuple(address_at(network, offset, f"The host {name}") for network in networks)
        for name, offset in offsets.items()
    }
    gateways = tuple(address_at(network, GATEWAY_OFFSET, "The underlay bridge") for network in networks)
    lines = [f"{plain(address)} {name}\n" for name, own in addresses.items() for address in own]
    processes = {
        host["name"]: _processes(f"the host {host['name']}", host["processes"] or (), addresses[host["name"]])
        for host in hosts
    }
    containers = {host["name"] for host in hosts if host.get("containers")}
    guests = {host["name"] for host in hosts if host.get("guest")}
    if guests and guest_memory not in GUEST_MIB_RANGE:
        raise InputError(
            f"guest_memory is {guest_memory}. Give MiB from {GUEST_MIB_RANGE.start} to {GUEST_MIB_RANGE.stop - 1}."
        )
    for name in sorted(guests):
        if processes[name]:
            raise InputError(f"The host {name} is a guest, and processes are kept in hosts of namespaces only.")
    return Lab(
        Underlay(mtu, gateways),
        {
            name: Host(
                name,
                name,
                mtu,
                addresses[name],
                tuple(plain(address) for address in gateways) if default_route else (),
                LOOPBACK_NAMES + "".join(lines),
                tuple((process.name, process.argv) for process in processes[name]),
                containers=name in containers,
                guest=guest_memory if name in guests else 0,
            )
            for name in offsets
        },
        processes,
    )


NOTHING = Lab(None, {}, {})


def difference(want: Host, have: Host | None) -> str:
    """Say why the namespaces of a host have to be made anew; empty when they need not be."""
    if have is None:
        return "its namespaces are gone"
    if have.guest != want.guest:
        kinds = [f"a guest with {host.guest} MiB" if host.guest else "of namespaces" for host in (have, want)]
        return f"it is {kinds[0]} instead of {kinds[1]}"
    if have.down:
        return "" if have.containers == want.containers else f"it can{'' if have.containers else 'not'} run containers"
    missing = [address for address in want.addresses if address not in have.addresses]
    reasons = (
        (have.hostname != want.hostname, f"its host name is {have.hostname}"),
        (not have.link_up, f"{LINK} is missing or down"),
        (have.mtu != want.mtu, f"the MTU of {LINK} is {have.mtu} instead of {want.mtu}"),
        (bool(missing), f"{LINK} has no address {', '.join(missing)}"),
        (have.gateways != want.gateways, f"its default gateway is {', '.join(have.gateways) or 'absent'}"),
        (have.containers != want.containers, f"it can{'' if have.containers else 'not'} run containers"),
    )
    return next((why for differs, why in reasons if differs), "")


def plan(want: Lab, have: Lab) -> list[Operation]:
    """Return the ordered operations that turn C(have) into C(want). An empty list: nothing to do."""
    if want.underlay is None:
        return [Operation("remove_lab")] if have.underlay is not None or have.hosts else []
    operations: list[Operation] = []
    found = dict(have.hosts)
    if have.underlay != want.underlay:
        if have.underlay is not None or found:
            operations.append(Operation("remove_lab", why="the underlay differs"))
            found = {}
        operations.append(Operation("create_lab"))
    operations.extend(
        Operation("remove_host", name, why="it is not wanted") for name in found if name not in want.hosts
    )
    rewrite: list[Operation] = []
    processes: list[Operation] = []
    for name, host in want.hosts.items():
        if host is None:
            continue
        seen = found.get(name)
        if name in found:
            why = difference(host, seen)
            if why:
                operations.append(Operation("remove_host", name, why=why))
                seen = None
        if seen is None:
            operations.append(Operation("create_host", name))
        elif seen.down:
            operations.append(Operation("boot", name, why=seen.down))
        if seen is None or seen.hosts_file != host.hosts_file:
            rewrite.append(Operation("write_hosts_file", name))
        running = dict(seen.running) if seen is not None else {}
        wanted = dict(host.running)
        processes.extend(
            Operation("stop", name, process) for process, argv in running.items() if wanted.get(process) != argv
        )
        processes.extend(
            Operation("start", name, process) for process, argv in wanted.items() if running.get(process) != argv
        )
    return operations + rewrite + processes


def describe(lab: Lab) -> dict[str, Any]:
    """Return the lab as plain values for the diff."""
    return {
        "underlay": None
        if lab.underlay is None
        else {"mtu": lab.underlay.mtu, "addresses": list(lab.underlay.addresses)},
        "hosts": {
            name: None
            if host is None
            else {
                "hostname": host.hostname,
                "mtu": host.mtu,
                "addresses": list(host.addresses),
                "gateways": list(host.gateways),
                "hosts_file": host.hosts_file,
                "containers": host.containers,
                "guest": host.guest,
                "processes": {process: list(argv) for process, argv in host.running},
            }
            for name, host in lab.hosts.items()
        },
    }


def host_records(lab: Lab) -> list[dict[str, Any]]:
    """Return the hosts in the shape that an inventory is made from."""
    records = []
    for name, host in lab.hosts.items():
        addresses = [plain(address) for address in host.addresses] if host is not None else []
        records.append(
            {
                "name": name,
                "interface": LINK,
                "address": next((address for address in addresses if ":" not in address), ""),
                "ipv6_address": next((address for address in addresses if ":" in address), ""),
                "guest": host is not None and host.guest > 0,
                "processes": [process.name for process in lab.processes[name]],
            }
        )
    return records
