# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of an upgrade of hosts that the role overlay programs; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._probe.measure import HEADERS
from ansible_collections.podnet.cni.plugins.module_utils._rollout import waves
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import network

PLACE = "overlay"
SERIAL = ("1", "10%", "25%", "100%")


def plan(
    hosts: Sequence[str],
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *,
    serial: Any = SERIAL,
    done: Sequence[str] = (),
    files: Sequence[str] = (),
) -> dict[str, Any]:
    """The plan as plain data, in the shape of that of a cluster.

    C(before) is the network config as the store has it, None for none, C(after) the wanted one, None to keep it.
    C(serial) is what the play has for its batches, C(done) names hosts that an interrupted upgrade has done, C(files)
    what is kept of each host. Whether a host differs is found out on the host, so all that are not done are planned.
    Raises InputError for an invalid batch size and for an invalid network config.
    """
    old = _canonical(before)
    new = _canonical(after) if after is not None else old
    changes = network.differences(json.dumps(old), json.dumps(new))
    planned: list[dict[str, Any]] = []
    for batch in batches(hosts, serial):
        left = [name for name in batch if name not in set(done)]
        if left:
            planned.append(
                {
                    "number": len(planned) + 1,
                    "daemonset": PLACE,
                    "daemonset_wave": len(planned) + 1,
                    "os": "linux",
                    "kind": "batch",
                    "nodes": left,
                }
            )
    lost = network.not_reversible(json.dumps(old), json.dumps(new)) if before else ""
    return {
        "network": PLACE,
        "install_method": "the role overlay",
        "action": "upgrade" if planned else "none",
        "current": {},
        "target": {},
        "changes": [],
        "daemonsets": [
            {
                "place": PLACE,
                "os": "linux",
                "images": [],
                "template_changes": False,
                "config_changes": changes,
                "left_out": [],
            }
        ],
        "waves": planned,
        "nodes": sum(len(wave["nodes"]) for wave in planned),
        "least_seconds": 0,
        "left_out": [],
        "backup": ["the network config, without its secrets", *(f"{name} of each host" for name in files)],
        "not_reversible": [*([lost] if lost else []), "a preshared key: it is read from no store"],
        "problems": [],
        "needs": [],
        "warnings": [],
    }


def near(
    leases: Sequence[Mapping[str, Any]], node: str, sample: int, mtu: int | None = None, ipv6_mtu: int | None = None
) -> list[dict[str, Any]]:
    """Targets for a probe from C(node): the vxlan links of so many others, in the order of the leases, in each family.

    With C(mtu) and C(ipv6_mtu) they are asked by packets of that size. Where none of these passes, the largest that
    does is searched for.

    Such a link has the first address of its node's subnet. Other backends have no link that answers.
    """
    others = [lease for lease in leases if lease["name"] != node and lease.get("backend_type") == "vxlan"]
    subnets = [str(lease[key]) for lease in others[:sample] for key in ("subnet", "ipv6_subnet") if lease.get(key)]
    largest = {4: mtu, 6: ipv6_mtu}
    return [_target(subnet.partition("/")[0], largest) for subnet in subnets]


def _target(address: str, largest: Mapping[int, int | None]) -> dict[str, Any]:
    family = 6 if ":" in address else 4
    mtu = largest[family]
    return {"name": address, "address": address, "search": True, **({"size": mtu - HEADERS[family]} if mtu else {})}


def batches(hosts: Sequence[str], serial: Any) -> list[list[str]]:
    """How Ansible divides the hosts of a play (ansible-core 2.19 executor/playbook_executor.py). Raises InputError."""
    sizes = serial if isinstance(serial, (list, tuple)) else [serial]
    return waves.cut(hosts, [max(0, _size(each, len(hosts))) for each in sizes])


def _size(value: Any, total: int) -> int:
    text = str(value)
    try:
        if text.endswith("%"):
            return int(int(text[:-1]) / 100 * total) or 1
        return int(text)
    except ValueError:
        raise InputError(
            f"upgrade_overlay_serial has {value!r}, which is neither a number of hosts nor a percentage of them (10%)."
        ) from None


def _canonical(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """All options, since a default that is written out is not a change."""
    if not config:
        return {}
    try:
        parsed = network_config.parse(config)
    except InputError:
        # With leases in Kubernetes the ranges are those of the Nodes.
        parsed = network_config.parse(config, check_ranges=False)
    return network_config.to_dict(parsed)
