# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of one host: what its files say of the network, and what the host lacks for it; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, Iterable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import (
    command_line,
    config_file,
    k3s,
    report,
    rke2,
    service,
    sources,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.evidence import Evidence
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Flag
from ansible_collections.podnet.cni.plugins.module_utils._distributions.service import Service
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, go_json
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import (
    Check,
    Verdict,
    check,
    failed,
    ok,
    skipped,
    unknown,
)

Facts = Mapping[str, Any]

STOPS = ("unreadable", "nested", "missing")
"""Kinds of problems with which the owner does not start, or does without the file."""

_ALIKE = frozenset(
    {
        "kube-cloud-controller-manager-arg",
        "kube-controller-manager-image",
        "kube-proxy-image",
        "kube-apiserver-arg",
        "kube-scheduler-arg",
        "node-external-dns",
        "node-internal-dns",
        "node-name",
        "node-label",
        "node-taint",
    }
)
"""Keys that there are, and that look like one of the network."""

_KEY_OF_SWITCH = frozenset(
    {
        "flannel-ipv6-masq",
        "flannel-external-ip",
        "disable-network-policy",
        "disable-kube-proxy",
        "disable-cloud-controller",
        "disable-helm-controller",
        "embedded-registry",
        "secrets-encryption",
    }
)


def normal(name: str, flags: Mapping[str, Flag], defaults: Mapping[str, str]) -> str:
    """The value of a flag as it counts: switches as true or false, and what is not given as its default.

    C(disable=servicelb) is a switch: whether the list has this member.
    """
    key, _separator, member = name.partition("=")
    if member:
        return "true" if member in service.counted(key, flags.get(key)).split(",") else "false"
    if name in _KEY_OF_SWITCH:
        return "true" if command_line.is_on(flags.get(name)) else "false"
    given = service.counted(name, flags.get(name)).replace(" ", "")
    if not given and name == "cluster-dns":
        return _dns(normal("service-cidr", flags, defaults))
    return given or defaults.get(name, "")


def _dns(ranges: str) -> str:
    """The addresses of the DNS service that k3s and RKE2 take, the tenth of each range of services."""
    try:
        return ",".join(str(addresses.parse_cidr(each).network_address + 10) for each in ranges.split(","))
    except ValueError:
        return ""


def inside(inner: str, outer: str) -> bool:
    """Whether a range is in another; families that differ, and invalid texts, are not judged here."""
    one: Any
    other: Any
    try:
        one, other = addresses.parse_cidr(inner), addresses.parse_cidr(outer)
    except ValueError:
        return True
    return bool(one.version != other.version or one.subnet_of(other))


def _evidence(wanted: Facts) -> Evidence:
    found: Evidence = wanted["evidence"]
    return found


def _services(facts: Facts, wanted: Facts) -> Iterable[Service]:
    return _evidence(wanted).services[facts["subject"]]


def _known(item: Service) -> tuple[str, ...]:
    if item.product.name == "rke2":
        return rke2.KEYS
    return (*k3s.SERVER_KEYS, *k3s.NODE_KEYS)


@check("distribution.files", "error", "The owner can read its files")
def files(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """A file that is not valid stops k3s and RKE2 at their next start."""
    bad = [each for each in _evidence(wanted).problems[facts["subject"]] if each.kind in STOPS]
    for problem in bad:
        yield failed(f"{problem.place}: {problem.text}", "a file that its owner can read", problem.remedy)
    if not bad and fields.sequence(facts, "files"):
        yield ok(f"{len(fields.sequence(facts, 'files'))} files")


@check("distribution.ambiguous", "warning", "Files say each thing once")
def ambiguous(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Keys that come twice, further documents, merge keys, Windows line ends."""
    for problem in _evidence(wanted).problems[facts["subject"]]:
        if problem.kind not in STOPS:
            yield failed(
                f"{problem.place}: {problem.text}", "one value for each key", f"{problem.remedy} ({sources.K3S_PARSER})"
            )


@check("distribution.key_names", "error", "Keys of the network have the names that the owner knows")
def key_names(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """The parser puts dashes before each key, and leaves out keys that the command does not know."""
    for item in _services(facts, wanted):
        known = _known(item)
        for key, flag in item.files.items():
            bare = key.lstrip("-").replace("_", "-")
            if key in known or key in _ALIKE:
                continue
            near = [bare] if bare in known else difflib.get_close_matches(bare, known, 1, 0.88)
            if key.startswith("-"):
                yield failed(
                    f"{flag.places[-1]}: {key} begins with a dash",
                    f"{key.lstrip('-')}",
                    f"Take the dashes away: {item.product.title} puts them there itself and does not start with more "
                    f"({sources.K3S_FILES}).",
                )
            elif near and bare not in _ALIKE and near[0] not in item.files:
                yield failed(
                    f"{flag.places[-1]}: {key} is not a key of {item.product.title}",
                    near[0],
                    f"Call it {near[0]}: keys that are not known are left out with one line in the log "
                    f"({sources.K3S_PARSER}).",
                )
        for key, place in item.appended.items():
            if key in k3s.SCALARS:
                yield failed(
                    f"{place}: {key}+ appends to a key with one value",
                    f"{key} without +",
                    f"Write {key} without +, in one file ({sources.K3S_FILES}).",
                )


@check("distribution.key_place", "warning", "Keys of the network are where they have an effect")
def key_place(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Agents know fewer keys than servers, and RKE2 drops what k3s has for flannel."""
    for item in _services(facts, wanted):
        rke = item.product.name == "rke2"
        for key, flag in item.flags.items():
            if rke and key in rke2.DROPPED:
                yield failed(
                    f"{flag.places[-1]}: {key} is a key of k3s, which RKE2 drops",
                    "values of the chart",
                    "Take it out, and set the value in a HelmChartConfig for rke2-canal or rke2-flannel "
                    f"({sources.RKE2_NETWORK}).",
                )
            elif item.command == "agent" and key in (rke2.SERVER_KEYS if rke else k3s.SERVER_KEYS):
                yield failed(
                    f"{flag.places[-1]}: {key} is a key of servers, and this is an agent",
                    "the key on all servers",
                    f"Move it to the file of every server: an agent takes the value from its server "
                    f"({sources.RKE2_SERVER if rke else sources.K3S_AGENT}).",
                )


@check("distribution.both_places", "warning", "Lists are given in a file or on the command line, not in both")
def both_places(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Documentation says that the command line replaces a list of the file; the code appends to it."""
    for item in _services(facts, wanted):
        for key in sorted(service.LISTS & set(item.files) & set(item.arguments)):
            yield failed(
                f"{key} is in {item.files[key].places[-1]} and in {item.arguments[key].places[-1]}",
                "one place",
                f"Keep it in the file: the documentation says that the command line replaces the list, and the code "
                f"appends to it ({sources.K3S_FILES}, {sources.K3S_PARSER}).",
            )


@check("distribution.rancher_file", "warning", "No file overrides what Rancher sets")
def rancher_file(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """A drop-in that sorts after Rancher's wins, and Rancher does not know."""
    for item in _services(facts, wanted):
        own = f"{item.dropins}/{service.RANCHER_DROPIN}"
        given = _flags_of(item, own)
        for key in sorted(set(_known(item)) & set(given) & set(item.flags)):
            place = item.flags[key].places[-1]
            if normal(key, given, {}) != normal(key, item.flags, {}):
                yield failed(
                    f"{place}: {key} overrides {service.RANCHER_DROPIN}",
                    "Rancher's value",
                    f"Set {key} in spec.rkeConfig.machineGlobalConfig of the cluster's object, and take it out here "
                    f"({sources.RANCHER_CONFIG}).",
                )


def _flags_of(item: Service, path: str) -> Mapping[str, Flag]:
    text = item.host.text(path)
    return {} if text is None else config_file.merge([(path, text)]).flags


@check("distribution.restart", "warning", "The service runs with what its files say")
def restart(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """The annotation node-args is written at each start."""
    evidence = _evidence(wanted)
    for item in _services(facts, wanted):
        runs = report.running(item, evidence.cluster)
        if runs is None:
            continue
        defaults = rke2.DEFAULTS if item.product.name == "rke2" else k3s.DEFAULTS
        # An agent leaves out keys of servers, and what a variable gives is not in the annotation.
        silent = {*rke2.SERVER_KEYS, *k3s.SERVER_KEYS} if item.command == "agent" else set()
        silent |= set(item.flags) - set(item.files) - set(item.arguments)
        differ = [
            f"{key} is {normal(key, runs, defaults) or 'not set'} and the files say "
            f"{normal(key, item.flags, defaults) or 'nothing'}"
            for key in _known(item)
            if key not in silent and normal(key, runs, defaults) != normal(key, item.flags, defaults)
        ]
        for text in differ:
            yield failed(
                text,
                "what the files say",
                f"Run {item.restart} once the files are right on all servers: the service runs with what was there at "
                f"its last start ({sources.K3S_FILES}).",
            )
        if not differ:
            yield ok(f"{item.product.title} runs with what its files say")


@check("distribution.interface", "error", "flannel-iface names a link of the host")
def interface(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """k3s takes a name alone; with one that is not there it does not start."""
    for item in _services(facts, wanted):
        name = item.value("flannel-iface")
        links = fields.sequence(facts, "links")
        if item.product.name == "k3s" and name and links:
            if name in links:
                yield ok(f"{name} is there", name)
            else:
                yield failed(
                    f"{item.flags['flannel-iface'].places[-1]}: the host has no link called {name}",
                    f"one of {', '.join(each for each in links if each != 'lo')}",
                    "Give the name of a link, without an address or a pattern: k3s does not start "
                    f"({sources.K3S_AGENT}).",
                )


@check("distribution.flannel_conf", "error", "The file of flannel-conf fits the cluster")
def flannel_conf(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """k3s takes the file as it is; a backend that it lacks, or another range, ends the whole process."""
    evidence = _evidence(wanted)
    for item in _services(facts, wanted):
        path = item.value("flannel-conf") if item.product.name == "k3s" else ""
        if not path:
            continue
        text = item.host.text(path)
        if item.host.missing(path):
            yield failed(
                f"{path} is not there",
                "the file",
                f"Write it on every node, or take the key out ({sources.K3S_FLAGS}).",
            )
            continue
        try:
            config = go_json.load_object(text or "", path)
        except InputError:
            # It is among the problems of distribution.files.
            continue
        backend = fields.text(config, "Backend", "Type") or "udp"
        if backend not in k3s.BACKENDS:
            yield failed(
                f"{path}: backend {backend}",
                f"one of {', '.join(k3s.BACKENDS)}",
                f"Choose another backend: k3s does not have it and ends ({sources.K3S_BACKENDS}).",
            )
        ranges = {normal("cluster-cidr", flags, k3s.DEFAULTS) for flags in evidence.servers("k3s").values()}
        network = fields.text(config, "Network")
        members = [each for text in ranges for each in text.split(",") if ":" not in each]
        if network and members and not any(inside(each, network) for each in members):
            yield failed(
                f"{path}: Network {network}",
                f"cluster-cidr {' or '.join(sorted(ranges))}",
                f"Give Network a range that holds cluster-cidr: Nodes get their ranges from there "
                f"({sources.K3S_NETWORK}).",
            )


@check("distribution.no_effect", "warning", "Every member of flannel-conf has an effect")
def no_effect(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """k3s has its firewall rules made with iptables, whatever the file says."""
    for item in _services(facts, wanted):
        path = item.value("flannel-conf") if item.product.name == "k3s" else ""
        try:
            config = go_json.load_object(item.host.text(path) or "{}", path) if path else {}
        except InputError:
            continue
        if fields.at(config, "EnableNFTables") is True:
            yield failed(
                f"{path}: EnableNFTables is true",
                "iptables",
                f"Take it out: k3s makes flannel's rules with iptables in every case ({sources.K3S_NFTABLES}).",
            )
        backend = item.value("flannel-backend")
        named = fields.text(config, "Backend", "Type")
        if backend and named and backend not in ("none", named, f"{named}-native"):
            yield failed(
                f"flannel-backend is {backend}, and {path} says {named}",
                "the same in both",
                f"Give both the same: the file decides, on each node for itself ({sources.K3S_NETWORK}).",
            )


@check("distribution.flannel_cni_conf", "error", "The file of flannel-cni-conf is the one in use")
def flannel_cni_conf(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """k3s copies the file over its own at each start; releases of 2026 did not."""
    for item in _services(facts, wanted):
        path = item.value("flannel-cni-conf") if item.product.name == "k3s" else ""
        if not path:
            continue
        used = f"{item.data}/agent/etc/cni/net.d/10-flannel.conflist"
        text, copy = item.host.text(path), item.host.text(used)
        if item.host.missing(path):
            yield failed(f"{path} is not there", "the file", f"Write it, or take the key out ({sources.K3S_AGENT}).")
        elif copy is None:
            yield unknown(f"{used} is not there", path, f"Start {item.unit or 'k3s'}, and run this again.")
        elif text is None:
            # It is among the problems of distribution.files.
            continue
        elif copy.strip() != text.strip():
            yield failed(
                f"{used} is not {path}",
                "a copy of it",
                f"Run {item.restart}. If it stays so, the release ignores the key: take 1.37.1, or a patch of 1.34 to "
                f"1.36 from September 2026 or later ({sources.K3S_CONF_IGNORED}).",
            )
        else:
            yield ok(f"{used} is a copy of {path}")


@check("distribution.ipset", "error", "Where k3s enforces network policies it has ipset")
def ipset(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Without ipset k3s logs one warning and enforces nothing (k3s pkg/agent/netpol/netpol.go)."""
    evidence = _evidence(wanted)
    for item in _services(facts, wanted):
        if item.product.name != "k3s" or not item.command:
            continue
        servers = evidence.servers("k3s").values()
        if servers and all(command_line.is_on(flags.get("disable-network-policy")) for flags in servers):
            yield skipped("disable-network-policy is set on all servers")
        elif fields.text(facts, "products", "k3s", "ipset"):
            yield ok(fields.text(facts, "products", "k3s", "ipset"))
        else:
            yield failed(
                "ipset is neither on PATH nor among the programs of k3s",
                "ipset",
                f"Install the package ipset and run {item.restart}: without it k3s lets everything through "
                f"({sources.K3S_SERVICES}).",
            )


@check("distribution.br_netfilter", "error", "The host hands packets of bridges to the firewall, also after a boot")
def br_netfilter(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """flannel ends at its start when the setting is missing (flannel v0.26.0 and later)."""
    found = fields.mapping(facts, "br_netfilter")
    if not found:
        return
    # k3s pkg/agent/syssetup/setup.go, which RKE2 uses, too.
    loaded_by = [each.product.title for each in _services(facts, wanted)]
    at_boot = fields.sequence(found, "at_boot")
    module = found.get("module")
    if not fields.text(found, "setting"):
        wording = "its kernel lacks the module" if module == "missing" else "the module is not loaded"
        remedy = "Run modprobe br_netfilter and name it in a file of /etc/modules-load.d, before flannel starts"
        if module == "missing":
            remedy = "Install the kernel's further modules (kernel-modules-extra on RHEL). " + remedy
        # k3s and RKE2 load the module at their start, unless the kernel lacks it.
        waits = bool(loaded_by) and module != "missing"
        yield failed(
            f"net.bridge.bridge-nf-call-iptables is not there: {wording}",
            "br_netfilter loaded",
            f"{remedy} (role podnet.cni.node with node_bridge_netfilter=true). flannel 0.26.0 and later, Canal's too, "
            f"ends without it, and a cluster that Rancher makes waits for ever ({sources.RANCHER_WAITS}, "
            f"{sources.FLANNEL_BRIDGE}).",
            severity="warning" if waits else "",
        )
    elif module in ("builtin", None) or at_boot or loaded_by:
        yield ok(
            "br_netfilter is there" + (f", from {', '.join([*at_boot, *loaded_by])}" if at_boot or loaded_by else "")
        )
    else:
        yield Verdict(
            "failed",
            "br_netfilter is loaded, and nothing loads it at boot",
            "a file of /etc/modules-load.d",
            "Name br_netfilter in a file of /etc/modules-load.d: after a boot flannel ends without it "
            f"({sources.FLANNEL_BRIDGE}).",
            severity="warning",
        )


_VXLAN = re.compile(r"flannel\.\d+")
_WIREGUARD = "flannel-wg"


@check("distribution.devices", "error", "flannel has one device for each family")
def devices(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Routes of a node's /24 over an old device win over the wider route of the new one."""
    del wanted
    found = [str(name) for name in fields.sequence(facts, "links") if _VXLAN.fullmatch(str(name)) or name == _WIREGUARD]
    if len(found) > 1:
        yield failed(
            f"{', '.join(found)} are all there",
            "one of them",
            "Drain the node, delete the device of the former backend (ip link del) and restart the service: "
            "its routes win, "
            f"and after a change to WireGuard traffic stays in the clear ({sources.RKE2_LEFTOVER}).",
        )
    elif found:
        yield ok(found[0])


@check("distribution.host_read", "error", "The host was read, as root")
def host_read(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Configuration files hold tokens and are closed to others."""
    del wanted
    if facts.get("root") is None:
        yield unknown("the host was not read", "an answer", "See why it did not answer above, and run this again.")
    elif facts.get("root") is False:
        yield unknown("the host was not read as root", "root", "Run the play with become: true.")


HOST_CHECKS: tuple[Check, ...] = (
    files,
    ambiguous,
    key_names,
    key_place,
    both_places,
    rancher_file,
    restart,
    interface,
    flannel_conf,
    no_effect,
    flannel_cni_conf,
    ipset,
    br_netfilter,
    devices,
    host_read,
)
