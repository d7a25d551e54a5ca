# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a role of an upgrade hands from task to task, checked and judged; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._probe.measure import OVER_IPV6
from ansible_collections.podnet.cni.plugins.module_utils._rollout import waves
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import agent

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
_ALL = 100.0
"""Percent."""


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


def judge(
    hosts: Iterable[Mapping[str, Any]],
    nodes: Iterable[str],
    *,
    max_failed: str = "0",
    total: int = 0,
    first: bool = True,
    before: Iterable[str] = (),
    writes_sysctls: bool = False,
) -> dict[str, Any]:
    """What hosts say of a wave: C(failed) maps nodes of it to what is wrong, C(stop) says whether they are too many.

    C(nodes) are those of the wave that have to be well, C(before) those that failed earlier, C(total) how many there
    are, C(max_failed) how many of them may fail, as a number or percentage; in the C(first) wave none may. C(others)
    is what hosts that are not of the wave say of themselves, which is not the wave's fault, and C(leftovers) what
    flanneld never removes, which is none either. C(writes_sysctls) says
    whether flanneld may write to /proc/sys where it runs. Raises InputError for an
    invalid allowance.
    """
    allowed = waves.parse_allowance(str(max_failed), total)
    gates = {str(host["_upgrade_node"]): host.get("_upgrade_gate") or {} for host in hosts if host.get("_upgrade_node")}
    wanted = set(nodes) & set(gates)
    failed = {node: text for node in sorted(wanted) for text in [_own_problem(gates[node], writes_sysctls)] if text}
    # A node that reaches nobody is to blame itself; those that do not reach it are not, if that is all.
    lost = set(failed) | {node for node in wanted if _reaches_none(gates[node])}
    for node in sorted(wanted):
        ways = _problem_of_ways(gates[node], set() if node in lost else lost)
        if ways:
            failed[node] = ", and ".join(filter(None, [failed.get(node, ""), ways]))
    others = {node: text for node in sorted(set(gates) - wanted) for text in [_said(gates[node])] if text}
    too_many = bool(failed) if first else len({*failed, *before}) > allowed
    leftovers = {
        node: found
        for node in sorted(wanted)
        for found in [agent.texts(gates[node].get("dataplane") or [], writes_sysctls, agent.LEFTOVER)]
        if found
    }
    return {"failed": failed, "others": others, "leftovers": leftovers, "stop": too_many}


def _said(gate: Mapping[str, Any]) -> str:
    return str(gate.get("problem") or "").rstrip(".")


def _own_problem(gate: Mapping[str, Any], sysctls: bool) -> str:
    if not gate.get("seen"):
        return "did not answer"
    found = [_said(gate)] if gate.get("problem") else []
    actions = agent.texts(gate.get("dataplane") or [], sysctls, agent.FAULT)
    if actions:
        more = f" (and {len(actions) - _SHOWN} more)" if len(actions) > _SHOWN else ""
        found.append(f"the data plane is not as the leases say, to do: {', '.join(actions[:_SHOWN])}{more}")
    return ", and ".join(found)


def _reaches_none(gate: Mapping[str, Any]) -> bool:
    probes = gate.get("probes") or []
    return bool(probes) and all(float(probe["loss"]) >= _ALL for probe in probes)


def _problem_of_ways(gate: Mapping[str, Any], lost: set[str]) -> str:
    """What is wrong with the ways to other nodes, but for those that are lost themselves."""
    probes = [probe for probe in gate.get("probes") or [] if probe["target"].removesuffix(OVER_IPV6) not in lost]
    lossy = [f"{float(probe['loss']):g} % to {probe['target']}" for probe in probes if probe["loss"]]
    found = [f"loses {', '.join(lossy)}"] if lossy else []
    for family, key in (("", "mtu"), ("IPv6 ", "ipv6_mtu")):
        mtu = int(gate.get(key) or 0)
        own = [probe for probe in probes if (":" in str(probe.get("address"))) == bool(family)]
        largest = min((int(probe["largest_packet"]) for probe in own if probe.get("largest_packet")), default=mtu)
        if largest < mtu:
            found.append(f"{family}packets of more than {largest} octets do not get through, but the MTU is {mtu}")
    return ", and ".join(found)
