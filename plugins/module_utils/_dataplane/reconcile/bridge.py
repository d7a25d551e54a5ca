# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge of the node's pods, when the node's subnet has moved.

Private to podnet.cni: may change in any release.

The bridge plugin gave it an address of the old subnet and refuses another one (containernetworking/plugins v1.9.0
plugins/main/bridge/bridge.go ensureAddr: "already has an IP address different from"), so no pod starts until somebody
moves it. Pods that run keep their addresses until they are started anew.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    Address,
    DataPlane,
    Prefix,
    contains,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.parts import Node, Part
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.request import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import HostAddress, strays
from ansible_collections.podnet.cni.plugins.module_utils._host import pod_addresses

PODS_NAMED = 20


def move(plane: DataPlane, bridge: str, addresses: Sequence[HostAddress]) -> Plan:
    """Return the plan that moves the bridge to the node's subnets; empty while it has no address elsewhere."""
    stale = [one for one in stale_addresses(plane, addresses) if one.link == bridge]
    if not stale:
        return Plan()
    held = {one.address for one in addresses if one.link == bridge}
    gateways = [Address(bridge, first_address(subnet), subnet.length) for subnet in plane.own_subnets]
    return Plan(
        add_addresses=[one for one in gateways if one.address not in held],
        remove_addresses=[Address(one.link, one.address, one.prefixlen) for one in stale],
    )


def stale_addresses(plane: DataPlane, addresses: Sequence[HostAddress]) -> list[HostAddress]:
    """Return the addresses that links of pods have of a subnet which is this node's no longer, of any network."""
    own = [link.name for link in plane.links] + list(plane.link_names)
    found = strays(addresses, own, plane)
    former = [address.address for address in plane.former.addresses]
    for one in addresses:
        around = Prefix(_masked(one.address, one.prefixlen), one.prefixlen)
        moved = any(contains(around, address) for address in former) and one.prefixlen < 8 * len(one.address)
        if moved and one not in found and one.link not in own and not _is_own(plane, one.address):
            found.append(one)
    return found


def first_address(subnet: Prefix) -> bytes:
    """The address that the bridge plugin gives the bridge: the subnet's first."""
    return (int.from_bytes(subnet.address, "big") + 1).to_bytes(len(subnet.address), "big")


def _is_own(plane: DataPlane, address: bytes) -> bool:
    return any(contains(subnet, address) for subnet in plane.own_subnets)


def _masked(address: bytes, length: int) -> bytes:
    shift = 8 * len(address) - length
    return (int.from_bytes(address, "big") >> shift << shift).to_bytes(len(address), "big")


class Bridge(Part):
    """The bridge's addresses. Without the option they stay, and what is wrong with them is said."""

    name = "bridge of the pods"
    key = "bridge"

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._stale: list[HostAddress] = []

    def desired(self) -> DataPlane | None:
        return self.node.plane

    def observed(self, wanted: DataPlane | None) -> Sequence[HostAddress]:
        return self.node.kernel.host_addresses()

    def plan(self, wanted: DataPlane | None, observed: Sequence[HostAddress]) -> Plan:
        plane = wanted
        if plane is None or not plane.own_subnets:
            return Plan()
        self._stale = stale_addresses(plane, observed)
        bridge = self.node.request.move_bridge
        return move(plane, bridge, observed) if bridge else Plan()

    def actions(self, steps: Plan) -> Sequence[str]:
        return steps.actions()

    def note(self, steps: Plan, outcome: Outcome) -> None:
        super().note(steps, outcome)
        outcome.operations += steps.operations()
        outcome.before += steps.before()
        outcome.after += steps.after()
        plane = self.node.plane
        if not self._stale or plane is None:
            return
        moving = {address.link for address in steps.remove_addresses}
        for one in self._stale:
            if one.link not in moving:
                outcome.warnings.append(
                    f"link {one.link} has {to_text(one.address)}/{one.prefixlen}, not in this node's subnet: its pods "
                    "are cut off, and new ones fail (already has an IP address different from ...); "
                    f"let this module move it (move_bridge: {one.link}, overlay_move_bridge), or delete it"
                )
        pods = [each for each in pod_addresses.read() if not _is_own(plane, each.address)]
        if pods:
            shown = ", ".join(each.describe() for each in pods[:PODS_NAMED])
            more = f" and {len(pods) - PODS_NAMED} more" if len(pods) > PODS_NAMED else ""
            outcome.warnings.append(
                f"{len(pods)} pods hold addresses of another subnet than this node's and have to be started anew: "
                f"{shown}{more}"
            )

    def apply(self, wanted: DataPlane | None, steps: Plan) -> None:
        self.node.kernel.move_addresses(steps)
