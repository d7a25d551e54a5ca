# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lease modules do: from their options to their results.

Private to podnet.cni: may change in any release.

Each function takes the options of a module and returns what it exits with. Everything wrong with the options is found
before the store is asked, everything wrong with the request before the store is changed.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.allocation import capacity, free_subnets
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, to_dict
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease_harm import HANGS, STALLS
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._stores import configs, recovery, restore
from ansible_collections.podnet.cni.plugins.module_utils._stores import nodes as _nodes
from ansible_collections.podnet.cni.plugins.module_utils._stores import options as _options
from ansible_collections.podnet.cni.plugins.module_utils._stores import problems as _problems
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    CREATED,
    UNCHANGED,
    Granted,
    LeaseStore,
    Listing,
    Problem,
    StoredConfig,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import EtcdStore
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes import open_store

_SHOWN = 20


class StrandedError(ConflictError):
    """A new network config does not fit leases that exist; C(leases) holds them."""

    def __init__(self, message: str, leases: Sequence[Lease]) -> None:
        super().__init__(message)
        self.leases = [to_dict(lease) for lease in leases]


def option_secrets(params: Mapping[str, Any]) -> set[str]:
    """Return the secret texts inside the options of the lease modules, for their no_log values."""
    return auth.secrets(params["kubeconfig"]) | set(network_config.secret_texts(params["network_config"]))


def lease(params: Mapping[str, Any], warn: Callable[[str], None], *, check_mode: bool, diff: bool) -> dict[str, Any]:
    """Return the result of module flannel_lease; C(warn) is told what the store holds that cannot be read."""
    nodes = _nodes.parse_nodes(params["nodes"] or ())
    ttl = lifetime(params["ttl"])
    store = open_any(params)
    if params["recover_from"] is not None:
        return _recover(store, params, warn, ttl=ttl, check_mode=check_mode, diff=diff)
    if params["state"] == "absent":
        result = _release(store, nodes, store.matcher(nodes), check_mode=check_mode, diff=diff)
        _warn(store.problems, warn)
        return result
    stored = (_planned_config(params, store) if check_mode else None) or store.require_config()
    config = stored.usable()
    if store.allocates and params["network_config"] is not None:
        _check_config(store, config, network_config.parse(params["network_config"]))
    _nodes.check_backend(config, nodes)
    granted = store.acquire(
        stored,
        [node.request for node in nodes],
        _nodes.want(config, nodes),
        ttl=ttl,
        choice=params["choice"],
        seed=params["seed"],
        dry_run=check_mode,
    )
    written = [one for one in granted if one.done != UNCHANGED]
    listing = None
    if store.allocates and written and not check_mode:
        listing = _read_back(store, written)
    elif params.get("others"):
        listing = store.list_leases()
    _warn(store.problems, warn)
    released = [gone for one in granted for gone in one.released]
    before = [one.before for one in written if one.before is not None] + released
    result = {
        "changed": bool(written or released),
        "leases": [to_dict(one.lease) for one in granted],
        "actions": [line for one in granted for line in _actions(one)],
        "network_config": configs.public(config),
    }
    if params.get("others") and listing is not None:
        result["others"] = [to_dict(one) for one in _others(listing.leases, granted)]
    # Thousands of leases in a result cost time, so it has only what is asked for.
    return {**result, "diff": _diff(before, [one.lease for one in written])} if diff else result


def _recover(
    store: LeaseStore,
    params: Mapping[str, Any],
    warn: Callable[[str], None],
    *,
    ttl: int | None,
    check_mode: bool,
    diff: bool,
) -> dict[str, Any]:
    """Give hosts the leases that they still hold, where the store has lost them."""
    if params["state"] == "absent":
        raise InputError("recover_from is for state=present; name what is to be released in nodes")
    stored = (_planned_config(params, store) if check_mode else None) or store.require_config()
    config = stored.usable()
    if store.allocates and params["network_config"] is not None:
        _check_config(store, config, network_config.parse(params["network_config"]))
    leases, warnings = recovery.leases(config, params["recover_from"])
    for warning in warnings:
        warn(warning)
    lasting = [replace(one, ttl=ttl) for one in leases]
    source = restore.Source(lasting, "what recover_from tells", recovery.REMEDY)
    result = restore.put(store, config, source, ttl=ttl, check_mode=check_mode, diff=diff)
    _warn(store.problems, warn)
    return result


def _check_config(store: LeaseStore, stored: NetworkConfig, given: NetworkConfig) -> None:
    """Raise ConflictError, naming what differs, when the store holds another config than this play gave it."""
    have, want = configs.meaning(stored), configs.meaning(given)
    changed = sorted(name for name in have.keys() | want.keys() if have.get(name) != want.get(name))
    if changed:
        shown = configs.public(stored)
        values = ", ".join(f"{name} is {shown.get(name)!r}" for name in changed)
        raise ConflictError(
            f"{store.config_name}: the network config is not the one of this play ({values}): somebody else wrote "
            "another meanwhile. Find out who, agree on one, and run again; no lease was written"
        )


def _read_back(store: LeaseStore, written: Sequence[Granted]) -> Listing:
    """Return the leases as they are after the run.

    Raises ConflictError for a lease that is not as it was written. A flanneld that lives answers a lease of its host
    at once with its own (flannel v0.28.9 pkg/subnet/etcd/local_manager.go CompleteLease), so a lease that was taken
    over from one is given a moment.
    """
    if any(one.before is not None for one in written):
        time.sleep(restore.ANSWER_SECONDS)
    listing = store.list_leases(ttl=True)
    found = {(entry.lease.subnet, entry.lease.ipv6_subnet): entry.lease for entry in listing.entries}
    for one in written:
        want, have = one.lease, found.get((one.lease.subnet, one.lease.ipv6_subnet))
        if have is None:
            what = "it is gone"
        elif want.ttl is None and have.ttl is not None:
            what = f"it ends in {have.ttl} s"
        elif replace(have, ttl=None, name="") != replace(want, ttl=None, name=""):
            what = f"it is that of {_problems.owner(have)} with {have.backend_type or 'no backend'} {have.backend_data}"
        else:
            continue
        raise ConflictError(
            f"lease {_problems.subnets(want)} of {want.name} was written, and read back {what}: somebody else answers "
            f"it. Find the flanneld that has the public IP {want.public_ip or want.public_ipv6} (in another network "
            "namespace, in a pod, on another host), stop and disable it, and run again"
        )
    return listing


def _others(leases: Sequence[Lease], granted: Sequence[Granted]) -> list[Lease]:
    """Return the leases that are nobody's of C(granted)."""
    names = {one.lease.name for one in granted}
    held = {address for one in granted for address in (one.lease.public_ip, one.lease.public_ipv6)} - {None}
    subnets = {(one.lease.subnet, one.lease.ipv6_subnet) for one in granted}
    return [
        one
        for one in leases
        if not (one.name and one.name in names)
        and (one.subnet, one.ipv6_subnet) not in subnets
        and not {one.public_ip, one.public_ipv6} & held
    ]


def _planned_config(params: Mapping[str, Any], store: LeaseStore) -> StoredConfig | None:
    """Return the config that an earlier task of a check-mode run would have written to etcd, None without one."""
    if params["network_config"] is None or not store.allocates:
        return None
    config = network_config.parse(params["network_config"])
    return StoredConfig(network_config.render(config), 0, config)


def lease_info(params: Mapping[str, Any], warn: Callable[[str], None]) -> dict[str, Any]:
    """Return the result of module flannel_lease_info; C(warn) is told what hangs or stalls a running flanneld."""
    hosts = _problems.parse_hosts(params["hosts"])
    store = open_any(params)
    stored = store.read_config()
    config = stored.config if stored else None
    listing = store.list_leases(ttl=True)
    found = [] if config is not None else [_no_config(store, stored)]
    ranged = config if store.allocates else None
    found += _problems.find_problems(listing, ranged, hosts, params["expiring_within"])
    _warn([problem for problem in found if problem.kind in (HANGS, STALLS)], warn)
    if config is not None:
        found += store.misfits(listing.leases, config)
    return {
        "changed": False,
        "leases": [to_dict(one) for one in _problems.with_names(listing.leases, hosts)],
        "problems": [vars(problem).copy() for problem in found],
        "network_config": None if config is None else configs.public(config),
        "capacity": None if ranged is None else capacity(ranged),
        "free_subnets": None if ranged is None else free_subnets(ranged, listing.taken),
    }


def read_store(params: Mapping[str, Any], warn: Callable[[str], None]) -> tuple[NetworkConfig, list[Lease], str]:
    """Return (network config, all readable leases, where they are); C(warn) is told what cannot be read."""
    store = open_any(params)
    listing = store.list_leases()
    _warn(listing.problems, warn)
    return store.require_config().usable(), listing.leases, f"leases of {store.where}"


def _warn(problems: Iterable[Problem], warn: Callable[[str], None]) -> None:
    for problem in problems:
        warn(f"{problem.message}; {problem.remedy}")


def network(params: Mapping[str, Any], warn: Callable[[str], None], *, check_mode: bool) -> dict[str, Any]:
    """Return the result of module flannel_network. Raises StrandedError when leases stand against it.

    C(warn) is told what flanneld accepts although it cannot work.
    """
    wanted = network_config.parse(params["network_config"]) if params["state"] == "present" else None
    for warning in network_config.warnings(wanted) if wanted is not None else ():
        warn(warning)
    store = _etcd(params)
    result: dict[str, Any] = {}

    def attempt() -> None:
        result.update(_network_once(store, wanted, force=params["force"], check_mode=check_mode))

    store.retry(attempt)
    return result


def _network_once(store: EtcdStore, wanted: NetworkConfig | None, *, force: bool, check_mode: bool) -> dict[str, Any]:
    listing = store.list_leases()
    before = store.read_config()
    same = _same(before, wanted)
    stranded = [] if same else _stranded(listing.leases, before, wanted)
    # No flanneld of the new network could bear these, so force does not leave them behind.
    harmful = [] if same or wanted is None else _problems.harmful(listing, wanted)
    known = [one for one, _reason in stranded]
    stranded += [(entry.lease, found.reason) for entry, found in harmful if entry.lease not in known]
    if stranded and not force:
        raise StrandedError(_stranded_message(stranded, deleting=wanted is None), [one for one, _reason in stranded])
    doomed = [entry for entry, _found in harmful]
    if not same and not check_mode:
        text = None if wanted is None else network_config.render(wanted)
        store.write_config(text, before, listing, doomed)
    key = store.keys.config
    verb = "delete" if wanted is None else "replace" if before else "write"
    return {
        "changed": not same,
        "actions": [] if same else [*(_release_line(entry.lease) for entry in doomed), f"{verb} {key}"],
        "network_config": None if wanted is None else configs.public(wanted),
        "stranded": [to_dict(one) for one, _reason in stranded],
        "released": [to_dict(entry.lease) for entry in doomed],
        "diff": {"before": _shown(before), "after": {} if wanted is None else configs.public(wanted)},
    }


def _same(before: StoredConfig | None, wanted: NetworkConfig | None) -> bool:
    if before is None or wanted is None:
        return before is None and wanted is None
    return before.config is not None and configs.meaning(before.config) == configs.meaning(wanted)


def _stranded(
    leases: Sequence[Lease], before: StoredConfig | None, wanted: NetworkConfig | None
) -> list[tuple[Lease, str]]:
    if wanted is None:
        return [(one, "the network config would be gone") for one in leases]
    return _problems.stranded(leases, before.config if before else None, wanted)


def _stranded_message(stranded: Sequence[tuple[Lease, str]], *, deleting: bool) -> str:
    lines = [
        f"{_problems.subnets(one)} of {_problems.owner(one)}" + ("" if deleting else f" ({reason})")
        for one, reason in stranded[:_SHOWN]
    ]
    if len(stranded) > _SHOWN:
        lines.append(f"and {len(stranded) - _SHOWN} more, all in the result's 'stranded'")
    what = "Deleting the network config" if deleting else "The new network config"
    return (
        f"{what} would strand {len(stranded)} leases: {', '.join(lines)}. Release them first with "
        f"podnet.cni.flannel_lease and state=absent, or set force=true and give their hosts new leases afterwards"
    )


def _shown(stored: StoredConfig | None) -> dict[str, Any]:
    if stored is None:
        return {}
    return configs.public(stored.config) if stored.config is not None else {"unusable": stored.error}


def _release(
    store: LeaseStore,
    nodes: Sequence[_nodes.Node],
    match: Callable[[Lease], bool],
    *,
    check_mode: bool,
    diff: bool,
) -> dict[str, Any]:
    released = _nodes.with_names(store.release(match, dry_run=check_mode), nodes)
    result = {
        "changed": bool(released),
        "leases": [to_dict(one) for one in released],
        "actions": [_release_line(one) for one in released],
    }
    return {**result, "diff": _diff(released, [])} if diff else result


def _actions(granted: Granted) -> Iterable[str]:
    name, what = granted.lease.name, _problems.subnets(granted.lease)
    if granted.done == CREATED:
        yield f"lease {what} to {name}: {granted.reason}"
    elif granted.done != UNCHANGED:
        yield f"update lease {what} of {name}: {granted.reason}"
    for gone in granted.released:
        yield _release_line(gone)


def _release_line(gone: Lease) -> str:
    return f"release lease {_problems.subnets(gone)} of {gone.name or _problems.owner(gone)}"


def _diff(before: Sequence[Lease], after: Sequence[Lease]) -> dict[str, Any]:
    return {
        "before": {_problems.subnets(one): to_dict(one) for one in before},
        "after": {_problems.subnets(one): to_dict(one) for one in after},
    }


def _no_config(store: LeaseStore, stored: StoredConfig | None) -> Problem:
    reason = "is missing" if stored is None else f"cannot be used: {stored.error}"
    message = f"the network config {store.config_name} {reason}"
    return Problem("no_network_config", store.config_name, message, store.config_remedy)


def open_any(params: Mapping[str, Any]) -> LeaseStore:
    """Return the store that the options name; nothing is asked of it yet."""
    return open_store(params) if params["store"] == "kubernetes" else _etcd(params)


def _etcd(params: Mapping[str, Any]) -> EtcdStore:
    return EtcdStore(EtcdClient(_options.from_params(params)))


def lifetime(seconds: int | None) -> int | None:
    """Return the seconds of option C(ttl), None for leases that do not expire."""
    if seconds is not None and seconds < 0:
        raise InputError(f"ttl {seconds} is negative; give seconds, or 0 for leases that do not expire")
    return seconds or None
