# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a command in a guest: this machine's root below a layer in memory, on another kernel."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import initramfs
from kernel import Kernel, Missing

# A processor that can do it says so, and in a virtual machine it may be wrong all the same.
KVM_FLAGS = {"vmx", "svm"}
KVM_TRIAL = 20.0
# In software, instructions for vectors cost more than they save.
EMULATED = ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max")
# A guest's address for what listens on 127.0.0.1 out here; its own is in the script init.sh.
NETWORK, OUTSIDE = "198.19.255.0/24", "198.19.255.2"
PARAMETERS = "console=ttyS0 panic=-1 mitigations=off nokaslr quiet loglevel=4 random.trust_cpu=on tsc=unstable"


@dataclass(frozen=True)
class Guest:
    """How to boot. `share` is a directory that both sides write; `console` takes what the kernel says."""

    kernel: Kernel
    share: Path
    console: Path
    memory: int = 3072
    cores: int = 2

    @functools.cached_property
    def kvm(self) -> bool:
        """Whether the processor's own help works."""
        return kvm_works(self.kernel)

    def run(self, command: Sequence[str], environment: Mapping[str, str], directory: Path, limit: float) -> int | None:
        """Run the command in the guest, its output to ours, and return its exit status; None when the guest did not
        come to its end within `limit` seconds, or without a status."""
        script = [
            *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
            f"cd {shlex.quote(str(directory))}",
            f"{shlex.join(command)} >/dev/hvc0 2>&1 </dev/null",
            f"echo $? >{shlex.quote(str(self.share / 'status'))}",
            "sync",
            "busybox poweroff -f",
        ]
        status = self.share / "status"
        status.unlink(missing_ok=True)
        (self.share / "command").write_text("\n".join(script) + "\n", encoding="utf-8")
        with tempfile.NamedTemporaryFile(suffix=".cpio") as image:
            image.write(initramfs.build(self.kernel, initramfs.busybox()))
            image.flush()
            self._boot(Path(image.name), limit)
        text = status.read_text(encoding="ascii").strip() if status.exists() else ""
        return int(text) if text else None

    def _boot(self, image: Path, limit: float) -> None:
        with _started(self._qemu(image)) as process, contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(limit)

    def _qemu(self, image: Path) -> list[str]:
        shared = "multidevs=remap,security_model=none"
        return [
            "qemu-system-x86_64",
            *(("-accel", "kvm", "-cpu", "host") if self.kvm else EMULATED),
            *("-smp", str(self.cores), "-m", f"{self.memory}M", "-nodefaults", "-display", "none", "-no-reboot"),
            *("-kernel", str(self.kernel.image), "-initrd", str(image)),
            *("-append", f"{PARAMETERS} podnet.share={self.share} podnet.kernel={self.kernel.root}"),
            *("-serial", f"file:{self.console}"),
            *(
                "-device",
                "virtio-serial-pci",
                "-chardev",
                "stdio,id=out,signal=off",
                "-device",
                "virtconsole,chardev=out",
            ),
            *("-device", "virtio-rng-pci"),
            *("-netdev", f"user,id=out,net={NETWORK},host={OUTSIDE}", "-device", "virtio-net-pci,netdev=out"),
            *("-virtfs", f"local,path=/,mount_tag=root,readonly=on,{shared}"),
            *("-virtfs", f"local,path={self.share},mount_tag=share,{shared}"),
        ]


@contextlib.contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone afterwards, and also when this one is killed."""
    sys.stdout.flush()
    process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def check() -> None:
    """Raises Missing where there is no memory for a guest."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
    available = int(lines["MemAvailable"].split()[0]) // 1024
    if available < Guest.memory:
        raise Missing(f"a guest takes {Guest.memory} MiB of memory, and {available} are free")


def kvm_works(kernel: Kernel) -> bool:
    """Whether a guest comes up with the processor's own help: tried, since the device alone says nothing."""
    flags = set(Path("/proc/cpuinfo").read_text(encoding="ascii").split())
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or not flags & KVM_FLAGS:
        return False
    command = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "256M", "-nodefaults", "-display", "none"]
    # Without a root the kernel panics and, with -no-reboot, qemu ends.
    command += ["-no-reboot", "-kernel", str(kernel.image), "-append", "panic=-1"]
    with _started(command) as process:
        try:
            return process.wait(KVM_TRIAL) == 0
        except subprocess.TimeoutExpired:
            return False
