# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be written so that etcd and the Nodes of a cluster hold the same leases while hosts move between them.

Private to podnet.cni: may change in any release. Pure: no input or output.

Nothing is remembered between runs. The plan follows from what both stores hold and from the store that each host's
flanneld uses now, so a run that was interrupted anywhere is planned anew and ends in the same state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Callable, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses
from ansible_collections.podnet.cni.plugins.module_utils._flannel.backend_options import SECRET_OPTIONS
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._stores import configs, restore_plan
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Listing
from ansible_collections.podnet.cni.plugins.module_utils._stores.problems import owner, subnets

ETCD = "etcd"
KUBERNETES = "kubernetes"
OTHER = {ETCD: KUBERNETES, KUBERNETES: ETCD}
NAMES = {ETCD: "etcd", KUBERNETES: "the cluster"}

SET_POD_CIDR = "set_pod_cidr"
WRITE = "write"
KEEP = "keep"
# From here on a flanneld takes its VTEP MAC from its Node when it starts (flannel v0.24.1 pkg/backend/vxlan/vxlan.go).
OLDEST = (0, 24, 1)
_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Host:
    """A host of the migration: its Node's name, the subnets that it uses, and the store of its flanneld.

    C(store) is empty for a host without an agent. C(release) is what its flanneld says, empty where nobody asked.
    """

    name: str
    subnet: Any = None
    ipv6_subnet: Any = None
    store: str = ""
    release: str = ""

    @property
    def subnets(self) -> tuple[Any, Any]:
        """Both subnets."""
        return self.subnet, self.ipv6_subnet


@dataclass(frozen=True)
class Stores:
    """What both stores hold. C(nodes) has the pod CIDRs of every Node by its name, (None, None) for one without."""

    etcd: Listing
    kubernetes: Listing
    nodes: Mapping[str, tuple[Any, Any]]

    def listing(self, store: str) -> Listing:
        """The leases of one of them."""
        return self.etcd if store == ETCD else self.kubernetes

    def find(self, store: str, host: Host) -> Lease | None:
        """The lease of C(host), by its name in the cluster, and by its subnets in etcd."""
        for lease in self.listing(store).leases:
            if lease.name == host.name if store == KUBERNETES else (lease.subnet, lease.ipv6_subnet) == host.subnets:
                return replace(lease, name=host.name)
        return None


@dataclass(frozen=True)
class Operation:
    """One change: C(action) is SET_POD_CIDR, WRITE, or KEEP, which takes the end from a lease in etcd."""

    action: str
    store: str
    lease: Lease

    @property
    def text(self) -> str:
        """The change for people."""
        what = subnets(self.lease)
        if self.action == SET_POD_CIDR:
            return f"set podCIDR {what} of Node {self.lease.name}"
        if self.action == KEEP:
            return f"lease {what} of {self.lease.name} in etcd: keep it although nobody renews it"
        return f"lease {what} of {self.lease.name} to {NAMES[self.store]}"


@dataclass(frozen=True)
class Plan:
    """The changes in their order, and all that stands against them, a line each."""

    operations: Sequence[Operation]
    problems: Sequence[str]


def parse_hosts(items: Sequence[Mapping[str, Any]]) -> list[Host]:
    """Return the checked hosts. Raises InputError, which names the host, for what cannot be read, and for two alike."""
    if not items:
        raise InputError("hosts is empty; give every host of the network")
    hosts = [_parse_host(item, f"hosts[{number}] ({item['name']})") for number, item in enumerate(items)]
    seen: dict[Any, Host] = {}
    for host in hosts:
        for value in (host.name, *filter(None, host.subnets)):
            other = seen.setdefault(value, host)
            if other is not host:
                raise InputError(
                    f"hosts {other.name} and {host.name} have {value} both; give each host its own name and subnet, "
                    "and list it once"
                )
    return hosts


def plan(
    hosts: Sequence[Host],
    stores: Stores,
    to: str,
    misfit: Mapping[str, Callable[[Lease], str]],
    *,
    leave: Sequence[Any] = (),
    create_nodes: bool = False,
) -> Plan:
    """Return what makes both stores hold the leases of C(hosts), and what stands against it.

    A lease is right where the host's flanneld wrote it. C(to) is the store that hosts move to, C(misfit) says for each
    store why a lease does not fit its network. C(leave) are subnets of leases that nobody takes along.
    """
    if is_emptied(hosts, stores, to):
        return Plan([], [])
    found: list[str] = []
    wanted: dict[str, list[Lease]] = {ETCD: [], KUBERNETES: []}
    operations: list[Operation] = []
    for host in hosts:
        lease, problem = _right(host, stores, to)
        if lease is None:
            found.append(problem)
            continue
        if host.store == KUBERNETES:
            operations += _keep(host, stores)
        for store in (ETCD, KUBERNETES):
            if store != host.store and not _stands(lease, stores.find(store, host)):
                wanted[store].append(lease)
        if host.store == ETCD and to == KUBERNETES:
            found += _too_old(host)
    found += _unknown(hosts, stores, OTHER[to], leave)
    impossible = {lease.name: problem for lease in wanted[KUBERNETES] for problem in _node(lease, stores, create_nodes)}
    found += impossible.values()
    wanted[KUBERNETES] = [lease for lease in wanted[KUBERNETES] if lease.name not in impossible]
    for store in (ETCD, KUBERNETES):
        found += restore_plan.conflicts(
            wanted[store],
            _without(stores.listing(store), wanted[store], store),
            misfit[store],
            named=store == KUBERNETES,
        )
    operations += [
        Operation(SET_POD_CIDR, KUBERNETES, one) for one in wanted[KUBERNETES] if _lacks_pod_cidr(one, stores)
    ]
    # The store that hosts move to comes first.
    operations += [Operation(WRITE, store, lease) for store in (to, OTHER[to]) for lease in wanted[store]]
    return Plan(operations, found)


def is_emptied(hosts: Sequence[Host], stores: Stores, to: str) -> bool:
    """Whether all is done: the new store has every lease, the old one none of them, and no flanneld is left there."""
    for host in hosts:
        lease = stores.find(to, host)
        if host.store not in ("", to) or lease is None or stores.find(OTHER[to], host) is not None:
            return False
        if (lease.subnet, lease.ipv6_subnet) != host.subnets:
            return False
    return True


def emptying(hosts: Sequence[Host], stores: Stores, to: str) -> tuple[list[Lease], list[str]]:
    """Return the leases of C(hosts) that can be taken from the store that they left, and what stands against it."""
    old = OTHER[to]
    leases, found = [], []
    for host in hosts:
        lease, stands = stores.find(old, host), stores.find(to, host)
        if host.store == old:
            found.append(f"{host.name} still runs with {NAMES[old]}, and would lose its lease")
        elif stands is None:
            found.append(f"{host.name} has no lease in {NAMES[to]}")
        elif lease is not None and not _stands(stands, lease):
            found.append(f"the lease of {host.name} in {NAMES[old]} is not the one in {NAMES[to]}")
        elif lease is not None:
            leases.append(lease)
    return leases, found


def config_problems(etcd: NetworkConfig, kubernetes: NetworkConfig) -> list[str]:
    """Return in which members the network configs differ; of a secret only that it does."""
    found = configs.differences(etcd, kubernetes, handed_out=False)
    mine, theirs = etcd.backend.options, kubernetes.backend.options
    secrets = [name for name in SECRET_OPTIONS if (mine.get(name) or None) != (theirs.get(name) or None)]
    return [*found, *(f"Backend.{name} is not the same" for name in sorted(secrets))]


def _parse_host(item: Mapping[str, Any], where: str) -> Host:
    found: dict[str, Any] = {}
    for option, version in (("subnet", 4), ("ipv6_subnet", 6)):
        text = item.get(option)
        if text:
            try:
                # As the subnet file has it: the address of the host's bridge with the prefix length.
                found[option] = addresses.parse_cidr(text)
            except ValueError as error:
                raise InputError(f"{where}: {option} {text!r} is not a subnet: {error}") from error
            if found[option].version != version:
                raise InputError(f"{where}: {option} {text!r} is not of IPv{version}")
    if not found:
        raise InputError(
            f"{where}: it has no subnet, so nobody knows which lease is its own; start its network, so that its subnet "
            "file is written, or leave the host out"
        )
    return Host(item["name"], store=item.get("store") or "", release=item.get("release") or "", **found)


def _right(host: Host, stores: Stores, to: str) -> tuple[Lease | None, str]:
    """The lease as it is right, or why nobody can tell."""
    found = {store: stores.find(store, host) for store in (ETCD, KUBERNETES)}
    if host.store:
        lease = found[host.store]
        if lease is None:
            return None, (
                f"{host.name} runs with {NAMES[host.store]}, which has no lease of {_text(host)} for it; look into the "
                "log of its flanneld, and let it work before hosts are moved"
            )
        if (lease.subnet, lease.ipv6_subnet) != host.subnets:
            return None, (
                f"{host.name} uses {_text(host)}, and its lease in {NAMES[host.store]} is {subnets(lease)}; restart "
                "its flanneld, so that both are one"
            )
        return lease, ""
    old, new = found[OTHER[to]], found[to]
    if old is None and new is None:
        return None, f"{host.name} has no agent, and neither store has a lease of {_text(host)}; run podnet.cni.overlay"
    if old is not None and new is not None and not _stands(old, new):
        return None, (
            f"{host.name} has no agent, and its leases differ: {_told(old)} in {NAMES[OTHER[to]]}, {_told(new)} in "
            f"{NAMES[to]}. Release the one that is wrong with flannel_lease, state=absent"
        )
    return old or new, ""


def _stands(lease: Lease, there: Lease | None) -> bool:
    return there is not None and restore_plan.is_same(lease, there)


def _keep(host: Host, stores: Stores) -> Iterator[Operation]:
    """etcd forgets after a day what no flanneld renews there."""
    there = stores.find(ETCD, host)
    if there is not None and there.ttl is not None and _stands(there, stores.find(KUBERNETES, host)):
        yield Operation(KEEP, ETCD, there)


def _unknown(hosts: Sequence[Host], stores: Stores, old: str, leave: Sequence[Any]) -> Iterator[str]:
    known = {host.subnets for host in hosts}
    names = {host.name for host in hosts}
    for lease in stores.listing(old).leases:
        own = (lease.subnet, lease.ipv6_subnet)
        if own in known or lease.name in names or set(own) & set(leave):
            continue
        yield (
            f"{NAMES[old]} has lease {_told(lease)}, which is none of the hosts'. Give its host, release it with "
            "flannel_lease and state=absent, or leave it behind with leave"
        )


def _node(lease: Lease, stores: Stores, create_nodes: bool) -> Iterator[str]:
    if lease.name not in stores.nodes:
        if not create_nodes:
            yield (
                f"the cluster has no Node {lease.name}. Let its kubelet register one, correct the name, or let Nodes "
                "be made for hosts without a kubelet with create_nodes"
            )
        return
    has = stores.nodes[lease.name]
    if has not in ((None, None), (lease.subnet, lease.ipv6_subnet)):
        shown = " and ".join(str(each) for each in has if each is not None)
        yield (
            f"Node {lease.name} has podCIDR {shown}, and the host uses {subnets(lease)}; a podCIDR cannot be changed. "
            f"Delete the Node and let it register again, without a podCIDR, which is then set to {subnets(lease)}; or "
            f"lease the host {shown} in etcd beforehand (flannel_lease with subnet), and start its pods anew; or leave "
            "the host out"
        )


def _lacks_pod_cidr(lease: Lease, stores: Stores) -> bool:
    return stores.nodes.get(lease.name) == (None, None)


def _without(listing: Listing, wanted: Sequence[Lease], store: str) -> Listing:
    """The listing without the leases that are written anew for the host that has them."""

    def whose(lease: Lease) -> tuple[Any, Any, Any]:
        return lease.name if store == KUBERNETES else lease.public_ip, lease.subnet, lease.ipv6_subnet

    same = {whose(lease) for lease in wanted}
    return replace(listing, entries=tuple(entry for entry in listing.entries if whose(entry.lease) not in same))


def _too_old(host: Host) -> Iterator[str]:
    found = _RELEASE.search(host.release)
    if found is not None and tuple(map(int, found.groups())) < OLDEST:
        yield (
            f"{host.name} runs flanneld {found.group()}, which does not take its VTEP MAC from its Node; update it to "
            f"v{'.'.join(map(str, OLDEST))} or newer with podnet.cni.flanneld"
        )


def _told(lease: Lease) -> str:
    named = f" ({lease.name})" if lease.name else ""
    return f"{subnets(lease)} of {owner(lease)}{named} with {lease.backend_data or lease.backend_type or 'no backend'}"


def _text(host: Host) -> str:
    return " and ".join(str(each) for each in host.subnets if each is not None)
