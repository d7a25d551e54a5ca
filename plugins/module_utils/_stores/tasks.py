# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lease modules do: from their options to their results.

Private to podnet.cni: may change in any release.

Each function takes the options of a module and returns what it exits with. Everything wrong with the options is found
before the store is asked, everything wrong with the request before the store is changed.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils import _network_config
from ansible_collections.podnet.cni.plugins.module_utils._allocation import capacity, free_subnets
from ansible_collections.podnet.cni.plugins.module_utils._backend_options import SECRET_OPTIONS
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._lease import Lease, to_dict
from ansible_collections.podnet.cni.plugins.module_utils._network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._stores import kubernetes_nodes as _kubernetes
from ansible_collections.podnet.cni.plugins.module_utils._stores import nodes as _nodes
from ansible_collections.podnet.cni.plugins.module_utils._stores import options as _options
from ansible_collections.podnet.cni.plugins.module_utils._stores import problems as _problems
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import (
    CREATED,
    UNCHANGED,
    Granted,
    LeaseStore,
    Problem,
    StoredConfig,
)
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import EtcdStore
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes import KubernetesStore, open_store

_SHOWN = 20


class StrandedError(ConflictError):
    """A new network config does not fit leases that exist; ``leases`` holds them."""

    def __init__(self, message: str, leases: Sequence[Lease]) -> None:
        super().__init__(message)
        self.leases = [to_dict(lease) for lease in leases]


def option_secrets(params: Mapping[str, Any]) -> set[str]:
    """Return the secret texts inside the options of the lease modules, for their no_log values."""
    return auth.secrets(params["kubeconfig"]) | set(_network_config.secret_texts(params["network_config"]))


def lease(params: Mapping[str, Any], warn: Callable[[str], None], *, check_mode: bool, diff: bool) -> dict[str, Any]:
    """Return the result of module flannel_lease; *warn* is told what the store holds that cannot be read."""
    nodes = _nodes.parse_nodes(params["nodes"])
    ttl = _ttl(params["ttl"])
    store = _store(params)
    if params["state"] == "absent":
        match = _kubernetes.matcher(nodes) if isinstance(store, KubernetesStore) else _nodes.matcher(nodes)
        result = _release(store, nodes, match, check_mode=check_mode, diff=diff)
        _warn(store.problems, warn)
        return result
    stored = (_planned_config(params, store) if check_mode else None) or store.require_config()
    config = stored.usable()
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
    _warn(store.problems, warn)
    written = [one for one in granted if one.done != UNCHANGED]
    released = [gone for one in granted for gone in one.released]
    before = [one.before for one in written if one.before is not None] + released
    result = {
        "changed": bool(written or released),
        "leases": [to_dict(one.lease) for one in granted],
        "actions": [line for one in granted for line in _actions(one)],
        "network_config": public_config(config),
    }
    # Thousands of leases in a result cost time, so it has only what is asked for.
    return {**result, "diff": _diff(before, [one.lease for one in written])} if diff else result


def _planned_config(params: Mapping[str, Any], store: LeaseStore) -> StoredConfig | None:
    """Return the config that an earlier task of a check-mode run would have written to etcd, None without one."""
    if params["network_config"] is None or not isinstance(store, EtcdStore):
        return None
    config = _network_config.parse(params["network_config"])
    return StoredConfig(_network_config.render(config), 0, config)


def lease_info(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of module flannel_lease_info."""
    hosts = _problems.parse_hosts(params["hosts"])
    store = _store(params)
    stored = store.read_config()
    config = stored.config if stored else None
    listing = store.list_leases(ttl=True)
    found = [] if config is not None else [_no_config(store, stored)]
    in_cluster = isinstance(store, KubernetesStore)
    # A cluster hands out pod CIDRs by rules of its own; flannel's ranges mean nothing there.
    ranged = None if in_cluster else config
    found += _problems.find_problems(listing, ranged, hosts, params["expiring_within"])
    if in_cluster and config is not None:
        found += _kubernetes.misfits(listing.leases, config)
    return {
        "changed": False,
        "leases": [to_dict(one) for one in _named(listing.leases, hosts)],
        "problems": [vars(problem).copy() for problem in found],
        "network_config": None if config is None else public_config(config),
        "capacity": None if ranged is None else capacity(ranged),
        "free_subnets": None if ranged is None else free_subnets(ranged, listing.taken),
    }


def read_store(params: Mapping[str, Any], warn: Callable[[str], None]) -> tuple[NetworkConfig, list[Lease], str]:
    """Return (network config, all readable leases, where they are); *warn* is told what cannot be read."""
    store = _store(params)
    listing = store.list_leases()
    _warn(listing.problems, warn)
    where = store.client.target.label if isinstance(store, KubernetesStore) else store.client.options.prefix
    return store.require_config().usable(), listing.leases, f"leases of {where}"


def _warn(problems: Iterable[Problem], warn: Callable[[str], None]) -> None:
    for problem in problems:
        warn(f"{problem.message}; {problem.remedy}")


def network(params: Mapping[str, Any], warn: Callable[[str], None], *, check_mode: bool) -> dict[str, Any]:
    """Return the result of module flannel_network. Raises StrandedError when leases stand against it.

    *warn* is told what flanneld accepts although it cannot work.
    """
    wanted = _network_config.parse(params["network_config"]) if params["state"] == "present" else None
    for warning in _network_config.warnings(wanted) if wanted is not None else ():
        warn(warning)
    store = _etcd(params)
    result: dict[str, Any] = {}

    def attempt() -> None:
        result.update(_network_once(store, wanted, force=params["force"], check_mode=check_mode))

    store.retry(attempt)
    return result


def public_config(config: NetworkConfig) -> dict[str, Any]:
    """Return the config by upstream's names with defaults filled in and without its secrets."""
    result = _network_config.to_dict(config)
    result["Backend"] = {key: value for key, value in result["Backend"].items() if key not in SECRET_OPTIONS}
    return result


def _network_once(store: EtcdStore, wanted: NetworkConfig | None, *, force: bool, check_mode: bool) -> dict[str, Any]:
    listing = store.list_leases()
    before = store.read_config()
    same = _same(before, wanted)
    stranded = [] if same else _stranded(listing.leases, before, wanted)
    if stranded and not force:
        raise StrandedError(_stranded_message(stranded, deleting=wanted is None), [one for one, _reason in stranded])
    if not same and not check_mode:
        text = None if wanted is None else _network_config.render(wanted)
        store.write_config(text, before, listing)
    key = store.keys.config
    verb = "delete" if wanted is None else "replace" if before else "write"
    return {
        "changed": not same,
        "actions": [] if same else [f"{verb} {key}"],
        "network_config": None if wanted is None else public_config(wanted),
        "stranded": [to_dict(one) for one, _reason in stranded],
        "diff": {"before": _shown(before), "after": {} if wanted is None else public_config(wanted)},
    }


def _same(before: StoredConfig | None, wanted: NetworkConfig | None) -> bool:
    if before is None or wanted is None:
        return before is None and wanted is None
    return before.config is not None and _meaning(before.config) == _meaning(wanted)


def _meaning(config: NetworkConfig) -> dict[str, Any]:
    """The config with everything alike that is all one to flanneld: order, case, white space, written-out defaults.

    The range of a disabled family is not: flannel v0.28.9 makes firewall rules for it all the same.
    """
    ranges = {name: config.given.get(name) for name in ("Network", "IPv6Network")}
    found = {name: str(ip_network(text, strict=False)) if text else None for name, text in ranges.items()}
    return {**_network_config.to_dict(config), **found}


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
    return public_config(stored.config) if stored.config is not None else {"unusable": stored.error}


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


def _named(leases: Sequence[Lease], hosts: Sequence[_problems.Host] | None) -> list[Lease]:
    names = {address: name for addresses, name in hosts or () for address in addresses}
    return [replace(one, name=names.get(one.public_ip or one.public_ipv6) or one.name) for one in leases]


def _no_config(store: EtcdStore | KubernetesStore, stored: StoredConfig | None) -> Problem:
    reason = "is missing" if stored is None else f"cannot be used: {stored.error}"
    if isinstance(store, KubernetesStore):
        where = store.config_name
        remedy = "name the right kube_namespace and kube_config_map, or give network_config"
    else:
        where = store.keys.config
        remedy = "write it with podnet.cni.flannel_network, or name the right etcd_prefix"
    return Problem("no_network_config", where, f"the network config {where} {reason}", remedy)


def _store(params: Mapping[str, Any]) -> EtcdStore | KubernetesStore:
    return open_store(params) if params["store"] == "kubernetes" else _etcd(params)


def _etcd(params: Mapping[str, Any]) -> EtcdStore:
    return EtcdStore(EtcdClient(_options.from_params(params)))


def _ttl(seconds: int | None) -> int | None:
    if seconds is not None and seconds < 0:
        raise InputError(f"ttl {seconds} is negative; give seconds, or 0 for leases that do not expire")
    return seconds or None
