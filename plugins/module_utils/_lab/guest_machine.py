# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine that a guest is: qemu, with the root of this machine shared read-only.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._lab.guest_kernel import Kernel

QEMU = "qemu-system-x86_64"
# A processor that can do it says so, and in a virtual machine it may be wrong all the same.
KVM_FLAGS = {"vmx", "svm"}
KVM_TRIAL = 20.0
KVM = ("-accel", "kvm", "-cpu", "host")
# In software, instructions for vectors cost more than they save.
EMULATED = ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max")
PARAMETERS = "console=ttyS0 panic=-1 mitigations=off nokaslr quiet loglevel=4 random.trust_cpu=on tsc=unstable"
# A process that is gone when its parent is killed.
WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
SHARED = "multidevs=remap,security_model=none"


def qemu(kernel: Kernel, image: Path, *, console: Path, memory: int, more: Sequence[str], parameters: str) -> list[str]:
    """The command that boots a kernel with an archive in the root of this machine.

    C(console) takes what the kernel says, C(memory) is in MiB, C(more) are further arguments and C(parameters) further
    ones of the kernel.
    """
    return [
        QEMU,
        *(KVM if kvm_works(kernel) else EMULATED),
        *("-smp", str(min(2, os.cpu_count() or 1)), "-m", f"{memory}M", "-nodefaults", "-display", "none"),
        *("-kernel", str(kernel.image), "-initrd", str(image)),
        *("-append", f"{PARAMETERS} podnet.kernel={kernel.root} {parameters}"),
        *("-serial", f"file:{console}"),
        *("-device", "virtio-rng-pci"),
        *("-virtfs", f"local,path=/,mount_tag=root,readonly=on,{SHARED}"),
        *more,
    ]


def kvm_works(kernel: Kernel) -> bool:
    """Whether a guest comes up with the processor's own help: tried, since the device alone says nothing."""
    flags = set(Path("/proc/cpuinfo").read_text(encoding="ascii").split())
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or not flags & KVM_FLAGS:
        return False
    command = [QEMU, *KVM, "-m", "256M", "-nodefaults", "-display", "none"]
    # Without a root the kernel panics and, with -no-reboot, qemu ends.
    command += ["-no-reboot", "-kernel", str(kernel.image), "-append", "panic=-1"]
    process = subprocess.Popen([*WITH_PARENT, *command], stdin=subprocess.DEVNULL)
    try:
        return process.wait(KVM_TRIAL) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        process.kill()
        process.wait()
