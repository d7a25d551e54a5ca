# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One migration at a time: a key in etcd that ends by itself, and that only its holder writes.

Private to podnet.cni: may change in any release.

The key lies beside the network config and not under subnets/, where flannelds read everything (flannel v0.28.9
pkg/subnet/etcd/registry.go). It guards people from each other, not the leases: each of those is written only where
nobody changed it meanwhile.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._stores import etcd_json
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import LostRaceError
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import EtcdStore


def take(store: EtcdStore, holder: str, seconds: int, *, force: bool) -> None:
    """Take the lock, or prolong it, for C(seconds). Raises ConflictError, which names who has it, where others do.

    C(force) takes it from anybody.
    """
    key = _key(store)
    version, other, left = _read(store)
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


def give(store: EtcdStore, holder: str) -> None:
    """Give the lock back, where it is still that of C(holder)."""
    version, other, _left = _read(store)
    if other == holder:
        key = _key(store)
        store.commit(etcd_json.transaction([etcd_json.unchanged(key, version)], [etcd_json.delete(key)]))


def _key(store: EtcdStore) -> str:
    return f"{store.client.options.prefix}/migration"


def _read(store: EtcdStore) -> tuple[int, str, int]:
    """Return the revision of the key, 0 without one, who holds it, and for how many seconds more."""
    answer = store.client.call("kv/range", etcd_json.range_request(_key(store)))
    pairs: list[dict[str, Any]] = answer.get("kvs", [])
    if not pairs:
        return 0, "", 0
    holder = etcd_json.decode_value(pairs[0].get("value", ""))
    handle = etcd_json.number(pairs[0], "lease")
    left = etcd_json.number(store.client.call("lease/timetolive", {"ID": str(handle)}), "TTL") if handle else 0
    return etcd_json.number(pairs[0], "mod_revision"), holder, max(left, 0)
