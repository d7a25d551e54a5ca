# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Between which addresses of which hosts the ways are measured: over each family that the backend's packets take.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import backends
from ansible_collections.podnet.cni.plugins.module_utils._flannel.addresses import parse_ip
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import (
    config_of,
    families,
    own_links,
    texts,
)
from ansible_collections.podnet.cni.plugins.module_utils._probe.measure import OVER_IPV6, shares


def shared_out(
    hosts_facts: Mapping[str, Any], wanted: Mapping[str, Any], sample: int, all_up_to: int
) -> dict[str, dict[str, Any]]:
    """Return what each host measures, by its name, so that none has to be handed a list of all.

    C(addresses) are those to listen at and to ask from, C(targets) the others, which are C(sample) of them where there
    are more hosts than C(all_up_to), and C(overlay) the addresses of flannel's links on these by the targets' names.
    All are empty for a host that has no way to another one.
    """
    config = config_of(wanted)
    public = {name: _public(facts, config) for name, facts in hosts_facts.items()}
    octets = {name: {family: parse_ip(each).packed for family, each in own.items()} for name, own in public.items()}
    tunnels = {name: _tunnels(facts) for name, facts in hosts_facts.items()}
    every = [{"name": name, "address": address} for name, own in public.items() for address in own.values()]
    reachable = sum(1 for own in public.values() if own)
    found: dict[str, dict[str, Any]] = {name: {"addresses": [], "targets": [], "overlay": {}} for name in hosts_facts}
    for name, share in shares(every, sample if reachable > all_up_to else 0).items():
        for target in share:
            other, family = end_of(target)
            if family not in _taken(config, octets[name], octets[other]):
                continue
            found[name]["targets"].append(target)
            for end in (name, other):
                found[end]["addresses"] = [*public[end].values()]
            if family in tunnels[name] and family in tunnels[other]:
                found[name]["overlay"][target["name"]] = tunnels[other][family]
    return found


def end_of(target: Mapping[str, Any]) -> tuple[str, int]:
    """Return the host and the family of a target, or of what was measured to it."""
    name = str(target.get("target", target.get("name")))
    return name[: -len(OVER_IPV6)] if name.endswith(OVER_IPV6) else name, family_of(target.get("address"))


def family_of(address: Any) -> int:
    """Return the family of an address, which is IPv4 where none is known."""
    return 6 if ":" in str(address) else 4


def named(host: str, family: int, of: Iterable[int]) -> str:
    """Return what a way to the host is called: over IPv6 only where IPv4 is among the families there are."""
    return host + OVER_IPV6 if family == 6 and 4 in of else host


def _public(facts: Any, config: NetworkConfig | None) -> dict[int, str]:
    """The host's addresses on the underlay, of the families of the network; one of them where that is not known."""
    given = {4: at(facts, "underlay", "public_ip"), 6: at(facts, "underlay", "public_ipv6")}
    own = {family: str(address) for family, address in given.items() if address}
    if config is None:
        return dict([*own.items()][:1])
    enabled = families({"config": config})
    return {family: address for family, address in own.items() if family in enabled}


def _taken(config: NetworkConfig | None, own: Mapping[int, bytes], other: Mapping[int, bytes]) -> Sequence[int]:
    if config is None:
        return [family for family in own if family in other]
    return backends.underlay_families(config, own, other)


def _tunnels(facts: Any) -> dict[int, str]:
    """The first address of each family on flannel's own links, to which only the overlay leads."""
    if not isinstance(facts, Mapping):
        return {}
    found: dict[int, str] = {}
    for link in own_links(facts):
        for text in texts(link.get("addresses")):
            address = text.split("/", maxsplit=1)[0]
            found.setdefault(family_of(address), address)
    return found
