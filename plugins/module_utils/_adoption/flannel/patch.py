# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fields merged into objects of a manifest, as a patch of Kustomize merges them.

Private to podnet.cni: may change in any release.

By which field lists are merged: https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
and the patchMergeKey of each field in the API's types.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

_KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "hostAliases": "ip",
}


def merged(value: Any, patch: Any, field: str = "") -> Any:
    """C(value) with C(patch) in it: mappings are merged, known lists by their key, null removes, the rest replaces."""
    if isinstance(patch, Mapping):
        result = dict(value) if isinstance(value, Mapping) else {}
        for key, item in patch.items():
            if item is None:
                result.pop(key, None)
            else:
                result[key] = merged(result.get(key), item, str(key))
        return result
    if field in _KEYS and isinstance(value, Sequence) and isinstance(patch, Sequence) and not isinstance(patch, str):
        return _by_key(list(value), list(patch), _KEYS[field])
    return patch


def _by_key(items: list[Any], patches: list[Any], key: str) -> list[Any]:
    for patch in patches:
        identity = _identity(patch, key)
        place = next((number for number, item in enumerate(items) if _identity(item, key) == identity), None)
        if place is None:
            items.append(merged(None, patch))
        else:
            items[place] = merged(items[place], patch)
    return items


def _identity(item: Any, key: str) -> Any:
    found = item.get(key) if isinstance(item, Mapping) else item
    return found.rstrip("/") if isinstance(found, str) and len(found) > 1 else found


def into_daemonsets(objects: Sequence[Mapping[str, Any]], patches: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The objects, with the patches in their DaemonSets."""
    result = []
    for item in objects:
        patched = dict(item)
        for patch in patches if item.get("kind") == "DaemonSet" else ():
            patched = merged(patched, patch)
        result.append(patched)
    return result
