# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which leases a store lacks of those that it shall hold, and what stands against them.

Private to podnet.cni: may change in any release. Pure: no input or output.

Nothing is decided here in favour of one side: of two leases that contradict each other, both are named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Iterator, Sequence, Tuple

from ansible_collections.podnet.cni.plugins.module_utils._flannel import go_json, vtep
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Listing
from ansible_collections.podnet.cni.plugins.module_utils._stores.problems import owner, subnets


@dataclass(frozen=True, eq=False)
class _Item:
    """A lease that is to be written, or that the store holds; two are never equal."""

    lease: Lease
    new: bool


_Clash = Tuple[_Item, _Item, str]


def _public_key(lease: Lease) -> str:
    found = go_json.member(lease.backend_data, "PublicKey")
    return found if isinstance(found, str) else ""


# What tells hosts apart, apart from their subnets.
_IDENTITIES: Sequence[tuple[str, Callable[[Lease], Any]]] = (
    ("names the same public IP", lambda lease: lease.public_ip),
    ("names the same public IP", lambda lease: lease.public_ipv6),
    ("has the same VTEP MAC", lambda lease: vtep.published_mac(lease.backend_data)),
    ("has the same VTEP MAC", lambda lease: vtep.published_mac(lease.backend_v6_data)),
    ("has the same public key", _public_key),
)


def is_same(one: Lease, other: Lease) -> bool:
    """Whether two leases are one, whatever is left of them: somebody may renew it. A name may be unknown."""
    if one.name and other.name and one.name != other.name:
        return False
    return replace(one, ttl=None, name="") == replace(other, ttl=None, name="")


def lacking(wanted: Sequence[Lease], listing: Listing) -> list[Lease]:
    """Return those of C(wanted) that do not stand in the store."""
    stands = {_subnets(lease): lease for lease in listing.leases}
    return [lease for lease in wanted if _subnets(lease) not in stands or not is_same(lease, stands[_subnets(lease)])]


def conflicts(missing: Sequence[Lease], listing: Listing, misfit: Callable[[Lease], str], *, named: bool) -> list[str]:
    """Return everything that stands against writing C(missing), a line each, in their order.

    C(misfit) says why a lease does not fit the network. C(named) says that the store tells nodes apart by their names,
    and that their subnets cannot change.
    """
    found: dict[int, list[str]] = {id(lease): [] for lease in missing}
    for lease in missing:
        reason = misfit(lease)
        if reason:
            found[id(lease)].append(reason)
    for lease, reason in _names(missing, listing) if named else ():
        found[id(lease)].append(reason)
    # A Node that waits for its lease holds the subnet already.
    own = {(lease.name, _subnets(lease)) for lease in missing if named}
    waiting = [entry.lease for entry in listing.blocked if (entry.lease.name, _subnets(entry.lease)) not in own]
    items = [_Item(lease, True) for lease in missing] + [_Item(lease, False) for lease in [*listing.leases, *waiting]]
    for (mine, other), reasons in _pairs([*_overlaps(items), *_shared(items)]).items():
        found[id(mine.lease)].append(_told(mine.lease, other, reasons))
    return [f"{_what(lease)}: {reason}" for lease in missing for reason in found[id(lease)]]


def _names(missing: Sequence[Lease], listing: Listing) -> Iterator[tuple[Lease, str]]:
    nodes = {lease.name: lease for lease in listing.taken}
    seen: dict[str, Lease] = {}
    for lease in missing:
        if not lease.name:
            yield lease, "the name of its node is not known; give hosts, each with name and public_ip"
            continue
        other = seen.setdefault(lease.name, lease)
        if other is not lease:
            yield lease, f"{_what(other)} is of the same node"
        node = nodes.get(lease.name)
        if node is not None and _subnets(node) != _subnets(lease):
            yield lease, f"the podCIDR of Node {lease.name} is {subnets(node)}, which cannot change"


def _pairs(clashes: Sequence[_Clash]) -> dict[tuple[_Item, _Item], list[str]]:
    """What each two leases have in common; the first of them is to be written."""
    found: dict[tuple[_Item, _Item], list[str]] = {}
    for one, other, reason in clashes:
        first, second = (one, other) if one.new else (other, one)
        if first.new and reason not in found.setdefault((first, second), []):
            found[first, second].append(reason)
    return found


def _overlaps(items: Sequence[_Item]) -> Iterator[_Clash]:
    for family in ("subnet", "ipv6_subnet"):
        known = [(getattr(item.lease, family), item) for item in items if getattr(item.lease, family) is not None]
        known.sort(key=lambda pair: (int(pair[0].network_address), pair[0].prefixlen))
        around: list[tuple[Any, _Item]] = []
        for network, item in known:
            while around and not around[-1][0].overlaps(network):
                around.pop()
            if around:
                outer, other = around[-1]
                yield item, other, "has the same subnet" if outer == network else "overlaps it"
            around.append((network, item))


def _shared(items: Sequence[_Item]) -> Iterator[_Clash]:
    for words, value in _IDENTITIES:
        owners: dict[Any, _Item] = {}
        for item in items:
            found = value(item.lease)
            other = owners.setdefault(found, item) if found else item
            if other is not item:
                yield item, other, f"{words} {found}"


def _told(mine: Lease, other: _Item, reasons: Sequence[str]) -> str:
    there = other.lease
    if not other.new and _subnets(mine) == _subnets(there) and mine.public_ip == there.public_ip:
        return f"the store holds it with {_data(there)}, not {_data(mine)}"
    return f"{'' if other.new else 'in the store, '}{_what(there)} {' and '.join(reasons)}"


def _data(lease: Lease) -> str:
    shown = [lease.public_ipv6, lease.backend_type, lease.backend_data, lease.backend_v6_data]
    return " ".join(str(each) for each in shown if each) or "no backend"


def _subnets(lease: Lease) -> tuple[Any, Any]:
    return lease.subnet, lease.ipv6_subnet


def _what(lease: Lease) -> str:
    name = f" ({lease.name})" if lease.name else ""
    return f"lease {subnets(lease)} of {owner(lease)}{name}"
