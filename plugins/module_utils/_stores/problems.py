# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with the leases of a network, and which of them a new network config would strand.

Private to podnet.cni: may change in any release. Pure: no input or output.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterator, Mapping, Sequence, Tuple

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, go_json, vtep
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import is_compatible
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease_harm import HANGS, STALLS, Harm, harm
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Entry, Listing, Problem
from ansible_collections.podnet.cni.plugins.module_utils._stores.nodes import backend_type

# A host that a lease should belong to: its addresses and, where known, its name.
Host = Tuple[Tuple[Any, ...], str]


def parse_hosts(items: Sequence[Any] | None) -> list[Host] | None:
    """Return the hosts of option C(hosts): addresses, or mappings with public_ip, public_ipv6 and name.

    None stays None: nobody said which hosts exist.
    """
    return None if items is None else [_parse_host(item, index) for index, item in enumerate(items)]


def with_names(leases: Sequence[Lease], hosts: Sequence[Host] | None) -> list[Lease]:
    """Return C(leases) with the names that C(hosts) have for their public IPs; others keep theirs."""
    names = {address: name for addresses, name in hosts or () for address in addresses}
    return [replace(one, name=names.get(one.public_ip or one.public_ipv6) or one.name) for one in leases]


def find_problems(
    listing: Listing,
    config: NetworkConfig | None,
    hosts: Sequence[Host] | None,
    expiring_within: int,
) -> list[Problem]:
    """Return everything in C(listing) that a person should look at, in a stable order.

    Without C(config) leases are not compared with the network, without C(hosts) no lease is an orphan. Leases with
    fewer than C(expiring_within) seconds left are expiring soon.
    """
    leases = listing.leases
    problems = [] if config is None else list(_harmful(listing, config))
    problems.extend(listing.problems)
    problems.extend(_shared_addresses(leases))
    problems.extend(_overlaps(listing))
    problems.extend(_shared_macs(leases))
    if config is not None:
        problems.extend(_misfits(leases, config))
    if hosts is not None:
        problems.extend(_orphans(leases, hosts))
    problems.extend(_expiring(leases, expiring_within))
    return problems


def harmful(listing: Listing, config: NetworkConfig) -> list[tuple[Entry, Harm]]:
    """Return the leases that hang or stall every running flanneld of this network, the worst first."""
    found = [(entry, harm(config, entry.key, entry.value)) for entry in listing.entries]
    return sorted(((entry, one) for entry, one in found if one is not None), key=lambda item: item[1].kind)


def _harmful(listing: Listing, config: NetworkConfig) -> Iterator[Problem]:
    effects = {
        HANGS: "Every flanneld of the network handles no change any more, and none after a restart",
        STALLS: "Every flanneld of the network stands still for a minute when this lease is written or read",
    }
    for entry, found in harmful(listing, config):
        yield Problem(
            found.kind,
            entry.key,
            f"lease {subnets(entry.lease)} of {owner(entry.lease)}: {found.reason}. {effects[found.kind]}",
            "release it with flannel_lease, state absent, by its subnet, then restart the flannelds; see who writes it",
        )


def misfit(config: NetworkConfig, lease: Lease) -> str:
    """Return why C(lease) does not fit C(config), empty when it does."""
    if not is_compatible(config, lease.subnet, lease.ipv6_subnet):
        return f"its subnet {subnets(lease)} is not one that the network hands out"
    for subnet, length, bits in (
        (lease.subnet, config.subnet_len, 32),
        (lease.ipv6_subnet, config.ipv6_subnet_len, 128),
    ):
        if subnet is not None and int(subnet.network_address) % (1 << (bits - length)):
            return f"its subnet {subnet} does not start on a /{length} boundary"
    expected = backend_type(config)
    if lease.backend_type != expected:
        return f"its backend is {lease.backend_type or 'not named'}, but that of the network is {config.backend.type}"
    vni = config.backend.options.get("VNI")
    for data in (lease.backend_data, lease.backend_v6_data):
        published = go_json.member(data, "VNI")
        if vni is not None and published is not None and published != vni:
            return f"its VNI is {published}, but that of the network is {vni}"
    return ""


def stranded(leases: Sequence[Lease], before: NetworkConfig | None, after: NetworkConfig) -> list[tuple[Lease, str]]:
    """Return the leases that fit C(before) and would not fit C(after), each with the reason."""
    found = []
    for lease in leases:
        reason = misfit(after, lease)
        if reason and (before is None or not misfit(before, lease)):
            found.append((lease, reason))
    return found


def subnets(lease: Lease) -> str:
    """Return the lease's subnets for a message."""
    known = [str(subnet) for subnet in (lease.subnet, lease.ipv6_subnet) if subnet is not None]
    return " and ".join(known) or "of a subnet yet to be assigned"


def _key(lease: Lease) -> str:
    return str(lease.subnet or lease.ipv6_subnet)


def owner(lease: Lease) -> str:
    """Return whose lease it is for a message."""
    address = lease.public_ip or lease.public_ipv6
    return f"public IP {address}" if address is not None else "nobody (no public IP)"


def _parse_host(item: Any, index: int) -> Host:
    where = f"hosts[{index}]"
    if isinstance(item, Mapping):
        name = str(item.get("name") or "")
        texts = [item[key] for key in ("public_ip", "public_ipv6") if item.get(key)]
        where = f"{where} ({name})" if name else where
    else:
        name, texts = "", [item]
    if not texts:
        raise InputError(f"{where}: public_ip is missing; give the address that the host's lease names")
    return tuple(_address(text, where) for text in texts), name


def _address(text: Any, where: str) -> Any:
    try:
        return addresses.parse_ip(str(text))
    except ValueError as error:
        raise InputError(f"{where}: {text!r} is not an IP address: {error}") from error


def _shared_addresses(leases: Sequence[Lease]) -> Iterator[Problem]:
    for option in ("public_ip", "public_ipv6"):
        groups: dict[Any, list[Lease]] = {}
        for lease in leases:
            address = getattr(lease, option)
            if address is not None:
                groups.setdefault(address, []).append(lease)
        for address, group in groups.items():
            if len(group) > 1 and not (option == "public_ipv6" and len({lease.public_ip for lease in group}) == 1):
                yield Problem(
                    "duplicate_public_ip",
                    str(address),
                    f"{len(group)} leases name public IP {address}: {', '.join(subnets(lease) for lease in group)}. "
                    f"flanneld uses the first only",
                    "release those that the host does not use with flannel_lease, state absent, by their subnet",
                )


def _overlaps(listing: Listing) -> Iterator[Problem]:
    for family in ("subnet", "ipv6_subnet"):
        taken = [lease for lease in listing.taken if getattr(lease, family) is not None]
        taken.sort(key=lambda lease: _span(getattr(lease, family)))
        widest: Lease | None = None
        for lease in taken:
            network = getattr(lease, family)
            if widest is not None and getattr(widest, family).overlaps(network):
                yield Problem(
                    "overlap",
                    str(network),
                    f"lease {network} of {owner(lease)} overlaps lease {getattr(widest, family)} of {owner(widest)}",
                    "release one of them with flannel_lease, state absent, and give that host a new lease",
                )
            if widest is None or network.broadcast_address > getattr(widest, family).broadcast_address:
                widest = lease


def _span(network: Any) -> tuple[int, int]:
    return int(network.network_address), network.prefixlen


def _shared_macs(leases: Sequence[Lease]) -> Iterator[Problem]:
    for option in ("backend_data", "backend_v6_data"):
        groups: dict[str, list[Lease]] = {}
        for lease in leases:
            mac = vtep.published_mac(getattr(lease, option))
            if mac:
                groups.setdefault(mac, []).append(lease)
        for mac, group in groups.items():
            if len({lease.public_ip or lease.public_ipv6 for lease in group}) > 1:
                yield Problem(
                    "duplicate_vtep_mac",
                    mac,
                    f"{len(group)} hosts name VTEP MAC {mac}: {', '.join(owner(lease) for lease in group)}. Their "
                    f"peers can reach only one of them",
                    "give each node its own with flannel_lease, option vtep_mac; cloned hosts may share their names",
                )


def _misfits(leases: Sequence[Lease], config: NetworkConfig) -> Iterator[Problem]:
    for lease in leases:
        reason = misfit(config, lease)
        if reason:
            yield Problem(
                "misfit",
                _key(lease),
                f"lease {subnets(lease)} of {owner(lease)} does not fit the network config: {reason}",
                "give the host a new lease with flannel_lease, or release this one if the host is gone",
            )


def _orphans(leases: Sequence[Lease], hosts: Sequence[Host]) -> Iterator[Problem]:
    known = {address for addresses, _name in hosts for address in addresses}
    names = {name for _addresses, name in hosts if name}
    for lease in leases:
        # A Node may publish an address that its host does not have (public-ip-overwrite). Leases in etcd have no name.
        if lease.name in names:
            continue
        if lease.public_ip not in known and lease.public_ipv6 not in known:
            yield Problem(
                "orphan",
                _key(lease),
                f"lease {subnets(lease)} of {owner(lease)} belongs to none of the {len(hosts)} given hosts",
                "release it with flannel_lease, state absent, if the host is gone; its subnet is taken until then",
            )


def _expiring(leases: Sequence[Lease], within: int) -> Iterator[Problem]:
    for lease in leases:
        if lease.ttl is not None and lease.ttl < within:
            yield Problem(
                "expiring",
                _key(lease),
                f"lease {subnets(lease)} of {owner(lease)} expires in {lease.ttl} s",
                "see why its host does not renew it, or renew it with flannel_lease and ttl",
            )
