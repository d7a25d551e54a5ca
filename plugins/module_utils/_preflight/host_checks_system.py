# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of a host's kernel, kubelet and services.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import (
    FAILED,
    Verdict,
    check,
    failed,
    ok,
    skipped,
    unknown,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import (
    config_of,
    families,
    flannel_has,
    is_kubernetes,
    items,
    kubernetes_of,
    number,
    own_links,
    reason,
    routes_over_underlay,
    uses_nftables,
)
from ansible_collections.podnet.cni.plugins.module_utils._versions import question

Facts = Mapping[str, Any]
CLOCK_SKEW = 10.0
"""Seconds that clocks may differ; the way to a host and back takes a part of it."""
NO_KUBERNETES = "this host is not a node of Kubernetes"


@check("host.answers", "error", "The host answered, and no task of the preflight failed on it")
def answers(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Whoever does not answer is not looked at, and what is wrong with it stays unknown."""
    if facts.get("lost"):
        yield failed(
            "it did not answer, or a task on it failed",
            "an answer",
            "See what Ansible says of it above; leave a host out that is not to be looked at, with --limit.",
        )
    else:
        yield ok("it answered")


@check("host.gathered", "info", "Everything about the host could be found out")
def gathered(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Name what was not found out, since other checks cannot judge it."""
    reasons = [f"{name}: {text}" for name, text in items(facts.get("reasons")) if name != "underlay"]
    reasons += [f"program {name} is missing" for name, there in items(facts.get("programs")) if not there]
    if facts.get("root") is False:
        reasons.insert(0, "the user is not root, and much of a host is told to root only")
    if reasons:
        yield unknown("; ".join(reasons), "all facts", "Run with become, and install what is missing.")
    else:
        yield ok("all facts were gathered", "all facts")


@check("host.br_netfilter", "error", "Packets between pods of one host pass the firewall (br_netfilter)")
def br_netfilter(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """flannel from 0.26.0 on exits without the settings; kube-proxy needs the value 1, which flannel does not look at.

    Source: flannel v0.28.9 main.go; https://github.com/flannel-io/flannel/pull/2082.
    """
    if not is_kubernetes(facts, wanted):
        yield skipped(NO_KUBERNETES)
        return
    nftables = uses_nftables(wanted)
    demanded = not nftables or flannel_has(wanted, "br_netfilter_check_in_nftables_mode")
    state = at(facts, "modules", "br_netfilter")
    load = "Load br_netfilter now and at boot (role podnet.cni.node with node_bridge_netfilter=true)."
    if state == "missing":
        load = (
            "Install the package with the kernel's extra modules (RHEL: kernel-modules-extra), then load br_netfilter."
        )
    for family in families(wanted):
        name = f"net.bridge.bridge-nf-call-{'iptables' if family == 4 else 'ip6tables'}"
        if at(facts, "sysctls") is None:
            yield unknown(reason(facts, "sysctls"), f"{name} is 1")
            continue
        value = at(facts, "sysctls", name)
        if value == "1":
            yield ok(f"{name} is 1", f"{name} is 1")
        elif value is None:
            severity = "error" if demanded else "warning"
            yield failed(f"there is no {name}: br_netfilter is not loaded", f"{name} is 1", load, severity=severity)
        else:
            severity = "warning" if nftables else "error"
            remedy = f"Set {name} to 1, also in /etc/sysctl.d (role podnet.cni.node with node_bridge_netfilter=true)."
            yield failed(f"{name} is {value}", f"{name} is 1", remedy, severity=severity)


@check("host.forwarding", "error", "The kernel forwards packets")
def forwarding(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Judge each family of the network."""
    for family in families(wanted):
        name = "net.ipv4.ip_forward" if family == 4 else "net.ipv6.conf.all.forwarding"
        value = at(facts, "sysctls", name)
        if value is None:
            yield unknown(f"{name} could not be read", f"{name} is 1")
        elif value == "0":
            remedy = f"Set {name} to 1, also in /etc/sysctl.d (role podnet.cni.node)."
            yield failed(f"{name} is 0", f"{name} is 1", remedy)
        else:
            yield ok(f"{name} is {value}", f"{name} is 1")


@check("host.kernel_links", "error", "The kernel can make the links of the backend and of pods")
def kernel_links(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Judge by the kernel's own answer."""
    kinds = facts.get("kinds")
    if not isinstance(kinds, Mapping):
        yield unknown(reason(facts, "kinds"), "links of all kinds that are needed")
        return
    config = config_of(wanted)
    missing = [str(kind) for kind, possible in kinds.items() if not possible]
    expected = f"links of kind {', '.join(str(kind) for kind in kinds)}"
    if not missing:
        yield ok(f"kernel {facts.get('kernel')} can make them", expected)
    for kind in missing:
        other = " or choose another backend" if config is not None and kind == config.backend.type else ""
        package = " (Ubuntu on Raspberry Pi: linux-modules-extra-raspi)" if kind == "vxlan" else ""
        remedy = f"Install and load the kernel module {kind}{package}{other}."
        yield failed(f"kernel {facts.get('kernel')} cannot make links of kind {kind}", expected, remedy)


def _no_version(facts: Facts, wanted: Facts) -> Verdict:
    """A host without Kubernetes has nothing to judge; one whose kubelet does not say its version is not known."""
    if not is_kubernetes(facts, wanted):
        return skipped(NO_KUBERNETES)
    remedy = "Say which Kubernetes it is: preflight_kubernetes_version."
    return unknown("the kubelet does not say its version", "a version of Kubernetes", remedy)


@check("host.kubelet_flags", "error", "The kubelet has no flag that its release has removed")
def kubelet_flags(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A kubelet does not start with a flag that it does not know. The version that is to run counts."""
    flags = at(facts, "kubelet", "flags")
    version = kubernetes_of(facts, wanted)
    if version is None:
        yield _no_version(facts, wanted)
        return
    if not isinstance(flags, Mapping) or not flags:
        yield unknown("no arguments of a kubelet were found", "no removed flag")
        return
    try:
        removed = question.removed_kubelet_flags(version)
    except InputError as error:
        yield unknown(str(error), "no removed flag")
        return
    found = [name for name in flags if f"--{name}" in removed]
    for name in found:
        place = at(flags, name, "source") or "the kubelet's arguments"
        yield failed(
            f"--{name} in {place}",
            f"no flag that Kubernetes {version} does not know (removed in {removed[f'--{name}']})",
            f"Take --{name} out of {place} before the kubelet of {version} starts.",
        )
    if not found:
        yield ok(f"none of {len(flags)} flags is removed in Kubernetes {version}", "no removed flag")


@check("host.cgroup", "error", "The host has the cgroup version that its Kubernetes needs")
def cgroup(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """From Kubernetes 1.35 on the kubelet fails on cgroup v1, unless it is told not to (KEP-5573)."""
    version = kubernetes_of(facts, wanted)
    found = facts.get("cgroup_version")
    if version is None:
        yield _no_version(facts, wanted)
    elif found is None:
        yield unknown("no cgroups are mounted where they could be seen", "cgroup v2")
    else:
        judged = list(_supported(version, "cgroup_version", found, f"cgroup v{found}"))
        if at(facts, "kubelet", "config", "failCgroupV1") == "false":
            seen = f"cgroup v{found}, with which the kubelet starts because its failCgroupV1 is false"
            remedy = "Move the node to cgroup v2: a later Kubernetes takes no other."
            judged = [
                replace(each, seen=seen, remedy=remedy, severity="warning") if each.status == FAILED else each
                for each in judged
            ]
        yield from judged


@check("host.runtime_version", "warning", "The container runtime is new enough for its Kubernetes")
def runtime_version(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Judge containerd by the version matrix."""
    version = kubernetes_of(facts, wanted)
    name, found = at(facts, "runtime", "name"), at(facts, "runtime", "version")
    if version is None:
        yield _no_version(facts, wanted)
    elif name != "containerd" or not found:
        yield skipped("no version of containerd is known")
    else:
        yield from _supported(version, "containerd", found, f"containerd {found}")


def _supported(version: str, feature: str, value: Any, seen: str) -> Iterator[Verdict]:
    expected = f"what Kubernetes {version} supports"
    try:
        answer = question.support({"kubernetes": version}, {feature: value})
    except InputError as error:
        yield unknown(str(error), expected)
        return
    for message in answer.unknown:
        yield unknown(message, expected)
    for problem in answer.problems:
        yield failed(f"{seen}: {problem.text}", expected, problem.remedy)
    for note in answer.notes:
        yield failed(f"{seen}: {note.text}", expected, note.remedy, severity="warning")
    if answer.supported and not answer.notes:
        yield ok(seen, expected)


@check("host.clock", "warning", "The clocks of the hosts agree")
def clock(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Compare with the middle of all hosts and the controller, each measured against the controller's clock.

    A task that starts late looks like a clock that is ahead. So the controller's time before and after the task bounds
    the offset from both sides, and only an offset that no delay explains is reported.
    """
    bounds = _bounds(facts)
    limit = number(wanted.get("clock_skew")) or CLOCK_SKEW
    expected = f"at most {limit:g} s from the other hosts"
    if bounds is None:
        yield unknown("the host's time was not measured", expected)
        return
    known = number(wanted.get("clock_middle"))
    middle = clock_middle(wanted) if known is None else known
    skew = _nearest(bounds[0] - middle, bounds[1] - middle)
    if abs(skew) > limit:
        seen = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the other hosts"
        yield failed(seen, expected, "Set the clock by NTP (chrony or systemd-timesyncd): certificates depend on it.")
    else:
        width = bounds[1] - bounds[0]
        yield ok(f"less than {limit:g} s from the other hosts, measured to {width:.1f} s", expected)


def clock_middle(wanted: Facts) -> float:
    """Return the middle of the clocks of all hosts and the controller, in seconds ahead of the controller."""
    every = [_bounds(each) for _name, each in items(wanted.get("hosts")) if isinstance(each, Mapping)]
    return statistics.median_low([0.0, *(_nearest(*each) for each in every if each is not None)])


def _bounds(facts: Facts) -> tuple[float, float] | None:
    """The least and the most that the host's clock is ahead of the controller's."""
    began, before = number(facts.get("clock")), number(facts.get("reference_clock"))
    if began is None or before is None:
        return None
    ended, after = number(facts.get("clock_end")), number(facts.get("reference_clock_end"))
    most = began - before
    return (min(most, ended - after), most) if ended is not None and after is not None else (most, most)


def _nearest(least: float, most: float) -> float:
    """The offset within the bounds that is nearest to none."""
    return least if least > 0 else min(most, 0.0)


@check("host.network_manager", "warning", "NetworkManager leaves the overlay's links alone")
def network_manager(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """It takes addresses and routes away that it did not make."""
    expected = "flannel's links and cni0 are unmanaged"
    state = facts.get("network_manager")
    if not isinstance(state, Mapping):
        yield unknown(reason(facts, "network_manager"), expected)
    elif not state.get("running"):
        yield ok("NetworkManager does not run", expected)
    else:
        managed = sorted(name for name, unmanaged in items(state.get("unmanaged")) if not unmanaged)
        if managed:
            remedy = (
                "Name them in unmanaged-devices below /etc/NetworkManager/conf.d (role podnet.cni.node does), "
                "as interface-name:flannel*;interface-name:cni0."
            )
            yield failed(f"it manages {', '.join(managed)}", expected, remedy)
        else:
            yield ok("they are unmanaged", expected)


@check("host.networkd", "warning", "systemd-networkd leaves the overlay's links and routes alone")
def networkd(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """On links that it manages it removes routes and addresses that it did not make, when it starts or is reloaded.

    Source: networkd.conf(5), ManageForeignRoutes.
    """
    expected = "flannel's links and cni0 are unmanaged, and routes of others stay"
    state = facts.get("networkd")
    if not isinstance(state, Mapping):
        yield unknown(reason(facts, "networkd"), expected)
        return
    if not state.get("running"):
        yield ok("systemd-networkd does not run", expected)
        return
    links = dict(items(state.get("links")))
    under = at(facts, "underlay", "name")
    others = {name: link for name, link in links.items() if name != under}
    managed = sorted(name for name, link in others.items() if at(link, "managed"))
    open_question = sorted(name for name, link in others.items() if at(link, "managed") is None)
    said = False
    if managed:
        remedy = (
            "Put a .network file before all others that matches Name=flannel* cni0 and says Unmanaged=yes below [Link] "
            "(role podnet.cni.node does)."
        )
        files = sorted({str(at(links[name], "file")) for name in managed if at(links[name], "file")})
        yield failed(f"it manages {', '.join(managed)}{' by ' + ', '.join(files) if files else ''}", expected, remedy)
        said = True
    elif open_question:
        yield unknown(f"{at(links[open_question[0]], 'file')} may fit {', '.join(open_question)}", expected)
        said = True
    if routes_over_underlay(wanted) and state.get("foreign_routes") and under:
        if at(links.get(under), "managed"):
            remedy = (
                "Say ManageForeignRoutes=no below [Network] in a file in /etc/systemd/networkd.conf.d, and restart "
                "systemd-networkd."
            )
            seen = f"it manages {under}, over which the routes to other hosts lead, and ManageForeignRoutes is on"
            yield failed(seen, expected, remedy)
            said = True
        elif at(links.get(under), "managed") is None:
            yield unknown(f"whether it manages {under} is not known", expected)
            said = True
    if not said:
        yield ok("it leaves them alone", expected)


@check("host.mac_policy", "warning", "udev leaves the MAC address of flannel's links alone")
def mac_policy(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A VTEP MAC that is not the one in the lease makes peers send to nobody (flannel issue 1155)."""
    expected = "MACAddressPolicy=none, or none at all"
    config = config_of(wanted)
    if config is not None and config.backend.type != "vxlan":
        yield skipped(f"backend {config.backend.type} has no VTEP MAC")
        return
    state = facts.get("mac_policy")
    if not isinstance(state, Mapping):
        yield unknown(reason(facts, "mac_policy"), expected)
        return
    if not state.get("running"):
        yield ok("udev does not run", expected)
        return
    rewritten = [
        (name, at(link, "policy"), at(link, "file"))
        for name, link in items(state.get("links"))
        if at(link, "policy") not in (None, "", "none")
    ]
    for name, policy, path in rewritten:
        remedy = (
            "Put a .link file before it that matches OriginalName=flannel* and says MACAddressPolicy=none "
            "(role podnet.cni.node does)."
        )
        yield failed(f"{path} says MACAddressPolicy={policy} for {name}", expected, remedy)
    if not rewritten:
        yield ok("no file gives them another one", expected)


@check("host.checksum_offload", "warning", "Checksums of encapsulated packets are right")
def checksum_offload(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Some kernels and hypervisors miscalculate them (flannel issue 1279); the receiver counts such packets.

    The counter is one since boot, so only what was added while the hosts were measured is reported.
    """
    before, after = number(facts.get("udp_checksum_errors")), number(facts.get("udp_checksum_errors_later"))
    expected = "no UDP packet with a wrong checksum while the hosts were measured"
    on = [name for name, value in items(facts.get("checksum_offload")) if value]
    if not own_links(facts):
        yield skipped("there is no link of flannel's yet")
    elif before is None:
        yield unknown("the kernel does not count them", expected)
    elif after is None:
        yield skipped("the counter was read once, and it counts since boot")
    elif after > before and on:
        remedy = (
            f"Try on all hosts: ethtool -K {on[0]} tx-checksum-ip-generic off, and a udev rule that does it again when "
            "the link is made. Where packets are lost, too, a link damages them on the way: see its errors."
        )
        yield failed(f"{after - before:.0f} UDP packets with a wrong checksum, offload is on", expected, remedy)
    else:
        yield ok(f"{after - before:.0f} wrong, offload is {'on' if on else 'off'}", expected)


@check("host.neighbour_table", "warning", "The kernel's neighbour tables have room for all peers")
def neighbour_table(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A full table drops packets; each peer takes an entry, pods and the underlay need others."""
    hosts = wanted.get("hosts")
    nodes = int(number(wanted.get("nodes")) or (len(hosts) if isinstance(hosts, Mapping) else 0))
    for family in families(wanted):
        name = f"net.ipv{family}.neigh.default.gc_thresh3"
        limit = number(at(facts, "sysctls", name))
        expected = f"at least twice the number of nodes, {2 * nodes}"
        if limit is None:
            yield skipped(f"there is no {name} here: it is set on the machine that this host is a container of")
        elif limit < 2 * nodes:
            remedy = f"Raise net.ipv{family}.neigh.default.gc_thresh1, 2 and 3 (role podnet.cni.node with node_sysctl)."
            yield failed(f"{name} is {limit:.0f} for {nodes} nodes", expected, remedy)
        else:
            yield ok(f"{name} is {limit:.0f}", expected)


SYSTEM_CHECKS = (
    answers,
    gathered,
    br_netfilter,
    forwarding,
    kernel_links,
    kubelet_flags,
    cgroup,
    runtime_version,
    clock,
    network_manager,
    networkd,
    mac_policy,
    checksum_offload,
    neighbour_table,
)
