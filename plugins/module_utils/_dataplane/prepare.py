# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be known of a host before it gets a lease.

Private to podnet.cni: may change in any release.

A lease is seen by every peer at once, so whatever would keep the host from programming its data plane is found before.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils import _atomic_file, _firewall, _restore, _subnet_env
from ansible_collections.podnet.cni.plugins.module_utils._command import Run
from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends, keys
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.kernel import Kernel, check_capable
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.lock import Lock
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import to_text
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import usable_address
from ansible_collections.podnet.cni.plugins.module_utils._network_config import NetworkConfig


@dataclass(frozen=True)
class Question:
    """What is asked of the host. Without a config its backend is not looked at.

    `public_ips` are the packed addresses that the host must hold; none means that those of the underlay link count.
    """

    config: NetworkConfig | None
    public_ips: tuple[bytes, ...]
    interface: str | None
    wireguard_key_file: str
    restore_dir: str
    subnet_file: str
    firewall: bool
    lock_timeout: float


def prepare(host: str, question: Question, run: Run, check: bool) -> Outcome:
    """Find the underlay link and its addresses, check what the backend needs, make the wireguard key if it needs one.

    A firewall that nobody can read now could not be programmed later.

    With `check` no key is kept, and what is not installed is a warning: the tasks before would have installed it.
    Raises InputError, naming the host and the remedy, when the host could not program its data plane.
    """
    outcome = Outcome(facts={"backend": None, "public_key": None})
    kind = ""
    if question.config is not None:
        backends.check_supported(question.config)
        outcome.facts["backend"] = question.config.backend.type
        kind = backends.link_kind(question.config)
    check_capable(host)
    outcome.tolerate(check, lambda: _restore.check_programs(run, host, kind, question.restore_dir))
    with Kernel(host, check) as kernel:
        outcome.note_missing(kernel.missing)
        if kind:
            kernel.check_kind(kind)
        underlay = kernel.underlay(question.public_ips, question.interface)
    if question.firewall:
        outcome.tolerate(check, lambda: _firewall.observe(run))
    outcome.facts["interface"] = underlay.name
    for name, length in (("public_ip", 4), ("public_ipv6", 16)):
        given = next((packed for packed in question.public_ips if len(packed) == length), b"")
        address = given or usable_address(underlay, length)
        outcome.facts[name] = to_text(address) if address else None
    outcome.facts.update(_previous(question.subnet_file))
    if kind == "wireguard":
        _make_key(host, question, outcome, check)
    return outcome


def _previous(subnet_file: str) -> dict[str, Any]:
    """The subnets that the host had, by the subnet file that is there: no more than a wish, so a bad one is none."""
    text = (_atomic_file.observe(subnet_file).text if subnet_file else None) or ""
    found = _subnet_env.parse(text)
    facts: dict[str, Any] = {"previous_subnet": None, "previous_ipv6_subnet": None}
    for fact, variable, kind in (
        ("previous_subnet", "FLANNEL_SUBNET", IPv4Network),
        ("previous_ipv6_subnet", "FLANNEL_IPV6_SUBNET", IPv6Network),
    ):
        with contextlib.suppress(ValueError):
            facts[fact] = str(kind(found.get(variable, ""), strict=False))
    return facts


def _make_key(host: str, question: Question, outcome: Outcome, check: bool) -> None:
    path = question.wireguard_key_file
    with Lock(host, question.lock_timeout):
        key = keys.read(path, host)
        if not key:
            outcome.actions.append(f"write {path}")
            key = keys.generate()
            # The key of a check run only lets it go on: the real run makes another one.
            if not check:
                keys.write(path, key)
    outcome.facts["public_key"] = keys.public_text(key)
