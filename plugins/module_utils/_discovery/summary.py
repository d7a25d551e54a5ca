# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One line per cluster: what carries its pods, in which ranges, and where these overlap another cluster's.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import itertools
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import SCHEMA_VERSION
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses

Data = Mapping[str, Any]

_WORST_FIRST = ("broken", "degraded", "disabled", "unknown", "healthy")


def summarise(records: Sequence[Data]) -> dict[str, Any]:
    """The summary of one cluster out of its records, given as plain data; needs at least one record.

    C(overlap_unknown) says why an empty C(overlaps) proves nothing: ranges that were not read overlap nothing.
    """
    primary = next((item for item in records if item["role"] == "primary"), None)
    leading = primary or records[0]
    installed = [item for item in records if item["role"] != "leftover"] or list(records)
    scope = "partial" if any(item["scope"] == "partial" for item in records) else leading["scope"]
    found = {key: _ranges(installed, key) for key in ("pod_cidrs", "service_cidrs")}
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "summary",
        "cluster": leading["cluster"],
        "primary": primary["plugin"] if primary else None,
        "components": [{key: item[key] for key in ("plugin", "role", "namespace", "version")} for item in records],
        **found,
        "ip_families": leading["networking"]["ip_families"],
        "health": min((item["health"]["state"] for item in installed), key=_WORST_FIRST.index),
        "scope": scope,
        "warnings": list(dict.fromkeys(warning for item in records for warning in item["warnings"])),
        "not_looked_for": _not_looked_for(leading),
        "overlaps": [],
        "overlap_unknown": _unknown(scope, primary, found),
        "server_version": leading["server_version"],
        "collected_at": leading["collected_at"],
        "api_calls": leading["api_calls"],
    }


def _not_looked_for(record: Data) -> list[str]:
    """What can be there beside what was found, because a primary was found without looking at all DaemonSets."""
    what = {
        "labels": "components without a label that is known, like a Multus of one's own: only labels were looked for",
        "node": "components that have no pod on the Node that was looked at, like those of another operating system",
        "images": "components that only their arguments tell: names and images were looked at",
    }.get(record["searched"])
    return [f"{what}. mode=full reads all DaemonSets."] if what else []


def _unknown(scope: str, primary: Data | None, found: Mapping[str, Sequence[Data]]) -> list[str]:
    reasons = []
    if scope == "partial":
        reasons.append("the cluster was not read, or not wholly")
    elif scope == "namespace":
        reasons.append("only some namespaces were read")
    if primary is None or primary["plugin"] == "unknown":
        reasons.append("what carries the pods is unknown")
    for key, what in (("pod_cidrs", "pod"), ("service_cidrs", "service")):
        if not found[key]:
            reasons.append(f"its {what} range is unknown")
    return reasons


def note_overlaps(summaries: Sequence[dict[str, Any]]) -> None:
    """Fill C(overlaps) of every summary: Submariner, for one, cannot join clusters that share addresses."""
    for one, other in itertools.permutations(summaries, 2):
        for mine, theirs in itertools.product(_named(one), _named(other)):
            if _overlap(mine[1]["cidr"], theirs[1]["cidr"]):
                one["overlaps"].append(
                    {
                        "kind": mine[0],
                        "cidr": mine[1]["cidr"],
                        "other_cluster": other["cluster"],
                        "other_kind": theirs[0],
                        "other_cidr": theirs[1]["cidr"],
                    }
                )


def _ranges(records: Sequence[Data], key: str) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for item in records:
        for entry in item["networking"][key]:
            found.setdefault(entry["cidr"], dict(entry))
    return list(found.values())


def _named(summary: Data) -> list[tuple[str, Data]]:
    return [("pod", item) for item in summary["pod_cidrs"]] + [("service", item) for item in summary["service_cidrs"]]


def _overlap(one: str, other: str) -> bool:
    first, second = addresses.parse_cidr(one), addresses.parse_cidr(other)
    return first.version == second.version and first.overlaps(second)
