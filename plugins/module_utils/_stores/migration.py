# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flannel_lease_migration does: the same leases in etcd and on Nodes while hosts move, and the old store emptied.

Private to podnet.cni: may change in any release.

Everything that stands against it is found and named before the first write. What was written is read back, and planned
anew: a plan that is not empty then is a failure.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import Any, Callable, Collection, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, to_dict
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._stores import configs, migration_lock, problems, restore
from ansible_collections.podnet.cni.plugins.module_utils._stores import migration_plan as plans
from ansible_collections.podnet.cni.plugins.module_utils._stores import options as _options
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import LeaseStore, StoredConfig
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import EtcdStore
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes import open_store
from ansible_collections.podnet.cni.plugins.module_utils._stores.migration_plan import ETCD, KUBERNETES, OTHER


class StandsAgainstError(ConflictError):
    """Something stands against the migration, and nothing was written; C(problems) has it, a sentence each."""

    def __init__(self, found: Sequence[str]) -> None:
        super().__init__(
            f"{len(found)} things stand against the migration, and nothing was written: {'; '.join(found)}"
            if len(found) > 1
            else f"Nothing was written, because {found[0]}"
        )
        self.problems = list(found)


def run(params: Mapping[str, Any], warn: Callable[[str], None], *, check_mode: bool, diff: bool) -> dict[str, Any]:
    """Return the result of module flannel_lease_migration; C(warn) is told what a store holds that cannot be read."""
    migration = _Migration(params)
    if params["state"] == "bridged":
        if check_mode:
            return {"changed": False, "actions": []}
        return migration.bridge(params, warn, time.sleep)
    if check_mode:
        return migration.run(warn, check_mode=True, diff=diff)
    holder, seconds = params["lock"], params["lock_seconds"]
    if not holder or seconds <= 0:
        raise InputError(
            f"lock {holder!r} with lock_seconds {seconds}: say who migrates, and after how many seconds its lock ends"
        )
    migration_lock.take(migration.etcd, holder, seconds, force=params["force_lock"])
    try:
        result = migration.run(warn, check_mode=False, diff=diff)
    except PodnetError:
        migration_lock.give(migration.etcd, holder)
        raise
    if params["unlock"]:
        migration_lock.give(migration.etcd, holder)
    return result


class _Migration:
    """Both stores, and the hosts that move."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.hosts = plans.parse_hosts(params["hosts"])
        self.leave = [_subnet(text) for text in params["leave"]]
        self.to = params["to"]
        self.empties = params["state"] == "emptied"
        self.create_nodes = bool(params["create_nodes"])
        self.etcd = EtcdStore(EtcdClient(_options.from_params(params)))
        self.kubernetes = open_store(params)
        self.stores: Mapping[str, LeaseStore] = {ETCD: self.etcd, KUBERNETES: self.kubernetes}

    def run(self, warn: Callable[[str], None], *, check_mode: bool, diff: bool) -> dict[str, Any]:
        """Do it, or in check mode find out what would be done."""
        cluster = self.kubernetes.require_config()
        etcd = self._etcd_config(cluster)
        differing = plans.config_problems(etcd.usable(), cluster.usable())
        if differing:
            raise StandsAgainstError(
                [
                    f"the network config of {self.etcd.config_name} is not that of {self.kubernetes.config_name}: "
                    f"{'; '.join(differing)}. Write one of them into both"
                ]
            )
        found = self._read()
        for problem in (*self.etcd.problems, *self.kubernetes.problems):
            warn(f"{problem.message}; {problem.remedy}")
        if self.empties:
            return self._empty(found, check_mode=check_mode, diff=diff)
        return self._mirror(found, {ETCD: etcd, KUBERNETES: cluster}, check_mode=check_mode, diff=diff)

    def bridge(
        self, params: Mapping[str, Any], warn: Callable[[str], None], sleep: Callable[[float], None]
    ) -> dict[str, Any]:
        """Carry over what changes, until somebody takes or prolongs the lock, or it ends.

        Hosts that are being moved are left alone: nobody knows which of their leases is right. What cannot be carried
        over is a warning, once, and tried again.
        """
        version = migration_lock.held(self.etcd, params["lock"])
        moving = frozenset(params["moving"])
        deadline = time.monotonic() + params["lock_seconds"]
        actions: list[str] = []
        told: dict[str, None] = {}
        while time.monotonic() < deadline:
            try:
                if not migration_lock.cross(self.etcd, version):
                    break
                actions += self._follow(moving)
            except PodnetError as error:
                told[str(error)] = None
            sleep(params["interval"])
        with contextlib.suppress(PodnetError):
            migration_lock.leave(self.etcd)
        for text in told:
            warn(text)
        return {"changed": bool(actions), "actions": actions}

    def _follow(self, moving: Collection[str]) -> list[str]:
        """Write what changed since the stores were made equal, and return it."""
        stored = {ETCD: self.etcd.require_config(), KUBERNETES: self.kubernetes.require_config()}
        found = plans.Stores(self.etcd.list_leases(), self.kubernetes.list_leases(), self.kubernetes.pod_cidrs())
        plan = self._plan(found, stored)
        if plan.problems:
            raise StandsAgainstError(plan.problems)
        plan = replace(plan, operations=[one for one in plan.operations if one.lease.name not in moving])
        # Leases that end are as good here as those that do not: the next wave takes the end from them.
        self._carry_out(plan, self._writes(plan), stored)
        return [one.text for one in plan.operations]

    def _etcd_config(self, cluster: StoredConfig) -> StoredConfig:
        """What etcd has, or would have: a cluster that never had one in etcd brings its own."""
        if self.to == KUBERNETES or self.empties or self.etcd.read_config() is not None:
            return self.etcd.require_config()
        # A cluster has no use for the ranges of its config, so they were not read.
        ranged = network_config.parse(cluster.usable().given)
        return StoredConfig(network_config.render(ranged), 0, ranged)

    def _read(self) -> plans.Stores:
        return plans.Stores(self.etcd.list_leases(ttl=True), self.kubernetes.list_leases(), self.kubernetes.pod_cidrs())

    def _plan(self, found: plans.Stores, configs_: Mapping[str, StoredConfig]) -> plans.Plan:
        misfit = {kind: restore.misfit(store, configs_[kind].usable()) for kind, store in self.stores.items()}
        return plans.plan(self.hosts, found, self.to, misfit, leave=self.leave, create_nodes=self.create_nodes)

    def _mirror(
        self, found: plans.Stores, stored: Mapping[str, StoredConfig], *, check_mode: bool, diff: bool
    ) -> dict[str, Any]:
        plan = self._plan(found, stored)
        if plan.problems:
            raise StandsAgainstError(plan.problems)
        writes = self._writes(plan)
        unset = {one.lease.name for one in plan.operations if one.action == plans.SET_POD_CIDR}
        for kind, leases in writes.items():
            # A Node without its podCIDR cannot be asked what it would make of a lease.
            ready = [lease for lease in leases if kind == ETCD or lease.name not in unset]
            restore.acquire(self.stores[kind], stored[kind], ready, None, dry_run=True, replaces=True)
        new_config = stored[ETCD].version == 0
        if not check_mode:
            found = self._write(found, plan, writes, stored, new_config=new_config)
        config = stored[ETCD].usable()
        result = {
            "changed": bool(plan.operations) or new_config,
            "actions": [
                *([f"write {self.etcd.config_name}"] if new_config else []),
                *(one.text for one in plan.operations),
            ],
            **self._shown(found, config),
        }
        after = {f"{one.store} {problems.subnets(one.lease)}": one.text for one in plan.operations}
        return {**result, "diff": {"before": {}, "after": after}} if diff else result

    def _writes(self, plan: plans.Plan) -> dict[str, list[Lease]]:
        writes: dict[str, list[Lease]] = {self.to: [], OTHER[self.to]: []}
        for one in plan.operations:
            if one.action != plans.SET_POD_CIDR:
                # Nobody renews it there until its host comes.
                writes[one.store].append(replace(one.lease, ttl=None))
        return writes

    def _write(
        self,
        found: plans.Stores,
        plan: plans.Plan,
        writes: Mapping[str, Sequence[Lease]],
        stored: Mapping[str, StoredConfig],
        *,
        new_config: bool,
    ) -> plans.Stores:
        """Do what is planned, and return what the stores hold then. Raises ConflictError where that is not the plan."""
        if new_config:
            self.etcd.write_config(stored[ETCD].text, None, found.etcd)
        stored = {ETCD: self.etcd.require_config(), KUBERNETES: stored[KUBERNETES]}
        self._carry_out(plan, writes, stored)
        if writes[ETCD]:
            # What is answered is answered at once.
            time.sleep(restore.ANSWER_SECONDS)
        if plan.operations:
            found = self._read()
            left = self._plan(found, stored)
            if left.operations or left.problems:
                more = [*left.problems, *(one.text for one in left.operations)]
                raise ConflictError(
                    f"both stores were written and read back, and do not hold what was written: {'; '.join(more)}. "
                    "Somebody else writes there; find out who, and run again"
                )
        return found

    def _carry_out(
        self, plan: plans.Plan, writes: Mapping[str, Sequence[Lease]], stored: Mapping[str, StoredConfig]
    ) -> None:
        for one in plan.operations:
            if one.action == plans.SET_POD_CIDR:
                self.kubernetes.set_pod_cidr(one.lease.name, (one.lease.subnet, one.lease.ipv6_subnet))
        for kind, leases in writes.items():
            restore.acquire(self.stores[kind], stored[kind], leases, None, dry_run=False, replaces=True)

    def _empty(self, found: plans.Stores, *, check_mode: bool, diff: bool) -> dict[str, Any]:
        leases, against = plans.emptying(self.hosts, found, self.to)
        if against:
            raise StandsAgainstError(against)
        old = OTHER[self.to]
        gone = {(lease.name if old == KUBERNETES else "", lease.subnet, lease.ipv6_subnet) for lease in leases}
        if leases and not check_mode:
            self.stores[old].release(lambda lease: (lease.name, lease.subnet, lease.ipv6_subnet) in gone)
            found = self._read()
        result = {
            "changed": bool(leases),
            "actions": [f"release lease {problems.subnets(one)} of {one.name} in {plans.NAMES[old]}" for one in leases],
            **self._shown(found, self.kubernetes.require_config().usable()),
        }
        before = {problems.subnets(lease): to_dict(lease) for lease in leases}
        return {**result, "diff": {"before": before, "after": {}}} if diff else result

    def _shown(self, found: plans.Stores, config: NetworkConfig) -> dict[str, Any]:
        rows = []
        for host in self.hosts:
            pair = {kind: found.find(kind, host) for kind in (ETCD, KUBERNETES)}
            rows.append(
                {
                    "name": host.name,
                    "store": host.store,
                    **{kind: None if lease is None else to_dict(lease) for kind, lease in pair.items()},
                }
            )
        return {"hosts": rows, "network_config": configs.public(config)}


def _subnet(text: Any) -> Any:
    try:
        return addresses.parse_subnet(text)
    except ValueError as error:
        raise InputError(f"leave: {text!r} is not a subnet: {error}; write one like 10.244.3.0/24") from error
