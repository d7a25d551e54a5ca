# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of a host's links, ports and firewall, and of the ways between hosts.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._flannel import overhead, udp_ports
from ansible_collections.podnet.cni.plugins.module_utils._host.links import OUR_LINK, claims
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import (
    Verdict,
    check,
    failed,
    ok,
    skipped,
    unknown,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_system import FIREWALL_MODULES
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import (
    config_of,
    families,
    flannel_has,
    inside,
    interface_of,
    is_kubernetes,
    items,
    lease_of,
    link_named,
    link_names,
    links_of,
    network_of,
    networks,
    number,
    own_links,
    own_subnets,
    ports_of,
    reason,
    texts,
    uses_nftables,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.ways import end_of, family_of, named
from ansible_collections.podnet.cni.plugins.module_utils._probe.measure import LEAST_MTU

Facts = Mapping[str, Any]
POD_LINKS = ("cbr0", "docker0")
"""Bridges that may carry pods with addresses of the host's own subnet."""
DISCARDING = ("blackhole", "unreachable", "prohibit")
SPLIT_DEFAULT = 1
"""Length of the routes that tunnels to a company's network put beside the default route."""


@check("host.underlay", "error", "The host has a link and an address for the overlay's packets")
def underlay(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Look at the link that flannel would choose, or that is named."""
    found = facts.get("underlay")
    expected = "a link that is up, with an address of each family"
    if facts.get("links") is None:
        yield unknown(reason(facts, "links"), expected)
        return
    if not isinstance(found, Mapping):
        remedy = "Name the host's interface or public IP, and check them in the inventory."
        yield failed(reason(facts, "underlay"), expected, remedy)
        return
    name = found.get("name")
    if found.get("up") is False:
        yield failed(f"{name} is down", expected, f"Bring {name} up, or name another interface.")
        return
    missing = [family for family in families(wanted) if not found.get("public_ip" if family == 4 else "public_ipv6")]
    for family in missing:
        remedy = f"Give {name} an IPv{family} address, or disable IPv{family} in the network config."
        yield failed(f"{name} has no IPv{family} address", expected, remedy)
    if not missing:
        addresses = [found.get("public_ip"), found.get("public_ipv6") if 6 in families(wanted) else None]
        yield ok(f"{name} with {', '.join(str(each) for each in addresses if each)}", expected)


@check("host.range_overlap", "error", "The pod range does not overlap networks of the host")
def range_overlap(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """An address of the pod range on the host, or a route into it that is not flannel's, takes pods' traffic away.

    What another CNI has made is not judged here: host.leftovers says what to do about it.
    """
    ranges = networks(wanted)
    if not ranges:
        yield skipped("the network config is not known")
        return
    expected = f"nothing of {', '.join(str(each) for each in ranges)} but flannel's own"
    if facts.get("links") is None:
        yield unknown(reason(facts, "links"), expected)
        return
    bad = [*_overlapping_addresses(facts, wanted, ranges, expected)]
    bad += _overlapping_routes(facts, wanted, ranges, expected)
    if bad:
        yield from bad
    elif facts.get("routes") is None:
        yield unknown(f"no address overlaps; routes: {reason(facts, 'routes')}", expected)
    else:
        yield ok("nothing overlaps", expected)


def _overlapping_addresses(facts: Facts, wanted: Facts, ranges: list[Any], expected: str) -> Iterator[Verdict]:
    subnets = own_subnets(facts, wanted)
    for link in links_of(facts):
        name = str(link.get("name"))
        # That of cni0 is judged by host.cni0_address.
        if OUR_LINK.match(name) or name == "cni0" or link.get("cni"):
            continue
        for address in map(interface_of, texts(link.get("addresses"))):
            if address is None or (name in POD_LINKS and inside(address, subnets)):
                continue
            if inside(address, ranges):
                remedy = "Choose another range for pods; it must not be in use anywhere that pods have to reach."
                yield failed(f"{name} has {address}", expected, remedy)
            elif _overlaps(address.network, ranges):
                remedy = (
                    f"Choose a range for pods outside of {address.network}: hosts and pods reach no machine there that "
                    "has an address of the pod range."
                )
                yield failed(f"the network {address.network} of {name} contains it", expected, remedy)


def _overlapping_routes(facts: Facts, wanted: Facts, ranges: list[Any], expected: str) -> Iterator[Verdict]:
    config = config_of(wanted)
    # These backends route over the underlay's own links.
    routed = config is not None and (
        config.backend.type in ("host-gw", "alloc") or bool(config.backend.options.get("DirectRouting"))
    )
    connected = {
        str(address.network)
        for link in links_of(facts)
        for address in map(interface_of, texts(link.get("addresses")))
        if address is not None
    }
    for route in mappings(facts.get("routes")):
        target = network_of(route.get("dst"))
        discards = route.get("type") in DISCARDING
        if target is None or route.get("cni") or (str(target) in connected and not route.get("gateway")):
            continue
        if inside(target, ranges):
            if routed and route.get("gateway") and not discards:
                continue
            if discards:
                remedy = f"Remove it (ip route del {route['type']} {target}) unless somebody keeps pods away with it."
                yield failed(f"a {route['type']} route to {target}", expected, remedy)
            else:
                remedy = f"Remove the route ({target}) if it is left over; else choose another range for pods."
                yield failed(f"route to {target} over {_way(route)}", expected, remedy, severity="warning")
        elif target.prefixlen > SPLIT_DEFAULT and _overlaps(target, ranges):
            remedy = (
                f"Choose a range for pods outside of {target}, unless nothing behind that route has an address of the "
                "pod range."
            )
            yield failed(f"the route to {target} over {_way(route)} contains it", expected, remedy, severity="warning")


def _way(route: Mapping[str, Any]) -> str:
    return str(route.get("dev") or route.get("gateway") or "several ways")


def _overlaps(network: Any, ranges: list[Any]) -> bool:
    return any(each.version == network.version and each.overlaps(network) for each in ranges)


@check("host.udp_port", "error", "The backend's UDP port is free, or held by flannel itself")
def udp_port(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Tell who holds it."""
    config = config_of(wanted)
    if config is None:
        yield skipped("the network config is not known")
        return
    ports = ports_of(wanted)
    if not ports:
        yield skipped(f"backend {config.backend.type} needs no UDP port")
    for port in ports:
        expected = f"UDP {port} is free, or flannel's"
        held = at(facts, "ports", "udp")
        if not isinstance(held, Mapping) or str(port) not in held:
            yield unknown(reason(facts, "ports"), expected)
            continue
        holder = held[str(port)]
        process = at(holder, "process")
        ours = [link for link in own_links(facts) if _listens_at(link, port)]
        # The overlay refuses the same (links.claims): two sets would leave a gap.
        claimed = claims(links_of(facts), [port], {}, [])
        if claimed:
            complete = {str(link.get("name")) for link in ours} >= set(link_names(wanted))
            severity = "warning" if ours and complete else "error"
            yield failed(claimed[0].seen, expected, claimed[0].remedy, severity=severity)
        elif holder is None:
            yield ok("it is free", expected)
        elif process in ("flanneld", "k3s", "k3s-server", "k3s-agent") or (not process and ours):
            yield ok(f"{process or ours[0].get('name')} holds it", expected)
        elif process:
            remedy = f"Stop {process}, or choose another port for all hosts (Backend.Port or ListenPort)."
            yield failed(f"{process} (pid {at(holder, 'pid')}) holds UDP {port}", expected, remedy)
        else:
            strange = [link for link in links_of(facts) if link not in own_links(facts) and _listens_at(link, port)]
            who = f"link {strange[0].get('name')}" if strange else "a link or tunnel of the kernel"
            remedy = "Remove it if it is left over; else choose another port for all hosts."
            yield failed(f"{who} holds UDP {port}", expected, remedy)


def _listens_at(link: Mapping[str, Any], port: int) -> bool:
    """Whether it is a vxlan link at that port. What a wireguard link listens at is not known here."""
    if link.get("kind") == "wireguard":
        return True
    return link.get("kind") == "vxlan" and number(at(link, "vxlan", "port")) == port


@check("host.overlay_link", "warning", "flannel's link is that of the host's lease, and of nobody else")
def overlay_link(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Compare the link with the lease, with the underlay that is wanted, and with what others have made."""
    expected = "the links of the backend, over the wanted underlay, with the lease's addresses"
    if not link_names(wanted):
        yield skipped("the backend makes no link, or the network config is not known")
        return
    if facts.get("links") is None:
        yield unknown(reason(facts, "links"), expected)
        return
    found = link_problems(facts, wanted, families(wanted))
    for seen, remedy in found:
        yield failed(seen, expected, remedy)
    if not found:
        names = [str(each.get("name")) for each in own_links(facts)]
        yield ok(", ".join(names) or "there is none yet, and no lease", expected)


def link_problems(facts: Facts, wanted: Facts, over: Sequence[int]) -> list[tuple[str, str]]:
    """Return what is wrong with the host's own links of some families, each with its remedy.

    What the overlay refuses is among it.
    """
    config = config_of(wanted)
    if config is None:
        return []
    own = [(family, name) for family, name in zip(families(wanted), link_names(wanted)) if family in over]
    names = {name: config.backend.type for _family, name in own}
    foreign = claims(links_of(facts), (), names, networks(wanted))
    found = [(each.seen, each.remedy) for each in foreign]
    lease = lease_of(facts, wanted)
    again = "Run podnet.cni.overlay, or restart flanneld on this host."
    held = {address.split("/")[0] for link in links_of(facts) for address in texts(link.get("addresses"))}
    for family, name in own:
        link = link_named(facts, name)
        public = str(at(lease, "public_ip" if family == 4 else "public_ipv6") or "")
        if link is None:
            if public:
                found.append((f"there is no {name}, but a lease: peers send to {public} and nobody takes it", again))
            continue
        if link.get("up") is False:
            found.append((f"{name} is down", f"Bring it up (ip link set {name} up), or: {again}"))
        local = str(at(link, "vxlan", "local") or "")
        if local and local not in held:
            found.append((f"{name} sends from {local}, which is on no link of this host", again))
        elif local and public in held and local != public:
            found.append((f"{name} sends from {local}, and the lease says {public}", again))
        parent, underlay_name = at(link, "vxlan", "link"), at(facts, "underlay", "name")
        if parent and underlay_name and parent != underlay_name:
            found.append((f"{name} is on {parent}, and {underlay_name} is wanted", again))
        mac = str(at(lease, "backend_data" if family == 4 else "backend_v6_data", "VtepMAC") or "").lower()
        if mac and link.get("mac") and str(link["mac"]).lower() != mac:
            remedy = (
                f"{again} A .link file with MACAddressPolicy=none keeps udev from changing it (role podnet.cni.node)."
            )
            found.append((f"{name} has MAC {link['mac']}, and the lease says {mac}", remedy))
    return found


@check("host.udp_open", "error", "UDP packets of the backend get from host to host")
def udp_open(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Judge the answers of other hosts' listeners.

    Where the kernel's vxlan holds the port of a host nobody can listen there: then what was measured over the overlay
    itself, between the addresses of flannel's links, decides, if these links are over the underlay that is wanted.
    """
    probes = facts.get("udp_probes")
    if not isinstance(probes, (list, tuple)):
        yield skipped("the ways between hosts were not measured")
        return
    overlay = {end_of(each): each for each in mappings(facts.get("overlay_probes"))}
    echoes = {end_of(each): each for each in mappings(facts.get("path_probes"))}
    used = udp_ports.by_family(config_of(wanted))
    for probe in mappings(probes):
        host, family = end = end_of(probe)
        target, port = named(host, family, families(wanted)), probe.get("port")
        if port != used.get(family, port):
            # It is the port of the other family.
            continue
        expected = f"an answer of {target} at UDP {port}"
        there = at(wanted, "hosts", host) or {}
        held = any(
            each.get("port") == port and each.get("state") == "held" and family_of(each.get("address")) == family
            for each in mappings(there.get("udp_listeners"))
        )
        if probe.get("open"):
            yield ok(f"{target} answered at UDP {port}", expected)
        elif not held:
            closed = _port(probe, wanted)
            remedy = f"Open {closed} between the hosts: host firewall, security groups, and the hypervisor's filters."
            error = probe.get("error") or "no answer"
            yield failed(f"UDP {port} of {target} ({probe.get('address')}): {error}", expected, remedy)
        elif _elsewhere(facts) or _elsewhere(there):
            yield _over_another_link(facts, target, probe, echoes.get(end), expected)
        elif overlay.get(end) is None:
            yield unknown(f"UDP {port} of {target} is held, and nothing was measured over the overlay", expected)
        elif overlay[end].get("reachable"):
            yield ok(f"{target} answered over the overlay", expected)
        else:
            yield _no_answer(facts, wanted, probe, overlay[end], expected)


def _port(probe: Facts, wanted: Facts) -> str:
    """The port in the words of a remedy."""
    return named(f"UDP {probe.get('port')}", end_of(probe)[1], families(wanted))


def _elsewhere(facts: Facts) -> bool:
    """Whether flannel's link is over another link than the one that is wanted, so that it tells nothing of that one."""
    name = at(facts, "underlay", "name")
    return any(at(link, "vxlan", "link") not in (None, "", name) for link in own_links(facts)) if name else False


def _over_another_link(facts: Facts, target: str, probe: Facts, echo: Facts | None, expected: str) -> Verdict:
    name, address = at(facts, "underlay", "name"), probe.get("address")
    if echo is not None and echo.get("reachable") is False:
        remedy = f"See whether {name} is the right link, and is connected to the other hosts' (ping {address})."
        return failed(f"{target} ({address}) does not answer over {name}, which is wanted", expected, remedy)
    seen = f"the overlay of now is over another link than the one that is wanted ({name})"
    return unknown(f"{seen}: what it carries tells nothing of UDP to {target} ({address})", expected)


def _no_answer(facts: Facts, wanted: Facts, probe: Facts, over: Facts, expected: str) -> Verdict:
    """Name the link that is wrong, on this end or the other; only with both well it is the way between."""
    host, family = end_of(probe)
    target, address = named(host, family, families(wanted)), over.get("address")
    there = at(wanted, "hosts", host)
    ends = ((str(facts.get("subject")), facts), (host, {**there, "subject": host} if there else {}))
    problems = [(name, *each) for name, end in ends if end for each in link_problems(end, wanted, [family])]
    if problems:
        name, seen, remedy = problems[0]
        return failed(f"{target} does not answer over the overlay ({address}); on {name}: {seen}", expected, remedy)
    closed = _port(probe, wanted)
    remedy = f"Open {closed} between the hosts; then compare leases and data plane (flannel_dataplane --check)."
    seen = f"{target} does not answer over the overlay ({address}), whose link holds UDP {probe.get('port')}"
    return failed(seen, expected, remedy)


@check("host.path_loss", "warning", "No packets are lost between hosts")
def path_loss(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A link that loses some is neither cut nor blocked, and a lease or rule cannot help it."""
    probes = facts.get("path_probes")
    if not isinstance(probes, (list, tuple)):
        yield skipped("the ways between hosts were not measured")
        return
    expected = "an answer to each echo request"
    for probe in mappings(probes):
        target, loss = named(*end_of(probe), families(wanted)), number(probe.get("loss"))
        if not probe.get("reachable") or loss is None:
            continue
        if loss:
            name = at(facts, "underlay", "name")
            remedy = (
                f"Look at load and errors of {name} on both ends (ip -s link, ethtool -S) and of what lies between: "
                "the overlay loses what they lose."
            )
            seen = f"{loss:g} % of {probe.get('sent')} packets to {target} are lost"
            yield failed(seen, expected, remedy)
        else:
            yield ok(f"none to {target}", expected)


@check("host.path_mtu", "error", "Packets of the overlay fit through the ways between hosts")
def path_mtu(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Compare the largest packet that got through with the pods' MTU and what the backend puts around it."""
    probes = facts.get("path_probes")
    if not isinstance(probes, (list, tuple)):
        yield skipped("the ways between hosts were not measured")
        return
    config = config_of(wanted)
    pods = _pod_mtu(facts, wanted)
    if config is None or pods is None:
        yield skipped("the network config, or the MTU of the underlay, is not known")
        return
    for probe in mappings(probes):
        host, family = end_of(probe)
        target, largest = named(host, family, families(wanted)), number(probe.get("largest_packet"))
        around = _overhead(wanted, family)
        need = _carried(facts, pods, around) + around
        expected = f"packets of {need} octets (pods' MTU {pods}, backend {config.backend.type})"
        if family == 6 and probe.get("reachable") and largest == 0:
            remedy = f"Raise the MTU of the way between: over IPv6 every link has to carry {LEAST_MTU[6]} octets."
            yield failed(f"not even {LEAST_MTU[6]} octets to {target}", expected, remedy)
        elif not probe.get("reachable") or not largest:
            remedy = "Let echo requests (ICMP) through to have it measured."
            yield unknown(f"{target} ({probe.get('address')}) does not answer echo requests", expected, remedy)
        elif largest < need:
            fits = int(largest) - around
            remedy = (
                f"Set Backend.MTU to {fits + overhead.RESERVED.get(config.backend.type, 0)} or less"
                if config.backend.type in ("vxlan", "wireguard")
                else f"Set the MTU of the underlay link to {int(largest)}"
            )
            yield failed(
                f"{int(largest)} octets to {target}",
                expected,
                f"{remedy} on all hosts, so that pods get MTU {fits}, or raise the MTU of the way between.",
            )
        else:
            yield ok(f"{int(largest)} octets to {target}", expected)


def _overhead(wanted: Facts, family: int) -> int:
    config = config_of(wanted)
    return overhead.headers(config.backend.type, family) if config is not None else 0


def _carried(facts: Facts, mtu: int, around: int) -> int:
    """The largest packet of a pod that flannel's own link takes: over IPv6 it is less than the MTU that pods have."""
    base = number(at(facts, "underlay", "mtu"))
    return min(mtu, int(base) - around) if base else mtu


def _pod_mtu(facts: Facts, wanted: Facts) -> int | None:
    """The MTU that pods have or will get: that of the subnet file, or what flannel computes."""
    written = number(at(facts, "subnet_file", "values", "FLANNEL_MTU"))
    if written:
        return int(written)
    return _computed_mtu(facts, wanted)


def _computed_mtu(facts: Facts, wanted: Facts) -> int | None:
    config = config_of(wanted)
    base = number(at(facts, "underlay", "mtu"))
    if config is None or base is None:
        return None
    asked = number(config.backend.options.get("MTU")) if config.backend.type in ("vxlan", "wireguard") else None
    return int(asked or base) - overhead.RESERVED.get(config.backend.type, 0)


@check("host.link_mtu", "warning", "The MTUs of link, subnet file and network config agree")
def link_mtu(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A link that exists keeps its MTU, and running pods keep theirs (flannel issue 1011)."""
    config = config_of(wanted)
    base = number(at(facts, "underlay", "mtu"))
    if config is None or base is None:
        yield skipped("the network config, or the MTU of the underlay, is not known")
        return
    computed = _computed_mtu(facts, wanted)
    around = overhead.RESERVED.get(config.backend.type, 0)
    if computed is None or computed + around > base:
        remedy = f"Set Backend.MTU to {base:.0f} or less, or raise the MTU of {at(facts, 'underlay', 'name')}."
        seen = f"pods would get MTU {computed}, the link {at(facts, 'underlay', 'name')} has {base:.0f}"
        yield failed(seen, f"at most {base - around:.0f} for pods", remedy, severity="error")
        return
    found = False
    remedy = "Delete flannel's link and restart flanneld (or run podnet.cni.overlay), then restart the pods."
    for link in own_links(facts):
        name = str(link.get("name"))
        fits = _carried(facts, computed, _overhead(wanted, 6 if name.startswith("flannel-v6") else 4))
        if link.get("mtu") not in (computed, fits) and link.get("kind") in overhead.RESERVED:
            found = True
            yield failed(f"{name} has MTU {link.get('mtu')}", f"MTU {fits}", remedy)
    written = number(at(facts, "subnet_file", "values", "FLANNEL_MTU"))
    if written and written != computed:
        found = True
        path = at(facts, "subnet_file", "path")
        yield failed(f"{path} says {written:.0f}", f"MTU {computed}", remedy)
    if not found:
        yield ok(f"pods' MTU is {computed}", f"MTU {computed}")


@check("host.health_port", "error", "The port of flanneld's health probes is free")
def health_port(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """flanneld cannot start without it once it is asked to answer probes, since it is in the host's network."""
    asked = wanted.get("health_port") != 0 and flannel_has(wanted, "probes")
    if not is_kubernetes(facts, wanted) or not asked:
        yield skipped("flanneld is not asked to answer probes here")
        return
    ports = at(facts, "ports", "tcp")
    if not isinstance(ports, Mapping):
        yield unknown(reason(facts, "ports"), "a free port")
        return
    for port, holder in items(ports):
        process = at(holder, "process")
        expected = f"TCP {port} is free, or flanneld's"
        if holder is None:
            yield ok("it is free", expected)
        elif process == "flanneld":
            yield ok("flanneld holds it", expected)
        else:
            remedy = f"Choose another health port for flannel (--healthz-port), or move {process or 'it'} elsewhere."
            yield failed(f"{process or 'something'} (pid {at(holder, 'pid')}) holds TCP {port}", expected, remedy)


@check("host.firewall", "error", "The kernel can hold the firewall rules that flannel writes")
def firewall(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Distributions of the RHEL 10 kind have no kernel modules for iptables (kubespray pull request 13291)."""
    modules = facts.get("modules")
    # Without Kubernetes the rules are those of podnet.cni.overlay, which are nftables.
    nftables = uses_nftables(wanted) or not is_kubernetes(facts, wanted)
    expected = (
        "nf_tables" if nftables else "nf_tables with nft_compat, or ip_tables; xt_comment, xt_MASQUERADE, xt_mark"
    )
    if not isinstance(modules, Mapping):
        yield unknown(reason(facts, "modules"), expected)
        return
    names = ("nf_tables",) if nftables else FIREWALL_MODULES
    states = {name: modules.get(name) for name in names}
    absent = [name for name, state in states.items() if state == "missing"]
    if all(state is None for state in states.values()):
        yield _firewall_trial(facts, "nft" if nftables else "iptables", expected)
        return
    if not nftables:
        base = "ip_tables" not in absent or not {"nf_tables", "nft_compat"} & set(absent)
        absent = [name for name in absent if name.startswith("xt_") or not base]
    if absent:
        mode = "" if nftables else " Or set EnableNFTables to true in flannel's network config."
        remedy = f"Install the kernel modules {', '.join(absent)} (RHEL: kernel-modules-extra).{mode}"
        yield failed(f"the kernel has no {', '.join(absent)}", expected, remedy)
    else:
        yield ok("the kernel has them", expected)


def _firewall_trial(facts: Facts, program: str, expected: str) -> Verdict:
    """Judge by rules that were tried, where the kernel lists no modules."""
    said = at(facts, "firewall_trial", program)
    if not isinstance(said, str):
        return unknown(f"the kernel lists no modules, and no rules of {program} were tried", expected)
    if said:
        remedy = f"Use a kernel that has them. Tried: {program} in a network namespace of its own."
        return failed(f"the kernel takes no such rules: {said}", expected, remedy)
    return ok(f"the kernel lists no modules, and takes such rules of {program}", expected)


@check("host.firewall_mixture", "warning", "Firewall rules lie in one place")
def firewall_mixture(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Rules of iptables-legacy and of nf_tables are both in force, and those who write them do not see the other's."""
    state = facts.get("firewall")
    expected = "one way of writing rules, for both families"
    if not isinstance(state, Mapping):
        yield unknown(reason(facts, "firewall"), expected)
        return
    found = False
    modes = {name: str(at(state, name, "mode") or "") for name in ("iptables", "ip6tables")}
    if all(modes.values()) and len(set(modes.values())) > 1:
        found = True
        seen = ", ".join(f"{name} is {mode}" for name, mode in modes.items())
        yield failed(seen, expected, "Choose one for both (Debian: update-alternatives).")
    for family, key in (("ip", "legacy_tables"), ("ip6", "legacy_tables_ipv6")):
        legacy = texts(state.get(key))
        in_nft = [name for name in texts(state.get("tables")) if name in (f"{family} filter", f"{family} nat")]
        if legacy and in_nft:
            found = True
            seen = f"iptables-legacy has {', '.join(legacy)} and nf_tables has {', '.join(in_nft)}"
            remedy = "Find out who writes the legacy rules, make it use nf_tables, and flush them (a reboot does)."
            yield failed(seen, expected, remedy)
    places = texts(state.get("flannel"))
    kinds = {place.split(" ", 1)[0].replace("ip6", "ip") for place in places}
    if len(kinds) > 1:
        found = True
        remedy = "Remove what flanneld left from its other mode: flannel_dataplane with remove_firewall_leftovers=true."
        yield failed(f"flannel's rules are in {'; '.join(places)}", expected, remedy)
    if not found:
        yield ok("no mixture", expected)


@check("host.duplicates", "error", "Nothing that should be a host's alone is another's too")
def duplicates(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Machine id and MAC of a cloned machine, host name, and the public IP that flannel tells nodes apart by."""
    expected = "public IP, host name, machine id and MAC address are this host's alone"
    remedies = {
        "public IP": "Name each host's interface or public IP: the default route's link may be a NAT all hosts share.",
        "IPv6 public IP": "Name each host's interface or public IP.",
        "host name": "Give each host a name of its own.",
        "machine id": "Make a new one on the clone: rm /etc/machine-id, systemd-machine-id-setup, reboot.",
        "MAC address": "Give the clone's interface a MAC address of its own.",
    }
    own = identities(facts)
    shared = wanted.get("shared")
    index = shared if isinstance(shared, Mapping) else shared_identities(wanted)
    found = False
    for what, value in own.items():
        names = []
        for name, boot in index.get((what, value), ()):
            # Hosts that are namespaces of one machine share its identity, and are not clones.
            one_machine = bool(boot) and boot == str(at(facts, "identity", "boot_id"))
            if name != facts.get("subject") and not (one_machine and what in ("machine id", "host name")):
                names.append(name)
        if names:
            found = True
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield failed(f"{what} {value} is that of {', '.join(names[:3])}{more} too", expected, remedies[what])
    if not found:
        yield ok("they are", expected)


def shared_identities(wanted: Facts) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Return who has each identity: names and boot ids of hosts by kind and value, for all hosts that are wanted."""
    index: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, facts in items(wanted.get("hosts")):
        if isinstance(facts, Mapping):
            for what, value in identities(facts).items():
                index.setdefault((what, value), []).append((name, str(at(facts, "identity", "boot_id") or "")))
    return index


def identities(facts: Facts) -> dict[str, str]:
    """Return what should be a host's alone, as far as it is known."""
    found = {
        "public IP": at(facts, "underlay", "public_ip"),
        "IPv6 public IP": at(facts, "underlay", "public_ipv6"),
        "host name": at(facts, "identity", "hostname"),
        "machine id": at(facts, "identity", "machine_id"),
        "MAC address": at(facts, "underlay", "mac"),
    }
    return {what: str(value) for what, value in found.items() if value}


NETWORK_CHECKS = (
    underlay,
    range_overlap,
    udp_port,
    overlay_link,
    udp_open,
    path_loss,
    path_mtu,
    link_mtu,
    health_port,
    firewall,
    firewall_mixture,
    duplicates,
)
