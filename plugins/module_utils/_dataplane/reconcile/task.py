# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the options of flannel_dataplane to a request, and from its outcome to the module's result.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.peers import AnyLease, Packed, read
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.request import Outcome, Request
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease, from_dict
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig

PEERS_REPEATED = 50
# Returns the network config and all leases of a store, with the name of the place for messages.
ReadStore = Callable[[], "tuple[NetworkConfig, Sequence[Lease], str]"]
# Returns the addresses of this host as texts.
ReadAddresses = Callable[[], Iterable[str]]


def request(params: Mapping[str, Any], read_store: ReadStore | None, addresses: ReadAddresses) -> Request:
    """What the module's options ask for.

    C(read_store) is None unless the leases come from a store. Raises InputError for options that do not make sense,
    ConflictError where the store has no lease for this node.
    """
    lease, where = None, "foreign_peers"
    hands_over = params["state"] == "handed_over"
    leases: Sequence[AnyLease] = []
    foreign: Sequence[AnyLease] = []
    if params["state"] != "present" or read_store is None:
        config = _inline_config(params)
        if params["state"] == "present":
            lease = from_dict(_required(params, "lease"), "lease")
            leases = _leases(params, "peers")
            foreign = _leases(params, "foreign_peers")
    else:
        config, every, where = read_store()
        lease = _own_lease(params, every, addresses, where)
        # Whoever wrote them: one that cannot be used must not keep this node from reaching the others.
        foreign = [other for other in every if other is not lease]
    return Request(
        config=config,
        lease=lease,
        peers=leases,
        foreign=foreign,
        where=where,
        interface=params["interface"] or None,
        firewall=params["firewall"] == "nftables",
        remove_firewall_leftovers=params["remove_firewall_leftovers"] and not hands_over,
        ip_masq=params["ip_masq"],
        subnet_file=params["subnet_file"] or "",
        restore_dir=params["restore_dir"] or "",
        wireguard_key_file=params["wireguard_key_file"],
        lock_timeout=params["lock_timeout"],
        refuse_flanneld=params["flanneld"] == "refuse",
        move_bridge=params["move_bridge"] or "",
        hands_over=hands_over,
    )


def _leases(params: Mapping[str, Any], option: str) -> list[Packed]:
    return [read(item, f"{option}[{place}]") for place, item in enumerate(params[option] or ())]


def _required(params: Mapping[str, Any], name: str) -> Any:
    if not params[name]:
        raise InputError(f"{name} is missing; give it, or let the module read it with store=etcd")
    return params[name]


def _inline_config(params: Mapping[str, Any]) -> NetworkConfig:
    return network_config.parse(_required(params, "network_config"))


def _own_lease(params: Mapping[str, Any], every: Sequence[Lease], addresses: ReadAddresses, where: str) -> Lease:
    """This node's lease in the store: the one named by its subnet or name, else the one for an address of this host."""
    named = from_dict(params["lease"] or {}, "lease")
    if named.name and named.subnet is None and named.ipv6_subnet is None:
        own = [one for one in every if one.name == named.name]
        what = f"the name {named.name} (etcd holds no names; name its subnet there)"
    elif params["lease"]:
        own = [one for one in every if (one.subnet, one.ipv6_subnet) == (named.subnet, named.ipv6_subnet)]
        what = f"the subnet {named.subnet or named.ipv6_subnet}"
    else:
        held = set(addresses())
        own = [one for one in every if {str(one.public_ip), str(one.public_ipv6)} & held]
        what = "a public IP of this host"
    if len(own) != 1:
        found = "no lease has" if not own else f"{len(own)} leases have"
        raise ConflictError(f"{where}: {found} {what}; allocate one with flannel_lease, or name it with lease")
    return own[0]


def shorten(params: dict[str, Any]) -> None:
    """Drop a long list of peers from the options, which Ansible repeats in every result it sends back."""
    for option in ("peers", "foreign_peers"):
        if len(params[option] or ()) > PEERS_REPEATED:
            params[option] = f"{len(params[option])} leases"


def result(outcome: Outcome, diff: bool) -> dict[str, Any]:
    """What the module exits with."""
    found: dict[str, Any] = {
        "changed": bool(outcome.actions),
        "actions": outcome.actions,
        "parts": outcome.parts,
        "operations": [each._asdict() for each in outcome.operations],
        **outcome.facts,
    }
    if diff:
        found["diff"] = {
            "before_header": "kernel and files",
            "after_header": "kernel and files",
            "before": "".join(f"{line}\n" for line in outcome.before),
            "after": "".join(f"{line}\n" for line in outcome.after),
        }
    return found
