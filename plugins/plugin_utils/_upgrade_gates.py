# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a role of an upgrade hands from task to task, checked and judged; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

DEFAULTS: Mapping[str, Any] = {
    "template": {},
    "replace_template": False,
    "config_map": "",
    "config_data": {},
    "os": "linux",
    "container": "",
    "log_others": [],
}
WRITTEN = ("template", "replace_template", "config_map", "config_data")
_SHOWN = 3


def rollouts(
    items: Sequence[Mapping[str, Any]], keys: Sequence[str] = (), written: bool = False
) -> list[dict[str, Any]]:
    """Rollouts with all their keys, or with some of them.

    C(written) leaves out what is to be changed, for a rollout of what somebody else wrote. Raises ValueError for an
    item without namespace and name and for a key that there is not.
    """
    found = []
    for number, item in enumerate(items):
        strange = sorted(set(item) - {"namespace", "name", *DEFAULTS})
        if strange:
            raise ValueError(f"item {number} has a key {strange[0]!r}, which no rollout has")
        if not item.get("namespace") or not item.get("name"):
            raise ValueError(f"item {number} has no namespace or no name")
        whole = {**DEFAULTS, **item}
        if written:
            whole.update({key: DEFAULTS[key] for key in WRITTEN})
        found.append({key: whole[key] for key in keys} if keys else whole)
    return found


def problems(hosts: Iterable[Mapping[str, Any]], nodes: Iterable[str]) -> list[str]:
    """What is wrong with the nodes that are hosts, from the variables of hosts; one that says nothing is wrong."""
    wanted = set(nodes)
    found = []
    for host in hosts:
        node = host.get("_upgrade_node")
        gate = host.get("_upgrade_gate") or {}
        if node is None or (node not in wanted and not gate.get("problem")):
            continue
        text = _problem(gate)
        if text:
            found.append(f"{node}: {text}")
    return found


def _problem(gate: Mapping[str, Any]) -> str:
    if not gate.get("seen"):
        return "did not answer"
    found = [str(gate["problem"]).rstrip(".")] if gate.get("problem") else []
    actions = [str(action) for action in gate.get("dataplane") or []]
    if actions:
        more = f" (and {len(actions) - _SHOWN} more)" if len(actions) > _SHOWN else ""
        found.append(f"the data plane is not as the leases say, to do: {', '.join(actions[:_SHOWN])}{more}")
    mtu, largest = int(gate.get("mtu") or 0), [int(size) for size in gate.get("largest") or [] if size]
    if mtu and largest and min(largest) < mtu:
        found.append(f"packets of more than {min(largest)} octets do not get through, but the MTU is {mtu}")
    return ", and ".join(found)
