# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One migration at a time: a key in etcd that ends by itself, and that only its holder writes.

Private to podnet.cni: may change in any release.

The key lies beside the network config and not under subnets/, where flannelds read everything (flannel v0.28.9
pkg/subnet/etcd/registry.go). It guards people from each other, not the leases: each of those is written only where
nobody changed it meanwhile.

A second key says that a bridge is at work. It writes only while the lock is the one that it began under: whoever takes
or prolongs the lock waits until the bridge has seen that and ended.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._stores import etcd_json
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import LostRaceError
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import EtcdStore

BRIDGE_SECONDS = 15
"""After so many seconds a bridge whose process has ended is no more."""
_POLL = 0.2


def take(
    store: EtcdStore, holder: str, seconds: int, *, force: bool, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Take the lock, or prolong it, for C(seconds). Raises ConflictError, which names who has it, where others do.

    C(force) takes it from anybody. No bridge is at work afterwards.
    """
    key = _key(store)
    version, other, left = _read(store, key)
    if other not in ("", holder) and not force:
        raise ConflictError(
            f"{key}: another migration of these leases runs ({other}). Let it end. If it was interrupted, its lock "
            f"ends in {left} s; take it from it at once with force_lock"
        )
    handle = store.grant(seconds)
    put = etcd_json.put(key, holder, handle)
    try:
        store.commit(etcd_json.transaction([etcd_json.unchanged(key, version)], [put]))
    except LostRaceError:
        store.revoke(handle)
        raise ConflictError(
            f"{key}: another migration of these leases started at the same moment; let it end"
        ) from None
    for _round in range(int(BRIDGE_SECONDS / _POLL) * 2):
        if not _read(store, _bridge(store))[0]:
            return
        sleep(_POLL)
    raise ConflictError(f"{_bridge(store)}: a bridge of this migration does not end; end the process that writes it")


def held(store: EtcdStore, holder: str) -> int:
    """Return the revision of the lock of C(holder). Raises ConflictError where it is not theirs."""
    version, other, _left = _read(store, _key(store))
    if not version or other != holder:
        raise ConflictError(f"{_key(store)} is held by {other or 'nobody'}, and not by {holder}; take it first")
    return version


def cross(store: EtcdStore, version: int) -> bool:
    """Say for some seconds that a bridge is at work; false when the lock is not that of C(version) any more."""
    handle = store.grant(BRIDGE_SECONDS)
    put = etcd_json.put(_bridge(store), str(version), handle)
    try:
        store.commit(etcd_json.transaction([etcd_json.unchanged(_key(store), version)], [put]))
    except LostRaceError:
        store.revoke(handle)
        return False
    return True


def leave(store: EtcdStore) -> None:
    """Say that no bridge is at work any more."""
    store.commit(etcd_json.transaction([], [etcd_json.delete(_bridge(store))]))


def give(store: EtcdStore, holder: str) -> None:
    """Give the lock back, where it is still that of C(holder)."""
    key = _key(store)
    version, other, _left = _read(store, key)
    if other == holder:
        store.commit(etcd_json.transaction([etcd_json.unchanged(key, version)], [etcd_json.delete(key)]))


def _key(store: EtcdStore) -> str:
    return f"{store.client.options.prefix}/migration"


def _bridge(store: EtcdStore) -> str:
    return f"{_key(store)}-bridge"


def _read(store: EtcdStore, key: str) -> tuple[int, str, int]:
    """Return the revision of the key, 0 without one, who holds it, and for how many seconds more."""
    answer = store.client.call("kv/range", etcd_json.range_request(key))
    pairs: list[dict[str, Any]] = answer.get("kvs", [])
    if not pairs:
        return 0, "", 0
    holder = etcd_json.decode_value(pairs[0].get("value", ""))
    handle = etcd_json.number(pairs[0], "lease")
    left = etcd_json.number(store.client.call("lease/timetolive", {"ID": str(handle)}), "TTL") if handle else 0
    return etcd_json.number(pairs[0], "mod_revision"), holder, max(left, 0)
