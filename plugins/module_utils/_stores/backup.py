# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flannel_lease_backup does: from a store to a file, and from the file to a store.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import datetime
import os
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.backend_options import SECRET_OPTIONS
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, to_dict
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file
from ansible_collections.podnet.cni.plugins.module_utils._stores import backup_file, configs, problems, restore, tasks
from ansible_collections.podnet.cni.plugins.module_utils._stores.backup_file import Backup
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import LeaseStore

FILE_MODE = 0o600
_REMEDY = (
    "Release what is stale in the store with flannel_lease, state=absent, or leave leases of the backup out with "
    "exclude"
)


def run(params: Mapping[str, Any], warn: Callable[[str], None], *, check_mode: bool, diff: bool) -> dict[str, Any]:
    """Return the result of module flannel_lease_backup; C(warn) is told what the store holds that cannot be read."""
    if params["state"] == "verified":
        return _verified(_read(params["path"]))
    hosts = problems.parse_hosts(params["hosts"])
    if params["state"] == "present":
        return _write(params, hosts, warn, check_mode=check_mode, diff=diff)
    return _restore(params, hosts, warn, check_mode=check_mode, diff=diff)


def _read(path: str) -> Backup:
    if not os.path.isfile(path):
        raise InputError(f"path: {path} is not a file. Name the file that flannel_lease_backup wrote")
    return backup_file.parse(atomic_file.read_bytes(path), path)


def _verified(found: Backup) -> dict[str, Any]:
    return {"changed": False, "actions": [], **_shown(found)}


def _shown(found: Backup) -> dict[str, Any]:
    return {
        "created": found.created,
        "leases": [to_dict(lease) for lease in found.leases],
        "network_config": dict(found.network_config),
        "secrets_left_out": list(found.secrets),
    }


def _write(
    params: Mapping[str, Any],
    hosts: Sequence[problems.Host] | None,
    warn: Callable[[str], None],
    *,
    check_mode: bool,
    diff: bool,
) -> dict[str, Any]:
    path = params["path"]
    before = _read(path) if os.path.lexists(path) else None
    store = tasks.open_any(params)
    config = store.require_config().usable()
    leases = store.list_leases(ttl=True).leases
    for problem in store.problems:
        warn(f"{problem.message}; it is not in the backup")
    given, secrets = network_config.without_secrets(config.given)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    kind = "etcd" if store.allocates else "kubernetes"
    wanted = Backup(now, kind, store.where, given, tuple(secrets), tuple(problems.with_names(leases, hosts)))
    same = before is not None and backup_file.same(before, wanted)
    if before is not None and not same and not params["force"]:
        raise ConflictError(
            f"path: {path} is a backup of {before.created} that differs from what {store.where} holds now "
            f"({len(before.leases)} leases then, {len(leases)} now). Give another path, or write over it with "
            "force=true"
        )
    kept = before if before is not None and same else wanted
    text = backup_file.render(kept)
    changed = atomic_file.observe(path) != atomic_file.FileState(text, FILE_MODE)
    if changed and not check_mode:
        atomic_file.write(path, text, FILE_MODE)
        if backup_file.parse(atomic_file.read_bytes(path), path) != kept:
            raise ConflictError(f"path: {path} was written, and what is read back differs. Look at its file system")
    result = {"changed": changed, "actions": [f"write {path}"] if changed else [], **_shown(kept)}
    shown = {"before": _lines(before), "after": _lines(kept)}
    return {**result, "diff": shown} if diff else result


def _lines(backup: Backup | None) -> dict[str, Any]:
    if backup is None:
        return {}
    leases = {problems.subnets(lease): to_dict(lease) for lease in backup.leases}
    return {"network_config": dict(backup.network_config), **leases}


def _restore(
    params: Mapping[str, Any],
    hosts: Sequence[problems.Host] | None,
    warn: Callable[[str], None],
    *,
    check_mode: bool,
    diff: bool,
) -> dict[str, Any]:
    ttl = tasks.lifetime(params["ttl"])
    found = _read(params["path"])
    leases = _without(problems.with_names(found.leases, hosts), params["exclude"] or ())
    store = tasks.open_any(params)
    config = _config(store, found, params["network_config"])
    source = restore.Source(leases, f"the backup {params['path']}", _REMEDY, has_config=True)
    result = restore.put(store, config, source, ttl=ttl, check_mode=check_mode, diff=diff)
    for problem in store.problems:
        warn(f"{problem.message}; {problem.remedy}")
    return {**_shown(found), **result}


def _without(leases: Sequence[Lease], texts: Iterable[str]) -> list[Lease]:
    excluded = set()
    for text in texts:
        try:
            excluded.add(addresses.parse_subnet(text))
        except ValueError as error:
            raise InputError(f"exclude: {text!r} is not a subnet: {error}; write one like 10.244.3.0/24") from error
    unknown = excluded - {subnet for lease in leases for subnet in (lease.subnet, lease.ipv6_subnet)}
    if unknown:
        shown = ", ".join(sorted(map(str, unknown)))
        raise InputError(f"exclude: the backup has no lease {shown}; state=verified lists those that it has")
    return [lease for lease in leases if not {lease.subnet, lease.ipv6_subnet} & excluded]


def _config(store: LeaseStore, found: Backup, given: Mapping[str, Any] | None) -> NetworkConfig:
    """Return the config that the store has, or shall have. Raises ConflictError where it is not that of the backup."""
    stored = store.read_config() if store.allocates else store.require_config()
    if stored is not None:
        config, place = stored.usable(), store.config_name
    elif given is not None:
        config, place = network_config.parse(given), "network_config"
    elif found.secrets:
        raise InputError(
            f"{store.config_name} is missing, and the backup is without secrets: {', '.join(found.secrets)} was left "
            "out. Write the whole config with flannel_network, or give it as network_config"
        )
    else:
        config, place = network_config.parse(found.network_config), "the backup"
    have = network_config.without_secrets(config.given)[1]
    differing = [f"{name} is missing" for name in found.secrets if name not in have]
    differing += [f"{name} is there" for name in have if name not in found.secrets]
    if not differing:
        meant = network_config.parse(_with_secrets(found.network_config, config), check_ranges=store.allocates)
        # A cluster hands out its subnets by rules of its own.
        ranges = store.allocates and found.store == "etcd"
        differing = configs.differences(config, meant, handed_out=ranges)
    if differing:
        raise ConflictError(
            f"the backup is of another network config than {place} has, and nothing was written: "
            f"{'; '.join(differing)}. Take the backup of this network, or write the config of the backup with "
            "flannel_network"
        )
    return config


def _with_secrets(given: Mapping[str, Any], config: NetworkConfig) -> dict[str, Any]:
    """The config of a backup with the secrets that C(config) has; without them it may not be one."""
    backend = dict(given.get("Backend") or {})
    options = config.backend.options.items()
    backend.update((name, value) for name, value in options if name in SECRET_OPTIONS and value)
    return {**given, "Backend": backend} if backend else dict(given)
