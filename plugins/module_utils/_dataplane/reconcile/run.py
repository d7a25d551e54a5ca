# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node's data plane brought to what the network config and the leases ask for.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import socket
from typing import Any, ContextManager

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends, peers
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.kernel import Kernel, check_capable
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.lock import Lock
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import mac_text
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile import parts
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.bridge import Bridge
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.request import Outcome, Request
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.restore.files import check_programs
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._host import flanneld
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run

DIFFERENCES_SHOWN = 5
JOINING: tuple[type[parts.Part], ...] = (
    parts.Keys,
    parts.Links,
    Bridge,
    parts.Firewall,
    parts.RestoreFiles,
    parts.SubnetFile,
)
"""In this order. What reads the subnet file, the CNI plugin, then finds everything else in place."""
LEAVING: tuple[type[parts.Part], ...] = (
    parts.SubnetFile,
    parts.Keys,
    parts.Links,
    parts.Firewall,
    parts.RestoreFiles,
)
"""No pod is to be started from the moment the host begins to leave."""
HANDING_OVER: tuple[type[parts.Part], ...] = (parts.Firewall, parts.RestoreFiles)
"""flanneld has rules of its own, and makes everything anew at boot. Links, routes and keys are its own now."""


def reconcile(
    host: str, request: Request, run: Run, check: bool, lock: ContextManager[object] | None = None
) -> Outcome:
    """Carry the request out on this host, or with C(check) only say what that would do.

    It is done under the host's lock, or under C(lock), with which the caller says that it holds that one already.

    Raises InputError before anything is changed for a request that cannot be met, ConflictError when something that
    is not ours is in the way, PodnetError naming what failed, or what is not as it was made.
    """
    outcome = Outcome(facts={"public_key": None})
    backends.check_supported(request.config)
    own = checked = None
    if request.lease is not None:
        outcome.warnings += network_config.warnings(request.config)
        own = peers.read_own(request.config, request.lease)
        checked = peers.read_peers(request.config, own, request.peers, request.foreign, request.where)
        outcome.warnings += checked.warnings
    check_capable(host)
    if own is not None and request.refuse_flanneld:
        flanneld.refuse(host, flanneld.find())
    if own is not None:
        own_kind = backends.link_kind(request.config)
        outcome.tolerate(check, lambda: check_programs(run, host, own_kind, request.restore_dir))
    kinds = HANDING_OVER if request.hands_over else LEAVING if own is None else JOINING
    with lock or Lock(host, request.lock_timeout), Kernel(host) as kernel:
        # By subnet, not as they were given: files and plans then change with the network and with nothing else.
        others = sorted(checked.peers, key=_place) if checked is not None else ()
        node = parts.Node(host, request, run, check, kernel, outcome, own, others)
        planned = []
        for part in (kind(node) for kind in kinds):
            wanted = part.desired()
            steps = part.plan(wanted, part.observed(wanted))
            part.note(steps, outcome)
            planned.append((part, wanted, steps))
        outcome.facts.update(_facts(node))
        if check:
            return outcome
        for part, wanted, steps in planned:
            if steps:
                part.apply(wanted, steps)
        if node.refused is not None:
            raise node.refused
        for part, wanted, steps in planned:
            if steps:
                check_result(part, wanted)
    return outcome


def check_result(part: parts.Part, wanted: Any) -> None:
    """Raise PodnetError where what is there after the run is not what the run made of it."""
    left = part.actions(part.plan(wanted, part.observed(wanted)))
    if left:
        shown = "; ".join(left[:DIFFERENCES_SHOWN])
        raise PodnetError(
            f"host {part.node.host}: {part.name}: this run did its work, and now {len(left)} things differ again: "
            f"{shown}; something else on the host writes them, or the kernel dropped them: find it, then run again"
        )


def _place(node: peers.Node) -> tuple[bytes, ...]:
    return tuple(side.subnet.address if side is not None else b"" for side in (node.ipv4, node.ipv6))


def _facts(node: parts.Node) -> dict[str, Any]:
    own, plane = node.own, node.plane
    facts: dict[str, Any] = {
        "backend": node.request.config.backend.type,
        "devices": [link.name for link in plane.links] if plane is not None else [],
        "mtu": (plane.mtu if plane is not None else 0) or None,
        "ipv6_mtu": (plane.largest(socket.AF_INET6) if plane is not None else 0) or None,
        "lease": node.request.lease and to_dict(node.request.lease),
        "peers": len(node.peers),
    }
    for name, side in (("mac", own and own.ipv4), ("ipv6_mac", own and own.ipv6)):
        facts[name] = mac_text(side.mac) if side and side.mac else None
    return facts
