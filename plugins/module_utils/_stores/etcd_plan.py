# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From decisions to what has to be written to etcd.

Private to podnet.cni: may change in any release. Pure: no input or output.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import vtep
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import (
    Lease,
    decode,
    decode_key,
    encode_key,
    encode_value,
)
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease_harm import harm
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._stores import etcd_json
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    CREATED,
    UNCHANGED,
    UPDATED,
    Entry,
    Granted,
    Problem,
    Want,
)

# A lease is renewed once less than this share of its lifetime is left.
RENEW_MARGIN = 0.5


@dataclass(frozen=True)
class Step:
    """One request's share of the work: put C(value) under C(key), which stands at C(version), and delete C(deletes)."""

    key: str
    value: str
    version: int
    deletes: tuple[Entry, ...]
    granted: Granted

    @property
    def is_write(self) -> bool:
        """Whether there is anything to do."""
        return self.granted.done != UNCHANGED or bool(self.deletes)

    @property
    def size(self) -> int:
        """The number of operations in a transaction."""
        return 1 + len(self.deletes)


class Keys:
    """The keys of one network: C(<prefix>/config) and everything flanneld reads leases from.

    flanneld lists C(<prefix>/subnets) as a bare prefix (flannel v0.28.9 pkg/subnet/etcd/registry.go getSubnets), so
    keys beside the C(subnets/) directory count too.
    """

    def __init__(self, prefix: str) -> None:
        self.config = f"{prefix}/config"
        self.first = f"{prefix}/subnets"
        self.end = etcd_json.end_of_prefix(self.first)
        self.directory = f"{self.first}/"

    def of(self, lease: Lease) -> str:
        """Return the key of C(lease); raises InputError for one that flanneld could not read."""
        return self.directory + encode_key(lease)

    def tail(self, key: str) -> str:
        """Return what stands behind the directory in C(key), or behind C(subnets) when it lies beside it."""
        return key[len(self.directory if key.startswith(self.directory) else self.first) :]


def read_entry(keys: Keys, pair: Mapping[str, Any]) -> tuple[Entry | None, Entry | None, Problem | None]:
    """Return (lease, blocked subnet, problem) for a key-value C(pair) of the gateway; any of them may be None."""
    key = etcd_json.decode_key(pair["key"])
    value = etcd_json.decode_value(pair.get("value", ""))
    version, handle = int(pair.get("mod_revision", 0)), int(pair.get("lease", 0))
    tail = keys.tail(key)
    try:
        lease = decode(tail, value)
    except InputError as error:
        subnets = decode_key(tail)
        if subnets is None:
            return None, None, _unreadable_key(key)
        blocked = Entry(key, value, Lease(subnets[0], subnets[1]), version, handle)
        return None, blocked, _unreadable_value(key, str(error))
    problem = None if _is_regular(keys, key, lease) else _irregular_key(key, lease)
    return Entry(key, value, lease, version, handle), None, problem


def check_round_trip(tail: str, value: str, lease: Lease) -> None:
    """Raise InputError unless C(tail) and C(value) read back as C(lease)."""
    if decode(tail, value) != replace(lease, ttl=None, name=""):
        raise InputError(f"lease {tail}: {value} would not be read back as it was meant; nothing was written")


def check_harmless(config: NetworkConfig, steps: Iterable[Step]) -> None:
    """Raise InputError for a lease to be written that the flannelds of this network read and cannot stand."""
    for step in steps:
        found = harm(config, step.key, step.value) if step.is_write else None
        if found is not None:
            granted = step.granted
            raise InputError(
                f"lease {granted.lease.subnet or granted.lease.ipv6_subnet} of {granted.decision.request.name} would "
                f"stop every running flanneld: {found.reason}. Nothing was written; give the network another range "
                "with flannel_network, or narrow it with SubnetMin and SubnetMax"
            )


def plan(
    keys: Keys,
    entries: Sequence[Entry],
    decisions: Sequence[Decision],
    want: Want,
    *,
    ttl: int | None,
    remaining: Mapping[int, int],
) -> list[Step]:
    """Return one step for each decision, in order. C(remaining) holds the seconds left of each known etcd lease.

    Raises ConflictError for a lease to be written whose VTEP MAC another host's lease has.
    """
    by_lease = {id(entry.lease): entry for entry in entries}
    by_key = {entry.key: entry for entry in entries}
    leases = [want(decision, decision.lease or next(iter(decision.obsolete), None)) for decision in decisions]
    targets = [keys.of(lease) for lease in leases]
    put = set(targets)
    steps = []
    for decision, lease, key in zip(decisions, leases, targets):
        value = encode_value(lease)
        there = by_key.get(key)
        kept = by_lease[id(decision.lease)] if decision.lease is not None else None
        gone = [by_lease[id(old)] for old in decision.obsolete]
        if kept is not None and kept.key != key:
            gone.append(kept)
        deletes = tuple(entry for entry in gone if entry.key not in put)
        same_key = kept if kept is not None and kept.key == key else None
        done, reason = _compare(same_key, lease, ttl, remaining)
        left = remaining.get(there.handle) if there is not None and done == UNCHANGED else ttl
        if done != UNCHANGED:
            check_round_trip(keys.tail(key), value, lease)
        granted = Granted(
            decision=decision,
            lease=replace(lease, ttl=left, name=decision.request.name),
            done=done,
            reason=reason or decision.reason,
            before=None if there is None else replace(there.lease, ttl=remaining.get(there.handle)),
            released=tuple(entry.lease for entry in deletes),
        )
        steps.append(Step(key, value, 0 if there is None else there.version, deletes, granted))
    _check_macs(entries, steps)
    return steps


def batches(steps: Iterable[Step]) -> Iterator[list[Step]]:
    """Yield C(steps) in groups that fit into one transaction; those that free subnets come first."""
    batch: list[Step] = []
    room = etcd_json.MAX_BATCH_OPS
    for step in sorted(steps, key=lambda step: not step.deletes):
        if step.size > room and batch:
            yield batch
            batch, room = [], etcd_json.MAX_BATCH_OPS
        batch.append(step)
        room -= step.size
    if batch:
        yield batch


def transaction(keys: Keys, batch: Sequence[Step], handle: int, revision: int, config_version: int) -> dict[str, Any]:
    """Return the transaction that does C(batch) if neither leases nor config changed since C(revision).

    Comparing the whole range catches what per-key comparisons cannot: an overlapping subnet of another size, and a
    second subnet for the same public IP.
    """
    compare = [
        etcd_json.nothing_newer(keys.first, keys.end, revision),
        etcd_json.unchanged(keys.config, config_version),
    ]
    success = []
    for step in batch:
        compare.append(etcd_json.unchanged(step.key, step.version))
        success.append(etcd_json.put(step.key, step.value, handle))
        for entry in step.deletes:
            compare.append(etcd_json.unchanged(entry.key, entry.version))
            success.append(etcd_json.delete(entry.key))
    return etcd_json.transaction(compare, success)


def is_fresh(ttl: int, left: int | None) -> bool:
    """Whether a lease with C(left) seconds of C(ttl) needs no renewal yet."""
    return left is not None and left >= ttl * RENEW_MARGIN


def _compare(kept: Entry | None, lease: Lease, ttl: int | None, remaining: Mapping[int, int]) -> tuple[str, str]:
    if kept is None:
        return CREATED, ""
    if replace(kept.lease, ttl=None, name="") != replace(lease, ttl=None, name=""):
        return UPDATED, "attributes changed"
    if ttl is None:
        return (UNCHANGED, "") if not kept.handle else (UPDATED, "does not expire any more")
    if not kept.handle:
        return UPDATED, f"expires in {ttl} s from now on"
    return (UNCHANGED, "") if is_fresh(ttl, remaining.get(kept.handle)) else (UPDATED, "renewed")


def _check_macs(entries: Sequence[Entry], steps: Sequence[Step]) -> None:
    """Raise ConflictError where a lease to be written would share its VTEP MAC with a lease of another public IP.

    Peers could reach one of the two hosts only. A lease that stays as it is, is not ours to refuse.
    """
    gone = {step.key for step in steps} | {entry.key for step in steps for entry in step.deletes}
    standing = [entry.lease for entry in entries if entry.key not in gone] + [step.granted.lease for step in steps]
    for member in ("backend_data", "backend_v6_data"):
        owners: dict[str, list[Lease]] = {}
        for lease in standing:
            owners.setdefault(_mac(lease, member), []).append(lease)
        for step in steps:
            mine = step.granted.lease
            mac = _mac(mine, member)
            if not mac or step.granted.done == UNCHANGED:
                continue
            other = next((one for one in owners[mac] if _public_ip(one) != _public_ip(mine)), None)
            if other is not None:
                raise ConflictError(_shared_mac(mac, mine, other))


def _mac(lease: Lease, member: str) -> str:
    return vtep.published_mac(getattr(lease, member))


def _public_ip(lease: Lease) -> Any:
    return lease.public_ip or lease.public_ipv6


def _subnet(lease: Lease) -> Any:
    return lease.subnet or lease.ipv6_subnet


def _shared_mac(mac: str, mine: Lease, other: Lease) -> str:
    option = "subnet" if other.subnet is not None else "ipv6_subnet"
    whose = f"public IP {_public_ip(other)}" + (f" ({other.name})" if other.name else "")
    return (
        f"{mine.name}: its lease {_subnet(mine)} of public IP {_public_ip(mine)} would have VTEP MAC {mac}, which is "
        f"that of lease {_subnet(other)} of {whose} too; the MAC follows from the node's name. If the node has moved "
        f"from that address, release its old lease with flannel_lease, state=absent, and "
        f"nodes=[{{name: {mine.name}, {option}: {_subnet(other)}}}]. If that lease is another node's, give this one "
        f"another name or a vtep_mac of its own. Nothing was written"
    )


def _is_regular(keys: Keys, key: str, lease: Lease) -> bool:
    try:
        return keys.of(lease) == key
    except InputError:
        return False


def _unreadable_key(key: str) -> Problem:
    return Problem(
        "unreadable_key",
        etcd_json.printable(key),
        f"{key!r} is not a subnet key. Each time it is written or deleted, every running flanneld drops all its peers",
        "find out who writes it; stop the flannelds or plan their restart before you delete it with etcdctl del",
    )


def _unreadable_value(key: str, error: str) -> Problem:
    return Problem(
        "unreadable_value",
        etcd_json.printable(key),
        f"{key!r} has a value that is not a lease: {error}. Each time such a value is written, every running flanneld "
        f"drops all its peers. The subnet counts as taken",
        "put the node's lease back, or release it with flannel_lease, state absent; then restart the flannelds",
    )


def _irregular_key(key: str, lease: Lease) -> Problem:
    return Problem(
        "irregular_key",
        etcd_json.printable(key),
        f"{key!r} is not how flanneld writes the key of {lease.subnet or lease.ipv6_subnet}, although it reads it so",
        "find out who writes it; flannel_lease moves it to the right key when the node is given a lease again",
    )
