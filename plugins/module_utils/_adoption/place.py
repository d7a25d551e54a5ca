# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the objects of a network are in a cluster, and their names.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Mapping


@dataclass(frozen=True)
class Place:
    """Namespace and names of a network's objects.

    C(selector) is that of the DaemonSet; C(labels) are added to those of its pods, so that the selector matches them.
    """

    namespace: str
    daemonset: str
    config_map: str
    service_account: str
    selector: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


def from_dict(given: Mapping[str, Any]) -> Place:
    """A place as the modules return it."""
    return Place(
        namespace=str(given["namespace"]),
        daemonset=str(given["daemonset"]),
        config_map=str(given["config_map"]),
        service_account=str(given["service_account"]),
        selector=dict(given.get("selector") or {}),
        labels=dict(given.get("labels") or {}),
    )


def to_dict(place: Place) -> dict[str, Any]:
    """The place as the modules return it: plain dictionaries and lists."""
    return {
        "namespace": place.namespace,
        "daemonset": place.daemonset,
        "config_map": place.config_map,
        "service_account": place.service_account,
        "selector": json.loads(json.dumps(dict(place.selector))),
        "labels": dict(place.labels),
    }
