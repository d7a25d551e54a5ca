# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put leases that are known from elsewhere into a store: a backup, another store, the hosts' own data planes.

Private to podnet.cni: may change in any release.

All leases or none: whatever stands against one of them is found before anything is written, and named. The store writes
them as it writes any other, so what somebody else changes meanwhile is decided anew. In the end they are read back.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Callable, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import Decision, Request
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, encode_key, encode_value, to_dict
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease_harm import harm
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._stores import configs, problems, restore_plan
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import LeaseStore, Listing, StoredConfig, Want

_SHOWN = 20
# A flanneld that lives answers a lease of its host at once (flannel v0.28.9 pkg/subnet/etcd/local_manager.go).
ANSWER_SECONDS = 0.5


@dataclass(frozen=True)
class Source:
    """Leases to be put into a store, and C(what) they come from, for messages; C(remedy) ends a refusal.

    C(has_config) says that the network config comes with them, for a store that has none.
    """

    leases: Sequence[Lease]
    what: str
    remedy: str
    has_config: bool = False


def put(
    store: LeaseStore, config: NetworkConfig, source: Source, *, ttl: int | None, check_mode: bool, diff: bool
) -> dict[str, Any]:
    """Make the store hold the config and all leases of C(source), and return the result of a module.

    The caller has compared C(config) with the store's. A lease that expires gets C(ttl) seconds, None for no end, where
    it is written; one that stands is left alone. Raises ConflictError, which names everything that stands against it.
    """
    ttl = ttl if store.allocates else None
    stored = store.read_config()
    listing = store.list_leases(ttl=True)
    missing = restore_plan.lacking(source.leases, listing)
    found = restore_plan.conflicts(missing, listing, misfit(store, config), named=not store.allocates)
    if found:
        raise ConflictError(_refusal(store, source, found))
    text = network_config.render(config) if stored is None and source.has_config else None
    planned = StoredConfig(network_config.render(config), 0, config)
    acquire(store, planned, missing, ttl, dry_run=True)
    if not check_mode:
        if text is not None:
            store.write_config(text, None, listing)
        if missing:
            acquire(store, store.require_config(), missing, ttl, dry_run=False)
            # What is answered is answered at once.
            time.sleep(ANSWER_SECONDS if store.allocates else 0)
        listing = _read_back(store, config, source)
    stands = {_subnets(lease): lease for lease in listing.leases}
    result = {
        "changed": bool(missing) or text is not None,
        "leases": [to_dict(replace(lease, ttl=_left(lease, stands, ttl))) for lease in source.leases],
        "actions": [
            *([f"write {store.config_name}"] if text is not None else []),
            *(
                f"lease {problems.subnets(lease)} to {lease.name or problems.owner(lease)}: restored"
                for lease in missing
            ),
        ],
        "network_config": configs.public(config),
    }
    shown = {problems.subnets(lease): to_dict(lease) for lease in missing}
    written = {"network_config": configs.public(config)} if text is not None else {}
    return {**result, "diff": {"before": {}, "after": {**written, **shown}}} if diff else result


def acquire(
    store: LeaseStore,
    stored: StoredConfig,
    leases: Sequence[Lease],
    ttl: int | None,
    *,
    dry_run: bool,
    replaces: bool = False,
) -> None:
    """Write the leases that do not expire, and then those that do, or find out with C(dry_run) whether that can be.

    With C(replaces) a lease of the same host and subnets is written anew. Raises ConflictError for a lease that
    somebody else wrote meanwhile, and for one of which the store makes another.
    """
    for life, group in (
        (None, [lease for lease in leases if lease.ttl is None]),
        (ttl, [lease for lease in leases if lease.ttl is not None]),
    ):
        if not group:
            continue
        wanted = _by_name(group)
        requests = [
            Request(name, lease.public_ip, lease.public_ipv6, lease.subnet, lease.ipv6_subnet)
            for name, lease in wanted.items()
        ]
        granted = store.acquire(stored, requests, _want(wanted, replaces=replaces), ttl=life, dry_run=dry_run)
        for one, lease in zip(granted, wanted.values()):
            if not restore_plan.is_same(lease, replace(one.lease, name=lease.name)):
                raise ConflictError(
                    f"lease {problems.subnets(lease)} of {lease.name}: {store.where} makes {to_dict(one.lease)} of "
                    f"{to_dict(lease)}; take away what stands against it, like an annotation public-ip-overwrite"
                )


def _want(wanted: dict[str, Lease], *, replaces: bool) -> Want:
    def want(decision: Decision, existing: Lease | None) -> Lease:
        lease = wanted[decision.request.name]
        # The store may have changed since the conflicts were looked for.
        stands = existing is not None and not restore_plan.is_same(lease, existing)
        if decision.obsolete or (stands and not replaces):
            raise ConflictError(
                f"lease {problems.subnets(lease)} of {problems.owner(lease)} was written by somebody else meanwhile; "
                "run again, to see whether both can be"
            )
        return replace(lease, ttl=None, name="")

    return want


def _by_name(leases: Sequence[Lease]) -> dict[str, Lease]:
    """Leases by the node's name, or by the subnet where that is not known or not its own."""
    names = Counter(lease.name for lease in leases)
    return {lease.name if lease.name and names[lease.name] == 1 else problems.subnets(lease): lease for lease in leases}


def misfit(store: LeaseStore, config: NetworkConfig) -> Callable[[Lease], str]:
    """Return what says why a lease does not fit the network of a store; empty for one that does."""
    if not store.allocates:
        return lambda lease: "; ".join(found.message for found in store.misfits([lease], config))

    def reason(lease: Lease) -> str:
        found = problems.misfit(config, lease)
        harmful = None if found else harm(config, encode_key(lease), encode_value(lease))
        return f"it does not fit the network config, because {found}" if found else harmful.reason if harmful else ""

    return reason


def _refusal(store: LeaseStore, source: Source, found: Sequence[str]) -> str:
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return (
        f"{source.what} cannot be put into {store.where}, and nothing was written: "
        f"{'; '.join([*found[:_SHOWN], *more])}. {source.remedy}"
    )


def _read_back(store: LeaseStore, config: NetworkConfig, source: Source) -> Listing:
    """Return what the store holds; ConflictError unless that is the config and every lease."""
    stored = store.require_config().usable()
    differing = configs.differences(stored, config, handed_out=store.allocates)
    listing = store.list_leases(ttl=True)
    lost = restore_plan.lacking(source.leases, listing)
    if differing or lost:
        what = [*differing, *(f"lease {problems.subnets(lease)} of {problems.owner(lease)}" for lease in lost)]
        raise ConflictError(
            f"{store.where} was written and read back, and it does not hold what was written: "
            f"{'; '.join(what[:_SHOWN])}. Somebody else writes there, like a flanneld of the same public IP; find it, "
            "and run again"
        )
    return listing


def _left(lease: Lease, stands: dict[Any, Lease], ttl: int | None) -> int | None:
    there = stands.get(_subnets(lease))
    if there is not None:
        return there.ttl
    return None if lease.ttl is None else ttl


def _subnets(lease: Lease) -> tuple[Any, Any]:
    return lease.subnet, lease.ipv6_subnet
