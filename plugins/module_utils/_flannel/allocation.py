# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which subnet does a node get.

Private to podnet.cni: may change in any release.

The order of preference is flanneld's (flannel v0.28.9 pkg/subnet/etcd/local_manager.go tryAcquireLease and
allocateSubnet): the lease that already names the node's public IP, the subnet it had before, then one drawn from the
first hundred free ones. On top of that a subnet can be pinned, the draw can be seeded or follow the node's name, and a
whole list of nodes is decided at once without handing out anything twice.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Iterable, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig

CANDIDATES = 100
# A lease wider than this many blocks is kept as an interval instead of block by block.
_WIDE = 4096


@dataclass(frozen=True)
class Request:
    """What a node asks for: C(subnet) and C(ipv6_subnet) are pins, the previous ones mere wishes."""

    name: str
    public_ip: IPv4Address | None = None
    public_ipv6: IPv6Address | None = None
    subnet: IPv4Network | None = None
    ipv6_subnet: IPv6Network | None = None
    previous_subnet: IPv4Network | None = None
    previous_ipv6_subnet: IPv6Network | None = None


@dataclass(frozen=True)
class Decision:
    """What a node gets.

    C(reason) is C(reused) (its lease stays), C(pinned), C(previous) or C(allocated). C(lease) is the lease that
    stays, if one does; C(obsolete) are the node's leases that have to go.
    """

    request: Request
    subnet: IPv4Network | None
    ipv6_subnet: IPv6Network | None
    reason: str
    lease: Lease | None = None
    obsolete: tuple[Lease, ...] = ()


def is_compatible(config: NetworkConfig, subnet: IPv4Network | None, ipv6_subnet: IPv6Network | None) -> bool:
    """Tell whether a lease of these subnets fits the config (local_manager.go isSubnetConfigCompat)."""
    return _fits(4, config, subnet) and _fits(6, config, ipv6_subnet)


def allocate(
    config: NetworkConfig,
    leases: Sequence[Lease],
    requests: Sequence[Request],
    *,
    seed: int | None = None,
    choice: str = "random",
) -> list[Decision]:
    """Return a decision for each of C(requests), in their order, given the C(leases) that exist in key order.

    C(choice) C(random) draws as flanneld does, from C(seed) when one is given; C(by_name) starts at a place that
    depends on the node's name only, so that the same inventory gives the same subnets anywhere. Raises InputError for
    requests that contradict the config or one another, ConflictError for those that do not fit beside C(leases).
    Nothing is decided unless all is.
    """
    _check_requests(config, requests)
    owned = _leases_by_owner(leases)
    settled = [_settle(config, request, owned.get(_identity(config, request), ())) for request in requests]
    leaving = {id(lease) for _kept, obsolete in settled for lease in obsolete}
    staying = [lease for lease in leases if id(lease) not in leaving]
    picked4 = _pick_family(4, config, staying, requests, settled, seed=seed, choice=choice)
    picked6 = _pick_family(6, config, staying, requests, settled, seed=seed, choice=choice)
    return [
        Decision(
            request,
            subnet,
            ipv6_subnet,
            "reused" if kept is not None else _weakest(reason4, reason6),
            kept,
            obsolete,
        )
        for request, (kept, obsolete), (subnet, reason4), (ipv6_subnet, reason6) in zip(
            requests, settled, picked4, picked6
        )
    ]


def capacity(config: NetworkConfig) -> int:
    """Return how many nodes the network can serve: the smaller of both families where both are enabled."""
    return min(space.total for space in _spaces(config))


def free_subnets(config: NetworkConfig, leases: Iterable[Lease]) -> int:
    """Return how many more nodes can get a lease."""
    known = list(leases)
    counts = []
    for space in _spaces(config):
        for lease in known:
            space.take(lease.subnet if space.family == 4 else lease.ipv6_subnet)
        counts.append(space.free())
    return min(counts)


class _Space:
    """The blocks of one family between SubnetMin and SubnetMax, and which of them are taken."""

    def __init__(self, family: int, config: NetworkConfig) -> None:
        first, last, self.length = _bounds(family, config)
        self.family = family
        self._step = 1 << (_bits(family) - self.length)
        self._first = int(first)
        self.total = (int(last) - self._first) // self._step + 1
        # Taken block -> a later block from which to search on; paths are compressed as they are walked.
        self._next: dict[int, int] = {}
        self._taken: set[int] = set()
        self._wide: list[tuple[int, int]] = []

    def take(self, network: Any) -> None:
        """Mark every block that overlaps C(network) as taken."""
        if network is None:
            return
        low = max((int(network.network_address) - self._first) // self._step, 0)
        high = min((int(network.broadcast_address) - self._first) // self._step, self.total - 1)
        if high - low >= _WIDE:
            self._wide.append((low, high))
            return
        for index in range(low, high + 1):
            self._taken.add(index)
            self._next[index] = index + 1

    def is_free(self, network: Any) -> bool:
        """Tell whether C(network), a block of this space, is not taken."""
        index = (int(network.network_address) - self._first) // self._step
        return self.next_free(index) == index

    def next_free(self, index: int) -> int:
        """Return the first free block at or after C(index); C(total) when there is none."""
        walked = []
        while index < self.total:
            if index in self._next:
                walked.append(index)
                index = self._next[index]
                continue
            beyond = next((high + 1 for low, high in self._wide if low <= index <= high), None)
            if beyond is None:
                break
            index = beyond
        for step in walked:
            self._next[step] = index
        return min(index, self.total)

    def free(self) -> int:
        """Return the number of free blocks."""
        count, end = 0, -1
        for low, high in sorted(self._wide):
            count += max(high - max(low, end + 1) + 1, 0)
            end = max(end, high)
        alone = sum(1 for index in self._taken if not any(low <= index <= high for low, high in self._wide))
        return self.total - count - alone

    def block(self, index: int) -> Any:
        """Return block number C(index) as a network."""
        kind = IPv4Network if self.family == 4 else IPv6Network
        return kind((self._first + index * self._step, self.length))


class _Drawer:
    """Draws free blocks of a space: at random from the first hundred free ones, or by the node's name."""

    def __init__(self, space: _Space, seed: int | None, choice: str) -> None:
        self._space = space
        self._random = random.Random(seed)
        self._by_name = choice == "by_name"
        self._window: list[int] = []
        self._cursor = 0

    def draw(self, name: str) -> int | None:
        """Return a free block for the node C(name), C(None) when the space is exhausted. The caller takes it."""
        return self._draw_by_name(name) if self._by_name else self._draw_at_random()

    def _draw_by_name(self, name: str) -> int | None:
        digest = hashlib.sha256(f"podnet.cni subnet {self._space.family} {name}".encode()).digest()
        index = self._space.next_free(int.from_bytes(digest[:16], "big") % self._space.total)
        if index == self._space.total:
            index = self._space.next_free(0)
        return None if index == self._space.total else index

    def _draw_at_random(self) -> int | None:
        while len(self._window) < CANDIDATES:
            index = self._space.next_free(self._cursor)
            if index == self._space.total:
                break
            self._window.append(index)
            self._cursor = index + 1
        return self._window.pop(self._random.randrange(len(self._window))) if self._window else None


def _pick_family(
    family: int,
    config: NetworkConfig,
    staying: Sequence[Lease],
    requests: Sequence[Request],
    settled: Sequence[tuple[Lease | None, tuple[Lease, ...]]],
    *,
    seed: int | None,
    choice: str,
) -> list[tuple[Any, str]]:
    """Return (network, reason) for each request; pins go first, then wishes, then draws."""
    if not _enabled(family, config):
        return [(None, "")] * len(requests)
    space = _Space(family, config)
    for lease in staying:
        space.take(_subnet(family, lease))
    picked: list[tuple[Any, str]] = [(None, "")] * len(requests)
    open_places = []
    for place, (request, (kept, _obsolete)) in enumerate(zip(requests, settled)):
        pin = _pin(family, request)
        if kept is not None:
            picked[place] = (_subnet(family, kept), "reused")
        elif pin is not None:
            _check_pin_is_free(family, space, staying, request, pin)
            space.take(pin)
            picked[place] = (pin, "pinned")
        else:
            open_places.append(place)
    for place in open_places:
        wish = _wish(family, config, requests[place], settled[place][1])
        if wish is not None and space.is_free(wish):
            space.take(wish)
            picked[place] = (wish, "previous")
    drawer = _Drawer(space, seed, choice)
    for place in open_places:
        if picked[place][0] is not None:
            continue
        index = drawer.draw(requests[place].name)
        if index is None:
            raise ConflictError(
                f"{requests[place].name}: no free /{space.length} subnet is left in "
                f"{config.network if family == 4 else config.ipv6_network}, which holds {space.total}; release leases "
                "of nodes that are gone (flannel_lease_info lists them), or enlarge the network"
            )
        block = space.block(index)
        space.take(block)
        picked[place] = (block, "allocated")
    return picked


def _settle(config: NetworkConfig, request: Request, own: Sequence[Lease]) -> tuple[Lease | None, tuple[Lease, ...]]:
    """Return (the node's lease that stays or C(None), those of its leases that have to go)."""
    if request.subnet is not None or request.ipv6_subnet is not None:
        kept = next((lease for lease in own if _matches_pins(config, request, lease)), None)
        return kept, tuple(lease for lease in own if lease is not kept)
    obsolete: list[Lease] = []
    for lease in own:
        if is_compatible(config, lease.subnet, lease.ipv6_subnet):
            return lease, tuple(obsolete)
        obsolete.append(lease)
    return None, tuple(obsolete)


def _matches_pins(config: NetworkConfig, request: Request, lease: Lease) -> bool:
    return (
        is_compatible(config, lease.subnet, lease.ipv6_subnet)
        and request.subnet in (None, lease.subnet)
        and request.ipv6_subnet in (None, lease.ipv6_subnet)
    )


def _wish(family: int, config: NetworkConfig, request: Request, obsolete: Sequence[Lease]) -> Any:
    """Return the subnet the node would like back: the one it says, else that of a lease it has to give up."""
    said = request.previous_subnet if family == 4 else request.previous_ipv6_subnet
    wishes = [said] + [_subnet(family, lease) for lease in obsolete]
    return next((wish for wish in wishes if wish is not None and _fits(family, config, wish)), None)


def _check_pin_is_free(family: int, space: _Space, staying: Sequence[Lease], request: Request, pin: Any) -> None:
    if space.is_free(pin):
        return
    for lease in staying:
        subnet = _subnet(family, lease)
        if subnet is not None and subnet.overlaps(pin):
            raise ConflictError(
                f"{request.name}: pinned subnet {pin} overlaps the lease {subnet} of public IP "
                f"{lease.public_ip or lease.public_ipv6}; pin another subnet, or release that lease first"
            )


def _check_requests(config: NetworkConfig, requests: Sequence[Request]) -> None:
    names: dict[str, Request] = {}
    addresses: dict[Any, Request] = {}
    pins: dict[int, list[tuple[Any, Request]]] = {4: [], 6: []}
    for request in requests:
        if request.name in names:
            raise InputError(f"{request.name}: the node is listed twice; every node needs a name of its own")
        names[request.name] = request
        for address in _public_ips(config, request):
            if address in addresses:
                raise InputError(
                    f"{request.name}: public IP {address} is also that of {addresses[address].name}; flannel tells "
                    "nodes apart by it, so give each node an address of its own"
                )
            addresses[address] = request
        for family, found in pins.items():
            pin = _pin(family, request)
            if pin is not None:
                _check_pin(family, config, request, pin)
                found.append((pin, request))
    for found in pins.values():
        ordered = sorted(found, key=lambda item: int(item[0].network_address))
        for (pin, request), (next_pin, next_request) in zip(ordered, ordered[1:]):
            if pin.overlaps(next_pin):
                raise InputError(
                    f"{request.name} and {next_request.name}: their pinned subnets {pin} and {next_pin} overlap; "
                    "pin different ones"
                )


def _public_ips(config: NetworkConfig, request: Request) -> list[Any]:
    """Return the request's public IPs after checking that each enabled family has a usable one."""
    found = []
    for family, address, network, option in (
        (4, request.public_ip, config.network, "public_ip"),
        (6, request.public_ipv6, config.ipv6_network, "public_ipv6"),
    ):
        if not _enabled(family, config):
            continue
        if address is None:
            raise InputError(
                f"{request.name}: {option} is missing, but the network has IPv{family} enabled; "
                "name the node's address on the underlay"
            )
        if not _is_host(address):
            raise InputError(f"{request.name}: {option} {address} is not an address that peers could send to")
        if network is not None and address in network:
            raise InputError(
                f"{request.name}: {option} {address} lies inside the pod network {network}; "
                "the underlay needs a range of its own"
            )
        found.append(address)
    return found


def _is_host(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return 0 < int(address) >> 24 < 224 and not address.is_loopback
    # flanneld takes an address of ::/96 for an IPv4 one (flannel v0.28.9 pkg/ip/ip6net.go ToIP).
    return not address.is_multicast and int(address) >> 32 != 0 and address.ipv4_mapped is None


def _check_pin(family: int, config: NetworkConfig, request: Request, pin: Any) -> None:
    if not _enabled(family, config):
        raise InputError(f"{request.name}: subnet {pin} is pinned, but the network has IPv{family} disabled")
    if not _fits(family, config, pin):
        first, last, length = _bounds(family, config)
        raise InputError(
            f"{request.name}: pinned subnet {pin} does not fit the network; pin a /{length} from {first} to {last}"
        )


def _leases_by_owner(leases: Sequence[Lease]) -> dict[Any, list[Lease]]:
    owned: dict[Any, list[Lease]] = {}
    for lease in leases:
        identity = lease.public_ip or lease.public_ipv6
        if identity is not None:
            owned.setdefault(identity, []).append(lease)
    return owned


def _identity(config: NetworkConfig, request: Request) -> Any:
    # flanneld looks for its IPv4 address only; a network without IPv4 leaves the other one.
    return request.public_ip if config.enable_ipv4 else request.public_ipv6


def _fits(family: int, config: NetworkConfig, subnet: Any) -> bool:
    if not _enabled(family, config):
        return subnet is None
    if subnet is None:
        return False
    first, last, length = _bounds(family, config)
    return subnet.prefixlen == length and first <= subnet.network_address <= last


def _enabled(family: int, config: NetworkConfig) -> bool:
    return config.enable_ipv4 if family == 4 else config.enable_ipv6


def _bounds(family: int, config: NetworkConfig) -> tuple[Any, Any, int]:
    if family == 4:
        return config.subnet_min, config.subnet_max, config.subnet_len
    return config.ipv6_subnet_min, config.ipv6_subnet_max, config.ipv6_subnet_len


def _bits(family: int) -> int:
    return 32 if family == 4 else 128


def _spaces(config: NetworkConfig) -> list[_Space]:
    return [_Space(family, config) for family in (4, 6) if _enabled(family, config)]


def _subnet(family: int, lease: Lease) -> Any:
    return lease.subnet if family == 4 else lease.ipv6_subnet


def _pin(family: int, request: Request) -> Any:
    return request.subnet if family == 4 else request.ipv6_subnet


def _weakest(*reasons: str) -> str:
    order = ("allocated", "previous", "pinned")
    return next(reason for reason in order if reason in reasons)
