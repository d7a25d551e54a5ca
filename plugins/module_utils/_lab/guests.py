# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lab hosts that are guests: machines with a kernel and a systemd of their own, on the underlay of the lab.

Private to podnet.cni: may change in any release.

Below the lab's directory, guests/HOST has what a guest boots from, the keys of its sshd and what its kernel says;
machines/HOST has the record of its qemu. Its disk lies in the data directory of the lab.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import time
from pathlib import Path
from typing import Any, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked
from ansible_collections.podnet.cni.plugins.module_utils._lab import guest_boot, guest_kernel, guest_machine
from ansible_collections.podnet.cni.plugins.module_utils._lab.plan import (
    GUEST_TARGET,
    LINK,
    Host,
    Process,
    plain,
    port_name,
)
from ansible_collections.podnet.cni.plugins.module_utils._lab.processes import ProcessTable

PROGRAMS = (
    *guest_kernel.PROGRAMS,
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("mkfs.ext4", "e2fsprogs"),
    ("/lib/systemd/systemd", "systemd"),
)
PROCESS = "qemu"
DISK_BYTES = 16 * 2**30
# A guest without KVM on a busy machine takes minutes, one that hangs for ever.
BOOT_SECONDS = 600.0
POLL_SECONDS = 0.5
CONSOLE_LINES = 15

# A guest in software may take long to answer, and the first method of key exchange is dear there.
SSH_CONFIG = """\
Host {name}
    HostName {address}
    User root
    IdentityFile "{folder}/key"
    IdentitiesOnly yes
    PreferredAuthentications publickey
    HostKeyAlias {name}
    UserKnownHostsFile "{folder}/known_hosts"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    UpdateHostKeys no
    KexAlgorithms curve25519-sha256
    ProxyCommand nsenter "--net={underlay}" -- busybox nc %h %p
    ConnectTimeout 60
    ServerAliveInterval 15
    ServerAliveCountMax 8
    BatchMode yes
    LogLevel ERROR
"""

SSHD_CONFIG = """\
HostKey /run/podnet-guest/host_key
AuthorizedKeysFile /run/podnet-guest/key.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
UseDNS no
PidFile none
MaxStartups 100
MaxSessions 100
"""

# Nothing that belongs to the machine's own services is started: the target wants sshd and what a lab adds.
TARGET = """\
[Unit]
Description=A guest of a podnet.cni lab
DefaultDependencies=no
AllowIsolate=yes
Wants=podnet-guest-sshd.service
"""

SSHD_UNIT = """\
[Unit]
Description=The way into a guest of a podnet.cni lab
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Environment=LD_LIBRARY_PATH={kernel}/usr/lib/x86_64-linux-gnu
ExecStart={kernel}/usr/sbin/sshd -D -e -f /run/podnet-guest/sshd_config
KillMode=process
Restart=always
StandardOutput=file:/dev/console
StandardError=inherit
"""

# The one of systemd makes an appointment with logind, which is not there.
SHUTDOWN = """\
#!/bin/sh
# What is asked for is done at once.
case " $* " in
    *" -r "*) exec systemctl reboot ;;
    *) exec systemctl poweroff ;;
esac
"""

# What does not end by itself need not hold up a reboot.
MANAGER = """\
[Manager]
DefaultTimeoutStopSec=10s
"""

STAGE = """\
# The end of a guest's boot, in its new root: its data on the disk, its name and its link. Then systemd.
for directory in kubelet containerd; do
    /bin/busybox mkdir -p "/upper/$directory" "var/lib/$directory"
    /bin/busybox mount --bind "/upper/$directory" "var/lib/$directory"
done
/bin/busybox cp /shutdown usr/sbin/shutdown.partial
/bin/busybox mv usr/sbin/shutdown.partial usr/sbin/shutdown
/bin/busybox chmod 0755 run
/bin/busybox mkdir -p run/podnet-guest run/sshd run/systemd/system run/systemd/system-generators
/bin/busybox cp -p /host/* run/podnet-guest/
/bin/busybox cp /units/* run/systemd/system/
/bin/busybox mkdir -p run/systemd/system.conf.d
/bin/busybox mv run/podnet-guest/manager.conf run/systemd/system.conf.d/
# They make units out of the machine's own configuration.
for generator in lib/systemd/system-generators/*; do
    /bin/busybox ln -s /dev/null "run/systemd/system-generators/${generator##*/}"
done
/bin/busybox grep -q ^sshd: etc/passwd || echo 'sshd:x:105:65534::/run/sshd:/usr/sbin/nologin' >>etc/passwd
# Other shells read what the machine's root has in its home, and that may take long here.
/bin/busybox sed -i 's#^\\(root:.*:\\)[^:]*$#\\1/bin/sh#' etc/passwd
# sshd lets nobody in whose password is locked, whatever the key.
/bin/busybox sed -i 's/^root:!/root:*/' etc/shadow
/bin/busybox cat /host/name >etc/hostname
/bin/busybox hostname -F /host/name
/bin/busybox chroot . /bin/ip -batch /run/podnet-guest/network || fail "no network"
# A root that is a container's says so, and systemd would take the guest for one.
/bin/busybox rm -f .dockerenv
exec /bin/busybox switch_root /merged /lib/systemd/systemd --unit=podnet-guest.target
"""


class Guests:
    """The guests of the lab in C(folder), which are joined to the bridge C(bridge) in the namespace C(underlay)."""

    def __init__(self, folder: str, data: str, underlay: str, bridge: str, run: Run) -> None:
        self.folder = folder
        self.data = data
        self.underlay = underlay
        self.bridge = bridge
        self.run = run
        self.machines = ProcessTable(os.path.join(folder, "machines"), run)

    def _path(self, host: str, *names: str) -> str:
        return os.path.join(self.folder, "guests", host, *names)

    def ssh_config(self, host: str) -> str:
        """The configuration for ssh to a guest, under its own name."""
        return self._path(host, "ssh_config")

    def console(self, host: str) -> str:
        """The file that has what the kernel of a guest says."""
        return self._path(host, "console.log")

    def command(self, host: str, command: Sequence[str]) -> list[str]:
        """The command that runs one in a guest."""
        return ["ssh", "-F", self.ssh_config(host), host, "--", " ".join(map(shlex.quote, command))]

    def record(self, host: str) -> dict[str, Any] | None:
        """What a host was made with; None when it is not a guest."""
        try:
            with open(self._path(host, "guest.json"), encoding="ascii") as file:
                record: dict[str, Any] = json.load(file)
        except (OSError, ValueError):
            return None
        return record

    def runs(self, host: str) -> bool:
        """Whether the machine of a guest is on."""
        return bool(self.machines.running(host))

    def check(self, hosts: Sequence[Host], available_mib: int) -> None:
        """Raise MissingError unless guests can be made here; C(hosts) are those that are not on yet."""
        guest_kernel.check_programs(PROGRAMS)
        if not os.path.exists("/dev/net/tun"):
            raise MissingError(
                "A guest is joined to the lab by a tap device, and there is no /dev/net/tun: modprobe tun."
            )
        needed = sum(host.guest for host in hosts)
        if available_mib < needed:
            names = ", ".join(host.name for host in hosts)
            raise MissingError(
                f"The guests {names} take {needed} MiB of memory, and {available_mib} MiB are available. "
                "Ask for fewer guests or for smaller ones, end other programs, or use a larger machine."
            )

    # -- make

    def make(self, host: Host) -> None:
        """Make keys, disk and port of a guest. It is off then."""
        os.makedirs(self._path(host.name))
        for key in ("key", "host_key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", self._path(host.name, key)]
            self._checked(command)
        public = Path(self._path(host.name, "host_key.pub")).read_text(encoding="ascii")
        self._write(host.name, "known_hosts", f"{host.name} {public}")
        disk = self._disk(host.name)
        os.makedirs(os.path.dirname(disk), mode=0o700, exist_ok=True)
        with open(disk, "wb") as file:
            file.truncate(DISK_BYTES)
        self._checked(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,nodiscard", disk])
        port = port_name(host.name)
        lines = [f"tuntap add dev {port} mode tap", f"link set {port} mtu {host.mtu} master {self.bridge} up"]
        self._checked(
            ["nsenter", f"--net={self.underlay}", "--", "ip", "-batch", "-"], "".join(f"{line}\n" for line in lines)
        )
        record = {"memory": host.guest, "containers": host.containers}
        self._write(host.name, "guest.json", json.dumps(record))

    def boot(self, hosts: Sequence[Host]) -> None:
        """Switch guests on, also those that are on and do not answer, and wait until they do. Raises PodnetError."""
        kernel = guest_kernel.kernel()
        for host in hosts:
            self.stop(host.name)
            address = plain(host.addresses[0])
            config = SSH_CONFIG.format(
                name=host.name, address=address, folder=self._path(host.name), underlay=self.underlay
            )
            self._write(host.name, "ssh_config", config)
            image = Path(self._path(host.name, "initrd"))
            image.write_bytes(self._image(kernel, host))
            enter = ["nsenter", f"--net={self.underlay}", "--"]
            self.machines.start(host.name, Process(PROCESS, self._qemu(kernel, image, host)), enter)
        deadline = time.monotonic() + BOOT_SECONDS
        for host in hosts:
            self._await(host.name, deadline)

    def _image(self, kernel: guest_kernel.Kernel, host: Host) -> bytes:
        files = {
            "host/name": host.name + "\n",
            "host/network": "".join(f"{line}\n" for line in _network(host)),
            "host/sshd_config": SSHD_CONFIG,
            "host/manager.conf": MANAGER,
            "shutdown": SHUTDOWN,
            f"units/{GUEST_TARGET}": TARGET,
            "units/podnet-guest-sshd.service": SSHD_UNIT.format(kernel=kernel.root),
            **{
                f"host/{name}": Path(self._path(host.name, name)).read_text(encoding="ascii")
                for name in ("key.pub", "host_key")
            },
        }
        modes = {"host/host_key": 0o600, "shutdown": 0o755}
        content = {name: (text.encode(), modes.get(name, 0o644)) for name, text in files.items()}
        return guest_boot.build(kernel, STAGE, content, ("br_netfilter",) if host.containers else ())

    def _qemu(self, kernel: guest_kernel.Kernel, image: Path, host: Host) -> tuple[str, ...]:
        sign = hashlib.sha256(f"{self.folder} {host.name}".encode()).hexdigest()
        mac = ":".join(["02", *(sign[place : place + 2] for place in range(0, 10, 2))])
        more = [
            *("-drive", f"file={self._disk(host.name)},format=raw,if=virtio,cache=unsafe"),
            *("-netdev", f"tap,id=underlay,ifname={port_name(host.name)},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,netdev=underlay,mac={mac},host_mtu={host.mtu},romfile="),
        ]
        console = Path(self.console(host.name))
        parameters = "podnet.disk=/dev/vda"
        command = guest_machine.qemu(
            kernel, image, console=console, memory=host.guest, more=more, parameters=parameters
        )
        return tuple(command)

    def _await(self, host: str, deadline: float) -> None:
        while self.runs(host):
            if self.run(self.command(host, ["true"]), None)[0] == 0:
                return
            if time.monotonic() > deadline:
                self.stop(host)
                self._fail(host, f"did not answer within {BOOT_SECONDS:.0f} s and was ended")
            time.sleep(POLL_SECONDS)
        self._fail(host, f"ended before it answered ({self.machines.log_tail(host, PROCESS) or 'qemu said nothing'})")

    def _fail(self, host: str, what: str) -> None:
        console = self.console(host)
        text = Path(console).read_text(encoding="utf-8", errors="replace") if os.path.exists(console) else ""
        lines = " | ".join(text.splitlines()[-CONSOLE_LINES:])
        raise PodnetError(f"The guest {host} {what}. The end of {console}: {lines or 'nothing'}")

    # -- end

    def stop(self, host: str) -> None:
        """Switch a guest off."""
        self.machines.stop_all(host)

    def remove(self, host: str) -> None:
        """Remove what was made for a guest in the lab's directory; it is off."""
        for folder in ("guests", "machines"):
            shutil.rmtree(os.path.join(self.folder, folder, host), ignore_errors=True)

    # -- small things

    def _disk(self, host: str) -> str:
        return os.path.join(self.data, host, "disk")

    def _write(self, host: str, name: str, text: str) -> None:
        with open(self._path(host, name), "w", encoding="ascii") as file:
            file.write(text)

    def _checked(self, command: Sequence[str], text: str | None = None) -> str:
        return checked(self.run, command, text, missing="the role podnet.cni.lab says which package has it")


def _network(host: Host) -> list[str]:
    """What gives the guest its addresses, for ip -batch."""
    return [
        *(f"addr add {address} dev {LINK}{' nodad' if ':' in address else ''}" for address in host.addresses),
        f"link set {LINK} mtu {host.mtu} up",
        *(f"route add default via {gateway} dev {LINK}" for gateway in host.gateways),
    ]
