# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The hosts of the picture: whose lease is whose, which are silent, and how their kernels differ from the leases.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._flannel.addresses import parse_ip
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mapping, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import network_of, texts, written

HEARD, SILENT, LEFT_OUT = STATES = ("heard", "silent", "left_out")
OVERLAY, FLANNELD, POD = ("overlay", "flanneld", "pod")
"""What programs a host: this collection, a flanneld under systemd, or one in a pod of a cluster."""
DATAPLANE = "dataplane"
"""The part of a host that is not known where its kernel was not compared with the leases."""
FAMILIES = (4, 6)
SUBNET = {4: "subnet", 6: "ipv6_subnet"}
PUBLIC_IP = {4: "public_ip", 6: "public_ipv6"}
NOT_ASKED = "it is in the inventory and not among the hosts of this run"
OUTSIDE = "it has a lease and is not in the inventory: add it there, or name it in doctor_left_out"
NODE_OUTSIDE = "it is a Node and not in the inventory: add it there, or name it in doctor_left_out"
_PARTS = {"subnet_file": "file", "boot": "boot", "wireguard_key": "boot", "firewall": "firewall"}
"""Parts of a drift by those of flannel_dataplane; the kernel's and the bridge's are told by its operations."""
_ENTRY_KINDS = ("route", "neighbour", "FDB entry", "wireguard peer")


def hosts_of(gathered: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a host for each of the inventory and for each lease and Node that none of these holds, in a stable order.

    In a cluster a host of the inventory that is not a Node is none of its network. Each has name, state, reason, lease,
    public_ips and subnets (by family, "4" and "6"), mtu, peers, drift, not_known, addresses (of its link to the overlay
    and of a pod, by family).
    """
    leases = mappings(at(gathered, "store", "leases"))
    left_out = set(texts(gathered.get("left_out")))
    nodes = _nodes(gathered)
    given = {
        name: {**entry, "node": node_of(str(name), entry, nodes)} if nodes else entry
        for name, entry in (gathered.get("hosts") or {}).items()
        if not nodes or node_of(str(name), entry, nodes)
    }
    index = _index(leases)
    owned: dict[str, Mapping[str, Any]] = {}
    taken: set[int] = set()
    for name, entry in given.items():
        place = next((place for place in _places(str(name), entry, index) if place not in taken), None)
        if place is not None:
            owned[name] = leases[place]
            taken.add(place)
    # Of a store that is away the hosts' own files tell the subnets.
    alone = at(gathered, "store", "state") == "away"
    found = [_host(str(name), entry, owned.get(name), left_out, alone) for name, entry in given.items()]
    unasked = {
        address: str(name) for name, addresses in mapping(gathered, "unasked").items() for address in texts(addresses)
    }
    for place, lease in enumerate(leases):
        if place not in taken:
            addresses = [str(lease[key]) for key in PUBLIC_IP.values() if lease.get(key)]
            known_as = next((unasked[each] for each in addresses if each in unasked), "")
            name = known_as or str(lease.get("name") or "".join(addresses[:1]) or lease.get("subnet"))
            outside = {
                "reason": NOT_ASKED if known_as else OUTSIDE,
                "expected": "lease",
                "node": name if name in nodes else "",
            }
            found.append(_host(name, outside, lease, left_out))
    known = {host["node"] for host in found}
    for name in nodes:
        if name not in known:
            found.append(_host(name, {"reason": NODE_OUTSIDE, "expected": "node", "node": name}, None, left_out))
    _name_drift(found)
    return found


def _nodes(gathered: Mapping[str, Any]) -> list[str]:
    """The Linux Nodes of the cluster; none where no cluster was asked."""
    return [str(each.get("name")) for each in mappings(at(gathered, "cluster", "nodes")) if each.get("os") != "windows"]


def node_of(name: str, entry: Mapping[str, Any], nodes: Sequence[str]) -> str:
    """Return the Node of a host of the inventory, by its name there or by that which it is to have; "" for none."""
    return next((each for each in (str(entry.get("node_name") or ""), name) if each in nodes), "")


def own_leases(entries: Mapping[str, Mapping[str, Any]], leases: Any) -> dict[str, Mapping[str, Any]]:
    """Return the lease of each host, by its name, its public IP or the subnet that its subnet file names.

    C(entries) are what was gathered of each host, by its name. One that has no lease is left out.
    """
    found = mappings(leases)
    index = _index(found)
    places = {str(name): next(_places(str(name), entry, index), None) for name, entry in entries.items()}
    return {name: found[place] for name, place in places.items() if place is not None}


def _index(leases: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    """The places of leases by name, by public IP, and by subnet where they have no name."""
    index: dict[str, list[int]] = {}
    for place, lease in enumerate(leases):
        keys = [lease.get(key) for key in ("name", *PUBLIC_IP.values())]
        for key in {str(key) for key in [*keys, *([] if lease.get("name") else [lease.get("subnet")])] if key}:
            index.setdefault(key, []).append(place)
    return index


def _places(name: str, entry: Mapping[str, Any], index: Mapping[str, Sequence[int]]) -> Iterator[int]:
    """The places of leases that a host may hold, the surest first: of its name, its addresses, its subnet file.

    The subnet file counts only for a host of which no address is known: one whose address changed has to be found.
    """
    addresses = [*texts(entry.get("public_ips")), *texts(at(entry, "facts", "underlay", "addresses"))]
    own = written(mapping(entry, "facts"), 4)
    keys = [name, str(entry.get("node_name") or ""), *addresses]
    for key in keys if addresses or own is None else [*keys, str(own.network)]:
        yield from index.get(key, ())


def _host(
    name: str, entry: Mapping[str, Any], lease: Mapping[str, Any] | None, left_out: set[str], alone: bool = False
) -> dict[str, Any]:
    lease = lease or (_written(entry) if alone else {})
    has_lease = bool(lease) and not alone
    public_ips = {str(family): str(lease[PUBLIC_IP[family]]) for family in FAMILIES if lease.get(PUBLIC_IP[family])}
    facts = entry.get("facts")
    state = HEARD if isinstance(facts, Mapping) and facts else SILENT
    if {name, *public_ips.values()} & left_out:
        state = LEFT_OUT
    if not public_ips and state == HEARD:
        public_ips = {
            str(family): str(address)
            for family in FAMILIES
            for address in [at(facts, "underlay", PUBLIC_IP[family])]
            if address
        }
    compared, drift, unknown = _compared(entry, state)
    return {
        "name": name,
        "state": state,
        "reason": "" if state == HEARD else str(entry.get("reason") or "it gave no facts"),
        "expected_by": str(entry.get("expected") or "inventory"),
        "runs": POD if entry.get("node") else FLANNELD if "daemon" in entry else OVERLAY,
        "node": str(entry.get("node") or ""),
        "daemon": mapping(entry, "daemon"),
        "sidecar": mapping(entry, "sidecar"),
        "has_lease": has_lease,
        "gone": _gone(entry, public_ips) if has_lease else [],
        "public_ips": public_ips,
        "subnets": {str(family): str(lease[SUBNET[family]]) for family in FAMILIES if lease.get(SUBNET[family])},
        "mtu": at(entry, "dataplane", "mtu"),
        "peers": at(entry, "dataplane", "peers"),
        "compared": compared,
        "drift": drift,
        "not_known": unknown,
        "links": _links(entry),
        "pod": {str(parse_ip(address).version): address for address in texts(at(entry, "pod", "addresses"))},
    }


def _written(entry: Mapping[str, Any]) -> dict[str, str]:
    """The subnets that a host's subnet file names, as members of a lease."""
    found = {SUBNET[family]: written(mapping(entry, "facts"), family) for family in FAMILIES}
    return {key: str(own.network) for key, own in found.items() if own is not None}


def _gone(entry: Mapping[str, Any], public_ips: Mapping[str, str]) -> list[str]:
    """The public IPs of a lease that no link of its host has; none where its links are not known."""
    held = {
        text.split("/")[0] for link in mappings(at(entry, "facts", "links")) for text in texts(link.get("addresses"))
    }
    return [address for address in public_ips.values() if held and address not in held]


def _links(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The links to the overlay; what leads into it without one (backend host-gw) has none."""
    return [
        {
            "name": str(link.get("name")),
            "kind": str(link.get("kind")),
            "up": bool(link.get("up")),
            "mtu": link.get("mtu"),
            "addresses": [text.split("/")[0] for text in texts(link.get("addresses"))],
        }
        for link in mappings(entry.get("links"))
    ]


def _compared(entry: Mapping[str, Any], state: str) -> tuple[bool, list[dict[str, Any]], list[dict[str, str]]]:
    """Whether the kernel was compared with the leases, how it differs, and what could not be looked at."""
    plane = entry.get("dataplane")
    unknown = [{"part": part, "reason": str(reason)} for part, reason in mapping(entry, "not_known").items()]
    if not isinstance(plane, Mapping) or "parts" not in plane:
        reason = str(at(plane, "msg") or at(plane, "reason") or "no lease or network config to compare with")
        return False, [], [*unknown, {"part": DATAPLANE, "reason": reason}] if state == HEARD else unknown
    known = set()
    drift = []
    for operation in mappings(plane.get("operations")):
        known.add(str(operation.get("text")))
        # A container that is not privileged cannot set it, and flanneld ignores the error.
        if operation.get("attribute") == "accept_ra" and entry.get("node"):
            continue
        drift.append(
            {
                "part": "peer" if operation.get("kind") in _ENTRY_KINDS else "link",
                "action": str(operation.get("action")),
                "kind": str(operation.get("kind")),
                "attribute": str(operation.get("attribute") or ""),
                "family": operation.get("family"),
                "addresses": texts(operation.get("addresses")),
                "mac": str(operation.get("mac") or ""),
                "peer": "",
                "text": str(operation.get("text")),
            }
        )
    for part, lines in mapping(plane, "parts").items():
        drift += [
            {
                "part": _PARTS.get(part, "peer"),
                # Where the kernel has too many operations to list them, they concern peers: links are never that many.
                "kind": _PARTS.get(part, "peers"),
                "action": text.split(" ", 1)[0],
                "attribute": "",
                "family": None,
                "addresses": [],
                "mac": "",
                "peer": "",
                "text": text,
            }
            for text in texts(lines)
            if text not in known
        ]
    return True, drift, unknown


def _name_drift(found: Sequence[dict[str, Any]]) -> None:
    """Say of each operation on an entry which peer it is for."""
    networks = [
        (network, host["name"])
        for host in found
        for network in map(network_of, host["subnets"].values())
        if network is not None
    ]
    publics = {address: host["name"] for host in found for address in host["public_ips"].values()}
    for host in found:
        for operation in host["drift"]:
            if operation["part"] == "peer":
                operation["peer"] = _peer(operation["addresses"], networks, publics)


def _peer(addresses: Sequence[str], networks: Sequence[tuple[Any, str]], publics: Mapping[str, str]) -> str:
    """The host whose subnet or public IP an operation concerns, or ""."""
    for address in addresses:
        if address in publics:
            return publics[address]
        network = network_of(address)
        for subnet, name in networks if network is not None else ():
            if subnet.version == network.version and network.subnet_of(subnet):
                return name
    return ""
