# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an operating system has to grant a node of the overlay: kernel settings, kernel modules, links left alone.

Private to podnet.cni: may change in any release.

All paths lie under a root directory, which is / outside of tests.
"""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked, is_busybox

BANNER = "# Written by podnet.cni. Changes are lost.\n"
LINK_FILE = "/etc/systemd/network/10-podnet-cni.link"
NETWORK_FILE = "/etc/systemd/network/10-podnet-cni.network"
NETWORK_MANAGER_FILE = "/etc/NetworkManager/conf.d/podnet-cni.conf"
# udev gives links a MAC address of its own choice, which is not the one in the lease.
LINK_TEXT = f"{BANNER}[Match]\nOriginalName=flannel*\n\n[Link]\nMACAddressPolicy=none\n"
UDEV = ("/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd", "/usr/bin/udevadm", "/bin/udevadm")
NETWORKD = ("/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd")
NETWORK_MANAGER = ("/usr/sbin/NetworkManager", "/usr/bin/NetworkManager")
CAP_SYS_MODULE = 16
_SYSCTL = re.compile(r"[a-z0-9_]+[./][A-Za-z0-9_./-]+\Z")
_MODULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*\Z")
_LINK_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]{1,15}\Z")


@dataclass(frozen=True)
class Desired:
    """C(sysctls) and C(modules) hold now; C(files) maps a path to its text, None for a file that must not be."""

    sysctls: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    files: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Observed:
    """C(sysctls) lacks settings that the kernel does not have; C(modules) are present ones.

    C(has_modules) says whether this kernel comes with modules, C(may_load) whether this process may load them.
    """

    sysctls: Mapping[str, str]
    modules: frozenset[str]
    has_modules: bool
    may_load: bool
    files: Mapping[str, str | None]


@dataclass(frozen=True)
class NodePlan:
    """What is to be done, in this order: load modules, set sysctls, write and remove files."""

    modules: tuple[str, ...]
    sysctls: Mapping[str, str]
    files: Mapping[str, str | None]
    before: str
    after: str
    warnings: tuple[str, ...]

    @property
    def actions(self) -> list[str]:
        """Return a plain sentence for each operation."""
        done = [f"load kernel module {name}" for name in self.modules]
        done += [f"set {name} = {value}" for name, value in self.sysctls.items()]
        done += [f"{'remove' if text is None else 'write'} {path}" for path, text in self.files.items()]
        return done


def desired(
    *,
    present: bool,
    sysctls: Mapping[str, str],
    sysctl_file: str,
    modules: Sequence[str],
    modules_file: str,
    unmanaged_links: Sequence[str],
    root: str = "/",
) -> Desired:
    """Return what should hold. An empty path means that nothing is left for the next boot.

    Files for udev, networkd and NetworkManager are wanted only where these are installed. Not C(present): the files
    go, the kernel's state stays, since other software may rely on it. Raises InputError for an invalid name.
    """
    for name in sysctls:
        _check("sysctl", name, _SYSCTL, "write it as in net.ipv4.ip_forward")
    for name in modules:
        _check("kernel_modules", name, _MODULE, "give the name that modprobe takes")
    for name in unmanaged_links:
        _check("unmanaged_links", name, _LINK_PATTERN, "give a link name of at most 15 characters, * and ? allowed")
    files: dict[str, str | None] = {}
    if sysctl_file:
        files[sysctl_file] = BANNER + "".join(f"{name} = {_words(sysctls[name])}\n" for name in sorted(sysctls))
    if modules_file:
        files[modules_file] = BANNER + "".join(f"{name}\n" for name in modules)
    for path, text, programs in (
        (LINK_FILE, LINK_TEXT, UDEV),
        (NETWORK_FILE, _network_text(unmanaged_links), NETWORKD),
        (NETWORK_MANAGER_FILE, _network_manager_text(unmanaged_links), NETWORK_MANAGER),
    ):
        installed = any(os.path.exists(_under(root, program)) for program in programs)
        if unmanaged_links and (installed or not present):
            files[path] = text
    if not present:
        return Desired(files=dict.fromkeys(files))
    empty = {sysctl_file: not sysctls, modules_file: not modules}
    return Desired(sysctls, tuple(modules), {path: None if empty.get(path) else text for path, text in files.items()})


def sysctl_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as the kernel takes them; YAML's true and false become 1 and 0."""
    return {str(name): str(int(value) if isinstance(value, bool) else value) for name, value in values.items()}


def observe(want: Desired, root: str = "/") -> Observed:
    """Read what the plan needs to know. Raises PodnetError for a setting or file that cannot be read."""
    values = {}
    for name in want.sysctls:
        state = atomic_file.observe(_sysctl_path(root, name))
        if state.text is not None:
            values[name] = " ".join(state.text.split())
    modules = frozenset(name for name in want.modules if _has_module(root, name))
    files = {path: atomic_file.observe(_under(root, path)).text for path in want.files}
    has_modules = os.path.isdir(_under(root, f"/lib/modules/{os.uname().release}"))
    return Observed(values, modules, has_modules, _may_load(root), files)


def plan(want: Desired, observed: Observed) -> NodePlan:
    """Compare and say what is to be done; pure.

    Raises InputError for a setting that the kernel does not have, unless a module that is to be loaded may bring it.
    """
    modules = tuple(name for name in want.modules if name not in observed.modules)
    warnings = []
    if modules and observed.has_modules and not observed.may_load:
        warnings.append(
            f"kernel modules {', '.join(modules)} cannot be loaded from here, since the capability CAP_SYS_MODULE is "
            "missing (a container): load them on the host"
        )
    if not (observed.has_modules and observed.may_load):
        # Without modules the kernel has everything built in or not at all; the first link that needs it will tell.
        modules = ()
    absent = [name for name in want.sysctls if name not in observed.sysctls]
    if absent and not modules:
        raise InputError(
            f"the kernel has no setting {', '.join(absent)}: leave it out, or load the kernel module that brings it "
            "(net.bridge.*: br_netfilter; net.ipv6.*: IPv6 must not be disabled)"
        )
    sysctls = {name: value for name, value in want.sysctls.items() if observed.sysctls.get(name) != _words(value)}
    files = {path: text for path, text in want.files.items() if observed.files.get(path) != text}
    lines_before = [f"{name} = {observed.sysctls.get(name, '(missing)')}" for name in sysctls]
    lines_after = [f"{name} = {value}" for name, value in sysctls.items()]
    lines_after = [f"module {name}" for name in modules] + lines_after
    for path, text in files.items():
        lines_before += [f"{path}: {line}" for line in (observed.files.get(path) or "").splitlines()]
        lines_after += [f"{path}: {line}" for line in (text or "").splitlines()]
    return NodePlan(modules, sysctls, files, _joined(lines_before), _joined(lines_after), tuple(warnings))


def apply(run: Run, node_plan: NodePlan, root: str = "/") -> list[str]:
    """Carry the plan out and return warnings. Raises PodnetError naming the module, setting or file."""
    if node_plan.modules:
        checked(
            run,
            ["modprobe", "-a", *node_plan.modules],
            missing="install kmod or load the modules yourself",
            hint=" (a package of extra kernel modules may hold them)",
        )
    for name, value in node_plan.sysctls.items():
        path = _sysctl_path(root, name)
        try:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(f"{value}\n")
        except OSError as error:
            raise PodnetError(f"cannot set {name} to {value!r}: {error.strerror}") from error
    for path, text in node_plan.files.items():
        if text is None:
            atomic_file.remove(_under(root, path))
        else:
            atomic_file.write(_under(root, path), text)
    return _reload(run, node_plan, root)


def missing_programs(names: Iterable[str], path: str) -> list[str]:
    """Return those of C(names) that no directory of the search path C(path) and of the system holds.

    What busybox does under a name is not counted: its ip knows no vxlan, its ping no size of a packet's path.
    """
    directories = [*path.split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    return [name for name in names if not any(_has(directory, name) for directory in directories)]


def missing_plugins(names: Iterable[str], directories: Sequence[str]) -> list[str]:
    """Return those CNI plugins that are an executable file in none of C(directories)."""
    return [name for name in names if not any(_executable(directory, name) for directory in directories)]


def missing_python_modules(names: Iterable[str]) -> list[str]:
    """Return those modules that the Python which runs this does not have."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def _has(directory: str, name: str) -> bool:
    return _executable(directory, name) and not is_busybox(os.path.join(directory, name))


def _executable(directory: str, name: str) -> bool:
    path = os.path.join(directory, name)
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _check(option: str, value: str, pattern: re.Pattern[str], remedy: str) -> None:
    if not pattern.match(value) or ".." in value:
        raise InputError(f"{option} {value!r} is not valid: {remedy}")


def _network_text(links: Sequence[str]) -> str:
    return f"{BANNER}[Match]\nName={' '.join(links)}\n\n[Link]\nUnmanaged=yes\n"


def _network_manager_text(links: Sequence[str]) -> str:
    devices = ";".join(f"interface-name:{name}" for name in links)
    return f"{BANNER}[keyfile]\nunmanaged-devices={devices}\n"


def _reload(run: Run, node_plan: NodePlan, root: str) -> list[str]:
    """Make running network services read their new files. udev looks at its own before every use."""
    warnings = []
    for path, running, command in (
        (NETWORK_FILE, "/run/systemd/netif/state", ["networkctl", "reload"]),
        (NETWORK_MANAGER_FILE, "/run/NetworkManager", ["nmcli", "general", "reload", "conf"]),
    ):
        if path in node_plan.files and os.path.exists(_under(root, running)):
            try:
                checked(run, command, missing="reload the service yourself")
            except PodnetError as error:
                warnings.append(f"{path} has changed, but is not in force yet: {error}")
    return warnings


def _has_module(root: str, name: str) -> bool:
    """Whether the module is loaded or built in."""
    plain = name.replace("-", "_")
    if os.path.isdir(_under(root, f"/sys/module/{plain}")):
        return True
    builtin = atomic_file.observe(_under(root, f"/lib/modules/{os.uname().release}/modules.builtin")).text or ""
    names = (os.path.basename(line).split(".")[0].replace("-", "_") for line in builtin.splitlines())
    return plain in names


def _may_load(root: str) -> bool:
    status = atomic_file.observe(_under(root, "/proc/self/status")).text or ""
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return effective is not None and bool(int(effective.group(1), 16) >> CAP_SYS_MODULE & 1)


def _sysctl_path(root: str, name: str) -> str:
    # In the slash form a dot belongs to the name, as in net/ipv6/conf/eth0.5/forwarding.
    return _under(root, "/proc/sys/" + (name if "/" in name else name.replace(".", "/")))


def _under(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip("/"))


def _words(value: str) -> str:
    return " ".join(value.split())


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
