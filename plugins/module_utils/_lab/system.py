# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a lab of namespaced hosts from the machine and carries out the steps that change it.

Private to podnet.cni: may change in any release.

What is where, below the lab's own directory, a tmpfs that is private so that namespaces can be pinned in it:
hosts/NAME/net, mnt and uts are the pins of a host; layers/NAME holds what its copy-on-write directories changed;
processes/NAME holds a record and a log file per process, kubernetes/processes/NAME those of a Kubernetes node;
underlay/net is the pin of the underlay's namespace. Guests have guests/NAME and machines/NAME.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
from typing import Any, Callable, Iterator, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked
from ansible_collections.podnet.cni.plugins.module_utils._lab.containers import DIRECTORIES, Containers
from ansible_collections.podnet.cni.plugins.module_utils._lab.guests import Guests
from ansible_collections.podnet.cni.plugins.module_utils._lab.plan import (
    LINK,
    NOTHING,
    Host,
    Lab,
    Operation,
    Underlay,
    lab_key,
    mounts_to_detach,
    port_name,
)
from ansible_collections.podnet.cni.plugins.module_utils._lab.processes import ProcessTable

BRIDGE = "underlay"
PINS = (("net", "net"), ("mount", "mnt"), ("uts", "uts"))
REMEDY = "install util-linux and iproute2 on this machine"

# The parts of the answer are parted by a line that none of them holds.
PARTING = "@@\n"
PROBE = (
    f"hostname; echo @@; ip -j addr show dev {LINK}; echo @@; "
    "ip -j route show default; echo; ip -j -6 route show default; echo @@; "
    f"grep -c ' {DIRECTORIES[0]} ' /proc/self/mounts; echo @@; cat /etc/hosts"
)


def available_mib() -> int:
    """Return how much memory programs can still have (proc(5), MemAvailable)."""
    with open("/proc/meminfo", encoding="ascii") as meminfo:
        return next(int(line.split()[1]) // 1024 for line in meminfo if line.startswith("MemAvailable:"))


def is_pin(path: str) -> bool:
    """Say whether the file is a namespace: it has the device number of nsfs, as /proc/self/ns/net has."""
    try:
        return os.stat(path).st_dev == os.stat("/proc/self/ns/net").st_dev
    except OSError:
        return False


def machine_routes(run: Run) -> list[str]:
    """Return the destinations of the machine's routes in all tables, in CIDR form, without the default routes."""
    destinations: set[str] = set()
    for family in ("-4", "-6"):
        text = checked(run, ["ip", "-j", family, "route", "show", "table", "all"], missing=REMEDY)
        destinations.update(route["dst"] for route in json.loads(text or "[]") if route["dst"] != "default")
    return sorted(destinations)


@contextlib.contextmanager
def exclusive(state_dir: str) -> Iterator[None]:
    """Hold the lock of the state directory, made when absent and removed when empty afterwards."""
    while True:
        os.makedirs(state_dir, mode=0o755, exist_ok=True)
        lock = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # whoever held the lock before may have removed the directory
        with contextlib.suppress(OSError):
            if os.stat(state_dir).st_ino == os.fstat(lock).st_ino:
                break
        os.close(lock)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(state_dir)
        os.close(lock)


class System:
    """The lab C(name) below C(state_dir) on this machine.

    C(warn) is called with a sentence for the user.
    """

    def __init__(
        self,
        run: Run,
        state_dir: str,
        name: str,
        *,
        copy_on_write_dirs: Sequence[str],
        private_dirs: Sequence[str],
        data_dir: str,
        warn: Callable[[str], None],
    ) -> None:
        self.run = run
        self.state_dir = state_dir
        self.folder = os.path.join(state_dir, name)
        self.copy_on_write_dirs = [path for path in copy_on_write_dirs if os.path.isdir(path)]
        self.private_dirs = list(private_dirs)
        self.warn = warn
        self.processes = ProcessTable(os.path.join(self.folder, "processes"), run)
        self.kubernetes = ProcessTable(os.path.join(self.folder, "kubernetes", "processes"), run)
        self.containers = Containers(lab_key(state_dir, name), data_dir)
        self.underlay_pin = os.path.join(self.folder, "underlay", "net")
        self.guests = Guests(self.folder, self.containers.data, self.underlay_pin, BRIDGE, run)

    def pins(self, host: str) -> str:
        """Return the directory with the pins of the host."""
        return os.path.join(self.folder, "hosts", host)

    def inside(self, host: str, command: Sequence[str]) -> list[str]:
        """Return the command that runs one in the host."""
        return self.guests.command(host, command) if self.guests.record(host) else [*self.enter(host), *command]

    def enter(self, host: str) -> list[str]:
        """Return the command prefix that runs a program in the namespaces of the host."""
        pins = self.pins(host)
        return ["nsenter", *(f"--{flag}={os.path.join(pins, kind)}" for flag, kind in PINS), "--"]

    def _checked(self, command: Sequence[str], text: str | None = None) -> str:
        return checked(self.run, command, text, missing=REMEDY)

    def _batch(self, net_pin: str, lines: Sequence[str]) -> None:
        self._checked(["nsenter", f"--net={net_pin}", "--", "ip", "-batch", "-"], "".join(f"{x}\n" for x in lines))

    # -- observe

    def observe(self) -> Lab:
        """Read the lab as it is. Without its directory there is no lab."""
        if not os.path.isdir(self.folder):
            return NOTHING
        hosts_dir = os.path.join(self.folder, "hosts")
        names = sorted(os.listdir(hosts_dir)) if os.path.isdir(hosts_dir) else []
        return Lab(self._observe_underlay(), {name: self._observe_host(name) for name in names}, {})

    def _observe_underlay(self) -> Underlay:
        broken = Underlay(0, ())
        if not is_pin(self.underlay_pin):
            return broken
        code, out, _err = self.run(
            ["nsenter", f"--net={self.underlay_pin}", "--", "ip", "-j", "addr", "show", "dev", BRIDGE], None
        )
        links = json.loads(out or "[]") if code == 0 else []
        return Underlay(links[0]["mtu"], _addresses(links[0])) if links else broken

    def _observe_host(self, name: str) -> Host | None:
        guest = self.guests.record(name)
        if guest is not None and not self.guests.runs(name):
            return self._down(name, guest, "it is off")
        if guest is None and not all(is_pin(os.path.join(self.pins(name), kind)) for _flag, kind in PINS):
            return None
        code, out, err = self.run(self.inside(name, ["sh", "-c", PROBE]), None)
        if code != 0 and guest is not None:
            return self._down(name, guest, f"it does not answer ({err.strip() or code})")
        if code != 0:
            raise PodnetError(f"The lab host {name} cannot be read: {err.strip() or code}.")
        hostname, links, routes, containers, hosts_file = out.split(PARTING, maxsplit=4)
        no_link: dict[str, Any] = {"flags": [], "mtu": 0}
        link = next(iter(json.loads(links or "[]")), no_link)
        gateways = [
            route["gateway"] for line in routes.split("\n") if line for route in json.loads(line) if "gateway" in route
        ]
        return Host(
            name,
            hostname.strip(),
            link["mtu"],
            _addresses(link),
            tuple(gateways),
            hosts_file,
            self.processes.running(name),
            {"UP", "LOWER_UP"} <= set(link["flags"]),
            int(containers) > 0 if guest is None else guest["containers"],
            0 if guest is None else guest["memory"],
        )

    @staticmethod
    def _down(name: str, record: dict[str, Any], why: str) -> Host:
        return Host(name, name, 0, (), (), "", containers=record["containers"], guest=record["memory"], down=why)

    # -- apply

    def check_guests(self, operations: Sequence[Operation], want: Lab) -> None:
        """Raise MissingError unless the guests that the operations switch on can run here."""
        started = {operation.host for operation in operations if operation.kind in ("create_host", "boot")}
        hosts = [host for host in want.hosts.values() if host is not None and host.guest and host.name in started]
        if hosts:
            self.guests.check(hosts, available_mib())

    def apply(self, operations: Sequence[Operation], want: Lab) -> None:
        """Carry out the operations. Operations of one kind go together: that is their order in a plan, too."""

        def of(kind: str) -> list[Operation]:
            return [operation for operation in operations if operation.kind == kind]

        if of("remove_lab"):
            self._remove_lab()
        if of("create_lab") and want.underlay is not None:
            self._create_lab(want.underlay)
        self._remove_hosts([operation.host for operation in of("remove_host")])
        hosts = [want.hosts[operation.host] for operation in of("create_host")]
        self._create_hosts([host for host in hosts if host is not None and not host.guest])
        guests = [host for host in hosts if host is not None and host.guest]
        for guest in guests:
            os.mkdir(self.pins(guest.name))
            self.guests.make(guest)
        again = [want.hosts[operation.host] for operation in of("boot")]
        guests += [host for host in again if host is not None]
        if guests:
            self.guests.boot(guests)
        for operation in of("write_hosts_file"):
            host = want.hosts[operation.host]
            if host is not None:
                self._checked(self.inside(host.name, ["sh", "-c", "cat > /etc/hosts"]), host.hosts_file)
        for operation in of("stop"):
            self.processes.stop(operation.host, operation.process)
        for operation in of("start"):
            process = next(item for item in want.processes[operation.host] if item.name == operation.process)
            self.processes.start(operation.host, process, self.enter(operation.host))

    def _create_lab(self, underlay: Underlay) -> None:
        # what a lab of this name left when somebody removed its directory, or the machine restarted
        self.containers.remove()
        os.makedirs(self.folder, mode=0o755)
        # A mount namespace can only be pinned on a mount that is not shared.
        self._checked(["mount", "-t", "tmpfs", "-o", "mode=0755", "podnet-lab", self.folder])
        self._checked(["mount", "--make-private", self.folder])
        for sub in ("hosts", "kubernetes", "layers", "processes", "underlay"):
            os.mkdir(os.path.join(self.folder, sub))
        _touch(self.underlay_pin)
        self._checked(["unshare", f"--net={self.underlay_pin}", "ip", "link", "set", "lo", "up"])
        self._batch(
            self.underlay_pin,
            [
                f"link add {BRIDGE} mtu {underlay.mtu} type bridge forward_delay 0 mcast_snooping 0",
                *(f"addr add {address} dev {BRIDGE} {_flags(address)}" for address in underlay.addresses),
                f"link set {BRIDGE} up",
            ],
        )

    def _create_hosts(self, hosts: Sequence[Host]) -> None:
        if not hosts:
            return
        for host in hosts:
            self._make_namespaces(host)
        ports = []
        for host in hosts:
            port = port_name(host.name)
            net = os.path.join(self.pins(host.name), "net")
            ports += [
                f"link add {port} mtu {host.mtu} type veth peer name {LINK} mtu {host.mtu} netns {net}",
                f"link set {port} master {BRIDGE} up",
            ]
        self._batch(self.underlay_pin, ports)
        for host in hosts:
            lines = [f"addr add {address} dev {LINK} {_flags(address)}" for address in host.addresses]
            lines.append(f"link set {LINK} up")
            lines += [f"route add default via {gateway} dev {LINK}" for gateway in host.gateways]
            self._batch(os.path.join(self.pins(host.name), "net"), lines)

    def _make_namespaces(self, host: Host) -> None:
        pins = self.pins(host.name)
        os.mkdir(pins)
        for _flag, kind in PINS:
            _touch(os.path.join(pins, kind))
        flags = [f"--{flag}={os.path.join(pins, kind)}" for flag, kind in PINS]
        if host.containers:
            self.containers.prepare(host.name)
        script = self._mount_script(host)
        code, _out, err = self.run(["unshare", *flags, "--", "sh", "-ec", script], None)
        if code != 0:
            raise InputError(
                f"Making the namespaces of the host {host.name} failed: {err.strip()}. The lab needs root with "
                "CAP_SYS_ADMIN and a kernel with overlayfs (modprobe overlay)."
            )

    def _mount_script(self, host: Host) -> str:
        """Return the shell script that gives a new mount namespace its own files."""
        name = host.name
        script = [f"hostname {name}", "ip link set lo up"]
        layers = os.path.join(self.folder, "layers", name)
        if host.containers:
            script += self.containers.mount_sys(os.path.join(layers, "cgroup"))
        else:
            script.append("mount -t sysfs sysfs /sys")
        for path in self.copy_on_write_dirs:
            layer = os.path.join(layers, path.strip("/").replace("/", "-"))
            for sub in ("upper", "work"):
                os.makedirs(os.path.join(layer, sub))
            shutil.copymode(path, os.path.join(layer, "upper"))
            script.append(
                f"mount -t overlay -o lowerdir={path},upperdir={layer}/upper,workdir={layer}/work overlay {path}"
            )
        # The new namespace has copies of all mounts. Those of pins would keep namespaces alive that nobody else uses.
        script += [
            f"umount -l {shlex.quote(point)}"
            for point in mounts_to_detach(_mount_points(), [self.state_dir, *self.private_dirs])
        ]
        script += [f"mount -t tmpfs -o mode=0755 podnet-lab {path}" for path in self.private_dirs]
        if host.containers:
            script += self.containers.mount_data(name)
        script += [f"echo {name} > /etc/hostname"]
        return "\n".join(script)

    def _remove_hosts(self, names: Sequence[str]) -> None:
        for name in names:
            self._stop_all(name)
        self._warn_of_lodgers(names)
        for name in names:
            pins = self.pins(name)
            mounted = [os.path.join(pins, kind) for _flag, kind in PINS if is_pin(os.path.join(pins, kind))]
            if mounted:
                self._checked(["umount", "-l", *mounted])
            shutil.rmtree(pins)
            self.guests.remove(name)
            self.containers.remove(name)
            for sub in ("layers", "processes", "kubernetes/processes"):
                shutil.rmtree(os.path.join(self.folder, sub, name), ignore_errors=True)
            # The port may be gone: it goes with the other end of the pair.
            self.run(
                ["nsenter", f"--net={self.underlay_pin}", "--", "ip", "link", "del", port_name(name)],
                None,
            )

    def _remove_lab(self) -> None:
        hosts_dir = os.path.join(self.folder, "hosts")
        names = sorted(os.listdir(hosts_dir)) if os.path.isdir(hosts_dir) else []
        for name in names:
            self._stop_all(name)
        self.containers.kill()
        self._warn_of_lodgers(names)
        self._end_connections()
        if os.path.ismount(self.folder):
            # takes the pins below it along
            self._checked(["umount", "-l", self.folder])
        try:
            os.rmdir(self.folder)
        except OSError as error:
            raise InputError(
                f"{self.folder} cannot be removed ({error.strerror}): it is not the directory of a lab. "
                "Move away what is in it, or choose another state_dir."
            ) from error
        self.containers.remove()

    def _stop_all(self, host: str) -> None:
        self.guests.stop(host)
        self.kubernetes.stop_all(host)
        self.processes.stop_all(host)
        self.containers.kill(host)

    def _end_connections(self) -> None:
        """End what connects ssh to a guest: a connection that is kept for later would keep the underlay, too."""
        if not is_pin(self.underlay_pin):
            return
        underlay = os.stat(self.underlay_pin).st_ino
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if entry.isdigit() and os.stat(f"/proc/{entry}/ns/net").st_ino == underlay:
                    os.kill(int(entry), signal.SIGKILL)

    def _warn_of_lodgers(self, names: Sequence[str]) -> None:
        """Name the processes that others started in hosts that are to go: the namespaces live on with them."""
        inodes = {}
        for name in names:
            pin = os.path.join(self.pins(name), "net")
            if is_pin(pin):
                inodes[os.stat(pin).st_ino] = name
        for entry in os.listdir("/proc") if inodes else ():
            with contextlib.suppress(OSError):
                if entry.isdigit() and os.stat(f"/proc/{entry}/ns/net").st_ino in inodes:
                    name = inodes[os.stat(f"/proc/{entry}/ns/net").st_ino]
                    with open(f"/proc/{entry}/comm", encoding="utf-8") as comm:
                        self.warn(
                            f"The process {entry} ({comm.read().strip()}) still runs in the lab host {name}. "
                            "The namespaces of the host last until it ends."
                        )


def _addresses(link: dict[str, Any]) -> tuple[str, ...]:
    return tuple(
        f"{entry['local']}/{entry['prefixlen']}"
        for entry in link.get("addr_info", ())
        if entry.get("scope") == "global"
    )


def _flags(address: str) -> str:
    # Without nodad an IPv6 address cannot be used in its first second or two.
    return "nodad" if ":" in address else ""


def _touch(path: str) -> None:
    with open(path, "w", encoding="ascii"):
        pass


def _mount_points() -> list[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mountinfo:
        fields = [line.split(" ")[4] for line in mountinfo]
    # proc(5): blanks and backslashes in a path are written as three octal digits
    return [re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), field) for field in fields]
