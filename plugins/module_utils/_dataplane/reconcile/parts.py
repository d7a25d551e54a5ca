# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a node's data plane: keys, links with their entries, firewall, files for the boot, subnet file.

Private to podnet.cni: may change in any release.

Each part says what it should be, looks at what it is, plans the way from one to the other and goes it.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends, keys, peers, scale, x25519
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.firewall import table as firewall_table
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.kernel import Kernel, RefusedError
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import DataPlane, route_text, to_text
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.observed import Observed
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Plan, make
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.request import Outcome, Request
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.restore import files as restore
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import (
    Underlay,
    not_held,
    usable_address,
)
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import subnet_env
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run

SUBNET_FILE_MODE = 0o644
ROUTES_NAMED = 5


# The field C(peers) would hide the module.
OneNode = peers.Node


@dataclass
class Node:
    """One run on one node: what is asked for, and what its parts let each other know.

    C(own) and C(peers) are the checked leases, None and empty on a node that leaves. C(plane), C(ruleset) and
    C(removed) are known once the links, the firewall and the keys have been planned.
    """

    host: str
    request: Request
    run: Run
    check: bool
    kernel: Kernel
    outcome: Outcome
    own: OneNode | None
    peers: Sequence[OneNode]
    private_key: bytes = field(default=b"", repr=False)
    public_key: bytes = b""
    plane: DataPlane | None = None
    ruleset: str = ""
    removed: Sequence[str] = ()
    refused: RefusedError | None = None

    @property
    def joins(self) -> bool:
        """Whether the node is to be part of the network; otherwise it leaves."""
        return self.request.lease is not None

    def subnet_env(self) -> str:
        """The text of the subnet file, empty for none."""
        if self.request.lease is None or self.plane is None or not self.request.subnet_file:
            return ""
        return subnet_env.render(self.request.config, self.request.lease, self.plane.mtu, self.request.ip_masq)


class Part(ABC):
    """One part of a node. What is between the steps belongs to the part; a false plan means that nothing is to do."""

    name: str
    key: str
    """The part in results."""

    def __init__(self, node: Node) -> None:
        self.node = node

    @abstractmethod
    def desired(self) -> Any:
        """What the request asks for. Raises InputError for a request that cannot be met."""

    @abstractmethod
    def observed(self, wanted: Any) -> Any:
        """What is there."""

    @abstractmethod
    def plan(self, wanted: Any, observed: Any) -> Any:
        """The way from one to the other. Raises ConflictError when something that is not ours is in the way."""

    @abstractmethod
    def actions(self, steps: Any) -> Sequence[str]:
        """The plan in words, a line for each step."""

    def note(self, steps: Any, outcome: Outcome) -> None:
        """Put the plan into the outcome."""
        actions = list(self.actions(steps))
        outcome.actions += actions
        if actions:
            outcome.parts[self.key] = actions

    @abstractmethod
    def apply(self, wanted: Any, steps: Any) -> None:
        """Carry the plan out. Raises PodnetError naming what failed."""


class Keys(Part):
    """The node's wireguard key, which its lease has to publish. It goes with the node, as the preshared key does."""

    name = "wireguard key"
    key = "wireguard_key"

    def desired(self) -> bool:
        """Whether the node needs a key. The key is read and compared with the lease."""
        node, request = self.node, self.node.request
        node.outcome.facts["public_key"] = None
        if request.config.backend.type != "wireguard":
            return False
        if node.own is None:
            return False
        path = request.wireguard_key_file
        key = keys.read(path, node.host)
        published = [side.public_key for side in (node.own.ipv4, node.own.ipv6) if side is not None]
        if not key:
            missing = f"host {node.host}: {path} does not exist; run flannel_dataplane_prepare, then flannel_lease"
            if not node.check:
                raise InputError(missing)
            node.outcome.warnings.append(missing)
            node.public_key = published[0]
            return True
        node.outcome.facts["public_key"] = keys.public_text(key)
        for public_key in published:
            if public_key != x25519.public_key(key):
                raise InputError(
                    f"host {node.host}: the lease publishes another wireguard key than {path} holds; run flannel_lease "
                    f"with wireguard_public_key {node.outcome.facts['public_key']}"
                )
        node.private_key, node.public_key = key, x25519.public_key(key)
        return True

    def observed(self, wanted: bool) -> Sequence[str]:
        """The key files that are there."""
        request = self.node.request
        key_file = request.wireguard_key_file if request.config.backend.type == "wireguard" else ""
        return [path for path in (key_file, f"{key_file}.psk") if key_file and os.path.exists(path)]

    def plan(self, wanted: bool, observed: Sequence[str]) -> Sequence[str]:
        """The files to remove."""
        self.node.removed = () if wanted or self.node.joins else observed
        return self.node.removed

    def actions(self, steps: Sequence[str]) -> Sequence[str]:
        return [f"remove {path}" for path in steps]

    def note(self, steps: Sequence[str], outcome: Outcome) -> None:
        super().note(steps, outcome)
        for path in steps:
            outcome.note_file(path, "present", "absent")

    def apply(self, wanted: bool, steps: Sequence[str]) -> None:
        for path in steps:
            atomic_file.remove(path)


class Links(Part):
    """The links with their addresses, and the entries for peers."""

    name = "kernel"
    key = "kernel"

    def desired(self) -> DataPlane:
        node = self.node
        if node.own is None:
            plane = backends.nothing(node.request.config, node.request.interface)
        else:
            plane = self._joined(node.own)
        former = restore.former(node.request.restore_dir, plane)
        node.plane = replace(plane, wireguard_public_key=node.public_key, former=former)
        return node.plane

    def _joined(self, own: peers.Node) -> DataPlane:
        node, kernel, request = self.node, self.node.kernel, self.node.request
        public = peers.public_ips(own)
        addresses = kernel.host_addresses()
        elsewhere = not_held(public, addresses) if request.interface else []
        underlay = kernel.underlay([address for address in public if address not in elsewhere], request.interface)
        own = _as_held(own, elsewhere, underlay, node.outcome)
        sides = [side for peer in node.peers for side in (peer.ipv4, peer.ipv6) if side is not None and side.public_ip]
        public_ips = sorted({side.public_ip for side in sides})
        on_link = kernel.on_link(public_ips) if backends.wants_route_lookups(request.config) else {}
        plane = backends.build(request.config, own, node.peers, underlay, on_link)
        node.outcome.warnings += scale.warnings(plane, underlay, public_ips, scale.read())
        given = request.config.backend.options.get("MTU") or 0
        if given > underlay.mtu:
            node.outcome.warnings.append(
                f"Backend.MTU is {given}, and {underlay.name} carries {underlay.mtu}: larger packets between pods are "
                f"lost; raise the MTU of {underlay.name} on all hosts and between them, or leave Backend.MTU out"
            )
        return plane

    def observed(self, wanted: DataPlane) -> Observed:
        found = Observed()

        def observe() -> None:
            nonlocal found
            found = self.node.kernel.observe(wanted)

        self.node.outcome.tolerate(self.node.check, observe)
        return found

    def plan(self, wanted: DataPlane, observed: Observed) -> Plan:
        node, steps = self.node, make(wanted, observed)
        node.outcome.tolerate(node.check, lambda: node.kernel.make_ready(steps))
        for kind in sorted({link.kind for link in steps.create_links}):
            node.outcome.tolerate(node.check, partial(node.kernel.check_kind, kind))
        return steps

    def actions(self, steps: Plan) -> Sequence[str]:
        return steps.actions()

    def note(self, steps: Plan, outcome: Outcome) -> None:
        super().note(steps, outcome)
        outcome.operations += steps.operations()
        if steps.foreign_routes:
            routes = sorted(map(route_text, steps.foreign_routes))
            outcome.warnings.append(
                f"{len(routes)} routes into the network are not the overlay's and stay, with whatever they lead to: "
                + "; ".join(routes[:ROUTES_NAMED])
            )
        outcome.before += steps.before()
        outcome.after += steps.after()

    def apply(self, wanted: DataPlane, steps: Plan) -> None:
        """One peer that the kernel refuses must not keep the host from getting all the rest."""
        try:
            self.node.kernel.apply(steps, wanted, self.node.outcome.warnings.append, self.node.private_key)
        except RefusedError as error:
            self.node.refused = error


def _as_held(own: peers.Node, elsewhere: Sequence[bytes], underlay: Underlay, outcome: Outcome) -> peers.Node:
    """The node with the underlay's address in place of each public IP that it does not hold.

    Peers send to the public IP; what leaves this host carries an address of its own, and NAT stands between them. In a
    cluster the annotation public-ip-overwrite asks for that.
    """
    sides: dict[str, Any] = {}
    for family in ("ipv4", "ipv6"):
        side = getattr(own, family)
        if side is None or side.public_ip not in elsewhere:
            continue
        address = usable_address(underlay, len(side.public_ip))
        published = to_text(side.public_ip)
        if not address:
            raise InputError(
                f"the public IP {published} is on no interface of this host, and {underlay.name!r} has no address of "
                "that family; name another interface (interface) or correct the public IP"
            )
        outcome.warnings.append(
            f"the public IP {published} is on no interface of this host; {underlay.name} has {to_text(address)}, so "
            "peers reach this host only if NAT translates the one to the other"
        )
        sides[family] = side._replace(public_ip=address)
    return own._replace(**sides)


class Firewall(Part):
    """Our tables, and what a flanneld left behind."""

    name = "firewall"
    key = "firewall"

    def desired(self) -> tuple[firewall_table.Table, ...]:
        request = self.node.request
        if request.lease is None or not request.firewall:
            return ()
        return firewall_table.desired(request.config, request.lease, request.ip_masq)

    def observed(self, wanted: tuple[firewall_table.Table, ...]) -> firewall_table.Observed:
        found = firewall_table.Observed(())

        def observe() -> None:
            nonlocal found
            found = firewall_table.observe(self.node.run, wanted)

        if self.node.request.firewall:
            self.node.outcome.tolerate(self.node.check, observe)
        return found

    def plan(
        self, wanted: tuple[firewall_table.Table, ...], observed: firewall_table.Observed
    ) -> firewall_table.FirewallPlan | None:
        if not self.node.request.firewall:
            return None
        steps = firewall_table.plan(wanted, observed, self.node.request.remove_firewall_leftovers)
        self.node.ruleset = steps.ruleset
        return steps

    def actions(self, steps: firewall_table.FirewallPlan | None) -> Sequence[str]:
        return steps.actions if steps is not None else ()

    def note(self, steps: firewall_table.FirewallPlan | None, outcome: Outcome) -> None:
        super().note(steps, outcome)
        if steps is None:
            return
        if steps or steps.leftovers:
            outcome.before += steps.before.splitlines()
            outcome.after += steps.after.splitlines()
        request = self.node.request
        # Rules of a flanneld that runs were not left behind.
        if steps.leftovers and not request.remove_firewall_leftovers and not request.hands_over:
            outcome.warnings.append(
                "flanneld left firewall rules behind, which still apply: "
                + "; ".join(steps.leftovers)
                + "; set remove_firewall_leftovers to remove them"
            )

    def apply(self, wanted: tuple[firewall_table.Table, ...], steps: firewall_table.FirewallPlan) -> None:
        firewall_table.apply(self.node.run, steps)


class RestoreFiles(Part):
    """The files that are replayed at boot."""

    name = "files for the boot"
    key = "boot"

    def desired(self) -> restore.Restore:
        node, request = self.node, self.node.request
        if not node.joins or node.plane is None or not request.restore_dir:
            return restore.NOTHING
        return restore.desired(
            node.plane,
            firewall=node.ruleset,
            subnet_env=node.subnet_env(),
            subnet_file=request.subnet_file,
            wireguard_key_file=request.wireguard_key_file,
        )

    def observed(self, wanted: restore.Restore) -> restore.Observed:
        if not self.node.request.restore_dir:
            return restore.Observed({})
        found = restore.observe(self.node.request.restore_dir, wanted.secret_path)
        # The boot files may name the preshared key, which goes with the node's own.
        return replace(found, old_secret_path="") if found.old_secret_path in self.node.removed else found

    def plan(self, wanted: restore.Restore, observed: restore.Observed) -> restore.RestorePlan:
        return restore.plan(wanted, observed, self.node.request.restore_dir)

    def actions(self, steps: restore.RestorePlan) -> Sequence[str]:
        return steps.actions

    def note(self, steps: restore.RestorePlan, outcome: Outcome) -> None:
        super().note(steps, outcome)
        for path, before, after in steps.changes:
            outcome.note_file(path, before, after)
        for path, gone, come in steps.lines:
            outcome.before += [f"{path}: {line}" for line in gone]
            outcome.after += [f"{path}: {line}" for line in come]

    def apply(self, wanted: restore.Restore, steps: restore.RestorePlan) -> None:
        restore.apply(wanted, steps, self.node.request.restore_dir)


class SubnetFile(Part):
    """The file that tells the CNI plugin flannel about this node."""

    name = "subnet file"
    key = "subnet_file"

    def desired(self) -> atomic_file.FileState:
        text = self.node.subnet_env()
        return atomic_file.FileState(text, SUBNET_FILE_MODE) if text else atomic_file.ABSENT

    def observed(self, wanted: atomic_file.FileState) -> atomic_file.FileState:
        path = self.node.request.subnet_file
        return atomic_file.observe(path) if path else wanted

    def plan(
        self, wanted: atomic_file.FileState, observed: atomic_file.FileState
    ) -> tuple[atomic_file.FileState, atomic_file.FileState] | None:
        return None if wanted == observed else (observed, wanted)

    def actions(self, steps: tuple[atomic_file.FileState, atomic_file.FileState] | None) -> Sequence[str]:
        if steps is None:
            return ()
        return [f"{'write' if steps[1].text else 'remove'} {self.node.request.subnet_file}"]

    def note(self, steps: tuple[atomic_file.FileState, atomic_file.FileState] | None, outcome: Outcome) -> None:
        super().note(steps, outcome)
        for lines, state in zip((outcome.before, outcome.after), steps or ()):
            lines += [f"{self.node.request.subnet_file}: {line}" for line in (state.text or "").splitlines()]

    def apply(self, wanted: atomic_file.FileState, steps: tuple[atomic_file.FileState, atomic_file.FileState]) -> None:
        if wanted.text is None:
            atomic_file.remove(self.node.request.subnet_file)
        else:
            atomic_file.write(self.node.request.subnet_file, wanted.text, SUBNET_FILE_MODE)
