# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of the values of a flannel that is taken over: kept, dropped by word, or refused. No requests.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._adoption import ownership
from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import settings, values
from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel.values import Value
from ansible_collections.podnet.cni.plugins.module_utils._discovery import objects
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError

KEEP = "keep"
DROP = "drop"
RECORD = "podnet.cni/adopted"
"""Annotation of a DaemonSet: the names of the values that it has from its former installation."""

Obj = Mapping[str, Any]


@dataclass(frozen=True)
class Takeover:
    """The values that stay, those that the user set to something else, and those that are lost."""

    kept: Sequence[Value] = ()
    replaced: Sequence[Value] = ()
    dropped: Sequence[Value] = ()

    @property
    def adopted(self) -> dict[str, Any]:
        """What the role adds to its own: settings by the chart's names, patches of the DaemonSet, and the names."""
        chart: dict[str, Any] = {}
        for item in self.kept:
            for name, value in item.values.items():
                chart[name] = [*chart.get(name, []), *value] if name == "args" else value
        patches = [item.patch for item in self.kept if item.patch]
        return {"names": [item.name for item in self.kept], "settings": chart, "patches": patches}

    def entries(self) -> list[dict[str, Any]]:
        """The list as the module returns it."""
        return [
            {
                "name": item.name,
                "was": item.was,
                "variable": item.variable,
                "traffic": item.traffic,
                "becomes": becomes,
                "text": f"{_text(item)}: {becomes}",
            }
            for becomes, items in (("kept", self.kept), ("replaced", self.replaced), ("dropped", self.dropped))
            for item in items
        ]

    def network_config(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """The network config with what is kept of the former one."""
        result = dict(wanted, Backend=dict(wanted.get("Backend") or {}))
        names = settings.OPTIONS.get(str(result["Backend"].get("Type")), {})
        for item in self.kept:
            for name, value in item.values.items():
                if name == "enableNFTables":
                    result["EnableNFTables"] = value
                elif name in names:
                    result["Backend"][names[name]] = value
        return result

    def shown(self) -> dict[str, dict[str, Any]]:
        """Before and after as Ansible shows them."""
        title = "set by the former installation"
        if not self.entries():
            return {"before": {}, "after": {}}
        before = {item["name"]: item["was"] for item in self.entries()}
        return {"before": {title: before}, "after": {title: {item.name: item.was for item in self.kept}}}

    def warnings(self, where: str) -> list[str]:
        """What is lost, and what sets it."""
        gone = [*self.dropped, *self.replaced]
        if not gone:
            return []
        return [f"Of what {where} has, the role's flannel does not have: {_listed(gone)}."]


def foreign_values(
    daemonsets: Sequence[Obj], config_map: Obj | None, wanted: Sequence[Obj], manager: str
) -> list[Value]:
    """What the former installation set: all that differs, or what is recorded once the role has taken it over."""
    main = daemonsets[0]
    found = values.compare(main, config_map, wanted, several=len(daemonsets) > 1)
    known = {(item.name, json.dumps(item.was, sort_keys=True)) for item in found}
    for other in daemonsets[1:]:
        for item in values.compare(other, config_map, wanted, several=True):
            if (item.name, json.dumps(item.was, sort_keys=True)) not in known:
                # One DaemonSet cannot have the values of several.
                found.append(replace(item, values={}, patch={}))
    recorded = objects.notes(main).get(RECORD)
    if recorded is None and not _ours(main, manager):
        return found
    names = _names(recorded)
    return [item for item in found if item.name in names]


def _ours(main: Obj, manager: str) -> bool:
    """Whether the role applied flanneld's container there; a chart's objects bear no mark of who installed them."""
    return ownership.writes_container(main, manager, values.CONTAINER) and not ownership.release(main)


def _names(recorded: str | None) -> list[str]:
    try:
        found = json.loads(recorded or "[]")
    except ValueError:
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def settle(found: Sequence[Value], *, adopt: str, drop: Sequence[str], chart: bool, anew: bool) -> Takeover:
    """Sort the values. With C(chart) Helm writes the DaemonSet, C(anew) one that is made anew.

    A chart has no place for a patch, but Helm leaves fields alone that its last release did not set.
    """
    kept, replaced, dropped = [], [], []
    for item in found:
        by_patch = bool(item.patch) and not item.values
        if chart and by_patch and not anew and not item.chosen:
            continue
        if item.chosen:
            replaced.append(item)
        elif adopt == KEEP and item.name not in drop and (item.values or (item.patch and not chart)):
            kept.append(item)
        else:
            dropped.append(item)
    return Takeover(kept, replaced, dropped)


def refuse_loss(takeover: Takeover, where: str, drop: Sequence[str]) -> None:
    """Raise ConflictError where something that carries traffic would be lost without a word."""
    lost = [item for item in takeover.dropped if item.traffic and item.name not in drop]
    if lost:
        raise ConflictError(
            f"Taking over {where} would lose what its traffic depends on: {_listed(lost)}. Set the variables, keep "
            "what can be kept with flannel_adopt_values keep, or give flannel_adopt_drop the names of what may go."
        )


def _listed(items: Sequence[Value]) -> str:
    return "; ".join(map(_text, items))


def _text(item: Value) -> str:
    was = item.was if isinstance(item.was, str) else json.dumps(item.was, sort_keys=True)
    return f"{item.name} = {was}" + (f" ({item.variable})" if item.variable else "")
