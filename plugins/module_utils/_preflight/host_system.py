# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operating system of a host: kernel settings and modules, kubelet, cgroups, services that manage links.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_files import Files

SYSCTLS = (
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.ipv6.neigh.default.gc_thresh3",
)
FIREWALL_MODULES = ("nf_tables", "nft_compat", "ip_tables", "xt_comment", "xt_MASQUERADE", "xt_mark")
"""What rules of iptables need of the kernel: one of the first three to hold them, the others in flanneld's rules."""

KUBELET_ENVIRONMENT = (
    "/var/lib/kubelet/kubeadm-flags.env",
    "/etc/default/kubelet",
    "/etc/sysconfig/kubelet",
    "/etc/kubernetes/kubelet.env",
    "/etc/systemd/system/kubelet.service",
    "/usr/lib/systemd/system/kubelet.service",
    "/lib/systemd/system/kubelet.service",
)
"""Files that hold arguments of the kubelet: kubeadm's, its packages', Kubespray's, and the service itself."""
KUBELET_DROPINS = (
    "/etc/systemd/system/kubelet.service.d",
    "/run/systemd/system/kubelet.service.d",
    "/usr/lib/systemd/system/kubelet.service.d",
    "/lib/systemd/system/kubelet.service.d",
)
KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
_CONFIG_KEYS = ("cgroupDriver", "containerRuntimeEndpoint", "failCgroupV1", "healthzPort")
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)(?:[= ]([^\s\"'\\-][^\s\"'\\]*))?")

NETWORK_MANAGER_FILES = (
    "/etc/NetworkManager/conf.d",
    "/run/NetworkManager/conf.d",
    "/usr/lib/NetworkManager/conf.d",
)
LINK_FILES = (
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/lib/systemd/network",
)
NETWORKD_FILES = (
    "/etc/systemd/networkd.conf",
    "/run/systemd/networkd.conf",
    "/usr/local/lib/systemd/networkd.conf",
    "/usr/lib/systemd/networkd.conf",
    "/lib/systemd/networkd.conf",
)
"""The first that is there counts; files in directories of these names with C(.d) come after it (networkd.conf(5))."""
_YES = ("1", "yes", "true", "on", "y", "t")


def sysctls(files: Files) -> dict[str, str | None]:
    """Return the values of SYSCTLS; null where the kernel has no such setting."""
    return {name: files.line("/proc/sys/" + name.replace(".", "/")) for name in SYSCTLS}


def modules(files: Files, names: Iterable[str]) -> dict[str, str | None]:
    """Return where each kernel module is: loaded, builtin, available (can be loaded) or missing.

    Null stands for a kernel that lists no modules, as in a container or one that has everything built in.
    """
    folder = f"/lib/modules/{os.uname().release}"
    listed = files.exists(f"{folder}/modules.dep")
    builtin = _module_names(files.text(f"{folder}/modules.builtin"))
    loadable = _module_names(files.text(f"{folder}/modules.dep"))
    found: dict[str, str | None] = {}
    for name in names:
        if files.exists(f"/sys/module/{name}"):
            found[name] = "loaded"
        elif name in builtin:
            found[name] = "builtin"
        elif name in loadable:
            found[name] = "available"
        else:
            found[name] = "missing" if listed else None
    return found


def _module_names(text: str | None) -> set[str]:
    paths = (line.split(":")[0] for line in (text or "").splitlines())
    return {os.path.basename(path).split(".")[0].replace("-", "_") for path in paths}


def kubelet(files: Files, run: Run) -> dict[str, Any]:
    """Return the kubelet's version, its flags with the place each was found in, and members of its configuration.

    A process that runs is asked first; files tell what it will be started with the next time. k3s and RKE2 have a
    kubelet in their own process, whose version is theirs.
    """
    arguments, pid = _process(files, ("kubelet",))
    flags: dict[str, dict[str, str | None]] = {}
    for name, value in parse_flags(" ".join(arguments)):
        flags.setdefault(name, {"value": value, "source": "the running kubelet"})
    for path in [*KUBELET_ENVIRONMENT, *files.layered(KUBELET_DROPINS, ".conf")]:
        for name, value in parse_flags(_without_comments(files.text(path) or "")):
            flags.setdefault(name, {"value": value, "source": path})
    config_file = fields.at(flags, "config", "value") or KUBELET_CONFIG
    text = files.text(config_file)
    return {
        "running": pid is not None,
        "version": _kubelet_version(run, arguments[:1]),
        "flags": flags,
        "config_file": config_file if text is not None else None,
        "config": parse_config(text or ""),
    }


def parse_flags(text: str) -> list[tuple[str, str | None]]:
    """Return name and value of each long flag in a command line or a file of arguments."""
    return [(name, value or None) for name, value in _FLAG.findall(text)]


def parse_config(text: str) -> dict[str, str]:
    """Return the members of a kubelet's configuration that checks ask for; nodes may have no reader for YAML.

    JSON is YAML too, and is read as such.
    """
    try:
        members = json.loads(text)
    except ValueError:
        members = None
    if isinstance(members, Mapping):
        scalars = {name: members[name] for name in _CONFIG_KEYS if isinstance(members.get(name), (str, int))}
        return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in scalars.items()}
    found = re.findall(r"^([A-Za-z0-9]+):[ \t]*(\S.*)$", text, re.MULTILINE)
    return {name: value.split(" #")[0].strip().strip("\"'") for name, value in found if name in _CONFIG_KEYS}


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", ";")))


def _process(files: Files, names: Sequence[str]) -> tuple[list[str], int | None]:
    for pid in (name for name in files.names("/proc") if name.isdigit()):
        if files.line(f"/proc/{pid}/comm") in names and not _is_elsewhere(files, pid):
            arguments = (files.text(f"/proc/{pid}/cmdline") or "").split("\0")
            return [argument for argument in arguments if argument], int(pid)
    return [], None


def _is_elsewhere(files: Files, pid: str) -> bool:
    """Whether the process has links of its own: it is that of a container, or of another host on this kernel."""
    try:
        namespaces = [os.readlink(files.path(f"/proc/{each}/ns/net")) for each in (pid, "thread-self")]
    except OSError:
        return False
    return namespaces[0] != namespaces[1]


def _kubelet_version(run: Run, running: Sequence[str]) -> str | None:
    """The version that the running program says, which may lie anywhere, or the one that is on PATH."""
    for program in (*running, "kubelet", "k3s", "rke2"):
        try:
            code, out, _err = run([program, "--version"], None)
        except FileNotFoundError:
            continue
        matched = re.search(r"v\d+\.\d+\.\d+\S*", out)
        if code == 0 and matched:
            return matched.group()
    return None


def cgroup_version(files: Files) -> int | None:
    """Return 2 where the unified hierarchy is mounted at /sys/fs/cgroup, 1 for any other, null where there is none.

    The hybrid layout of systemd counts as 1, as for the kubelet (Kubernetes KEP-4569).
    """
    mounts = [line.split() for line in (files.text("/proc/self/mounts") or "").splitlines()]
    kinds = {fields[1]: fields[2] for fields in mounts if len(fields) > 2}
    if kinds.get("/sys/fs/cgroup") == "cgroup2":
        return 2
    return 1 if any(kind in ("cgroup", "cgroup2") for kind in kinds.values()) else None


def network_manager(files: Files, run: Run, names: Iterable[str]) -> dict[str, Any]:
    """Return whether NetworkManager runs, and for each of the links C(names) whether it leaves that link alone.

    Where nmcli knows the link its word counts, else the configuration.
    """
    running = files.exists("/run/NetworkManager")
    devices: dict[str, str] = {}
    if running:
        try:
            code, out, _err = run(["nmcli", "--terse", "--fields", "DEVICE,STATE", "device"], None)
            rows = [line.rsplit(":", 1) for line in out.splitlines()] if code == 0 else []
            devices = {row[0]: row[1] for row in rows if len(row) == 2}
        except FileNotFoundError:
            devices = {}
    patterns = unmanaged_patterns(
        files.text(path) or ""
        for path in ("/etc/NetworkManager/NetworkManager.conf", *files.layered(NETWORK_MANAGER_FILES, ".conf"))
    )
    unmanaged = {
        name: devices[name] == "unmanaged" if name in devices else is_unmanaged(name, patterns) for name in names
    }
    return {"running": running, "patterns": patterns, "unmanaged": unmanaged}


def unmanaged_patterns(texts: Iterable[str]) -> list[str]:
    """Return the device specifications of unmanaged-devices in configuration files, given in their order.

    A later file replaces the list, or adds to it with += (NetworkManager.conf(5)).
    """
    patterns: list[str] = []
    for text in texts:
        section = ""
        for line in text.splitlines():
            stripped = line.strip()
            if stripped.startswith("["):
                section = stripped.strip("[]").strip()
            matched = re.match(r"unmanaged-devices\s*(\+?)=\s*(.*)\Z", stripped)
            if matched and section == "keyfile":
                values = [value.strip() for value in re.split(r"[;,]", matched.group(2)) if value.strip()]
                patterns = [*patterns, *values] if matched.group(1) else values
    return patterns


def is_unmanaged(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a link's name is among device specifications; only those that go by name are understood."""
    unmanaged = False
    for pattern in patterns:
        spec = pattern[len("except:") :] if pattern.startswith("except:") else pattern
        kind, colon, value = spec.partition(":")
        if spec == "*" or (colon and kind == "interface-name" and fnmatch.fnmatchcase(name, value.lstrip("=~"))):
            if spec != pattern:
                return False
            unmanaged = True
    return unmanaged


def networkd(files: Files, names: Iterable[str]) -> dict[str, Any]:
    """Return whether systemd-networkd runs, whether it removes routes of others, and which of C(names) it manages.

    Routes of others (ManageForeignRoutes, on unless a file says no) go from links that it manages, when it starts or
    configures the link again. For each link there is C(managed), null where that is not known, and the file that says
    so. Where the link is there, networkd's own word counts, else the first .network file whose [Match] fits.
    """
    foreign, source = "yes", None
    chosen = files.first(NETWORKD_FILES)
    drop_ins = files.layered([f"{path}.d" for path in NETWORKD_FILES], ".conf")
    for path in [*([chosen] if chosen else []), *drop_ins]:
        value = _setting(files.text(path) or "", "Network", "ManageForeignRoutes")
        if value is not None:
            foreign, source = value, path
    texts = [(path, files.text(path) or "") for path in files.layered(LINK_FILES, ".network")]
    return {
        "running": _process(files, ("systemd-network",))[1] is not None,
        "foreign_routes": foreign.lower() in _YES,
        "foreign_routes_file": source,
        "links": {name: _of_networkd(files, name, texts) for name in names},
    }


def _of_networkd(files: Files, name: str, texts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    index = files.line(f"/sys/class/net/{name}/ifindex")
    state = dict(_members(f"[State]\n{files.text(f'/run/systemd/netif/links/{index}') or ''}", "State"))
    if index and state.get("ADMIN_STATE") not in (None, "pending", "initialized"):
        managed = state["ADMIN_STATE"] != "unmanaged"
        return {"managed": managed, "file": state.get("NETWORK_FILE") or None}
    for path, text in texts:
        fits = _network_file_fits(text, name)
        if fits is None:
            return {"managed": None, "file": path}
        if fits:
            return {"managed": (_setting(text, "Link", "Unmanaged") or "no").lower() not in _YES, "file": path}
    return {"managed": False, "file": None}


def _network_file_fits(text: str, name: str) -> bool | None:
    """Whether a .network file's [Match] fits a link that is not there; null where it asks for more than its name."""
    asked = dict(_members(text, "Match"))
    patterns = asked.pop("Name", None)
    if patterns is not None:
        inverted = patterns.startswith("!")
        if any(fnmatch.fnmatchcase(name, each) for each in patterns.lstrip("!").split()) == inverted:
            return False
    if not asked:
        return patterns is not None
    # What else may be asked, as a driver or an address, is that of hardware, except for the kind of the link.
    return None if set(asked) <= {"Type", "Kind"} else False


def mac_policy(files: Files, names: Iterable[str]) -> dict[str, Any]:
    """Return whether udev runs, and which .link file and MACAddressPolicy apply to each of the links C(names).

    The first file whose [Match] fits a link is the only one that counts for it (systemd.link(5)).
    """
    paths = files.layered(LINK_FILES, ".link")
    texts = [(path, files.text(path) or "") for path in paths]
    applied: dict[str, dict[str, str | None]] = {}
    for name in names:
        path, text = next(((path, text) for path, text in texts if link_file_fits(text, name)), (None, ""))
        applied[name] = {"file": path, "policy": _setting(text, "Link", "MACAddressPolicy")}
    return {"running": files.exists("/run/udev/control"), "links": applied}


def link_file_fits(text: str, name: str) -> bool:
    """Tell whether a .link file's [Match] section fits a vxlan link of that name; one that asks for more does not."""
    asked = dict(_members(text, "Match"))
    patterns = asked.pop("OriginalName", None)
    kinds = asked.pop("Kind", None) or asked.pop("Type", None)
    if asked or (patterns is None and kinds is None):
        return False
    fits_kind = kinds is None or "vxlan" in kinds.split() or "*" in kinds.split()
    return fits_kind and (patterns is None or any(fnmatch.fnmatchcase(name, each) for each in patterns.split()))


def _setting(text: str, section: str, key: str) -> str | None:
    return dict(_members(text, section)).get(key)


def _members(text: str, section: str) -> list[tuple[str, str]]:
    found = []
    current = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("["):
            current = stripped.strip("[]")
        elif current == section and "=" in stripped and not stripped.startswith(("#", ";")):
            key, _equals, value = stripped.partition("=")
            found.append((key.strip(), value.strip()))
    return found


def identity(files: Files) -> Mapping[str, str | None]:
    """Return what should be a host's alone: machine id and host name; and its boot, to tell hosts on one machine."""
    return {
        "hostname": os.uname().nodename,
        "machine_id": files.line("/etc/machine-id") or None,
        "boot_id": files.line("/proc/sys/kernel/random/boot_id"),
    }
