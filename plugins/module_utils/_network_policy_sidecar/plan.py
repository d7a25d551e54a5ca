# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the sidecar that is wanted with a DaemonSet and with RBAC objects; no I/O.

What a DaemonSet had before is kept in an annotation of the DaemonSet, which restarts no pod, so that taking the
sidecar away gives back the very same pod template. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import copy
import json
import re
from fractions import Fraction
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar.objects import (
    CONTAINER,
    LABELS,
    PROGRAM,
    VOLUME_PREFIX,
)

RESTORE = "podnet.cni/network-policy-restore"
"""Annotation of the DaemonSet: JSON of C({"container": the one that ours replaced, or null})."""

_QUANTITY = re.compile(r"([+-]?[0-9.]+)(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei|n|u)?")
_UNITS = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}


def wanted_daemonset(
    live: Mapping[str, Any], container: Mapping[str, Any], volumes: list[dict[str, Any]], adopt: bool
) -> dict[str, Any]:
    """The DaemonSet with the sidecar. What already fulfils the wish stays as the server has it.

    Raises InputError when it has a foreign container of that name and C(adopt) is false, or no host network.
    """
    where = name_of(live)
    spec = _pod_spec(live)
    if not spec.get("hostNetwork"):
        raise InputError(f"{where} has no hostNetwork: the sidecar can only judge packets in the node's own network.")
    before = restored(live)
    current = _named(spec.get("containers"), CONTAINER)
    original = _named(_pod_spec(before).get("containers"), CONTAINER)
    others = [each for each in spec.get("containers") or [] if _is_sidecar(each) and each.get("name") != CONTAINER]
    if others:
        raise InputError(
            f"{where} has a sidecar kube-network-policies already, under the name {others[0].get('name')}. Two of them "
            "on a node replace each other's rules: remove that one first."
        )
    if original is not None and RESTORE not in _annotations(live) and not adopt:
        raise InputError(
            f"{where} has a container {CONTAINER} that this module did not add, maybe from the Helm chart "
            "(netpol.enabled). Remove it there, or set adopt to true to take it over."
        )
    after = copy.deepcopy(before)
    spec = _pod_spec(after)
    keep = current if current is not None and covers(current, container) else dict(container)
    spec["containers"] = _placed(spec.get("containers"), keep, _pod_spec(live).get("containers"))
    live_volumes = _pod_spec(live).get("volumes")
    for volume in volumes:
        found = _named(live_volumes, volume["name"])
        kept = found if found is not None and covers(found, volume) else volume
        spec["volumes"] = _placed(spec.get("volumes"), kept, live_volumes)
    notes = dict(_annotations(after))
    notes[RESTORE] = json.dumps({"container": original}, sort_keys=True, separators=(",", ":"))
    after["metadata"] = {**after["metadata"], "annotations": notes}
    return after


def restored(live: Mapping[str, Any]) -> dict[str, Any]:
    """The DaemonSet as it was before the sidecar came; the same when it has none of ours. Raises ConflictError."""
    after = copy.deepcopy(dict(live))
    notes = dict(_annotations(after))
    if RESTORE not in notes:
        return after
    try:
        original = json.loads(notes.pop(RESTORE))["container"]
    except (ValueError, KeyError, TypeError):
        raise ConflictError(
            f"{name_of(live)}: annotation {RESTORE} was changed and cannot be read. "
            f"Remove it and the container {CONTAINER} by hand."
        ) from None
    after["metadata"] = {**after["metadata"], "annotations": notes}
    if not notes:
        del after["metadata"]["annotations"]
    spec = _pod_spec(after)
    kept = [item for item in spec.get("containers") or [] if item.get("name") != CONTAINER]
    if original is not None:
        position = _position(spec.get("containers"), CONTAINER, len(kept))
        kept.insert(position, original)
    spec["containers"] = kept
    volumes = [item for item in spec.get("volumes") or [] if not str(item.get("name")).startswith(VOLUME_PREFIX)]
    if volumes:
        spec["volumes"] = volumes
    else:
        spec.pop("volumes", None)
    return after


def patch(live: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON merge patch (RFC 7386) between the two, None when they are equal."""
    body: dict[str, Any] = {}
    before_notes, after_notes = _annotations(live), _annotations(after)
    if before_notes.get(RESTORE) != after_notes.get(RESTORE):
        body["metadata"] = {"annotations": {RESTORE: after_notes.get(RESTORE)}}
    before_spec, after_spec = _pod_spec(live), _pod_spec(after)
    lists = ("containers", "volumes")
    changed = {key: after_spec.get(key) for key in lists if before_spec.get(key) != after_spec.get(key)}
    if changed:
        body["spec"] = {"template": {"spec": changed}}
    return body or None


def wanted_rbac(live: Mapping[str, Any] | None, item: Mapping[str, Any]) -> dict[str, Any] | None:
    """The merge patch that makes an RBAC object as wanted, None when it is. Raises ConflictError for a foreign one."""
    if live is None:
        return dict(item)
    check_ours(live)
    if (live.get("roleRef") or None) != (item.get("roleRef") or None):
        raise ConflictError(
            f"{live.get('kind')} {live['metadata'].get('name')} refers to another role, which cannot be changed. "
            "Delete it and run this again."
        )
    keys = [key for key in ("rules", "subjects") if key in item and live.get(key) != item[key]]
    return {key: item[key] for key in keys} or None


def check_ours(live: Mapping[str, Any]) -> None:
    """Raise ConflictError when an RBAC object of our name was made by someone else."""
    metadata = live.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if any(labels.get(key) != value for key, value in LABELS.items()):
        raise ConflictError(
            f"{live.get('kind')} {metadata.get('name')} lacks the labels of this module, so it is someone else's. "
            "Rename or delete it."
        )


def covers(live: Any, wanted: Any, key: str = "") -> bool:
    """Whether what the server holds fulfils the wish; defaults that it added do not count, resources do."""
    if key in ("limits", "requests"):
        return _quantities(live) == _quantities(wanted)
    if key == "resources":
        names = ("limits", "requests")
        return all(covers((live or {}).get(name) or {}, (wanted or {}).get(name) or {}, name) for name in names)
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(covers(live.get(name), wanted[name], name) for name in wanted)
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(covers(have, want) for have, want in zip(live, wanted))
        )
    return bool(live == wanted)


def quantity(text: Any) -> Fraction:
    """The number that a quantity like C(100m) or C(50Mi) stands for. Raises InputError."""
    matched = _QUANTITY.fullmatch(str(text))
    try:
        if not matched:
            raise ValueError
        unit = matched.group(2) or ""
        base = 1024 if unit.endswith("i") else 1000
        return Fraction(matched.group(1)) * Fraction(base) ** _UNITS[{"Ki": "k"}.get(unit, unit.rstrip("i"))]
    except ValueError:
        raise InputError(f"resources: {text!r} is not a quantity: give one like 100m or 50Mi.") from None


def _quantities(values: Any) -> dict[str, Fraction]:
    return {name: quantity(value) for name, value in (values or {}).items()}


def check_resources(resources: Any) -> None:
    """Raise InputError when something else than requests and limits with quantities is given."""
    for name, values in resources.items():
        if name not in ("requests", "limits") or not isinstance(values, Mapping):
            raise InputError(f"resources has {name!r}: give dictionaries requests and limits.")
        _quantities(values)


def name_of(item: Mapping[str, Any]) -> str:
    """How messages call a DaemonSet."""
    metadata = item.get("metadata") or {}
    return f"DaemonSet {metadata.get('namespace')}/{metadata.get('name')}"


def service_account(item: Mapping[str, Any]) -> str:
    """The service account that the pods run as."""
    return str(_pod_spec(item).get("serviceAccountName") or "default")


def has_sidecar(live: Mapping[str, Any]) -> bool:
    """Whether a container of the pods is kube-network-policies, by its name, its program or its image."""
    return any(_is_sidecar(container) for container in _pod_spec(live).get("containers") or [])


def _is_sidecar(container: Mapping[str, Any]) -> bool:
    image = str(container.get("image") or "").split("@", 1)[0].rpartition("/")[2].split(":", 1)[0]
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    program = str(words[0]).rpartition("/")[2] if words else ""
    return container.get("name") == CONTAINER or image == CONTAINER or program == PROGRAM


def has_foreign_sidecar(live: Mapping[str, Any]) -> bool:
    """Whether there is a sidecar that is not ours to remove."""
    return RESTORE not in _annotations(live) and has_sidecar(live)


def _pod_spec(item: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = item["spec"]["template"]["spec"]
    return found


def _annotations(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return fields.mapping(item, "metadata", "annotations")


def _named(items: Any, name: str) -> dict[str, Any] | None:
    return next((item for item in items or [] if item.get("name") == name), None)


def _position(items: Any, name: str, default: int) -> int:
    names = [item.get("name") for item in items or []]
    return names.index(name) if name in names else default


def _placed(items: Any, item: Mapping[str, Any], live: Any) -> list[Any]:
    """The list with the item in place of the one of its name, else where the live list has it, else at the end."""
    found = list(items or [])
    name = item["name"]
    if _named(found, name) is not None:
        position = _position(found, name, 0)
        found[position] = item
    else:
        found.insert(_position(live, name, len(found)), item)
    return found
