# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node's data plane brought to what the network config and the leases ask for.

Private to podnet.cni: may change in any release.

The kernel comes first, then the firewall, then the files that are replayed at boot, and the subnet file last: what
reads it, the CNI plugin, then finds everything else in place. On a host that leaves, the subnet file goes first and
the wireguard keys with it, then come kernel, firewall and the files for the boot.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Sequence

from ansible_collections.podnet.cni.plugins.module_utils import (
    _atomic_file,
    _firewall,
    _network_config,
    _restore,
    _subnet_env,
)
from ansible_collections.podnet.cni.plugins.module_utils._command import Run
from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends, keys, peers, plan, scale, x25519
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.kernel import Kernel, RefusedError, check_capable
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.lock import Lock
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import DataPlane, mac_text, to_text
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import Underlay, not_held, usable_address
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, MissingError
from ansible_collections.podnet.cni.plugins.module_utils._lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._network_config import NetworkConfig

SUBNET_FILE_MODE = 0o644


@dataclass(frozen=True)
class Request:
    """What is asked for. `lease` None means that the node leaves the network.

    `foreign` are peers whose leases somebody else wrote, found at `where`: they may be unusable.
    """

    config: NetworkConfig
    lease: Lease | None
    peers: Sequence[Lease] = ()
    foreign: Sequence[Lease] = ()
    where: str = "foreign_peers"
    interface: str | None = None
    firewall: bool = True
    remove_firewall_leftovers: bool = False
    ip_masq: bool = True
    subnet_file: str = ""
    restore_dir: str = ""
    wireguard_key_file: str = ""
    lock_timeout: float = 60


@dataclass
class Outcome:
    """What was done, or in check mode would be: a line per operation, the difference, and what to warn about."""

    actions: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def tolerate(self, check: bool, action: Callable[[], object]) -> None:
        """Do `action`; in a check run, something that is not installed is only a warning."""
        try:
            action()
        except MissingError as error:
            if not check:
                raise
            self.note_missing(str(error))

    def note_missing(self, what: str) -> None:
        """Warn of something that is not installed, once; nothing for an empty text."""
        warning = f"{what}. This check goes on as if the host held nothing that only this could read"
        if what and warning not in self.warnings:
            self.warnings.append(warning)

    def note_file(self, path: str, before: str, after: str) -> None:
        """Put into the difference what happens to a file whose content is too long or too secret to be shown."""
        self.before.append(f"file {path}: {before}")
        self.after.append(f"file {path}: {after}")


def reconcile(host: str, request: Request, run: Run, check: bool) -> Outcome:
    """Carry the request out on this host, or with `check` only say what that would do.

    Raises InputError before anything is changed for a request that cannot be met, ConflictError when something that
    is not ours is in the way, PodnetError naming what failed.
    """
    outcome = Outcome()
    backends.check_supported(request.config)
    own = checked = None
    if request.lease is not None:
        outcome.warnings += _network_config.warnings(request.config)
        own = peers.read_own(request.config, request.lease)
        checked = peers.read_peers(request.config, own, request.peers, request.foreign, request.where)
        outcome.warnings += checked.warnings
    check_capable(host)
    if own is not None:
        own_kind = backends.link_kind(request.config)
        outcome.tolerate(check, lambda: _restore.check_programs(run, host, own_kind, request.restore_dir))
    with Lock(host, request.lock_timeout), Kernel(host, check) as kernel:
        outcome.note_missing(kernel.missing)
        private_key, public_key = _own_keys(host, request, own, outcome, check)
        if own is None or checked is None:
            wanted = backends.nothing(request.config, request.interface)
        else:
            wanted = _wanted(kernel, request, own, checked.peers, outcome)
        wanted = replace(wanted, wireguard_public_key=public_key)
        steps = plan.make(wanted, kernel.observe(wanted))
        for kind in sorted({link.kind for link in steps.create_links}):
            kernel.check_kind(kind)
        outcome.actions += steps.actions()
        outcome.before += steps.before()
        outcome.after += steps.after()
        firewall_plan = _plan_firewall(request, run, outcome, check)
        text = _subnet_text(request, wanted)
        restored = _Restored(request, wanted, firewall_plan, text, outcome)
        write_text = _plan_subnet_file(request, text, outcome)
        obsolete = _plan_removals(request, outcome)
        outcome.facts.update(_facts(wanted, own, checked))
        if check:
            return outcome
        for path in obsolete:
            _atomic_file.remove(path)
        refused = _apply_steps(kernel, steps, wanted, private_key, outcome)
        if firewall_plan:
            _firewall.apply(run, firewall_plan)
        restored.apply()
        if write_text:
            _atomic_file.write(request.subnet_file, text, SUBNET_FILE_MODE)
    if refused is not None:
        raise refused
    return outcome


def _apply_steps(
    kernel: Kernel, steps: plan.Plan, wanted: DataPlane, private_key: bytes, outcome: Outcome
) -> RefusedError | None:
    """Apply the plan. One peer that the kernel refuses must not keep the host from getting all the rest."""
    try:
        if steps:
            kernel.apply(steps, wanted, outcome.warnings.append, private_key)
    except RefusedError as error:
        return error
    return None


def _own_keys(
    host: str, request: Request, own: peers.Node | None, outcome: Outcome, check: bool
) -> tuple[bytes, bytes]:
    """The node's wireguard key and its public half; b"" for another backend.

    Raises InputError unless the lease publishes it. In a check run the file may be yet to come: then the public half
    is what the lease says.
    """
    outcome.facts["public_key"] = None
    if request.config.backend.type != "wireguard" or own is None:
        return b"", b""
    path = request.wireguard_key_file
    key = keys.read(path, host)
    published = [side.public_key for side in (own.ipv4, own.ipv6) if side is not None]
    if not key:
        missing = f"host {host}: {path} does not exist; run this module with state=prepared, then flannel_lease"
        if not check:
            raise InputError(missing)
        outcome.warnings.append(missing)
        return b"", published[0]
    outcome.facts["public_key"] = keys.public_text(key)
    for public_key in published:
        if public_key != x25519.public_key(key):
            raise InputError(
                f"host {host}: the lease publishes another wireguard key than {path} holds; run flannel_lease with "
                f"wireguard_public_key {outcome.facts['public_key']}"
            )
    return key, x25519.public_key(key)


def _plan_removals(request: Request, outcome: Outcome) -> list[str]:
    """The files that a host that leaves has no use for any more, the subnet file first."""
    if request.lease is not None:
        return []
    key_file = request.wireguard_key_file if request.config.backend.type == "wireguard" else ""
    keys_left = [path for path in (key_file, f"{key_file}.psk") if key_file and os.path.exists(path)]
    for path in keys_left:
        # The boot files may name the preshared key, too.
        if f"remove {path}" not in outcome.actions:
            outcome.actions.append(f"remove {path}")
            outcome.note_file(path, "present", "absent")
    return ([request.subnet_file] if request.subnet_file else []) + keys_left


def _wanted(
    kernel: Kernel, request: Request, own: peers.Node, nodes: Sequence[peers.Node], outcome: Outcome
) -> DataPlane:
    public = peers.public_ips(own)
    elsewhere = not_held(public, kernel.host_addresses()) if request.interface else []
    underlay = kernel.underlay([address for address in public if address not in elsewhere], request.interface)
    own = _as_held(own, elsewhere, underlay, outcome)
    sides = [side for node in nodes for side in (node.ipv4, node.ipv6) if side is not None and side.public_ip]
    public_ips = sorted({side.public_ip for side in sides})
    on_link = kernel.on_link(public_ips) if backends.wants_route_lookups(request.config) else {}
    wanted = backends.build(request.config, own, nodes, underlay, on_link)
    outcome.warnings += scale.warnings(wanted, underlay, public_ips, scale.read())
    return wanted


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


def _plan_firewall(request: Request, run: Run, outcome: Outcome, check: bool) -> _firewall.FirewallPlan | None:
    if not request.firewall:
        return None
    observed = _firewall.Observed(())

    def observe() -> None:
        nonlocal observed
        observed = _firewall.observe(run, want)

    want: tuple[_firewall.Table, ...] = ()
    if request.lease is not None:
        want = _firewall.desired(request.config, request.lease, request.ip_masq)
    outcome.tolerate(check, observe)
    firewall_plan = _firewall.plan(want, observed, request.remove_firewall_leftovers)
    outcome.actions += firewall_plan.actions
    if firewall_plan or firewall_plan.leftovers:
        outcome.before += firewall_plan.before.splitlines()
        outcome.after += firewall_plan.after.splitlines()
    if firewall_plan.leftovers and not request.remove_firewall_leftovers:
        outcome.warnings.append(
            "flanneld left firewall rules behind, which still apply: "
            + "; ".join(firewall_plan.leftovers)
            + "; set remove_firewall_leftovers to remove them"
        )
    return firewall_plan


class _Restored:
    """The files that are replayed at boot: planned when made, written by `apply`."""

    def __init__(
        self,
        request: Request,
        wanted: DataPlane,
        firewall_plan: _firewall.FirewallPlan | None,
        text: str,
        outcome: Outcome,
    ) -> None:
        self._directory = request.restore_dir
        if not self._directory:
            return
        self._want = _restore.NOTHING
        if request.lease is not None:
            self._want = _restore.desired(
                wanted,
                firewall=firewall_plan.ruleset if firewall_plan is not None else "",
                subnet_env=text,
                subnet_file=request.subnet_file,
                wireguard_key_file=request.wireguard_key_file,
            )
        observed = _restore.observe(self._directory, self._want.secret_path)
        self._plan = _restore.plan(self._want, observed, self._directory)
        outcome.actions += self._plan.actions
        for path, before, after in self._plan.changes:
            outcome.note_file(path, before, after)

    def apply(self) -> None:
        if self._directory and self._plan:
            _restore.apply(self._want, self._plan, self._directory)


def _subnet_text(request: Request, wanted: DataPlane) -> str:
    if request.lease is None or not request.subnet_file:
        return ""
    return _subnet_env.render(request.config, request.lease, wanted.mtu, request.ip_masq)


def _plan_subnet_file(request: Request, text: str, outcome: Outcome) -> bool:
    """Note what happens to the subnet file; return whether it is to be written."""
    if not request.subnet_file:
        return False
    have = _atomic_file.observe(request.subnet_file)
    if have == (_atomic_file.FileState(text, SUBNET_FILE_MODE) if text else _atomic_file.ABSENT):
        return False
    outcome.actions.append(f"{'write' if text else 'remove'} {request.subnet_file}")
    for lines, content in ((outcome.before, have.text), (outcome.after, text)):
        lines += [f"{request.subnet_file}: {line}" for line in (content or "").splitlines()]
    return bool(text)


def _facts(wanted: DataPlane, own: peers.Node | None, checked: peers.Checked | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "backend": wanted.backend,
        "devices": [link.name for link in wanted.links],
        "mtu": wanted.mtu or None,
        "peers": len(checked.peers) if checked is not None else 0,
    }
    for name, side in (("mac", own and own.ipv4), ("ipv6_mac", own and own.ipv6)):
        facts[name] = mac_text(side.mac) if side and side.mac else None
    return facts
