# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a node's data plane, and what became of it.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import AnyLease
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import Operation
from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig


@dataclass(frozen=True)
class Request:
    """What is asked for. C(lease) None means that the node leaves the network, or with C(hands_over) that a flanneld
    has the network now: only what would be in its way goes.

    C(foreign) are peers whose leases somebody else wrote, found at C(where): they may be unusable.
    """

    config: NetworkConfig
    lease: Lease | None
    peers: Sequence[AnyLease] = ()
    foreign: Sequence[AnyLease] = ()
    where: str = "foreign_peers"
    interface: str | None = None
    firewall: bool = True
    remove_firewall_leftovers: bool = False
    ip_masq: bool = True
    subnet_file: str = ""
    restore_dir: str = ""
    wireguard_key_file: str = ""
    lock_timeout: float = 60
    refuse_flanneld: bool = False
    move_bridge: str = ""
    hands_over: bool = False


@dataclass
class Outcome:
    """What was done, or in check mode would be: a line per operation, the difference, and what to warn about.

    C(operations) are those of the kernel, as data; C(parts) are the actions by the key of their part; C(missing) says
    that something could not be looked at.
    """

    actions: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    missing: bool = False
    parts: dict[str, list[str]] = field(default_factory=dict)

    def tolerate(self, check: bool, action: Callable[[], object]) -> None:
        """Do C(action); in a check run, something that is not installed is only a warning."""
        try:
            action()
        except MissingError as error:
            if not check:
                raise
            self.missing = True
            warning = f"{error}. This check continues as if the host held nothing that only this could read"
            if warning not in self.warnings:
                self.warnings.append(warning)

    def note_file(self, path: str, before: str, after: str) -> None:
        """Put into the difference what happens to a file whose content is too long or too secret to be shown."""
        self.before.append(f"file {path}: {before}")
        self.after.append(f"file {path}: {after}")
