# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guest's kernel: Debian packages, unpacked into the cache of the user and never installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

META = "linux-image-amd64"
"""Debian's package that depends on the newest kernel of the release."""

BESIDE = ("kmod", "wireguard-tools")
"""Packages that a machine with such a kernel has: the program modprobe, the program wg."""


class Missing(Exception):
    """No guest can be run here; the text says what is missing and what helps."""


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package with the programs beside it; `root` is laid out as the machine that has them."""

    root: Path

    @property
    def image(self) -> Path:
        """What qemu boots."""
        return next((self.root / "boot").glob("vmlinuz-*"))

    @property
    def release(self) -> str:
        """What uname -r says in the guest."""
        return self.image.name.removeprefix("vmlinuz-")

    @property
    def modules(self) -> Path:
        """The directory of the modules and of modules.dep."""
        return self.root / "lib" / "modules" / self.release


def directory() -> Path:
    """Where unpacked kernels are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podnet.cni" / "guest"


def kernel() -> Kernel:
    """The newest kernel of this machine's package sources, from the cache or unpacked into it. Raises Missing."""
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static")):
        if shutil.which(program) is None:
            raise Missing(f"{program} is missing: install {package}")
    if shutil.which("apt-get") is None:
        raise Missing("the guest's kernel is a package of Debian's, and this machine has no apt-get")
    try:
        return _newest()
    except Missing:
        if os.geteuid():
            raise
        # Lists that are missing, or name packages that the archive no longer has.
        subprocess.run(["apt-get", "update"], capture_output=True, check=False)
        return _newest()


def _newest() -> Kernel:
    image = _image_package(_output("apt-cache", "depends", META))
    packages = [(name, _version(_output("apt-cache", "policy", name))) for name in (image, *BESIDE)]
    root = directory() / "_".join(version.replace(":", "%") for version in ("-".join(each) for each in packages))
    if not root.is_dir():
        _unpack(packages, root)
    return Kernel(root)


def _image_package(depends: str) -> str:
    """The kernel package out of what `apt-cache depends` prints of the meta package."""
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if found is None:
        raise Missing(f"the package sources have no {META}; apt-get update, or add Debian's main section")
    return found[1]


def _version(policy: str) -> str:
    """The version that `apt-cache policy` would install."""
    found = re.search(r"Candidate: (\S+)", policy)
    if found is None or found[1] == "(none)":
        raise Missing(f"the package sources lack one of {', '.join(BESIDE)}; apt-get update")
    return found[1]


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    return done.stdout


def _unpack(packages: list[tuple[str, str]], root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as place:
        wanted = [f"{name}={version}" for name, version in packages]
        # Root downloads without the sandbox's user, who may not write here.
        command = ["apt-get", "-o", "APT::Sandbox::User=root", "download", *wanted]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"apt-get download {' '.join(wanted)} failed: {done.stderr.strip()}; apt-get update may help")
        content = Path(place) / "root"
        for package in sorted(Path(place).glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(content)], check=True)
        # What the package's own script would do; the program takes its task from the name that it is called by.
        depmod = ["depmod", "--basedir", str(content), Kernel(content).release]
        subprocess.run(depmod, executable=content / "bin" / "kmod", check=True)
        content.rename(root)


def closure(dependencies: str, wanted: tuple[str, ...]) -> list[str]:
    """The files to load, in order, for these modules with all that they need.

    `dependencies` is the text of modules.dep; a module that it does not name is built into the kernel, or not there.
    """
    needs: dict[str, list[str]] = {}
    for line in dependencies.splitlines():
        file, _colon, others = line.partition(":")
        needs[_module(file)] = [file, *others.split()]
    order: dict[str, None] = {}

    def load(name: str) -> None:
        file, *others = needs[name]
        for other in others:
            if other not in order:
                load(_module(other))
        order[file] = None

    for name in wanted:
        if name in needs:
            load(name)
    return list(order)


def _module(file: str) -> str:
    return Path(file).name.split(".", 1)[0].replace("-", "_")
