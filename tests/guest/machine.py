# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a command in a guest: this machine's root below a layer in memory, on another kernel."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError
from ansible_collections.podnet.cni.plugins.module_utils._lab import guest_boot, guest_machine
from ansible_collections.podnet.cni.plugins.module_utils._lab.guest_kernel import Kernel
from ansible_collections.podnet.cni.plugins.module_utils._lab.system import available_mib

STAGE = Path(__file__).with_name("stage.sh")
# A guest's address for what listens on 127.0.0.1 out here; its own is in the script stage.sh.
NETWORK, OUTSIDE = "198.19.255.0/24", "198.19.255.2"


@dataclass(frozen=True)
class Guest:
    """How to boot. `share` is a directory that both sides write; `console` takes what the kernel says."""

    kernel: Kernel
    share: Path
    console: Path
    memory: int = 3072

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
            image.write(guest_boot.build(self.kernel, STAGE.read_text(encoding="utf-8"), {}))
            image.flush()
            self._boot(Path(image.name), limit)
        text = status.read_text(encoding="ascii").strip() if status.exists() else ""
        return int(text) if text else None

    def _boot(self, image: Path, limit: float) -> None:
        more = [
            "-no-reboot",
            *("-device", "virtio-serial-pci"),
            *("-chardev", "stdio,id=out,signal=off", "-device", "virtconsole,chardev=out"),
            *("-netdev", f"user,id=out,net={NETWORK},host={OUTSIDE}", "-device", "virtio-net-pci,netdev=out"),
            *("-virtfs", f"local,path={self.share},mount_tag=share,{guest_machine.SHARED}"),
        ]
        parameters = f"podnet.share={self.share}"
        command = guest_machine.qemu(
            self.kernel, image, console=self.console, memory=self.memory, more=more, parameters=parameters
        )
        how = "with KVM" if "kvm" in command else "in software"
        print(f"Linux {self.kernel.release} in a guest, {how}", flush=True)
        with _started(command) as process, contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(limit)


@contextlib.contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone afterwards, and also when this one is killed."""
    sys.stdout.flush()
    process = subprocess.Popen([*guest_machine.WITH_PARENT, *command], stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def check() -> None:
    """Raises MissingError where there is no memory for a guest."""
    available = available_mib()
    if available < Guest.memory:
        raise MissingError(f"a guest takes {Guest.memory} MiB of memory, and {available} are free")
