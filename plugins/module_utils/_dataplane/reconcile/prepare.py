# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be known of a host before it gets a lease.

Private to podnet.cni: may change in any release.

A lease is seen by every peer at once, so whatever would keep the host from programming its data plane is found before.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends, keys
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.firewall import table as firewall_table
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.kernel import (
    Kernel,
    check_capable,
    check_library,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.lock import Lock
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import to_text
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.parts import Keys
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.request import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.restore import files as restore
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.underlay import usable_address
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import (
    addresses,
    network_config,
    subnet_env,
    udp_ports,
)
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import from_dict
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file, flanneld, forward_rules, links
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run

# Only there where systemd was the first program (sd_booted(3)).
SYSTEMD = "/run/systemd/system"
REFRESH_TIMER = "/etc/systemd/system/podnet-cni-refresh.timer"
# More than the files of ten thousand peers take.
ROOM = 4 << 20


@dataclass(frozen=True)
class Question:
    """What is asked of the host. Without a config its backend is not looked at.

    C(public_ips) are the packed addresses that the host must hold; none means that those of the underlay link count.
    """

    config: NetworkConfig | None
    public_ips: tuple[bytes, ...]
    interface: str | None
    wireguard_key_file: str
    restore_dir: str
    subnet_file: str
    firewall: bool
    lock_timeout: float
    refuse_flanneld: bool
    name: str = ""
    subnet: str | None = None
    ipv6_subnet: str | None = None


def question(params: Mapping[str, Any]) -> Question:
    """What the options of flannel_dataplane_prepare ask of the host. Raises InputError for wrong ones."""
    # Read as in a lease, where they are to go.
    lease = from_dict({name: params[name] for name in ("public_ip", "public_ipv6")}, "flannel_dataplane_prepare")
    return Question(
        config=network_config.parse(params["network_config"]) if params["network_config"] else None,
        public_ips=tuple(address.packed for address in (lease.public_ip, lease.public_ipv6) if address is not None),
        interface=params["interface"] or None,
        wireguard_key_file=params["wireguard_key_file"],
        restore_dir=params["restore_dir"] or "",
        subnet_file=params["subnet_file"] or "",
        firewall=params["firewall"] == "nftables",
        lock_timeout=params["lock_timeout"],
        refuse_flanneld=params["flanneld"] == "refuse",
        name=params["name"] or "",
        subnet=params["subnet"],
        ipv6_subnet=params["ipv6_subnet"],
    )


def prepare(host: str, question: Question, run: Run, check: bool) -> Outcome:
    """Find the underlay link and its addresses, check what the backend needs, make the wireguard key if it needs one.

    A firewall that nobody can read now could not be programmed later.

    With C(check) no key is kept, and what is not installed is a warning: the tasks before would have installed it.
    Raises InputError, naming the host and the remedy, when the host could not program its data plane.
    """
    outcome = Outcome(facts={"backend": None, "public_key": None})
    kind = ""
    if question.config is not None:
        backends.check_supported(question.config)
        outcome.facts["backend"] = question.config.backend.type
        kind = backends.link_kind(question.config)
    check_capable(host)
    found = flanneld.find()
    if question.refuse_flanneld:
        flanneld.refuse(host, found)
    outcome.facts["flannelds"] = [one._asdict() for one in found]
    outcome.tolerate(check, lambda: restore.check_programs(run, host, kind, question.restore_dir))
    refuse_unwritable(host, question)
    outcome.tolerate(check, lambda: check_library(host))
    with Kernel(host) as kernel:
        if kind:
            outcome.tolerate(check, lambda: kernel.check_kind(kind))
        underlay = kernel.underlay(question.public_ips, question.interface)
    if question.firewall:
        outcome.tolerate(check, lambda: look_at_firewall(question, run, underlay.name, outcome))
    if question.config is not None:
        # Without ip nothing else would fail, so that is a warning in a real run too.
        outcome.tolerate(True, lambda: refuse_claims(host, question, run))
    outcome.facts["interface"] = underlay.name
    for name, length in (("public_ip", 4), ("public_ipv6", 16)):
        given = next((packed for packed in question.public_ips if len(packed) == length), b"")
        address = given or usable_address(underlay, length)
        outcome.facts[name] = to_text(address) if address else None
    outcome.facts.update(_previous(question.subnet_file))
    if kind == "wireguard":
        _make_key(host, question, outcome, check)
    facts = outcome.facts
    facts["node"] = {
        "name": question.name or host,
        "public_ip": facts["public_ip"],
        "public_ipv6": facts["public_ipv6"],
        "subnet": question.subnet,
        "ipv6_subnet": question.ipv6_subnet,
        "previous_subnet": facts["previous_subnet"],
        "previous_ipv6_subnet": facts["previous_ipv6_subnet"],
        "wireguard_public_key": facts["public_key"],
    }
    facts["systemd"] = os.path.isdir(SYSTEMD)
    facts["refreshed"] = os.path.exists(REFRESH_TIMER)
    facts["complete"] = not outcome.missing and not (check and outcome.actions)
    return outcome


def refuse_unwritable(host: str, question: Question) -> None:
    """Raise InputError for a directory that takes no file: mounted read-only, or without a block to spare."""
    for option, directory in (
        ("restore_dir", question.restore_dir),
        ("subnet_file", os.path.dirname(question.subnet_file)),
    ):
        there = os.path.realpath(directory) if directory else ""
        while there and not os.path.exists(there):
            there = os.path.dirname(there)
        if not there:
            continue
        if not os.access(there, os.W_OK):
            raise InputError(
                f"host {host}: {option} {directory} cannot be written ({there} is mounted read-only, or another "
                "user's); make it writable, or name another place"
            )
        room = os.statvfs(there)
        if room.f_blocks and room.f_bavail * room.f_frsize < ROOM:
            raise InputError(
                f"host {host}: {option} {directory} has no room: the file system of {there} has "
                f"{room.f_bavail * room.f_frsize} octets left; free some, or name another place"
            )


def look_at_firewall(question: Question, run: Run, underlay: str, outcome: Outcome) -> None:
    """Read the firewall, and warn of a chain of somebody else that drops packets between pods.

    Accepting them in a table of ours does not help: what one base chain drops is gone.
    """
    found = firewall_table.observe(run)
    config = question.config
    if config is None or not found.foreign_forward:
        return
    ranges = [one for one in (config.network, config.ipv6_network) if one is not None]
    names = backends.link_names(config)
    dropped = {}
    chains = forward_rules.read(run)
    for each in ranges:
        way = next((name for name in names if ("-v6" in name) == (each.version == 6)), underlay)
        for packet in (forward_rules.Packet(way, "cni0", each), forward_rules.Packet("cni0", way, each)):
            for judged in forward_rules.judge(chains, packet):
                if judged.outcomes == {forward_rules.DROP}:
                    dropped[judged.chain] = f"{packet.iifname} to {packet.oifname}"
    for chain, way in dropped.items():
        outcome.warnings.append(
            f"the firewall drops packets between pods: chain {chain} ({way}), which is not the overlay's. Let packets "
            f"from and to {', '.join(map(str, ranges))} through there; the role preflight says how"
        )


def refuse_claims(host: str, question: Question, run: Run) -> None:
    """Raise ConflictError for what somebody else has of the overlay's ports and names, as preflight finds it.

    What our own files restore at boot is ours, whatever the network was called before.
    """
    config = question.config
    if config is None:
        return
    kind = backends.link_kind(config)
    names = dict.fromkeys(backends.link_names(config), kind)
    ports = udp_ports.of(config)
    found = links.read(run)
    restored = (atomic_file.observe(f"{question.restore_dir}/ip.batch").text if question.restore_dir else None) or ""
    foreign = [
        each
        for each in links.claims(found, ports, names, [one for one in (config.network, config.ipv6_network) if one])
        if each.kind != "address" or not any(f" {address} " in f"{restored} " for address in each.values)
    ]
    ours = [link for link in found if links.OUR_LINK.match(link["name"]) and link["kind"] == kind]
    if not ours and not foreign:
        remedy = "See who holds it (ss -ulpn), stop that, or choose another port for all hosts"
        foreign = [links.Claim("port", f"UDP {port} is held", f"{remedy}.") for port in ports if links.is_held(port)]
    if foreign:
        raise ConflictError(f"host {host}: {foreign[0].seen}. {foreign[0].remedy}")


def _previous(subnet_file: str) -> dict[str, Any]:
    """The subnets that the host had, by the subnet file that is there: no more than a wish, so a bad one is none."""
    text = (atomic_file.observe(subnet_file).text if subnet_file else None) or ""
    found = subnet_env.parse(text)
    facts: dict[str, Any] = {"previous_subnet": None, "previous_ipv6_subnet": None}
    for fact, variable, read in (
        ("previous_subnet", "FLANNEL_SUBNET", addresses.parse_cidr4),
        ("previous_ipv6_subnet", "FLANNEL_IPV6_SUBNET", addresses.parse_cidr6),
    ):
        with contextlib.suppress(ValueError):
            facts[fact] = str(read(found.get(variable)))
    return facts


def _make_key(host: str, question: Question, outcome: Outcome, check: bool) -> None:
    path = question.wireguard_key_file
    with Lock(host, question.lock_timeout):
        key = keys.read(path, host)
        if not key:
            outcome.actions.append(f"write {path}")
            outcome.parts[Keys.key] = [f"write {path}"]
            key = keys.generate()
            # The key of a check run only lets it continue: the real run makes another one.
            if not check:
                keys.write(path, key)
    outcome.facts["public_key"] = keys.public_text(key)
