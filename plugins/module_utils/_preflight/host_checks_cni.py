# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of a host's container runtime, its CNI configurations and plugins, and what pods were given.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._cni import multus
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import (
    Verdict,
    check,
    failed,
    ok,
    skipped,
    unknown,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_runtime import REFERENCE_PLUGINS
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import (
    families,
    inside,
    interface_of,
    is_kubernetes,
    items,
    leased,
    link_named,
    links_of,
    network_of,
    networks,
    own_subnets,
    reason,
    texts,
    written,
)

Facts = Mapping[str, Any]

OUR_FILES: Mapping[str, str] = {"flannel": "10-flannel.conflist", "canal": "10-canal.conflist"}
CONFLISTS: Mapping[str, str] = {
    "00-multus.conf": "multus",
    "00-multus.conflist": "multus",
    "01-kube-ovn.conflist": "kube-ovn",
    "05-cilium.conf": "cilium",
    "05-cilium.conflist": "cilium",
    "10-antrea.conflist": "antrea",
    "10-aws.conflist": "amazon-vpc-cni",
    "10-azure.conflist": "azure-cni",
    "10-calico.conflist": "calico",
    "10-canal.conflist": "canal",
    "10-flannel.conflist": "flannel",
    "10-kindnet.conflist": "kindnet",
    "10-kuberouter.conflist": "kube-router",
    "10-ovn-kubernetes.conf": "ovn-kubernetes",
    "10-weave.conflist": "weave",
}
"""The file that each CNI writes, by its own manifest or chart."""
PLUGIN_OWNERS: Mapping[str, str] = {
    "cilium-cni": "cilium",
    "calico": "calico",
    "weave-net": "weave",
    "antrea": "antrea",
    "kube-ovn": "kube-ovn",
    "ovn-k8s-cni-overlay": "ovn-kubernetes",
    "aws-cni": "amazon-vpc-cni",
    "azure-vnet": "azure-cni",
    "ptp": "kindnet",
}


@check("host.runtime", "error", "The container runtime serves pods")
def runtime(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Docker's packages switch the part of containerd off that the kubelet talks to."""
    found = facts.get("runtime")
    expected = "a container runtime with its CRI on"
    if not is_kubernetes(facts, wanted):
        yield skipped("this host is not a node of Kubernetes")
    elif not isinstance(found, Mapping):
        yield unknown(reason(facts, "runtime"), expected)
    elif not found.get("name"):
        yield unknown("neither containerd nor CRI-O was found", expected, "Name its directories if it is another one.")
    elif found.get("cri_disabled"):
        remedy = f"Take cri out of disabled_plugins in {found.get('config_file')} and restart containerd."
        yield failed(f"{found.get('config_file')} has cri in disabled_plugins", expected, remedy)
    else:
        yield ok(f"{found['name']} {found.get('version') or ''}".strip(), expected)


@check("host.cni_plugins", "error", "CNI plugins are in the runtime's own plugin directory")
def cni_plugins(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Upgrading the package kubernetes-cni deletes flannel's plugin (flannel issue 1721)."""
    plugins = at(facts, "cni", "plugins")
    if not isinstance(plugins, Mapping):
        yield unknown(reason(facts, "cni"), "executable plugins")
        return
    folders = ", ".join(texts(at(facts, "cni", "plugin_dirs"))) or "the plugin directory"
    expected = f"{', '.join(str(name) for name in plugins)} in {folders}"
    for name, path in items(plugins):
        if path:
            continue
        elsewhere = at(facts, "cni", "elsewhere", name)
        if elsewhere:
            remedy = f"Set the runtime's plugin directory to {elsewhere}, or install the plugins in {folders}."
            yield failed(f"{name} is in {elsewhere}, where the runtime does not look", expected, remedy)
        elif name in ("flannel", "calico"):
            remedy = f"Restart the {name} pod of this node: its init container installs the plugin."
            yield failed(f"{name} is not an executable file there", expected, remedy)
        elif name in REFERENCE_PLUGINS:
            remedy = "Install the reference plugins (role podnet.cni.node; Debian: containernetworking-plugins)."
            yield failed(f"{name} is not an executable file there", expected, remedy)
        else:
            remedy = f"Install {name}, or take the configuration away that calls it ({at(facts, 'cni', 'winner')})."
            yield failed(f"{name} is not an executable file there", expected, remedy)
    if all(path for _name, path in items(plugins)):
        yield ok("all are there", expected)


@check("host.conflist", "error", "The runtime takes the CNI configuration of this network")
def conflist(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """The first valid file by name wins; containerd sets up no pod while an invalid one sorts before it."""
    files = at(facts, "cni", "files")
    if not isinstance(files, (list, tuple)):
        yield unknown(reason(facts, "cni"), "one configuration")
        return
    folder = at(facts, "cni", "conf_dir")
    entries = mappings(files)
    expected = f"{OUR_FILES[_plugin(wanted)]} comes first in {folder}"
    if not entries:
        yield ok(f"{folder} is empty", expected)
        return
    winner = _winner(facts, entries)
    for entry in entries:
        if entry is winner:
            break
        if entry.get("problem"):
            remedy = f"Repair {folder}/{entry.get('file')} or move it out of the directory."
            yield failed(f"{entry.get('file')} is not valid: {entry.get('problem')}", expected, remedy)
    if winner is None:
        return
    name = winner.get("file")
    if _is_ours(winner, _plugin(wanted)):
        yield ok(f"{name} wins", expected)
    elif winner.get("delegate") is not None:
        yield from _of_multus(winner, entries, _plugin(wanted), expected)
    elif at(facts, "runtime", "default_network"):
        remedy = "Set cni_default_network of CRI-O to this network's name, or take it out."
        yield failed(f"CRI-O is set to network {winner.get('network')} of {name}", expected, remedy)
    else:
        owner = _owner(winner)
        who = f" of {owner}" if owner else ""
        remedy = f"Move {folder}/{name} away once nothing needs it, or leave the network to {owner or 'its owner'}."
        yield failed(f"{name}{who} wins", expected, remedy)


def _of_multus(meta: Facts, entries: list[Facts], plugin: str, expected: str) -> Iterator[Verdict]:
    """Multus comes first by design: what it hands pods on to counts."""
    name, target = str(meta.get("file")), str(meta.get("delegate"))
    ours = next((entry for entry in entries if _is_ours(entry, plugin) and not entry.get("problem")), None)
    file = str(at(ours, "file") or OUR_FILES[plugin])
    if not target:
        seen = f"{name} of Multus wins, and does not name the network that it hands pods on to"
        yield unknown(seen, expected, f"See whether Multus's default network is that of {file}.")
    elif ours is not None and multus.reaches(target, file, str(ours.get("network"))):
        yield ok(f"{name} of Multus wins and hands pods on to {target}", expected)
    else:
        remedy = f"Set Multus's clusterNetwork to the network of {file} and restart Multus on this host."
        yield failed(f"{name} of Multus wins and hands pods on to {target}", expected, remedy)


def _plugin(wanted: Facts) -> str:
    plugin = str(wanted.get("plugin") or "flannel")
    return plugin if plugin in OUR_FILES else "flannel"


def _winner(facts: Facts, entries: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The entry that the runtime takes: CRI-O goes by the network's name where one is set."""
    default = at(facts, "runtime", "default_network")
    valid = [entry for entry in entries if not entry.get("problem")]
    named = [entry for entry in valid if default and entry.get("network") == default]
    return next(iter(named or valid), None)


def _is_ours(entry: Mapping[str, Any], plugin: str) -> bool:
    if entry.get("file") == OUR_FILES[plugin]:
        return True
    return plugin == "flannel" and "flannel" in texts(entry.get("plugins"))


def _owner(entry: Mapping[str, Any]) -> str:
    by_file = CONFLISTS.get(str(entry.get("file")), "")
    return by_file or next((PLUGIN_OWNERS[each] for each in texts(entry.get("plugins")) if each in PLUGIN_OWNERS), "")


@check("host.leftovers", "warning", "No other CNI has left files or links behind")
def leftovers(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A file that loses today wins when the one before it goes; links of a removed CNI keep its rules alive."""
    expected = "nothing of another CNI"
    if facts.get("cni") is None and facts.get("links") is None:
        yield unknown(f"{reason(facts, 'cni')}; {reason(facts, 'links')}", expected)
        return
    plugin = _plugin(wanted)
    entries = mappings(at(facts, "cni", "files"))
    winner = _winner(facts, entries)
    folder = at(facts, "cni", "conf_dir")
    found = False
    for entry in entries:
        owner = _owner(entry)
        if entry is not winner and owner and owner not in (plugin, "multus"):
            found = True
            remedy = f"Remove {folder}/{entry.get('file')} if {owner} is gone."
            yield failed(f"{entry.get('file')} of {owner}", expected, remedy)
    ours = {"flannel": ("flannel",), "canal": ("flannel", "calico")}[plugin]
    owners: dict[str, list[str]] = {}
    for link in links_of(facts):
        owner = str(link.get("cni") or "")
        if owner and owner not in ours and not (winner is not None and _owner(winner) == owner):
            owners.setdefault(owner, []).append(str(link.get("name")))
    routes: dict[str, list[str]] = {}
    for route in mappings(facts.get("routes")):
        owner = str(route.get("cni") or "")
        if owner and owner not in ours and not (winner is not None and _owner(winner) == owner):
            routes.setdefault(owner, []).append(str(route.get("dst")))
    for owner in dict.fromkeys([*owners, *routes]):
        found = True
        parts = [
            f"{what} of {owner}: {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            for what, names in (("links", owners.get(owner)), ("routes", routes.get(owner)))
            if names
        ]
        remedy = f"If {owner} is gone, restart the host, or remove its links (ip link del) and routes (ip route del)."
        yield failed("; ".join(parts), expected, remedy)
    if not found:
        yield ok("nothing was found", expected)


@check("host.cni0_address", "error", "The bridge of the pods has the address of this host's lease")
def cni0_address(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """The bridge plugin refuses a bridge with another address (flannel issue 1850)."""
    if facts.get("links") is None:
        yield unknown(reason(facts, "links"), "cni0 has the first address of the subnet")
        return
    bridge = link_named(facts, "cni0")
    addresses = [each for each in map(interface_of, texts(at(bridge, "addresses"))) if each is not None]
    for family in families(wanted):
        lease = leased(facts, wanted, family)
        file = written(facts, family)
        if lease is not None and file is not None and lease != file:
            path = at(facts, "subnet_file", "path")
            remedy = "Restart flanneld on this host, or run the role podnet.cni.overlay: it writes the file anew."
            yield failed(f"{path} says {file}, the lease {lease.network}", f"{lease} in {path}", remedy)
        gateway = lease or file
        own = [str(each) for each in addresses if each.version == family]
        if bridge is None:
            yield ok("there is no cni0 yet", f"{gateway or 'the first address of the subnet'}")
        elif gateway is None:
            yield unknown("neither a lease nor a subnet file tells the subnet", "the first address of the subnet")
        elif not own:
            yield ok(f"cni0 has no IPv{family} address yet", str(gateway))
        elif own == [str(gateway)]:
            yield ok(f"cni0 has {gateway}", str(gateway))
        else:
            remedy = (
                "Drain the node, delete cni0 and the files below /var/lib/cni/networks/cbr0 and /var/lib/cni/flannel, "
                "and restart its pods."
            )
            yield failed(f"cni0 has {', '.join(own)}", f"cni0 has {gateway} only", remedy)


@check("host.subnet_file", "error", "The subnet file is there and of this network")
def subnet_file(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Without it no pod starts; one of another network stays from before (flannel issues 2253, 1428)."""
    state = facts.get("subnet_file")
    if _plugin(wanted) == "canal":
        yield skipped("Canal writes none on the host")
        return
    if not isinstance(state, Mapping):
        yield unknown(reason(facts, "subnet_file"), "a subnet file")
        return
    path = state.get("path")
    if not state.get("present"):
        winner = _winner(facts, mappings(at(facts, "cni", "files")))
        if winner is not None and "flannel" in texts(winner.get("plugins")):
            remedy = "See why flanneld is not ready on this host. Where flannel was removed, remove the file too."
            yield failed(f"there is {winner.get('file')}, but no {path}", f"{path} of this network", remedy)
        else:
            yield ok(f"there is no {path} yet", f"{path} of this network")
        return
    if state.get("problem"):
        remedy = "Restart flanneld on this host, or run podnet.cni.overlay: it writes the file anew."
        if state.get("directory"):
            remedy = (
                "Remove the directory, mount the directory that holds the file where the file itself was mounted, "
                "and restart flanneld on this host, or run podnet.cni.overlay."
            )
        seen = f"the CNI plugin refuses {path}: {state['problem']}"
        yield failed(seen, "a file that the CNI plugin flannel can read", remedy)
        return
    ranges = networks(wanted)
    wrong = False
    for name, value in items(state.get("values")):
        if name not in ("FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK", "FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"):
            continue
        # FLANNEL_NETWORK was a list in flannel 0.21 to 0.24.
        found = [network_of(each) for each in str(value).split(",")]
        if any(each is None or (ranges and not inside(each, ranges)) for each in found):
            wrong = True
            expected = f"a range inside {' and '.join(str(each) for each in ranges)}" if ranges else "a range"
            remedy = "It is of another network: restart flanneld on this host, or run podnet.cni.overlay."
            yield failed(f"{name}={value} in {path}", expected, remedy)
    if not wrong:
        yield ok(f"{path} fits", f"{path} of this network")


@check("host.pod_addresses", "warning", "Pods have addresses of this host's subnet")
def pod_addresses(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Addresses of an earlier subnet were given out before the host came here (flannel issue 1850)."""
    given = facts.get("pod_addresses")
    subnets = own_subnets(facts, wanted)
    if not isinstance(given, (list, tuple)):
        yield unknown(reason(facts, "pod_addresses"), "addresses of the subnet")
    elif not given or not subnets:
        yield skipped("no address has been given out, or the subnet is not known")
    else:
        expected = f"addresses of {', '.join(dict.fromkeys(str(each) for each in subnets))}"
        strange = [text for text in texts(given) if not inside(interface_of(text), subnets)]
        if strange:
            shown = ", ".join(strange[:3]) + (f" and {len(strange) - 3} more" if len(strange) > 3 else "")
            remedy = "Restart those pods; where they are gone, remove their files below /var/lib/cni/networks/cbr0."
            yield failed(f"{shown} given out", expected, remedy)
        else:
            yield ok(f"{len(given)} given out", expected)


CNI_CHECKS = (runtime, cni_plugins, conflist, leftovers, cni0_address, subnet_file, pod_addresses)
