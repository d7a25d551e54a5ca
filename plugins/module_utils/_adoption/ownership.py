# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an object in the cluster is: ours, a Helm release's or another writer's.

Private to podnet.cni: may change in any release.

The API server records who set which field (https://kubernetes.io/docs/reference/using-api/server-side-apply/).
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_RELEASE = "meta.helm.sh/release-name"


def is_ours(item: Mapping[str, Any], manager: str) -> bool:
    """Whether we applied a part of a DaemonSet's pod template.

    Less, like its update strategy alone, does not make somebody else's DaemonSet ours.
    """
    entries = fields.sequence(item, "metadata", "managedFields")
    applied = [entry for entry in entries if entry.get("manager") == manager and entry.get("operation") == "Apply"]
    return any("f:template" in fields.mapping(entry, "fieldsV1", "f:spec") for entry in applied)


def writes_container(item: Mapping[str, Any], manager: str, name: str) -> bool:
    """Whether what we applied holds a container of that name in the pod template, as far as the server recorded it."""
    path = ("fieldsV1", "f:spec", "f:template", "f:spec", "f:containers", f'k:{{"name":"{name}"}}')
    return any(
        entry.get("manager") == manager and entry.get("operation") == "Apply" and fields.at(entry, *path) is not None
        for entry in fields.sequence(item, "metadata", "managedFields")
    )


def written_otherwise(item: Mapping[str, Any], manager: str) -> bool:
    """Whether we changed an object by other means than apply, as a rollout does; apply alone could not undo that."""
    entries = fields.sequence(item, "metadata", "managedFields")
    return any(
        entry.get("manager") == manager and entry.get("operation") == "Update" and not entry.get("subresource")
        for entry in entries
    )


def owned_fields(entries: Sequence[Mapping[str, Any]], manager: str) -> list[Mapping[str, Any]]:
    """managedFields in which everything that other writers set is ours, so that the next apply removes what it lacks.

    What is recorded for the status, and by the controller itself, stays as it is.
    """
    ours: dict[str, Any] = {}
    kept, version, time = [], "apps/v1", None
    for entry in entries:
        if entry.get("subresource"):
            kept.append(entry)
            continue
        ours = _merge(ours, entry.get("fieldsV1") or {})
        version, time = entry.get("apiVersion", version), entry.get("time", time)
    own = {"manager": manager, "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": ours}
    return [{**own, "time": time} if time else own, *kept]


def _merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(one)
    for key, value in other.items():
        result[key] = _merge(result.get(key) or {}, value)
    return result


def release(item: Mapping[str, Any]) -> str:
    """The Helm release that an object belongs to, or ""."""
    return fields.text(item, "metadata", "annotations", _RELEASE)


def full_name(item: Mapping[str, Any]) -> str:
    """The object's namespace and name, for messages."""
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"
